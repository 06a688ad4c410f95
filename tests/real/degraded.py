"""Volume -> the same anatomy as a worse, shorter, turned or mixed-up study.

Every function returns a volume or writes DICOM files; what was done to the anatomy is known, so the names of its
vertebrae stay known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from scipy import ndimage

from screening.imaging.body_outline import trace_body
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

WINDOWS_MM = (60.0, 80.0, 100.0, 120.0, 150.0, 190.0, 240.0, 300.0, 400.0)
FEW_WINDOWS_MM = (100.0, 150.0, 240.0)
THICK_MM = 5.0
GRAIN_MM = 0.7  # SD of the noise's grain: a soft kernel
LOW_HU = 60.0
CORTEX_MM = 3.0  # of a body keeps its attenuation when the cancellous bone is lowered
STUDY_UID, SERIES_UID, FOREIGN_UID = "2.25.77", "2.25.77.1", "2.25.77.2"


def part(volume: Volume, first: int, last: int) -> Volume:
    """Keep the slices first to last - 1."""
    raised = np.asarray(volume.origin_mm) + first * volume.spacing_mm[0] * volume.axes[0]
    return replace(volume, hu=volume.hu[first:last], origin_mm=_triple(raised))


def windows(volume: Volume, step_mm: float, lengths_mm: Sequence[float] = WINDOWS_MM) -> Iterator[tuple[str, Volume]]:
    """Yield the volume's contiguous parts, every length from every `step_mm`, and the whole."""
    spacing, count = volume.spacing_mm[0], len(volume.hu)
    for length_mm in lengths_mm:
        length = round(length_mm / spacing)
        for start_mm in np.arange(0.0, (count - length) * spacing, step_mm):
            first = round(start_mm / spacing)
            yield f"window of {length_mm:g} mm", part(volume, first, first + length)
    yield "whole", volume


def thick(volume: Volume) -> Volume:
    """Average to slices of 5 mm."""
    wide = ndimage.uniform_filter1d(
        volume.hu.astype(np.float32), max(round(THICK_MM / volume.spacing_mm[0]), 1), axis=0
    )
    return _resampled(replace(volume, hu=np.rint(wide).astype(np.int16)), order=1)


def sparse(volume: Volume) -> Volume:
    """Keep the slices nearest to every 5 mm as they are: gaps between thin slices."""
    return _resampled(volume, order=0)


def _resampled(volume: Volume, order: int) -> Volume:
    factor = THICK_MM / volume.spacing_mm[0]
    if factor <= 1.0:
        return volume
    heights = np.arange(0.0, len(volume.hu) - 1 + 1e-6, factor)
    if order == 0:
        hu = volume.hu[np.rint(heights).astype(int)]
    else:
        below = np.minimum(heights.astype(int), len(volume.hu) - 2)
        share = (heights - below)[:, None, None]
        hu = np.rint(volume.hu[below] * (1.0 - share) + volume.hu[below + 1] * share).astype(np.int16)
    return replace(volume, hu=hu, spacing_mm=(THICK_MM, *volume.spacing_mm[1:]))


def noisy(volume: Volume, sd_hu: float, seed: int = 1) -> Volume:
    """Add grainy noise."""
    random = np.random.default_rng(seed)
    hu = np.empty_like(volume.hu)
    grain_px = GRAIN_MM / volume.spacing_mm[1]
    for index, section in enumerate(volume.hu):
        noise = ndimage.gaussian_filter(random.standard_normal(section.shape, dtype=np.float32), grain_px)
        hu[index] = np.clip(section + sd_hu * noise / noise.std(), -1024, 3071)
    return replace(volume, hu=hu)


def osteoporotic(volume: Volume, vertebrae: Sequence[Vertebra], low_hu: float = LOW_HU) -> Volume:
    """Lower the cancellous interior of the given bodies to a mean of 60 HU; texture and cortex stay."""
    hu = volume.hu.copy()
    rows = np.arange(hu.shape[1], dtype=np.float64)[:, None] * volume.spacing_mm[1]
    columns = np.arange(hu.shape[2], dtype=np.float64)[None, :] * volume.spacing_mm[2]
    for vertebra in vertebrae:
        inside = trace_body(volume, vertebra).inner_distance_mm(rows, columns) >= CORTEX_MM
        ends = sorted((vertebra.lower_z_mm, vertebra.upper_z_mm))
        heights = np.asarray(volume.origin_mm)[2] + np.arange(len(hu)) * volume.spacing_mm[0]
        interior = np.flatnonzero((heights > ends[0] + CORTEX_MM) & (heights < ends[1] - CORTEX_MM))
        region = np.ix_(interior, *map(np.unique, np.nonzero(inside)))
        within = np.broadcast_to(inside[np.ix_(*map(np.unique, np.nonzero(inside)))], hu[region].shape)
        excess = max(float(np.median(hu[region][within])) - low_hu, 0.0)
        hu[region] = np.where(within, hu[region] - np.int16(excess), hu[region])
    return replace(volume, hu=hu)


@dataclass(frozen=True, slots=True)
class Mislabelled:
    """A volume whose header's geometry is not that of its pixels."""

    name: str
    volume: Volume
    upside_down: bool = False


def mislabelled(volume: Volume) -> tuple[Mislabelled, ...]:
    """Turn and mirror the pixels without telling the geometry."""
    hu, (between_slices, between_rows, between_columns) = volume.hu, volume.spacing_mm
    turned = replace(volume, hu=np.rot90(hu, axes=(1, 2)), spacing_mm=(between_slices, between_columns, between_rows))
    return (
        Mislabelled("header wrong: slices reversed", replace(volume, hu=hu[::-1]), upside_down=True),
        Mislabelled("header wrong: feet for head, supine", replace(volume, hu=hu[::-1, :, ::-1]), upside_down=True),
        Mislabelled("header wrong: feet for head, prone", replace(volume, hu=hu[::-1, ::-1]), upside_down=True),
        Mislabelled("header wrong: prone for supine", replace(volume, hu=hu[:, ::-1, ::-1])),
        Mislabelled("header wrong: front for back", replace(volume, hu=hu[:, ::-1])),
        Mislabelled("header wrong: turned by 90 degrees", turned),
    )


@dataclass(frozen=True, slots=True)
class Written:
    """How a volume is written as DICOM: order, orientation and what is wrong with the slices."""

    name: str
    rows_forward: bool = True  # rows run to posterior
    columns_forward: bool = True  # columns run to the patient's left
    transposed: bool = False
    cranial_first: bool = False
    numbered_backwards: bool = False
    copied: bool = False  # one slice is there twice, with another SOPInstanceUID
    lost: bool = False  # one slice in the middle is missing
    foreign: str = ""  # "named": one slice of another patient; "nameless": with this patient's name on it


WAYS_TO_WRITE = (
    Written("feet first", columns_forward=False, cranial_first=True),
    Written("head first prone", rows_forward=False, columns_forward=False),
    Written("turned by 90 degrees", transposed=True, rows_forward=False),
    Written("slices in mirrored order", cranial_first=True, numbered_backwards=True),
    Written("a slice twice", copied=True),
    Written("a slice missing", lost=True),
    Written("a slice of another patient", foreign="named"),
    Written("a slice of another patient under this name", foreign="nameless"),
)


def write_series(folder: Path, volume: Volume, way: Written, foreign: Volume) -> None:
    """Write a volume as one uncompressed DICOM series."""
    hu, middle = volume.hu, len(volume.hu) // 2
    if way.foreign:
        hu = hu.copy()
        hu[middle] = _fitted(foreign.hu[len(foreign.hu) // 2], hu.shape[1:])
    order = range(len(hu))[:: -1 if way.cranial_first else 1]
    for place, index in enumerate(order):
        if way.lost and index == middle:
            continue
        number = len(hu) - place if way.numbered_backwards else place + 1
        stranger = way.foreign == "named" and index == middle
        dataset = _slice(volume, hu[index], index, way)
        dataset.PatientID = "other" if stranger else "same"
        dataset.InstanceNumber = number
        _save(folder / f"{place:04d}.dcm", dataset, f"{SERIES_UID}.{index + 1}")
        if way.copied and index == middle:
            _save(folder / f"{place:04d}_again.dcm", dataset, f"{SERIES_UID}.{9000 + index}")


def _slice(volume: Volume, section: NDArray[np.int16], index: int, way: Written) -> Dataset:
    """Build one slice whose orientation and position say where each pixel lies, whichever way it is stored."""
    steps = (1 if way.rows_forward else -1, 1 if way.columns_forward else -1)
    corner = volume.patient_mm(
        np.array([index, *(0 if step > 0 else size - 1 for step, size in zip(steps, section.shape, strict=True))])
    )
    down, right = volume.axes[1] * steps[0], volume.axes[2] * steps[1]
    spacing, stored = list(volume.spacing_mm[1:]), section[:: steps[0], :: steps[1]]
    if way.transposed:
        down, right, spacing, stored = right, down, spacing[::-1], stored.T
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY_UID, SERIES_UID
    dataset.Modality, dataset.PatientAge, dataset.StudyDate = "CT", "060Y", "20240115"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient = [f"{mm:.5f}"[:16] for mm in corner]
    dataset.ImageOrientationPatient = [f"{cosine:.6f}" for cosine in (*right, *down)]
    dataset.PixelSpacing = [f"{mm:.8f}" for mm in spacing]
    dataset.SliceThickness = f"{volume.slice_thickness_mm:.4f}"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
    dataset.PixelData = np.ascontiguousarray(stored).tobytes()
    return dataset


def _save(path: Path, dataset: Dataset, sop_instance_uid: str) -> None:
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = sop_instance_uid
    dataset.save_as(path, enforce_file_format=True)


def _fitted(section: NDArray[np.int16], shape: Sequence[int]) -> NDArray[np.int16]:
    """Crop or fill a slice with air to another size."""
    fitted = np.full(shape, -1000, np.int16)
    rows, columns = (min(own, other) for own, other in zip(section.shape, shape, strict=True))
    fitted[:rows, :columns] = section[:rows, :columns]
    return fitted


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
