"""Seed -> simulated patients with their slices and DXA, made by the simulation's own command and kept as files."""

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.pairs import Pairs, read_pairs

logger = logging.getLogger("models.reproduce")

SIMULATION = "screening.simulation.pairs"
"""Run as a command in a process of its own: models imports nothing of the rest."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Patients of one institution: n slices, and p patients in the order of `numpy.unique(pairs.patient)`."""

    pairs: Pairs
    kvp_kv: NDArray[np.int64]  # (n,)
    thickness_mm: NDArray[np.float64]  # (n,)
    bmd_true_g_cm2: NDArray[np.float64]  # (p,) areal BMD of L1-L4 by projection of the density map
    bmd_dxa_g_cm2: NDArray[np.float64]  # (p,) the same with a densitometer's precision error


@dataclass(frozen=True, slots=True)
class Simulated:
    """Which patients: numbers `first` to `first + patients - 1` of an institution."""

    institution: int
    patients: int
    first: int = 1

    def file_name(self, seed: int) -> str:
        """Name that says what is in the file."""
        last = self.first + self.patients - 1
        return f"pairs-institution{self.institution}-seed{seed}-patients{self.first}to{last}.npz"


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
        words = [str(word) for pair in arguments.items() for word in pair]
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
        missing = [name for name in ("kvp_kv", "thickness_mm", "bmd_true_g_cm2", "bmd_dxa_g_cm2") if name not in file]
        if missing:
            raise ValueError(f"{path.name} lacks the arrays {', '.join(missing)}: delete it to simulate it anew")
        _, first_slice = np.unique(pairs.patient, return_index=True)
        return Cohort(
            pairs=pairs,
            kvp_kv=file["kvp_kv"].astype(np.int64),
            thickness_mm=file["thickness_mm"].astype(np.float64),
            bmd_true_g_cm2=file["bmd_true_g_cm2"][first_slice].astype(np.float64),
            bmd_dxa_g_cm2=file["bmd_dxa_g_cm2"][first_slice].astype(np.float64),
        )
