"""What was found, set against what became of it: every file and every series in exactly one bucket, or it shows."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from screening.archive.header import FileProblem
from screening.errors import Exclusion
from screening.store.database import Row, fetch_one, sql
from screening.store.file_index import PresentStudies, Settling

_BUCKETS: Final = ("indexed", "duplicate", "settling", str(FileProblem.NOT_DICOM))
SeriesBucket = tuple[str, str]  # measured, excluded, failed or pending; and the reason or stage


@dataclass(frozen=True, slots=True)
class FileLedger:
    """Files by bucket; what the walk counted on one side, what the index holds on the other."""

    found: int  # counted by the walk, tonight
    unvisited: int  # known from before in folders that tonight's walk did not look into
    indexed: int
    duplicate: int
    settling: int
    not_dicom: int
    unreadable: Mapping[str, int]  # by reason (screening.archive.header.FileProblem)
    unread: int  # found new or changed when the sweep was stopped

    @property
    def accounted(self) -> int:
        """Sum of the buckets."""
        buckets = (self.indexed, self.duplicate, self.settling, self.not_dicom, self.unread)
        return sum(buckets) + sum(self.unreadable.values())

    @property
    def adds_up(self) -> bool:
        """Whether every file found is in exactly one bucket."""
        return self.found + self.unvisited == self.accounted


@dataclass(frozen=True, slots=True)
class SeriesLedger:
    """Series by bucket; those present in the index on one side, what became of them on the other."""

    found: int
    buckets: Mapping[SeriesBucket, int]

    @property
    def accounted(self) -> int:
        """Sum of the buckets."""
        return sum(self.buckets.values())

    @property
    def adds_up(self) -> bool:
        """Whether every series found is in exactly one bucket."""
        return self.found == self.accounted


@dataclass(frozen=True, slots=True)
class Ledger:
    """The books of one sweep."""

    files: FileLedger
    series: SeriesLedger

    @property
    def discrepancies(self) -> tuple[str, ...]:
        """What does not add up, in words; nothing where all does."""
        sides = (
            ("files", self.files.found + self.files.unvisited, self.files.accounted),
            ("series", self.series.found, self.series.accounted),
        )
        return tuple(
            f"{found} {unit} found, {accounted} accounted for" for unit, found, accounted in sides if found != accounted
        )


def ledger(
    connection: duckdb.DuckDBPyConnection, *, found: int, unvisited: int, unread: int, settling: Settling
) -> FileLedger:
    """Count the buckets of the index and set them against what tonight's walk counted.

    Args:
        connection: the sweep's database, its index up to date.
        found: as `screening.indexing.IndexedArchives.found_count`.
        unvisited: likewise, unvisited_count.
        unread: likewise, unread_count.
        settling: which studies are still arriving.
    """
    window = {"after_ns": settling.after_ns, "until_ns": settling.until_ns}
    files: Counter[str] = Counter()
    for bucket, count in connection.execute(sql("queries/file_ledger"), window).fetchall():
        files[bucket] += count
    return FileLedger(
        found=found,
        unvisited=unvisited,
        indexed=files["indexed"],
        duplicate=files["duplicate"],
        settling=files["settling"],
        not_dicom=files[str(FileProblem.NOT_DICOM)],
        unreadable={reason: count for reason, count in sorted(files.items()) if reason not in _BUCKETS},
        unread=unread,
    )


def series_ledger(
    connection: duckdb.DuckDBPyConnection, checkpoint_sha256: str, studies: PresentStudies
) -> SeriesLedger:
    """Count what became of the series that are present.

    Args:
        connection: the sweep's database, everything read tonight committed.
        checkpoint_sha256: of the checkpoint that read.
        studies: which of them have no result for what they are now.
    """
    reasons = [(study.study_instance_uid, "not_read") for study in studies.pending]
    reasons += [(study, "settling") for study in studies.settling]
    columns = [pa.array([row[place] for row in reasons], pa.string()) for place in (0, 1)]
    waiting = pa.table(columns, names=["study_instance_uid", "reason"])
    connection.register("waiting", waiting)
    rows = connection.execute(
        sql("queries/series_ledger"), {"checkpoint": checkpoint_sha256, "reasons": [str(one) for one in Exclusion]}
    ).fetchall()
    connection.unregister("waiting")
    return SeriesLedger(
        found=fetch_one(connection, "SELECT count(*) FROM series_index WHERE present")[0],
        buckets={(bucket, reason): count for bucket, reason, count in rows if bucket is not None},
    )


def ledger_rows(sweep_id: int, books: Ledger) -> list[Row]:
    """Describe the books as table sweep_ledger does; an empty bucket has no row."""
    return [
        {
            "sweep_id": sweep_id,
            "unit": unit,
            "side": side,
            "bucket": bucket,
            "reason": reason,
            "item_count": count,
        }
        for unit, side, bucket, reason, count in ledger_lines(books)
        if count
    ]


LedgerLine = tuple[str, str, str, str, int]  # file or series; found or accounted; bucket; reason or stage; count


def ledger_lines(books: Ledger) -> Iterator[LedgerLine]:
    """Yield the books line by line: what was found, then what became of it."""
    files, series = books.files, books.series
    yield "file", "found", "looked_at", "", files.found
    yield "file", "found", "not_looked_at", "", files.unvisited
    yield "file", "accounted", "indexed", "", files.indexed
    yield "file", "accounted", "duplicate", "", files.duplicate
    yield "file", "accounted", "not_dicom", "", files.not_dicom
    for reason, count in files.unreadable.items():
        yield "file", "accounted", "unreadable", reason, count
    yield "file", "accounted", "settling", "", files.settling
    yield "file", "accounted", "not_read", "", files.unread
    yield "series", "found", "present", "", series.found
    for (bucket, reason), count in series.buckets.items():
        yield "series", "accounted", bucket, reason, count
