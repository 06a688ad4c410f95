"""HU volume and header facts -> CT image files as a scanner of that vendor would write them (PS3.3 A.3)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from screening.simulation.cohort import Patient
from screening.simulation.scanner import Protocol, ScannerModel

PADDING_VALUE = -2000
PATIENT_NAME = "SIMULATED^PATIENT"
INSTITUTION_NAME = "SIMULATED HOSPITAL {institution}"
DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class StudyHeader:
    """Facts all series of a study share."""

    patient: Patient
    study_instance_uid: str
    frame_of_reference_uid: str
    accession_number: str
    performed_at: datetime
    description: str

    @property
    def birth_date(self) -> date:
        """Birth date that makes the patient as old as the truth says on the day of the study."""
        return self.performed_at.date() - timedelta(days=round(self.patient.age_years * DAYS_PER_YEAR))


@dataclass(frozen=True, slots=True)
class SeriesHeader:
    """Facts of one series."""

    number: int
    description: str
    kernel: str
    image_type: tuple[str, ...]
    contrast_agent: str | None  # None: no such attribute; "": empty
    thickness_mm: float
    spacing_mm: tuple[float, float]  # between rows, between columns
    orientation: tuple[float, ...]
    positions_mm: NDArray[np.float64]  # (instances, 3)


def deterministic_uid(*parts: object) -> str:
    """Return a UID that the same words always give."""
    return str(generate_uid(entropy_srcs=["simulated ct archive", *(str(part) for part in parts)]))


def write_series(
    folder: Path,
    study: StudyHeader,
    series: SeriesHeader,
    protocol: Protocol,
    hu: NDArray[np.int16],
    outside: NDArray[np.bool_] | None,
) -> str:
    """Write one file per slice without extension and return the SeriesInstanceUID.

    Args:
        folder: where the files go; created.
        study: facts of the study.
        series: facts of the series.
        protocol: scanner and settings.
        hu: (instances, rows, columns) in the order of `series.positions_mm`.
        outside: (rows, columns) pixels outside the reconstruction circle, for vendors that pad them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    uid = deterministic_uid(study.study_instance_uid, series.number)
    header = _common(study, series, protocol, uid)
    for index, (image, position) in enumerate(zip(hu, series.positions_mm, strict=True), start=1):
        header.SOPInstanceUID = deterministic_uid(uid, index)
        header.InstanceNumber = index
        header.ImagePositionPatient = [f"{value:.6g}" for value in position]
        header.SliceLocation = f"{position[2]:.6g}"
        header.PixelData = _stored(image, protocol.scanner.model, outside).tobytes()
        _save(header, folder / f"IM{index:05d}", protocol.scanner.model)
    return uid


def _stored(hu: NDArray[np.int16], model: ScannerModel, outside: NDArray[np.bool_] | None) -> NDArray[np.integer]:
    stored = hu.astype(np.int32) - model.rescale_intercept
    if outside is not None:
        stored[outside] = PADDING_VALUE if model.signed else 0
    return stored.astype(np.int16 if model.signed else np.uint16)


def _save(header: Dataset, path: Path, model: ScannerModel) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if model.manufacturer == "TOSHIBA" else ExplicitVRLittleEndian
    file = FileDataset(path, header, file_meta=meta, preamble=b"\0" * 128)
    file.save_as(path, enforce_file_format=True)


def _common(study: StudyHeader, series: SeriesHeader, protocol: Protocol, uid: str) -> Dataset:
    header = Dataset()
    _patient_module(header, study)
    _study_and_series_modules(header, study, series, uid)
    _equipment_module(header, study, protocol)
    _acquisition_module(header, study, series, protocol)
    _image_module(header, series, protocol)
    return header


def _patient_module(header: Dataset, study: StudyHeader) -> None:
    header.PatientName = PATIENT_NAME
    header.PatientID = study.patient.patient_id
    header.PatientBirthDate = f"{study.birth_date:%Y%m%d}"
    header.PatientSex = study.patient.sex
    header.PatientAge = f"{int(study.patient.age_years):03d}Y"


def _study_and_series_modules(header: Dataset, study: StudyHeader, series: SeriesHeader, uid: str) -> None:
    at = study.performed_at
    header.StudyInstanceUID = study.study_instance_uid
    header.SeriesInstanceUID = uid
    header.SOPClassUID = CTImageStorage
    header.FrameOfReferenceUID = study.frame_of_reference_uid
    header.PositionReferenceIndicator = ""
    for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(header, name, f"{at:%Y%m%d}")
    for name in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(header, name, f"{at:%H%M%S}")
    header.AccessionNumber = study.accession_number
    header.StudyID = study.accession_number[-6:]
    header.ReferringPhysicianName = ""
    header.StudyDescription = study.description
    header.SeriesDescription = series.description
    header.SeriesNumber = series.number
    header.AcquisitionNumber = 1
    header.Modality = "CT"
    header.BodyPartExamined = "ABDOMEN"
    header.PatientPosition = "HFS"
    header.Laterality = ""


def _equipment_module(header: Dataset, study: StudyHeader, protocol: Protocol) -> None:
    model = protocol.scanner.model
    header.Manufacturer = model.manufacturer
    header.ManufacturerModelName = model.model
    header.StationName = protocol.scanner.station
    header.InstitutionName = INSTITUTION_NAME.format(institution=study.patient.institution)
    header.SoftwareVersions = "simulated"
    if model.manufacturer == "SIEMENS":  # a private block, as every real header has
        block = header.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x08, "CS", "SIMULATED")
    if model.manufacturer == "GE MEDICAL SYSTEMS":
        block = header.private_block(0x0009, "GEMS_IDEN_01", create=True)
        block.add_new(0x01, "LO", "SIMULATED")


def _acquisition_module(header: Dataset, study: StudyHeader, series: SeriesHeader, protocol: Protocol) -> None:
    header.ImageType = list(series.image_type)
    header.KVP = str(protocol.kvp_kv)
    header.ConvolutionKernel = series.kernel
    header.SliceThickness = f"{series.thickness_mm:g}"
    header.GantryDetectorTilt = "0"
    header.XRayTubeCurrent = "220"
    header.ExposureTime = "600"
    header.DataCollectionDiameter = "500"
    header.ReconstructionDiameter = f"{protocol.field_of_view_mm:.6g}"
    header.TableHeight = "150"
    header.RotationDirection = "CW"
    header.ProtocolName = "Abdomen"
    if series.contrast_agent is not None:
        header.ContrastBolusAgent = series.contrast_agent


def _image_module(header: Dataset, series: SeriesHeader, protocol: Protocol) -> None:
    model = protocol.scanner.model
    header.ImageOrientationPatient = [f"{value:g}" for value in series.orientation]
    header.PixelSpacing = [f"{value:.8g}" for value in series.spacing_mm]
    header.Rows = header.Columns = protocol.matrix
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = (
        16,
        (16 if model.signed else 12),
        (15 if model.signed else 11),
    )
    header.PixelRepresentation = int(model.signed)
    header.RescaleIntercept, header.RescaleSlope, header.RescaleType = str(model.rescale_intercept), "1", "HU"
    header.WindowCenter, header.WindowWidth = "40", "400"
    if model.pads_outside_circle and model.signed:
        header.add_new(0x00280120, "SS", PADDING_VALUE)  # PixelPaddingValue takes the sign of the pixels
