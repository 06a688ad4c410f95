"""Series -> Volume in Hounsfield units with checked geometry, or the reason why there is none."""

import struct
import warnings
import zlib
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from scipy import ndimage

from screening.archive.index import Instance, Series
from screening.errors import Excluded, Exclusion
from screening.imaging.codestream import refuse_cut, refuse_other_frame
from screening.imaging.geometry import SliceStack, stack_slices
from screening.imaging.plausibility import AIR_RANGE_HU, DENSEST_BONE_HU, refuse_implausible

AIR_HU = -1000
FLOOR_HU = -1024  # lower end of the 12-bit CT scale; what lies below is padding
CEILING_HU = np.iinfo(np.int16).max
# A square of one value, so many pixels wide, is never noise; beside a reconstruction circle are larger ones.
FLAT_PX = 5

# DICOM PS3.5 A.4 and retired processes of PS3.5-2004; what is in neither set is left to the decoder.
LOSSY_SYNTAXES = frozenset(
    {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, "1.2.840.10008.1.2.4.112"}
    | {f"1.2.840.10008.1.2.4.{process}" for process in (52, 53, 54, 55, 56, 59, 60, 61, 62, 63, 64, 111)}
)
EITHER_WAY_SYNTAXES = frozenset({uid.JPEG2000, uid.JPEG2000MC, uid.HTJ2K})
# One decoder per syntax, so that a picture reads the same everywhere; GDCM ends the process on damaged JPEG 2000.
DECODERS: dict[str, str] = {
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
    uid.RLELossless: "pydicom",
}
JPEG_FAMILY_PREFIX = "1.2.840.10008.1.2.4."
PIXEL_DATA_TAG = b"\xe0\x7f\x10\x00"

CT_PICTURE = {
    "SamplesPerPixel": (1,),
    "PhotometricInterpretation": ("MONOCHROME1", "MONOCHROME2"),
    "BitsAllocated": (8, 16, 32),
    "PixelRepresentation": (0, 1),
}
READ_LATER = (
    "PixelData", "LossyImageCompression", "PixelPaddingValue", "PixelPaddingRangeLimit", "BitsStored", "HighBit",
    *CT_PICTURE,
)  # fmt: skip

# RescaleType (0028,1054), PS3.3 C.11.1.1.2: absent means HU, US is "unspecified" and common in CT
HOUNSFIELD_TYPES = frozenset({"HU", "US", ""})

# What pydicom 3.0 and the standard library raise on damaged files; I/O errors are no property of the study and pass.
DECODING_ERRORS = (
    InvalidDicomError,  # not DICOM at all
    BytesLengthException,  # element of impossible length
    AttributeError,  # an element that decoding needs is absent
    KeyError,  # the same, looked up by tag
    NotImplementedError,  # unknown transfer syntax or value representation
    ValueError,  # pixel data too short, contradictory image description
    TypeError,  # an element that decoding needs is empty
    RuntimeError,  # every decoder plugin failed
    EOFError,  # file ends inside an element
    struct.error,  # file ends inside an element's head
    zlib.error,  # damaged deflated stream
)


@dataclass(frozen=True, slots=True)
class Volume:
    """CT in canonical order: axis 0 caudal to cranial, axis 1 anterior to posterior, axis 2 patient right to left.

    `hu` is int16 (slices, rows, columns), Hounsfield units as acquired, padding and values outside the
    reconstruction circle clamped to -1024. `axes` row i is the unit vector of array axis i in DICOM patient
    coordinates (x to the left, y to posterior, z to cranial); `origin_mm` is the patient position (x, y, z) of the
    centre of voxel (0, 0, 0).
    """

    hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]  # between slices, rows, columns
    origin_mm: tuple[float, float, float]
    axes: NDArray[np.float64]  # (3, 3)
    slice_thickness_mm: float  # the step between slices where the header does not say
    kvp_kv: float | None

    def patient_mm(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn array indices (..., 3) in the order slice, row, column into patient x, y, z in mm."""
        steps = np.asarray(index) * np.asarray(self.spacing_mm)
        position: NDArray[np.float64] = np.asarray(self.origin_mm) + steps @ self.axes
        return position

    def index(self, patient_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn patient x, y, z in mm (..., 3) into fractional array indices slice, row, column."""
        along = (np.asarray(patient_mm) - np.asarray(self.origin_mm)) @ self.axes.T
        index: NDArray[np.float64] = along / np.asarray(self.spacing_mm)
        return index


def read_volume(series: Series) -> Volume:
    """Read all slices of a series as one volume in patient orientation.

    Raises:
        Excluded: geometry reasons of `stack_slices`; MULTIFRAME, LOSSY_COMPRESSION, NO_PIXELS, NO_HOUNSFIELD,
            UNDECODABLE or IMPLAUSIBLE_HU.
        OSError: the archive could not be read; a failure of the sweep, not a property of the study.
    """
    stack = stack_slices(series)
    for instance in stack.instances:
        _refuse_unreadable_header(instance)
    hu = np.empty(stack.shape, dtype=np.int16)
    for i, instance in enumerate(stack.instances):
        hu[i] = read_slice_hu(instance)
    refuse_implausible(hu)
    return _canonical(hu, stack)


def _refuse_unreadable_header(instance: Instance) -> None:
    """Refuse what the header already shows not to be a single-frame picture in Hounsfield units."""
    if (instance.number_of_frames or 1) > 1:
        raise Excluded(Exclusion.MULTIFRAME, f"{instance.number_of_frames} frames")
    if instance.transfer_syntax_uid in LOSSY_SYNTAXES:
        raise Excluded(Exclusion.LOSSY_COMPRESSION, f"transfer syntax {instance.transfer_syntax_uid}")
    slope, intercept = instance.rescale_slope, instance.rescale_intercept
    if slope is None or intercept is None or not np.isfinite([slope, intercept]).all() or slope == 0:
        raise Excluded(Exclusion.NO_HOUNSFIELD, f"rescale slope {slope}, intercept {intercept}")
    if instance.rescale_type.upper() not in HOUNSFIELD_TYPES:
        raise Excluded(Exclusion.NO_HOUNSFIELD, f"rescale type {instance.rescale_type}")


def read_slice_hu(instance: Instance) -> NDArray[np.int16]:
    """Read one slice (rows, columns) in Hounsfield units as stored in the file, padding set to -1024.

    Raises:
        Excluded: MULTIFRAME, LOSSY_COMPRESSION, NO_PIXELS, NO_HOUNSFIELD or UNDECODABLE.
    """
    _refuse_unreadable_header(instance)
    dataset = _read_dataset(instance)
    _refuse_lossy_history(dataset, instance.transfer_syntax_uid)
    stored = _decode(dataset, instance)
    slope, intercept = np.float32(instance.rescale_slope or 0), np.float32(instance.rescale_intercept or 0)
    hu: NDArray[np.float32] = stored.astype(np.float32) * slope + intercept
    padded = _padding(stored, hu, dataset)
    if padded is not None:
        hu[padded] = FLOOR_HU
    return np.rint(np.clip(hu, FLOOR_HU, CEILING_HU)).astype(np.int16)


def _read_dataset(instance: Instance) -> FileDataset:
    """Parse the file again, this time with its pixels; every element that is needed later is converted here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(instance.path, force=True)
            found = {keyword: dataset.get(keyword) for keyword in READ_LATER}
            found["TransferSyntaxUID"] = dataset.file_meta.get("TransferSyntaxUID")
    except DECODING_ERRORS as error:
        raise Excluded(Exclusion.UNDECODABLE, f"file cannot be parsed ({type(error).__name__})") from error
    has_pixels = "PixelData" in dataset
    if not has_pixels and PIXEL_DATA_TAG in instance.path.read_bytes():  # pydicom drops an element cut by the end
        raise Excluded(Exclusion.UNDECODABLE, "file ends inside its pixel data")
    if not has_pixels or not found["PixelData"]:
        raise Excluded(Exclusion.NO_PIXELS, "no PixelData")
    if found["TransferSyntaxUID"] is None:
        dataset.file_meta.TransferSyntaxUID = uid.UID(instance.transfer_syntax_uid or uid.ImplicitVRLittleEndian)
    return dataset


def _refuse_lossy_history(dataset: FileDataset, transfer_syntax_uid: str) -> None:
    """Refuse pictures that lost values on their way (PS3.3 C.7.6.1.1.5: once 01, always 01)."""
    history = str(dataset.get("LossyImageCompression", ""))
    undeclared = transfer_syntax_uid in EITHER_WAY_SYNTAXES and history != "00"
    if history == "01" or undeclared:
        raise Excluded(
            Exclusion.LOSSY_COMPRESSION,
            f"transfer syntax {transfer_syntax_uid}, LossyImageCompression {history or 'absent'}",
        )


def _decode(dataset: FileDataset, instance: Instance) -> NDArray[np.integer]:
    """Decode the stored values (rows, columns) without rescaling."""
    _refuse_other_pictures(dataset)
    _refuse_shifted_bits(dataset)
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax.startswith(JPEG_FAMILY_PREFIX):
        refuse_cut(dataset.PixelData)
    if DECODERS.get(syntax) == "gdcm":
        refuse_other_frame(dataset.PixelData, instance.rows, instance.columns, dataset.get("BitsAllocated"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.pixel_array_options(decoding_plugin=DECODERS.get(syntax, ""))
            stored = dataset.pixel_array
    except DECODING_ERRORS as error:
        detail = f"{type(error).__name__} in transfer syntax {instance.transfer_syntax_uid}"
        raise Excluded(Exclusion.UNDECODABLE, detail) from error
    if stored.shape != (instance.rows, instance.columns) or not np.issubdtype(stored.dtype, np.integer):
        raise Excluded(Exclusion.UNDECODABLE, f"{stored.dtype} picture of shape {stored.shape}")
    return stored


def _refuse_other_pictures(dataset: FileDataset) -> None:
    """Refuse what no CT image is (PS3.3 C.8.2.1): colour, several samples, values of less than a byte."""
    stated = {keyword: dataset.get(keyword) for keyword in CT_PICTURE}
    wrong = [f"{keyword} {stated[keyword]}" for keyword, usual in CT_PICTURE.items() if stated[keyword] not in usual]
    if wrong:
        raise Excluded(Exclusion.UNDECODABLE, ", ".join(wrong))


def _refuse_shifted_bits(dataset: FileDataset) -> None:
    """Refuse values that do not end at the lowest bit (ACR-NEMA; PS3.5 8.1.1 wants HighBit = BitsStored - 1)."""
    high, stored = dataset.get("HighBit"), dataset.get("BitsStored")
    if isinstance(high, int) and isinstance(stored, int) and high != stored - 1:
        raise Excluded(Exclusion.UNDECODABLE, f"high bit {high} of {stored} bits stored")


def _padding(stored: NDArray[np.integer], hu: NDArray[np.float32], dataset: FileDataset) -> NDArray[np.bool_] | None:
    """Voxels that PixelPaddingValue (to PixelPaddingRangeLimit) declares empty, PS3.3 C.7.5.1.1.2.

    Of values that tissue can have, only flat areas at the edge of the picture are empty.
    """
    bounds = [dataset.get(keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    numbers = [bound for bound in bounds if isinstance(bound, int)]
    if not numbers:
        return None
    # -2000 is often written as 63536: read it with the signedness of the pixels
    as_stored = np.array(numbers).astype(np.int64).astype(stored.dtype)
    padded: NDArray[np.bool_] = (stored >= as_stored.min()) & (stored <= as_stored.max())
    like_tissue = padded & (hu > AIR_RANGE_HU[1]) & (hu < DENSEST_BONE_HU)
    if like_tissue.any():
        padded[like_tissue & ~_flat_at_edge(stored, like_tissue)] = False
    return padded


def _flat_at_edge(stored: NDArray[np.integer], declared: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of the voxels declared empty, those of connected areas that reach the edge and are one value somewhere.

    A body that reaches the edge has the declared value there too, but in single voxels, by noise.
    """
    one_value = ndimage.maximum_filter(stored, FLAT_PX) == ndimage.minimum_filter(stored, FLAT_PX)
    areas, _ = ndimage.label(declared)
    at_edge = np.concatenate([areas[[0, -1]].ravel(), areas[:, [0, -1]].ravel()])
    kept = np.intersect1d(at_edge, areas[one_value & declared])
    return np.isin(areas, kept[kept > 0])


def _canonical(hu: NDArray[np.int16], stack: SliceStack) -> Volume:
    """Turn array axes to caudal-cranial, anterior-posterior, right-left; copies only where the scanner differs."""
    order = canonical_order(stack.directions)
    directions = stack.directions[list(order)]
    spacing = tuple(stack.spacing_mm[axis] for axis in order)
    forward = directions[[0, 1, 2], [2, 1, 0]] > 0
    turned = hu.transpose(order)[tuple(slice(None, None, 1 if ahead else -1) for ahead in forward)]
    last_mm = (np.array(turned.shape) - 1) * spacing
    origin = stack.origin_mm + np.where(forward, 0.0, last_mm) @ directions
    thicknesses = [i.slice_thickness_mm for i in stack.instances if i.slice_thickness_mm]
    kilovolts = {i.kvp_kv for i in stack.instances}
    return Volume(
        hu=np.ascontiguousarray(turned),
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
        origin_mm=(float(origin[0]), float(origin[1]), float(origin[2])),
        axes=np.where(forward, 1.0, -1.0)[:, None] * directions,
        slice_thickness_mm=float(np.median(thicknesses)) if thicknesses else stack.spacing_mm[0],
        kvp_kv=kilovolts.pop() if len(kilovolts) == 1 else None,
    )


def canonical_order(directions: NDArray[np.float64]) -> tuple[int, ...]:
    """Which array axis lies closest to patient z, y and x; `directions` row i is the unit vector of array axis i."""
    return max(
        permutations(range(3)), key=lambda order: sum(abs(directions[axis, 2 - k]) for k, axis in enumerate(order))
    )
