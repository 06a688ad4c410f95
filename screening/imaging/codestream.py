"""Encapsulated picture -> nothing, or the reason why it must not reach a decoder.

Some decoders fill up a picture that ends early with grey and say nothing; GDCM ends the process where the DICOM header
states another picture than the JPEG holds. Both can be seen from the markers of the compressed picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from screening.errors import Excluded, Exclusion

# ISO/IEC 10918-1 table B.1: two bytes, FF and a code
START_OF_IMAGE = b"\xff\xd8"
END_OF_IMAGE = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
TRAILING_BYTES = 16  # padding and the sequence delimitation item follow the end marker
MARKER = 0xFF
FRAME_CODES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, no tables among them
FRAME_BYTES = 10  # marker, length, bits, rows, columns, components
HUFFMAN_TABLE = 0xC4
START_OF_SCAN = 0xDA
JFIF = 0xE0
JFIF_NAME, JFIF_MAJOR_VERSION = b"JFIF\0", 1  # ISO/IEC 10918-5; of another version the JPEG library warns
OTHER_CODES = frozenset({HUFFMAN_TABLE, START_OF_SCAN, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})  # tables, notes


@dataclass(frozen=True, slots=True)
class Frame:
    """What a JPEG says of its picture (ISO/IEC 10918-1 B.2.2)."""

    bits: int
    rows: int
    columns: int
    components: int


def refuse_cut(encapsulated: bytes) -> None:
    """Refuse a compressed picture that ends before its end marker.

    Raises:
        Excluded: UNDECODABLE.
    """
    if END_OF_IMAGE not in encapsulated[-TRAILING_BYTES:]:
        raise Excluded(Exclusion.UNDECODABLE, "compressed picture ends before its end marker")


def refuse_other_frame(encapsulated: bytes, rows: int | None, columns: int | None, bits_allocated: int | None) -> None:
    """Refuse a JPEG whose picture is not the one-component one of the stated size.

    Raises:
        Excluded: UNDECODABLE.
    """
    frame = read_frame(encapsulated)
    if frame is None:
        raise Excluded(Exclusion.UNDECODABLE, "JPEG without a frame header")
    fits = frame.bits <= (bits_allocated or 0) < 2 * max(frame.bits, 8)
    if (frame.rows, frame.columns, frame.components) != (rows, columns, 1) or not fits:
        raise Excluded(
            Exclusion.UNDECODABLE,
            f"JPEG of {frame.rows} x {frame.columns} with {frame.components} components of {frame.bits} bits",
        )


def read_frame(encapsulated: bytes) -> Frame | None:
    """Read the frame header, or None where the segments before the scan are no unbroken row of tables and one frame."""
    start = encapsulated.find(START_OF_IMAGE)
    segments = list(_segments(encapsulated, start + len(START_OF_IMAGE))) if start >= 0 else []
    frames = [at for code, at in segments if code in FRAME_CODES]
    if not {START_OF_SCAN, HUFFMAN_TABLE} <= {code for code, _ in segments} or len(frames) != 1:
        return None
    if any(code == JFIF and _is_other_jfif(encapsulated[at + 4 :][:6]) for code, at in segments):
        return None
    at = frames[0]
    return Frame(
        bits=encapsulated[at + 4],
        rows=_number(encapsulated, at + 5),
        columns=_number(encapsulated, at + 7),
        components=encapsulated[at + 9],
    )


def _segments(encapsulated: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Yield code and place of every marker segment up to the first scan, as far as the row is unbroken."""
    while at + FRAME_BYTES <= len(encapsulated) and encapsulated[at] == MARKER:
        code = encapsulated[at + 1]
        if code not in FRAME_CODES | OTHER_CODES:
            return
        yield code, at
        if code == START_OF_SCAN:
            return
        at += 2 + _number(encapsulated, at + 2)


def _is_other_jfif(start_of_segment: bytes) -> bool:
    return start_of_segment.startswith(JFIF_NAME) and start_of_segment[-1] != JFIF_MAJOR_VERSION


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "big")
