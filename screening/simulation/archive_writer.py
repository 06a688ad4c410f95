"""Seed -> an archive of simulated CT studies, the DXA results beside it, and the truth nobody else has.

`archive/` holds DICOM files only. `dxa.csv` is what a densitometry department would deliver. `truth.csv` and
`truth_vertebra.csv` are for tests and validation; positions in them are DICOM patient coordinates.
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from screening.simulation.anatomy import Anatomy, draw_anatomy, enhance
from screening.simulation.cohort import Patient, Stream, draw_patient
from screening.simulation.densitometer import DENSITOMETERS, LevelTruth, areal_bmd_g_cm2, measure_levels, read_dxa
from screening.simulation.fleet import Kernel
from screening.simulation.scanner import Protocol, circle, draw_protocol, reconstruct, scan
from screening.simulation.series_writer import SeriesHeader, StudyHeader, deterministic_uid, draw_entries, write_series
from screening.simulation.vertebrae import Spine

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
ENHANCED_ONLY, ENHANCED_TOO = 0.12, 0.16  # a fifth to a third of abdominal CT is enhanced
PARTIAL_COVERAGE = 0.06
SCOUT, SHARP_KERNEL = 0.6, 0.08
CONTRAST_TAG_FILLED = 0.3  # 38 of 50 enhanced slices of a public set had an empty ContrastBolusAgent
WITH_DXA, DXA_NEAR = 0.55, 0.88
NEAR_DAYS, FAR_DAYS = 150, 1300


@dataclass(frozen=True, slots=True)
class DxaRow:
    """One line of dxa.csv."""

    patient_id: str
    dxa_date: str  # ISO
    region: str
    bmd_dxa: str  # g/cm2
    t_score: str
    manufacturer: str


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One line of truth.csv: a study and what is exactly known of its patient."""

    patient_id: str
    study_instance_uid: str
    age_years: str
    sex: str
    bmd_true: str  # areal, L1-L4 by projection, g/cm2
    hu120: str  # mean of the cancellous interior of L1-L4 at 120 kVp
    has_dxa: int
    enhanced: str  # "no", "only" (no unenhanced series) or "also"
    complete: int  # 1: the examination covers L1-L4 whole
    kvp_kv: int
    thickness_mm: float
    manufacturer: str
    convolution_kernel: str
    series_instance_uid: str  # the series to read: unenhanced soft kernel where there is one


@dataclass(frozen=True, slots=True)
class VertebraRow:
    """One line of truth_vertebra.csv; only vertebrae that lie whole inside the examination."""

    study_instance_uid: str
    level: str
    centre_x_mm: str
    centre_y_mm: str
    centre_z_mm: str
    upper_z_mm: str
    lower_z_mm: str
    hu120: str
    depth_mm: str
    bmd_true: str
    findings: str  # as in `findings_of`


@dataclass(frozen=True, slots=True)
class _Examination:
    """What is decided about a study before anything is rendered."""

    protocol: Protocol
    z_mm: NDArray[np.float64]  # simulation axes, descending: the first image is the most cranial one
    shift_mm: NDArray[np.float64]  # from simulation axes to DICOM patient coordinates
    enhanced: str
    scout: bool
    sharp: bool
    has_dxa: bool


def write_archive(
    folder: Path,
    *,
    patients: int,
    seed: int,
    institution: int,
    matrix: int = 512,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write `patients` studies with their DXA results and truth; patient k depends on seed and institution only.

    Args:
        folder: where `archive/`, `dxa.csv`, `truth.csv` and `truth_vertebra.csv` go; created.
        patients: how many, numbered from 1.
        seed: of everything.
        institution: 1 or 2; they differ in patients and scanners.
        matrix: rows and columns of the axial images.
        progress: called with the number of patients written so far.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truths: list[TruthRow] = []
    vertebrae: list[VertebraRow] = []
    readings: list[DxaRow] = []
    for number in range(1, patients + 1):
        truth, levels, dxa = _write_patient(folder / "archive", draw_patient(seed, institution, number), matrix)
        truths.append(truth)
        vertebrae.extend(levels)
        readings.extend(dxa)
        if progress is not None:
            progress(number)
    _write_csv(folder / "truth.csv", TruthRow, truths)
    _write_csv(folder / "truth_vertebra.csv", VertebraRow, vertebrae)
    _write_csv(folder / "dxa.csv", DxaRow, readings)


def _write_csv(path: Path, row_type: type, rows: Iterable[TruthRow] | Iterable[VertebraRow] | Iterable[DxaRow]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(row_type)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def _write_patient(archive: Path, patient: Patient, matrix: int) -> tuple[TruthRow, list[VertebraRow], list[DxaRow]]:
    anatomy = draw_anatomy(patient)
    levels = measure_levels(anatomy.spine, anatomy.vessels.calcium)
    rng = patient.rng(Stream.HEADER)
    examination = _plan(patient, anatomy, draw_protocol(patient, anatomy, matrix), rng)
    study = _study_header(patient, examination.protocol, rng)
    series_uid = _write_study(archive, study, examination, anatomy)
    truth = _truth_row(patient, study, examination, levels, series_uid)
    dxa = _dxa_rows(patient, study, levels, rng) if examination.has_dxa else []
    whole = [level for level in levels if _is_whole(level, examination)]
    return truth, [_vertebra_row(study, anatomy.spine, level, examination.shift_mm) for level in whole], dxa


def _plan(patient: Patient, anatomy: Anatomy, protocol: Protocol, rng: Generator) -> _Examination:
    enhanced = str(
        rng.choice(["only", "also", "no"], p=[ENHANCED_ONLY, ENHANCED_TOO, 1 - ENHANCED_ONLY - ENHANCED_TOO])
    )
    top = anatomy.spine.level("T11").centre_mm[2] + rng.normal(10.0, 8.0)
    bottom = anatomy.spine.level("S2").centre_mm[2] + rng.normal(-10.0, 8.0)
    if rng.random() < PARTIAL_COVERAGE:  # an upper abdomen that ends among the lumbar bodies
        bottom = anatomy.spine.level(str(rng.choice(["L1", "L2", "L3"]))).centre_mm[2]
    z = np.arange(top, bottom, -protocol.spacing_mm)
    shift = np.array([rng.normal(0.0, 12.0), rng.normal(-120.0, 60.0), rng.uniform(-900.0, 300.0)])
    return _Examination(
        protocol=protocol,
        z_mm=z,
        shift_mm=np.round(shift, 1),
        enhanced=enhanced,
        scout=bool(rng.random() < SCOUT),
        sharp=bool(rng.random() < SHARP_KERNEL),
        has_dxa=bool(rng.random() < WITH_DXA),
    )


def _study_header(patient: Patient, protocol: Protocol, rng: Generator) -> StudyHeader:
    uid = deterministic_uid(patient.seed, patient.patient_id)
    return StudyHeader(
        patient=patient,
        study_instance_uid=uid,
        frame_of_reference_uid=deterministic_uid(uid, "frame"),
        accession_number=f"SA{patient.institution}{patient.number:07d}",
        performed_at=protocol.examined_at,
        entries=draw_entries(rng),
    )


def _write_study(archive: Path, study: StudyHeader, examination: _Examination, anatomy: Anatomy) -> str:
    """Write all series and return the UID of the one that ought to be read."""
    patient, protocol = study.patient, examination.protocol
    folder = archive / f"{study.performed_at:%Y}" / patient.patient_id
    noise = patient.rng(Stream.NOISE)
    chosen = ""
    if examination.enhanced != "no":
        slabs = scan(enhance(anatomy, noise), protocol, examination.z_mm)
        hu = reconstruct(slabs, protocol, patient, protocol.kernel, noise)
        agent = "IODINATED CONTRAST" if noise.random() < CONTRAST_TAG_FILLED else ""
        name = str(noise.choice(["AX PORTAL VENOUS", "ABDOMEN +C", "AXIAL"]))
        header = _axial_header(examination, 3, name, protocol.kernel, agent)
        chosen = write_series(folder / "SE0003", study, header, protocol, hu, _outside(protocol))
    if examination.enhanced != "only":
        slabs = scan(anatomy, protocol, examination.z_mm)
        hu = reconstruct(slabs, protocol, patient, protocol.kernel, noise)
        header = _axial_header(examination, 2, "AX ABDOMEN NATIVE", protocol.kernel, None)
        chosen = write_series(folder / "SE0002", study, header, protocol, hu, _outside(protocol))
    if examination.sharp:
        kernel = protocol.scanner.model.sharp_kernel
        sharp = reconstruct(slabs, protocol, patient, kernel, noise)
        header = _axial_header(examination, 4, f"AX {kernel.name}", kernel, None)
        write_series(folder / "SE0004", study, header, protocol, sharp, _outside(protocol))
    if examination.scout:
        _write_scout(folder / "SE0001", study, examination, hu)
    return chosen


def _outside(protocol: Protocol) -> NDArray[np.bool_] | None:
    return ~circle(protocol) if protocol.scanner.model.pads_outside_circle else None


def _axial_header(
    examination: _Examination, number: int, description: str, kernel: Kernel, agent: str | None
) -> SeriesHeader:
    protocol = examination.protocol
    x, y = protocol.axes_mm()
    corner = np.array([x[0], y[0], 0.0]) + examination.shift_mm
    return SeriesHeader(
        number=number,
        description=f"{description} {protocol.thickness_mm:g}",
        kernel=kernel.name,
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        contrast_agent=agent,
        thickness_mm=protocol.thickness_mm,
        spacing_mm=(protocol.pixel_mm, protocol.pixel_mm),
        orientation=AXIAL,
        positions_mm=np.array([corner + (0.0, 0.0, z) for z in examination.z_mm]),
    )


def _write_scout(folder: Path, study: StudyHeader, examination: _Examination, hu: NDArray[np.int16]) -> None:
    """Project a series from front to back, as the overview a scanner takes first."""
    protocol = examination.protocol
    projection = hu.astype(np.float32).mean(axis=1)
    rows = np.linspace(0, len(projection) - 1, protocol.matrix)
    image = np.rint(projection[np.rint(rows).astype(int)]).astype(np.int16)
    x, y = protocol.axes_mm()
    height = float(examination.z_mm[0] - examination.z_mm[-1])
    header = SeriesHeader(
        number=1,
        description="SCOUT",
        kernel="",
        image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
        contrast_agent=None,
        thickness_mm=float(y[-1] - y[0]),
        spacing_mm=(height / (protocol.matrix - 1), protocol.pixel_mm),
        orientation=CORONAL,
        positions_mm=np.array([[x[0], float(y.mean()), examination.z_mm[0]]]) + examination.shift_mm,
    )
    write_series(folder, study, header, protocol, image[None], None)


def _is_whole(level: LevelTruth, examination: _Examination) -> bool:
    return bool(examination.z_mm[-1] <= level.lower_z_mm and level.upper_z_mm <= examination.z_mm[0])


def _truth_row(
    patient: Patient, study: StudyHeader, examination: _Examination, levels: tuple[LevelTruth, ...], series_uid: str
) -> TruthRow:
    protocol = examination.protocol
    return TruthRow(
        patient_id=patient.patient_id,
        study_instance_uid=study.study_instance_uid,
        age_years=f"{patient.age_years:.2f}",
        sex=patient.sex,
        bmd_true=f"{areal_bmd_g_cm2(levels):.4f}",
        hu120=f"{np.mean([level.hu120 for level in levels]):.2f}",
        has_dxa=int(examination.has_dxa),
        enhanced=examination.enhanced,
        complete=int(all(_is_whole(level, examination) for level in levels)),
        kvp_kv=protocol.kvp_kv,
        thickness_mm=protocol.thickness_mm,
        manufacturer=protocol.scanner.model.manufacturer,
        convolution_kernel=protocol.kernel.name,
        series_instance_uid=series_uid,
    )


def findings_of(spine: Spine, level: str) -> str:
    """Return a vertebra's findings (values of `Finding`) and "instrumented" where it is, with spaces between them."""
    instrumented = ("instrumented",) if level in spine.instrumented else ()
    return " ".join((*spine.level(level).findings, *instrumented))


def _vertebra_row(study: StudyHeader, spine: Spine, level: LevelTruth, shift_mm: NDArray[np.float64]) -> VertebraRow:
    x, y, z = np.asarray(level.centre_mm) + shift_mm
    return VertebraRow(
        study_instance_uid=study.study_instance_uid,
        level=level.level,
        centre_x_mm=f"{x:.2f}",
        centre_y_mm=f"{y:.2f}",
        centre_z_mm=f"{z:.2f}",
        upper_z_mm=f"{level.upper_z_mm + shift_mm[2]:.2f}",
        lower_z_mm=f"{level.lower_z_mm + shift_mm[2]:.2f}",
        hu120=f"{level.hu120:.2f}",
        depth_mm=f"{level.depth_mm:.2f}",
        bmd_true=f"{level.bmd_g_cm2:.4f}",
        findings=findings_of(spine, level.level),
    )


def _dxa_rows(patient: Patient, study: StudyHeader, levels: tuple[LevelTruth, ...], rng: Generator) -> list[DxaRow]:
    densitometer = DENSITOMETERS.get(patient.institution, DENSITOMETERS[1])
    reading = read_dxa(patient, areal_bmd_g_cm2(levels), densitometer)
    near = rng.random() < DXA_NEAR
    gap = int(rng.integers(-NEAR_DAYS, NEAR_DAYS + 1)) if near else -int(rng.integers(NEAR_DAYS + 1, FAR_DAYS))
    on = study.performed_at.date() + timedelta(days=gap)
    return [
        DxaRow(
            patient_id=patient.patient_id,
            dxa_date=on.isoformat(),
            region="L1-L4",
            bmd_dxa=f"{reading.bmd_g_cm2:.3f}",
            t_score=f"{reading.t_score:.1f}",
            manufacturer=reading.manufacturer,
        )
    ]
