"""What the page Data hands out: files of whole tables, questions, references."""

import gzip
import json
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import duckdb
import pandas as pd
import published_example as example
import pyarrow as pa
import pytest
from pyarrow import parquet

from dashboard import console, queries
from dashboard.console import Answer
from dashboard.rows import data as rows
from screening.errors import UserError
from screening.labels import NOTICE, SIMULATED_NOTICE
from screening.prediction.tscore import REFERENCES


@pytest.fixture
def asked(published: queries.Publication) -> rows.Source:
    return rows.source(published, identified=True)


def test_csv_holds_every_row_and_the_notice(asked: rows.Source) -> None:
    taken = rows.wanted(asked, "patient_bmd")
    read = pd.read_csv(BytesIO(rows.csv_file(asked, taken)))

    assert len(read) == taken.row_count == len(example.EVERYBODY)
    assert set(read["notice"]) == {f"{NOTICE} {SIMULATED_NOTICE}."}
    assert set(read["patient_id"]) == {patient.patient_id for patient in example.EVERYBODY}
    assert read["levels"].iloc[0] == "L1; L3; L4"


def test_a_long_csv_is_compressed(asked: rows.Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PACKED_FROM_ROWS", 3)
    taken = rows.wanted(asked, "patient_bmd")

    assert len(pd.read_csv(BytesIO(gzip.decompress(rows.csv_file(asked, taken))))) == taken.row_count


def test_a_table_in_several_parts_is_whole(asked: rows.Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_PART_ROWS", 2)
    taken = rows.wanted(asked, "vertebra")

    assert len(pd.read_csv(BytesIO(rows.csv_file(asked, taken)))) == taken.row_count > 30
    assert parquet.read_table(BytesIO(rows.parquet_file(asked, taken))).num_rows == taken.row_count


def test_parquet_keeps_types_and_carries_the_notes(asked: rows.Source) -> None:
    taken = rows.wanted(asked, "dxa")
    read = parquet.read_table(BytesIO(rows.parquet_file(asked, taken)))

    assert read.num_rows == taken.row_count == 3
    assert read.schema.field("dxa_date").type == pa.date32()
    assert json.loads(read.schema.metadata[b"notes"])[:2] == [NOTICE, f"{SIMULATED_NOTICE}."]
    assert "bmd_dxa: Areal BMD on the scale of its manufacturer, g/cm2." in taken.notes


def test_workbook_says_what_its_columns_mean(asked: rows.Source) -> None:
    book = ZipFile(BytesIO(rows.xlsx_file(asked, rows.wanted(asked, "dxa"))))
    about = "\n".join(ElementTree.fromstring(book.read("xl/worksheets/sheet2.xml")).itertext())

    assert NOTICE in about
    assert SIMULATED_NOTICE in about
    assert "dxa of screening-000001" in about
    assert "bmd_dxa: Areal BMD on the scale of its manufacturer, g/cm2." in about


@pytest.mark.parametrize("make", [rows.csv_file, rows.xlsx_file, rows.parquet_file])
def test_a_table_without_rows_is_a_file_all_the_same(asked: rows.Source, make: object) -> None:
    assert callable(make)
    assert len(make(asked, rows.wanted(asked, "rejected_record"))) > 50


def test_every_relation_that_is_offered_can_be_taken_and_says_what_it_is(asked: rows.Source) -> None:
    found = rows.relations(asked)
    assert {"patient_bmd", "care_gap", "dxa", "validation_metric"} <= set(found)
    assert [name for name, comment in found.items() if not comment] == []
    assert [name for name in found if rows.wanted(asked, name).row_count < 0] == []


def test_a_view_of_an_earlier_version_can_be_taken_too(folder: Path) -> None:
    example.publish_rows(folder, 1, {"publication": [example.PUBLICATION]})
    with duckdb.connect(queries.publication().path) as connection:
        connection.execute("CREATE VIEW earlier AS SELECT patient_id FROM patient")
    found = rows.relations(rows.source(queries.publication(), identified=True))
    assert found["earlier"] == ""


def test_a_pseudonymised_file_names_nobody(published: queries.Publication) -> None:
    research = rows.source(published, identified=False)
    content = rows.csv_file(research, rows.wanted(research, "study"))

    assert not research.identified
    assert b"patient_key" in content
    assert [one for one in example.EVERYBODY if one.patient_id.encode() in content] == []


def test_both_databases_have_the_same_ten_questions(published: queries.Publication) -> None:
    titles = [list(rows.questions(rows.Source(published, identified=identified))) for identified in (True, False)]
    assert len(titles[0]) == len(titles[1]) == 10
    assert [title for title in titles[0] + titles[1] if not title.endswith("?")] == []


def test_what_cannot_be_made_is_told(published: queries.Publication, folder: Path) -> None:
    damaged = Path(published.path)
    damaged.chmod(0o600)
    damaged.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="could not be made"):
        rows.source(published, identified=False)


def test_references_of_the_software_stand_where_no_sweep_has_stored_any(folder: Path) -> None:
    example.publish_rows(folder, 1, {})
    found = rows.references(queries.publication())
    assert found["reference"].tolist() == list(REFERENCES)
    assert found["verified"].tolist() == [one.verified for one in REFERENCES.values()]


def test_an_answer_is_taken_along_with_the_notice() -> None:
    asked = rows.Source(queries.Publication("", 0), identified=False, labels=(NOTICE, "Of phantoms."))
    answer = Answer(pa.table({"n": [1, 2]}), 0.1, cut=False)
    assert pd.read_csv(BytesIO(rows.answer_csv(asked, answer)))["notice"].tolist() == [f"{NOTICE} Of phantoms."] * 2
    read = parquet.read_table(BytesIO(rows.answer_parquet(asked, answer)))
    assert read.to_pydict() == {"n": [1, 2]}
    assert json.loads(read.schema.metadata[b"notes"]) == [NOTICE, "Of phantoms."]


@pytest.mark.parametrize("identified", [True, False])
def test_files_say_that_the_model_knows_simulated_ct_alone(published: queries.Publication, identified: bool) -> None:
    assert rows.source(published, identified=identified).labels == (NOTICE, f"{SIMULATED_NOTICE}.")


def test_files_of_a_database_without_a_simulated_model_do_not_say_so(folder: Path) -> None:
    example.publish_rows(folder, 1, {"publication": [example.PUBLICATION]})
    assert rows.source(queries.publication(), identified=True).labels == (NOTICE,)


@pytest.mark.parametrize(
    "value",
    ["DATE 'infinity'", "DATE '0044-03-15 (BC)'", "[DATE '12000-01-01']", "TIME '24:00:00'", "union_value(a := 1)"],
)
def test_an_answer_that_no_table_shows_is_refused(asked: rows.Source, value: str) -> None:
    with pytest.raises(console.NotAnswered, match="AS VARCHAR"):
        rows.ask(asked, f"SELECT {value} AS x")


def test_a_publication_that_comes_meanwhile_is_the_one_that_is_asked(folder: Path) -> None:
    example.publish_rows(folder, 1, {"publication": [example.PUBLICATION]})
    before = queries.publication()
    example.publish_rows(folder, 2, {"publication": [example.PUBLICATION]})
    research = rows.source(before, identified=False)

    assert Path(research.published.path).name.startswith("research-000002-")
    assert rows.ask(research, "SELECT 1 AS n").rows.to_pydict() == {"n": [1]}


def test_pictures_of_the_card_come_from_beside_it_alone() -> None:
    assert rows.card_picture("examples.png") is not None
    assert rows.card_picture("no such.png") is None
    assert rows.card_picture("../../etc/passwd") is None
