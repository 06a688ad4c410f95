import json
from pathlib import Path

import numpy as np
import pytest
from blocks_of_bone import block_spine
from dicom_files import SERIES_UID, STUDY_UID, ct_slice, found, write
from nifti_files import write_beside
from segmentation_files import segmentation, slices_of, study_of
from test_label_map import CT, LABELS, NAMES, NUMBERS, vertebra_labels

from screening.archive.header import read_header
from screening.archive.index import Series, Study
from screening.config import Settings
from screening.errors import Excluded, Exclusion, UserError
from screening.imaging.dicom_segmentation import VERTEBRAE
from screening.imaging.label_map_files import LumbarSettings, find_spine, label_maps_digest
from screening.imaging.lumbar import LevelCertainty, LumbarSpine

BUILT_IN = LumbarSpine((), LevelCertainty.UNCERTAIN, "as found in the image")
BESIDE = LumbarSettings(localizer="segmentation")
COARSE = block_spine({}, spacing_mm=3.0)
SEGMENTS = {"L4": 1, "L3": 2, "L2": 3, "L1": 4}


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


def liver():
    return np.ones_like(LABELS)


def test_a_mask_of_something_else_hides_no_vertebrae(series, tmp_path):
    write_beside(CT, liver(), tmp_path / "patient/ct/liver_seg.nii.gz")
    for level, number in NUMBERS.items():
        mask = np.equal(LABELS, number).astype(np.uint8)
        write_beside(CT, mask, tmp_path / f"patient/ct/vertebrae_{level}.nii.gz")
    assert [vertebra.level for vertebra in find(series).vertebrae] == ["L1", "L2", "L3", "L4"]


def test_a_mask_of_something_else_is_no_label_map(series, tmp_path):
    write_beside(CT, liver(), tmp_path / "patient/ct/liver_seg.nii.gz")
    write_beside(CT, np.zeros_like(LABELS), tmp_path / "patient/ct/vertebrae_L1.nii.gz")
    assert find(series).detail.startswith("no label map, built-in localiser")
    with pytest.raises(Excluded, match="names a vertebra") as caught:
        find(series, LumbarSettings(localizer="segmentation", without_label_map="exclude"))
    assert caught.value.reason is Exclusion.NO_LABEL_MAP


def test_a_mask_of_something_else_hides_no_segmentation_of_the_study(tmp_path):
    labels = vertebra_labels(SEGMENTS, COARSE)
    slices = slices_of(COARSE)
    coded = {number: (f"segment {number}", VERTEBRAE[level]) for level, number in SEGMENTS.items()}
    study, ct = study_of(tmp_path, *slices, segmentation(slices, labels, coded))
    write_beside(COARSE, np.ones_like(labels), tmp_path / "liver_seg.nii.gz")
    spine = find_spine(ct, COARSE, lambda volume: BUILT_IN, BESIDE, study)
    assert [vertebra.level for vertebra in spine.vertebrae] == ["L1", "L2", "L3", "L4"]


def test_a_file_that_cannot_be_read_is_a_reason_only_where_nothing_else_names_a_vertebra(series, tmp_path):
    damaged = tmp_path / "patient/ct/other_seg.nii"
    damaged.write_bytes(b"no label map")
    with pytest.raises(Excluded, match="not a single-file NIfTI") as caught:
        find(series)
    assert caught.value.reason is Exclusion.LABEL_MAP_UNUSABLE
    write_beside(CT, LABELS, tmp_path / "patient/ct_seg.nii.gz", NAMES)
    assert len(find(series).vertebrae) == 4


def test_a_damaged_mask_of_a_vertebra_is_a_reason(series, tmp_path):
    write_beside(CT, np.equal(LABELS, 29).astype(np.uint8), tmp_path / "patient/ct/vertebrae_L3.nii.gz")
    (tmp_path / "patient/ct/vertebrae_L2.nii").write_bytes(b"no label map")
    with pytest.raises(Excluded, match="not a single-file NIfTI"):
        find(series)


@pytest.mark.parametrize(
    "pattern",
    ["", "/maps/*.nii", "..//maps/*.nii", "../", ".", "{patient}.nii", "{series!r}.nii", "{}.nii", "{series.nii",
     "**.nii", "maps**/*.nii", "maps/\0.nii"],
)  # fmt: skip
def test_a_pattern_that_nothing_can_be_looked_for_with_is_a_mistake_of_the_settings(tmp_path, pattern):
    path = tmp_path / "screening.toml"
    path.write_text(f"[lumbar]\nlabel_maps = [{json.dumps(pattern)}]\n")
    with pytest.raises(UserError, match=r"setting lumbar\.label_maps"):
        Settings.load(path)


@pytest.mark.parametrize("pattern", ["**/*.nii", "../../maps/{folder}/**/{series}*.nii.gz", "[ab]*.nii", "a{{1}}.nii"])
def test_a_usable_pattern_is_looked_for(series, pattern):
    settings = LumbarSettings(localizer="segmentation", label_maps=(pattern,))
    assert find(series, settings).detail.startswith("no label map")


def test_a_series_whose_uid_is_no_name_of_a_file_has_no_map(tmp_path):
    path = write(tmp_path / "patient/ct", "1.dcm", ct_slice())
    assert find(Series("/etc", (read_header(found(path)),))).detail.startswith("no label map")


def test_a_map_that_vanishes_while_it_is_looked_at_counts_as_absent(series, tmp_path, monkeypatch):
    absent = label_maps_digest([series], BESIDE)
    path = write_beside(CT, LABELS, tmp_path / "patient/ct_seg.nii.gz", NAMES)
    monkeypatch.setattr(Path, "is_file", lambda file: vanish(file, path))
    assert label_maps_digest([series], BESIDE) == absent
    assert not path.exists()


def vanish(file: Path, vanishing: Path) -> bool:
    """Say that a file is there and take it away."""
    if file == vanishing:
        file.unlink()
    return file == vanishing


def test_a_map_of_a_later_pattern_is_noticed(series, tmp_path):
    write_beside(CT, liver(), tmp_path / "patient/ct/liver_seg.nii.gz")
    before = label_maps_digest([series], BESIDE)
    write_beside(CT, LABELS, tmp_path / "patient/ct_seg.nii.gz", NAMES)
    assert label_maps_digest([series], BESIDE) != before


def test_a_map_that_comes_or_changes_is_noticed(series, tmp_path):
    before = label_maps_digest([series], BESIDE)
    write_beside(CT, LABELS, tmp_path / "patient/ct_seg.nii.gz", NAMES)
    come = label_maps_digest([series], BESIDE)
    write_beside(CT, LABELS[:50], tmp_path / "patient/ct_seg.nii.gz", NAMES)
    changed = label_maps_digest([series], BESIDE)
    assert len({before, come, changed}) == 3
    assert label_maps_digest([series], BESIDE) == changed
