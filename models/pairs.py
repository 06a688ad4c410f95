"""Training pairs: a file of crops with their reference -> three sets of patients that share nobody."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CALIBRATION_SHARE = 0.15
VALIDATION_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Pairs:
    """Crops of n slices and what is known of each; `hu120` and `depth_mm` may be NaN where nobody measured them."""

    crops_hu: NDArray[np.float32]  # (n, h, w) HU at 120 kVp, with room to move around the network's input
    bmd_g_cm2: NDArray[np.float32]  # (n,) areal BMD of the vertebra, also for slices through its disc
    hu120: NDArray[np.float32]  # (n,) mean trabecular attenuation of the vertebra
    depth_mm: NDArray[np.float32]  # (n,) antero-posterior depth of the body, outer cortex
    is_body: NDArray[np.bool_]  # (n,) False where the slice shows no vertebral body to read, such as a disc
    patient: NDArray[np.str_]  # (n,)
    level: NDArray[np.str_]  # (n,)

    def __len__(self) -> int:
        return len(self.crops_hu)

    def where(self, chosen: NDArray[np.bool_]) -> "Pairs":
        """Keep the chosen slices."""
        return Pairs(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def with_others(self, others: "Pairs") -> "Pairs":
        """Put other slices behind these."""
        return Pairs(
            **{
                field.name: np.concatenate([getattr(self, field.name), getattr(others, field.name)])
                for field in fields(self)
            }
        )

    def of_patients(self, patients: Iterable[str]) -> "Pairs":
        """Keep the slices of these patients."""
        return self.where(np.isin(self.patient, list(patients)))


@dataclass(frozen=True, slots=True)
class Split:
    """Three sets of pairs; no patient is in two of them."""

    training: Pairs
    validation: Pairs
    calibration: Pairs


def read_pairs(path: Path) -> Pairs:
    """Read an .npz file with the arrays of `Pairs`.

    Raises:
        ValueError: the file is missing or damaged, lacks an array, or holds values that cannot be trained on.
    """
    try:
        if path.exists() and not zipfile.is_zipfile(path):
            raise ValueError(f"{path.name} cannot be read as an .npz file of pairs: it is no zip archive")
        with np.load(path, allow_pickle=False) as file:
            missing = [field.name for field in fields(Pairs) if field.name not in file]
            if missing:
                raise ValueError(f"{path.name} lacks the arrays {', '.join(missing)}")
            pairs = Pairs(
                crops_hu=file["crops_hu"].astype(np.float32),
                bmd_g_cm2=file["bmd_g_cm2"].astype(np.float32),
                hu120=file["hu120"].astype(np.float32),
                depth_mm=file["depth_mm"].astype(np.float32),
                is_body=file["is_body"].astype(np.bool_),
                patient=file["patient"].astype(np.str_),
                level=file["level"].astype(np.str_),
            )
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} cannot be read as an .npz file of pairs: {error}") from error
    _check(path.name, pairs)
    return pairs


def split_by_patient(pairs: Pairs, seed: int) -> Split:
    """Deal patients at random into training, validation and calibration."""
    patients = np.unique(pairs.patient)
    dealt = np.random.default_rng(seed).permutation(patients)
    n_calibration = round(len(patients) * CALIBRATION_SHARE)
    n_validation = round(len(patients) * VALIDATION_SHARE)
    return Split(
        calibration=pairs.of_patients(dealt[:n_calibration]),
        validation=pairs.of_patients(dealt[n_calibration : n_calibration + n_validation]),
        training=pairs.of_patients(dealt[n_calibration + n_validation :]),
    )


def _check(name: str, pairs: Pairs) -> None:
    lengths = {field.name: len(getattr(pairs, field.name)) for field in fields(pairs)}
    if len(set(lengths.values())) != 1 or len(pairs) == 0:
        raise ValueError(f"{name}: arrays must have one entry per slice, found {lengths}")
    if pairs.crops_hu.ndim != 3 or pairs.crops_hu.shape[1] != pairs.crops_hu.shape[2]:
        raise ValueError(f"{name}: crops_hu must be (n, size, size), found {pairs.crops_hu.shape}")
    if not np.isfinite(pairs.crops_hu).all() or not np.isfinite(pairs.bmd_g_cm2).all():
        raise ValueError(f"{name}: crops_hu and bmd_g_cm2 must be finite everywhere")
    if not pairs.is_body.any():
        raise ValueError(f"{name}: no slice is marked as a vertebral body")
