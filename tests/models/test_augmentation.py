from dataclasses import replace

import pytest
import torch

from models.augmentation import (
    FULL,
    PAPER,
    Strength,
    add_noise,
    augment,
    central,
    move,
    paper_steps,
    sharpen,
    soft_tissue,
)

NOTHING = Strength(noise_sd_hu=0, shift_sd_mm=0, rotation_sd_deg=0)


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def spot(row, column, n=1):
    """A warm pixel on a cold crop."""
    crop = torch.zeros(n, 96, 96)
    crop[:, row, column] = 1000.0
    return crop


def mass_centre(crops):
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    total = crops.sum(dim=(1, 2))
    return (crops * rows).sum(dim=(1, 2)) / total, (crops * columns).sum(dim=(1, 2)) / total


def test_no_strength_leaves_the_central_crop():
    crops = torch.randn(3, 96, 96, generator=generator())

    varied, growth = augment(crops, 64, 1.25, NOTHING, generator())

    assert varied == pytest.approx(central(crops, 64), abs=1e-4)
    assert growth == pytest.approx(torch.ones(3))


def test_the_central_crop_keeps_the_centre():
    assert central(spot(47, 48), 64)[0, 31, 32] == 1000


def test_shifts_have_the_spread_asked_for_in_mm():
    moved, _ = move(spot(48, 48, n=2000), 64, 1.25, replace(NOTHING, shift_sd_mm=3.0), generator())

    rows, columns = mass_centre(moved)
    assert rows.std() * 1.25 == pytest.approx(3.0, rel=0.1)
    assert columns.std() * 1.25 == pytest.approx(3.0, rel=0.1)


def test_shifts_end_at_their_limit():
    strength = replace(NOTHING, shift_sd_mm=30.0, shift_limit_mm=5.0)

    rows, _ = mass_centre(move(spot(48, 48, n=500), 64, 1.25, strength, generator())[0])

    assert (rows - 32).abs().max() * 1.25 == pytest.approx(5.0, abs=0.1)


def test_rotation_keeps_the_distance_from_the_centre():
    moved, _ = move(spot(48, 68, n=200), 64, 1.25, replace(NOTHING, rotation_sd_deg=7.0), generator())

    rows, columns = mass_centre(moved)
    assert torch.hypot(rows - 31.5, columns - 31.5) == pytest.approx(torch.full((200,), 20.5), abs=0.5)
    assert rows.std() == pytest.approx(20.5 * 0.122, rel=0.15)  # 7 degrees are 0.122 rad


def test_a_body_that_grows_is_deeper_by_the_factor_returned():
    moved, growth = move(spot(66, 48, n=50), 64, 1.25, replace(NOTHING, size_log_sd=0.09), generator())

    rows, _ = mass_centre(moved)
    assert (rows - 31.5) / 18.5 == pytest.approx(growth, rel=0.03)


def test_mirroring_swaps_left_and_right_in_half_of_the_crops():
    moved, _ = move(spot(48, 58, n=400), 64, 1.25, replace(NOTHING, flip_share=0.5), generator())

    _, columns = mass_centre(moved)
    assert (columns < 31.5).float().mean() == pytest.approx(0.5, abs=0.1)


def test_soft_tissue_changes_around_the_body_only():
    crops = torch.full((4, 96, 96), 50.0)

    changed = soft_tissue(crops, 1.25, replace(NOTHING, soft_tissue_hu=12), generator())

    assert torch.all(changed[:, 38:58, 30:66] == 50)
    assert torch.all(changed[:, 5, 5] != 50)
    assert (changed - 50).abs().max() <= 12


def test_kernels_do_not_change_the_mean():
    crops = torch.randn(4, 96, 96, generator=generator()) * 100

    changed = sharpen(crops, replace(NOTHING, sharpness=(-1.0, 1.0)), generator())

    assert changed.mean(dim=(1, 2)) == pytest.approx(crops.mean(dim=(1, 2)), abs=1.0)
    assert not torch.allclose(changed, crops)


def test_noise_has_no_bias_and_stays_within_its_limit():
    noisy = add_noise(torch.zeros(300, 64, 64), replace(NOTHING, noise_sd_hu=45.0), generator())

    sd = noisy.std(dim=(1, 2))
    assert sd.max() <= 45.01
    assert sd.mean() == pytest.approx(22.5, rel=0.1)
    assert noisy.mean() == pytest.approx(0.0, abs=0.2)


def test_the_papers_families_are_noise_shift_and_rotation_alone():
    off = replace(PAPER, noise_sd_hu=0, shift_sd_mm=0, rotation_sd_deg=0)

    assert off == NOTHING


def test_as_many_variants_as_the_paper():
    assert paper_steps(slices=1665, batch=1) == 99_900
    assert paper_steps(slices=1665, batch=40) == 2498


def test_a_seed_means_the_same_variants():
    crops = torch.randn(3, 96, 96, generator=generator())

    first, _ = augment(crops, 64, 1.25, FULL, generator(7))
    again, _ = augment(crops, 64, 1.25, FULL, generator(7))
    other, _ = augment(crops, 64, 1.25, FULL, generator(8))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)
