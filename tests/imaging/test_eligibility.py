from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from dicom_files import ct_slice, found, write

from screening.archive.header import read_header
from screening.archive.index import Series, Study
from screening.errors import Exclusion
from screening.imaging.eligibility import EligibilitySettings, judge_series, stated_phase
from screening.imaging.wording import Kernel, Phase, kernel_sharpness, phase_in_text, phase_of_agent

DEMO = Path(__file__).parents[2] / "screening/demo_data/totalsegmentator_example"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """One instance as the header reader gives it."""
    return read_header(found(write(tmp_path_factory.mktemp("ct"), "a", ct_slice(1, StudyDescription="CT abdomen"))))


@pytest.fixture
def series(template):
    """Build an axial series of 40 slices at 5 mm; keywords are facts of every instance."""

    def build(uid="1", slices=40, step_mm=5.0, **facts):
        instances = (
            replace(
                template,
                series_instance_uid=uid,
                sop_instance_uid=f"{uid}.{k}",
                path=Path(uid) / str(k),
                **({"image_position_patient": (0.0, 0.0, step_mm * k)} | facts),
            )
            for k in range(slices)
        )
        return Series(uid, tuple(instances))

    return build


def judge(*series, **settings):
    return judge_series(Study("1", series), EligibilitySettings(**settings))


def reason(*series, **settings):
    judgement = judge(*series, **settings)
    assert judgement.candidates == ()
    return judgement.excluded[0].reason


def order(*series, **settings):
    return [candidate.series_instance_uid for candidate in judge(*series, **settings).candidates]


def test_plain_axial_abdomen_is_a_candidate(series):
    judgement = judge(series())

    assert [candidate.series_instance_uid for candidate in judgement.candidates] == ["1"]
    assert judgement.excluded == ()


def test_the_bundled_real_ct_is_a_candidate():
    instances = tuple(read_header(found(path)) for path in sorted(DEMO.glob("*.dcm")))
    judgement = judge(Series(instances[0].series_instance_uid, instances))

    assert len(judgement.candidates) == 1
    assert stated_phase(judgement.candidates[0]) is Phase.UNENHANCED


def test_every_series_is_either_candidate_or_has_a_reason(series):
    judgement = judge(series("1"), series("2", modality="SR"), series("3", slices=3))

    assert [candidate.series_instance_uid for candidate in judgement.candidates] == ["1"]
    assert [(e.series_instance_uid, e.reason) for e in judgement.excluded] == [
        ("2", Exclusion.NOT_CT),
        ("3", Exclusion.TOO_FEW_SLICES),
    ]


REFUSED = {
    "another modality": ({"modality": "MR"}, Exclusion.NOT_CT),
    "modality empty": ({"modality": ""}, Exclusion.NOT_CT),
    "enhanced multi-frame CT": ({"sop_class_uid": ENHANCED_CT}, Exclusion.MULTIFRAME),
    "several frames": ({"number_of_frames": 300}, Exclusion.MULTIFRAME),
    "secondary capture": ({"sop_class_uid": SECONDARY_CAPTURE}, Exclusion.NOT_AN_IMAGE),
    "colour picture": ({"samples_per_pixel": 3}, Exclusion.NOT_AN_IMAGE),
    "scout": ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, Exclusion.LOCALIZER),
    "topogram by name": ({"series_description": "Topogram 0.6 T20f"}, Exclusion.LOCALIZER),
    "MPR": ({"image_type": ("DERIVED", "SECONDARY", "MPR")}, Exclusion.NOT_AN_IMAGE),
    "MIP": ({"image_type": ("DERIVED", "SECONDARY", "AXIAL", "CSA MIP")}, Exclusion.NOT_AN_IMAGE),
    "projection": ({"image_type": ("DERIVED", "SECONDARY", "PROJECTION IMAGE")}, Exclusion.NOT_AN_IMAGE),
    "screen save": ({"image_type": ("DERIVED", "SECONDARY", "SCREEN SAVE")}, Exclusion.NOT_AN_IMAGE),
    "dose report": ({"series_description": "Dose Report"}, Exclusion.NOT_AN_IMAGE),
    "bolus tracking": ({"series_description": "Premonitoring"}, Exclusion.NOT_AN_IMAGE),
    "iodine map": ({"series_description": "Iodine map 3mm"}, Exclusion.NO_HOUNSFIELD),
    "one photon energy": ({"series_description": "Abdomen Mono 50 keV"}, Exclusion.NO_HOUNSFIELD),
    "virtual non-contrast": ({"image_type": ("DERIVED", "PRIMARY", "AXIAL", "VNC")}, Exclusion.NO_HOUNSFIELD),
    "coronal": ({"image_orientation_patient": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)}, Exclusion.NOT_AXIAL),
    "no spacing": ({"pixel_spacing_mm": None}, Exclusion.NO_GEOMETRY),
    "one position": ({"image_position_patient": (0.0, 0.0, 0.0)}, Exclusion.DUPLICATE_POSITIONS),
    "lung kernel": ({"convolution_kernel": "LUNG"}, Exclusion.UNSUITABLE_KERNEL),
    "bone kernel": ({"convolution_kernel": "B70s"}, Exclusion.UNSUITABLE_KERNEL),
    "agent by vein": ({"contrast_bolus_agent": "ISOVUE 300"}, Exclusion.CONTRAST),
    "portal venous by name": ({"series_description": "ABD PORTAL VENOUS 5.0"}, Exclusion.CONTRAST),
    "contrast by study": ({"study_description": "CT ABDOMEN W CONTRAST"}, Exclusion.CONTRAST),
}


@pytest.mark.parametrize(("facts", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(series, facts, expected):
    assert reason(series(**facts)) is expected


ACCEPTED = {
    "processed": {"image_type": ("DERIVED", "SECONDARY", "PROCESSED")},
    "secondary axial": {"image_type": ("ORIGINAL", "SECONDARY", "AXIAL")},
    "no image type": {"image_type": ()},
    "vendor values": {"image_type": ("ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI")},
    "low dose": {"series_description": "LOW DOSE ABD 3.0"},
    "blank SOP class": {"sop_class_uid": ""},
    "unenhanced series of a study with contrast": {
        "series_description": "native 3 mm",
        "study_description": "CT ABDOMEN W CONTRAST",
    },
    "study of both phases": {"study_description": "CT ABDOMEN W/WO CONTRAST"},
    "contrast by mouth": {"contrast_bolus_agent": "ORAL"},
    "age unknown": {"patient_age_years": None},
}


@pytest.mark.parametrize("facts", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_accepted(series, facts):
    assert order(series(**facts)) == ["1"]


@pytest.mark.parametrize(("degrees", "expected"), [(19.0, []), (21.0, [Exclusion.NOT_AXIAL])])
def test_obliquity_limit(series, degrees, expected):
    sine, cosine = float(np.sin(np.radians(degrees))), float(np.cos(np.radians(degrees)))
    given = series(image_orientation_patient=(1.0, 0.0, 0.0, 0.0, cosine, sine))
    along_normal = (
        replace(instance, image_position_patient=(0.0, -5.0 * k * sine, 5.0 * k * cosine))
        for k, instance in enumerate(given.instances)
    )

    assert [e.reason for e in judge(Series("1", tuple(along_normal))).excluded] == expected


@pytest.mark.parametrize(("step_mm", "expected"), [(5.0, []), (5.04, []), (5.1, [Exclusion.TOO_THICK])])
def test_spacing_limit(series, step_mm, expected):
    assert [e.reason for e in judge(series(step_mm=step_mm)).excluded] == expected


@pytest.mark.parametrize(("thickness_mm", "expected"), [(5.0, []), (None, []), (8.0, [Exclusion.TOO_THICK])])
def test_overlapping_slices_are_judged_by_their_thickness(series, thickness_mm, expected):
    overlapping = series(step_mm=4.0, slices=50, slice_thickness_mm=thickness_mm)

    assert [e.reason for e in judge(overlapping).excluded] == expected


@pytest.mark.parametrize(("tilt_deg", "expected"), [(None, []), (0.0, []), (2.0, []), (-15.0, [Exclusion.GANTRY_TILT])])
def test_a_tilt_that_positions_do_not_show_is_not_trusted(series, tilt_deg, expected):
    assert [e.reason for e in judge(series(gantry_detector_tilt_deg=tilt_deg)).excluded] == expected


def test_one_slice_of_a_sharp_kernel_spoils_the_series(series):
    given = series(convolution_kernel="B30f").instances
    sharp = replace(given[20], convolution_kernel="B70f")

    assert reason(Series("1", (*given[:20], sharp, *given[21:]))) is Exclusion.UNSUITABLE_KERNEL


def test_neither_file_names_nor_instance_numbers_order_the_slices(series):
    given = series().instances
    shuffled = [replace(given[17 * k % 40], instance_number=k, path=Path(str(k))) for k in range(40)]

    assert [len(candidate.instances) for candidate in judge(Series("1", tuple(shuffled))).candidates] == [40]


def test_spacing_limit_is_the_sites_choice(series):
    assert order(series(step_mm=7.5, slice_thickness_mm=7.5), maximum_spacing_mm=8.0) == ["1"]


@pytest.mark.parametrize(("slices", "expected"), [(11, [Exclusion.TOO_FEW_SLICES]), (12, [])])
def test_coverage_limit_is_60_mm(series, slices, expected):
    assert [e.reason for e in judge(series(slices=slices)).excluded] == expected


@pytest.mark.parametrize(("age", "expected"), [(17.99, [Exclusion.UNDER_AGE]), (18.0, [])])
def test_age_limit(series, age, expected):
    assert [e.reason for e in judge(series(patient_age_years=age)).excluded] == expected


def test_age_is_computed_from_dates_where_they_exist(series):
    child = series(patient_birth_date=date(2010, 1, 1), study_date=date(2024, 1, 1), patient_age_years=70.0)

    assert reason(child) is Exclusion.UNDER_AGE


def test_a_localizer_among_axial_slices_is_mixed(series):
    given = series().instances
    scout = replace(given[0], image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))

    assert reason(Series("1", (scout, *given[1:]))) is Exclusion.MIXED_GEOMETRY


def test_one_file_of_another_patient_spoils_the_study(series):
    given = series().instances
    stray = Series("1", (replace(given[0], patient_id="OTHER"), *given[1:]))

    assert [e.reason for e in judge(stray, series("2")).excluded] == [Exclusion.MIXED_PATIENTS] * 2


def test_a_report_by_another_system_does_not_make_another_patient(series):
    assert order(series("1"), series("2", modality="SR", patient_id="RIS-77")) == ["1"]


def test_enhanced_series_are_candidates_where_the_site_allows_it(series):
    assert order(series(series_description="portal venous"), allow_enhanced=True) == ["1"]


def test_stated_unenhanced_comes_before_unstated_before_enhanced(series):
    given = (
        series("1", series_description="portal venous"),
        series("2"),
        series("3", series_description="without contrast"),
    )

    assert order(*given, allow_enhanced=True) == ["3", "2", "1"]


def test_soft_kernel_comes_before_unstated(series):
    assert order(series("1"), series("2", convolution_kernel="B30f")) == ["2", "1"]


def test_a_sharp_kernel_is_no_candidate_beside_a_soft_one(series):
    judgement = judge(series("1", convolution_kernel="BONEPLUS"), series("2", convolution_kernel="STANDARD"))

    assert [candidate.series_instance_uid for candidate in judgement.candidates] == ["2"]
    assert judgement.excluded[0].reason is Exclusion.UNSUITABLE_KERNEL


def test_thinner_comes_before_thicker(series):
    assert order(series("1"), series("2", step_mm=2.5, slices=80)) == ["2", "1"]


def test_thinner_than_1_mm_is_no_advantage_over_coverage(series):
    thin, longer = series("1", step_mm=0.625, slices=300), series("2", step_mm=1.0, slices=400)

    assert order(thin, longer) == ["2", "1"]


def test_more_coverage_comes_first_among_equals(series):
    assert order(series("1"), series("2", slices=60)) == ["2", "1"]


def test_the_order_does_not_depend_on_the_order_of_series(series):
    first, second = series("1", series_number=4), series("2", series_number=3)

    assert order(first, second) == order(second, first) == ["2", "1"]


UNENHANCED = (
    "CT ABD W/O CONTRAST", "CT ABDOMEN WITHOUT CONTRAST", "Abdomen nativ B30f", "Unenhanced", "NON-CONTRAST",
    "noncon 5mm", "ABD C-", "5/5mm Plain", "ohne KM", "sans injection", "CT ABD/PEL WO IV CONTRAST", "単純",
    "NON CONTRAST ABD_PELVIS", "pre contrast",
)  # fmt: skip
ENHANCED = (
    "CT ABDOMEN PELVIS W CONT", "CT ABD W/CONTRAST", "with IV contrast", "ABD C+", "portal_venous 3.0", "PV phase",
    "Leber arteriell", "arterial", "mit KM", "VENOUS 5.0", "DELAYED", "CTA ABDOMEN", "POST CONTRAST", "CECT", "造影",
    "W IV AND ORAL CON", "ABD PELVIS W IV WO ORAL CONTRAST", "CT ABD W IV CONTRAST WITHOUT ORAL", "nephrographic",
)  # fmt: skip
UNSTATED = (
    "", "CT ABDOMEN/PELVIS", "C+A+P", "C-SPINE", "ABD W/WO", "CT W AND W/O CONTRAST", "with and without contrast",
    "WITH ORAL CONTRAST", "LIVER 3 PHASE (AP)", "Standard 5.0", "Recon 2: AXIAL", "POST OP", "NON-ANGIO ABD",
)  # fmt: skip


@pytest.mark.parametrize("text", UNENHANCED)
def test_wording_of_unenhanced(text):
    assert phase_in_text(text) is Phase.UNENHANCED


@pytest.mark.parametrize("text", ENHANCED)
def test_wording_of_enhanced(text):
    assert phase_in_text(text) is Phase.ENHANCED


@pytest.mark.parametrize("text", UNSTATED)
def test_wording_that_says_nothing(text):
    assert phase_in_text(text) is Phase.UNSTATED


@pytest.mark.parametrize("agent", ["APPLIED", "ISOVUE300/100", "IV", "Omnipaque 350", "GASTRO & OMNI", "Oral & IV"])
def test_agents_by_vein(agent):
    assert phase_of_agent(agent) is Phase.ENHANCED


@pytest.mark.parametrize("agent", [None, "", "NONE", "No", "ORAL", "Oral Contrast", "WATER", "GASTROGRAFIN", "W/O"])
def test_no_agent_by_vein(agent):
    assert phase_of_agent(agent) is Phase.UNSTATED


@pytest.mark.parametrize(
    "kernel",
    ["LUNG", "BONE", "BONEPLUS", "EDGE", "B60f", "B70s", "Br59d\\3", "Bl57", "FC51", "FC30", "FC86", "YB", "L"],
)
def test_sharp_kernels(kernel):
    assert kernel_sharpness(kernel, "") is Kernel.SHARP


@pytest.mark.parametrize(
    "kernel", ["STANDARD", "SOFT", "B30f", "B45f", "I31f\\2", "Br40d\\3", "Qr36", "FC08", "FC18-H", "B", "C", "DETAIL"]
)
def test_soft_kernels(kernel):
    assert kernel_sharpness(kernel, "") is Kernel.SOFT


def test_the_description_tells_where_the_kernel_is_empty():
    assert kernel_sharpness("", "1.25 LUNG") is Kernel.SHARP
    assert kernel_sharpness("", "ABDOMEN") is Kernel.UNSTATED
