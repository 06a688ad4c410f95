"""Publication -> a pseudonymised database for people who may not know whose data they are.

Tables and columns are those that the .sql files beside this module name, and no others. Patients and studies go by a
keyed digest that is used nowhere else, scanners and institutions by a number; of the dates of a patient the month is
kept, between CT and DXA whole weeks, ages from 90 on are one group (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)), and
neither texts that somebody wrote nor UIDs, accession numbers, names or birth dates are there. Whoever has opted out is
in no table of rows a patient or study and in no count made here; figures that a sweep, validation or drift stored
before are of all. With months it is pseudonymised, not anonymous: the rules of the site for such data still hold.
"""

import fcntl
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final

import duckdb

from screening.errors import UserError
from screening.log import site_key
from screening.records.manufacturers import known_maker
from screening.store.database import STORAGE_VERSION, DatabaseFolder, sql, unfinished

# In this order: the first names what the others use.
_STEPS: Final = (
    "keys", "patient", "scanner", "study", "study_bmd", "vertebra", "dxa", "care_gap", "flag_event", "review_event",
    "ct_dxa_pair", "totals",
)  # fmt: skip
# What the totals need of the views of the store, made anew over those who have not opted out.
_VIEWS: Final = ("measured_study", "care_gap_month", "study_scanner", "scanner_month", "exclusion_flow")
_MEMORY_LIMIT: Final = "768MiB"
_BLOCK_BYTES: Final = 64  # of SHA-256
_INNER, _OUTER = 0x36, 0x5C  # pads of HMAC (RFC 2104)


def research_database(place: DatabaseFolder) -> Path:
    """Return the pseudonymised database of the newest publication, making it where nobody has asked for it before.

    Raises:
        UserError: nothing is published, or the publication cannot be read.
    """
    if not place.published.exists():
        raise UserError(f"No published database at {place.published}. Run `screening sweep` first.")
    published = place.published.resolve()
    made = research_path(place, published)
    if not made.exists():
        with _alone(place):
            if not made.exists():
                _make(published, made, site_key(place.key))
                _drop_others(made)
    return made


def research_path(place: DatabaseFolder, published: Path) -> Path:
    """Name the pseudonymised database of this publication and of these .sql files."""
    texts = [_sql(step) for step in ("consenting", *_STEPS)] + [sql(f"views/{view}") for view in _VIEWS]
    made_of = [published.name, str(published.stat().st_mtime_ns), *texts]
    digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:12]
    return place.working.with_name(f"research-{published.stem.removeprefix('screening-')}-{digest}.duckdb")


def _make(published: Path, made: Path, key: bytes) -> None:
    """Write the database, whole or not at all, closed to other users.

    Raises:
        UserError: the publication cannot be read.
    """
    with unfinished(made) as path:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.unlink()
        with duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "temp_directory": f"{made}.spill"}) as connection:
            _attach(connection, published, path)
            _set_keys(connection, key)
            _leave_out_opted_out(connection)
            for step in _STEPS:
                connection.execute(_sql(step))
            _comment_columns(connection)
            connection.execute("USE research")
            connection.execute(sql("views/data_dictionary"))
            connection.execute("USE memory")
            connection.execute("DETACH research")


def _attach(connection: duckdb.DuckDBPyConnection, published: Path, path: Path) -> None:
    try:
        connection.execute("ATTACH $path AS identified (READ_ONLY)", {"path": str(published)})
    except duckdb.Error as problem:
        raise UserError(
            f"The published database {published.name} cannot be read ({type(problem).__name__})."
        ) from problem
    connection.execute(f"ATTACH $path AS research (STORAGE_VERSION '{STORAGE_VERSION}')", {"path": str(path)})
    connection.execute("USE identified")


def _set_keys(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Hand over what SQL makes the keys with, and which makers of densitometers are known by name."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
    connection.execute("SET VARIABLE inner_pad = $pad", {"pad": bytes(byte ^ _INNER for byte in block)})
    connection.execute("SET VARIABLE outer_pad = $pad", {"pad": bytes(byte ^ _OUTER for byte in block)})
    named = [name for (name,) in connection.execute("SELECT DISTINCT manufacturer FROM dxa").fetchall()]
    known = [name for name in named if known_maker(name) == name != ""]
    connection.execute("SET VARIABLE makers_of_dxa = $known::VARCHAR[]", {"known": known})


def _leave_out_opted_out(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views that count over those who have not opted out, in the database in memory."""
    connection.execute(_sql("consenting"))
    connection.execute("USE memory")
    for view in _VIEWS:
        connection.execute(sql(f"views/{view}"))
    connection.execute("USE identified")


def _comment_columns(connection: duckdb.DuckDBPyConnection) -> None:
    for table, column, comment in connection.execute(_sql("uncommented_columns")).fetchall():
        quoted = comment.replace("'", "''")
        connection.execute(f"COMMENT ON COLUMN research.{table}.{column} IS '{quoted}'")


@contextmanager
def _alone(place: DatabaseFolder) -> Iterator[None]:
    """Let one process at a time make it; the others wait and find it made."""
    with place.working.with_name("research.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _drop_others(made: Path) -> None:
    for other in made.parent.glob("research-*.duckdb"):
        if other != made:
            other.unlink()


def _sql(name: str) -> str:
    return files("screening.exchange").joinpath(f"research/{name}.sql").read_text(encoding="utf-8")


def main() -> None:
    """Make it in a process of its own: `python -m screening.exchange.research DATABASE`."""
    research_database(DatabaseFolder(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
