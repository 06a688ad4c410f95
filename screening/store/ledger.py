"""What the walk found, set against what the index holds: every file in exactly one bucket, or it shows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import duckdb

from screening.archive.header import FileProblem
from screening.store.database import sql
from screening.store.file_index import Settling

_BUCKETS: Final = ("indexed", "duplicate", "settling", str(FileProblem.NOT_DICOM))


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
