"""Encapsulated picture -> nothing, or the reason why it must not reach a decoder.

Some decoders fill up a picture that ends early with grey and say nothing; GDCM ends the process where the DICOM header
states another picture than the JPEG holds. Both can be seen from the markers of the compressed picture.
"""

from dataclasses import dataclass

from screening.errors import Excluded, Exclusion

# ISO/IEC 10918-1 table B.1 and 14495-1 C.1.1: two bytes, FF and a code
START_OF_IMAGE = b"\xff\xd8"
END_OF_IMAGE = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
TRAILING_BYTES = 16  # padding and the sequence delimitation item follow the end marker
FRAME_CODES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # SOF0-15 and SOF55, no tables among them
BARE_CODES = frozenset({0x01, *range(0xD0, 0xDA)})  # without a length
START_OF_SCAN = 0xDA


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
    """Find the frame header before the first scan, or None."""
    at = encapsulated.find(START_OF_IMAGE)
    while 0 <= at < len(encapsulated) - 9 and encapsulated[at] == START_OF_IMAGE[0]:
        code = encapsulated[at + 1]
        if code in FRAME_CODES:
            return Frame(
                bits=encapsulated[at + 4],
                rows=_number(encapsulated, at + 5),
                columns=_number(encapsulated, at + 7),
                components=encapsulated[at + 9],
            )
        if code == START_OF_SCAN:
            return None
        at += 2 if code in BARE_CODES else 2 + _number(encapsulated, at + 2)
    return None


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "big")
