"""Seven nights of an example hospital, with the publications of the last two beside each other."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import published_example as example

from screening.store.database import Row

NIGHT_HOURS = 2.5
FIRST_NIGHT = datetime(2026, 2, 23, 1, 30)
CONFIG = '{"sweep": {"failed_share_limit": 0.05, "keep_publications": 3}}'

DISMISSED = example.Measured("DISMISSED", "M", 77.0, -2.80, "osteoporosis", "likely")
BEFORE = (example.FIRST, example.RECENT_DXA, DISMISSED, example.HIGH)
NOW = (*BEFORE, example.SECOND)

# Study UID, patient: failed before and excluded now; failed tonight.
RECOVERED = ("2.25.904", "RECOVERED")
NEWLY_FAILED = ("2.25.905", "NEWLY-FAILED")


def started_at(sweep_id: int) -> datetime:
    return FIRST_NIGHT + timedelta(days=sweep_id - 1)


def sweep_row(sweep_id: int, state: str, measured: int = 0, excluded: int = 0, failed: int = 0) -> dict[str, Any]:
    return {
        **example.SWEEP, "sweep_id": sweep_id, "started_at": started_at(sweep_id), "state": state, "config": CONFIG,
        "ended_at": started_at(sweep_id) + timedelta(hours=NIGHT_HOURS), "full_walk": sweep_id == 1,
        "file_found_count": 120_000 + 1_000 * sweep_id, "file_read_count": 1_000, "file_problem_count": 3,
        "file_added_count": 990, "file_changed_count": 10, "file_moved_count": 4, "file_vanished_count": 2,
        "study_found_count": 700 + sweep_id, "study_read_count": measured + excluded + failed,
        "measured_count": measured, "excluded_count": excluded, "failed_count": failed,
        "study_pending_count": 12 if state == "stopped" else 0, "study_settling_count": 1,
    }  # fmt: skip


def interrupted_row(sweep_id: int) -> dict[str, Any]:
    row = sweep_row(sweep_id, "interrupted")
    counted = {column: None for column in row if column.endswith("_count")}
    return row | counted | {"ended_at": None, "full_walk": None}


SWEEPS = [
    sweep_row(1, "completed", 600, 90, 10),
    interrupted_row(2),
    sweep_row(3, "stopped", 40, 9, 1),
    sweep_row(4, "completed", 30, 4, 6),
    sweep_row(5, "completed", 30, 5, 0),
    sweep_row(6, "completed", 35, 5, 1),
    sweep_row(7, "completed", 1, 1, 1),
]


def ledger_rows(sweep_id: int, indexed: int) -> list[Row]:
    lines = [
        ("file", "found", "looked_at", "", 1000), ("file", "accounted", "indexed", "", indexed),
        ("file", "accounted", "unreadable", "broken_header", 2), ("file", "accounted", "not_dicom", "", 1),
        ("series", "found", "present", "", 20), ("series", "accounted", "measured", "", 8),
        ("series", "accounted", "excluded", "localizer", 12),
    ]  # fmt: skip
    columns = ("unit", "side", "bucket", "reason", "item_count")
    return [{"sweep_id": sweep_id, **dict(zip(columns, line, strict=True))} for line in lines]


def file_problem_row(name: str, reason: str) -> Row:
    return {
        "encoded_path": f'"{name}"', "path": f"/archive/{name}", "size_bytes": 2_000_000, "mtime_ns": 1,
        "reason": reason, "detail": "EOFError", "found_at": started_at(7),
    }  # fmt: skip


def publication_row(number: int, sweep_id: int) -> Row:
    ended = started_at(sweep_id) + timedelta(hours=NIGHT_HOURS)
    return {**example.PUBLICATION, "publication_id": number, "published_at": ended + timedelta(minutes=1)}


def unmeasured_row(uid: str, status: str, reason: str, stage: str | None) -> dict[str, Any]:
    return {**example.outcome_row(uid, status, reason, "", stage)}


def rows_of(patients: tuple[example.Measured, ...], last_sweep: int) -> dict[str, list[Row]]:
    """Return what every publication holds, every study read in the night before the last."""
    rows = example.example_rows(patients)
    rows["outcome"] = [{**row, "sweep_id": 6} for row in rows["outcome"]]
    rows["sweep"] = list(SWEEPS[:last_sweep])
    rows["sweep_ledger"] = ledger_rows(5, 990) + ledger_rows(6, 997)
    rows["patient"] += [example.patient_row(patient) for _, patient in (RECOVERED, NEWLY_FAILED)]
    rows["study"] += [
        example.study_row(uid, patient, "F", 70.0, date(2026, 2, 20)) for uid, patient in (RECOVERED, NEWLY_FAILED)
    ]
    rows["publication"] = [publication_row(number, number + 5) for number in (1, 2)[: last_sweep - 5]]
    return rows


def before_rows() -> dict[str, list[Row]]:
    """Return the publication of night 6: a patient whose DXA is not known yet, and a failure that will go away."""
    rows = rows_of(BEFORE, 6)
    rows["dxa"] = []
    rows["outcome"] += [
        {**unmeasured_row(RECOVERED[0], "failed", "OSError", "screening.archive.header"), "sweep_id": 6}
    ]
    return rows


def now_rows() -> dict[str, list[Row]]:
    """Return the publication of night 7."""
    rows = rows_of(NOW, 7)
    tonight = {example.SECOND.study_instance_uid}
    rows["outcome"] = [{**row, "sweep_id": 7 if row["study_instance_uid"] in tonight else 6} for row in rows["outcome"]]
    rows["outcome"] += [
        unmeasured_row(RECOVERED[0], "excluded", "contrast", None),
        unmeasured_row(NEWLY_FAILED[0], "failed", "MemoryError", "screening.imaging.hounsfield"),
    ]
    rows["sweep_ledger"] = rows["sweep_ledger"] + ledger_rows(7, 997)
    rows["file_problem"] = [file_problem_row(f"broken{n}", "broken_header") for n in (1, 2)]
    rows["file_problem"] += [file_problem_row("notes.txt", "not_dicom")]
    rows["flag_event"] = [
        {
            "patient_id": patient.patient_id, "study_instance_uid": patient.study_instance_uid,
            "flagged_on": date(2026, 2, 28), "publication_id": 1,
        }
        for patient in BEFORE[:3]
    ]  # fmt: skip
    rows["review_event"] = [
        {
            "event_id": 1, "patient_id": DISMISSED.patient_id, "study_instance_uid": DISMISSED.study_instance_uid,
            "action": "dismiss", "defer_until": None, "comment": "", "reviewer": "reviewer", "made_at": started_at(7),
            "seen_event_id": None,
        }
    ]  # fmt: skip
    return rows


def publish_nights(folder: Path) -> None:
    """Publish night 6 as publication 1 and night 7 as publication 2."""
    example.publish_rows(folder, 1, before_rows())
    example.publish_rows(folder, 2, now_rows())
