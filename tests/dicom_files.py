"""Small DICOM files for tests: what the caller does not name is a plain axial CT slice."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from screening.archive.header import FoundFile

STUDY_UID = "2.25.1"
SERIES_UID = "2.25.1.1"


def ct_slice(number: int = 1, **elements: Any) -> Dataset:
    """Build a 16 x 16 slice at z = 5 mm x number; keywords replace or, when None, remove elements."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": f"{SERIES_UID}.{number}",
        "StudyInstanceUID": STUDY_UID,
        "SeriesInstanceUID": SERIES_UID,
        "Modality": "CT",
        "PatientID": "SECRET-ID",
        "PatientName": "SECRET^NAME",
        "PatientSex": "F",
        "PatientAge": "070Y",
        "StudyDate": "20240115",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "KVP": "120",
        "InstanceNumber": number,
        "ImagePositionPatient": [0.0, 0.0, 5.0 * number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [1.0, 1.0],
        "SliceThickness": "5",
        "Rows": 16,
        "Columns": 16,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleSlope": "1",
        "RescaleIntercept": "0",
        "PixelData": np.zeros((16, 16), np.int16).tobytes(),
    }
    for keyword, value in (values | elements).items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = UID(dataset.get("SOPClassUID", CTImageStorage))
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.get("SOPInstanceUID", "2.25.9"))
    return dataset


def write(folder: Path, name: str, dataset: Dataset) -> Path:
    """Save a data set under a name, with folders as needed."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def add_quick_files(folder: Path, studies: int) -> Path:
    """Add studies of a single slice, which are read in no time, and files that are no DICOM.

    UIDs come after those of simulated patients.
    """
    for number in range(studies):
        study = f"2.25.77{number:02}"
        write(folder, f"single/{number}", ct_slice(StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1"))
    (folder / "notes.txt").write_text("no DICOM " * 40)
    (folder / "empty").touch()
    return folder


def found(path: Path) -> FoundFile:
    """Describe a file as the walk would."""
    status = path.stat()
    return FoundFile(path, status.st_size, status.st_mtime_ns)
