"""Files -> Instances, ordinary ones by walk and layout, all others by pydicom; both give the same, tag for tag.

Once one header of a series was walked, the others are read by its layout: one read of the head, a comparison of all
that stands between the values, and the values that differ from the file before.
"""

import os
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from screening.archive.folder import File, found_file
from screening.archive.header import FileProblem, FoundFile, NotIndexed, instance_of, read_header
from screening.archive.header_fields import RawHeader, convert_value, converted
from screening.archive.header_layout import Layout, Taken, raw_header
from screening.archive.header_walk import HEAD_BYTES, Head, HeaderShape, Unusual, ordinary_header
from screening.archive.index import Instance, indexed_series, series_of

_LAYOUTS_KEPT: Final = 32
_LAYOUTS_TRIED: Final = 4  # a folder rarely mixes more series than that in name order
_BLOCK_BYTES: Final = 4096

# Tags, representations and end of a header: what two headers share that one layout can serve.
_Kind = tuple[int, bool, bytes, tuple[bytes, ...]]


ListedFiles = tuple[str, tuple[File, ...]]  # a folder and some of its files


@dataclass(frozen=True, slots=True)
class _Known:
    """A header read before: most values of the next one are the same."""

    raw: RawHeader
    values: tuple[Any, ...]


class HeaderReader:
    """Reads headers one after the other and remembers the layouts of those it walked."""

    def __init__(self) -> None:
        self._layouts: OrderedDict[_Kind, Layout] = OrderedDict()
        self._before: _Known | None = None
        self._first_bytes = HEAD_BYTES
        self.counts = {"layout": 0, "walk": 0, "pydicom": 0}

    def read(self, file: FoundFile) -> Instance:
        """Read the header facts of one file.

        Raises:
            NotIndexed: the file is no DICOM instance that can be placed in a study and series.
        """
        known = None if file.unreachable else self._ordinary(file)
        if known is None:
            self.counts["pydicom"] += 1
            return read_header(file)
        self._before = known
        return instance_of(file, known.raw, known.values)

    def _ordinary(self, file: FoundFile) -> _Known | None:
        """Read an ordinary header; None where pydicom has to read it, or to say why it cannot be read."""
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not wait
        except OSError:
            return None
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)  # no readahead into the pixels
            head = Head(descriptor, self._first_bytes)
            raw = raw_header(self._taken(head))
            self._first_bytes = min(_BLOCK_BYTES * (head.reached // _BLOCK_BYTES + 1), HEAD_BYTES)
            return _Known(raw, self._converted(raw))
        except (Unusual, OSError):
            return None
        finally:
            os.close(descriptor)

    def _taken(self, head: Head) -> Taken:
        for kind in list(reversed(self._layouts))[:_LAYOUTS_TRIED]:
            taken = self._layouts[kind].take(head)
            if taken is not None:
                self._layouts.move_to_end(kind)
                self.counts["layout"] += 1
                return taken
        taken = self._learn(ordinary_header(head)).take(head)
        if taken is None:
            raise Unusual("a layout that does not fit its own header")
        self.counts["walk"] += 1
        return taken

    def _learn(self, shape: HeaderShape) -> Layout:
        kind = (shape.meta_count, shape.implicit, shape.ends_with, tuple(part.prefix for part in shape.parts))
        known = self._layouts.get(kind)
        layout = Layout(shape) if known is None else known.merged(shape)
        self._layouts[kind] = layout
        self._layouts.move_to_end(kind)
        if len(self._layouts) > _LAYOUTS_KEPT:
            self._layouts.popitem(last=False)
        return layout

    def _converted(self, raw: RawHeader) -> tuple[Any, ...]:
        before = self._before
        if before is None or before.raw.encodings != raw.encodings:
            return converted(raw)
        compared = zip(raw.values, before.raw.values, before.values, strict=True)
        return tuple(
            known if value == earlier else convert_value(place, value, raw.encodings, True)
            for place, (value, earlier, known) in enumerate(compared)
        )


def index_headers(packed: bytes) -> bytes:
    """Read the headers of listed files and pack them into series; one bytes object travels each way.

    Args:
        packed: pickled folders with their files, a sequence of ListedFiles. A scheduler that meets a thousand names
            at once as objects keeps them for long.

    Returns:
        Pickled series and problems, as `screening.store.file_index.HeaderBatch` takes them.
    """
    listed: Sequence[ListedFiles] = pickle.loads(packed)
    return packed_headers(*read_headers([found_file(folder, file) for folder, files in listed for file in files]))


def packed_headers(instances: Iterable[Instance], problems: Iterable[tuple[FoundFile, NotIndexed]]) -> bytes:
    """Pickle what reading headers gave, the instances packed into series."""
    series = tuple(indexed_series(*key, whole.instances) for key, whole in series_of(instances).items())
    return pickle.dumps((series, tuple(problems)))


def read_headers(files: Sequence[FoundFile]) -> tuple[tuple[Instance, ...], tuple[tuple[FoundFile, NotIndexed], ...]]:
    """Read some headers; every file is in one of the two results."""
    reader, instances, problems = HeaderReader(), [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes the odd value, which may be a patient's
        for file in files:
            try:
                instances.append(reader.read(file))
            except NotIndexed as problem:
                problems.append((file, problem))
            except Exception as error:  # noqa: BLE001  one odd file must not end the night; it becomes a counted row
                problems.append((file, NotIndexed(FileProblem.READER_FAILED, type(error).__name__)))
    return tuple(instances), tuple(problems)
