import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_files import found

from screening.archive.header import read_header
from screening.archive.index import Series
from screening.imaging.attenuation import (
    TissueAnchors,
    calibration_warnings,
    contrast_facts,
    is_enhanced,
    measure_trabecular,
    tissue_anchors,
)
from screening.imaging.eligibility import EligibilitySettings
from screening.imaging.hounsfield import Volume, read_volume
from screening.imaging.lumbar import Vertebra

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "screening/demo_data/totalsegmentator_example"
DEMO_TRUTH = REPOSITORY / "tests/data/totalsegmentator_example_truth.csv"
SHARED = REPOSITORY.parent / "shared/data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="real CT collection is not here")

UPRIGHT = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
SPACING = (2.5, 0.8, 0.8)
CENTRES_Z = {"L1": 102.0, "L2": 68.0, "L3": 34.0, "L4": 0.0}
AORTA_XY, AORTA_RADIUS = (12.0, -32.0), 9.0
HALF_WIDTH, HALF_DEPTH = 22.0, 16.0


def vertebra(level):
    z = CENTRES_Z[level]
    return Vertebra(level, (0.0, 0.0, z), z + 13.0, z - 13.0, 1.0)


VERTEBRAE = tuple(vertebra(level) for level in CENTRES_Z)


def phantom(marrow_hu=140.0, blood_hu=42.0, kidney_hu=32.0, noise_hu=15.0, vessel=True):
    """A trunk of fat, muscle, four bodies with canal and arches, kidneys and aorta, all of known attenuation."""
    z, y, x = (
        np.arange(start, stop, step) for start, stop, step in ((-30, 131, 2.5), (-130, 110, 0.8), (-190, 190, 0.8))
    )
    y, x = y[:, None], x[None, :]
    plane = np.full((y.size, x.size), -1000.0)
    plane[(x / 170) ** 2 + ((y + 10) / 115) ** 2 < 1] = -105
    plane[(x / 140) ** 2 + ((y + 10) / 85) ** 2 < 1] = -95
    plane[(np.abs(np.abs(x) - 30) < 24) & (np.abs(y - 48) < 22)] = 55
    for side in (-1, 1):
        plane[((x - 58 * side) / 25) ** 2 + ((y - 8) / 22) ** 2 < 1] = kidney_hu
    if vessel:
        plane[np.hypot(x - AORTA_XY[0], y - AORTA_XY[1]) < AORTA_RADIUS] = blood_hu
    plane[(np.abs(x) < 20) & (np.abs(y - 24) < 12)] = 320
    plane[np.hypot(x / 1.2, y - 25) < 9] = 15
    body = np.hypot(x / HALF_WIDTH, y / HALF_DEPTH)
    plane[body < 1] = 380
    marrow = body < 0.9
    hu = np.repeat(plane[None], z.size, axis=0)
    for height, disc in zip(z, np.abs((z + 17) % 34 - 17) > 13, strict=True):
        hu[z == height, marrow] = 80.0 if disc else marrow_hu
    hu += np.random.default_rng(7).normal(0, noise_hu, hu.shape)
    return Volume(
        hu=np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        spacing_mm=SPACING,
        origin_mm=(-190.0, -130.0, -30.0),
        axes=UPRIGHT,
        slice_thickness_mm=2.5,
        kvp_kv=120.0,
    )


@pytest.fixture(scope="module")
def trunk():
    return phantom()


@pytest.fixture(scope="module")
def demo():
    instances = tuple(read_header(found(path)) for path in sorted(DEMO.glob("*.dcm")))
    return read_volume(Series(instances[0].series_instance_uid, instances))


def demo_truth():
    with DEMO_TRUTH.open() as file:
        return [(row["level"], {key: float(row[key]) for key in row if key != "level"}) for row in csv.DictReader(file)]


def demo_vertebra(level, truth):
    centre = (truth["x_mm"], truth["y_mm"], truth["z_mm"])
    return Vertebra(level, centre, truth["upper_z_mm"], truth["lower_z_mm"], 1.0)


@pytest.mark.parametrize("marrow_hu", [-20.0, 40.0, 90.0, 160.0, 240.0])
def test_marrow_of_a_phantom_is_read_as_built(marrow_hu):
    reading = measure_trabecular(phantom(marrow_hu), vertebra("L2"))

    assert reading.mean_hu == pytest.approx(marrow_hu, abs=2)
    assert reading.median_hu == pytest.approx(marrow_hu, abs=2)
    assert reading.sd_hu == pytest.approx(15, abs=2)


def test_depth_and_area_are_those_of_the_body(trunk):
    reading = measure_trabecular(trunk, vertebra("L2"))

    assert reading.body_depth_mm == pytest.approx(2 * HALF_DEPTH, abs=1.5)
    assert 150 < reading.area_mm2 < np.pi * HALF_WIDTH * HALF_DEPTH / 2


def test_outline_lies_inside_the_marrow_in_the_middle_slice(trunk):
    outline = measure_trabecular(trunk, vertebra("L3")).outline_mm

    x, y, z = outline.T
    assert np.all(np.hypot(x / HALF_WIDTH, y / HALF_DEPTH) < 0.85)
    assert np.all(np.abs(z - CENTRES_Z["L3"]) <= 1.25 + 1e-9)


@pytest.mark.parametrize("shift", [(5.0, 0.0), (-5.0, 0.0), (0.0, 5.0), (0.0, -5.0), (4.0, 4.0)])
def test_a_centre_5_mm_off_changes_little(trunk, shift):
    given = vertebra("L2")
    x, y, z = given.centre_mm
    moved = replace(given, centre_mm=(x + shift[0], y + shift[1], z))

    assert measure_trabecular(trunk, moved).mean_hu == pytest.approx(140, abs=4)


def test_a_bone_island_hardly_moves_the_mean(trunk):
    hu = trunk.hu.copy()
    hu[:, 160:164, 235:239] = 900
    reading = measure_trabecular(replace(trunk, hu=hu), vertebra("L2"))

    assert reading.mean_hu == pytest.approx(140, abs=5)


@pytest.mark.parametrize("blood_hu", [30.0, 55.0, 120.0, 350.0])
def test_blood_of_a_phantom_is_read_as_built(blood_hu):
    assert tissue_anchors(phantom(blood_hu=blood_hu), VERTEBRAE).aorta_hu == pytest.approx(blood_hu, abs=3)


def test_a_calcified_wall_does_not_raise_blood(trunk):
    z, y, x = trunk.hu.shape
    rows, columns = np.mgrid[0:y, 0:x] * 0.8
    ring = np.abs(np.hypot(columns - 190 - AORTA_XY[0], rows - 130 - AORTA_XY[1]) - AORTA_RADIUS) < 1
    hu = trunk.hu.copy()
    hu[:, ring & (columns > 205)] = 900

    assert tissue_anchors(replace(trunk, hu=hu), VERTEBRAE).aorta_hu == pytest.approx(42, abs=4)


def test_where_no_vessel_can_be_followed_there_is_no_guess():
    anchors = tissue_anchors(phantom(vessel=False), VERTEBRAE)

    assert anchors.aorta_hu is None
    assert is_enhanced(anchors, EligibilitySettings()) is None


def test_tissues_of_a_phantom_are_read_as_built(trunk):
    anchors = tissue_anchors(trunk, VERTEBRAE)

    assert anchors.air_hu == pytest.approx(-1000, abs=2)
    assert anchors.fat_hu == pytest.approx(-105, abs=3)
    assert anchors.muscle_hu == pytest.approx(55, abs=3)
    assert anchors.kidney_hu is None


def test_enhanced_kidneys_are_a_second_witness():
    anchors = tissue_anchors(phantom(kidney_hu=140.0, vessel=False), VERTEBRAE)

    assert anchors.kidney_hu == pytest.approx(140, abs=5)
    assert is_enhanced(anchors, EligibilitySettings()) is True


@pytest.mark.parametrize(("aorta_hu", "expected"), [(89.9, False), (90.0, True), (None, None)])
def test_enhancement_begins_at_90_hu_in_the_aorta(aorta_hu, expected):
    anchors = TissueAnchors(air_hu=-1000.0, fat_hu=-100.0, muscle_hu=55.0, aorta_hu=aorta_hu)

    assert is_enhanced(anchors, EligibilitySettings()) is expected


def test_facts_of_contrast_name_both_witnesses():
    anchors = TissueAnchors(air_hu=None, fat_hu=None, muscle_hu=None, aorta_hu=None, kidney_hu=141.2)

    assert contrast_facts(anchors) == "aorta not found, kidneys 141 HU"


def test_one_bright_flank_is_bowel_not_a_kidney(trunk):
    hu = trunk.hu.copy()
    hu[:, 140:190, 290:330] = 250

    assert tissue_anchors(replace(trunk, hu=hu), VERTEBRAE).kidney_hu is None


@pytest.mark.parametrize(("level", "truth"), demo_truth()[:4])
def test_the_bundled_ct_reads_like_its_label_map(demo, level, truth):
    reading = measure_trabecular(demo, demo_vertebra(level, truth))

    # the label map's interior reaches nearer to the denser end plates
    assert truth["median_hu"] - 15 < reading.median_hu < truth["median_hu"] + 5
    assert reading.body_depth_mm == pytest.approx(truth["depth_mm"], abs=3.1)


def test_the_bundled_ct_is_unenhanced(demo):
    anchors = tissue_anchors(demo, tuple(demo_vertebra(level, truth) for level, truth in demo_truth()))

    assert is_enhanced(anchors, EligibilitySettings()) is False
    assert anchors.aorta_hu == pytest.approx(42, abs=8)
    assert anchors.fat_hu == pytest.approx(-105, abs=10)


def shared_rows(key):
    with (SHARED / "lumbar_truth.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["series_key"] == key]
    return [row for row in rows if row["z_centre_mm"] and row["z_top_mm"] and row["z_bottom_mm"]]


def shared_case(key):
    rows = shared_rows(key)
    paths = sorted(path for path in (SHARED / rows[0]["path"]).rglob("*") if path.is_file())
    volume = read_volume(Series(key, tuple(read_header(found(path)) for path in paths)))
    vertebrae = tuple(
        Vertebra(
            row["level"],
            (float(row["x_mm"]), float(row["y_mm"]), float(row["z_centre_mm"])),
            float(row["z_top_mm"]),
            float(row["z_bottom_mm"]),
            1.0,
        )
        for row in rows
    )
    return volume, vertebrae, [float(row["roi_hu_mean"]) for row in rows]


@needs_shared
@pytest.mark.parametrize(
    ("key", "aorta_hu", "enhanced"),
    [
        ("TCGA-AY-4070", 147, True),
        ("LIDC0001", 406, True),
        ("CCTH-A01", 40, False),
        ("HCC006", 135, True),
        ("CRLM1006", 150, True),
    ],
)
def test_real_ct_reads_like_the_hand_drawn_regions(key, aorta_hu, enhanced):
    volume, vertebrae, by_hand = shared_case(key)
    differences = [measure_trabecular(volume, v).mean_hu - hu for v, hu in zip(vertebrae, by_hand, strict=True)]
    anchors = tissue_anchors(volume, vertebrae)

    assert np.median(np.abs(differences)) <= 8
    assert anchors.aorta_hu == pytest.approx(aorta_hu, abs=10)
    assert is_enhanced(anchors, EligibilitySettings()) is enhanced
    assert anchors.air_hu == pytest.approx(-1000, abs=30)


IN_ORDER = TissueAnchors(air_hu=-1000.0, fat_hu=-100.0, muscle_hu=50.0, aorta_hu=40.0)


@pytest.mark.parametrize(
    ("changed", "enhanced", "told"),
    [
        ({}, False, 0),
        ({"air_hu": -970.0}, False, 0),
        ({"air_hu": -969.0}, False, 1),
        ({"fat_hu": -121.0}, False, 1),
        ({"muscle_hu": 4.0}, False, 1),
        ({"aorta_hu": 61.0}, False, 1),
        ({"aorta_hu": 180.0, "muscle_hu": 90.0}, True, 0),
        ({"fat_hu": -79.0, "air_hu": -900.0}, True, 2),
        ({"air_hu": None, "fat_hu": None, "muscle_hu": None, "aorta_hu": None}, False, 0),
    ],
)
def test_tissues_off_their_usual_attenuation_are_told(changed, enhanced, told):
    warnings = calibration_warnings(replace(IN_ORDER, **changed), enhanced=enhanced)
    assert len(warnings) == told
    assert all(warning.startswith("calibration: ") for warning in warnings)
