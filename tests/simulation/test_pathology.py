from dataclasses import replace

import numpy as np
import pytest
from simulated_people import attenuation_at, body_of, frail_body_with

from screening.simulation.anatomy import draw_anatomy
from screening.simulation.body import body_depths
from screening.simulation.cohort import draw_patient
from screening.simulation.densitometer import trabecular_hu
from screening.simulation.findings import FRACTURES, Finding
from screening.simulation.lattice import Frame
from screening.simulation.pathology import with_findings
from screening.simulation.vertebrae import LEVELS, draw_spine

PEOPLE = 250
TRANSITIONAL = {Finding.SACRALISED, Finding.LUMBARISED}


@pytest.fixture(scope="module")
def people() -> list:
    """Age and findings of every patient."""
    drawn = [draw_patient(17, 1, number) for number in range(1, PEOPLE + 1)]
    spines = [with_findings(patient, draw_spine(patient)) for patient in drawn]
    return [
        (patient.age_years, {finding for v in spine.vertebrae for finding in v.findings})
        for patient, spine in zip(drawn, spines, strict=True)
    ]


def test_one_patient_of_eight_has_a_transitional_vertebra(people):
    assert 0.08 < np.mean([bool(found & TRANSITIONAL) for _, found in people]) < 0.18


def test_a_fifth_of_the_patients_over_fifty_has_a_fractured_vertebra(people):
    assert 0.13 < np.mean([bool(found & FRACTURES) for age, found in people if age > 50.0]) < 0.28


def test_few_patients_carry_screws_and_fewer_cement(people):
    assert 0.01 < np.mean([Finding.PEDICLE_SCREWS in found for _, found in people]) < 0.06
    assert np.mean([Finding.CEMENT in found for _, found in people]) < 0.03


def test_the_same_patient_has_the_same_findings():
    patient = draw_patient(17, 1, 3)
    first, second = (with_findings(patient, draw_spine(patient)) for _ in range(2))
    assert [v.findings for v in first.vertebrae] == [v.findings for v in second.vertebrae]
    assert [v.centre_mm for v in first.vertebrae] == [v.centre_mm for v in second.vertebrae]


@pytest.mark.parametrize("finding", [Finding.SACRALISED, Finding.LUMBARISED, Finding.CRUSH_FRACTURE])
def test_level_names_are_counted_from_above_whatever_is_found(finding):
    anatomy, _ = frail_body_with(finding)
    heights = [vertebra.centre_mm[2] for vertebra in anatomy.spine.vertebrae]
    assert tuple(vertebra.level for vertebra in anatomy.spine.vertebrae) == LEVELS
    assert heights == sorted(heights)
    assert anatomy.spine.level("L3").centre_mm == pytest.approx((0.0, 0.0, 0.0))


def _height_mm(vertebra, v_mm: float) -> float:
    """Distance between the end plates in the midline plane, so far behind the body's axis."""
    w = np.arange(-25.0, 25.0, 0.05, dtype=np.float32)
    _, end = body_depths(vertebra, Frame(np.zeros_like(w), np.full_like(w, v_mm), w))
    return float((end > 0.0).sum() * 0.05)


def test_a_biconcave_body_is_low_in_the_middle_and_stands_at_its_back():
    _, body = frail_body_with(Finding.BICONCAVE_FRACTURE)
    assert _height_mm(body, 0.0) < 0.85 * _height_mm(body, 0.47 * body.depth_mm)


def test_a_wedged_body_is_low_in_front():
    _, body = frail_body_with(Finding.WEDGE_FRACTURE)
    assert _height_mm(body, -0.4 * body.depth_mm) < 0.9 * _height_mm(body, 0.4 * body.depth_mm)


def test_a_crushed_body_is_lower_than_before_and_the_column_sinks():
    anatomy, body = frail_body_with(Finding.CRUSH_FRACTURE)
    below = anatomy.spine.vertebrae[LEVELS.index(body.level) - 1]
    distance = np.linalg.norm(np.subtract(body.centre_mm, below.centre_mm))
    assert body.height_mm < 0.88 * body.arch_height_mm
    assert distance < 0.5 * (body.arch_height_mm + below.arch_height_mm) + 8.0


def test_sclerosis_brightens_the_bone_below_an_end_plate_and_leaves_the_middle():
    anatomy, body = frail_body_with(Finding.END_PLATE_SCLEROSIS)
    band = body.sclerosis[0]
    plate = (1.0 if band.upper else -1.0) * (0.5 * body.height_mm - 3.0 - max(body.concavity_mm))
    healthy = replace(body, sclerosis=())
    bare = replace(anatomy.spine, vertebrae=tuple(healthy if v is body else v for v in anatomy.spine.vertebrae))
    spot = (*band.centre_mm, plate)
    brighter = attenuation_at(anatomy, body, spot) - attenuation_at(replace(anatomy, spine=bare), body, spot)
    assert brighter > 25.0
    assert trabecular_hu(body) == trabecular_hu(healthy)


def test_cement_is_brighter_than_bone_and_is_no_mineral():
    anatomy, body = frail_body_with(Finding.CEMENT)
    assert set(body.findings) & FRACTURES
    assert attenuation_at(anatomy, body, body.cement.centres_mm[0]) > 1500.0
    assert trabecular_hu(body) == trabecular_hu(replace(body, cement=None))


def test_a_finding_is_named_once_on_a_vertebra():
    bodies = frail_body_with(Finding.END_PLATE_SCLEROSIS)[0].spine.vertebrae
    assert all(len(set(body.findings)) == len(body.findings) for body in bodies)


def test_a_sacralised_l5_lies_close_to_the_sacrum():
    spine = frail_body_with(Finding.SACRALISED)[0].spine
    plain = body_of(1).spine
    assert _gap_mm(spine) < _gap_mm(plain)


def _gap_mm(spine) -> float:
    low, high = spine.level("S1"), spine.level("L5")
    return float(np.linalg.norm(np.subtract(high.centre_mm, low.centre_mm)) - 0.5 * (low.height_mm + high.height_mm))


def test_a_lumbarised_s1_has_no_wings():
    spine = frail_body_with(Finding.LUMBARISED)[0].spine
    assert spine.level("S1").posterior.wing == 0.0
    assert spine.level("S2").posterior.wing > 0.9


def test_findings_leave_the_plain_anatomy_alone():
    patient = draw_patient(17, 1, 3)
    plain, body = draw_spine(patient), draw_anatomy(patient).spine
    assert [v.cancellous_mg for v in plain.vertebrae if v.level != "S1"] == [
        v.cancellous_mg for v in body.vertebrae if v.level != "S1"
    ]
    assert np.array_equal(plain.level("L2").outline_mm, body.level("L2").outline_mm)
