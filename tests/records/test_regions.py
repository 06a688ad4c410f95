import pytest

from screening.records.manufacturers import maker_of
from screening.records.refusals import Refusal
from screening.records.regions import REGIONS, region_of, same_site


@pytest.mark.parametrize(
    ("text", "region"),
    [
        *((name, name) for name in REGIONS),
        ("L1–L4", "L1-L4"),
        ("L1 - L4", "L1-L4"),
        ("l1-4", "L1-L4"),
        ("L1L4", "L1-L4"),
        ("L4-L1", "L1-L4"),
        ("AP Spine L1-L4", "L1-L4"),
        ("AP Spine", "L1-L4"),
        ("Lumbar spine", "L1-L4"),
        ("DXA Lumbar spine [Mass/Area] Bone density", "L1-L4"),
        ("DXA Lumbar spine [T-score] Bone density", "L1-L4"),
        ("AP Spine somewhere", Refusal.UNKNOWN_REGION),
        ("AP Spine ROI 3", Refusal.UNKNOWN_REGION),
        ("L2 to L4", "L2-L4"),
        ("L1, L2, L4", "L1+L2+L4"),
        ("L1-L2, L4", "L1+L2+L4"),
        ("Hip", "total_hip"),
        ("Total Hip", "total_hip"),
        ("Left Femur Total", "total_hip_left"),
        ("Femoral Neck - Right", "femoral_neck_right"),
        ("Dual Femur Neck Mean", "femoral_neck"),
        ("Neck", "femoral_neck"),
        ("Left femur", "femur_left"),
        ("Forearm UD", Refusal.NOT_CENTRAL),
        ("Radius 33%", Refusal.NOT_CENTRAL),
        ("Whole body", Refusal.NOT_CENTRAL),
        ("T12", Refusal.NOT_CENTRAL),
        ("L1-L5", Refusal.NOT_FOR_DIAGNOSIS),
        ("Ward's", Refusal.NOT_FOR_DIAGNOSIS),
        ("Trochanter", Refusal.NOT_FOR_DIAGNOSIS),
        ("Total", Refusal.UNKNOWN_REGION),
        ("L14", Refusal.UNKNOWN_REGION),
        ("elbow", Refusal.UNKNOWN_REGION),
        (" ", Refusal.NO_REGION),
    ],
)
def test_a_region_by_its_names(text: str, region: str) -> None:
    assert region_of(text, {}, "L1-L4") == region


def test_a_site_adds_names_and_says_what_a_lumbar_spine_is() -> None:
    assert region_of("LWS gesamt", {"lws gesamt": "L1-L4"}, "L2-L4") == "L1-L4"
    assert region_of("LWS", {}, "L2-L4") == "L2-L4"


@pytest.mark.parametrize(
    ("region", "other", "same"),
    [
        ("L1-L4", "L2", True),
        ("L1-L4", "total_hip", False),
        ("total_hip_left", "femur", True),
        ("total_hip_left", "femur_right", False),
        ("unspecified", "L1", True),
    ],
)
def test_whether_two_regions_agree(region: str, other: str, same: bool) -> None:
    assert same_site(region, other) is same


@pytest.mark.parametrize(
    ("text", "maker"),
    [
        ("GE Lunar", "GE"),
        ("LUNAR", "GE"),
        ("GE Healthcare", "GE"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("Lunar iDXA", "GE"),
        ("HOLOGIC, Inc.", "Hologic"),
        ("hologic", "Hologic"),
        ("Norland-Swissray", "Norland"),
        ("OsteoSys Co.", "Osteosys"),
        ("  Some   Maker ", "Some Maker"),
        ("Siemens", "Siemens"),
        ("", ""),
    ],
)
def test_a_maker_by_its_spellings(text: str, maker: str) -> None:
    assert maker_of(text, {}) == maker


def test_a_site_adds_spellings() -> None:
    assert maker_of("Room 3", {"room 3": "Hologic"}) == "Hologic"
