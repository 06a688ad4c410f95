"""`screening explain`: every decision with its facts, from files and from the books, nothing else of the patient."""

import json
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from dicom_files import ct_slice, found, write
from rich.console import Console
from roi_predictor import FACTS, RoiPredictor
from typer.testing import CliRunner

from screening.archive.header import read_header
from screening.archive.index import Series, Study, pack, series_of
from screening.cli import app
from screening.config import CareGapSettings, Settings
from screening.errors import UserError
from screening.explaining import (
    OUTCOME_COLUMNS,
    SERIES_COLUMNS,
    VALUE_COLUMNS,
    VERTEBRA_COLUMNS,
    Explanation,
    Reader,
    explain_files,
    explain_study,
)
from screening.imaging.lumbar import find_lumbar_spine
from screening.reading import outcome_of
from screening.store.database import DatabaseFolder, create_schema, open_writer, write_rows
from screening.store.publish import publish
from screening.store.rows import ReadStudy, write_readings
from screening.terminal import show_explanation

READER = Reader(find_lumbar_spine, RoiPredictor(), Settings())
MODEL = {
    "checkpoint_sha256": FACTS.sha256, "name": FACTS.name, "data_kind": FACTS.data_kind, "metrics": "{}",
    "active": True, "registered_at": datetime(2026, 3, 1),
}  # fmt: skip


def files_of(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


@pytest.fixture(scope="module")
def archive(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One simulated study whose files may be taken away."""
    study = next((simulated / "archive").glob("*/SIM1-000001"))
    return Path(shutil.copytree(study, tmp_path_factory.mktemp("explained") / "archive"))


@pytest.fixture(scope="module")
def explained(archive: Path) -> Explanation:
    (explanation,) = explain_files(archive, READER)
    return explanation


def indexed(study: Study, series: Series) -> dict[str, object]:
    return {
        "series_instance_uid": series.series_instance_uid, "study_instance_uid": study.study_instance_uid,
        "modality": "CT", "instance_count": len(series.instances), "fingerprint": "f",
        "instances": pack(series.instances), "present": True, "indexed_at": datetime(2026, 3, 1),
    }  # fmt: skip


@pytest.fixture(scope="module")
def swept(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> DatabaseFolder:
    """A published database that holds the study."""
    place = DatabaseFolder(tmp_path_factory.mktemp("swept"))
    place.create()
    instances = [read_header(found(file)) for file in files_of(archive)]
    series = tuple(series_of(instances).values())
    study = Study(instances[0].study_instance_uid, series)
    outcome = outcome_of(study, READER.localizer, READER.predictor, READER.settings)
    with open_writer(place) as connection:
        write_rows(connection, "series_index", [indexed(study, one) for one in series])
        write_rows(connection, "model", [MODEL])
        write_readings(connection, [ReadStudy(study, outcome, 1, FACTS.sha256, "key", "files", "reading")])
        publish(connection, place, CareGapSettings())
    return place


def shown(explanation: Explanation) -> str:
    console = Console(width=160)
    with console.capture() as captured:
        show_explanation(console, explanation)
    return captured.get()


def test_every_series_has_a_decision_with_its_facts(archive: Path, explained: Explanation) -> None:
    uids = {read_header(found(file)).series_instance_uid for file in files_of(archive)}
    (chosen,) = [series for series in explained.series if series["chosen"]]

    assert {series["series_instance_uid"] for series in explained.series} == uids
    assert explained.outcome["status"] == "measured"
    assert chosen["spacing_mm"] * chosen["instance_count"] == pytest.approx(chosen["coverage_mm"])
    assert chosen["level_certainty"] == "certain"
    assert chosen["stated_phase"] == "unenhanced"
    assert -1024 <= chosen["air_hu"] <= -950


def test_what_is_shown_names_the_facts(explained: Explanation) -> None:
    text = shown(explained)
    assert "measured" in text
    assert "mm steps" in text
    assert "levels certain: level coordinate" in text
    assert "T-score" in text


def test_json_holds_the_same(explained: Explanation) -> None:
    told = json.loads(explained.to_json())
    assert told["outcome"]["status"] == "measured"
    assert len(told["vertebrae"]) == len(explained.vertebrae) >= 2


def told_of(folder: Path, **elements: object) -> str:
    """All that is told of three slices with these elements."""
    for number in range(1, 4):
        write(folder, f"{number}", ct_slice(number, **elements))
    (explanation,) = explain_files(folder, READER)
    assert explanation.outcome["status"] == "excluded"
    return explanation.to_json() + shown(explanation)


KEPT_BACK = {
    "PatientName": "SECRET^NAME", "PatientID": "SECRET-ID", "OtherPatientIDs": "SECRET", "PatientComments": "SECRET",
    "IssuerOfPatientID": "SECRET", "AccessionNumber": "SECRET", "StudyID": "SECRET", "StudyDescription": "SECRET",
    "ProtocolName": "SECRET", "InstitutionName": "SECRET", "StationName": "SECRET", "BodyPartExamined": "SECRET",
    "ReferringPhysicianName": "SECRET", "OperatorsName": "SECRET", "ImageComments": "SECRET",
    "ContrastBolusAgent": "SECRET",
}  # fmt: skip


@pytest.mark.parametrize(("keyword", "value"), KEPT_BACK.items())
def test_elements_of_the_patient_and_the_study_are_not_told(tmp_path: Path, keyword: str, value: str) -> None:
    assert "SECRET" not in told_of(tmp_path, **{keyword: value})


@pytest.mark.parametrize(("keyword", "day"), [("PatientBirthDate", "19470309"), ("StudyDate", "20170309")])
def test_dates_are_not_told(tmp_path: Path, keyword: str, day: str) -> None:
    told = told_of(tmp_path, **{keyword: day})
    assert day not in told
    assert f"{day[:4]}-{day[4:6]}-{day[6:]}" not in told


TOLD = {
    "SeriesDescription": "SECRET^NAME", "ConvolutionKernel": "SECRET", "Modality": "SECRET",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "SECRET"],
}  # fmt: skip


@pytest.mark.parametrize(("keyword", "value"), TOLD.items())
def test_what_names_the_series_is_told_as_it_was_written(tmp_path: Path, keyword: str, value: object) -> None:
    assert "SECRET" in told_of(tmp_path, **{keyword: value})


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_uids_are_told(tmp_path: Path, keyword: str) -> None:
    assert "1.2.19470309.1" in told_of(tmp_path, **{keyword: "1.2.19470309.1"})


def test_help_says_that_free_text_may_hold_a_name() -> None:
    text = " ".join(CliRunner().invoke(app, ["explain", "--help"], env={"COLUMNS": "200"}).stdout.split())
    assert "stand as they were written, and may hold a name" in text


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("outcome", OUTCOME_COLUMNS),
        ("series", SERIES_COLUMNS),
        ("vertebra", VERTEBRA_COLUMNS),
        ("study_bmd", VALUE_COLUMNS),
    ],
)
def test_every_column_told_is_one_of_the_books(table: str, columns: tuple[str, ...]) -> None:
    with duckdb.connect() as memory:
        create_schema(memory)
        known = {name for (name,) in memory.execute(f"SELECT column_name FROM (DESCRIBE {table})").fetchall()}
    assert set(columns) <= known
    assert len(set(columns)) == len(columns)


def test_a_single_file_is_explained_too(tmp_path: Path) -> None:
    (explanation,) = explain_files(write(tmp_path, "slice", ct_slice()), READER)
    assert explanation.outcome["reason"] == "too_few_slices"
    assert explanation.series[0]["spacing_mm"] is None


def test_files_that_are_no_dicom_are_counted(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM " * 40)
    with pytest.raises(UserError, match="not_dicom 1"):
        explain_files(tmp_path, READER)

    write(tmp_path, "slice", ct_slice())
    (explanation,) = explain_files(tmp_path, READER)
    assert explanation.source == "1 files read now, 1 files not_dicom"


def test_a_failure_is_told_with_its_stage(archive: Path) -> None:
    def broken(volume: object) -> object:
        return find_lumbar_spine(None)  # type: ignore[arg-type]

    (explanation,) = explain_files(archive, replace(READER, localizer=broken))

    assert explanation.outcome["status"] == "failed"
    assert explanation.outcome["stage"].startswith("screening.imaging.")
    assert {series["reason"] for series in explanation.series} == {"failed"}
    assert "failed, AttributeError, screening.imaging" in shown(explanation)


def no_reader() -> Reader:
    raise AssertionError("the files are not to be read")


def test_a_study_of_the_database_is_read_again_and_without_files_told_as_recorded(
    archive: Path, swept: DatabaseFolder, explained: Explanation, tmp_path: Path
) -> None:
    again = explain_study(swept, explained.study_instance_uid, lambda: READER)
    archive.rename(tmp_path / "gone")
    recorded = explain_study(swept, explained.study_instance_uid, no_reader)
    (tmp_path / "gone").rename(archive)

    assert again == replace(explained, source=again.source)
    assert recorded == replace(explained, source=recorded.source)
    assert "read now" in again.source
    assert "cannot be reached" in recorded.source


def test_an_unknown_study_is_said(swept: DatabaseFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="knows no study of this UID"):
        explain_study(swept, "2.25.404", no_reader)
    with pytest.raises(UserError, match="No published database"):
        explain_study(DatabaseFolder(tmp_path), "2.25.404", no_reader)


def test_the_command_tells_a_recorded_study_as_json(
    archive: Path, swept: DatabaseFolder, explained: Explanation, tmp_path: Path
) -> None:
    archive.rename(tmp_path / "gone")
    command = ["explain", explained.study_instance_uid, "--database", str(swept.folder), "--json"]
    ended = CliRunner().invoke(app, command)
    (tmp_path / "gone").rename(archive)

    (told,) = json.loads(ended.stdout)
    assert ended.exit_code == 0
    assert told["outcome"]["status"] == "measured"


def test_a_target_that_is_nothing_is_an_expected_error() -> None:
    ended = CliRunner().invoke(app, ["explain", "2.25.404"])
    assert isinstance(ended.exception, UserError)
    assert "--database" in str(ended.exception)
