from pathlib import Path

import numpy as np
import pytest
from dicom_files import SERIES_UID, STUDY_UID, ct_slice, found, write
from nifti_files import write_beside
from test_label_map import CT, LABELS, NAMES, NUMBERS

from screening.archive.header import read_header
from screening.archive.index import Series, Study
from screening.errors import Excluded, Exclusion
from screening.imaging.label_map_files import LumbarSettings, find_spine, label_maps_digest
from screening.imaging.lumbar import LevelCertainty, LumbarSpine

BUILT_IN = LumbarSpine((), LevelCertainty.UNCERTAIN, "as found in the image")
BESIDE = LumbarSettings(localizer="segmentation")


@pytest.fixture
def series(tmp_path: Path) -> Series:
    path = write(tmp_path / "patient/ct", "1.dcm", ct_slice())
    return Series(SERIES_UID, (read_header(found(path)),))


def find(series: Series, settings: LumbarSettings = BESIDE) -> LumbarSpine:
    return find_spine(series, CT, lambda volume: BUILT_IN, settings, Study(STUDY_UID, (series,)))


@pytest.mark.parametrize(
    "name", [f"ct/{SERIES_UID}.nii.gz", "ct/ct_seg.nii", "ct_seg.nii.gz", "ct/segmentation.nii.gz"]
)
def test_one_file_of_all_vertebrae_is_found_beside_the_series(series, tmp_path, name):
    write_beside(CT, LABELS, tmp_path / "patient" / name, NAMES)
    spine = find(series)
    assert [vertebra.level for vertebra in spine.vertebrae] == ["L1", "L2", "L3", "L4"]
    assert spine.certainty is LevelCertainty.CERTAIN


@pytest.mark.parametrize("folder", ["ct", "ct/segmentations", "ct_seg"])
def test_one_file_a_vertebra_is_put_together(series, tmp_path, folder):
    for level, number in NUMBERS.items():
        mask = np.equal(LABELS, number).astype(np.uint8)
        write_beside(CT, mask, tmp_path / "patient" / folder / f"vertebrae_{level}.nii.gz")
    write_beside(CT, np.zeros_like(LABELS), tmp_path / "patient" / folder / "vertebrae_T7.nii.gz")
    spine = find(series)
    assert [vertebra.level for vertebra in spine.vertebrae] == ["L1", "L2", "L3", "L4"]
    assert spine.certainty is LevelCertainty.CERTAIN


def test_masks_that_overlap_are_refused(series, tmp_path):
    for level in ("L1", "L2"):
        write_beside(CT, np.ones_like(LABELS), tmp_path / f"patient/ct/vertebrae_{level}.nii.gz")
    with pytest.raises(Excluded, match="overlaps another"):
        find(series)


def test_the_built_in_localiser_is_the_default(series, tmp_path):
    write_beside(CT, LABELS, tmp_path / "patient/ct/ct_seg.nii", NAMES)
    assert find(series, LumbarSettings()) == BUILT_IN


def test_without_a_label_map_the_facts_say_what_was_used_instead(series):
    assert find(series).detail == "no label map, built-in localiser: as found in the image"


def test_without_a_label_map_a_site_may_exclude(series):
    with pytest.raises(Excluded, match="none beside the series") as caught:
        find(series, LumbarSettings(localizer="segmentation", without_label_map="exclude"))
    assert caught.value.reason is Exclusion.NO_LABEL_MAP


def test_the_map_of_a_neighbouring_patient_is_not_taken(series, tmp_path):
    write_beside(CT, LABELS, tmp_path / "other/ct_seg.nii", NAMES)
    assert find(series).detail.startswith("no label map")


def test_of_several_maps_the_one_that_covers_the_volume_is_taken(series, tmp_path):
    write_beside(CT, LABELS, tmp_path / "patient/ct/a_seg.nii", NAMES)
    write_beside(CT, LABELS[:50], tmp_path / "patient/ct/b_seg.nii", NAMES)
    assert len(find(series).vertebrae) == 4
    write_beside(CT, LABELS, tmp_path / "patient/ct/c_seg.nii", NAMES)
    with pytest.raises(Excluded, match="2 of 3 label maps cover"):
        find(series)


def test_a_map_that_comes_or_changes_is_noticed(series, tmp_path):
    before = label_maps_digest([series], BESIDE)
    write_beside(CT, LABELS, tmp_path / "patient/ct_seg.nii.gz", NAMES)
    come = label_maps_digest([series], BESIDE)
    write_beside(CT, LABELS[:50], tmp_path / "patient/ct_seg.nii.gz", NAMES)
    changed = label_maps_digest([series], BESIDE)
    assert len({before, come, changed}) == 3
    assert label_maps_digest([series], BESIDE) == changed
