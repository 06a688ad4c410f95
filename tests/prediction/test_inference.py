import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest

from models import checkpoint as checkpoints
from screening.errors import UserError
from screening.imaging.model_input import InputSpec, scale_to_120_kv
from screening.prediction.inference import load_predictor, write_recalibrated
from screening.prediction.knots import through

REAL = Path(__file__).parents[1] / "data" / "real_vertebrae.npz"
Y_MM, X_MM = (np.mgrid[0:80, 0:80] - 39.5) * 1.25


@pytest.fixture(scope="module")
def predictor():
    return load_predictor(device="cpu")


@pytest.fixture(scope="module")
def real():
    """Seven vertebrae of real patients: crops (7, 96, 96), interior of the body (7, 96, 96), hand ROI mean (7,)."""
    with np.load(REAL) as file:
        return {key: file[key].astype(np.float32) for key in ("crops_hu", "interior", "roi_hu")}


def phantom(hu=120.0, depth_mm=33.0, seed=0):
    """A body with cortex, arch and canal between muscles, vessels and fat, with noise and the blur of the pixels."""
    crop = np.full((80, 80), -100.0)
    crop[(((np.abs(X_MM) - 36) / 15) ** 2 + ((Y_MM - 4) / 17) ** 2) < 1] = 55
    crop[(((np.abs(X_MM) - 20) / 16) ** 2 + ((Y_MM - 40) / 14) ** 2) < 1] = 50
    crop[((np.abs(X_MM) - 11) ** 2 + (Y_MM + depth_mm / 2 + 11) ** 2) < 9**2] = 45
    arch = (np.abs(np.abs(X_MM) - 16) < 3.5) & (np.abs(Y_MM - depth_mm / 2 - 5) < 9)
    arch |= (np.abs(np.abs(X_MM) - 14) < 9) & (np.abs(Y_MM - depth_mm / 2 - 16) < 4)
    crop[arch] = 350
    crop[((X_MM / 11) ** 2 + ((Y_MM - depth_mm / 2 - 8) / 8) ** 2) < 1] = 30
    radius = np.sqrt((X_MM / 1.35) ** 2 + Y_MM**2)
    inside = np.clip(depth_mm / 2 - radius + 0.5, 0, 1)
    cortex = np.clip(1 - np.abs(depth_mm / 2 - 1.0 - radius), 0, 1)
    crop = crop * (1 - inside) + hu * inside + (350 - hu) * cortex
    return (crop + np.random.default_rng(seed).normal(0, 12, crop.shape)).astype(np.float32)


def disc(seed=0):
    """A disc between facets: soft, brighter towards its rim, without cortex and pedicles."""
    radius = np.sqrt((X_MM / 1.35) ** 2 + Y_MM**2)
    crop = np.where(radius < 18, 85 + 60 * (radius / 18) ** 4, -100.0)
    crop[(((np.abs(X_MM) - 38) / 13) ** 2 + ((Y_MM - 4) / 17) ** 2) < 1] = 55
    crop[(np.abs(np.abs(X_MM) - 16) < 6) & (np.abs(Y_MM - 32) < 6)] = 350
    return (crop + np.random.default_rng(seed).normal(0, 12, crop.shape)).astype(np.float32)


def central(crops):
    return np.ascontiguousarray(crops[..., 8:88, 8:88])


def test_attenuation_of_a_phantom_is_read_with_slope_one(predictor):
    hu = np.arange(40.0, 261.0, 20.0)

    read = predictor(np.stack([phantom(value) for value in hu])).attended_hu

    slope, _ = np.polyfit(hu, read, 1)
    assert slope == pytest.approx(1.0, abs=0.1)
    assert np.sqrt(np.mean((read - hu) ** 2)) < 15


def test_depth_of_a_phantom_is_read_within_3_mm(predictor):
    depth_mm = np.arange(27.0, 40.0, 2.0)

    read = predictor(np.stack([phantom(depth_mm=value) for value in depth_mm])).body_depth_mm

    assert read == pytest.approx(depth_mm, abs=3.0)


def test_denser_bone_raises_the_reading(predictor):
    crops = np.stack([phantom(hu) for hu in (100.0, 150.0)])

    bmd = predictor(crops).bmd_g_cm2

    assert bmd[1] - bmd[0] == pytest.approx(50 * 0.0025, rel=0.25)


def test_a_disc_is_read_with_more_than_twice_the_uncertainty_of_a_body(predictor):
    bodies = predictor(np.stack([phantom(seed=seed) for seed in range(5)]))
    discs = predictor(np.stack([disc(seed=seed) for seed in range(5)]))

    assert np.median(discs.sd_g_cm2) > 2 * np.median(bodies.sd_g_cm2)


def test_density_added_inside_real_bodies_is_read(predictor, real):
    more = predictor(central(real["crops_hu"] + 60 * real["interior"]))
    less = predictor(central(real["crops_hu"] - 60 * real["interior"]))

    slope = (more.attended_hu - less.attended_hu) / 120
    assert np.mean(slope) == pytest.approx(1.0, abs=0.15)
    assert np.all(slope > 0.7)


def test_real_vertebrae_are_read_as_their_hand_drawn_regions(predictor, real):
    read = predictor(central(real["crops_hu"])).attended_hu

    assert np.sqrt(np.mean((read - real["roi_hu"]) ** 2)) < 20


def test_a_crop_4_mm_off_centre_reads_the_same(predictor, real):
    centred = predictor(central(real["crops_hu"])).bmd_g_cm2
    shifted = predictor(np.ascontiguousarray(real["crops_hu"][:, 11:91, 8:88])).bmd_g_cm2

    assert np.mean(np.abs(shifted - centred)) < 0.02


def test_bone_at_80_kvp_reads_as_at_120_kvp_after_scaling(predictor):
    crop = phantom()
    at_80 = np.where(crop > 0, crop * 1.23, crop).astype(np.float32)

    scaled = predictor(scale_to_120_kv(at_80, 1 / 1.23)[None])

    assert scaled.bmd_g_cm2 == pytest.approx(predictor(crop[None]).bmd_g_cm2, abs=1e-4)


def test_each_crop_is_read_by_itself(predictor):
    crops = np.stack([phantom(hu) for hu in range(60, 240, 10)])

    together = predictor(crops)

    assert together.bmd_g_cm2[11:12] == pytest.approx(predictor(crops[11:12]).bmd_g_cm2, abs=1e-5)
    assert together.attention.shape == (18, 40, 40)
    assert together.attention.sum(axis=(1, 2)) == pytest.approx(np.ones(18))


def test_the_same_crops_give_the_same_numbers_after_travelling(predictor):
    crops = phantom()[None]

    travelled = pickle.loads(pickle.dumps(predictor))

    assert travelled.facts == predictor.facts
    assert np.array_equal(travelled(crops).bmd_g_cm2, predictor(crops).bmd_g_cm2)


def test_facts_say_which_checkpoint_reads(predictor):
    facts = predictor.facts

    assert facts.sha256 == checkpoints.file_sha256(checkpoints.bundled())
    assert facts.data_kind == "simulated"
    assert facts.input_spec == InputSpec()
    assert 0.02 < facts.interval_half_width_g_cm2 < 0.3


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((0, 80, 80), np.float32),
        np.zeros((1, 48, 48), np.float32),
        np.zeros((80, 80), np.float32),
    ],
)
def test_crops_of_another_shape_are_refused(predictor, crops):
    with pytest.raises(ValueError, match=r"crops must be \(n, 80, 80\)"):
        predictor(crops)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_crops_that_are_not_finite_are_refused(predictor, value):
    crops = np.zeros((2, 80, 80), np.float32)
    crops[1, 3, 4] = value

    with pytest.raises(ValueError, match="not finite"):
        predictor(crops)


def test_a_damaged_checkpoint_is_a_message_for_people(tmp_path):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(checkpoints.bundled().read_bytes()[:5000])

    with pytest.raises(UserError, match=r"damaged\.safetensors cannot be read"):
        load_predictor(path)


def test_an_unknown_device_is_a_message_for_people():
    with pytest.raises(UserError, match="expected auto, cpu or cuda"):
        load_predictor(device="tpu")


def test_a_checkpoint_without_input_geometry_is_a_message_for_people(tmp_path):
    loaded = checkpoints.load(checkpoints.bundled())
    checkpoints.save(dataclasses.replace(loaded, input_spec={"size_px": 64}), tmp_path / "bare.safetensors")

    with pytest.raises(UserError, match="no usable input geometry"):
        load_predictor(tmp_path / "bare.safetensors")


def test_a_recalibrated_checkpoint_reads_the_sites_line_through_the_old_values(predictor, tmp_path):
    path = tmp_path / "site.safetensors"

    facts = write_recalibrated(
        checkpoints.bundled(),
        path,
        name="site-2026",
        knots=((0.0, 0.05), (1.0, 0.95)),
        interval_half_width_g_cm2=0.08,
        metrics={"n_patients": 120.0},
        reference="Hologic, site scale",
    )

    before, after = predictor(phantom()[None]), load_predictor(path, "cpu")(phantom()[None])
    assert after.bmd_g_cm2 == pytest.approx(0.05 + 0.9 * before.bmd_g_cm2, abs=1e-5)
    assert after.sd_g_cm2 == pytest.approx(0.9 * before.sd_g_cm2, rel=1e-4)
    assert after.attended_hu == pytest.approx(before.attended_hu)
    assert facts.data_kind == "site"
    assert facts.sha256 == checkpoints.file_sha256(path) != predictor.facts.sha256


def written(source, path, knots):
    return write_recalibrated(
        source, path, name=path.stem, knots=knots, interval_half_width_g_cm2=0.1, metrics={}, reference="site scale"
    )


BEND = ((0.3, 0.35), (0.7, 0.72), (0.9, 0.85), (1.4, 1.5))


def test_a_bent_recalibration_reads_through_its_knots(predictor, tmp_path):
    crops = np.stack([phantom(hu) for hu in (20.0, 80.0, 140.0, 220.0, 300.0)])
    path = tmp_path / "bent.safetensors"

    facts = written(checkpoints.bundled(), path, BEND)

    before, after = predictor(crops), load_predictor(path, "cpu")(crops)
    assert after.bmd_g_cm2 == pytest.approx(through(BEND, before.bmd_g_cm2), abs=1e-5)
    assert facts.parent_sha256 == predictor.facts.sha256
    assert facts.reference == "site scale"


def test_a_bend_is_bent_further(predictor, tmp_path):
    crops = np.stack([phantom(hu) for hu in (20.0, 80.0, 140.0, 220.0, 300.0)])
    again = ((0.2, 0.25), (0.8, 0.78), (1.6, 1.7))
    written(checkpoints.bundled(), tmp_path / "one.safetensors", BEND)
    written(tmp_path / "one.safetensors", tmp_path / "two.safetensors", again)
    written(tmp_path / "two.safetensors", tmp_path / "three.safetensors", ((0.0, 0.1), (1.0, 0.9)))

    read = load_predictor(tmp_path / "three.safetensors", "cpu")(crops).bmd_g_cm2

    expected = 0.1 + 0.8 * through(again, through(BEND, predictor(crops).bmd_g_cm2))
    assert read == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("knots", [((0.0, 2.0), (1.0, 1.0)), ((0.0, 0.0),), ((0.0, 0.0), (1.0, 1.0), (0.9, 1.2))])
def test_a_recalibration_that_does_not_rise_is_refused(tmp_path, knots):
    with pytest.raises(UserError, match="must rise"):
        written(checkpoints.bundled(), tmp_path / "site.safetensors", knots)
