"""Readings and references of held-out patients -> metrics and the width of the prediction interval."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.augmentation import central
from models.bmd_cnn import REFERENCE_DEPTH_MM, BmdCnn, Calibration, areal_bmd, read_together
from models.pairs import Pairs

Array = NDArray[np.float64]
INTERVAL_COVERAGE = 0.90
OSTEOPOROSIS_BELOW_G_CM2 = 0.772
"""T = -2.5 of the Hologic L1-L4 reference, white women: 1.047 - 2.5 x 0.110; not verified."""
BATCH = 64


@dataclass(frozen=True, slots=True)
class SliceReadings:
    """What an ensemble reads in n slices."""

    bmd_g_cm2: Array  # (n,)
    sd_g_cm2: Array  # (n,)
    attended_hu: Array  # (n,)
    depth_mm: Array  # (n,)


def read_slices(members: tuple[BmdCnn, ...], calibration: Calibration, pairs: Pairs, size_px: int) -> SliceReadings:
    """Read the central crop of every slice."""
    device = next(members[0].parameters()).device
    columns = []
    with torch.inference_mode():
        for start in range(0, len(pairs), BATCH):
            batch = torch.from_numpy(pairs.crops_hu[start : start + BATCH]).to(device)
            reading = read_together(members, central(batch, size_px))
            bmd, sd = areal_bmd(reading, calibration)
            columns.append(torch.stack([bmd, sd, reading.attended_hu, reading.depth_mm]).cpu())
    return SliceReadings(*torch.cat(columns, dim=1).double().numpy())


def patient_bmd(readings: SliceReadings, pairs: Pairs) -> tuple[Array, Array]:
    """Mean of the levels of each patient, from slices through bodies: read and reference (patients,)."""
    return patient_means(readings.bmd_g_cm2, pairs), patient_means(pairs.bmd_g_cm2.astype(np.float64), pairs)


def patient_means(slices: Array, pairs: Pairs) -> Array:
    """Mean of the levels of each patient, of a figure of every slice through a body: (n,) -> (patients,)."""
    means = []
    for patient in np.unique(pairs.patient[pairs.is_body]):
        own = pairs.is_body & (pairs.patient == patient)
        means.append(np.mean([slices[own & (pairs.level == level)].mean() for level in np.unique(pairs.level[own])]))
    return np.array(means)


def conformal_rank(patients: int) -> int:
    """Which of the sorted absolute errors of so many calibration patients is the half width of the 90 % interval.

    Raises:
        ValueError: too few patients for a finite interval (fewer than 9).
    """
    rank = math.ceil(INTERVAL_COVERAGE * (patients + 1))
    if rank > patients:
        raise ValueError(f"{patients} calibration patients are too few for a 90 % interval, at least 9 are needed")
    return rank


def conformal_half_width(read: Array, reference: Array) -> float:
    """Half width of the split-conformal 90 % interval of a patient's BMD, g/cm2.

    The ceil(0.9 (n + 1))-th smallest absolute error covers a new patient of the same kind with at least 90 %
    probability (Lei et al., J Am Stat Assoc 2018;113:1094).

    Raises:
        ValueError: too few patients for a finite interval (fewer than 9).
    """
    rank = conformal_rank(len(read))
    return float(np.sort(np.abs(read - reference))[rank - 1])


def held_out_metrics(
    readings: SliceReadings, pairs: Pairs, half_width_g_cm2: float, osteoporosis_below_g_cm2: float
) -> dict[str, float]:
    """Metrics by patient and by slice, with the numbers they rest on; a metric that cannot be computed is absent."""
    read, reference = patient_bmd(readings, pairs)
    low = reference <= osteoporosis_below_g_cm2
    metrics = {
        "n_patients": float(len(read)),
        "n_slices": float(len(pairs)),
        "n_body_slices": float(pairs.is_body.sum()),
        "n_osteoporosis": float(low.sum()),
        **agreement(read, reference),
        "coverage_90": float(np.mean(np.abs(read - reference) <= half_width_g_cm2)),
        "auc_osteoporosis": rank_auc(-read, low),
        **reading_errors(readings, pairs),
        "sd_body_median_g_cm2": _median(readings.sd_g_cm2[pairs.is_body]),
        "sd_no_body_median_g_cm2": _median(readings.sd_g_cm2[~pairs.is_body]),
        "auc_sd_tells_no_body": rank_auc(readings.sd_g_cm2, ~pairs.is_body),
    }
    return {name: round(value, 5) for name, value in metrics.items() if math.isfinite(value)}


def agreement(read: Array, reference: Array) -> dict[str, float]:
    """Agreement of patients' BMD; Pearson r with its 95 % interval (Fisher)."""
    error = read - reference
    r = float(np.corrcoef(read, reference)[0, 1])
    margin = 1.96 / math.sqrt(len(read) - 3) if len(read) > 3 else math.nan
    return {
        "pearson_r": r,
        "pearson_r_ci_low": math.tanh(math.atanh(r) - margin),
        "pearson_r_ci_high": math.tanh(math.atanh(r) + margin),
        "mae_g_cm2": float(np.abs(error).mean()),
        "rmse_g_cm2": float(np.sqrt(np.mean(error**2))),
        "bias_g_cm2": float(error.mean()),
        "slope": float(np.polyfit(reference, read, 1)[0]),
    }


def reading_errors(readings: SliceReadings, pairs: Pairs) -> dict[str, float]:
    """How well attenuation and depth of body slices are read, where the reference holds them."""
    known = pairs.is_body & np.isfinite(pairs.hu120) & np.isfinite(pairs.depth_mm)
    if not known.any():
        return {}
    hu_error = readings.attended_hu[known] - pairs.hu120[known]
    depth_error = readings.depth_mm[known] - pairs.depth_mm[known]
    return {
        "hu_rmse": float(np.sqrt(np.mean(hu_error**2))),
        "hu_bias": float(hu_error.mean()),
        "hu_slope": float(np.polyfit(pairs.hu120[known], readings.attended_hu[known], 1)[0]),
        "depth_rmse_mm": float(np.sqrt(np.mean(depth_error**2))),
        "depth_bias_mm": float(depth_error.mean()),
    }


def rank_auc(score: Array, positive: NDArray[np.bool_]) -> float:
    """Probability that a positive scores above a negative, ties half; NaN without both."""
    if positive.all() or not positive.any():
        return math.nan
    above = score[positive][:, None] - score[~positive][None, :]
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def areal_attenuation(pairs: Pairs) -> Array:
    """Reference attenuation times depth over 33 mm, HU (n,); NaN where not measured."""
    return np.asarray(pairs.hu120 * pairs.depth_mm / REFERENCE_DEPTH_MM, dtype=np.float64)


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else math.nan
