"""HU volume and header facts -> CT image files as a scanner of that vendor would write them (PS3.3 A.3).

Vendors differ in what they leave empty, in how they write numbers and times, and in what they repeat in private
elements; people at the console differ in the rest. All of it is legal DICOM. The shares are assumptions.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from screening.simulation.cohort import Patient
from screening.simulation.fleet import ScannerModel
from screening.simulation.scanner import Protocol

PADDING_VALUE = -2000
PATIENT_NAMES = ("SIMULATED^PATIENT", "SIMULATED^PATIËNT", "SIMULATED^SEÑORA", "SIMULATED^GRÖSSE")
PLAIN_NAME_SHARE = 0.7
INSTITUTION_NAME = "SIMULATED HOSPITAL {institution}"
STUDY_DESCRIPTION = "SIMULATED CT ABDOMEN PELVIS"
NO_DESCRIPTION, NO_AGE, NO_VOLTAGE = 0.1, 0.05, 0.02
DAYS_PER_YEAR = 365.25
CANON_NAMES = ("TOSHIBA", "CANON")
# Digits after the second, as vendors write TM (PS3.5 6.2); GE writes none
TIME_DIGITS = {"SIEMENS": 6, "TOSHIBA": 3, "CANON": 3, "Philips": 5, "GE MEDICAL SYSTEMS": 0}
# (group, private creator, element, VR, value) of the block that tells the vendor
PRIVATE_BLOCKS = {
    "SIEMENS": (0x0029, "SIEMENS CSA HEADER", 0x08, "CS", "SIMULATED"),
    "GE MEDICAL SYSTEMS": (0x0009, "GEMS_IDEN_01", 0x01, "LO", "SIMULATED"),
    "TOSHIBA": (0x7005, "TOSHIBA_MEC_CT3", 0x0B, "SH", "SIMULATED"),
    "CANON": (0x7005, "TOSHIBA_MEC_CT3", 0x0B, "SH", "AIDR 3D"),
    "Philips": (0x01F1, "ELSCINT1", 0x01, "CS", "SIMULATED"),
}


@dataclass(frozen=True, slots=True)
class Entries:
    """What people at the console enter, or do not."""

    patient_name: str
    study_description: str
    has_age: bool
    has_voltage: bool


@dataclass(frozen=True, slots=True)
class StudyHeader:
    """Facts all series of a study share."""

    patient: Patient
    study_instance_uid: str
    frame_of_reference_uid: str
    accession_number: str
    performed_at: datetime
    entries: Entries

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


def draw_entries(rng: Generator) -> Entries:
    """Draw what is entered for one study; every name says that the patient is simulated."""
    others = (1.0 - PLAIN_NAME_SHARE) / (len(PATIENT_NAMES) - 1)
    shares = [PLAIN_NAME_SHARE, *[others] * (len(PATIENT_NAMES) - 1)]
    return Entries(
        patient_name=str(rng.choice(PATIENT_NAMES, p=shares)),
        study_description=STUDY_DESCRIPTION if rng.random() >= NO_DESCRIPTION else "",
        has_age=bool(rng.random() >= NO_AGE),
        has_voltage=bool(rng.random() >= NO_VOLTAGE),
    )


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
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if model.manufacturer in CANON_NAMES else ExplicitVRLittleEndian
    file = FileDataset(path, header, file_meta=meta, preamble=b"\0" * 128)
    file.save_as(path, enforce_file_format=True)


def _common(study: StudyHeader, series: SeriesHeader, protocol: Protocol, uid: str) -> Dataset:
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    _patient_module(header, study)
    _study_and_series_modules(header, study, series, uid)
    _dates_and_times(header, study, protocol.scanner.model)
    _equipment_module(header, study, protocol)
    _acquisition_module(header, study, series, protocol)
    _image_module(header, series, protocol)
    return header


def _patient_module(header: Dataset, study: StudyHeader) -> None:
    header.PatientName = study.entries.patient_name
    header.PatientID = study.patient.patient_id
    header.PatientBirthDate = f"{study.birth_date:%Y%m%d}"
    header.PatientSex = study.patient.sex
    if study.entries.has_age:
        header.PatientAge = f"{int(study.patient.age_years):03d}Y"


def _study_and_series_modules(header: Dataset, study: StudyHeader, series: SeriesHeader, uid: str) -> None:
    header.StudyInstanceUID = study.study_instance_uid
    header.SeriesInstanceUID = uid
    header.SOPClassUID = CTImageStorage
    header.FrameOfReferenceUID = study.frame_of_reference_uid
    header.PositionReferenceIndicator = ""
    header.AccessionNumber = study.accession_number
    header.StudyID = study.accession_number[-6:]
    header.ReferringPhysicianName = ""
    header.StudyDescription = study.entries.study_description
    header.SeriesDescription = series.description
    header.SeriesNumber = series.number
    header.AcquisitionNumber = 1
    header.Modality = "CT"
    header.BodyPartExamined = "ABDOMEN"
    header.PatientPosition = "HFS"
    header.Laterality = ""


def _dates_and_times(header: Dataset, study: StudyHeader, model: ScannerModel) -> None:
    at, digits = study.performed_at, TIME_DIGITS[model.manufacturer]
    fraction = f".{'123456'[:digits]}" if digits else ""
    for event in ("Study", "Series", "Acquisition", "Content"):
        setattr(header, f"{event}Date", f"{at:%Y%m%d}")
        setattr(header, f"{event}Time", f"{at:%H%M%S}{fraction}")


def _equipment_module(header: Dataset, study: StudyHeader, protocol: Protocol) -> None:
    model = protocol.scanner.model
    header.Manufacturer = model.manufacturer
    header.ManufacturerModelName = model.model
    header.StationName = protocol.scanner.station
    header.InstitutionName = INSTITUTION_NAME.format(institution=study.patient.institution)
    header.SoftwareVersions = "simulated"
    group, creator, element, vr, value = PRIVATE_BLOCKS[model.manufacturer]
    header.private_block(group, creator, create=True).add_new(element, vr, value)


def _acquisition_module(header: Dataset, study: StudyHeader, series: SeriesHeader, protocol: Protocol) -> None:
    vendor = protocol.scanner.model.manufacturer
    header.ImageType = list(series.image_type)
    header.KVP = str(protocol.kvp_kv) if study.entries.has_voltage else None  # type 2: may be empty
    header.ConvolutionKernel = series.kernel.split("\\")  # Siemens adds the strength of its iterations
    header.SliceThickness = _thickness(series.thickness_mm, vendor)
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
    elif vendor == "GE MEDICAL SYSTEMS":  # writes the element whether or not anything was given
        header.ContrastBolusAgent = ""


def _thickness(thickness_mm: float, vendor: str) -> str:
    """Write a thickness as the vendor does: Philips what its arithmetic left, Canon with all its zeros."""
    if vendor == "Philips":
        return f"{thickness_mm - 1e-10:.10f}"
    return f"{thickness_mm:.3f}" if vendor in CANON_NAMES else f"{thickness_mm:g}"


def _image_module(header: Dataset, series: SeriesHeader, protocol: Protocol) -> None:
    model = protocol.scanner.model
    header.ImageOrientationPatient = [f"{value:g}" for value in series.orientation]
    number = ".8e" if model.manufacturer == "Philips" else ".8g"  # 7.03125000e-01
    header.PixelSpacing = [f"{value:{number}}" for value in series.spacing_mm]
    header.Rows = header.Columns = protocol.matrix
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = (
        16,
        (16 if model.signed else 12),
        (15 if model.signed else 11),
    )
    header.PixelRepresentation = int(model.signed)
    header.RescaleIntercept, header.RescaleSlope = str(model.rescale_intercept), "1"
    if model.manufacturer != "Philips":  # type 1C and often missing; HU then (PS3.3 C.11.1.1.2)
        header.RescaleType = "HU"
    header.WindowCenter, header.WindowWidth = "40", "400"
    if model.pads_outside_circle and model.signed:
        header.add_new(0x00280120, "SS", PADDING_VALUE)  # PixelPaddingValue takes the sign of the pixels
