import json
from pathlib import Path

import duckdb
import pytest
from click.testing import Result
from typer.testing import CliRunner

from screening.cli import app

HEADER = "patient_id,issuer,dxa_date,region,bmd_dxa\n"
WIDE = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


def screening(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env=WIDE)


def held(place: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(place / "screening.duckdb", read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    file = tmp_path / "dxa.csv"
    file.write_text(HEADER + "A,,2024-03-01,L1-L4,0.8\n77,RIS,2024-03-01,L1-L4,0.9\n")
    assert screening("import", "dxa", file, "--database", tmp_path / "db", "--create").exit_code == 0
    return tmp_path / "db"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "crosswalk.csv").write_text("issuer,identifier,patient_id\nRIS,77,B\n")
    file = tmp_path / "screening.toml"
    file.write_text(f'[records]\ncrosswalk = "{tmp_path}/crosswalk.csv"\n')
    return file


def test_a_folder_without_database_is_said_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "dxa.csv"
    file.write_text(HEADER)
    ended = screening("import", "dxa", file, "--database", tmp_path / "db")
    assert "No database in" in str(ended.exception)
    assert not (tmp_path / "db").exists()


def test_a_folder_of_every_format_is_read_and_the_rest_counted(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "delivered"
    folder.mkdir()
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "24966-4"}]},
        "subject": {"identifier": {"value": "F"}},
        "effectiveDateTime": "2024-03-01",
        "valueQuantity": {"value": 0.8, "unit": "g/cm2"},
    }
    (folder / "a.json").write_text(json.dumps(observation))
    (folder / "b.hl7").write_text(
        "MSH|^~\\&|A|B|C|D|20240302||ORU^R01|1|P|2.5\rPID|1||H\rOBR|1\r"
        "OBX|1|NM|24966-4^BMD^LN|L1-L4|0.8|g/cm2|||||F|||20240301\r"
    )
    (folder / "c.csv").write_text(HEADER + "C,,2024-03-01,L1-L4,0.8\n")
    (folder / "readme.bin").write_bytes(b"\1\2")

    ended = screening("import", "dxa", folder, "--database", place)

    assert "3 accepted (3 added, 0 updated, 0 unchanged), 0 refused" in ended.output
    assert "1 other records passed over" in ended.output
    assert held(place, "SELECT patient_id FROM dxa ORDER BY 1") == [("A",), ("C",), ("F",), ("H",)]


def test_an_unreadable_file_among_good_ones_changes_nothing(place: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "later.json"
    good.write_text(HEADER + "C,,2024-03-01,L1-L4,0.8\n")
    bad.write_text('{"resourceType": ')
    ended = screening("import", "dxa", good, bad, "--database", place)
    assert "cannot be read as FHIR" in str(ended.exception)
    assert held(place, "SELECT patient_id FROM dxa") == [("A",)]


def test_corrections_replace_what_stands(place: Path, tmp_path: Path) -> None:
    file = tmp_path / "corrected.csv"
    file.write_text(HEADER + "A,,2024-03-01,L1-L4,0.85\n")
    ended = screening("import", "dxa", file, "--database", place, "--corrects", "--issued", "2024-04-01")
    assert "(0 added, 1 updated, 0 unchanged)" in ended.output
    assert held(place, "SELECT bmd_dxa, status, issued_at::DATE::VARCHAR FROM dxa") == [
        (0.85, "corrected", "2024-04-01")
    ]


def test_refused_records_are_counted_shown_and_exported_to_their_owner_alone(place: Path, tmp_path: Path) -> None:
    counted = screening("import", "rejects", "--database", place)
    assert "unknown_issuer" in counted.output
    assert "77" not in counted.output
    shown = screening("import", "rejects", "--database", place, "--reason", "unknown_issuer")
    assert '"patient_id": "77"' in shown.output
    screening("import", "rejects", "--database", place, "--export", tmp_path / "rejects.csv")
    assert "RIS" in (tmp_path / "rejects.csv").read_text()
    assert (tmp_path / "rejects.csv").stat().st_mode & 0o077 == 0


def test_what_passes_today_leaves_the_refused_records(place: Path, config: Path) -> None:
    ended = screening("import", "rejects", "--database", place, "--retry", "--config", config)
    assert "1 accepted (1 added" in ended.output
    assert held(place, "SELECT patient_id FROM dxa ORDER BY 1") == [("A",), ("B",)]
    assert held(place, "FROM rejected_record") == []


def test_importing_the_file_again_with_a_crosswalk_does_the_same(place: Path, config: Path, tmp_path: Path) -> None:
    screening("import", "dxa", tmp_path / "dxa.csv", "--database", place, "--config", config)
    assert held(place, "SELECT patient_id FROM dxa ORDER BY 1") == [("A",), ("B",)]
    assert held(place, "FROM rejected_record") == []


def test_facts_about_patients_are_imported(place: Path, tmp_path: Path) -> None:
    file = tmp_path / "facts.csv"
    file.write_text("patient_id,fact\nA,death\nB,sneeze\n")
    ended = screening("import", "patients", file, "--database", place, "--recorded", "2024-05-01")
    assert "1 accepted (1 added, 0 updated, 0 unchanged), 1 refused" in ended.output
    assert held(place, "SELECT patient_id, fact, holds, recorded_on::VARCHAR FROM patient_context") == [
        ("A", "death", True, "2024-05-01")
    ]
