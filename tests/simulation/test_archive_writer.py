import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest

from screening.simulation.archive_writer import write_archive
from screening.simulation.scanner import HU_LIMITS

SEED, MATRIX, PATIENTS = 4, 96, 5
AXIAL_SERIES = ("SE0002", "SE0003", "SE0004")
HU_FACTOR = {"80": 1 / 1.23, "100": 0.927, "120": 1.0, "140": 1.053}


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
    assert {str(header.PatientName) for header in headers} == {"SIMULATED^PATIENT"}
    assert all("SIMULATED" in header.StudyDescription for header in headers)
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
        assert image.KVP > 0
        assert image.SliceThickness > 0


def test_a_contrast_study_keeps_an_unenhanced_series_only_where_the_truth_says_so(folder):
    study = next(row for row in _rows(folder / "truth.csv") if row["enhanced"] != "no")
    kinds = {path.name for path in folder.glob(f"archive/*/{study['patient_id']}/*")}
    assert "SE0003" in kinds
    assert ("SE0002" in kinds) == (study["enhanced"] == "also")


def test_truth_agrees_with_the_rendered_volume(folder):
    studies = {row["study_instance_uid"]: row for row in _rows(folder / "truth.csv")}
    differences = []
    for row in _rows(folder / "truth_vertebra.csv"):
        study = studies[row["study_instance_uid"]]
        differences.append(_attenuation_at(folder, study["patient_id"], row) - float(row["hu120"]))
    assert len(differences) >= 12
    assert np.abs(differences).max() < 30.0
    assert abs(np.mean(differences)) < 10.0


def _attenuation_at(folder: Path, patient_id: str, row: dict[str, str]) -> float:
    """Mean within 8 mm of the stated body centre at 120 kVp, over the central 10 mm, of the first axial series."""
    path = next(path for path in _axial_folders(folder) if path.parent.name == patient_id)
    centre = np.array([float(row[f"centre_{axis}_mm"]) for axis in "xyz"])
    near = [image for image in _series(path) if abs(float(image.ImagePositionPatient[2]) - centre[2]) < 5.0]
    values = []
    for image in near:
        x = float(image.ImagePositionPatient[0]) + np.arange(MATRIX) * float(image.PixelSpacing[1])
        y = float(image.ImagePositionPatient[1]) + np.arange(MATRIX) * float(image.PixelSpacing[0])
        disc = np.hypot((x - centre[0])[None, :], (y - centre[1])[:, None]) < 8.0
        values.append((image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept))[disc])
    return float(np.concatenate(values).mean()) * HU_FACTOR[str(int(image.KVP))]


def test_end_plates_stand_around_the_centre(folder):
    for row in _rows(folder / "truth_vertebra.csv"):
        assert float(row["lower_z_mm"]) < float(row["centre_z_mm"]) < float(row["upper_z_mm"])
        assert 15.0 < float(row["upper_z_mm"]) - float(row["lower_z_mm"]) < 36.0


def test_dxa_belongs_to_the_patients_who_had_one_and_misses_the_truth_by_its_precision(folder):
    truth = {row["patient_id"]: row for row in _rows(folder / "truth.csv")}
    readings = _rows(folder / "dxa.csv")
    assert {row["patient_id"] for row in readings} == {k for k, row in truth.items() if row["has_dxa"] == "1"}
    for row in readings:
        assert float(row["bmd_dxa"]) == pytest.approx(float(truth[row["patient_id"]]["bmd_true"]), rel=0.045)
        assert float(row["t_score"]) == pytest.approx((float(row["bmd_dxa"]) - 1.047) / 0.110, abs=0.06)
        assert row["region"] == "L1-L4"


def test_a_patient_does_not_depend_on_how_many_there_are(folder, tmp_path):
    write_archive(tmp_path, patients=1, seed=SEED, institution=2, matrix=MATRIX)
    for path in (tmp_path / "archive").rglob("IM*"):
        assert path.read_bytes() == (folder / "archive" / path.relative_to(tmp_path / "archive")).read_bytes()
    assert _rows(tmp_path / "truth.csv") == _rows(folder / "truth.csv")[:1]


def test_progress_counts_the_patients(tmp_path):
    seen: list[int] = []
    write_archive(tmp_path, patients=2, seed=SEED, institution=1, matrix=32, progress=seen.append)
    assert seen == [1, 2]
