"""Vertebrae of a DICOM segmentation written by highdicom are those of the label map that it was made of."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from blocks_of_bone import block_spine
from dicom_files import SERIES_UID, STUDY_UID
from highdicom.seg import SegmentationTypeValues
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from segmentation_files import VERTEBRA, moved, segmentation, slices_of, study_of
from test_label_map import vertebra_labels

from screening.errors import Excluded, Exclusion
from screening.imaging.dicom_segmentation import VERTEBRAE, segmentations_of, segmented_vertebrae
from screening.imaging.label_map import spine_of_labels
from screening.imaging.lumbar import LEVELS, LevelCertainty

CT = block_spine({}, spacing_mm=3.0)
SEGMENTS = {1: "L4", 2: "L3", 3: "L2", 4: "L1"}
LABELS = vertebra_labels({level: number for number, level in SEGMENTS.items()}, CT)
CODED = {number: (f"segment {number}", VERTEBRAE[level]) for number, level in SEGMENTS.items()}
EXPECTED = np.array([0, *(1 + LEVELS.index(level) for level in SEGMENTS.values())])[LABELS]
SLICES = slices_of(CT)
DISC = Code("360499006", "SCT", "Intervertebral disc")


def written(labels=LABELS, described=CODED, kind=SegmentationTypeValues.BINARY, slices=SLICES) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom remarks on the made-up patient
        return segmentation(slices, labels, described, kind)


def read(folder, *objects: Dataset, volume=CT, slices=SLICES[:1]):
    study, series = study_of(folder, *slices, *objects)
    return segmented_vertebrae(segmentations_of(study), series, volume)


@pytest.mark.parametrize("kind", [SegmentationTypeValues.BINARY, SegmentationTypeValues.LABELMAP])
def test_coded_segments_are_the_vertebrae_they_were_made_of(tmp_path, kind):
    labels = read(tmp_path, written(kind=kind))

    assert (labels.codes == EXPECTED).all()
    spine = spine_of_labels(labels, CT)
    assert [vertebra.level for vertebra in spine.vertebrae] == ["L1", "L2", "L3", "L4"]
    assert spine.certainty is LevelCertainty.CERTAIN


def test_slices_from_the_head_and_columns_from_the_left_are_the_same_vertebrae(tmp_path):
    turned = slices_of(CT, cranial_first=True)
    labels = read(tmp_path, written(LABELS[::-1, :, ::-1], slices=turned), slices=turned[:1])
    assert (labels.codes == EXPECTED).all()


@pytest.mark.parametrize("name", ["vertebrae_{}", "{} vertebra", "Vertebra {}", "{}"])
def test_a_label_names_a_vertebra_where_no_code_does(tmp_path, name):
    described = {number: (name.format(level), VERTEBRA) for number, level in SEGMENTS.items()}
    assert (read(tmp_path, written(described=described)).codes == EXPECTED).all()


def test_retired_codes_and_regions_name_vertebrae(tmp_path):
    dataset = written(described={1: ("one", Code("T-11940", "SRT", "L4")), 2: ("two", VERTEBRA)}, labels=LABELS % 3)
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "36470004", "SCT", "L3 vertebra"
    dataset.SegmentSequence[1].AnatomicRegionSequence = [region]

    assert set(np.unique(read(tmp_path, dataset).codes)) == {0, 1 + LEVELS.index("L4"), 1 + LEVELS.index("L3")}


@pytest.mark.parametrize(("label", "code"), [("L1", DISC), ("L1-L2", VERTEBRA), ("segment", VERTEBRA)])
def test_discs_and_the_like_are_no_vertebrae(tmp_path, label, code):
    assert read(tmp_path, written((LABELS == 4).astype(np.uint8), {1: (label, code)})) is None


def test_an_object_about_another_series_is_left_alone(tmp_path):
    other = written()
    other.ReferencedSeriesSequence[0].SeriesInstanceUID = f"{SERIES_UID}.7"
    assert read(tmp_path, other) is None
    assert read(tmp_path / "without") is None


def test_one_object_a_vertebra_is_put_together(tmp_path):
    single = [written((number == LABELS).astype(np.uint8), {1: CODED[number]}) for number in SEGMENTS]
    for number, dataset in enumerate(single):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{STUDY_UID}.2.{number}"
    assert (read(tmp_path, *single).codes == EXPECTED).all()


def test_an_object_without_pixels_of_the_vertebrae_it_describes_is_about_something_else(tmp_path):
    dataset = written((LABELS == 1).astype(np.uint8), {1: CODED[1]})
    dataset.SharedFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 2
    assert read(tmp_path / "no frame", dataset) is None
    empty = written()
    empty.PixelData = bytes(len(empty.PixelData))
    assert read(tmp_path / "empty frames", empty) is None


def test_a_vertebra_without_pixels_may_come_from_another_object(tmp_path):
    described_only = written((LABELS == 1).astype(np.uint8), CODED)
    numbered = {number - 1: CODED[number] for number in (2, 3, 4)}
    others = written(np.where(LABELS > 1, LABELS - 1, 0).astype(np.uint8), numbered)
    others.SOPInstanceUID = others.file_meta.MediaStorageSOPInstanceUID = f"{STUDY_UID}.2.2"
    assert (read(tmp_path, described_only, others).codes == EXPECTED).all()


def refused(folder, *objects: Dataset, volume=CT) -> str:
    with pytest.raises(Excluded) as caught:
        read(folder, *objects, volume=volume)
    assert caught.value.reason is Exclusion.LABEL_MAP_UNUSABLE
    return caught.value.detail


def test_fractions_are_refused(tmp_path):
    whole = {1: CODED[1]}
    assert "FRACTIONAL" in refused(tmp_path, written(LABELS, whole, SegmentationTypeValues.FRACTIONAL))


def test_two_versions_of_a_vertebra_are_refused(tmp_path):
    second = written()
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = f"{STUDY_UID}.2.2"
    assert refused(tmp_path, written(), second) == "several segments named L1 L2 L3 L4"


def test_a_code_that_contradicts_its_label_is_refused(tmp_path):
    described = {1: ("vertebrae_L3", VERTEBRAE["L4"])}
    assert refused(tmp_path, written((LABELS == 1).astype(np.uint8), described)) == "one segment named L3 and L4"


def test_another_grid_is_refused(tmp_path):
    thicker = replace(CT, hu=CT.hu[::2], spacing_mm=(6.0, 1.0, 1.0))
    assert refused(tmp_path / "thicker", written(), volume=thicker).endswith("another grid than the CT")
    assert refused(tmp_path / "moved", written(), volume=moved(CT, 400.0)).endswith("reaches beyond the CT")
    assert read(tmp_path / "near", written(), volume=moved(CT, 0.4)) is not None


@pytest.mark.parametrize(
    "keyword", ["PixelData", "SegmentSequence", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"]
)
def test_a_damaged_object_is_refused(tmp_path, keyword):
    broken = written()
    delattr(broken, keyword)
    assert "cannot be read" in refused(tmp_path, broken)
