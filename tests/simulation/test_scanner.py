from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from simulated_people import body_of

from screening.simulation.anatomy import enhance, render_slab
from screening.simulation.cohort import draw_patient
from screening.simulation.densitometer import trabecular_hu
from screening.simulation.scanner import (
    CALIBRATION_DAYS,
    DAYS,
    FIRST_DAY,
    MACHINE_GAIN_SD,
    MODEL_GAIN_SD,
    Kernel,
    attenuation_hu,
    blur,
    calibrated,
    circle,
    draw_protocol,
    fleet,
    noise_tiles,
    reconstruct,
    scan,
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
    protocols = [draw_protocol(draw_patient(5, 1, number), body_of(2), 64) for number in range(300)]
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


def test_a_scanner_keeps_its_calibration_for_all_its_patients():
    assert fleet(1, 1) == fleet(1, 1)
    assert fleet(1, 1) != fleet(2, 1)
    assert all(abs(scanner.mineral_gain - 1.0) < 0.1 and abs(scanner.offset_hu) < 12.0 for scanner in fleet(1, 1))


def test_models_lie_within_ten_per_cent_and_machines_of_a_model_closer():
    gains = np.array([[scanner.mineral_gain for scanner in fleet(seed, 2)] for seed in range(200)])
    assert gains.mean() == pytest.approx(1.0, abs=0.005)
    assert gains.std() == pytest.approx(np.hypot(MODEL_GAIN_SD, MACHINE_GAIN_SD), rel=0.12)


def test_institutions_share_no_scanner():
    of_one, of_two = ({(s.model.manufacturer, s.model.model) for s in fleet(1, place)} for place in (1, 2))
    stations = [{s.station for s in fleet(1, place)} for place in (1, 2)]
    assert not of_one & of_two
    assert not stations[0] & stations[1]


def test_water_drifts_down_until_the_next_calibration():
    scanner = fleet(1, 1)[0]
    fresh = scanner.offset_on(scanner.calibrated_on)
    year_later = scanner.offset_on(scanner.calibrated_on + timedelta(days=365))
    assert fresh == scanner.offset_hu
    assert -2.29 <= year_later - fresh <= -0.54
    assert scanner.offset_on(scanner.calibrated_on + timedelta(days=CALIBRATION_DAYS)) == fresh


def test_every_examination_has_a_day_within_the_archive():
    protocols = [draw_protocol(draw_patient(5, 1, number), body_of(2), 64) for number in range(100)]
    days = [(protocol.examined_at - FIRST_DAY).days for protocol in protocols]
    assert 0 <= min(days) < 100
    assert DAYS - 100 < max(days) <= DAYS


def test_calibration_moves_tissue_but_not_air():
    protocol = draw_protocol(draw_patient(5, 1, 2), body_of(2), 64)
    offset = protocol.scanner.offset_on(protocol.examined_at.date())
    seen = calibrated(np.array([-1000.0, -500.0, 0.0, 300.0], np.float32), protocol)
    assert seen == pytest.approx([-1000.0, -500.0 + offset / 2, offset, 300.0 + offset], abs=1e-3)


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
