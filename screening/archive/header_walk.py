"""Head of a file -> the elements of its header, walked tag by tag; whatever is unusual is refused, not guessed.

`ordinary_header` alone decides what is ordinary: DICOM file format with preamble (PS3.10 7.1), little endian, known
value representations where they are explicit, tags in strictly ascending order, every element inside the file, all of
it up to the pixels within 256 KiB. The walk reads no values. Sources: PS3.5 7.1 (elements), 7.5 (sequences), 6.2.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from pydicom.datadict import dictionary_VR
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLETransferSyntaxes,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
HEAD_BYTES: Final = 16 * 1024  # holds the headers of most scanners, with room for private blocks
_LARGEST_HEAD_BYTES: Final = 256 * 1024
_META_AT: Final = 132  # after the preamble and "DICM"
_MOST_NESTED: Final = 16  # sequences inside sequences

_SHORT: Final = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_16)
_LONG: Final = frozenset(str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32)
_META_GROUP: Final = b"\x02\x00"
_TRANSFER_SYNTAX: Final = b"\x02\x00\x10\x00"
_CHARACTER_SET: Final = b"\x08\x00\x05\x00"
_ITEM: Final = b"\xfe\xff\x00\xe0"
_ITEM_END: Final = b"\xfe\xff\x0d\xe0"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0"
# Where a header ends: FloatPixelData, DoubleFloatPixelData, PixelData
_PIXELS: Final = (b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00", b"\xe0\x7f\x10\x00")
_IMPLICIT: Final = ImplicitVRLittleEndian.encode()
# The syntaxes of CT archives whose header is little endian and not compressed (PS3.5 A).
_ORDINARY_SYNTAXES: Final = frozenset(
    uid.encode()
    for uid in (
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        *JPEGTransferSyntaxes,
        *JPEGLSTransferSyntaxes,
        *JPEG2000TransferSyntaxes,
        *RLETransferSyntaxes,
    )
)


class Unusual(Exception):
    """The header is for pydicom to read; the words say why and quote nothing."""


class Head:
    """The first bytes of an open file; grows as far as the header needs it."""

    def __init__(self, descriptor: int, first_bytes: int = HEAD_BYTES) -> None:
        self._descriptor = descriptor
        self.content = os.pread(descriptor, first_bytes, 0)
        self.reached = 0

    def reach(self, end: int) -> bytes:
        """Return the content, which holds at least the bytes before `end`.

        Raises:
            Unusual: the file ends before, or no ordinary header is that long.
        """
        self.reached = end
        if end > len(self.content):
            self._grow(end)
        return self.content

    def _grow(self, end: int) -> None:
        if end > _LARGEST_HEAD_BYTES:
            raise Unusual("long header")
        wanted = min(max(end, 4 * len(self.content)), _LARGEST_HEAD_BYTES) - len(self.content)
        self.content += os.pread(self._descriptor, wanted, len(self.content))
        if end > len(self.content):
            raise Unusual("ends early")

    def ends_at(self, position: int) -> bool:
        """Tell whether the file ends exactly here."""
        if position == len(self.content):
            self.content += os.pread(self._descriptor, HEAD_BYTES, position)
        return position == len(self.content)


class Part(NamedTuple):
    """One element as it stands in a header."""

    prefix: bytes  # tag, and value representation where explicit
    header: bytes  # the whole of what stands before the value
    length: int  # of the value, bytes; UNDEFINED_LENGTH for a sequence that ends by its delimiter


@dataclass(frozen=True, slots=True)
class HeaderShape:
    """All elements of an ordinary header in their order, file meta information first, without their values."""

    parts: tuple[Part, ...]
    meta_count: int  # of the parts, so many are file meta information
    implicit: bool
    ends_with: bytes  # tag of the pixels; b"" where the file ends with its header


def ordinary_header(head: Head) -> HeaderShape:
    """Walk a header; the one place that decides what is ordinary.

    Raises:
        Unusual: it is not, and pydicom has to read the file.
    """
    if head.reach(_META_AT + 8)[128:132] != b"DICM":
        raise Unusual("no preamble")
    meta, position, syntax = _meta(head)
    implicit = is_implicit(syntax)
    parts, end = _data_set(head, position, implicit)
    return HeaderShape((*meta, *parts), len(meta), implicit, end)


def is_implicit(transfer_syntax: bytes) -> bool:
    """Tell whether value representations are implicit under the syntax of TransferSyntaxUID (0002,0010).

    Raises:
        Unusual: the syntax is not one of the ordinary ones.
    """
    uid = transfer_syntax.removesuffix(b"\0")
    if uid not in _ORDINARY_SYNTAXES:
        raise Unusual("transfer syntax")
    return uid == _IMPLICIT


def _meta(head: Head) -> tuple[list[Part], int, bytes]:
    parts: list[Part] = []
    position, syntax, last = _META_AT, b"", b""
    while head.reach(position + 8)[position : position + 2] == _META_GROUP:
        part = explicit_part(head, position)
        value_at = position + len(part.header)
        last = _ascending(last, part.prefix)
        position = value_at + part.length
        if part.length == UNDEFINED_LENGTH:
            raise Unusual("sequence in file meta information")
        if part.prefix[:4] == _TRANSFER_SYNTAX:
            syntax = head.reach(position)[value_at:position]
        parts.append(part)
    return parts, position, syntax


def _data_set(head: Head, position: int, implicit: bool) -> tuple[list[Part], bytes]:
    """Walk the data set to the pixels or to the end of the file."""
    part_at = implicit_part if implicit else explicit_part
    if implicit and _looks_explicit(head.reach(position + 8)[position + 4 : position + 6]):
        raise Unusual("explicit where implicit was announced")
    if head.content[position : position + 2] < b"\x08\x00" and head.content[position + 1] == 0:
        raise Unusual("command set or directory")
    parts: list[Part] = []
    last = b""
    while not head.ends_at(position):
        prefix = head.reach(position + 8)[position : position + 4]
        if prefix in _PIXELS:
            return parts, prefix
        part = part_at(head, position)
        last = _ascending(last, part.prefix)
        if part.prefix[:4] == _CHARACTER_SET and part.prefix[4:] not in (b"", b"CS"):
            raise Unusual("character set of another representation")
        position = after_value(head, position, part, implicit)
        parts.append(part)
    return parts, b""


def _looks_explicit(representation: bytes) -> bool:
    """Tell by the bytes after the first tag, as pydicom does: two capitals."""
    return all(0x40 < byte < 0x5B for byte in representation)


def _ascending(last: bytes, prefix: bytes) -> bytes:
    """Return the tag in an order that compares.

    Raises:
        Unusual: it does not come after the last one.
    """
    tag = prefix[1::-1] + prefix[3:1:-1]
    if tag <= last:
        raise Unusual("tags not ascending")
    return tag


def explicit_part(head: Head, position: int) -> Part:
    """Parse what stands before a value with explicit value representation.

    Raises:
        Unusual: the representation is not known.
    """
    content = head.reach(position + 8)
    prefix = content[position : position + 6]
    representation = prefix[4:]
    if representation in _SHORT:
        header = content[position : position + 8]
        return Part(prefix, header, header[6] | header[7] << 8)
    if representation not in _LONG:
        raise Unusual("value representation")
    header = head.reach(position + 12)[position : position + 12]
    length = int.from_bytes(header[8:], "little")
    if length == UNDEFINED_LENGTH and representation != b"SQ":
        raise Unusual("undefined length")
    return Part(prefix, header, length)


def implicit_part(head: Head, position: int) -> Part:
    """Parse what stands before a value with implicit value representation.

    Raises:
        Unusual: its length is undefined, and it is no sequence.
    """
    header = head.reach(position + 8)[position : position + 8]
    length = int.from_bytes(header[4:], "little")
    if length == UNDEFINED_LENGTH and not _is_sequence(header[:4]):
        raise Unusual("undefined length")
    return Part(header[:4], header, length)


@lru_cache(maxsize=1024)
def _is_sequence(tag: bytes) -> bool:
    """Ask the dictionary; of a private element only its content can tell, which the walk then finds out."""
    group, element = int.from_bytes(tag[:2], "little"), int.from_bytes(tag[2:], "little")
    try:
        return group % 2 == 1 or dictionary_VR((group, element)) == "SQ"
    except KeyError:
        return True


def after_value(head: Head, position: int, part: Part, implicit: bool) -> int:
    """Return where the element at `position` ends.

    Raises:
        Unusual: it does not end inside the file, or its items are not well formed.
    """
    value_at = position + len(part.header)
    if part.length == UNDEFINED_LENGTH:
        return _after_items(head, value_at, implicit, _MOST_NESTED)
    head.reach(value_at + part.length)
    return value_at + part.length


def _after_items(head: Head, position: int, implicit: bool, depth: int) -> int:
    """Walk the items of a sequence of undefined length; return where its delimiter ends."""
    if depth == 0:
        raise Unusual("deep nesting")
    while True:
        content = head.reach(position + 8)
        tag, length = content[position : position + 4], int.from_bytes(content[position + 4 : position + 8], "little")
        position += 8
        if tag == _SEQUENCE_END and length == 0:
            return position
        if tag != _ITEM:
            raise Unusual("no item in a sequence")
        position = _after_item(head, position, length, implicit, depth)


def _after_item(head: Head, position: int, length: int, implicit: bool, depth: int) -> int:
    part_at = implicit_part if implicit else explicit_part
    end = None if length == UNDEFINED_LENGTH else position + length
    last = b""
    while position != end:
        if end is None and head.reach(position + 8)[position : position + 4] == _ITEM_END:
            if head.content[position + 4 : position + 8] != b"\0\0\0\0":
                raise Unusual("item delimiter with a length")
            return position + 8
        part = part_at(head, position)
        last = _ascending(last, part.prefix)
        value_at = position + len(part.header)
        if part.length == UNDEFINED_LENGTH:
            position = _after_items(head, value_at, implicit, depth - 1)
        else:
            position = value_at + part.length
        if end is not None and position > end:
            raise Unusual("item longer than it says")
        head.reach(position)
    return position
