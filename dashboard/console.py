"""Ask a database in SQL, in a process of its own; see `dashboard.console_process` for what it may do."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BoundedSemaphore
from typing import Final

import pyarrow as pa

from dashboard import console_process
from dashboard.console_process import MOST_ROWS, TIME_LIMIT_S
from screening.errors import UserError

_ASIDE: Final = "question-"
_AT_ONCE: Final = 2  # questions of all visitors together: so much memory and so many cores may go to them
_LEFT_OVER_S: Final = (
    10 * TIME_LIMIT_S
)  # a folder of a question is older only where this server was ended in the middle
_places: Final = BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement brought back."""

    rows: pa.Table
    seconds: float
    cut: bool  # there were more rows than are handed out


class NotAnswered(UserError):
    """A statement was refused, is wrong, or asks for too much."""


def ask(database: Path, statement: str, scratch: Path) -> Answer:
    """Run one question on the database file; at most MOST_ROWS rows come back.

    `scratch` is a folder for what a large question puts aside; nothing stays there.

    Raises:
        NotAnswered: one sentence says why there is no answer.
    """
    scratch.mkdir(mode=0o700, exist_ok=True)
    _drop_left_over(scratch)
    with _place(), TemporaryDirectory(dir=scratch, prefix=_ASIDE) as aside:
        request = json.dumps({"database": str(database), "statement": statement, "scratch": aside}).encode()
        try:
            ended = subprocess.run(
                [sys.executable, "-I", console_process.__file__],
                input=request, capture_output=True, env={}, cwd="/", timeout=TIME_LIMIT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise NotAnswered(
                f"There was no answer within {TIME_LIMIT_S} s, so the question was ended: ask for less, or group first."
            ) from None
    if ended.returncode != 0:
        raise NotAnswered(
            f"The question ended its own process (status {ended.returncode}): it may need too much memory or time."
        )
    return _answer(ended.stdout)


def _answer(written: bytes) -> Answer:
    head, rows = written.split(b"\n", 1)
    told = json.loads(head)
    if "refusal" in told:
        raise NotAnswered(told["refusal"])
    return Answer(pa.ipc.open_stream(rows).read_all().slice(0, MOST_ROWS), told["seconds"], told["cut"])


def _drop_left_over(scratch: Path) -> None:
    for folder in scratch.glob(f"{_ASIDE}*"):
        with suppress(FileNotFoundError):  # the question that it belonged to, or another one, has just removed it
            if time.time() - folder.stat().st_mtime > _LEFT_OVER_S:
                shutil.rmtree(folder)


@contextmanager
def _place() -> Iterator[None]:
    """Wait for a free place among the questions that run.

    Raises:
        NotAnswered: none became free.
    """
    if not _places.acquire(timeout=TIME_LIMIT_S):
        raise NotAnswered("Other questions are being answered; ask again in a minute.")
    try:
        yield
    finally:
        _places.release()
