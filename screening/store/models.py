"""Checkpoints of a database: where their files lie, what each has read, and which one sweeps read with."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from screening.comparison import Comparison
from screening.errors import UserError
from screening.prediction.knots import Knots, through
from screening.statistics import Array
from screening.store.database import DatabaseFolder, copy_durably, fetch_one, sql, transaction, write_rows

if TYPE_CHECKING:
    from screening.prediction.inference import CheckpointFacts

_COLUMNS: Final = (
    "checkpoint_sha256", "name", "data_kind", "metrics", "active", "registered_at", "reference", "parent_sha256",
    "recalibration", "file_name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """One checkpoint that the database knows."""

    checkpoint_sha256: str
    name: str
    data_kind: str
    metrics: dict[str, float]
    active: bool  # whether the views show its results
    registered_at: datetime
    reference: str | None
    parent_sha256: str | None
    recalibration: dict[str, Any] | None
    file_name: str | None

    @property
    def knots(self) -> Knots | None:
        """What its recalibration does to BMD of its parent."""
        return tuple((x, y) for x, y in self.recalibration["knots"]) if self.recalibration else None


@contextmanager
def open_published(place: DatabaseFolder) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open what was published last, only to read it.

    Raises:
        UserError: an earlier version of this software wrote it.
    """
    try:
        with duckdb.connect(place.published.resolve(), read_only=True) as connection:
            yield connection
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise UserError(
            f"{place.published} was written by another version of this software: sweep to publish it anew."
        ) from error


def models(connection: duckdb.DuckDBPyConnection) -> list[Model]:
    """List all, the oldest first."""
    rows = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM model ORDER BY registered_at, name").fetchall()
    return [_model(dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _model(row: dict[str, Any]) -> Model:
    recalibration = row["recalibration"]
    documents = {
        "metrics": json.loads(row["metrics"]),
        "recalibration": json.loads(recalibration) if recalibration else None,
    }
    return Model(**(row | documents))


def model_named(connection: duckdb.DuckDBPyConnection, name: str) -> Model:
    """Find one by its name, or by the beginning of its SHA-256.

    Raises:
        UserError: there is none, or more than one; lists those there are.
    """
    known = models(connection)
    found = [one for one in known if one.name == name] or [one for one in known if _begins(one, name)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{one.name} ({one.checkpoint_sha256[:12]})" for one in known) or "none"
    wrong = "more than one checkpoint" if found else "no checkpoint"
    raise UserError(f"There is {wrong} {name!r} in this database; known are: {there}.")


def _begins(model: Model, name: str) -> bool:
    return len(name) >= 6 and model.checkpoint_sha256.startswith(name.lower())


def active_model(connection: duckdb.DuckDBPyConnection) -> Model:
    """Return the checkpoint whose results the views show.

    Raises:
        UserError: nothing has been read yet.
    """
    found = [one for one in models(connection) if one.active]
    if not found:
        raise UserError("Nothing has been read in this database: run screening sweep ARCHIVE first.")
    return found[0]


def add_checkpoint(
    connection: duckdb.DuckDBPyConnection,
    place: DatabaseFolder,
    file: Path,
    facts: "CheckpointFacts",
    *,
    name: str,
    recalibration: dict[str, Any] | None = None,
) -> Model:
    """Keep a checkpoint file in the folder of the database and enter it; one that is known keeps its row.

    Raises:
        UserError: another checkpoint has this name.
    """
    known = {one.checkpoint_sha256: one for one in models(connection)}
    if any(one.name == name and one.checkpoint_sha256 != facts.sha256 for one in known.values()):
        raise UserError(f"This database has another checkpoint {name!r}: choose another name.")
    own = known.get(facts.sha256)
    file_name = own.file_name if own and own.file_name else f"{facts.sha256[:16]}.safetensors"
    place.models.mkdir(mode=0o700, exist_ok=True)
    copy_durably(file, place.models / file_name)
    if own is None:
        write_rows(connection, "model", [_row(facts, name, recalibration)])
    connection.execute(
        "UPDATE model SET file_name = ?, reference = ? WHERE checkpoint_sha256 = ?",
        [file_name, facts.reference, facts.sha256],
    )
    return model_named(connection, facts.sha256)


def _row(facts: "CheckpointFacts", name: str, recalibration: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "checkpoint_sha256": facts.sha256,
        "name": name,
        "data_kind": facts.data_kind,
        "metrics": json.dumps(facts.metrics),
        "active": False,
        "registered_at": datetime.now(UTC).replace(tzinfo=None),
        "parent_sha256": facts.parent_sha256,
        "recalibration": None if recalibration is None else json.dumps(recalibration),
    }


def checkpoint_file(place: DatabaseFolder, model: Model, elsewhere: Sequence[Path]) -> Path:
    """Find the file of a checkpoint: in the folder of the database, else among other files.

    Raises:
        UserError: it is not there.
    """
    from screening.prediction.inference import checkpoint_facts  # brings torch

    if model.file_name is not None and (place.models / model.file_name).exists():
        return place.models / model.file_name
    for file in elsewhere:
        if checkpoint_facts(file).sha256 == model.checkpoint_sha256:
            return file
    raise UserError(f"The file of checkpoint {model.name} is not known here: add it with screening model add FILE.")


def keep_left_out(
    connection: duckdb.DuckDBPyConnection, sha256: str, studies: Sequence[str], bmd_left_out: Array
) -> None:
    """Keep how fits without a pair read it: what a comparison on the same pairs must use."""
    fitted = pa.table({"study_instance_uid": pa.array(studies, pa.string()), "bmd_left_out": bmd_left_out})
    connection.register("fitted", fitted)
    connection.execute(
        "INSERT OR REPLACE INTO recalibration_pair BY NAME SELECT ? AS checkpoint_sha256, * FROM fitted", [sha256]
    )
    connection.unregister("fitted")


def readings(connection: duckdb.DuckDBPyConnection, model: Model, studies: Sequence[str]) -> Array:
    """BMD (n,) of studies by a checkpoint, g/cm2; NaN where it has not read them.

    Pairs that it was recalibrated to are as fits without them read them. A study that it has not read itself is read
    through its recalibration by what its parent read.
    """
    bmd = _read(connection, "queries/bmd_read", model, studies)
    for parent in models(connection):
        if model.knots is not None and parent.checkpoint_sha256 == model.parent_sha256:
            through_parent = through(model.knots, _read(connection, "queries/bmd_read", parent, studies))
            bmd = np.where(np.isnan(bmd), through_parent, bmd)
    left_out = left_out_readings(connection, model, studies)
    return np.where(np.isnan(left_out), bmd, left_out)


def left_out_readings(connection: duckdb.DuckDBPyConnection, model: Model, studies: Sequence[str]) -> Array:
    """BMD (n,) of studies by fits of a recalibration that leave each out, g/cm2; NaN where none was fitted to it."""
    return _read(connection, "queries/bmd_left_out", model, studies)


def trained_on(connection: duckdb.DuckDBPyConnection, model: Model) -> str:
    """Say what its weights have learned from, and whether it was recalibrated since."""
    known = {one.checkpoint_sha256: one for one in models(connection)}
    first = model
    while first.parent_sha256 in known:
        first = known[first.parent_sha256]
    weights = "simulated CT" if first.data_kind == "simulated" else "CT and DXA of a site"
    return weights if model.parent_sha256 is None else f"{weights} and recalibrated to DXA of a site"


def _read(connection: duckdb.DuckDBPyConnection, query: str, model: Model, studies: Sequence[str]) -> Array:
    found = connection.execute(sql(query), {"checkpoint_sha256": model.checkpoint_sha256}).df()
    bmd = found.set_index("study_instance_uid")["bmd"].reindex(list(studies))
    return bmd.to_numpy(np.float64, na_value=np.nan)


def promote(
    connection: duckdb.DuckDBPyConnection,
    candidate: Model,
    current: Model | None,
    comparison: Comparison,
    *,
    forced: bool,
) -> None:
    """Have the next sweep read with the candidate.

    Raises:
        UserError: something speaks against it and it is not forced; says what.
    """
    objection = comparison.objection
    if objection is not None and not forced:
        raise UserError(f"{candidate.name} is not promoted: {objection}. To promote it all the same, say --force.")
    number = fetch_one(connection, "SELECT coalesce(max(promotion_id), 0) + 1 FROM promotion")[0]
    row = {
        "promotion_id": number,
        "promoted_at": datetime.now(UTC).replace(tzinfo=None),
        "checkpoint_sha256": candidate.checkpoint_sha256,
        "previous_sha256": None if current is None else current.checkpoint_sha256,
        "pair_count": comparison.n,
        "comparison": json.dumps(comparison.document(), allow_nan=False),
        "forced": objection is not None,
        "verdict": objection or "nothing speaks against it",
    }
    with transaction(connection):
        write_rows(connection, "promotion", [row])


def promoted_model(connection: duckdb.DuckDBPyConnection) -> Model | None:
    """Return the checkpoint that was promoted last, if any was."""
    rows = connection.execute("SELECT checkpoint_sha256 FROM promotion ORDER BY promotion_id DESC LIMIT 1").fetchall()
    return model_named(connection, rows[0][0]) if rows else None


def promoted_checkpoint(place: DatabaseFolder) -> Path | None:
    """File of the checkpoint that sweeps of this database read with; None where none was promoted.

    Raises:
        UserError: its file is gone.
    """
    if not place.published.exists():
        return None
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        made_before = (
            connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'promotion'").fetchall() == []
        )
        model = None if made_before else promoted_model(connection)
    if model is None:
        return None
    file = place.models / str(model.file_name)
    if not file.exists():
        raise UserError(
            f"The promoted checkpoint {model.name} is gone from {place.models}: add it again with screening model add "
            "FILE, or name another as prediction.checkpoint of screening.toml."
        )
    return file
