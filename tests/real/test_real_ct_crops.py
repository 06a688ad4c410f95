import gzip
import struct

import numpy as np
import pytest
from real_ct import read_nifti


def nifti_bytes(voxels, affine_rows):
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *voxels.shape, 1, 1, 1, 1)
    struct.pack_into("<h", header, 70, 4)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)
    struct.pack_into("<12f", header, 280, *np.ravel(affine_rows))
    return gzip.compress(bytes(header) + voxels.astype("<i2").tobytes(order="F"))


def test_a_nifti_image_is_turned_to_the_canonical_order(tmp_path):
    voxels = np.zeros((4, 5, 6))
    voxels[1, 2, 3] = 500  # RAS mm: 10 + 1 * 2, 20 + 2 * 3, 30 + 3 * 4
    path = tmp_path / "image.nii.gz"
    path.write_bytes(nifti_bytes(voxels, [[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30]]))

    volume = read_nifti(path)

    bright = np.argwhere(volume.hu == 500)
    assert volume.spacing_mm == pytest.approx((4.0, 3.0, 2.0))
    assert volume.patient_mm(bright)[0] == pytest.approx([-12.0, -26.0, 42.0])
    assert np.all(np.diag(volume.axes[:, ::-1]) == 1)
