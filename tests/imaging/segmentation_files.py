"""DICOM segmentations of a block spine, written with highdicom from the slices of its CT."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
from dicom_files import STUDY_UID, ct_slice, found, write
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from screening.archive.header import read_header
from screening.archive.index import Series, Study, series_of
from screening.imaging.hounsfield import Volume

ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
VERTEBRA = Code("51282000", "SCT", "Vertebra")
WRITER = highdicom.AlgorithmIdentificationSequence("blocks", Code("123109", "DCM", "Manual Processing"), "1")
Described = Mapping[int, tuple[str, Code]]  # segment number -> label and property type


def slices_of(volume: Volume, *, cranial_first: bool = False) -> list[Dataset]:
    """The CT of a volume, rows to posterior and columns to the left, or from the head and from the left."""
    last = volume.hu.shape[2] - 1
    slices = []
    for place in range(len(volume.hu)):
        index = len(volume.hu) - 1 - place if cranial_first else place
        hu = volume.hu[index][:, ::-1] if cranial_first else volume.hu[index]
        corner = volume.patient_mm(np.array([index, 0.0, last if cranial_first else 0.0]))
        slices.append(
            ct_slice(
                place + 1,
                FrameOfReferenceUID=f"{STUDY_UID}.9",
                PatientBirthDate="",
                StudyTime="",
                StudyID="",
                AccessionNumber="",
                ReferringPhysicianName="",
                ImagePositionPatient=[float(mm) for mm in corner],
                ImageOrientationPatient=[-1 if cranial_first else 1, 0, 0, 0, 1, 0],
                PixelSpacing=[volume.spacing_mm[1], volume.spacing_mm[2]],
                Rows=hu.shape[0],
                Columns=hu.shape[1],
                PixelData=np.ascontiguousarray(hu).tobytes(),
            )
        )
    return slices


def segmentation(
    slices: list[Dataset],
    labels: NDArray[np.uint8],
    described: Described,
    kind: SegmentationTypeValues = SegmentationTypeValues.BINARY,
) -> Segmentation:
    """Segment slices; `labels` (slices, rows, columns) in their order hold the segment numbers from 1."""
    pixels = labels if kind is not SegmentationTypeValues.FRACTIONAL else (labels > 0).astype(np.float32)
    return Segmentation(
        source_images=slices,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=[
            SegmentDescription(number, label, ANATOMY, code, SegmentAlgorithmTypeValues.AUTOMATIC, WRITER)
            for number, (label, code) in described.items()
        ],
        series_instance_uid=f"{STUDY_UID}.2",
        series_number=2,
        sop_instance_uid=f"{STUDY_UID}.2.1",
        instance_number=1,
        manufacturer="highdicom",
        manufacturer_model_name="blocks",
        software_versions="1",
        device_serial_number="1",
    )


def study_of(folder: Path, *datasets: Dataset) -> tuple[Study, Series]:
    """Write the data sets and return their study and its CT series."""
    paths = [write(folder, f"{number:04}", dataset) for number, dataset in enumerate(datasets)]
    series = tuple(series_of(read_header(found(path)) for path in paths).values())
    (ct,) = (one for one in series if one.first.modality == "CT")
    return Study(STUDY_UID, series), ct


def moved(volume: Volume, mm: float) -> Volume:
    """The same volume moved to the left."""
    x, y, z = volume.origin_mm
    return replace(volume, origin_mm=(x + mm, y, z))
