"""Seed -> simulated patients with their slices and DXA, made by the simulation's own command and kept as files."""

import logging
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.pairs import Pairs, read_pairs

logger = logging.getLogger("models.reproduce")

Floats = NDArray[np.float64]

SIMULATION = "screening.simulation.pairs"
"""Run as a command in a process of its own: models imports nothing of the rest."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Patients of one institution: n slices, and p patients in the order of `numpy.unique(pairs.patient)`."""

    pairs: Pairs
    roi_hu: Floats  # (n,) mean of an ellipse about the localised centre, 120 kVp equivalents; NaN in discs
    contour_hu: Floats  # (n,) trabecular mean of the contour reader; NaN in discs and where not asked for
    contour_depth_mm: Floats  # (n,) body depth by the contour reader
    kvp_kv: NDArray[np.int64]  # (p,)
    thickness_mm: Floats  # (p,) of the series
    manufacturer: NDArray[np.str_]  # (p,)
    scanner: NDArray[np.str_]  # (p,) model and station
    effective_diameter_mm: Floats  # (p,) of the body
    age_years: Floats  # (p,)
    sex: NDArray[np.str_]  # (p,) F or M
    bmd_true_g_cm2: Floats  # (p,) areal BMD of L1-L4 by projection of the density map
    bmd_dxa_g_cm2: Floats  # (p,) the same with a densitometer's precision error, Hologic scale


OF_SLICES = ("roi_hu", "contour_hu", "contour_depth_mm")
OF_PATIENTS = tuple(field.name for field in fields(Cohort) if field.name not in ("pairs", *OF_SLICES))
KINDS = {"kvp_kv": np.int64, "manufacturer": np.str_, "scanner": np.str_, "sex": np.str_}  # the others are numbers


@dataclass(frozen=True, slots=True)
class Simulated:
    """Which patients: numbers `first` to `first + patients - 1` of an institution."""

    institution: int
    patients: int
    first: int = 1
    contours: bool = False  # whether the contour reader measures every body; it takes five times as long

    def file_name(self, seed: int) -> str:
        """Name that says what is in the file."""
        last = self.first + self.patients - 1
        contours = "-contours" if self.contours else ""
        return f"pairs-institution{self.institution}-seed{seed}-patients{self.first}to{last}{contours}.npz"


def simulate(wanted: Simulated, seed: int, work: Path, processes: int) -> Cohort:
    """Make the patients, or read them where an earlier call has left them in `work`.

    Raises:
        ValueError: the simulation failed, or the file is not one that it writes.
    """
    path = work / wanted.file_name(seed)
    if not path.exists():
        arguments = {
            "--patients": wanted.patients,
            "--seed": seed,
            "--institution": wanted.institution,
            "--first": wanted.first,
            "--processes": processes,
            "--output": path,
        }
        words = [str(word) for pair in arguments.items() for word in pair] + ["--contours"] * wanted.contours
        status = subprocess.run([sys.executable, "-m", SIMULATION, *words], check=False).returncode
        if status != 0:
            raise ValueError(f"simulating the patients of {path.name} failed with exit status {status}")
    return read_cohort(path)


def read_cohort(path: Path) -> Cohort:
    """Read a file of simulated pairs.

    Raises:
        ValueError: the file cannot be read, or carries no DXA.
    """
    pairs = read_pairs(path)
    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in (*OF_SLICES, *OF_PATIENTS) if name not in file]
        if missing:
            raise ValueError(f"{path.name} lacks the arrays {', '.join(missing)}: delete it to simulate it anew")
        _, first_slice = np.unique(pairs.patient, return_index=True)
        of_slices = {name: file[name].astype(np.float64) for name in OF_SLICES}
        of_patients = {name: file[name][first_slice].astype(KINDS.get(name, np.float64)) for name in OF_PATIENTS}
        return Cohort(pairs=pairs, **of_slices, **of_patients)
