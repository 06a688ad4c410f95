"""Archives -> an index that is up to date: walk, read the headers of what changed, store."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
from distributed import Client

from screening.archive.folder import below, changes, require_still_there, walk
from screening.archive.header import FileProblem, FoundFile, NotIndexed
from screening.cluster import stream
from screening.config import Settings
from screening.progress import Progress
from screening.store.file_index import HeaderBatch, add_headers, forget_files, known_files
from screening.worker import read_headers_packed


def index_archives(
    connection: duckdb.DuckDBPyConnection,
    client: Client,
    archives: Sequence[Path],
    settings: Settings,
    progress: Progress,
    stopping: Callable[[], bool],
) -> tuple[int, int]:
    """Bring the index up to date; count the files found and those whose header was read.

    Raises:
        UserError: an archive that held files holds none any more.
    """
    roots = [archive.resolve() for archive in archives]
    known = {path: facts for path, facts in known_files(connection).items() if below(path, roots)}
    changed = changes(walk(roots), known)
    require_still_there(roots, changed, known)
    forget_files(connection, changed.vanished | frozenset(file.path for file in changed.to_read if file.path in known))
    progress("headers", 0, len(changed.to_read))
    done, lost = 0, list(changed.to_read)
    for size in (settings.sweep.header_batch, 1):  # a batch that was lost is read again file by file
        batches, lost = _batches(lost, size), []
        waves = stream(
            client, read_headers_packed, batches, deadline_s=settings.sweep.study_deadline_s, stopping=stopping
        )
        for ended in (ended for wave in waves for ended in wave):
            if ended.result is not None:
                add_headers(connection, HeaderBatch(*pickle.loads(ended.result)))
            elif len(ended.item) > 1:
                lost.extend(ended.item)
                continue
            else:
                problem = NotIndexed(FileProblem.READER_FAILED, ended.lost_to or "")
                add_headers(connection, HeaderBatch((), tuple((file, problem) for file in ended.item)))
            done += len(ended.item)
            progress("headers", done, len(changed.to_read))
    return changed.found_count, done


def _batches(files: Sequence[FoundFile], size: int) -> Iterator[tuple[list[FoundFile], tuple[list[FoundFile]]]]:
    for start in range(0, len(files), size):
        batch = list(files[start : start + size])
        yield batch, (batch,)
