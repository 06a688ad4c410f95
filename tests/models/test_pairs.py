import dataclasses

import numpy as np
import pytest

from models.pairs import BESIDE, PHANTOM, Pairs, Shares, read_beside, read_pairs, sampling_weights, split_by_patient
from models.phantom import draw_phantoms


def columns(pairs: Pairs) -> dict[str, np.ndarray]:
    return {field.name: getattr(pairs, field.name) for field in dataclasses.fields(pairs)}


def test_pairs_are_read_as_they_were_written(pairs, tmp_path):
    np.savez(tmp_path / "pairs.npz", **columns(pairs))

    again = read_pairs(tmp_path / "pairs.npz")

    assert np.array_equal(again.crops_hu, pairs.crops_hu)
    assert np.array_equal(again.patient, pairs.patient)


def test_patients_may_be_numbers_and_crops_half_precision(pairs, tmp_path):
    written = columns(pairs) | {"patient": pairs.patient.astype(int), "crops_hu": pairs.crops_hu.astype(np.float16)}
    np.savez(tmp_path / "pairs.npz", **written)

    again = read_pairs(tmp_path / "pairs.npz")

    assert again.crops_hu.dtype == np.float32
    assert again.patient[-1] == "79"


def test_a_digest_tells_contents(pairs, tmp_path):
    np.savez(tmp_path / "pairs.npz", **columns(pairs))
    brighter = pairs.crops_hu.copy()
    brighter[-1, -1, -1] += 1.0

    assert read_pairs(tmp_path / "pairs.npz").digest() == pairs.digest()
    assert dataclasses.replace(pairs, crops_hu=brighter).digest() != pairs.digest()
    assert dataclasses.replace(pairs, patient=pairs.patient[::-1]).digest() != pairs.digest()


def test_no_patient_is_in_two_sets(pairs):
    split = split_by_patient(pairs, seed=1)

    sets = [set(part.patient) for part in (split.training, split.validation, split.calibration)]
    assert sets[0].isdisjoint(sets[1])
    assert sets[0].isdisjoint(sets[2])
    assert sets[1].isdisjoint(sets[2])
    assert set.union(*sets) == set(pairs.patient)
    assert [len(part) for part in sets] == [56, 12, 12]


def test_a_split_depends_on_its_seed_alone(pairs):
    first, again = split_by_patient(pairs, seed=1), split_by_patient(pairs, seed=1)
    other = split_by_patient(pairs, seed=2)

    assert np.array_equal(first.training.patient, again.training.patient)
    assert not np.array_equal(first.training.patient, other.training.patient)


def test_a_missing_array_is_named(pairs, tmp_path):
    written = columns(pairs)
    del written["depth_mm"]
    np.savez(tmp_path / "pairs.npz", **written)

    with pytest.raises(ValueError, match="lacks the arrays depth_mm"):
        read_pairs(tmp_path / "pairs.npz")


def test_arrays_of_unlike_length_are_refused(pairs, tmp_path):
    np.savez(tmp_path / "pairs.npz", **columns(pairs) | {"level": pairs.level[:-1]})

    with pytest.raises(ValueError, match="one entry per slice"):
        read_pairs(tmp_path / "pairs.npz")


def test_crops_that_are_not_finite_are_refused(pairs, tmp_path):
    pairs.crops_hu[0, 0, 0] = np.nan
    np.savez(tmp_path / "pairs.npz", **columns(pairs))

    with pytest.raises(ValueError, match="must be finite"):
        read_pairs(tmp_path / "pairs.npz")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "pairs.npz").write_bytes(b"PK\x03\x04 broken")

    with pytest.raises(ValueError, match="cannot be read as an .npz file"):
        read_pairs(tmp_path / "pairs.npz")


def test_rare_densities_are_drawn_more_often_than_they_occur(pairs):
    hu120 = np.full_like(pairs.hu120, 130.0)
    hu120[:12] = 30.0
    skewed = dataclasses.replace(pairs, hu120=hu120)

    weights = sampling_weights(skewed, Shares())

    assert weights.sum() == pytest.approx(1.0)
    assert weights[~pairs.is_body].sum() == pytest.approx(0.2)
    assert weights[0] > 4 * weights[20]


def test_drawings_fill_their_share_of_a_batch(pairs):
    mixed = pairs.with_others(draw_phantoms(10, seed=1))

    weights = sampling_weights(mixed, Shares(phantom=0.3))

    assert weights[mixed.patient == "phantom"].sum() == pytest.approx(0.3)


def test_arrays_of_other_names_are_left_alone(pairs, tmp_path):
    np.savez(tmp_path / "pairs.npz", **columns(pairs), manufacturer=np.full(len(pairs), "GE"), extra=np.zeros(3))

    assert len(read_pairs(tmp_path / "pairs.npz")) == len(pairs)


def test_pairs_beside_are_marked_and_bring_no_bmd(pairs, tmp_path):
    np.savez(tmp_path / "beside.npz", **columns(pairs))

    beside = read_beside(tmp_path / "beside.npz")

    assert set(beside.patient) == {BESIDE + patient for patient in pairs.patient}
    assert np.isnan(beside.bmd_g_cm2).all()
    assert np.array_equal(beside.hu120, pairs.hu120)


def test_pairs_beside_need_attenuation_and_depth(pairs, tmp_path):
    np.savez(tmp_path / "beside.npz", **columns(pairs) | {"depth_mm": np.full_like(pairs.depth_mm, np.nan)})

    with pytest.raises(ValueError, match="hu120 and depth_mm everywhere"):
        read_beside(tmp_path / "beside.npz")


def test_three_sources_fill_their_shares_of_a_batch(pairs):
    beside = dataclasses.replace(pairs, patient=np.char.add(BESIDE, pairs.patient))
    mixed = pairs.with_others(draw_phantoms(10, seed=1)).with_others(beside)

    weights = sampling_weights(mixed, Shares(phantom=0.2, beside=0.3))

    assert weights[mixed.patient == "phantom"].sum() == pytest.approx(0.2)
    assert weights[np.char.startswith(mixed.patient, BESIDE)].sum() == pytest.approx(0.3)
    assert weights[np.isin(mixed.patient, pairs.patient)].sum() == pytest.approx(0.5)


def test_shares_that_exceed_a_batch_are_refused():
    with pytest.raises(ValueError, match="sum to at most 1"):
        Shares(phantom=0.6, beside=0.5)


def test_more_patients_calibrate_where_asked(pairs):
    split = split_by_patient(pairs, seed=1, calibration_share=0.5, validation_share=0.1)

    assert [len(set(part.patient)) for part in (split.training, split.validation, split.calibration)] == [32, 8, 40]


def test_somebody_must_be_left_to_train_on(pairs):
    with pytest.raises(ValueError, match="leave none of 80 patients"):
        split_by_patient(pairs, seed=1, calibration_share=0.6, validation_share=0.4)


def test_only_patients_of_the_pairs_file_have_met_a_densitometer(pairs):
    patient = pairs.patient.astype("<U20")
    patient[0], patient[1] = PHANTOM, BESIDE + patient[1]

    with_dxa = dataclasses.replace(pairs, patient=patient).with_dxa

    assert not with_dxa[:2].any()
    assert with_dxa[2:].all()
