"""One walked header -> where the same elements stand in the headers of its neighbours, all of it verified.

Files of a series differ in values and in the length of a few of them. A layout compares everything that stands between
the values (tags, value representations, lengths) with what it expects, run by run; an element whose length was seen to
vary ends a run and is parsed anew. What does not fit is walked.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from screening.archive.header_fields import (
    CHARACTER_SET_TAG,
    FIELD_TAGS,
    Encodings,
    RawHeader,
    encodings_named,
    tag_of,
)
from screening.archive.header_walk import (
    UNDEFINED_LENGTH,
    Head,
    HeaderShape,
    Part,
    Unusual,
    after_value,
    explicit_part,
    implicit_part,
    is_implicit,
)

# What is taken out of a header: two elements of its file meta information, its character set, the fields.
_TAKEN: Final = (tag_of("TransferSyntaxUID"), tag_of("MediaStorageSOPClassUID"), CHARACTER_SET_TAG, *FIELD_TAGS)
_PLACES: Final = {struct.pack("<HH", tag.group, tag.element): place for place, tag in enumerate(_TAKEN)}
_FIRST_FIELD: Final = 3

Taken = tuple[bytes | None, ...]  # in the order of _TAKEN; None: absent


@dataclass(frozen=True, slots=True)
class _Run:
    """Elements that stand at fixed offsets from one another, and the element of varying length after them."""

    headers: struct.Struct
    expected: tuple[bytes, ...]
    taken: tuple[tuple[int, int, int], ...]  # place among _TAKEN, start and stop relative to the run
    varying: Part | None  # None: the header ends here
    varying_implicit: bool
    varying_place: int | None


class Layout:
    """The layout of one kind of header.

    Raises:
        Unusual: a value to take is a sequence.
    """

    def __init__(self, shape: HeaderShape, varying: frozenset[int] = frozenset()) -> None:
        undefined = {number for number, part in enumerate(shape.parts) if part.length == UNDEFINED_LENGTH}
        if any(shape.parts[number].prefix[:4] in _PLACES for number in undefined):
            raise Unusual("a sequence where a value was expected")
        self.shape = shape
        self.varying = varying | undefined
        self._runs = tuple(_runs(shape, self.varying))

    def merged(self, other: HeaderShape) -> "Layout":
        """Return a layout that fits this shape and the other, which has the same elements.

        The first element of the data set tells explicit from implicit and is not let vary.
        """
        pairs = zip(self.shape.parts, other.parts, strict=True)
        differing = {number for number, (one, two) in enumerate(pairs) if one.header != two.header}
        return Layout(other) if other.meta_count in differing else Layout(other, self.varying | differing)

    def take(self, head: Head) -> Taken | None:
        """Take the values out of a header that has this layout, else return None.

        Raises:
            Unusual: an element of varying length is not ordinary.
        """
        values: list[bytes | None] = [None] * len(_TAKEN)
        position = _DATA_AT
        for run in self._runs:
            content = head.reach(position + run.headers.size)
            if run.headers.unpack_from(content, position) != run.expected:
                return None
            for place, start, stop in run.taken:
                values[place] = content[position + start : position + stop]
            position += run.headers.size
            if run.varying is not None:
                found = _varying(head, position, run)
                if found is None:
                    return None
                value_at, position = found
                if run.varying_place is not None:
                    values[run.varying_place] = head.content[value_at:position]
        return tuple(values) if self._ends(head, position) and self._announced(values[0]) else None

    def _ends(self, head: Head, position: int) -> bool:
        if not self.shape.ends_with:
            return head.ends_at(position)
        return head.reach(position + 8).startswith(self.shape.ends_with, position)

    def _announced(self, syntax: bytes | None) -> bool:
        return is_implicit(syntax or b"") == self.shape.implicit


_DATA_AT: Final = 128  # "DICM" and the file meta information follow the preamble


def _varying(head: Head, position: int, run: _Run) -> tuple[int, int] | None:
    """Find start and end of the value of the element that varies, if it stands here."""
    if run.varying is None or not head.reach(position + 8).startswith(run.varying.prefix, position):
        return None
    part = (implicit_part if run.varying_implicit else explicit_part)(head, position)
    return position + len(part.header), after_value(head, position, part, run.varying_implicit)


def _runs(shape: HeaderShape, varying: frozenset[int]) -> Sequence[_Run]:
    runs: list[_Run] = []
    taken: list[tuple[int, int, int]] = []
    form, expected, size = ["<4s"], [b"DICM"], 4
    for number, part in enumerate(shape.parts):
        place = _PLACES.get(part.prefix[:4])
        if number in varying:
            implicit = shape.implicit and number >= shape.meta_count
            runs.append(_Run(struct.Struct("".join(form)), tuple(expected), tuple(taken), part, implicit, place))
            form, expected, taken, size = ["<"], [], [], 0
            continue
        value_at = size + len(part.header)
        form.append(f"{len(part.header)}s{part.length}x")
        expected.append(part.header)
        size = value_at + part.length
        if place is not None:
            taken.append((place, value_at, size))
    runs.append(_Run(struct.Struct("".join(form)), tuple(expected), tuple(taken), None, False, None))
    return runs


def raw_header(taken: Taken) -> RawHeader:
    """Name what was taken.

    Raises:
        Unusual: its UIDs are padded with more than the one byte that makes their length even, or its character set
            has no name that could be one.
    """
    syntax, sop_class, character_set = taken[:_FIRST_FIELD]
    return RawHeader(
        transfer_syntax_uid=_uid(syntax),
        media_storage_sop_class_uid=_uid(sop_class),
        encodings=_encodings(character_set or b""),
        values=taken[_FIRST_FIELD:],
    )


def _encodings(character_set: bytes) -> Encodings:
    try:
        return encodings_named(character_set)
    except ValueError as error:
        raise Unusual("character set") from error


@lru_cache(maxsize=256)
def _uid(value: bytes | None) -> str:
    text = (value or b"").removesuffix(b"\0")
    if not all(byte in b"0123456789." for byte in text):
        raise Unusual("UID in file meta information")
    return text.decode("ascii")
