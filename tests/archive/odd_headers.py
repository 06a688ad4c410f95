"""Seed -> DICOM files with headers as odd as the standard allows, and some that are broken; written byte by byte.

Explicit and implicit little endian, character sets with and without code extensions, private blocks, every value
representation, nested sequences of defined and undefined length, values that are empty, padded or nonsense. What is
broken breaks one rule: order, length, representation, delimiter, end of the file.
"""

import random
import struct
from collections.abc import Callable

from pydicom.datadict import dictionary_VR

from screening.archive.header_fields import CHARACTER_SET_TAG, FIELD_TAGS

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
SYNTAXES = (EXPLICIT, EXPLICIT, IMPLICIT, "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.5")
ODD_SYNTAXES = ("1.2.840.10008.1.2.2", "1.2.3.4", "", "1.2.840.10008.1.2.1 ", "1.2.840.10008.1.2.1.99")
LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
OTHERS = (
    "AE",
    "AT",
    "DT",
    "FL",
    "FD",
    "LT",
    "OB",
    "OD",
    "OF",
    "OL",
    "OW",
    "PN",
    "SL",
    "SS",
    "ST",
    "TM",
    "UC",
    "UL",
    "UN",
)
CHARACTER_SETS = {
    b"": "ascii",
    b"ISO_IR 100": "latin-1",
    b"ISO_IR 192": "utf-8",
    b"ISO_IR 13": "shift_jis",
    b"GB18030": "gb18030",
    b"ISO_IR 144": "iso8859_5",
    b"\\ISO 2022 IR 87": "ascii",
    b"ISO 2022 IR 100\\ISO 2022 IR 144": "latin-1",
    b"ISO-IR 100": "latin-1",  # misspelt
    b"ISO_IR 999": "ascii",  # unknown
}
TEXTS = ("ABDOMEN", "Übersicht Größe", "腹部 単純", "брюшная полость", "Señora\\zweite", "  padded ", "a^b=c^d")
NUMBERS = (
    "0",
    "-1000",
    "1.5",
    "7.03125000e-01",
    "120",
    "1,5",
    "",
    "nan",
    "1e999",
    " 5 ",
    "1\\2\\3",
    "1\\0\\0\\0\\1\\0",
)
CODES = ("ORIGINAL\\PRIMARY\\AXIAL", "CT", "F", "HFS", "", "20240115", "1970.01.02", "20241399", "070Y", "018M", "²Y")
BY_REPRESENTATION = {"DS": NUMBERS, "IS": NUMBERS, "CS": CODES, "DA": CODES, "AS": CODES, "UI": ("1.2.840.1", "2.25.7")}
UIDS = {0x00080016: "1.2.840.10008.5.1.4.1.1.2", 0x00080018: "2.25.{0}", 0x0020000D: "2.25.1", 0x0020000E: "2.25.2"}

Element = tuple[int, str, bytes | list["Items"] | None]  # tag, representation, value; a list is a sequence
Items = list[Element]


def odd_series(seed: int, count: int = 10) -> list[bytes]:
    """Write neighbours: the same elements with some other values, one in sixteen broken."""
    rng = random.Random(seed)
    syntax = rng.choice(SYNTAXES) if rng.random() < 0.95 else rng.choice(ODD_SYNTAXES)
    character_set = rng.choice(list(CHARACTER_SETS))
    elements = _elements(rng, character_set)
    files = []
    for _ in range(count):
        elements = [_varied(rng, element, character_set) for element in elements]
        content = _file(elements, syntax, rng)
        files.append(rng.choice(BREAKS)(rng, content) if rng.random() < 0.0625 else content)
    return files


def _elements(rng: random.Random, character_set: bytes) -> list[Element]:
    wanted = [tag for tag in FIELD_TAGS if tag in UIDS or rng.random() < 0.9]
    elements: dict[int, Element] = {
        int(tag): (int(tag), _representation(rng, int(tag)), _value(rng, int(tag), character_set)) for tag in wanted
    }
    if character_set or rng.random() < 0.5:
        elements[int(CHARACTER_SET_TAG)] = (int(CHARACTER_SET_TAG), "CS", character_set)
    for _ in range(rng.randrange(20)):
        element = _other(rng, depth=3)
        elements.setdefault(element[0], element)
    return [elements[tag] for tag in sorted(elements)]


def _representation(rng: random.Random, tag: int) -> str:
    usual = dictionary_VR(tag).split(" ")[0]
    return rng.choice(("UN", "LO", "UT")) if rng.random() < 0.03 else usual


def _value(rng: random.Random, tag: int, character_set: bytes) -> bytes:
    if tag in UIDS and rng.random() < 0.99:
        return UIDS[tag].format(rng.getrandbits(rng.choice((8, 64, 96)))).encode()
    usual = dictionary_VR(tag)
    if usual == "US":
        return struct.pack("<H", rng.choice((0, 1, 16, 512))) * rng.choice((1, 1, 1, 2, 0))
    text = rng.choice(BY_REPRESENTATION.get(usual, TEXTS))
    return text.encode(CHARACTER_SETS[character_set], "replace")


def _other(rng: random.Random, depth: int) -> Element:
    """Draw an element that nothing wants: public or private, plain or a sequence."""
    group = rng.choice((0x0008, 0x0009, 0x0010, 0x0018, 0x0019, 0x0020, 0x0029, 0x0040, 0x0043, 0x7005))
    tag = group << 16 | rng.choice((rng.randrange(0x0010, 0x00FF), rng.randrange(0x1000, 0x9FFF)))
    while tag in FIELD_TAGS or tag == CHARACTER_SET_TAG:
        tag += 1
    if depth and rng.random() < 0.3:
        return _sequence_tag(rng, group), "SQ", [_items(rng, depth - 1) for _ in range(rng.randrange(3))]
    length = rng.choice((0, 2, 4, 8, 16, 64, 300)) if rng.random() < 0.97 else 20_000
    return tag, rng.choice(OTHERS), rng.randbytes(length)


def _sequence_tag(rng: random.Random, group: int) -> int:
    """Public sequences need the tag of one, for implicit files name no representation."""
    public = {0x0008: 0x00081140, 0x0010: 0x00101002, 0x0018: 0x00189301, 0x0020: 0x00209116, 0x0040: 0x00400275}
    return public.get(group, group << 16 | rng.randrange(0x1000, 0x9FFF))


def _items(rng: random.Random, depth: int) -> Items:
    elements = {element[0]: element for element in (_other(rng, depth) for _ in range(rng.randrange(4)))}
    return [elements[tag] for tag in sorted(elements)]


def _varied(rng: random.Random, element: Element, character_set: bytes) -> Element:
    """Change few values, most of them without changing their length, as scanners do from slice to slice."""
    tag, representation, value = element
    if isinstance(value, list) or value is None or tag == CHARACTER_SET_TAG or rng.random() > 0.15:
        return element
    if rng.random() < 0.8:
        return tag, representation, bytes(rng.sample(value, len(value)))
    if tag in FIELD_TAGS:
        return tag, representation, _value(rng, tag, character_set)
    return tag, representation, rng.randbytes(2 * rng.randrange(40))


def _file(elements: list[Element], syntax: str, rng: random.Random) -> bytes:
    meta: list[Element] = [
        (0x00020001, "OB", b"\0\1"),
        (0x00020002, "UI", UIDS[0x00080016].encode()),
        (0x00020003, "UI", b"2.25.9"),
        (0x00020010, "UI", syntax.encode()),
        (0x00020013, "SH", b"ODD"),
    ]
    body = b"".join(_element(one, syntax == IMPLICIT, rng) for one in elements)
    pixels = _element((0x7FE00010, "OW", b"\0\0" * 8), syntax == IMPLICIT, rng)
    head = b"".join(_element(one, False, rng) for one in meta)
    return bytes(128) + b"DICM" + head + body + (pixels if rng.random() < 0.9 else b"")


def _element(element: Element, implicit: bool, rng: random.Random) -> bytes:
    tag, representation, value = element
    content, undefined = _content(value, representation, implicit, rng)
    length = 0xFFFFFFFF if undefined else len(content)
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return start + struct.pack("<L", length) + content
    if representation in LONG:
        return start + representation.encode() + b"\0\0" + struct.pack("<L", length) + content
    return start + representation.encode() + struct.pack("<H", length) + content


def _content(
    value: bytes | list[Items] | None, representation: str, implicit: bool, rng: random.Random
) -> tuple[bytes, bool]:
    if not isinstance(value, list):
        padding = b"\0" if representation in ("UI", "OB", "UN") else b" "
        return (value or b"") + padding * (len(value or b"") % 2), False
    content = b"".join(_item(item, implicit, rng) for item in value)
    if rng.random() < 0.5:
        return content + b"\xfe\xff\xdd\xe0" + bytes(4), True
    return content, False


def _item(item: Items, implicit: bool, rng: random.Random) -> bytes:
    content = b"".join(_element(one, implicit, rng) for one in item)
    if rng.random() < 0.5:
        return b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + content + b"\xfe\xff\x0d\xe0" + bytes(4)
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(content)) + content


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(1, len(content))]


def _flip(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(132, len(content))
    return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]


def _swap(rng: random.Random, content: bytes) -> bytes:
    """Move some bytes behind the meta information to the end of the file."""
    at = rng.randrange(240, len(content))
    return content[:240] + content[at:] + content[240:at]


def _odd_representation(rng: random.Random, content: bytes) -> bytes:
    return content.replace(
        rng.choice((b"LO", b"DS", b"CS", b"UI", b"SH")), rng.choice((b"ZZ", b"??", b"\0\0", b"UN")), 1
    )


def _undelimited(rng: random.Random, content: bytes) -> bytes:
    return content.replace(rng.choice((b"\xfe\xff\xdd\xe0", b"\xfe\xff\x0d\xe0")), b"\xfe\xff\x01\xe0", 1)


def _no_preamble(rng: random.Random, content: bytes) -> bytes:
    return content[rng.choice((132, 128, 1)) :]


BREAKS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _cut,
    _flip,
    _flip,
    _swap,
    _odd_representation,
    _undelimited,
    _no_preamble,
)
