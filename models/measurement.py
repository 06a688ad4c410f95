"""A checkpoint and simulated patients -> how well their DXA is met, beside what could be met at best.

Three readers stand side by side. `BMD_CNN` is the network. `physics` knows attenuation and depth of every vertebra
exactly and takes them through the same affine: what cancellous bone alone can tell; a network that also sees cortex and
arch can do better. `ceiling` knows the exact areal BMD and misses the DXA by that one's precision error only: nothing
can do better.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.bmd_cnn import BmdCnn
from models.checkpoint import Checkpoint, networks
from models.cohorts import Cohort
from models.evaluation import SliceReadings, areal_attenuation, patient_bmd, read_slices
from models.intervals import Array, Estimate, mean, osteoporosis_auc, pearson, share
from models.pairs import Pairs

OSTEOPOROSIS_BELOW_G_CM2 = 0.772
"""T = -2.5 of the Hologic L1-L4 reference, white women: 1.047 - 2.5 x 0.110; not verified."""
FEWEST_SLICES = 20  # below this a group's error is not shown


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one reader's BMD agrees with DXA over patients."""

    r: Estimate
    auc: Estimate
    mae: Estimate  # g/cm2
    bias: Estimate  # g/cm2, read - DXA


@dataclass(frozen=True, slots=True)
class GroupError:
    """Errors of single slices through bodies that were acquired alike, against the exact vertebra."""

    group: str
    n_slices: int
    bmd_bias_g_cm2: float
    bmd_rmse_g_cm2: float
    hu_bias: float
    hu_rmse: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was found in one set of patients."""

    n: int
    n_osteoporosis: int
    cnn: Agreement
    physics: Agreement
    ceiling: Agreement
    coverage: Estimate  # share of DXA values within the checkpoint's 90 % interval
    groups: tuple[GroupError, ...]

    def flat(self) -> dict[str, float]:
        """Figures by name: the network's as `r`, the others' as `r_physics` and `r_ceiling`, bounds as `r_low`."""
        named = {"coverage": self.coverage}
        for suffix, agreement in (("", self.cnn), ("_physics", self.physics), ("_ceiling", self.ceiling)):
            for metric in ("r", "auc", "mae", "bias"):
                named[metric + suffix] = getattr(agreement, metric)
        figures: dict[str, float] = {"n": self.n, "n_osteoporosis": self.n_osteoporosis}
        for name, estimate in named.items():
            figures |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        return {name: round(value, 5) for name, value in figures.items()}


def measure(checkpoint: Checkpoint, cohort: Cohort) -> Measurement:
    """Read every patient and compare with the simulated DXA.

    Raises:
        ValueError: so few patients, or so alike, that r or AUC is undefined.
    """
    readings = read_cohort_slices(networks(checkpoint), checkpoint, cohort)
    read, _ = patient_bmd(readings, cohort.pairs)
    dxa = cohort.bmd_dxa_g_cm2
    return Measurement(
        n=len(dxa),
        n_osteoporosis=int((dxa <= OSTEOPOROSIS_BELOW_G_CM2).sum()),
        cnn=agree(read, dxa),
        physics=agree(physics_bmd(checkpoint, cohort.pairs), dxa),
        ceiling=agree(cohort.bmd_true_g_cm2, dxa),
        coverage=share(np.abs(read - dxa) <= checkpoint.interval_half_width_g_cm2),
        groups=tuple(group_errors(readings, cohort)),
    )


def read_cohort_slices(members: tuple[BmdCnn, ...], checkpoint: Checkpoint, cohort: Cohort) -> SliceReadings:
    """Read the central crop of every slice, in the size that the checkpoint was trained on."""
    size_px = int(checkpoint.input_spec["size_px"])
    return read_slices(members, checkpoint.calibration, cohort.pairs, size_px)


def agree(bmd_g_cm2: Array, dxa_g_cm2: Array) -> Agreement:
    """Compare patients' BMD with their DXA."""
    error = bmd_g_cm2 - dxa_g_cm2
    return Agreement(
        r=pearson(bmd_g_cm2, dxa_g_cm2),
        auc=osteoporosis_auc(bmd_g_cm2, dxa_g_cm2 <= OSTEOPOROSIS_BELOW_G_CM2),
        mae=mean(np.abs(error)),
        bias=mean(error),
    )


def physics_bmd(checkpoint: Checkpoint, pairs: Pairs) -> Array:
    """Patients' BMD (p,) from exact attenuation and depth through the checkpoint's affine."""
    areal_hu = areal_attenuation(pairs)
    calibration = checkpoint.calibration
    exact = SliceReadings(
        bmd_g_cm2=calibration.offset_g_cm2 + calibration.slope_g_cm2_per_hu * areal_hu,
        sd_g_cm2=np.zeros_like(areal_hu),
        attended_hu=pairs.hu120.astype(np.float64),
        depth_mm=pairs.depth_mm.astype(np.float64),
    )
    return patient_bmd(exact, pairs)[0]


def group_errors(readings: SliceReadings, cohort: Cohort) -> Iterator[GroupError]:
    """Yield the errors by voltage and by slice thickness, for groups of enough slices."""
    for unit, column in (("kVp", cohort.kvp_kv), ("mm", cohort.thickness_mm)):
        for value in np.unique(column):
            chosen = cohort.pairs.is_body & (column == value)
            if chosen.sum() >= FEWEST_SLICES:
                yield _group_error(f"{value:g} {unit}", readings, cohort.pairs, chosen)


def _group_error(group: str, readings: SliceReadings, pairs: Pairs, chosen: NDArray[np.bool_]) -> GroupError:
    bmd_error = readings.bmd_g_cm2[chosen] - pairs.bmd_g_cm2[chosen]
    hu_error = readings.attended_hu[chosen] - pairs.hu120[chosen]
    return GroupError(
        group=group,
        n_slices=int(chosen.sum()),
        bmd_bias_g_cm2=round(float(bmd_error.mean()), 5),
        bmd_rmse_g_cm2=round(float(np.sqrt(np.mean(bmd_error**2))), 5),
        hu_bias=round(float(hu_error.mean()), 3),
        hu_rmse=round(float(np.sqrt(np.mean(hu_error**2))), 3),
    )
