import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from nifti_files import nifti

from screening.errors import Excluded, Exclusion
from screening.imaging.nifti import read_label_image

SHARED = Path(__file__).parents[3] / "shared/data"
LABELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
RAS = np.array([[2.0, 0, 0, 10], [0, 3, 0, 20], [0, 0, 5, 30], [0, 0, 0, 1]])


def read(tmp_path: Path, content: bytes):
    path = tmp_path / "map.nii"
    path.write_bytes(content)
    return read_label_image(path)


def test_voxels_names_and_place_are_read_and_turned_to_dicom_axes(tmp_path):
    image = read(tmp_path, nifti(LABELS, RAS, {27: "vertebrae_L5"}))
    assert (image.labels == LABELS).all()
    assert image.names == {27: "vertebrae_L5"}
    assert image.affine.tolist() == [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 5, 30], [0, 0, 0, 1]]


def test_gzip_and_floating_labels_read_the_same(tmp_path):
    image = read(tmp_path, gzip.compress(nifti(LABELS.astype("f4"), RAS)))
    assert (image.labels == LABELS).all()
    assert image.names == {}


def begins_at(content: bytes, offset: float) -> bytes:
    return content[:108] + struct.pack("<f", offset) + content[112:]


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "not a single-file NIfTI"),
        (b"SECRET^NAME" * 50, "not a single-file NIfTI"),
        (nifti(LABELS, RAS)[:360], "cannot be read"),
        (gzip.compress(nifti(LABELS, RAS), mtime=0)[:-20], "cannot be read"),
        (nifti(LABELS.astype("f4") + np.float32(0.5), RAS), "fractions"),
        (nifti(LABELS.astype("i2") - np.int16(1), RAS), "no labels"),
        (begins_at(nifti(LABELS, RAS), 351.0), "voxels at byte 351"),
        (begins_at(nifti(LABELS, RAS), 0.0), "voxels at byte 0"),
        (begins_at(nifti(LABELS, RAS), float("nan")), "voxels at byte nan"),
        (begins_at(nifti(LABELS, RAS), float("inf")), "voxels at byte inf"),
        (nifti(LABELS, RAS, sform=0), "where in the patient"),
        (nifti(LABELS, RAS * [[0], [1], [1], [1]]), "impossible geometry"),
    ],
)
def test_what_is_no_label_image_is_a_reason(tmp_path, content, detail):
    with pytest.raises(Excluded, match=detail) as caught:
        read(tmp_path, content)
    assert caught.value.reason is Exclusion.LABEL_MAP_UNUSABLE
    assert "SECRET" not in str(caught.value)


def test_a_real_file_reads_as_by_a_second_reader():
    nibabel = pytest.importorskip("nibabel", reason="nibabel is the second reader")
    path = SHARED / "ct/totalsegmentator_native/example_seg_fast_force_split.nii.gz"
    if not path.exists():
        pytest.skip("needs the shared label maps")
    image, other = read_label_image(path), nibabel.load(path)
    assert (image.labels == np.asarray(other.dataobj)).all()
    assert np.allclose(image.affine[2], other.affine[2]) and np.allclose(image.affine[:2], -other.affine[:2])
    assert (image.names[27], image.names[32]) == ("vertebrae_L5", "vertebrae_T12")
