"""Elements and a plan -> the bytes of a DICOM file, so that a header may be written as no library would write it."""

import random
import struct
import zlib
from dataclasses import dataclass
from itertools import groupby

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BEGINNINGS = ("preamble", "no meta", "no preamble", "no syntax")
UIDS = {0x00080016: "1.2.840.10008.5.1.4.1.1.2", 0x00080018: "2.25.{0}", 0x0020000D: "2.25.1", 0x0020000E: "2.25.2"}
LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
PIXELS, TRAILING_PADDING = 0x7FE00010, 0xFFFCFFFC

Element = tuple[int, str, bytes | list["Items"] | None]  # tag, representation, value; a list is a sequence
Items = list[Element]


@dataclass(frozen=True)
class Form:
    """How the data set of a file is written."""

    implicit: bool = False
    big_endian: bool = False
    padded: bool = True  # to an even length

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack((">" if self.big_endian else "<") + layout, *values)


META = Form()


@dataclass(frozen=True)
class Plan:
    """What neighbours have in common beside their elements."""

    form: Form = Form()
    announced: str = EXPLICIT  # TransferSyntaxUID
    deflated: bool = False
    beginning: str = "preamble"
    group_lengths: bool = False
    meta_length_off: int | None = 0  # None: the meta information has no group length


def written(elements: list[Element], plan: Plan, rng: random.Random) -> bytes:
    """Write one file; one in ten has no pixels."""
    if rng.random() < 0.9:
        pixels: Element = (PIXELS, "OW", b"\0\0" * 8)
        elements = sorted([*elements, pixels], key=lambda element: element[0])
    body = _body(elements, plan, rng)
    if plan.deflated:
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)  # RFC 1951, without header (PS3.5 A.5)
        body = compressor.compress(body) + compressor.flush()
    if plan.beginning == "no preamble":
        return body
    return bytes(128) + b"DICM" + (b"" if plan.beginning == "no meta" else _meta(plan, rng)) + body


def _meta(plan: Plan, rng: random.Random) -> bytes:
    meta: list[Element] = [
        (0x00020001, "OB", b"\0\1"),
        (0x00020002, "UI", UIDS[0x00080016].encode()),
        (0x00020003, "UI", b"2.25.9"),
        *([] if plan.beginning == "no syntax" else [(0x00020010, "UI", plan.announced.encode())]),
        (0x00020013, "SH", b"ODD"),
    ]
    content = b"".join(_element(one, META, rng) for one in meta)
    if plan.meta_length_off is None:
        return content
    return _group_length(0x0002, len(content) + plan.meta_length_off, META, rng) + content


def _body(elements: list[Element], plan: Plan, rng: random.Random) -> bytes:
    if not plan.group_lengths:
        return b"".join(_element(one, plan.form, rng) for one in elements)
    content = b""
    for group, members in groupby(elements, key=lambda element: element[0] >> 16):
        part = b"".join(_element(one, plan.form, rng) for one in members)
        content += _group_length(group, len(part), plan.form, rng) + part
    return content


def _group_length(group: int, length: int, form: Form, rng: random.Random) -> bytes:
    return _element((group << 16, "UL", form.pack("L", length)), form, rng)


def _element(element: Element, form: Form, rng: random.Random) -> bytes:
    tag, representation, value = element
    content, undefined = _content(value, representation, form, rng)
    length = 0xFFFFFFFF if undefined else len(content)
    start = form.pack("HH", tag >> 16, tag & 0xFFFF)
    if form.implicit:
        return start + form.pack("L", length) + content
    if representation in LONG:
        return start + representation.encode() + b"\0\0" + form.pack("L", length) + content
    return start + representation.encode() + form.pack("H", length) + content


def _content(
    value: bytes | list[Items] | None, representation: str, form: Form, rng: random.Random
) -> tuple[bytes, bool]:
    if not isinstance(value, list):
        padding = b"\0" if representation in ("UI", "OB", "UN") else b" "
        return (value or b"") + padding * (len(value or b"") % 2 if form.padded else 0), False
    inner = Form(implicit=True) if representation == "UN" else form  # a sequence of unknown kind (PS3.5 6.2.2)
    content = b"".join(_item(item, inner, rng) for item in value)
    if representation == "UN" or rng.random() < 0.5:
        return content + inner.pack("HHL", 0xFFFE, 0xE0DD, 0), True
    return content, False


def _item(item: Items, form: Form, rng: random.Random) -> bytes:
    content = b"".join(_element(one, form, rng) for one in item)
    if rng.random() < 0.5:
        return form.pack("HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + content + form.pack("HHL", 0xFFFE, 0xE00D, 0)
    return form.pack("HHL", 0xFFFE, 0xE000, len(content)) + content
