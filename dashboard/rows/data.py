"""What the database holds, what its words mean, and its rows for whoever takes them along or asks in SQL."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Lock
from typing import IO, Any, Final

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from dashboard import console, exports, queries
from dashboard.file_process import noticed
from screening.errors import UserError
from screening.exchange import research
from screening.labels import NOTICE
from screening.prediction.tscore import REFERENCES
from screening.store.audit import entries
from screening.store.database import VIEWS, sql

PACKED_FROM_ROWS: Final = 200_000  # a CSV of more is compressed: a million rows of 25 columns are 400 MB
AUDIT_ENTRIES: Final = 5_000
_PART_ROWS: Final = 50_000  # written at a time
_one_at_a_time: Final = Lock()  # files of all visitors
_SCRATCH: Final = "questions"  # beside the sweep's own file


@dataclass(frozen=True, slots=True)
class Source:
    """The database that a visitor may ask."""

    published: queries.Publication
    identified: bool  # else pseudonymised
    labels: tuple[str, ...] = (NOTICE,)  # what stands in each file that is taken from it


@dataclass(frozen=True, slots=True)
class Wanted:
    """A table or view to take along."""

    relation: str
    row_count: int
    notes: tuple[str, ...]  # labels, and what each column means


def source(published: queries.Publication, *, identified: bool) -> Source:
    """Return the publication, or for those who may not know who it is of, the pseudonymised database made of it.

    Raises:
        UserError: the pseudonymised one cannot be made.
    """
    if identified:
        return Source(published, identified=True, labels=tuple(queries.labels(published)))
    made_of, made = published, _research_database(published)
    if made is None:
        _make_research_database(queries.database_folder().folder)
        made_of = queries.publication()  # it is made of the newest, which may have come after the page was opened
        made = _research_database(made_of)
    if made is None:
        raise UserError("A new database was published at this moment. Open the page again.")
    return Source(made, identified=False, labels=tuple(queries.labels(made_of)))


def _research_database(published: queries.Publication) -> queries.Publication | None:
    """Return the pseudonymised database of a publication, or None where there is none (any more)."""
    try:
        path = research.research_path(queries.database_folder(), Path(published.path))
        return queries.Publication(str(path), path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


def _make_research_database(folder: Path) -> None:
    """Make it in a process of its own, so that its memory is not the server's.

    Raises:
        UserError: it cannot be made.
    """
    status = _run_ours(research.__name__, [str(folder)], subprocess.DEVNULL)
    if status != 0:
        raise UserError(
            f"The pseudonymised database could not be made (status {status}). Ask whoever runs the server to "
            f"try `python -m {research.__name__} DATABASE`."
        )


def dictionary(asked: Source, search: str) -> pd.DataFrame:
    """List the columns whose table, name or meaning holds the text."""
    return queries.answer(asked.published, "data_dictionary", {"search": search.strip()})


def relations(asked: Source) -> dict[str, str]:
    """Return each table and view that can be taken along, with what it is of or answers; the patients first."""
    found = queries.records(queries.answer(asked.published, "data_relations"))
    return {row["relation"]: row["comment"] or _question_of(row["relation"]) for row in found}


def _question_of(view: str) -> str:
    """Return the question that a view of the store answers; nothing of one that another version had."""
    if view not in VIEWS:
        return ""
    return sql(f"views/{view}").splitlines()[0].removeprefix("-- ")


def meaning(asked: Source, relation: str) -> dict[str, str]:
    """Return what each column of a table or view means."""
    columns = dictionary(asked, "")
    of_relation = columns[columns["relation"] == relation]
    return dict(zip(of_relation["column_name"], of_relation["comment"].fillna(""), strict=True))


def wanted(asked: Source, relation: str) -> Wanted:
    """Count the rows of a table or view, and say what its columns mean."""
    (row,) = queries.records(queries.answer(asked.published, "data_relation_count", {"relation": relation}))
    columns = (f"{column}: {means}" for column, means in meaning(asked, relation).items())
    origin = f"{relation} of {Path(asked.published.path).stem}"
    return Wanted(relation, int(row["row_count"]), (*asked.labels, origin, *columns))


def csv_file(asked: Source, taken: Wanted) -> bytes:
    """Write a table or view as CSV with the labels in a last column; compressed where it is long."""
    return _file(asked, taken, "csv.gz" if taken.row_count > PACKED_FROM_ROWS else "csv")


def xlsx_file(asked: Source, taken: Wanted) -> bytes:
    """Write a table or view as an Excel workbook."""
    return _file(asked, taken, "xlsx")


def parquet_file(asked: Source, taken: Wanted) -> bytes:
    """Write a table or view as Parquet, with the notes in its metadata."""
    return _file(asked, taken, "parquet")


def _file(asked: Source, taken: Wanted, form: str) -> bytes:
    """Have a file made by a process of its own, so that its memory is not the server's.

    Raises:
        UserError: it cannot be made.
    """
    with _one_at_a_time, TemporaryFile(dir=_scratch()) as file, TemporaryDirectory(dir=_scratch()) as aside:
        request = {
            "database": asked.published.path,
            "relation": taken.relation,
            "form": form,
            "labels": asked.labels,
            "notes": taken.notes,
            "scratch": aside,
            "part_rows": _PART_ROWS,
        }
        status = _run_ours("dashboard.file_process", [], file, json.dumps(request).encode())
        if status != 0:
            raise UserError(f"The file of {taken.relation} could not be made (status {status}). Ask for another table.")
        file.seek(0)
        return file.read()


def _run_ours(module: str, arguments: list[str], out: IO[bytes] | int, request: bytes = b"") -> int:
    """Run a module of this software in a process of its own; return its exit status."""
    house = str(Path(queries.__file__).parents[1])
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([house, os.environ.get("PYTHONPATH", "")])},
        input=request, stdout=out, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return ended.returncode


def questions(asked: Source) -> dict[str, str]:
    """Return the questions that the house knows, with the SQL that answers each."""
    package, folder = (
        ("screening.store", "questions") if asked.identified else ("screening.exchange", "research/questions")
    )
    found = sorted(files(package).joinpath(folder).iterdir(), key=lambda file: file.name)
    texts = [file.read_text(encoding="utf-8") for file in found if file.name.endswith(".sql")]
    return {text.splitlines()[0].removeprefix("-- "): text for text in texts}


def ask(asked: Source, statement: str) -> console.Answer:
    """Run one question in SQL.

    Raises:
        NotAnswered: one sentence says why there is no answer, or none that can be shown.
    """
    answer = console.ask(Path(asked.published.path), statement, _scratch())
    try:
        answer.rows.to_pandas()
    except (ValueError, pa.ArrowNotImplementedError):  # as of DATE 'infinity', of a year before 1, or of a UNION
        raise console.NotAnswered(
            "The answer holds dates or times that no calendar shows, or values of a kind that no table shows: "
            "turn them into text with CAST(... AS VARCHAR)."
        ) from None
    return answer


def answer_csv(asked: Source, answer: console.Answer) -> bytes:
    """Write an answer as CSV with the labels in a last column."""
    file = BytesIO()
    exports.write_csv([noticed(answer.rows, list(asked.labels))], file)
    return file.getvalue()


def answer_parquet(asked: Source, answer: console.Answer) -> bytes:
    """Write an answer as Parquet, with the labels in its metadata."""
    file = BytesIO()
    labelled = answer.rows.replace_schema_metadata({"notes": json.dumps(asked.labels)})
    parquet.write_table(labelled, file, compression="zstd")
    return file.getvalue()


def model_card() -> str:
    """Return the model card that was installed with this software, in Markdown."""
    return files("models").joinpath("MODEL_CARD.md").read_text(encoding="utf-8")


def card_picture(name: str) -> bytes | None:
    """Return a picture of the model card, or None where it was not installed."""
    picture = files("models").joinpath(Path(name).name)
    return picture.read_bytes() if picture.is_file() else None


def active_model(published: queries.Publication) -> dict[str, Any] | None:
    """Return what is on record of the checkpoint that the views show, or None before the first sweep."""
    return next(iter(queries.records(queries.answer(published, "data_model"))), None)


def references(published: queries.Publication) -> pd.DataFrame:
    """List what T-scores can be held against: of the last sweep, else those that this software knows."""
    stored = queries.answer(published, "data_references")
    if not stored.empty:
        return stored
    return pd.DataFrame([{"reference": one.name, **_figures(one)} for one in REFERENCES.values()])


def audit() -> pd.DataFrame:
    """List the newest entries of the audit trail, newest first."""
    return entries(queries.database_folder(), AUDIT_ENTRIES)


def narrowed(trail: pd.DataFrame, persons: list[str], actions: list[str]) -> pd.DataFrame:
    """Keep the entries of these persons and actions; none named keeps all."""
    of_persons = trail["person"].isin(persons) | (not persons)
    return trail[of_persons & (trail["action"].isin(actions) | (not actions))]


def _figures(one: Any) -> dict[str, Any]:
    return {
        name: getattr(one, name) for name in ("mean_g_cm2", "sd_g_cm2", "manufacturer", "levels", "source", "verified")
    }


def _scratch() -> Path:
    folder = queries.database_folder().working.parent / _SCRATCH
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
