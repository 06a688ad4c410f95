import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_files import found
from synthetic_spine import volume

from screening.archive.header import read_header
from screening.archive.index import Series
from screening.errors import Excluded, Exclusion
from screening.imaging.hounsfield import read_volume
from screening.imaging.lumbar import LevelCertainty, find_lumbar_spine
from screening.simulation.anatomy import draw_anatomy
from screening.simulation.cohort import Stream, draw_patient
from screening.simulation.densitometer import measure_levels
from screening.simulation.scanner import draw_protocol, reconstruct, scan

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "screening/demo_data/totalsegmentator_example"
DEMO_TRUTH = REPOSITORY / "tests/data/totalsegmentator_example_truth.csv"
SHARED = REPOSITORY.parent / "shared/data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="real CT collection is not here")


def read(folder):
    instances = tuple(read_header(found(path)) for path in sorted(folder.glob("*.dcm")))
    return read_volume(Series(instances[0].series_instance_uid, instances))


@pytest.fixture(scope="module")
def demo():
    return read(DEMO)


def crop(whole, lowest_mm, highest_mm):
    first, last = (int(height / whole.spacing_mm[0]) for height in (lowest_mm, highest_mm))
    raised = np.asarray(whole.origin_mm) + first * whole.spacing_mm[0] * whole.axes[0]
    return replace(whole, hu=whole.hu[first:last], origin_mm=tuple(raised))


def errors_mm(spine, truth):
    return [np.linalg.norm(np.subtract(v.centre_mm, truth[v.level])) for v in spine.vertebrae if v.level in truth]


def demo_centres():
    with DEMO_TRUTH.open() as file:
        return {
            row["level"]: tuple(float(row[key]) for key in ("x_mm", "y_mm", "z_mm")) for row in csv.DictReader(file)
        }


def collection():
    if not SHARED.is_dir():
        return {}
    with (SHARED / "lumbar_truth.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["z_centre_mm"] and not row["path"].endswith(".nii.gz")]
    keys = ("x_mm", "y_mm", "z_centre_mm")
    paths = dict.fromkeys(row["path"] for row in rows)
    return {
        path: {row["level"]: tuple(float(row[key]) for key in keys) for row in rows if row["path"] == path}
        for path in paths
        if (SHARED / path).is_dir() and list((SHARED / path).glob("*.dcm"))
    }


def simulated(number):
    """CT of a simulated person from S2 to T10 and the true centres of L1 to L4."""
    patient = draw_patient(3, 1, number)
    anatomy = draw_anatomy(patient)
    protocol = replace(draw_protocol(patient, anatomy, 192), thickness_mm=3.0, spacing_mm=3.0)
    z = np.arange(anatomy.spine.level("S2").centre_mm[2], anatomy.spine.level("T10").centre_mm[2], 3.0)
    hu = reconstruct(scan(anatomy, protocol, z), protocol, patient, protocol.kernel, patient.rng(Stream.NOISE))
    x, y = protocol.axes_mm()
    ct = volume(hu, (3.0, protocol.pixel_mm, protocol.pixel_mm), (float(x[0]), float(y[0]), float(z[0])))
    levels = measure_levels(anatomy.spine, anatomy.vessels.calcium)
    return ct, {level.level: tuple(level.centre_mm) for level in levels}


def test_a_native_ct_is_named_as_its_label_map(demo):
    spine = find_lumbar_spine(demo)

    assert spine.certainty is LevelCertainty.CERTAIN
    assert [vertebra.level for vertebra in spine.vertebrae] == ["L1", "L2", "L3", "L4", "L5"]
    assert max(errors_mm(spine, demo_centres())) < 10
    assert "T12" in spine.detail


def test_end_plates_enclose_the_centre_and_do_not_overlap(demo):
    vertebrae = find_lumbar_spine(demo).vertebrae

    heights = [z for v in vertebrae for z in (v.upper_z_mm, v.centre_mm[2], v.lower_z_mm)]
    assert heights == sorted(heights, reverse=True)
    assert all(20 < v.upper_z_mm - v.lower_z_mm < 32 for v in vertebrae)


def test_noise_and_thick_slices_do_not_change_the_names(demo):
    hu = demo.hu[: len(demo.hu) // 2 * 2].reshape(-1, 2, *demo.hu.shape[1:]).mean(axis=1)
    hu += np.random.default_rng(5).normal(0, 40, hu.shape)
    raised = np.asarray(demo.origin_mm) + demo.axes[0] * demo.spacing_mm[0] / 2
    thick = replace(
        demo, hu=hu.astype(np.int16), spacing_mm=(6.0, *demo.spacing_mm[1:]), origin_mm=tuple(raised.tolist())
    )

    spine = find_lumbar_spine(thick)

    assert max(errors_mm(spine, demo_centres())) < 12


def test_a_mirrored_patient_is_named_alike(demo):
    spine = find_lumbar_spine(replace(demo, hu=demo.hu[:, :, ::-1]))

    assert [vertebra.level for vertebra in spine.vertebrae] == ["L1", "L2", "L3", "L4", "L5"]


def test_ribs_without_the_sacrum_name_the_levels(demo):
    spine = find_lumbar_spine(crop(demo, 150, 340))

    assert spine.certainty is LevelCertainty.CERTAIN
    assert max(errors_mm(spine, demo_centres())) < 10


def test_a_body_cut_in_the_middle_is_not_reported(demo):
    """Bone of low density ends at the edge as it does at an end plate; its distance to the next body tells."""
    middle_of_l2 = demo_centres()["L2"][2] - demo.origin_mm[2]

    spine = find_lumbar_spine(crop(demo, 40, middle_of_l2 + 6))

    assert max(errors_mm(spine, demo_centres())) < 10
    assert "L2" not in {vertebra.level for vertebra in spine.vertebrae}


def test_a_window_without_sacrum_and_ribs_is_not_certain(demo):
    spine = find_lumbar_spine(crop(demo, 172, 282))

    assert spine.certainty is LevelCertainty.UNCERTAIN


def test_pelvis_and_thighs_hold_no_certain_lumbar_level(demo):
    with pytest.raises(Excluded) as caught:
        find_lumbar_spine(crop(demo, 0, 150))

    assert caught.value.reason is Exclusion.NO_LUMBAR


def test_a_patient_upside_down_is_not_certain(demo):
    with pytest.raises(Excluded) as caught:
        find_lumbar_spine(replace(demo, hu=demo.hu[::-1]))

    assert caught.value.reason is Exclusion.NO_LUMBAR


@pytest.mark.parametrize(
    "hu",
    [
        np.full((120, 160, 160), -1000),
        np.zeros((120, 160, 160)),
        np.random.default_rng(2).normal(50, 40, (120, 160, 160)),
        np.random.default_rng(3).normal(0, 300, (120, 160, 160)),
    ],
    ids=["air", "water", "quiet noise", "loud noise"],
)
def test_where_there_is_no_spine_none_is_found(hu):
    with pytest.raises(Excluded) as caught:
        find_lumbar_spine(volume(hu))

    assert caught.value.reason is Exclusion.NO_LUMBAR


@pytest.mark.parametrize("number", [1, 2, 3])
def test_simulated_people_are_named_as_drawn(number):
    ct, centres = simulated(number)

    spine = find_lumbar_spine(ct)

    assert {"L1", "L2", "L3", "L4"} <= {vertebra.level for vertebra in spine.vertebrae}
    assert max(errors_mm(spine, centres)) < 6


@needs_shared
@pytest.mark.parametrize("path", collection())
def test_real_ct_is_named_as_by_hand(path):
    truth = collection()[path]

    spine = find_lumbar_spine(read(SHARED / path))

    assert spine.certainty is LevelCertainty.CERTAIN
    assert {vertebra.level for vertebra in spine.vertebrae} == set(truth)
    assert np.median(errors_mm(spine, truth)) < 4
    assert max(errors_mm(spine, truth)) < 10


@needs_shared
def test_head_and_chest_hold_no_lumbar_level():
    with pytest.raises(Excluded) as caught:
        find_lumbar_spine(read(SHARED / "ct/acrin_001_head_chest"))

    assert caught.value.reason is Exclusion.NO_LUMBAR
