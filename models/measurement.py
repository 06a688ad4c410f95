"""A checkpoint and simulated patients -> how well their DXA is met, beside other readers and what could be met at best.

Six readers stand side by side, all on the same patients. `cnn` is the network. `hu_regression` draws a straight line
through the mean of an ellipse in the body, as most of the literature does; `contour` does so through the contour
reader's trabecular HU times body depth. Both lines are fitted to patients of institution 1. `public_formula` is a
published line, not fitted to anybody here. `physics` knows attenuation and depth of every vertebra exactly and takes
them through the checkpoint's affine: what cancellous bone alone can tell; a network that also sees cortex and arch can
do better. `ceiling` knows the exact areal BMD and misses the DXA by that one's precision error only: nothing can do
better.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.bmd_cnn import REFERENCE_DEPTH_MM, BmdCnn
from models.checkpoint import Checkpoint, networks
from models.cohorts import Cohort
from models.evaluation import (
    OSTEOPOROSIS_BELOW_G_CM2,
    SliceReadings,
    areal_attenuation,
    patient_bmd,
    patient_means,
    rank_auc,
    read_slices,
)
from models.intervals import (
    Array,
    Estimate,
    mean,
    osteoporosis_auc,
    paired_difference,
    pearson,
    root_mean_square,
    share,
)
from models.pairs import Pairs

PUBLIC_SLOPE, PUBLIC_OFFSET = 0.0025338093, 0.2298020
"""Comp2Comp's BMD of L1-L4 per HU; made for the mean of whole vertebrae, so trabecular HU reads low through it."""
LARGEST_GROUP_BIAS_G_CM2 = 0.02
"""What no group of patients may exceed: 0.18 T-scores, below the least significant change of DXA (0.022-0.031)."""
FEWEST_PATIENTS = 20  # below this a group says so instead of a number
DIAMETERS_MM = (260.0, 300.0)  # effective diameter 28 +- 4 cm: about thirds
AGES_YEARS = (60.0, 70.0, 80.0)
THICKNESSES_MM = (2.25, 4.0)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one reader's BMD agrees with DXA over patients."""

    r: Estimate
    auc: Estimate
    mae: Estimate  # g/cm2
    bias: Estimate  # g/cm2, read - DXA


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line from a reader's figure to areal BMD, g/cm2."""

    slope: float
    offset: float

    def bmd_g_cm2(self, figure: Array) -> Array:
        """Patients' BMD."""
        return np.asarray(self.offset + self.slope * figure, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Lines:
    """The comparators' lines, fitted to patients whom nothing else uses; None where there are no contours."""

    hu_regression: Line
    contour: Line | None
    n_patients: int


@dataclass(frozen=True, slots=True)
class Gain:
    """What the network gains over the HU regression on the same patients: network minus regression."""

    r: Estimate
    auc: Estimate
    mae: Estimate  # g/cm2; negative is better


@dataclass(frozen=True, slots=True)
class GroupError:
    """Errors of patients who have something in common; the estimates are None where they are fewer than 20."""

    by: str
    group: str
    n: int
    bias_g_cm2: Estimate | None  # read - DXA
    rmse_g_cm2: Estimate | None
    hu_bias: Estimate | None  # attended - exact trabecular HU


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was found in one set of patients."""

    n: int
    n_osteoporosis: int
    readers: Mapping[str, Agreement]  # `cnn` first
    gain: Gain | None  # None where no line was fitted
    coverage: Estimate  # share of DXA values within the checkpoint's 90 % interval
    groups: tuple[GroupError, ...]
    points: tuple[tuple[float, float], ...]  # DXA and BMD_CNN of every patient, g/cm2

    def flat(self) -> dict[str, float]:
        """Figures by name: the network's as `r`, the others' as `r_physics` and so on, bounds as `r_low`."""
        named = {"coverage": self.coverage}
        for reader, agreement in self.readers.items():
            suffix = "" if reader == "cnn" else f"_{reader}"
            named |= {f"{metric}{suffix}": getattr(agreement, metric) for metric in ("r", "auc", "mae", "bias")}
        if self.gain is not None:
            named |= {f"{metric}_gain": getattr(self.gain, metric) for metric in ("r", "auc", "mae")}
        figures: dict[str, float] = {"n": self.n, "n_osteoporosis": self.n_osteoporosis}
        for name, estimate in named.items():
            figures |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        return {name: round(value, 5) for name, value in figures.items()}

    def groups_beyond_limit(self) -> tuple[str, ...]:
        """Groups of enough patients whose bias is larger than allowed."""
        return tuple(
            group.group
            for group in self.groups
            if group.bias_g_cm2 is not None and abs(group.bias_g_cm2.value) > LARGEST_GROUP_BIAS_G_CM2
        )


def measure(checkpoint: Checkpoint, cohort: Cohort, lines: Lines | None = None) -> Measurement:
    """Read every patient and compare with the simulated DXA, beside the other readers.

    Raises:
        ValueError: so few patients, or so alike, that r or AUC is undefined.
    """
    readings = read_cohort_slices(networks(checkpoint), checkpoint, cohort)
    read, _ = patient_bmd(readings, cohort.pairs)
    dxa = cohort.bmd_dxa_g_cm2
    others = comparators(lines, cohort) if lines is not None else {}
    bmd = {"cnn": read} | others
    bmd |= {"physics": physics_bmd(checkpoint, cohort.pairs), "ceiling": cohort.bmd_true_g_cm2}
    return Measurement(
        n=len(dxa),
        n_osteoporosis=int((dxa <= OSTEOPOROSIS_BELOW_G_CM2).sum()),
        readers={reader: agree(values, dxa) for reader, values in bmd.items()},
        gain=gain(read, others["hu_regression"], dxa) if others else None,
        coverage=share(np.abs(read - dxa) <= checkpoint.interval_half_width_g_cm2),
        groups=tuple(group_errors(read, readings, cohort)),
        points=tuple(zip(dxa.round(5).tolist(), read.round(5).tolist(), strict=True)),
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


def fit_lines(cohort: Cohort) -> Lines:
    """Fit the comparators to the DXA of patients of institution 1."""
    contour = contour_areal_hu(cohort)
    return Lines(
        hu_regression=_line(roi_hu(cohort), cohort.bmd_dxa_g_cm2),
        contour=None if contour is None else _line(contour, cohort.bmd_dxa_g_cm2),
        n_patients=len(cohort.bmd_dxa_g_cm2),
    )


def comparators(lines: Lines, cohort: Cohort) -> dict[str, Array]:
    """Patients' BMD (p,) by the other readers of the same slices."""
    figure = roi_hu(cohort)
    bmd = {"hu_regression": lines.hu_regression.bmd_g_cm2(figure)}
    contour = contour_areal_hu(cohort)
    if lines.contour is not None and contour is not None:
        bmd["contour"] = lines.contour.bmd_g_cm2(contour)
    return bmd | {"public_formula": Line(PUBLIC_SLOPE, PUBLIC_OFFSET).bmd_g_cm2(figure)}


def roi_hu(cohort: Cohort) -> Array:
    """Patients' attenuation (p,) in an ellipse about the localised centre, 120 kVp equivalents."""
    return patient_means(cohort.roi_hu, cohort.pairs)


def contour_areal_hu(cohort: Cohort) -> Array | None:
    """Patients' HU times depth over 33 mm (p,) by the contour reader; None where it was not asked to read."""
    areal = cohort.contour_hu * cohort.contour_depth_mm / REFERENCE_DEPTH_MM
    if not np.isfinite(areal[cohort.pairs.is_body]).all():
        return None
    return patient_means(areal, cohort.pairs)


def gain(read: Array, rival: Array, dxa: Array) -> Gain:
    """Compare two readers patient by patient, with intervals from resampled patients."""
    low = dxa <= OSTEOPOROSIS_BELOW_G_CM2
    return Gain(
        r=paired_difference(lambda own: _r(read[own], dxa[own]) - _r(rival[own], dxa[own]), len(dxa)),
        auc=paired_difference(lambda own: rank_auc(-read[own], low[own]) - rank_auc(-rival[own], low[own]), len(dxa)),
        mae=paired_difference(lambda own: _mae(read[own], dxa[own]) - _mae(rival[own], dxa[own]), len(dxa)),
    )


def physics_bmd(checkpoint: Checkpoint, pairs: Pairs) -> Array:
    """Patients' BMD (p,) from exact attenuation and depth through the checkpoint's affine."""
    calibration = checkpoint.calibration
    slices = calibration.offset_g_cm2 + calibration.slope_g_cm2_per_hu * areal_attenuation(pairs)
    return patient_means(slices, pairs)


def group_errors(read: Array, readings: SliceReadings, cohort: Cohort) -> Iterator[GroupError]:
    """Yield the errors of patients by voltage, thickness, manufacturer, scanner, body size, sex and age."""
    error = read - cohort.bmd_dxa_g_cm2
    hu_error = patient_means(readings.attended_hu - cohort.pairs.hu120, cohort.pairs)
    for by, labels in _groupings(cohort).items():
        for label in sorted(set(labels.tolist())):
            yield _group_error(by, label, error[labels == label], hu_error[labels == label])


def _groupings(cohort: Cohort) -> dict[str, NDArray[np.str_]]:
    """What patients (p,) have in common, in words that sort."""
    sexes = {"F": "women", "M": "men"}
    return {
        "voltage": np.array([f"{value:>3} kVp" for value in cohort.kvp_kv]),
        "slice thickness": _bands(cohort.thickness_mm, THICKNESSES_MM, "mm"),
        "manufacturer": cohort.manufacturer,
        "scanner": cohort.scanner,
        "effective diameter": _bands(cohort.effective_diameter_mm, DIAMETERS_MM, "mm"),
        "sex": np.array([sexes[value] for value in cohort.sex]),
        "age": _bands(cohort.age_years, AGES_YEARS, "years"),
    }


def _bands(values: Array, edges: tuple[float, ...], unit: str) -> NDArray[np.str_]:
    names = [f"below {edges[0]:g} {unit}"]
    names += [f"{low:g} to {high:g} {unit}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
    names += [f"from {edges[-1]:g} {unit}"]
    return np.array(names)[np.searchsorted(edges, values, side="right")]


def _group_error(by: str, group: str, error: Array, hu_error: Array) -> GroupError:
    if len(error) < FEWEST_PATIENTS:
        return GroupError(by, group.strip(), len(error), None, None, None)
    return GroupError(by, group.strip(), len(error), mean(error), root_mean_square(error), mean(hu_error))


def _line(figure: Array, dxa: Array) -> Line:
    slope, offset = np.polyfit(figure, dxa, 1)
    return Line(float(slope), float(offset))


def _r(read: Array, dxa: Array) -> float:
    return float(np.corrcoef(read, dxa)[0, 1])


def _mae(read: Array, dxa: Array) -> float:
    return float(np.abs(read - dxa).mean())
