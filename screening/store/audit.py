"""Who looked at whom, and who took what along: one line of JSON an access, a file a month, only ever added to."""

import errno
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pandas as pd

from screening.errors import UserError
from screening.store.database import DatabaseFolder

COLUMNS: Final = (
    "at", "person", "roles", "action", "patient_id", "study_instance_uid", "row_count", "detail",
)  # fmt: skip


class AccessKind(StrEnum):
    """What somebody did."""

    SIGN_IN = "sign_in"
    DENIED = "denied"  # signed in, and has no role
    LIST = "list"  # looked at a list of patients
    VIEW = "view"  # looked at a patient
    REVIEW = "review"  # decided about a patient
    QUERY = "query"  # asked in SQL
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True)
class Access:
    """One access to patient data."""

    person: str
    roles: tuple[str, ...]
    action: AccessKind
    patient_id: str | None = None
    study_instance_uid: str | None = None
    row_count: int | None = None  # of a list, a download or an answer
    detail: str = ""  # filters, decision, file name or SQL text


def record(place: DatabaseFolder, access: Access) -> None:
    """Write the access to the end of this month's file, on disk before this returns.

    Raises:
        UserError: it cannot be written; then the data must not be shown.
    """
    now = datetime.now(UTC)
    line = json.dumps({"at": now.isoformat(timespec="milliseconds")} | asdict(access), ensure_ascii=False)
    try:
        place.audit.mkdir(mode=0o700, exist_ok=True)
        trail = os.open(place.audit / f"{now:%Y-%m}.jsonl", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(trail, fcntl.LOCK_EX)  # until it is closed
            _write(trail, line.encode() + b"\n")
            os.fsync(trail)
        finally:
            os.close(trail)
    except OSError as error:
        raise UserError(
            f"Cannot write to the audit trail in {place.audit}: {error.strerror}. Without it no patient is shown."
        ) from error


def entries(place: DatabaseFolder, newest: int) -> pd.DataFrame:
    """Return the newest entries, newest first, with the columns COLUMNS; `at` is UTC.

    A line that a power cut broke off stands with its text as detail, so that it is not lost.
    """
    lines: list[str] = []
    for file in sorted(place.audit.glob("*.jsonl"), reverse=True):
        lines += reversed(_lines(file)[-newest:])
        if len(lines) >= newest:
            break
    frame = pd.DataFrame([_parsed(line) for line in lines[:newest]], columns=list(COLUMNS))
    return frame.assign(at=pd.to_datetime(frame["at"], utc=True, format="ISO8601"))


def _lines(file: Path) -> list[str]:
    """Part a file at line feeds alone: JSON leaves other ends of lines, such as U+2028, in a text as they are."""
    text = file.read_bytes().decode("utf-8", errors="replace")
    return [line for line in text.split("\n") if line]


def _write(trail: int, line: bytes) -> None:
    """Write the whole line, on a line of its own; a disk that fills up in the middle gets it undone."""
    before = os.fstat(trail).st_size
    broken_off = before > 0 and os.pread(trail, 1, before - 1) != b"\n"
    whole = b"\n" * broken_off + line
    try:
        if os.write(trail, whole) != len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(trail, before)
        raise


def _parsed(line: str) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except json.JSONDecodeError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"action": "unreadable line", "detail": line}
