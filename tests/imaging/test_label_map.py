from dataclasses import replace

import numpy as np
import pytest
from blocks_of_bone import HALF_DEPTH_MM, HALF_WIDTH_MM, HEIGHT_MM, block_spine, centre_z
from nifti_files import affine_of, write_beside

from screening.errors import Excluded, Exclusion
from screening.imaging.label_map import label_map_of, spine_of_labels
from screening.imaging.lumbar import LevelCertainty
from screening.imaging.nifti import LabelImage, read_label_image

NUMBERS = {"L4": 28, "L3": 29, "L2": 30, "L1": 31}
NAMES = {number: f"vertebrae_{level}" for level, number in NUMBERS.items()}
CT = block_spine({}, spacing_mm=1.0)


def vertebra_labels(numbers=NUMBERS, volume=CT):
    """Label each block, with an arch and a spinous process that hangs below it."""
    index = np.stack(np.indices(volume.hu.shape), axis=-1).astype(np.float64)
    x, y, z = np.moveaxis(volume.patient_mm(index), -1, 0)
    labels = np.zeros(volume.hu.shape, dtype=np.uint8)
    for level, number in numbers.items():
        off = np.abs(z - centre_z(level))
        body = (off < HEIGHT_MM / 2) & (np.abs(y) < HALF_DEPTH_MM) & (np.abs(x) < HALF_WIDTH_MM)
        process = (np.abs(z - centre_z(level) + 12) < 10) & (np.abs(x) < 4) & (y > HALF_DEPTH_MM) & (y < 55)
        labels[body | process] = number
    return labels


LABELS = vertebra_labels()


def spine_of(labels=LABELS, names=NAMES, volume=CT, affine=None):
    canonical = affine_of(volume) if affine is None else affine
    return spine_of_labels(label_map_of(LabelImage(labels.astype(np.int16), dict(names), canonical)), volume)


def levels_and_places(spine):
    return {
        vertebra.level: (*vertebra.centre_mm, vertebra.upper_z_mm, vertebra.lower_z_mm) for vertebra in spine.vertebrae
    }


PLACES = levels_and_places(spine_of())
APPROXIMATELY_THE_SAME = {level: pytest.approx(place, abs=0.01) for level, place in PLACES.items()}


def test_bodies_of_named_labels_are_found_without_their_arches():
    spine = spine_of()
    assert spine.certainty is LevelCertainty.CERTAIN
    assert [vertebra.level for vertebra in spine.vertebrae] == ["L1", "L2", "L3", "L4"]
    for vertebra in spine.vertebrae:
        z = centre_z(vertebra.level)
        assert vertebra.centre_mm == pytest.approx((0.0, 0.0, z), abs=1.0)
        assert (vertebra.upper_z_mm, vertebra.lower_z_mm) == pytest.approx((z + 13.5, z - 13.5), abs=1.0)
        assert vertebra.confidence == 1.0


def test_the_order_of_axes_in_the_file_does_not_matter(tmp_path):
    image = read_label_image(write_beside(CT, LABELS, tmp_path / "map.nii.gz", NAMES))
    assert image.labels.shape == CT.hu.shape[::-1]
    assert levels_and_places(spine_of_labels(label_map_of(image), CT)) == APPROXIMATELY_THE_SAME


def test_flipped_and_exchanged_axes_give_the_same_bodies():
    flipped = LABELS[::-1, :, ::-1].transpose(1, 2, 0)
    affine = affine_of(CT)
    last = np.array(CT.hu.shape) - 1
    affine[:3, 3] += affine[:3, 0] * last[0] + affine[:3, 2] * last[2]
    affine[:, [0, 2]] *= -1
    assert levels_and_places(spine_of(flipped, affine=affine[:, [1, 2, 0, 3]])) == APPROXIMATELY_THE_SAME


def test_bare_numbers_are_certain_only_where_no_other_version_has_them():
    bare = spine_of(names={})
    later = LABELS.copy()
    later[0, 0, 0] = 105
    assert bare.vertebrae == spine_of().vertebrae
    assert bare.certainty is LevelCertainty.UNCERTAIN
    assert "no known version" in bare.detail
    assert spine_of(later, names={}).certainty is LevelCertainty.CERTAIN


@pytest.mark.parametrize(
    ("numbers", "doubt"),
    [
        ({"L4": 28, "L3": 29, "L1": 31}, "levels missing in between"),
        ({"L4": 28, "L3": 30, "L2": 29, "L1": 31}, "levels out of order"),
        ({"L4": 28, "L3": 29, "L1": 30}, "distances uneven"),
    ],
)
def test_names_that_contradict_anatomy_are_uncertain(numbers, doubt):
    spine = spine_of(vertebra_labels(numbers))
    assert spine.certainty is LevelCertainty.UNCERTAIN
    assert doubt in spine.detail


def test_two_bodies_at_the_usual_distance_are_certain():
    spine = spine_of(vertebra_labels({"L3": 29, "L2": 30}))
    assert [vertebra.level for vertebra in spine.vertebrae] == ["L2", "L3"]
    assert spine.certainty is LevelCertainty.CERTAIN


@pytest.mark.parametrize(
    "numbers", [{"L4": 28, "L1": 29}, {"L4": 28, "L2": 29}], ids=["two bodies between", "one body between"]
)
def test_two_bodies_that_cannot_be_neighbours_are_uncertain(numbers):
    spine = spine_of(vertebra_labels(numbers))
    assert [vertebra.level for vertebra in spine.vertebrae] == ["L3", "L4"]
    assert spine.certainty is LevelCertainty.UNCERTAIN
    assert "distances uneven" in spine.detail


def test_two_bodies_in_exchanged_places_are_uncertain():
    spine = spine_of(vertebra_labels({"L4": 30, "L3": 28}))
    assert spine.certainty is LevelCertainty.UNCERTAIN
    assert "levels out of order" in spine.detail


def test_two_labels_of_one_name_are_refused():
    with pytest.raises(Excluded, match="several labels named L4$") as caught:
        spine_of(names=NAMES | {29: "vertebrae_L4"})
    assert caught.value.reason is Exclusion.LABEL_MAP_UNUSABLE


@pytest.mark.parametrize("number", [0, -3, 32, 10**9])
def test_a_name_of_a_number_that_no_label_has_counts_for_nothing(number):
    assert levels_and_places(spine_of(names=NAMES | {number: "vertebrae_L4"})) == APPROXIMATELY_THE_SAME


def test_a_name_given_to_two_bodies_is_uncertain():
    labels = np.where(LABELS == 31, 28, LABELS)
    spine = spine_of(labels)
    assert spine.certainty is LevelCertainty.UNCERTAIN
    assert "in pieces: L4" in spine.detail


def test_a_body_cut_by_the_edge_is_left_out():
    first = int(CT.index(np.array([0.0, 0.0, 5.0]))[0])
    cut = replace(CT, hu=CT.hu[first:], origin_mm=(*CT.origin_mm[:2], CT.origin_mm[2] + first))
    spine = spine_of(LABELS[first:], volume=cut)
    assert [vertebra.level for vertebra in spine.vertebrae] == ["L1", "L2", "L3"]
    assert "left out: L4" in spine.detail


def moved(mm: float):
    affine = affine_of(CT)
    affine[2, 3] += mm
    return affine


def test_a_map_that_lies_elsewhere_is_refused():
    assert len(spine_of(affine=moved(1.9)).vertebrae) == 4
    with pytest.raises(Excluded, match="corners lie up to 2.1 mm off") as caught:
        spine_of(affine=moved(2.1))
    assert caught.value.reason is Exclusion.LABEL_MAP_UNUSABLE


def test_a_map_of_part_of_the_volume_is_refused():
    with pytest.raises(Excluded, match="corners lie"):
        spine_of(LABELS[:-20])


def test_a_map_without_bone_in_its_labels_is_refused():
    with pytest.raises(Excluded, match="0 HU above its surroundings"):
        spine_of(volume=replace(CT, hu=np.full_like(CT.hu, 40)))


def shifted(mm: int):
    """The CT, and its spine, to the left of the middle."""
    return replace(CT, hu=np.roll(CT.hu, mm, axis=2))


def test_a_map_mirrored_left_to_right_is_refused_where_the_spine_is_off_the_middle():
    volume = shifted(5)
    labels = np.roll(LABELS, 5, axis=2)
    assert len(spine_of(labels, volume=volume).vertebrae) == 4
    with pytest.raises(Excluded, match="HU more when mirrored left to right"):
        spine_of(labels[:, :, ::-1], volume=volume)


def test_a_mirrored_map_of_a_spine_in_the_middle_names_the_same_bodies():
    assert levels_and_places(spine_of(LABELS[:, :, ::-1])) == APPROXIMATELY_THE_SAME


def test_one_lumbar_body_is_not_enough():
    with pytest.raises(Excluded, match="fewer than 2"):
        spine_of(vertebra_labels({"L4": 28}))


def test_a_map_without_vertebrae_is_a_reason():
    with pytest.raises(Excluded, match="fewer than 2"):
        spine_of(np.zeros_like(LABELS))
