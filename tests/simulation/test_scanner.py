from dataclasses import replace

import numpy as np
import pytest
from simulated_people import body_of

from screening.imaging.model_input import kvp_scale
from screening.simulation.anatomy import Slab, enhance, render_slab
from screening.simulation.cohort import draw_patient
from screening.simulation.densitometer import trabecular_hu
from screening.simulation.fleet import DAYS, FIRST_DAY, Kernel
from screening.simulation.scanner import (
    attenuation_hu,
    blur,
    bone_shade,
    calibrated,
    circle,
    draw_protocol,
    expose,
    metal_streaks,
    noise_tiles,
    reconstruct,
    scan,
    streaks,
)

PLAIN = Kernel("plain", blur_mm=0.6, sharpen=0.0, noise=1.0, grain_mm=0.7)


@pytest.mark.parametrize(("kvp", "factor"), [(80, 1 / 1.23), (100, 0.927), (120, 1.0), (140, 1.053)])
def test_mineral_is_brought_back_to_120_kv_by_the_published_factor(kvp, factor):
    mineral = np.array([85.0, 170.0])
    assert attenuation_hu(np.zeros(2), mineral, kvp) * factor == pytest.approx([100.0, 200.0])


def test_soft_tissue_does_not_change_with_the_voltage():
    assert attenuation_hu(np.array([-100.0, 50.0]), np.zeros(2), 80) == pytest.approx([-100.0, 50.0])


@pytest.mark.parametrize("level", ["L1", "L2", "L3", "L4"])
def test_the_rendered_interior_has_the_attenuation_of_the_density_map(level):
    anatomy = body_of(4)
    vertebra = anatomy.spine.level(level)
    x, y, z = vertebra.centre_mm
    steps = np.arange(-9.0, 9.5, 1.0)
    slab = render_slab(anatomy, x + steps, y + steps, z, 10.0)
    disc = np.hypot(steps[:, None], steps[None, :]) < 9.0
    assert attenuation_hu(slab.soft_hu, slab.mineral_mg, 120)[disc].mean() == pytest.approx(
        trabecular_hu(vertebra), rel=0.12, abs=6.0
    )


def test_a_thicker_slice_is_the_mean_of_the_planes_in_it():
    anatomy = body_of(2)
    x, y, z = anatomy.spine.level("L3").centre_mm
    steps = np.arange(-60.0, 60.0, 2.0)
    thick = render_slab(anatomy, x + steps, y + steps, z, 5.0)
    planes = [render_slab(anatomy, x + steps, y + steps, z + dz, 5.0 / 3.0) for dz in (-5.0 / 3.0, 0.0, 5.0 / 3.0)]
    column = (slice(25, 40), slice(20, 40))  # bone; soft tissue is painted at the middle of the slice
    mean = np.mean([plane.mineral_mg[column] for plane in planes], axis=0)
    assert thick.mineral_mg[column] == pytest.approx(mean, abs=1e-2)


def test_noise_has_unit_strength_and_neighbours_agree():
    tiles = noise_tiles(128, 0.8, np.random.default_rng(1))
    neighbours = np.corrcoef(tiles[:, :, 1:].ravel(), tiles[:, :, :-1].ravel())[0, 1]
    assert tiles.std() == pytest.approx(1.0, abs=1e-3)
    assert 0.3 < neighbours < 0.9


def test_blur_keeps_a_uniform_region_and_softens_an_edge():
    step = np.where(np.arange(64)[None, :] < 32, 0.0, 100.0) * np.ones((64, 1))
    seen = blur(step, PLAIN, 0.8)
    assert seen[32, 5] == pytest.approx(0.0, abs=1e-3)
    assert seen[32, 60] == pytest.approx(100.0, abs=1e-3)
    assert 20.0 < seen[32, 31] < 50.0


def test_thin_slices_are_noisier_by_the_square_root_of_their_thickness():
    anatomy = body_of(2)
    protocols = [draw_protocol(draw_patient(5, 1, number), anatomy, 64) for number in range(300)]
    thick = np.mean([p.noise_hu for p in protocols if p.thickness_mm == 5.0])
    thin = np.mean([p.noise_hu for p in protocols if p.thickness_mm == 2.5])
    assert 10.0 < thick < 16.0  # 11.7-14.8 HU measured at 5 mm
    assert thin / thick == pytest.approx(np.sqrt(2.0), rel=0.12)


def test_large_patients_are_noisier():
    plain = draw_patient(5, 1, 2)
    large = replace(plain, torso_width_mm=1.3 * plain.torso_width_mm, torso_depth_mm=1.3 * plain.torso_depth_mm)
    diameter = np.sqrt(plain.torso_width_mm * plain.torso_depth_mm)
    noise = [draw_protocol(person, body_of(2), 64).noise_hu for person in (plain, large)]
    assert noise[1] / noise[0] == pytest.approx(np.exp(0.3 * diameter / 500.0))


def test_every_examination_has_a_day_within_the_archive():
    anatomy = body_of(2)
    protocols = [draw_protocol(draw_patient(5, 1, number), anatomy, 64) for number in range(100)]
    days = [(protocol.examined_at - FIRST_DAY).days for protocol in protocols]
    assert 0 <= min(days) < 100
    assert DAYS - 100 < max(days) <= DAYS


def test_calibration_moves_tissue_but_not_air():
    protocol = draw_protocol(draw_patient(5, 1, 2), body_of(2), 64)
    offset = protocol.scanner.offset_on(protocol.examined_at.date())
    seen = calibrated(np.array([-1000.0, -500.0, 0.0, 300.0], np.float32), protocol)
    assert seen == pytest.approx([-1000.0, -500.0 + offset / 2, offset, 300.0 + offset], abs=1e-3)


def test_arms_down_leave_bands_from_side_to_side():
    protocol = replace(draw_protocol(draw_patient(5, 1, 2), body_of(2), 128), arms_mm=((-220.0, 10.0), (220.0, 30.0)))
    x, y = protocol.axes_mm()
    bands = streaks(x, y, protocol, np.random.default_rng(0))
    between, away = bands[np.abs(y - 20.0) < 20.0], bands[np.abs(y - 20.0) > 120.0]
    along = np.corrcoef(between[:, 60], between[:, 65])[0, 1]
    across = np.corrcoef(between[:-5].ravel(), between[5:].ravel())[0, 1]
    assert between.std() == pytest.approx(1.5 * protocol.noise_hu, rel=0.3)
    assert away.std() < 0.05 * between.std()
    assert along > 0.8
    assert across < 0.4


def test_raised_arms_leave_no_bands():
    protocol = replace(draw_protocol(draw_patient(5, 1, 2), body_of(2), 64), arms_mm=())
    assert not streaks(*protocol.axes_mm(), protocol, np.random.default_rng(0)).any()


def test_arms_lie_beside_the_body_in_the_picture():
    patient, anatomy = draw_patient(5, 1, 2), body_of(2)
    wide = replace(draw_protocol(patient, anatomy, 128), noise_hu=0.0, field_of_view_mm=500.0, centre_mm=(0.0, 20.0))
    raised, down = replace(wide, arms_mm=()), replace(wide, arms_mm=((-215.0, 20.0),))
    slabs = scan(anatomy, wide, np.array([0.0]))
    images = [reconstruct(slabs, p, patient, PLAIN, np.random.default_rng(0))[0] for p in (raised, down)]
    x, y = wide.axes_mm()
    middle = int(np.argmin(np.abs(y - 20.0))), int(np.argmin(np.abs(x + 215.0)))
    assert images[0][middle] == pytest.approx(-1000.0, abs=30.0)
    assert images[1][middle] == pytest.approx(55.0, abs=60.0)


def test_metal_is_dark_between_two_screws_and_hardly_seen_far_away():
    metal = np.zeros((192, 192), np.float32)
    metal[76:116, 76:82] = metal[76:116, 110:116] = 8000.0
    hu = metal_streaks(metal, 1.0)
    assert -250.0 < hu[96, 96] < -60.0
    assert hu[96, 96] < hu[60, 96] - 50.0
    assert np.abs(hu[:20]).mean() < 0.2 * abs(hu[96, 96])


def test_twice_the_metal_loses_four_times_as_much():
    metal = np.zeros((64, 64), np.float32)
    metal[30:34, 30:34] = 3000.0
    assert metal_streaks(2.0 * metal, 1.0) == pytest.approx(4.0 * metal_streaks(metal, 1.0), rel=1e-3, abs=0.1)


def test_bone_without_metal_leaves_no_streaks():
    anatomy, patient = body_of(2), draw_patient(5, 1, 2)
    protocol = draw_protocol(patient, anatomy, 128)
    slab = scan(anatomy, protocol, np.array([0.0]))[0]
    plain = attenuation_hu(slab.soft_hu, slab.mineral_mg * _response(protocol, patient), protocol.kvp_kv)
    shade = bone_shade(slab.mineral_mg, protocol.pixel_mm)
    assert expose(slab, protocol, patient, protocol.pixel_mm) == pytest.approx(plain - shade, abs=0.01)


def _response(protocol, patient) -> np.float32:
    excess = np.sqrt(patient.torso_width_mm * patient.torso_depth_mm) - 280.0
    return np.float32(protocol.scanner.mineral_gain * (1.0 - 0.0004 * excess))


def test_dense_bone_cups_mildly():
    y, x = np.mgrid[-60.0:61.0, -60.0:61.0]
    shade = bone_shade(np.where(np.hypot(x, y) < 18.0, 250.0, 0.0).astype(np.float32), 1.0)
    assert 1.0 < shade[60, 60] < 5.0
    assert shade[60, 60] > shade[60, 78] > shade[60, 110]
    assert shade[60, 110] < 0.2


@pytest.mark.parametrize("kvp", [80, 100, 120, 135, 140])
def test_trabecular_hu_rises_with_vbmd_by_the_slope_of_the_voltage(kvp):
    """What the product's factor makes of the slope is the one at 120 kVp: 1 / 0.85 HU per mg/cm3."""
    vbmd = np.linspace(40.0, 200.0, 9)
    slope = np.polyfit(vbmd, attenuation_hu(np.zeros(9), vbmd, kvp) * kvp_scale(kvp).factor, 1)[0]
    assert slope == pytest.approx(1.0 / 0.85, rel=1e-4)


def test_large_bodies_harden_the_beam():
    slab = Slab(np.zeros((8, 8), np.float32), np.full((8, 8), 150.0, np.float32))
    plain = draw_patient(5, 1, 2)
    protocol = draw_protocol(plain, body_of(2), 8)
    slim, large = (replace(plain, torso_width_mm=size, torso_depth_mm=size) for size in (280.0, 380.0))
    seen = [expose(slab, protocol, person, 0.8)[4, 4] for person in (slim, large)]
    assert 0.95 < seen[1] / seen[0] < 0.97


def test_tissues_have_their_attenuation_in_a_reconstructed_series():
    patient, anatomy = draw_patient(5, 1, 2), body_of(2)
    protocol = replace(draw_protocol(patient, anatomy, 256), field_of_view_mm=500.0, arms_mm=())
    z = float(anatomy.spine.level("L2").centre_mm[2])
    hu = reconstruct(scan(anatomy, protocol, np.full(8, z)), protocol, patient, PLAIN, np.random.default_rng(0))
    x, y = protocol.axes_mm()
    tissue, offset = anatomy.torso.tissues, protocol.scanner.offset_on(protocol.examined_at.date())
    aorta_x, aorta_y, _ = anatomy.vessels.aorta.at(z)
    blood = np.hypot(x[None, :] - aorta_x, y[:, None] - aorta_y) < 4.0
    wall = anatomy.torso.wall
    middle = 0.5 * (wall.front_y_mm + wall.back_y_mm)
    air = (np.abs(y[:, None] - middle) < 10.0) & (np.abs(x[None, :] - wall.centre_x_mm) > wall.half_width_mm + 20.0)
    assert np.median(hu[:, air]) == pytest.approx(-1000.0, abs=2.0)
    assert hu[:, blood].mean() == pytest.approx(tissue.aorta + offset, abs=6.0)
    fat = (hu > -140) & (hu < -70)
    assert np.median(hu[fat]) == pytest.approx(tissue.fat + 0.9 * offset, abs=6.0)


def test_noise_of_a_series_follows_its_thickness():
    patient, anatomy = draw_patient(5, 1, 2), body_of(2)
    protocol = draw_protocol(patient, anatomy, 128)
    noise = [_noise_sd(replace(protocol, noise_hu=12.0 * np.sqrt(5.0 / mm), arms_mm=()), patient) for mm in (5.0, 1.25)]
    assert noise[1] / noise[0] == pytest.approx(2.0, rel=0.05)


def _noise_sd(protocol, patient) -> float:
    """SD between repeated slices of water in the middle of the field."""
    water = Slab(np.zeros((128, 128), np.float32), np.zeros((128, 128), np.float32))
    hu = reconstruct((water,) * 20, protocol, patient, PLAIN, np.random.default_rng(3))
    return float(hu[:, 48:80, 48:80].std(axis=0).mean())


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others():
    patient, anatomy = draw_patient(5, 1, 2), body_of(2)
    protocol = draw_protocol(patient, anatomy, 64)
    slabs = scan(anatomy, protocol, np.array([0.0]))
    first, again, other = (
        reconstruct(slabs, protocol, patient, PLAIN, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_contrast_brightens_aorta_and_kidney_but_hardly_bone():
    anatomy = body_of(2)
    enhanced = enhance(anatomy, np.random.default_rng(0))
    uptake = enhanced.spine.level("L2").marrow_hu - anatomy.spine.level("L2").marrow_hu
    assert enhanced.torso.tissues.aorta > 120.0
    assert enhanced.torso.tissues.kidney > 120.0
    assert 0.0 <= uptake < 30.0


def test_a_series_shows_air_around_fat_around_bone():
    patient, anatomy = draw_patient(5, 1, 2), body_of(2)
    protocol = replace(draw_protocol(patient, anatomy, 128), noise_hu=0.0)
    z = np.array([anatomy.spine.level("L3").centre_mm[2]])
    hu = reconstruct(scan(anatomy, protocol, z), protocol, patient, PLAIN, np.random.default_rng(0))[0]
    x, y = protocol.axes_mm()
    row = int(np.argmin(np.abs(y - anatomy.spine.level("L3").centre_mm[1])))
    edge = int(np.flatnonzero(hu[row] > -300)[0])
    assert hu[row, edge - 4] == pytest.approx(-1000, abs=25)
    assert hu[row, edge + 2] == pytest.approx(-100, abs=60)
    assert circle(protocol)[0, 0] == np.False_
    assert circle(protocol)[64, 64] == np.True_
