from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_files import ct_slice, found, write
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from screening.archive.header import read_header
from screening.archive.index import Series
from screening.errors import Excluded, Exclusion
from screening.imaging.hounsfield import read_slice_hu, read_volume

ZOO = Path(__file__).parents[3] / "shared/data/zoo"
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


TURNS = {
    "head first supine": SUPINE,
    "feet first or mirrored columns": (-1, 0, 0, 0, 1, 0),
    "mirrored rows": (1, 0, 0, 0, -1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "decubitus": (0, 1, 0, -1, 0, 0),
    "decubitus, other side": (0, -1, 0, 1, 0, 0),
    "rows and columns exchanged": (0, 1, 0, 1, 0, 0),
    "oblique by 11 degrees": (0.98, 0, -0.198997487, 0, 1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
}


@pytest.mark.parametrize("cosines", TURNS.values(), ids=TURNS.keys())
@pytest.mark.parametrize("backwards", [False, True])
def test_every_voxel_lies_where_the_scanner_put_it(tmp_path, cosines, backwards):
    given = series_of(tmp_path, cosines)
    volume = read_volume(Series("2.25.1.1", given.instances[:: -1 if backwards else 1]))

    indices = np.moveaxis(np.indices(volume.hu.shape), 0, -1).astype(float)
    assert_array_equal(volume.hu, hu_at(np.round(volume.patient_mm(indices), 3)))
    assert_allclose(volume.index(volume.patient_mm(indices)), indices, atol=1e-9)


@pytest.mark.parametrize("cosines", TURNS.values(), ids=TURNS.keys())
def test_axes_run_to_the_head_to_the_back_and_to_the_left(tmp_path, cosines):
    axes = read_volume(series_of(tmp_path, cosines)).axes

    assert np.all(axes[[0, 1, 2], [2, 1, 0]] > 0.9)


def test_geometry_and_exposure_come_from_the_header(tmp_path):
    volume = read_volume(series_of(tmp_path))

    assert volume.hu.dtype == np.int16
    assert volume.spacing_mm == pytest.approx(SPACING)
    assert volume.slice_thickness_mm == 4.0
    assert volume.kvp_kv == 120.0


def test_thickness_unknown_is_the_step_between_slices(tmp_path):
    volume = read_volume(series_of(tmp_path, SliceThickness=None))

    assert volume.slice_thickness_mm == pytest.approx(4.0)


def test_differing_tube_voltage_is_unknown(tmp_path):
    given = series_of(tmp_path)
    changed = Series("2.25.1.1", (replace(given.instances[0], kvp_kv=100.0), *given.instances[1:]))

    assert read_volume(changed).kvp_kv is None


def test_stored_values_are_rescaled_slice_by_slice(tmp_path):
    points = stack()
    files = [
        slice_file(
            tmp_path,
            k,
            points[k],
            RescaleSlope="0.5",
            RescaleIntercept=str(-1024 - k),
            PixelData=(2 * (hu_at(points[k]).astype(np.int32) + 1024 + k)).astype(np.uint16).tobytes(),
            PixelRepresentation=0,
        )
        for k in range(SHAPE[0])
    ]

    assert_array_equal(read_volume(series(*files)).hu, hu_at(points))


def test_padding_and_values_outside_the_circle_become_air(tmp_path):
    picture = hu_at(stack()[2])
    picture[:3] = -2000
    picture[3, :20] = 500
    path = slice_file(tmp_path, 1, stack()[2], PixelData=picture.tobytes(), PixelPaddingValue=500)

    hu = read_slice_hu(read_header(found(path)))

    assert np.all(hu[:3] == -1024)
    assert np.all(hu[3, :20] == -1024)
    assert_array_equal(hu[4:], picture[4:])


def test_a_padding_value_that_only_tissue_has_pads_nothing(tmp_path):
    picture = hu_at(stack()[2])
    path = slice_file(tmp_path, 1, stack()[2], PixelData=picture.tobytes(), PixelPaddingValue=0)

    assert np.any(picture == 0)
    assert_array_equal(read_slice_hu(read_header(found(path))), picture)


def test_padding_range_is_honoured(tmp_path):
    picture = hu_at(stack()[2])
    picture[:2], picture[2] = 1990, 2000
    path = slice_file(
        tmp_path, 1, stack()[2], PixelData=picture.tobytes(), PixelPaddingValue=2000, PixelPaddingRangeLimit=1980
    )

    assert np.all(read_slice_hu(read_header(found(path)))[:3] == -1024)


TWELVE_BITS = {"BitsStored": 12, "HighBit": 11}


def test_twelve_bits_without_their_sign_extended_are_still_signed(tmp_path):
    picture = hu_at(stack()[2])
    path = slice_file(
        tmp_path, 1, stack()[2], PixelData=(picture & 0x0FFF).tobytes(), PixelRepresentation=1, **TWELVE_BITS
    )

    assert_array_equal(read_slice_hu(read_header(found(path))), picture)


def test_an_overlay_in_the_unused_bits_is_not_part_of_the_values(tmp_path):
    picture = hu_at(stack()[2])
    with_overlay = (picture + 1024).astype(np.uint16) | np.uint16(0x8000)
    path = slice_file(
        tmp_path,
        1,
        stack()[2],
        PixelData=with_overlay.tobytes(),
        PixelRepresentation=0,
        RescaleIntercept="-1024",
        **TWELVE_BITS,
    )

    assert_array_equal(read_slice_hu(read_header(found(path))), picture)


CONTRADICTIONS = {
    "values that do not end at the lowest bit": {"BitsStored": 12, "HighBit": 15},
    "more bits stored than allocated": {"BitsStored": 17, "HighBit": 16},
    "bits of no byte": {"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11},
    "fewer bits than there are": {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
    "more rows than there are": {"Rows": SHAPE[1] + 1},
    "no sign": {"PixelRepresentation": None},
    "a sign of its own": {"PixelRepresentation": 7},
}


@pytest.mark.parametrize("elements", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_header_that_contradicts_its_picture_is_undecodable(tmp_path, elements):
    assert reason(series_of(tmp_path, **elements)) is Exclusion.UNDECODABLE


COMPRESSED = {"JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless, "RLE": RLELossless}
UNCOMPRESSED = {
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
}


@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED.keys())
def test_lossless_compression_keeps_every_value(tmp_path, syntax):
    points = stack()[2]
    dataset = ct_slice(1, Rows=SHAPE[1], Columns=SHAPE[2])
    dataset.compress(syntax, hu_at(points), generate_instance_uid=False)

    assert_array_equal(read_slice_hu(read_header(found(write(tmp_path, "a", dataset)))), hu_at(points))


@pytest.mark.parametrize("syntax", UNCOMPRESSED.values(), ids=UNCOMPRESSED.keys())
def test_byte_order_and_deflation_keep_every_value(tmp_path, syntax):
    stored = hu_at(stack()[2]).astype(">i2" if syntax == ExplicitVRBigEndian else "<i2")
    dataset = ct_slice(1, Rows=SHAPE[1], Columns=SHAPE[2], PixelData=stored.tobytes())
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = syntax

    assert_array_equal(read_slice_hu(read_header(found(write(tmp_path, "a", dataset)))), stored)


SYNTAX_FILES = ZOO / "cornerstone_ct_syntaxes"
LOSSLESS_FILES = (
    "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm",
    "CTImage.dcm_BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm",
    "CTImage.dcm_DeflatedExplicitVRLittleEndianTransferSyntax_1.2.840.10008.1.2.1.99.dcm",
    "CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm",
    "CTImage.dcm_JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80.dcm",
    "CTImage.dcm_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm",
    "CTImage.dcm_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm",
    "CTImage.dcm_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm",
)
LOSSY_FILES = (
    "CTImage.dcm_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm",
    "CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
    "CTImage.dcm_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm",
    "CTImage.dcm_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm",
    "CTImage.dcm_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm",
    "CTImage.dcm_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm",
)
needs_zoo = pytest.mark.skipif(not SYNTAX_FILES.is_dir(), reason="collection of odd DICOM files is not here")


@needs_zoo
@pytest.mark.parametrize("name", LOSSLESS_FILES)
def test_a_scanner_slice_reads_the_same_in_every_lossless_syntax(name):
    reference = read_slice_hu(read_header(found(SYNTAX_FILES / "CTImage.dcm")))

    assert_array_equal(read_slice_hu(read_header(found(SYNTAX_FILES / name))), reference)


@needs_zoo
@pytest.mark.parametrize("name", LOSSY_FILES)
def test_lossy_syntaxes_are_refused(name):
    with pytest.raises(Excluded) as raised:
        read_slice_hu(read_header(found(SYNTAX_FILES / name)))

    assert raised.value.reason is Exclusion.LOSSY_COMPRESSION


def test_a_picture_that_was_lossy_once_is_refused(tmp_path):
    assert reason(series_of(tmp_path, LossyImageCompression="01")) is Exclusion.LOSSY_COMPRESSION


@needs_zoo
def test_a_tilted_head_scan_is_refused():
    tilted = series(*sorted((ZOO / "head_ct_gantry_tilt").glob("*.dcm")))

    assert reason(tilted) is Exclusion.GANTRY_TILT


def test_a_leaning_stack_is_a_tilted_gantry(tmp_path):
    points = stack(lean_mm=(0.0, 1.0, 0.0))
    tilted = series(*(slice_file(tmp_path, k, points[k]) for k in range(SHAPE[0])))

    assert reason(tilted) is Exclusion.GANTRY_TILT


def test_a_drift_within_rounding_is_no_tilt(tmp_path):
    points = stack(lean_mm=(0.0, 0.1, 0.0))

    assert read_volume(series(*(slice_file(tmp_path, k, points[k]) for k in range(SHAPE[0])))).hu.shape == SHAPE


def test_positions_rounded_to_half_a_millimetre_are_regular(tmp_path):
    points = stack(step_mm=2.75)
    rounded = [
        slice_file(tmp_path, k, points[k], ImagePositionPatient=[-47.0, -48.75, float(np.round(2 * z) / 2)])
        for k, z in enumerate(points[:, 0, 0, 2])
    ]

    assert read_volume(series(*rounded)).spacing_mm[0] == pytest.approx(2.75, abs=0.13)


def test_a_lost_slice_is_missed(tmp_path):
    given = series_of(tmp_path)
    gap = Series("2.25.1.1", given.instances[:2] + given.instances[3:])

    assert reason(gap) is Exclusion.MISSING_SLICES


def test_two_slices_at_one_place_are_refused(tmp_path):
    points = stack()[[0, 1, 2, 2, 3]]
    doubled = series(*(slice_file(tmp_path, k, points[k]) for k in range(5)))

    assert reason(doubled) is Exclusion.DUPLICATE_POSITIONS


def test_the_same_object_stored_twice_counts_once(tmp_path):
    given = series_of(tmp_path)
    copy = replace(given.instances[2], path=given.instances[2].path.with_name("copy"))

    assert read_volume(Series("2.25.1.1", (*given.instances, copy))).hu.shape == SHAPE


def test_two_interleaved_steps_are_mixed_geometry(tmp_path):
    heights = (0.0, 4.0, 8.0, 12.0, 16.0, 18.5, 21.0, 23.5, 26.0)
    uneven = [
        slice_file(tmp_path, k, stack()[2], ImagePositionPatient=[-47.0, -48.75, height])
        for k, height in enumerate(heights)
    ]

    assert reason(series(*uneven)) is Exclusion.MIXED_GEOMETRY


STRAYS = {
    "orientation": {"image_orientation_patient": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)},
    "spacing": {"pixel_spacing_mm": (2.5, 2.1)},
    "size": {"rows": 41},
    "place in the plane": {"image_position_patient": (-40.0, -48.75, 0.0)},
}


@pytest.mark.parametrize("change", STRAYS.values(), ids=STRAYS.keys())
def test_one_slice_that_differs_is_mixed_geometry(tmp_path, change):
    given = series_of(tmp_path).instances
    strayed = Series("2.25.1.1", (*given[:2], replace(given[2], **change), *given[3:]))

    assert reason(strayed) is Exclusion.MIXED_GEOMETRY


LACKING = {
    "no position": {"image_position_patient": None},
    "no orientation": {"image_orientation_patient": None},
    "orientation of zeros": {"image_orientation_patient": (0.0,) * 6},
    "skew orientation": {"image_orientation_patient": (1.0, 0.0, 0.0, 0.5, 0.8, 0.0)},
    "no pixel spacing": {"pixel_spacing_mm": None},
    "pixel spacing zero": {"pixel_spacing_mm": (0.0, 1.0)},
    "position not a number": {"image_position_patient": (0.0, float("nan"), 1.0)},
}


@pytest.mark.parametrize("change", LACKING.values(), ids=LACKING.keys())
def test_unusable_geometry_is_refused(tmp_path, change):
    given = series_of(tmp_path).instances
    lacking = Series("2.25.1.1", (replace(given[0], **change), *given[1:]))

    assert reason(lacking) is Exclusion.NO_GEOMETRY


def test_a_single_slice_is_no_volume(tmp_path):
    assert reason(Series("2.25.1.1", series_of(tmp_path).instances[:1])) is Exclusion.TOO_FEW_SLICES


def test_more_than_one_frame_in_a_file_is_refused(tmp_path):
    assert reason(series_of(tmp_path, NumberOfFrames=2)) is Exclusion.MULTIFRAME


@pytest.mark.parametrize(
    "elements",
    [{"RescaleSlope": None}, {"RescaleIntercept": None}, {"RescaleSlope": "0"}, {"RescaleType": "Z_EFF"}],
    ids=["no slope", "no intercept", "slope zero", "another quantity"],
)
def test_numbers_that_are_no_hounsfield_units_are_refused(tmp_path, elements):
    assert reason(series_of(tmp_path, **elements)) is Exclusion.NO_HOUNSFIELD


@pytest.mark.parametrize("value", [None, b""], ids=["absent", "empty"])
def test_a_header_without_picture_is_refused(tmp_path, value):
    assert reason(series_of(tmp_path, PixelData=value)) is Exclusion.NO_PIXELS


def test_a_cut_file_is_undecodable(tmp_path):
    given = series_of(tmp_path)
    path = given.instances[1].path
    path.write_bytes(path.read_bytes()[:-1000])

    assert reason(given) is Exclusion.UNDECODABLE


@pytest.mark.parametrize("syntax", COMPRESSED.values(), ids=COMPRESSED.keys())
def test_a_cut_compressed_file_is_undecodable(tmp_path, syntax):
    dataset = ct_slice(1, Rows=SHAPE[1], Columns=SHAPE[2])
    dataset.compress(syntax, hu_at(stack()[2]), generate_instance_uid=False)
    instance = read_header(found(write(tmp_path, "a", dataset)))
    instance.path.write_bytes(instance.path.read_bytes()[:-200])

    with pytest.raises(Excluded) as raised:
        read_slice_hu(instance)

    assert raised.value.reason is Exclusion.UNDECODABLE


def test_pixel_data_of_an_unknown_kind_is_undecodable(tmp_path):
    given = series_of(tmp_path)
    path = given.instances[1].path
    path.write_bytes(path.read_bytes().replace(b"\xe0\x7f\x10\x00OW", b"\xe0\x7f\x10\x00MB"))

    assert reason(given) is Exclusion.UNDECODABLE


def test_a_file_that_vanished_is_a_failure_not_an_exclusion(tmp_path):
    given = series_of(tmp_path)
    given.instances[3].path.unlink()

    with pytest.raises(FileNotFoundError):
        read_volume(given)


def spoiled(hu, how):
    return {
        "rescale forgotten": hu + 1024,
        "rescale twice": hu - 1024,
        "bytes swapped": hu.byteswap(),
        "noise of a stray decoder": np.random.default_rng(1).integers(-1024, 3071, hu.shape),
        "blank": np.zeros_like(hu),
    }[how].astype(np.int16)


@pytest.mark.parametrize(
    "how", ["rescale forgotten", "rescale twice", "bytes swapped", "noise of a stray decoder", "blank"]
)
def test_garbage_is_refused(tmp_path, how):
    points = stack()
    files = [
        slice_file(tmp_path, k, points[k], PixelData=spoiled(hu_at(points[k]), how).tobytes()) for k in range(SHAPE[0])
    ]

    assert reason(series(*files)) is Exclusion.IMPLAUSIBLE_HU


def test_wrong_signedness_is_refused(tmp_path):
    assert reason(series_of(tmp_path, PixelRepresentation=0)) is Exclusion.IMPLAUSIBLE_HU


def test_one_blank_slice_among_good_ones_is_refused(tmp_path):
    given = series_of(tmp_path)
    slice_file(tmp_path, 2, stack()[2], PixelData=np.zeros(SHAPE[1:], np.int16).tobytes())

    assert reason(given) is Exclusion.IMPLAUSIBLE_HU
