"""File -> Instance, or the reason why the file is not part of the archive's index; pixels are never read.

This is the reading by pydicom, which takes whatever there is; `header_reader` reads ordinary files faster, to the same
result.
"""

import os
import stat
import struct
import warnings
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException
from pydicom.tag import BaseTag
from pydicom.uid import MediaStorageDirectoryStorage

from screening.archive.header_fields import (
    CHARACTER_SET_TAG,
    FIELD_NAMES,
    FIELD_TAGS,
    RawHeader,
    converted,
    encodings_of,
)
from screening.archive.index import Instance


class FileProblem(StrEnum):
    """Why a file is not indexed; each value is stored and counted."""

    NOT_REACHABLE = "not_reachable"  # a folder that cannot be listed, a dangling link
    NOT_A_FILE = "not_a_file"  # a socket, a device
    EMPTY = "empty"
    NOT_DICOM = "not_dicom"
    DICOMDIR = "dicomdir"
    BROKEN_HEADER = "broken_header"
    MISSING_UID = "missing_uid"
    NO_PERMISSION = "no_permission"
    VANISHED = "vanished"
    IO_ERROR = "io_error"
    READER_FAILED = "reader_failed"  # a bug of ours, or a file that ends the process reading it


class NotIndexed(Exception):
    """The file cannot be part of a series; `detail` holds no patient data."""

    def __init__(self, problem: FileProblem, detail: str = "") -> None:
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = detail


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file as the walk saw it: size and modification time tell whether it changed."""

    path: Path
    size_bytes: int
    mtime_ns: int
    unreachable: bool = False  # a file or folder that is there but could not be looked at; size and time are 0


# A data set without preamble and file meta information opens with an element of one of these groups (PS3.5 7.1).
_OPENING_GROUPS: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
_PREAMBLE_BYTES: Final = 132
_TAGS: Final = (CHARACTER_SET_TAG, *FIELD_TAGS)


def read_header(file: FoundFile) -> Instance:
    """Read the header facts of one file with pydicom.

    Raises:
        NotIndexed: the file is no DICOM instance that can be placed in a study and series.
    """
    if file.unreachable:
        raise NotIndexed(FileProblem.NOT_REACHABLE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom quotes the odd value, which may be a patient's
        raw = _parsed(file.path)
        return instance_of(file, raw, converted(raw))


def _parsed(path: Path) -> RawHeader:
    """Parse with pydicom; only here does an error of its kind mean that the header is broken.

    Raises:
        NotIndexed: the file cannot be opened, or is no DICOM that can be parsed.
    """
    try:
        return _raw_header(_parse(path))
    except FileNotFoundError as error:
        raise NotIndexed(FileProblem.VANISHED) from error
    except PermissionError as error:
        raise NotIndexed(FileProblem.NO_PERMISSION) from error
    except OSError as error:
        problem = FileProblem.IO_ERROR if error.errno else FileProblem.BROKEN_HEADER
        raise NotIndexed(problem, type(error).__name__) from error
    except _PARSER_ERRORS as error:
        raise NotIndexed(FileProblem.BROKEN_HEADER, type(error).__name__) from error


# What pydicom raises on headers that break off or contradict themselves; found by reading damaged files.
_PARSER_ERRORS: Final = (
    AttributeError,  # a sequence without representation where the character set is expected
    BytesLengthException,
    EOFError,
    KeyError,
    NotImplementedError,  # unknown value representation
    TypeError,  # a number where the character set is expected
    ValueError,
    struct.error,
    zlib.error,
)


def _parse(path: Path) -> pydicom.FileDataset:
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotIndexed(FileProblem.NOT_A_FILE)  # before opening: a pipe would wait for ever
    with path.open("rb") as opened:
        require_dicom(opened.read(_PREAMBLE_BYTES))
        opened.seek(0)
        return pydicom.dcmread(opened, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))


def require_dicom(head: bytes) -> None:
    """Tell DICOM from other files by their first 132 bytes.

    Raises:
        NotIndexed: the file is empty or no DICOM.
    """
    if not head:
        raise NotIndexed(FileProblem.EMPTY)
    if head[128:132] != b"DICM" and head[:2] not in _OPENING_GROUPS:
        raise NotIndexed(FileProblem.NOT_DICOM)


def _raw_header(header: pydicom.FileDataset) -> RawHeader:
    _, little_endian = header.original_encoding
    return RawHeader(
        transfer_syntax_uid=str(header.file_meta.get("TransferSyntaxUID", "")),
        media_storage_sop_class_uid=str(header.file_meta.get("MediaStorageSOPClassUID", "")),
        encodings=encodings_of(header),
        values=tuple(_value(header, tag) for tag in FIELD_TAGS),
        little_endian=little_endian is not False,
    )


def _value(header: pydicom.FileDataset, tag: BaseTag) -> bytes | None:
    """Return the bytes of an element; None where absent or a sequence."""
    element = header.get_item(tag, keep_deferred=True) if tag in header else None
    return element.value or b"" if isinstance(element, RawDataElement) else None


def instance_of(file: FoundFile, raw: RawHeader, values: tuple[Any, ...]) -> Instance:
    """Place a file by its converted header values.

    Raises:
        NotIndexed: it is a DICOMDIR, or lacks a UID.
    """
    sop_class, *uids = values[:_UID_COUNT]
    if (raw.media_storage_sop_class_uid or sop_class) == MediaStorageDirectoryStorage:
        raise NotIndexed(FileProblem.DICOMDIR)
    for name, uid in zip(FIELD_NAMES[1:_UID_COUNT], uids, strict=True):
        if not uid:
            raise NotIndexed(FileProblem.MISSING_UID, name)
    return Instance(file.path, file.size_bytes, file.mtime_ns, raw.transfer_syntax_uid, *values)


# The UIDs stand first: SOP class, SOP instance, series, study.
_UID_COUNT: Final = 4


def displayable(path: Path) -> str:
    """Write a path as valid text; bytes that are no UTF-8 appear as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
