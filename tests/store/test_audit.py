"""The trail of accesses: only ever added to, by many at once, and whole after a full disk."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from screening.errors import UserError
from screening.store.audit import COLUMNS, Access, AccessKind, entries, record
from screening.store.database import DatabaseFolder


@pytest.fixture
def place(tmp_path: Path) -> DatabaseFolder:
    return DatabaseFolder(tmp_path)


def view(patient_id: str) -> Access:
    return Access("v.iewer", ("viewer",), AccessKind.VIEW, patient_id, "2.25.1")


def test_entry_says_who_saw_whom(place: DatabaseFolder) -> None:
    record(place, view("A"))
    (entry,) = entries(place, 10).to_dict("records")

    assert list(entry) == list(COLUMNS)
    assert (entry["person"], entry["roles"], entry["action"], entry["patient_id"]) == (
        "v.iewer",
        ["viewer"],
        "view",
        "A",
    )
    assert str(entry["at"].tz) == "UTC"


def test_newest_entries_come_first(place: DatabaseFolder) -> None:
    for patient_id in "ABC":
        record(place, view(patient_id))

    assert list(entries(place, 2)["patient_id"]) == ["C", "B"]


def test_entries_of_earlier_months_follow(place: DatabaseFolder) -> None:
    record(place, view("NEW"))
    earlier = json.dumps({"at": "2020-01-31T10:00:00.000+00:00", "person": "p", "action": "view", "patient_id": "OLD"})
    (place.audit / "2020-01.jsonl").write_text(earlier + "\n")

    assert list(entries(place, 10)["patient_id"]) == ["NEW", "OLD"]


def test_many_at_once_lose_nothing(place: DatabaseFolder) -> None:
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda number: record(place, view(f"P{number}")), range(80)))

    assert set(entries(place, 100)["patient_id"]) == {f"P{number}" for number in range(80)}


def test_only_its_owner_can_read_it(place: DatabaseFolder) -> None:
    record(place, view("A"))
    (trail,) = place.audit.iterdir()

    assert (place.audit.stat().st_mode & 0o777, trail.stat().st_mode & 0o777) == (0o700, 0o600)


def test_broken_line_is_shown_as_it_stands(place: DatabaseFolder) -> None:
    record(place, view("A"))
    (trail,) = place.audit.iterdir()
    with trail.open("a") as file:
        file.write('{"at": "2026-')

    newest = entries(place, 10).iloc[0]
    assert (newest["action"], newest["detail"]) == ("unreadable line", '{"at": "2026-')


@pytest.mark.parametrize("end", ["\u2028", "\u0085", "\x0b", "\r\n", "\n", "\x1e"])
def test_an_end_of_line_within_a_text_leaves_the_entry_whole(place: DatabaseFolder, end: str) -> None:
    record(place, Access("q", ("quality",), AccessKind.QUERY, detail=f"SELECT 1{end}FROM patient"))

    assert entries(place, 10)["detail"].tolist() == [f"SELECT 1{end}FROM patient"]


def test_entry_after_a_broken_line_is_whole(place: DatabaseFolder) -> None:
    record(place, view("A"))
    (trail,) = place.audit.iterdir()
    with trail.open("a") as file:
        file.write('{"at": "2026-')
    record(place, view("B"))

    assert list(entries(place, 10)["patient_id"].dropna()) == ["B", "A"]


def test_full_disk_leaves_no_half_line(place: DatabaseFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    record(place, view("A"))
    (trail,) = place.audit.iterdir()
    before = trail.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:20]))

    with pytest.raises(UserError, match="Without it no patient is shown"):
        record(place, view("B"))
    assert trail.read_bytes() == before


def test_trail_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file where the folder should be")

    with pytest.raises(UserError, match="Cannot write to the audit trail"):
        record(DatabaseFolder(tmp_path), view("A"))


def test_nothing_recorded_is_an_empty_table(place: DatabaseFolder) -> None:
    assert entries(place, 10).empty
