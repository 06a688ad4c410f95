import numpy as np
import pytest

from screening.simulation.redensified import (
    BUNDLED,
    RealBodies,
    body_distance_mm,
    draw_target_hu,
    main,
    read_bodies,
    redensify,
    with_density,
)

DEPTH_MM, WIDTH_MM, ROI_HU = 30.0, 42.0, 120.0
ROWS, COLUMNS = (np.mgrid[0:96, 0:96] - 47.5) * 1.25


def drawn_body(shift_mm=0.0):
    """Ellipse with cortex on muscle, fat around it, without noise."""
    share = np.hypot(ROWS / (DEPTH_MM / 2), (COLUMNS - shift_mm) / (WIDTH_MM / 2))
    inner = np.hypot(ROWS / (DEPTH_MM / 2 - 2), (COLUMNS - shift_mm) / (WIDTH_MM / 2 - 2))
    return np.select([inner < 1, share < 1], [ROI_HU, 400.0], 30.0).astype(np.float32)


CORE = np.hypot(ROWS / 8, COLUMNS / 12) < 1
OUTSIDE = np.hypot(ROWS / 20, COLUMNS / 26) > 1


@pytest.fixture
def bodies():
    return RealBodies(
        crops_hu=np.stack([drawn_body(), drawn_body(), np.full((96, 96), 80, np.float32)]),
        is_body=np.array([True, True, False]),
        vertebra=np.array(["a L1", "b L2", "b L2"]),
        patient=np.array(["a", "b", "b"]),
        level=np.array(["L1", "L2", "L2"]),
        roi_hu=np.full(3, ROI_HU, np.float32),
        depth_mm=np.full(3, DEPTH_MM, np.float32),
    )


def test_the_interior_takes_the_target_density_and_the_surroundings_stay(bodies):
    made = redensify(bodies, variants=6, seed=1)

    core = made.crops_hu[:12, CORE].astype(float).mean(axis=1)
    assert core == pytest.approx(made.hu120[:12], abs=1.0)
    assert np.all(made.crops_hu[:12, OUTSIDE] == drawn_body()[OUTSIDE])


def test_areal_bmd_follows_the_label_physics(bodies):
    made = redensify(bodies, variants=2, seed=1)

    assert made.bmd_g_cm2 == pytest.approx(0.60 + 0.0025 * made.hu120 * 30.0 / 33.0, abs=1e-5)


def test_discs_keep_their_picture_under_the_label_of_their_vertebra(bodies):
    made = redensify(bodies, variants=3, seed=1)

    assert np.all(made.crops_hu[6:] == 80)
    assert not made.is_body[6:].any()
    assert len(set(made.hu120[6:])) == 3


def test_texture_is_kept_around_the_shifted_mean():
    random = np.random.default_rng(3)
    crop = drawn_body().astype(np.float64) + random.normal(0, 20, (96, 96))

    denser = with_density(crop, body_distance_mm(drawn_body()), ROI_HU, 200.0, np.random.default_rng(1))

    change = denser[CORE] - crop[CORE]
    assert change.mean() == pytest.approx(80.0, abs=2.0)
    assert np.corrcoef(denser[CORE], crop[CORE])[0, 1] > 0.999


def test_the_shift_is_by_the_vertebra_so_that_a_denser_slice_stays_denser():
    crop = drawn_body().astype(np.float64) + 15.0 * CORE

    denser = with_density(crop, body_distance_mm(drawn_body()), ROI_HU, 180.0, np.random.default_rng(1))

    assert denser[CORE].mean() == pytest.approx(195.0, abs=7.0)


def test_margins_differ_between_variants():
    crop, distance_mm = drawn_body().astype(np.float64), body_distance_mm(drawn_body())

    made = [with_density(crop, distance_mm, ROI_HU, 220.0, np.random.default_rng(seed)) for seed in range(8)]

    whole_change = [int((np.abs(variant - crop - 100.0)[crop == ROI_HU] < 1).sum()) for variant in made]
    assert len(set(whole_change)) > 4


def test_the_contour_of_a_body_off_the_centre_is_found():
    distance_mm = body_distance_mm(drawn_body(shift_mm=4.0))

    edge = np.abs(np.hypot(ROWS / (DEPTH_MM / 2), (COLUMNS - 4.0) / (WIDTH_MM / 2)) - 1) < 0.03
    assert np.abs(distance_mm[edge]).mean() < 1.0


def test_low_densities_are_drawn_more_often():
    random = np.random.default_rng(1)
    targets = np.array([draw_target_hu(random) for _ in range(4000)])

    assert np.mean(targets < 80) == pytest.approx(0.4 + 0.6 * 70 / 290, abs=0.03)
    assert targets.min() >= 10
    assert targets.max() <= 300


def test_the_same_seed_gives_the_same_slices(bodies):
    first, again = redensify(bodies, variants=2, seed=5), redensify(bodies, variants=2, seed=5)
    other = redensify(bodies, variants=2, seed=6)

    assert np.array_equal(first.crops_hu, again.crops_hu)
    assert not np.array_equal(first.hu120, other.hu120)


def test_bundled_bodies_are_those_that_may_be_redistributed():
    bundled = read_bodies(BUNDLED)

    assert set(bundled.patient) == {"TCGA-AY-4070", "HCC006", "CRLM1006", "LIDC0001", "TS_example", "TPTBOX"}
    assert len(set(bundled.vertebra)) == 24
    assert BUNDLED.stat().st_size < 1_000_000


def test_the_command_leaves_patients_out(tmp_path):
    output = tmp_path / "redensified.npz"

    status = main([str(BUNDLED), "--variants", "1", "--seed", "1", "--output", str(output)])
    assert status == 0
    main(["--variants", "1", "--seed", "1", "--without", "HCC006", "--output", str(tmp_path / "five.npz")])

    with np.load(output) as whole, np.load(tmp_path / "five.npz") as five:
        assert len(whole["hu120"]) == 95
        assert set(whole["patient"]) - set(five["patient"]) == {"HCC006"}


def test_a_file_without_depth_is_refused_in_one_line(bodies, tmp_path, caplog):
    path = tmp_path / "crops.npz"
    np.savez(path, crops_hu=bodies.crops_hu, is_body=bodies.is_body)

    status = main([str(path), "--seed", "1", "--output", str(tmp_path / "out.npz")])

    assert status == 1
    assert "crops.npz lacks the arrays vertebra, patient, level, roi_hu, depth_mm" in caplog.text


def test_depths_that_no_body_has_are_refused(bodies, tmp_path):
    path = tmp_path / "crops.npz"
    columns = {name: getattr(bodies, name) for name in RealBodies.__dataclass_fields__}
    np.savez(path, **columns | {"depth_mm": np.full(3, 3.0)})

    with pytest.raises(ValueError, match="between 15 and 60 mm"):
        read_bodies(path)
