"""A reading and what should have been read -> the loss that BMD_CNN is trained with."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from models.bmd_cnn import REFERENCE_DEPTH_MM, Reading

HU_UNIT = 40.0
"""Losses are in units of 40 HU, about 0.1 g/cm2, and 3 mm of depth, so that their terms are of like size."""
DEPTH_UNIT_MM = 3.0


class Target(NamedTuple):
    """What a batch should be read as; `hu` and `depth_mm` are NaN where not known."""

    bmd_hu: Tensor  # (n,) areal BMD as labelled (`labels.py`), brought to HU by the inverse of the calibration
    hu: Tensor  # (n,) trabecular attenuation
    depth_mm: Tensor  # (n,)
    is_body: Tensor  # (n,)


def reading_loss(reading: Reading, target: Target, auxiliary_weight: float, beta: float) -> Tensor:
    """Sum the losses of the areal attenuation, of its two factors, and of what BMD holds beyond it.

    The uncertainty is that of the reading (attenuation times depth), by a beta-NLL: BMD scatters around it for reasons
    that are not in the slice, which would hide a slice that shows no body. Without the losses of the two factors the
    product is right with wrong factors: depth at its limit, attenuation too low.
    """
    exact = target.hu * target.depth_mm / REFERENCE_DEPTH_MM
    areal = torch.where(exact.isfinite(), exact, target.bmd_hu - reading.beyond_hu.detach())
    variance = reading.log_variance.exp() / HU_UNIT**2
    squared = ((reading.areal_hu - areal) / HU_UNIT) ** 2
    nll = (0.5 * (squared / variance + variance.log()) * variance.detach() ** beta).mean()
    hu_loss = _smooth_l1(reading.attended_hu, target.hu, HU_UNIT, target.is_body)
    depth_loss = _smooth_l1(reading.depth_mm, target.depth_mm, DEPTH_UNIT_MM, target.is_body)
    beyond_loss = _smooth_l1(reading.beyond_hu, target.bmd_hu - areal, HU_UNIT, target.is_body)
    return nll + auxiliary_weight * (hu_loss + depth_loss + beyond_loss)


def _smooth_l1(read: Tensor, known: Tensor, unit: float, is_body: Tensor) -> Tensor:
    """Mean over the batch; slices without a body, or without a known value, count as 0."""
    counted = is_body & known.isfinite()
    difference = torch.where(counted, (read - known) / unit, 0.0)
    return functional.smooth_l1_loss(difference, torch.zeros_like(difference))
