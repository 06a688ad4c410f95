import numpy as np
import torch

from models.bmd_cnn import Reading
from models.objective import Target, reading_loss


def reading_of(areal_hu, sd_hu=40.0, attended_hu=100.0, depth_mm=33.0, beyond_hu=0.0):
    fill = [torch.full((2,), value) for value in (areal_hu, beyond_hu, np.log(sd_hu**2), attended_hu, depth_mm)]
    return Reading(*fill, attention=torch.full((2, 32, 32), 1 / 1024))


def target_of(hu=100.0, depth_mm=33.0, is_body=True, bmd_hu=100.0):
    fill = [torch.full((2,), value) for value in (bmd_hu, hu, depth_mm)]
    return Target(*fill, is_body=torch.full((2,), is_body))


def test_a_right_reading_costs_less_than_a_wrong_one():
    right = reading_loss(reading_of(areal_hu=100.0), target_of(), 0.5, 0.5)
    wrong = reading_loss(reading_of(areal_hu=160.0), target_of(), 0.5, 0.5)

    assert wrong > right


def test_slices_without_a_body_teach_uncertainty_only():
    target = target_of(is_body=False)

    assert reading_loss(reading_of(100.0, attended_hu=30.0), target, 0.5, 0.5) == reading_loss(
        reading_of(100.0, attended_hu=300.0, depth_mm=20.0), target, 0.5, 0.5
    )
    assert reading_loss(reading_of(220.0, sd_hu=120.0), target, 0.5, 0.5) != reading_loss(
        reading_of(220.0), target, 0.5, 0.5
    )


def test_unknown_attenuation_leaves_the_loss_finite():
    reading = reading_of(100.0)
    reading.areal_hu.requires_grad_(True)

    reading_loss(reading, target_of(hu=float("nan"), bmd_hu=130.0), 0.5, 0.5).backward()

    assert torch.all(reading.areal_hu.grad < 0)
