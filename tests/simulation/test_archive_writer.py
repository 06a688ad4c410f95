import csv
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from screening.archive.header import FoundFile, read_header
from screening.archive.index import Instance
from screening.imaging.model_input import kvp_scale
from screening.imaging.wording import Kernel, kernel_sharpness
from screening.records.batch import Format
from screening.records.dxa import check_dxa
from screening.records.dxa_tables import read_dxa_table
from screening.records.identities import Identities
from screening.records.settings import RecordSettings
from screening.simulation.anatomy import draw_anatomy
from screening.simulation.archive_writer import findings_of, write_archive
from screening.simulation.cohort import draw_patient
from screening.simulation.densitometer import DENSITOMETERS, read_dxa
from screening.simulation.findings import Finding
from screening.simulation.fleet import FLEETS, ScannerModel
from screening.simulation.scanner import HU_LIMITS, draw_protocol
from screening.simulation.series_writer import Entries, SeriesHeader, StudyHeader, draw_entries, write_series
from screening.simulation.vertebrae import Spine

SEED, MATRIX, PATIENTS = 4, 96, 5
AXIAL_SERIES = ("SE0002", "SE0003", "SE0004")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    write_archive(folder, patients=PATIENTS, seed=SEED, institution=2, matrix=MATRIX)
    return folder


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _axial_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("archive/*/*/*") if path.name in AXIAL_SERIES)


def _series(folder: Path) -> list[pydicom.FileDataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def test_files_have_no_extension_and_nothing_but_dicom_lies_in_the_archive(folder):
    files = [path for path in (folder / "archive").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {""}
    assert all(path.read_bytes()[128:132] == b"DICM" for path in files)


def test_every_instance_has_its_own_uid_and_says_that_it_is_simulated(folder):
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.glob("archive/*/*/*/*")]
    assert len({header.SOPInstanceUID for header in headers}) == len(headers)
    assert all(str(header.PatientName).startswith("SIMULATED^") for header in headers)
    assert all("SIMULATED" in header.InstitutionName for header in headers)
    assert all(header.PatientID.startswith("SIM2-") for header in headers)


def test_slices_stand_at_equal_distances_in_an_axial_stack(folder):
    for path in _axial_folders(folder):
        positions = np.array([header.ImagePositionPatient for header in _series(path)], dtype=float)
        steps = np.diff(positions, axis=0)
        assert np.abs(steps[:, :2]).max() == 0.0
        assert np.ptp(steps[:, 2]) < 0.01
        assert steps[0, 2] < 0.0


def test_rescaled_pixels_are_hounsfield_units_with_air_around(folder):
    for path in _axial_folders(folder):
        image = _series(path)[3]
        stored = image.pixel_array.astype(int)
        padded = stored == image.get("PixelPaddingValue", 10**6)
        hu = (stored * float(image.RescaleSlope) + float(image.RescaleIntercept))[~padded]
        assert hu.min() >= HU_LIMITS[0]
        assert hu.max() <= HU_LIMITS[1]
        assert np.median(hu[hu < -800.0]) == pytest.approx(-1000.0, abs=60.0)


def test_ct_image_attributes_of_type_1_are_present(folder):
    for path in _axial_folders(folder):
        image = _series(path)[0]
        assert image.SOPClassUID == pydicom.uid.CTImageStorage
        assert image.ImageType[:3] == ["ORIGINAL", "PRIMARY", "AXIAL"]
        assert image.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
        assert (image.Rows, image.Columns) == (MATRIX, MATRIX)
        assert image.PixelRepresentation == int(image.pixel_array.dtype.kind == "i")
        assert "KVP" in image
        assert image.SliceThickness > 0


def test_a_contrast_study_keeps_an_unenhanced_series_only_where_the_truth_says_so(folder):
    study = next(row for row in _rows(folder / "truth.csv") if row["enhanced"] != "no")
    kinds = {path.name for path in folder.glob(f"archive/*/{study['patient_id']}/*")}
    assert "SE0003" in kinds
    assert ("SE0002" in kinds) == (study["enhanced"] == "also")


@pytest.mark.parametrize("model", [model for fleet in FLEETS.values() for model in fleet.models])
def test_every_vendors_header_says_what_was_done(model, tmp_path):
    header = _header_of(model, tmp_path, Entries("SIMULATED^GRÖSSE", "", has_age=False, has_voltage=True))

    assert header.manufacturer == model.manufacturer
    assert header.manufacturer_model_name == model.model
    assert header.kvp_kv == 120.0
    assert header.slice_thickness_mm == pytest.approx(5.0, abs=1e-6)
    assert header.pixel_spacing_mm == pytest.approx((0.7031, 0.7031))
    assert header.rescale_slope == 1.0
    assert header.rescale_intercept == model.rescale_intercept
    assert header.convolution_kernel == model.soft_kernels[-1].name
    assert kernel_sharpness(header.convolution_kernel, header.series_description) is Kernel.SOFT
    assert kernel_sharpness(model.sharp_kernel.name, "") is Kernel.SHARP
    assert header.study_date == date(2024, 2, 29)
    assert header.acquisition_time.startswith("235958")
    assert (header.patient_age_years, header.study_description) == (None, "")


def test_a_missing_voltage_reads_as_none(tmp_path):
    entries = Entries("SIMULATED^PATIENT", "ABDOMEN", has_age=True, has_voltage=False)
    assert _header_of(FLEETS[1].models[0], tmp_path, entries).kvp_kv is None


def test_ge_writes_an_empty_contrast_agent_where_others_write_none(tmp_path):
    entries = Entries("SIMULATED^PATIENT", "ABDOMEN", has_age=True, has_voltage=True)
    ge, siemens = FLEETS[1].models[1], FLEETS[1].models[0]
    assert _header_of(ge, tmp_path / "ge", entries).contrast_bolus_agent == ""
    assert _header_of(siemens, tmp_path / "siemens", entries).contrast_bolus_agent is None


def test_entries_are_left_out_in_their_shares():
    entries = [draw_entries(np.random.default_rng(number)) for number in range(2000)]
    assert np.mean([not entry.has_voltage for entry in entries]) == pytest.approx(0.02, abs=0.01)
    assert np.mean([not entry.has_age for entry in entries]) == pytest.approx(0.05, abs=0.015)
    assert np.mean([not entry.study_description for entry in entries]) == pytest.approx(0.1, abs=0.02)
    assert all(entry.patient_name.startswith("SIMULATED^") for entry in entries)
    assert any(not entry.patient_name.isascii() for entry in entries)


def _header_of(model: ScannerModel, folder: Path, entries: Entries) -> Instance:
    """Write one slice of 4 x 4 pixels on this model and read its header back."""
    patient = draw_patient(SEED, 1, 1)
    drawn = draw_protocol(patient, draw_anatomy(patient), 4)
    protocol = replace(drawn, scanner=replace(drawn.scanner, model=model), kvp_kv=120, thickness_mm=5.0)
    study = StudyHeader(patient, "1.2.3", "1.2.4", "A1", datetime(2024, 2, 29, 23, 59, 58), entries)
    series = SeriesHeader(
        number=2,
        description="AX",
        kernel=model.soft_kernels[-1].name,
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        contrast_agent=None,
        thickness_mm=5.0,
        spacing_mm=(0.7031, 0.7031),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        positions_mm=np.zeros((1, 3)),
    )
    write_series(folder, study, series, protocol, np.zeros((1, 4, 4), np.int16), None)
    path = folder / "IM00001"
    return read_header(FoundFile(path, path.stat().st_size, 0))


def test_truth_agrees_with_the_rendered_volume(folder):
    studies = {row["study_instance_uid"]: row for row in _rows(folder / "truth.csv")}
    differences = []
    for row in _rows(folder / "truth_vertebra.csv"):
        study = studies[row["study_instance_uid"]]
        differences.append(_attenuation_at(folder, study, row) - float(row["hu120"]))
    assert len(differences) >= 12
    assert np.abs(differences).max() < 30.0
    assert abs(np.mean(differences)) < 10.0


def _attenuation_at(folder: Path, study: dict[str, str], row: dict[str, str]) -> float:
    """Mean within 8 mm of the stated body centre at 120 kVp, over the central 10 mm, of the first axial series."""
    path = next(path for path in _axial_folders(folder) if path.parent.name == study["patient_id"])
    centre = np.array([float(row[f"centre_{axis}_mm"]) for axis in "xyz"])
    near = [image for image in _series(path) if abs(float(image.ImagePositionPatient[2]) - centre[2]) < 5.0]
    values = []
    for image in near:
        x = float(image.ImagePositionPatient[0]) + np.arange(MATRIX) * float(image.PixelSpacing[1])
        y = float(image.ImagePositionPatient[1]) + np.arange(MATRIX) * float(image.PixelSpacing[0])
        disc = np.hypot((x - centre[0])[None, :], (y - centre[1])[:, None]) < 8.0
        values.append((image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept))[disc])
    return float(np.concatenate(values).mean()) * kvp_scale(float(study["kvp_kv"])).factor


def test_end_plates_stand_around_the_centre(folder):
    for row in _rows(folder / "truth_vertebra.csv"):
        assert float(row["lower_z_mm"]) < float(row["centre_z_mm"]) < float(row["upper_z_mm"])
        assert 15.0 < float(row["upper_z_mm"]) - float(row["lower_z_mm"]) < 36.0


def test_findings_of_a_vertebra_stand_beside_each_other():
    spine = _spine_with("L3", (Finding.WEDGE_FRACTURE, Finding.CEMENT), instrumented=("L3", "L4"))
    assert findings_of(spine, "L3") == "wedge_fracture cement instrumented"
    assert findings_of(spine, "L4") == "instrumented"
    assert findings_of(spine, "L2") == ""


def _spine_with(level: str, findings: tuple[Finding, ...], *, instrumented: tuple[str, ...]) -> Spine:
    """A spine without any finding but these."""
    spine = draw_anatomy(draw_patient(SEED, 1, 1)).spine
    named = {level: findings}
    bodies = tuple(replace(body, findings=named.get(body.level, ())) for body in spine.vertebrae)
    return replace(spine, vertebrae=bodies, instrumented=instrumented)


def test_the_truth_names_the_findings_of_every_vertebra(folder):
    numbers = {row["study_instance_uid"]: int(row["patient_id"][-6:]) for row in _rows(folder / "truth.csv")}
    rows = _rows(folder / "truth_vertebra.csv")
    spines = {number: draw_anatomy(draw_patient(SEED, 2, number)).spine for number in numbers.values()}
    assert [row["findings"] for row in rows] == [
        findings_of(spines[numbers[row["study_instance_uid"]]], row["level"]) for row in rows
    ]
    assert any(row["findings"] for row in rows)


def test_dxa_belongs_to_the_patients_who_had_one_and_misses_the_truth_by_its_precision(folder):
    truth = {row["patient_id"]: row for row in _rows(folder / "truth.csv")}
    readings = _rows(folder / "dxa.csv")
    assert {row["patient_id"] for row in readings} == {k for k, row in truth.items() if row["has_dxa"] == "1"}
    for row in readings:
        lunar_g_cm2 = 1.0755 / 0.9522 * float(truth[row["patient_id"]]["bmd_true"])
        assert float(row["bmd_dxa"]) == pytest.approx(lunar_g_cm2, rel=0.045)
        assert float(row["t_score"]) == pytest.approx((float(row["bmd_dxa"]) - 1.18) / 0.12, abs=0.06)
        assert (row["region"], row["manufacturer"]) == ("L1-L4", "GE LUNAR")


def test_institutions_differ_in_the_scale_of_their_densitometer():
    patient = draw_patient(SEED, 1, 1)
    hologic, lunar = (read_dxa(patient, 0.9, DENSITOMETERS[place]) for place in (1, 2))
    assert lunar.bmd_g_cm2 / hologic.bmd_g_cm2 == pytest.approx(1.1295, abs=1e-4)
    assert (hologic.manufacturer, lunar.manufacturer) == ("HOLOGIC", "GE LUNAR")
    assert hologic.t_score == pytest.approx(lunar.t_score, abs=0.2)  # each against its own reference


def test_what_the_densitometry_department_delivers_can_be_imported(folder):
    settings = RecordSettings()
    ((batch, *_),) = read_dxa_table(folder / "dxa.csv", Format.CSV, settings)
    checked = check_dxa(batch, settings, Identities.load(settings), date.today())
    assert len(checked.accepted) == len(_rows(folder / "dxa.csv"))
    assert checked.rejected.empty


def test_a_patient_does_not_depend_on_how_many_there_are(folder, tmp_path):
    write_archive(tmp_path, patients=1, seed=SEED, institution=2, matrix=MATRIX)
    for path in (tmp_path / "archive").rglob("IM*"):
        assert path.read_bytes() == (folder / "archive" / path.relative_to(tmp_path / "archive")).read_bytes()
    assert _rows(tmp_path / "truth.csv") == _rows(folder / "truth.csv")[:1]


def test_progress_counts_the_patients(tmp_path):
    seen: list[int] = []
    write_archive(tmp_path, patients=2, seed=SEED, institution=1, matrix=32, progress=seen.append)
    assert seen == [1, 2]
