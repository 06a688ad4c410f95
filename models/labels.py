"""Pairs -> the calibration they imply, and the areal BMD that each slice is to be read as."""

import dataclasses

import numpy as np

from models.bmd_cnn import Calibration
from models.checkpoint import Checkpoint
from models.evaluation import areal_attenuation, patient_means
from models.pairs import Pairs


def fit_calibration(pairs: Pairs, name: str, start_from: Checkpoint | None) -> Calibration:
    """Fit BMD = offset + slope * areal attenuation over the training patients, means of their levels.

    Raises:
        ValueError: attenuation and depth are not known and no checkpoint lends its calibration.
    """
    areal = areal_attenuation(pairs)
    known = pairs.where(pairs.is_body & np.isfinite(areal))
    if len(known) >= 2 and np.ptp(areal_attenuation(known)) > 0:
        patients, bmd = (
            patient_means(figure, known) for figure in (areal_attenuation(known), known.bmd_g_cm2.astype(np.float64))
        )
        slope, offset = np.polyfit(patients, bmd, 1)
        return Calibration(round(float(offset), 5), round(float(slope), 7), f"{name}-fit")
    if start_from is None:
        raise ValueError("the pairs hold no hu120 and depth_mm to calibrate with: give --start-from a checkpoint")
    return start_from.calibration


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
