"""Seed -> DICOM files with headers as odd as the standard allows, and some that are broken.

Explicit and implicit, little and big endian, deflated; with or without preamble, meta information, group lengths;
character sets with and without code extensions, private blocks, every value representation, nested sequences of defined
and undefined length, values that are empty, padded, of odd length, longer than a read or than 64 KiB, or nonsense. What
is broken breaks one rule: order, length, representation, delimiter, end of the file.
"""

import random
import struct
from collections.abc import Callable

from archive.odd_bytes import (
    BEGINNINGS,
    EXPLICIT,
    IMPLICIT,
    TRAILING_PADDING,
    UIDS,
    Element,
    Form,
    Items,
    Plan,
    written,
)
from pydicom.datadict import dictionary_VR

from screening.archive.header_fields import CHARACTER_SET_TAG, FIELD_TAGS

BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
COMPRESSED = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.5")
SYNTAXES = (EXPLICIT, EXPLICIT, EXPLICIT, EXPLICIT, IMPLICIT, IMPLICIT, *COMPRESSED, BIG_ENDIAN, DEFLATED)
WRONG_SYNTAXES = (BIG_ENDIAN, "1.2.3.4", "", "1.2.840.10008.1.2.1 ", DEFLATED, IMPLICIT)  # announced, not kept
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
# What Python encodes with; after "+", the escape sequence that invokes it (PS3.3 C.12.1.1.2).
CHARACTER_SETS = {
    b"": "ascii",
    b"ISO_IR 100": "latin-1",
    b"ISO_IR 192": "utf-8",
    b"ISO_IR 13": "shift_jis",
    b"GB18030": "gb18030",
    b"ISO_IR 144": "iso8859_5",
    b"\\ISO 2022 IR 87": "iso2022_jp",
    b"ISO 2022 IR 13\\ISO 2022 IR 87": "iso2022_jp",
    b"\\ISO 2022 IR 159": "iso2022_jp_2",
    b"\\ISO 2022 IR 149": "euc_kr+$)C",
    b"\\ISO 2022 IR 58": "gb2312+$)A",
    b"ISO 2022 IR 100\\ISO 2022 IR 144": "iso8859_5+-L",
    b"ISO 2022 IR 6\\ISO 2022 IR 100": "latin-1+-A",
    b"ISO_IR 192\\ISO 2022 IR 87": "utf-8",  # not allowed: UTF-8 knows no extension
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
# Longer than the first read, than 64 KiB, than the largest head that is walked.
LENGTHS = (*[20_000] * 10, *[70_000] * 5, 300_000)
LONG_VALUES = ("OB", "OW", "UC", "UN", "UT")
CODES = ("ORIGINAL\\PRIMARY\\AXIAL", "CT", "F", "HFS", "", "20240115", "1970.01.02", "20241399", "070Y", "018M", "²Y")
BY_REPRESENTATION = {"DS": NUMBERS, "IS": NUMBERS, "CS": CODES, "DA": CODES, "AS": CODES, "UI": ("1.2.840.1", "2.25.7")}


def odd_series(seed: int, count: int = 10) -> list[bytes]:
    """Write neighbours: the same elements with some other values, one in sixteen broken."""
    rng = random.Random(seed)
    plan = _plan(rng)
    character_set = rng.choice(list(CHARACTER_SETS))
    elements = _elements(rng, character_set)
    share = rng.choice((0.02, 0.15))  # of the elements that differ from file to file
    files = []
    for _ in range(count):
        elements = [_varied(rng, element, character_set) if rng.random() < share else element for element in elements]
        content = written(_altered(rng, elements), plan, rng)
        files.append(rng.choice(BREAKS)(rng, content) if rng.random() < 0.0625 else content)
    return files


def _plan(rng: random.Random) -> Plan:
    syntax = rng.choice(SYNTAXES)
    return Plan(
        form=Form(syntax == IMPLICIT, syntax == BIG_ENDIAN, padded=rng.random() < 0.9),
        announced=rng.choice(WRONG_SYNTAXES) if rng.random() < 0.05 else syntax,
        deflated=syntax == DEFLATED,
        beginning=rng.choice(BEGINNINGS) if rng.random() < 0.15 else "preamble",
        group_lengths=rng.random() < 0.15,
        meta_length_off=rng.choice((None, 0, 0, 0, 2)),
    )


def _elements(rng: random.Random, character_set: bytes) -> list[Element]:
    wanted = [tag for tag in FIELD_TAGS if tag in UIDS or rng.random() < 0.9]
    elements: dict[int, Element] = {
        int(tag): (int(tag), _representation(rng, int(tag)), _value(rng, int(tag), character_set)) for tag in wanted
    }
    if character_set or rng.random() < 0.5:
        elements[int(CHARACTER_SET_TAG)] = (int(CHARACTER_SET_TAG), "CS", character_set)
    if rng.random() < 0.1:
        elements[TRAILING_PADDING] = (TRAILING_PADDING, "OB", bytes(64))
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
    return _encoded(rng.choice(BY_REPRESENTATION.get(usual, TEXTS)), CHARACTER_SETS[character_set])


def _encoded(text: str, codec: str) -> bytes:
    """Encode a text; what its set lacks is written as "?"."""
    name, _, escape = codec.partition("+")
    if not escape or text.isascii():
        return text.encode(name, "replace")
    return b"\x1b" + escape.encode() + text.encode(name, "replace")


def _other(rng: random.Random, depth: int) -> Element:
    """Draw an element that nothing wants: public or private, plain or a sequence."""
    group = rng.choice((0x0008, 0x0009, 0x0010, 0x0018, 0x0019, 0x0020, 0x0029, 0x0040, 0x0043, 0x7005))
    tag = group << 16 | rng.choice((rng.randrange(0x0010, 0x00FF), rng.randrange(0x1000, 0x9FFF)))
    while tag in FIELD_TAGS or tag == CHARACTER_SET_TAG:
        tag += 1
    if depth and rng.random() < 0.3:
        representation = "UN" if rng.random() < 0.01 else "SQ"
        return _sequence_tag(rng, group), representation, [_items(rng, depth - 1) for _ in range(rng.randrange(3))]
    length = rng.choice((0, 2, 4, 8, 16, 64, 300)) if rng.random() < 0.96 else rng.choice(LENGTHS)
    return tag, rng.choice(OTHERS if length < 1 << 16 else LONG_VALUES), rng.randbytes(length)


def _sequence_tag(rng: random.Random, group: int) -> int:
    """Public sequences need the tag of one, for implicit files name no representation."""
    public = {0x0008: 0x00081140, 0x0010: 0x00101002, 0x0018: 0x00189301, 0x0020: 0x00209116, 0x0040: 0x00400275}
    return public.get(group, group << 16 | rng.randrange(0x1000, 0x9FFF))


def _items(rng: random.Random, depth: int) -> Items:
    elements = {element[0]: element for element in (_other(rng, depth) for _ in range(rng.randrange(4)))}
    return [elements[tag] for tag in sorted(elements)]


def _varied(rng: random.Random, element: Element, character_set: bytes) -> Element:
    """Change a value, mostly without changing its length, as scanners do from slice to slice."""
    tag, representation, value = element
    if isinstance(value, list) or value is None or tag == CHARACTER_SET_TAG:
        return element
    if rng.random() < 0.8:
        return tag, representation, bytes(rng.sample(value, len(value)))
    if tag in FIELD_TAGS:
        return tag, representation, _value(rng, tag, character_set)
    return tag, representation, rng.randbytes(2 * rng.randrange(40))


def _altered(rng: random.Random, elements: Items) -> Items:
    """Leave out an element or the last few, as where a value is not known for every slice, or give one another tag."""
    if rng.random() < 0.85:
        return elements
    first = rng.randrange(1, len(elements))
    before, (tag, *rest), after = elements[:first], elements[first], elements[first + 1 :]
    renamed: Items = [(tag + 1, *rest)] if not after or after[0][0] > tag + 1 else []  # type: ignore[list-item]
    return rng.choice((before + after, before + renamed + after, elements[: max(first, 4)]))


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(1, len(content))]


def _cut_end(rng: random.Random, content: bytes) -> bytes:
    return content[: -rng.randrange(1, min(8, len(content)))]


def _flip(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(min(132, len(content) // 2), len(content))
    return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]


def _swap(rng: random.Random, content: bytes) -> bytes:
    """Move some bytes behind the meta information to the end of the file."""
    kept = min(240, len(content) // 2)
    at = rng.randrange(kept, len(content))
    return content[:kept] + content[at:] + content[kept:at]


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
    _cut_end,
    _flip,
    _flip,
    _swap,
    _odd_representation,
    _undelimited,
    _no_preamble,
)
