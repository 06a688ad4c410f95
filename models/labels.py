"""Pairs -> the calibration they imply, and the areal BMD that each slice is to be read as."""

import dataclasses

import numpy as np

from models.bmd_cnn import Calibration
from models.checkpoint import Checkpoint
from models.evaluation import Array, areal_attenuation, patient_means
from models.pairs import Pairs

OFFSET_FROM_PATIENTS, BOTH_FROM_PATIENTS = 30, 100
"""Training patients with attenuation and depth from whom on the offset, and the slope too, replace lent ones.

DXA scatters around what attenuation and depth tell by about 0.08 g/cm2, and attenuation among patients by about 50 HU
(40 HU at one age and 2.5 HU a year, Jang 2019, n = 20,374). The standard error of an offset is then 0.015
g/cm2 from 30 patients, that of a slope of 0.0025 g/cm2 per HU 12 % from 30 and 6 % from 100.
"""


def fit_calibration(pairs: Pairs, name: str, start_from: Checkpoint | None) -> Calibration:
    """Fit BMD = offset + slope * areal attenuation over the training patients, means of their levels.

    With a checkpoint that lends its calibration, few patients replace no more of it than they can tell; the version
    says what is new: the lent one's own, `NAME-offset-fit`, or `NAME-fit` for both. Without one both are fitted.

    Raises:
        ValueError: nothing to calibrate with and nothing lent, or BMD does not rise with attenuation and depth.
    """
    areal, bmd = _known_patients(pairs)
    if start_from is not None and len(areal) < OFFSET_FROM_PATIENTS:
        return start_from.calibration
    if start_from is not None and len(areal) < BOTH_FROM_PATIENTS:
        slope = start_from.calibration.slope_g_cm2_per_hu
        return Calibration(round(float(np.mean(bmd - slope * areal)), 5), slope, f"{name}-offset-fit")
    if len(areal) < 2:
        raise ValueError("the pairs hold no hu120 and depth_mm to calibrate with: give --start-from a checkpoint")
    return _line(areal, bmd, name)


def _known_patients(pairs: Pairs) -> tuple[Array, Array]:
    """Areal attenuation, HU, and areal BMD, g/cm2, of the patients (p,) in whom both are known."""
    known = pairs.where(pairs.is_body & np.isfinite(areal_attenuation(pairs)))
    return patient_means(areal_attenuation(known), known), patient_means(known.bmd_g_cm2.astype(np.float64), known)


def _line(areal: Array, bmd: Array, name: str) -> Calibration:
    if np.ptp(areal) == 0:
        raise ValueError("no calibration can be fitted: attenuation times depth is the same in every patient")
    slope, offset = np.polyfit(areal, bmd, 1)
    if slope <= 0:
        raise ValueError(
            f"the slope fitted to {len(areal)} patients is {slope:.5f} g/cm2 per HU, but BMD must rise with "
            "attenuation and depth: check hu120, depth_mm and bmd_g_cm2 of the pairs"
        )
    return Calibration(round(float(offset), 5), round(float(slope), 7), f"{name}-fit")


def by_patient(pairs: Pairs, calibration: Calibration) -> Pairs:
    """Label each slice with its attenuation and depth and what its patient holds beyond them, mean of the levels.

    Areal BMD rises from L1 to L4 by 0.17 g/cm2 at equal attenuation. The value to be read is that of L1-L4: what one
    level has more or less would hide what the patient has, and would bias a patient with two levels in the picture.
    Unknown attenuation or depth leaves a label as it is.
    """
    physics = calibration.offset_g_cm2 + calibration.slope_g_cm2_per_hu * areal_attenuation(pairs)
    beyond = (pairs.bmd_g_cm2 - physics).astype(np.float64)
    known = pairs.is_body & np.isfinite(beyond)
    names = np.unique(pairs.patient[known])
    means = dict(zip(names, patient_means(beyond[known], pairs.where(known)) if len(names) else (), strict=True))
    bmd = np.array([means.get(name, np.nan) for name in pairs.patient]) + physics
    return dataclasses.replace(pairs, bmd_g_cm2=np.where(np.isfinite(bmd), bmd, pairs.bmd_g_cm2).astype(np.float32))


def by_physics(pairs: Pairs, calibration: Calibration) -> Pairs:
    """Label pictures whose BMD nobody has measured with what attenuation and depth alone amount to.

    So the network learns to add nothing beyond these to pictures unlike those of its densitometer: what it reads of a
    simulated cortex is no evidence for a real one, and shifted real CT by 0.05 g/cm2 where nothing held it. Drawings
    count as such pictures: with re-densified slices alone, a patient left out was still read 0.04 g/cm2 high.
    """
    bmd = calibration.offset_g_cm2 + calibration.slope_g_cm2_per_hu * areal_attenuation(pairs)
    return dataclasses.replace(pairs, bmd_g_cm2=bmd.astype(np.float32))
