"""Training pairs: a file of crops with their reference -> three sets of patients that share nobody."""

import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CALIBRATION_SHARE = 0.15
VALIDATION_SHARE = 0.15
PHANTOM = "phantom"
"""Stands for the patient of a drawing."""
BESIDE = "beside "
"""Begins the name of a patient who is trained on but neither measured nor calibrated with."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Crops of n slices and what is known of each; `hu120` and `depth_mm` may be NaN where nobody measured them."""

    crops_hu: NDArray[np.float32]  # (n, h, w) HU at 120 kVp, with room to move around the network's input
    bmd_g_cm2: NDArray[np.float32]
    """(n,) areal BMD of the vertebra, in a site's pairs that of L1-L4; also for slices through its disc.

    Training puts a label in its place that is the patient's rather than the vertebra's (`labels.by_patient`).
    """
    hu120: NDArray[np.float32]  # (n,) mean trabecular attenuation of the vertebra
    depth_mm: NDArray[np.float32]  # (n,) antero-posterior depth of the body, outer cortex
    is_body: NDArray[np.bool_]  # (n,) False where the slice shows no vertebral body to read, such as a disc
    patient: NDArray[np.str_]  # (n,)
    level: NDArray[np.str_]  # (n,)

    def __len__(self) -> int:
        return len(self.crops_hu)

    @property
    def with_dxa(self) -> NDArray[np.bool_]:
        """Which slices belong to patients with a densitometer's value: neither drawings nor slices beside the pairs."""
        return np.asarray((self.patient != PHANTOM) & ~np.char.startswith(self.patient, BESIDE))

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

    def digest(self) -> str:
        """BLAKE2b of all arrays, hexadecimal: the same for equal contents, whatever file they come from."""
        digest = hashlib.blake2b(digest_size=16)
        for field in fields(self):
            array = np.ascontiguousarray(getattr(self, field.name))
            digest.update(f"{field.name} {array.dtype} {array.shape}".encode())
            digest.update(array.data)
        return digest.hexdigest()

    def of_patients(self, patients: Iterable[str]) -> "Pairs":
        """Keep the slices of these patients."""
        return self.where(np.isin(self.patient, list(patients)))


@dataclass(frozen=True, slots=True)
class Shares:
    """What a training batch is made of; the patients of the pairs file fill what drawings and others leave."""

    phantom: float = 0.35  # drawings, where there are any
    beside: float = 0.0  # slices of the file beside the pairs, such as re-densified real ones
    no_body: float = 0.2  # slices without a body, of every source alike
    density_bin_hu: float = 25.0  # bodies come evenly over density, or the middle would pull the ends inwards

    def __post_init__(self) -> None:
        if min(self.phantom, self.beside) < 0 or self.phantom + self.beside > 1 + 1e-9:
            raise ValueError(f"shares of a batch must be 0 or more and sum to at most 1, found {self}")


@dataclass(frozen=True, slots=True)
class Split:
    """Three sets of pairs; no patient is in two of them."""

    training: Pairs
    validation: Pairs
    calibration: Pairs


def read_pairs(path: Path) -> Pairs:
    """Read an .npz file with the arrays of `Pairs`; arrays of other names are left alone.

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


def read_beside(path: Path) -> Pairs:
    """Read pairs to train on beside others: their patients are marked, and no densitometer has seen them.

    Their BMD is not taken: it follows from attenuation and depth, by an affine that may not be the training's own.

    Raises:
        ValueError: as `read_pairs`, or attenuation and depth are not known everywhere.
    """
    pairs = read_pairs(path)
    if not (np.isfinite(pairs.hu120).all() and np.isfinite(pairs.depth_mm).all()):
        raise ValueError(f"{path.name}: slices beside the pairs need hu120 and depth_mm everywhere")
    marked = np.char.add(BESIDE, pairs.patient)
    return replace(pairs, patient=marked, bmd_g_cm2=np.full_like(pairs.bmd_g_cm2, np.nan))


def split_by_patient(
    pairs: Pairs, seed: int, calibration_share: float = CALIBRATION_SHARE, validation_share: float = VALIDATION_SHARE
) -> Split:
    """Deal patients at random into training, validation and calibration.

    Raises:
        ValueError: the shares leave nobody to train on.
    """
    patients = np.unique(pairs.patient)
    dealt = np.random.default_rng(seed).permutation(patients)
    n_calibration = round(len(patients) * calibration_share)
    n_validation = round(len(patients) * validation_share)
    if n_calibration + n_validation >= len(patients):
        raise ValueError(f"calibration and validation leave none of {len(patients)} patients to train on")
    return Split(
        calibration=pairs.of_patients(dealt[:n_calibration]),
        validation=pairs.of_patients(dealt[n_calibration : n_calibration + n_validation]),
        training=pairs.of_patients(dealt[n_calibration + n_validation :]),
    )


def sampling_weights(pairs: Pairs, shares: Shares) -> NDArray[np.float64]:
    """Chance of each slice to be drawn: fixed shares of sources and of slices without a body, even over density."""
    is_phantom, is_beside = pairs.patient == PHANTOM, np.char.startswith(pairs.patient, BESIDE)
    sources = (
        (is_phantom, shares.phantom),
        (is_beside, shares.beside),
        (pairs.with_dxa, max(1 - shares.phantom - shares.beside, 0.0)),
    )
    weights = np.zeros(len(pairs), dtype=np.float64)
    for source, of_source in sources:
        for kind, of_kind in ((pairs.is_body, 1 - shares.no_body), (~pairs.is_body, shares.no_body)):
            chosen = source & kind
            weights[chosen] = of_source * of_kind * _even_over_density(pairs.hu120[chosen], shares.density_bin_hu)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _even_over_density(hu120: NDArray[np.float32], bin_hu: float) -> NDArray[np.float64]:
    """Chances that sum to 1 and do not follow how often a density occurs.

    A density that hardly occurs is not repeated without end: its chance grows with the root of its count up to 50.
    """
    bins = np.floor(np.nan_to_num(hu120) / bin_hu).astype(np.int64)
    _, where, counts = np.unique(bins, return_inverse=True, return_counts=True)
    chance = np.asarray((np.sqrt(np.minimum(counts, 50)) / counts)[where], dtype=np.float64)
    return np.asarray(chance / max(chance.sum(), 1e-12), dtype=np.float64)


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
