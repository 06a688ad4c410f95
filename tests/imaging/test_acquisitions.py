from dataclasses import replace
from pathlib import Path

import pytest
from dicom_files import ct_slice, found, write

from screening.archive.header import read_header
from screening.archive.index import Series, Study
from screening.errors import Exclusion
from screening.imaging.acquisitions import acquisitions_of
from screening.imaging.eligibility import EligibilitySettings, judge_series

SLICES, STEP_MM = 30, 5.0


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """One instance as the header reader gives it."""
    return read_header(found(write(tmp_path_factory.mktemp("ct"), "a", ct_slice(1))))


@pytest.fixture
def scan(template):
    """Build the slices of one scan from `start_mm` upwards; keywords are facts of every slice."""

    def build(name="a", start_mm=0.0, slices=SLICES, step_mm=STEP_MM, numbers=None, **facts):
        return tuple(
            replace(
                template,
                sop_instance_uid=f"1.{name}.{k}",
                path=Path(name) / f"{k:03d}",
                instance_number=(numbers or range(1, slices + 1))[k],
                **({"image_position_patient": (0.0, 0.0, start_mm + step_mm * k)} | facts),
            )
            for k in range(slices)
        )

    return build


def names(*scans):
    return [part.acquisition for part in acquisitions_of(series(*scans))]


def series(*scans):
    return Series("1", tuple(sorted((i for scan in scans for i in scan), key=lambda instance: instance.path)))


def judge(*scans, **settings):
    return judge_series(Study("1", (series(*scans),)), EligibilitySettings(**settings))


def reason(*scans):
    judgement = judge(*scans)
    assert judgement.candidates == ()
    assert [excluded.acquisition for excluded in judgement.excluded] == [""]
    return judgement.excluded[0].reason


def test_one_acquisition_is_the_series_itself(scan):
    whole = series(scan())

    assert acquisitions_of(whole) == (whole,)


SPLITS = {
    "acquisition number": ({"acquisition_number": 2}, {"acquisition_number": 10}),
    "acquisition time": ({"acquisition_time": "101500"}, {"acquisition_time": "101730.5"}),
    "kernel": ({"convolution_kernel": "B30f"}, {"convolution_kernel": "B70f"}),
    "pixel spacing": ({}, {"pixel_spacing_mm": (0.7, 0.7)}),
    "matrix": ({}, {"rows": 768, "columns": 768}),
    "numbered one after the other": ({}, {"numbers": range(101, 101 + SLICES)}),
    "numbered position by position": (
        {"numbers": range(1, 2 * SLICES, 2)},
        {"numbers": range(2, 2 * SLICES + 1, 2)},
    ),
}
NAMES = {
    "acquisition number": ["AcquisitionNumber 2", "AcquisitionNumber 10"],
    "acquisition time": ["AcquisitionTime 1 of 2", "AcquisitionTime 2 of 2"],
    "kernel": ["ConvolutionKernel B30f", "ConvolutionKernel B70f"],
    "pixel spacing": ["grid 1 of 2", "grid 2 of 2"],
    "matrix": ["grid 1 of 2", "grid 2 of 2"],
    "numbered one after the other": ["repeat 1 of 2", "repeat 2 of 2"],
    "numbered position by position": ["repeat 1 of 2", "repeat 2 of 2"],
}


@pytest.mark.parametrize("how", SPLITS)
def test_two_scans_of_the_same_positions_are_told_apart(scan, how):
    first, second = SPLITS[how]
    parts = acquisitions_of(series(scan("a", **first), scan("b", **second)))

    assert [part.acquisition for part in parts] == NAMES[how]
    assert {frozenset(i.path.parent.name for i in part.instances) for part in parts} == {
        frozenset("a"),
        frozenset("b"),
    }


def test_steps_that_mingle_are_told_apart(scan):
    first = scan("a", step_mm=5.0, acquisition_number=1)
    second = scan("b", step_mm=3.0, slices=50, acquisition_number=2)

    assert names(first, second) == ["AcquisitionNumber 1", "AcquisitionNumber 2"]


def test_scans_that_interleave_into_one_even_stack_are_still_two(scan):
    first = scan("a", step_mm=5.0, acquisition_number=1)
    second = scan("b", start_mm=2.5, step_mm=5.0, acquisition_number=2)

    assert names(first, second) == ["AcquisitionNumber 1", "AcquisitionNumber 2"]


def test_blocks_that_continue_one_another_are_one_series(scan):
    lower = scan("a", slices=15, acquisition_number=1)
    upper = scan("b", start_mm=75.0, slices=15, acquisition_number=2)

    assert names(lower, upper) == [""]


def test_step_and_shoot_with_a_number_for_every_slice_is_one_series(scan):
    shots = tuple(replace(one, acquisition_number=k, acquisition_time=f"1015{k:02d}") for k, one in enumerate(scan()))

    assert names(shots) == [""]


def test_blocks_with_a_gap_between_them_are_judged_separately(scan):
    lower = scan("a", slices=15, acquisition_number=1)
    upper = scan("b", start_mm=117.0, slices=15, acquisition_number=2)

    assert names(lower, upper) == ["AcquisitionNumber 1", "AcquisitionNumber 2"]


def test_pixel_spacings_that_differ_in_the_last_digit_are_one_grid(scan):
    finer = scan("a", step_mm=10.0, slices=15, pixel_spacing_mm=(0.70349, 0.70349))
    coarser = scan("b", start_mm=5.0, step_mm=10.0, slices=15, pixel_spacing_mm=(0.70351, 0.70351))

    assert names(finer, coarser) == [""]


def test_each_acquisition_has_its_own_judgement(scan):
    plain = scan("a", acquisition_number=1)
    enhanced = scan("b", acquisition_number=2, contrast_bolus_agent="IOHEXOL")

    judgement = judge(plain, enhanced)

    assert [candidate.acquisition for candidate in judgement.candidates] == ["AcquisitionNumber 1"]
    assert [(e.series_instance_uid, e.acquisition, e.reason) for e in judgement.excluded] == [
        ("1", "AcquisitionNumber 2", Exclusion.CONTRAST)
    ]


def test_the_order_of_equal_acquisitions_is_fixed(scan):
    first, second = scan("a", acquisition_number=1), scan("b", acquisition_number=2)

    assert [c.acquisition for c in judge(second, first).candidates] == ["AcquisitionNumber 1", "AcquisitionNumber 2"]


def test_a_fifth_pass_makes_it_a_perfusion_that_is_not_split(scan):
    passes = [scan(str(k), acquisition_number=k) for k in range(5)]

    assert len(acquisitions_of(series(*passes[:4]))) == 4
    assert reason(*passes) is Exclusion.DUPLICATE_POSITIONS


UNCLEAR = {
    "no numbers": {"instance_number": None},
    "the same numbers": {"numbers": range(1, SLICES + 1)},
    "numbers that mingle": {"numbers": [SLICES + 2 - k if k % 2 else 3 * SLICES + k for k in range(SLICES)]},
}


@pytest.mark.parametrize("facts", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_repeats_that_nothing_tells_apart_keep_their_reason(template, scan, facts):
    numbers = facts.get("numbers", range(1, SLICES + 1))
    stated = {name: value for name, value in facts.items() if name != "numbers"}
    second = tuple(replace(one, **stated) for one in scan("b", numbers=numbers))

    assert reason(scan("a"), second) is Exclusion.DUPLICATE_POSITIONS


def test_unequal_repeats_keep_their_reason(scan):
    assert reason(scan("a"), scan("b", slices=12, numbers=range(101, 113))) is Exclusion.DUPLICATE_POSITIONS


def test_one_stray_slice_is_no_acquisition(scan):
    stray = scan("b", start_mm=12.0, slices=1, acquisition_number=2)

    assert reason(scan("a", acquisition_number=1), stray) is Exclusion.MIXED_GEOMETRY


def test_a_localizer_of_another_acquisition_spoils_the_series(scan):
    scout = scan("b", slices=2, acquisition_number=2, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))

    assert reason(scan("a", acquisition_number=1), scout) is Exclusion.MIXED_GEOMETRY


def test_a_slice_of_another_patient_is_no_acquisition(scan):
    other = scan("b", slices=1, acquisition_number=2, patient_id="OTHER")

    judgement = judge(scan("a", acquisition_number=1), other)

    assert {excluded.reason for excluded in judgement.excluded} == {Exclusion.MIXED_PATIENTS}


def test_an_acquisition_among_which_one_slice_lacks_its_number_is_not_split_by_number(scan):
    nameless = tuple(replace(one, acquisition_number=None) for one in scan("b", slices=1, start_mm=150.0))

    assert reason(scan("a", acquisition_number=1), scan("c", acquisition_number=2), nameless) is (
        Exclusion.DUPLICATE_POSITIONS
    )


def test_a_coronal_reformat_in_the_series_is_judged_for_itself(scan):
    coronal = tuple(
        replace(
            one,
            image_orientation_patient=(1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
            image_position_patient=(0.0, STEP_MM * k, 0.0),
        )
        for k, one in enumerate(scan("b", acquisition_number=2))
    )

    judgement = judge(scan("a", acquisition_number=1), coronal)

    assert [candidate.acquisition for candidate in judgement.candidates] == ["AcquisitionNumber 1"]
    assert [excluded.reason for excluded in judgement.excluded] == [Exclusion.NOT_AXIAL]
