"""Files as they are named on a worker of another machine, which may see the archive elsewhere.

A worker opens files where they are on its machine, and names them in its results as the client does: the index holds
the client's paths alone.
"""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from screening.archive.folder import below, found_file
from screening.archive.header_reader import ListedFiles, packed_headers, read_headers
from screening.archive.index import Series, Study


def index_headers_elsewhere(packed: bytes, path_mapping: Mapping[str, str]) -> bytes:
    """Read the headers of files that lie elsewhere on this machine, as `header_reader.index_headers` else does.

    Args:
        packed: pickled folders with their files, a sequence of ListedFiles, named as the client does.
        path_mapping: beginning of a path on the client = what it is here.
    """
    listed: Sequence[ListedFiles] = pickle.loads(packed)
    folder_here = {folder: mapped(folder, path_mapping) for folder, _ in listed}
    folder_there = {Path(here): Path(there) for there, here in folder_here.items()}
    files = [found_file(folder_here[folder], file) for folder, names in listed for file in names]
    instances, problems = read_headers(files)

    def there(path: Path) -> Path:
        return folder_there[path.parent] / path.name

    return packed_headers(
        [replace(one, path=there(one.path)) for one in instances],
        [(replace(file, path=there(file.path)), problem) for file, problem in problems],
    )


def mapped(path: str, path_mapping: Mapping[str, str]) -> str:
    """Replace the beginning of a path, whole folder names alone; of several that fit, the longest."""
    for there in sorted(path_mapping, key=len, reverse=True):
        if below(path, [there.rstrip("/")]):
            return path_mapping[there].rstrip("/") + path.removeprefix(there.rstrip("/"))
    return path


def study_here(study: Study, path_mapping: Mapping[str, str]) -> Study:
    """Name the files of a study as they are named on this machine."""
    if not path_mapping:
        return study
    return replace(study, series=tuple(_series_here(series, path_mapping) for series in study.series))


def _series_here(series: Series, path_mapping: Mapping[str, str]) -> Series:
    instances = tuple(replace(one, path=Path(mapped(str(one.path), path_mapping))) for one in series.instances)
    return replace(series, instances=instances)
