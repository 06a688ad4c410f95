from itertools import count

import numpy as np
import pytest
from simulated_people import body_of, levels_of

from screening.simulation.anatomy import draw_anatomy
from screening.simulation.cohort import Stream, draw_patient, hospital
from screening.simulation.densitometer import DXA_PRECISION, areal_bmd_g_cm2
from screening.simulation.pairs import Pairs, load_pairs, main, training_pairs
from screening.simulation.scanner import draw_protocol, effective_diameter_mm


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return training_pairs(patients=12, seed=5, institution=1)


def test_crops_are_96_pixels_with_one_label_each(pairs):
    n = len(pairs.crops_hu)
    assert pairs.crops_hu.shape == (n, 96, 96)
    assert {
        len(getattr(pairs, name)) for name in ("bmd_g_cm2", "hu120", "depth_mm", "is_body", "patient", "level")
    } == {n}
    assert np.all(np.isfinite(pairs.crops_hu))


def test_every_patient_has_bodies_at_every_level_and_some_discs(pairs):
    for number in range(1, 13):
        own = pairs.patient == number
        assert sorted(set(pairs.level[own & pairs.is_body])) == [1, 2, 3, 4]
        assert (own & ~pairs.is_body).sum() > 0


def test_no_picture_is_taken_of_a_level_with_screws_or_cement():
    number = next(n for n in count(1) if not all(level.assessable for level in levels_of(n)))
    kept = [place for place, level in enumerate(levels_of(number), start=1) if level.assessable]

    drawn = training_pairs(patients=1, seed=5, institution=1, first=number)

    assert sorted(set(drawn.level[drawn.is_body])) == kept
    assert drawn.is_body.sum() == 12
    assert set(drawn.level) == set(kept)


def test_labels_are_the_projection_of_the_same_patient(pairs):
    truth = levels_of(7)[2]
    own = (pairs.patient == 7) & (pairs.level == 3)
    assert pairs.bmd_g_cm2[own] == pytest.approx(truth.bmd_g_cm2)
    assert pairs.depth_mm[own] == pytest.approx(truth.depth_mm)


def test_the_middle_of_a_body_crop_has_the_labelled_attenuation(pairs):
    rows, columns = np.ogrid[:96, :96]
    middle = np.hypot(rows - 47.5, columns - 47.5) < 6.0
    seen = pairs.crops_hu.astype(np.float32)[:, middle].mean(axis=1)
    error = (seen - pairs.hu120)[pairs.is_body]
    assert abs(error.mean()) < 12.0
    assert np.median(np.abs(error)) < 12.0  # of one vertebra in ten the middle is something else: sclerosis, metal


def test_a_patient_does_not_depend_on_the_others(pairs):
    alone = training_pairs(patients=1, seed=5, institution=1, first=12)
    assert np.array_equal(alone.crops_hu, pairs.crops_hu[pairs.patient == 12])


def test_a_saved_file_reads_back(pairs, tmp_path):
    pairs.save(tmp_path / "pairs.npz")
    again = load_pairs(tmp_path / "pairs.npz")
    assert np.array_equal(again.crops_hu, pairs.crops_hu)
    assert np.array_equal(again.patient, pairs.patient)


def test_every_slice_carries_the_patients_true_bmd_and_dxa(pairs):
    own = pairs.patient == 7

    assert pairs.bmd_true_g_cm2[own] == pytest.approx(areal_bmd_g_cm2(levels_of(7)))
    error = DXA_PRECISION * draw_patient(5, 1, 7).rng(Stream.DXA).normal()
    assert pairs.bmd_dxa_g_cm2[own] == pytest.approx(areal_bmd_g_cm2(levels_of(7)) * (1 + error))


def test_all_slices_of_a_patient_come_from_one_examination(pairs):
    protocol = draw_protocol(draw_patient(5, 1, 7), body_of(7), 512)
    own = pairs.patient == 7

    assert set(pairs.scanner[own]) == {f"{protocol.scanner.model.model} {protocol.scanner.station}"}
    assert set(pairs.manufacturer[own]) == {protocol.scanner.model.manufacturer}
    assert set(pairs.kernel[own]) == {protocol.kernel.name}
    assert set(pairs.kvp_kv[own]) == {protocol.kvp_kv}
    assert set(pairs.thickness_mm[own]) == {np.float32(protocol.thickness_mm)}


def test_every_slice_says_who_the_patient_is(pairs):
    patient = draw_patient(5, 1, 7)
    own = pairs.patient == 7

    assert set(pairs.sex[own]) == {patient.sex}
    assert set(pairs.age_years[own]) == {np.float32(patient.age_years)}
    assert pairs.effective_diameter_mm[own] == pytest.approx(effective_diameter_mm(patient))


def test_the_ellipse_reads_bodies_near_their_label_and_no_discs(pairs):
    assert np.array_equal(np.isfinite(pairs.roi_hu), pairs.is_body)
    error = (pairs.roi_hu - pairs.hu120)[pairs.is_body]
    assert abs(error.mean()) < 12.0
    assert error.std() < 25.0


def test_the_contour_reader_measures_bodies_where_it_is_asked_to(pairs):
    read = training_pairs(patients=1, seed=5, institution=1, first=7, contours=True)
    body = read.is_body

    assert np.isnan(pairs.contour_hu).all()
    assert np.isnan(read.contour_hu[~body]).all()
    assert abs(np.median(read.contour_hu[body] - read.hu120[body])) < 20.0
    assert np.abs(read.contour_depth_mm[body] - read.depth_mm[body]).max() < 6.0


@pytest.mark.parametrize(("number", "seed"), [(7, 5), (8, 6)])
def test_patients_are_dealt_to_hospitals_with_people_and_machines_of_their_own(number, seed):
    patient = draw_patient(seed, 1, number, hospital(seed, 1))
    protocol = draw_protocol(patient, draw_anatomy(patient), 512)

    dealt = training_pairs(patients=1, seed=5, institution=1, first=number, sites=2)

    assert set(dealt.age_years) == {np.float32(patient.age_years)}
    assert set(dealt.effective_diameter_mm) == {np.float32(effective_diameter_mm(patient))}
    assert set(dealt.scanner) == {f"{protocol.scanner.model.model} {protocol.scanner.station}"}


def test_another_seed_makes_other_patients(pairs):
    other = training_pairs(patients=1, seed=6, institution=1, first=12)

    assert not np.array_equal(other.crops_hu, pairs.crops_hu[pairs.patient == 12])
    assert other.bmd_dxa_g_cm2[0] != pairs.bmd_dxa_g_cm2[pairs.patient == 12][0]


def test_several_processes_make_the_same_pairs(pairs, tmp_path, caplog):
    output = tmp_path / "two.npz"
    arguments = ["--patients", "2", "--seed", "5", "--institution", "1", "--first", "11", "--processes", "2"]

    assert main([*arguments, "--output", str(output)]) == 0

    written = load_pairs(output)
    assert np.array_equal(written.crops_hu, pairs.crops_hu[pairs.patient >= 11])
    assert "simulated 2 of 2 patients of institution 1" in caplog.messages


@pytest.mark.parametrize("wrong", [["--patients", "0"], ["--seed", "-1"], ["--institution", "3"]])
def test_numbers_that_make_no_patients_end_the_command(wrong, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        main(["--patients", "1", "--seed", "1", "--output", str(tmp_path / "none.npz"), *wrong])
