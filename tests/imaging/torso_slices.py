"""A torso whose attenuation is a known function of the place, scanned in any orientation, as DICOM slices."""

import numpy as np
import pytest
from dicom_files import ct_slice, found, write

from screening.archive.header import read_header
from screening.archive.index import Series
from screening.errors import Excluded
from screening.imaging.hounsfield import read_volume

SHAPE = (5, 40, 48)  # slices, rows, columns
SPACING = (4.0, 2.5, 2.0)
SUPINE = (1, 0, 0, 0, 1, 0)


def hu_at(points_mm):
    """A torso whose attenuation is a known function of patient x, y, z: a slope inside, air around."""
    x, y, z = np.moveaxis(points_mm, -1, 0)
    inside = (x / 40) ** 2 + (y / 40) ** 2 < 1
    return np.where(inside, np.rint(x + 2 * y + z), -1000).astype(np.int16)


def stack(cosines=SUPINE, step_mm=SPACING[0], lean_mm=(0.0, 0.0, 0.0)):
    """Patient positions (slices, rows, columns, 3) of a stack centred on the origin."""
    along_row, along_column = np.array(cosines[:3], float), np.array(cosines[3:], float)
    normal = np.cross(along_row, along_column)
    k, r, c = (np.arange(n) - (n - 1) / 2 for n in SHAPE)
    slices = k[:, None] * (step_mm * normal + np.array(lean_mm))
    rows, columns = r[:, None] * SPACING[1] * along_column, c[:, None] * SPACING[2] * along_row
    return slices[:, None, None] + rows[None, :, None] + columns[None, None]


def slice_file(folder, number, points_mm, cosines=SUPINE, **elements):
    hu = hu_at(points_mm)
    values = {
        "Rows": SHAPE[1],
        "Columns": SHAPE[2],
        "PixelSpacing": [SPACING[1], SPACING[2]],
        "SliceThickness": SPACING[0],
        "ImagePositionPatient": [round(float(mm), 4) for mm in points_mm[0, 0]],
        "ImageOrientationPatient": list(cosines),
        "PixelData": hu.tobytes(),
    }
    return write(folder, f"{number:02d}", ct_slice(number, **(values | elements)))


def series(*paths):
    return Series("2.25.1.1", tuple(read_header(found(path)) for path in paths))


def series_of(folder, cosines=SUPINE, **elements):
    points = stack(cosines)
    return series(*(slice_file(folder, k, points[k], cosines, **elements) for k in range(SHAPE[0])))


def reason(of_series):
    with pytest.raises(Excluded) as raised:
        read_volume(of_series)
    return raised.value.reason
