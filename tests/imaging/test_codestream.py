import pytest

from screening.errors import Excluded, Exclusion
from screening.imaging.codestream import Frame, read_frame, refuse_cut, refuse_other_frame

JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01" + bytes(7)
TABLE = b"\xff\xc4\x00\x05abc"
SCAN = b"\xff\xda\x00\x02" + bytes(20)
END = b"\xff\xd9"


def jpeg(code=0xC3, bits=16, rows=40, columns=48, components=1, before=TABLE):
    return b"\xfe\xff\x00\xe0\x20\0\0\0\xff\xd8" + before + frame(code, bits, rows, columns, components) + SCAN + END


def frame(code=0xC3, bits=16, rows=40, columns=48, components=1):
    return bytes([0xFF, code, 0, 11, bits, *rows.to_bytes(2), *columns.to_bytes(2), components, 1, 0x11, 0])


@pytest.mark.parametrize("code", [0xC0, 0xC1, 0xC3])
def test_the_frame_header_is_found_behind_tables(code):
    assert read_frame(jpeg(code, bits=12)) == Frame(bits=12, rows=40, columns=48, components=1)


@pytest.mark.parametrize(
    "encapsulated",
    [
        b"",
        b"\xff\xd8",
        b"no JPEG at all",
        b"\xff\xd8" + SCAN + jpeg(),
        jpeg()[:25],
        jpeg().replace(b"\xff\xc4", b"\xef\xc4"),
        jpeg(before=b""),
        jpeg(before=b"\xff\x00" + TABLE),
        jpeg(before=JFIF.replace(b"\x01\x01", b"\x03\x01") + TABLE),
        jpeg(before=JFIF.replace(b"\x01\x01", b"\x03\x01") + JFIF + TABLE),
        jpeg(before=TABLE + frame(rows=4000, columns=4000, components=3)),
        jpeg(before=TABLE + frame()),
        jpeg(before=TABLE + frame(code=0xC0)),
    ],
    ids=[
        "nothing",
        "a start alone",
        "no start",
        "a scan first",
        "cut",
        "a damaged marker",
        "no table",
        "no marker",
        "JFIF of another version",
        "JFIF of two versions",
        "a frame before the frame",
        "the frame twice",
        "a frame of another process",
    ],
)
def test_without_frame_header_there_is_none(encapsulated):
    assert read_frame(encapsulated) is None


def test_a_picture_as_stated_passes():
    refuse_other_frame(jpeg(before=JFIF + TABLE), 40, 48, 16)
    refuse_other_frame(jpeg(), 40, 48, 16)
    refuse_other_frame(jpeg(bits=12), 40, 48, 16)
    refuse_other_frame(jpeg(bits=8), 40, 48, 8)


OTHERS = {
    "rows": {"rows": 39},
    "columns": {"columns": 512},
    "components": {"components": 3},
    "fewer bits": {"bits": 8},
    "no frame": {"code": 0xC8},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_another_picture_than_stated_is_undecodable(other):
    with pytest.raises(Excluded) as raised:
        refuse_other_frame(jpeg(**other), 40, 48, 16)

    assert raised.value.reason is Exclusion.UNDECODABLE


def test_more_bits_than_allocated_are_undecodable():
    with pytest.raises(Excluded):
        refuse_other_frame(jpeg(bits=12), 40, 48, 8)


def test_a_picture_ends_with_its_end_marker():
    refuse_cut(jpeg() + bytes(8))
    with pytest.raises(Excluded, match="ends before its end marker"):
        refuse_cut(jpeg()[:-2])
