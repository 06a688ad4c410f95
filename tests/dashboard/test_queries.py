"""Questions to a published database whose rows are known."""

import os
from pathlib import Path

import published_example as example
import pytest

from dashboard import queries, wording
from dashboard.rows import patient, worklist
from screening.errors import UserError
from screening.store.database import DatabaseFolder


def worklist_of(published: queries.Publication) -> list[str]:
    with worklist.found(published, worklist.Asked()) as found:
        return [str(patient_id) for patient_id in found.page(1).column("patient_id").to_pylist()]


def test_headline_counts_what_was_published(published: queries.Publication) -> None:
    headline = queries.headline(published)

    assert (headline.measured_patient_count, headline.patient_count) == (6, 8)
    assert (headline.study_count, headline.excluded_study_count, headline.failed_study_count) == (9, 2, 1)
    assert headline.last_sweep_at == example.SWEEP["ended_at"]
    assert headline.simulated


def test_patients_are_found_flagged_or_not(published: queries.Publication) -> None:
    found = patient.find_patients(published, "e")

    assert dict(zip(found["patient_id"], found["standing"], strict=True)) == {
        "FLAGGED-1": "flagged",
        "FLAGGED-2": "flagged",
        "RECENT-DXA": "not flagged",
        "INDETERMINATE": "not flagged",
        "EXCLUDED": "no BMD_CNN",
        "FAILED": "no BMD_CNN",
    }


def test_patients_are_found_by_accession_number(published: queries.Publication) -> None:
    assert list(patient.find_patients(published, "A-5.902")["patient_id"]) == ["FAILED"]


def test_interval_of_the_t_score_follows_from_the_reference(published: queries.Publication) -> None:
    record = patient.patient_record(published, "FLAGGED-1")
    assert record is not None
    row = record.measurements.iloc[0]

    assert row["t_score_low"] == pytest.approx(-3.20 - 0.11 / 0.110)
    assert row["t_score_high"] == pytest.approx(-3.20 + 0.11 / 0.110)


def test_measurements_put_ct_and_dxa_on_one_time_line(published: queries.Publication) -> None:
    record = patient.patient_record(published, "RECENT-DXA")
    assert record is not None

    assert list(record.measurements["what"]) == [
        "BMD_CNN L1 L3 L4",
        "DXA L1-L4 Hologic",
        "DXA femoral neck Hologic",
    ]


def test_newest_study_is_shown_unless_another_is_asked_for(folder: Path) -> None:
    example.publish_example(folder, (example.FIRST, example.EARLIER))
    record = patient.patient_record(queries.publication(), "FLAGGED-1")
    assert record is not None
    newest, earlier = record.result(None), record.result(example.EARLIER.study_instance_uid)

    assert newest is not None
    assert newest["study_instance_uid"] == example.FIRST.study_instance_uid
    assert earlier is not None
    assert earlier["t_score"] == pytest.approx(-2.70)


def test_every_study_of_a_patient_is_measured_or_has_its_reason(published: queries.Publication) -> None:
    record = patient.patient_record(published, "FLAGGED-1")
    assert record is not None

    assert list(record.results["study_instance_uid"]) == [example.FIRST.study_instance_uid]
    unread = patient.without_result(published, "FLAGGED-1")
    assert list(unread["study_instance_uid"]) == ["2.25.903"]
    assert list(unread["reason"]) == ["too_thick"]


def test_study_that_the_checkpoint_has_not_read_is_listed(folder: Path) -> None:
    rows = example.example_rows((example.FIRST,))
    rows["outcome"] = [row for row in rows["outcome"] if row["study_instance_uid"] != "2.25.901"]
    example.publish_rows(folder, 1, rows)
    unread = patient.without_result(queries.publication(), "EXCLUDED")

    assert list(unread["status"]) == ["not read yet"]


def test_levels_are_listed_from_cranial_to_caudal(published: queries.Publication) -> None:
    levels = patient.levels(published, example.FIRST.study_instance_uid)

    assert list(levels["level"]) == ["T12", "L1", "L2", "L3", "L4", "L5"]
    assert list(levels["used"]) == [False, True, False, True, True, False]


def test_unknown_patient_is_none(published: queries.Publication) -> None:
    assert patient.patient_record(published, "NOBODY") is None


def test_new_publication_shows_without_restart(folder: Path) -> None:
    example.publish_example(folder, (example.FIRST,), number=1)
    before = worklist_of(queries.publication())
    example.publish_example(folder, (example.FIRST, example.SECOND), number=2)

    assert before == ["FLAGGED-1"]
    assert worklist_of(queries.publication()) == ["FLAGGED-1", "FLAGGED-2"]


def test_publication_is_the_versioned_file(published: queries.Publication) -> None:
    assert Path(published.path).name == "screening-000001.duckdb"


def test_database_made_anew_under_the_same_number_shows_its_own_rows(folder: Path) -> None:
    example.publish_example(folder, (example.FIRST,))
    before = worklist_of(queries.publication())
    example.publish_example(folder / "anew", (example.SECOND,))
    DatabaseFolder(folder / "anew").published.resolve().replace(DatabaseFolder(folder).published.resolve())

    assert before == ["FLAGGED-1"]
    assert worklist_of(queries.publication()) == ["FLAGGED-2"]


def test_unnamed_folder_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(queries.DATABASE_VARIABLE, raising=False)
    with pytest.raises(UserError, match="screening dashboard --database DIR"):
        queries.publication()


def test_missing_database_says_what_to_do(folder: Path) -> None:
    with pytest.raises(UserError, match="screening sweep"):
        queries.publication()


def test_dangling_link_says_what_to_do(folder: Path, published: queries.Publication) -> None:
    Path(published.path).unlink()
    with pytest.raises(UserError, match="screening sweep"):
        queries.publication()


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000, b"\0" * 50_000])
def test_damaged_database_says_what_to_do(folder: Path, content: bytes) -> None:
    DatabaseFolder(folder).published.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read \(IOException\)"):
        queries.headline(queries.publication())


def test_truncated_database_says_what_to_do(folder: Path, published: queries.Publication) -> None:
    os.truncate(published.path, 20_000)
    with pytest.raises(UserError, match="cannot be read"):
        queries.headline(queries.publication())


def test_database_of_another_version_says_what_to_do(folder: Path) -> None:
    example.duckdb.connect(str(DatabaseFolder(folder).published)).close()
    with pytest.raises(UserError, match="another version"):
        queries.headline(queries.publication())


def test_evidence_is_found_in_its_folder_only(folder: Path, published: queries.Publication) -> None:
    (folder / "secret.png").write_bytes(b"")

    assert patient.evidence_picture(f"{example.FIRST.study_instance_uid}.png") is not None
    assert patient.evidence_picture("absent.png") is None
    assert patient.evidence_picture("../secret.png") is None
    assert patient.evidence_picture("") is None


def test_every_criterion_of_the_care_gap_has_its_words(published: queries.Publication) -> None:
    with queries.opened(published) as connection:
        columns = connection.execute(
            "SELECT column_name FROM (DESCRIBE care_gap) WHERE column_type = 'BOOLEAN'"
        ).fetchall()

    assert {name for (name,) in columns} - {"flagged"} == set(wording.CRITERIA)
