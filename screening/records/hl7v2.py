"""HL7 v2 ORU^R01, one or many messages a file -> DXA records as text: one an OBX, and one an OBR of a DXA."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hl7
import pandas as pd

from screening.errors import UserError
from screening.records.batch import DXA_TEXT, Batch, Format, text_frame
from screening.records.codes import Code, Quantity
from screening.records.codings import Coding, code_of
from screening.records.identities import Identities
from screening.records.manufacturers import known_maker
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings

Row = dict[str, str]

_BATCH_MESSAGES: Final = 2_000
_CHARSETS: Final = {
    "8859/1": "latin-1",
    "8859/15": "iso8859-15",
    "unicode utf-8": "utf-8",
    "": "utf-8",
    "ascii": "ascii",
}
# HL7 table 0085: status of one observation (OBX-11).
_STATUS: Final = {
    **dict.fromkeys(("", "F", "U", "B", "V"), "final"),
    **dict.fromkeys(("C", "A"), "corrected"),
    **dict.fromkeys(("P", "R", "S"), "preliminary"),
    **dict.fromkeys(("I", "O"), "pending"),
    **dict.fromkeys(("D", "W", "X", "N", "Y"), "withdrawn"),
}
# HL7 table 0123: status of an order (OBR-25), where S is scheduled but not done, and A has some of its results.
_ORDER_STATUS: Final = {
    **dict.fromkeys(("", "F"), "final"),
    "C": "corrected",
    **dict.fromkeys(("P", "R", "A"), "preliminary"),
    **dict.fromkeys(("I", "O", "S"), "pending"),
    **dict.fromkeys(("X", "Y", "Z"), "withdrawn"),
}
_FRAME: Final = re.compile("[\x0b\x1c]")
_HEADS: Final = ("FHS", "BHS", "BTS", "FTS")


@dataclass(frozen=True, slots=True)
class _Group:
    """The segments that an OBX is read with."""

    msh: hl7.Segment
    pid: hl7.Segment | None
    obr: hl7.Segment | None


def read_messages(path: Path) -> list[str]:
    """Split a file into messages; segments end with CR, LF or both, messages may be framed for MLLP.

    Raises:
        UserError: the file cannot be read, or holds no message.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}.") from error
    messages = split_messages(_decoded(path, raw))
    if not messages:
        raise UserError(f"{path} holds no HL7 message: expected segments that begin with MSH.")
    return messages


def split_messages(text: str) -> list[str]:
    """Return each message with CR after each segment; file and batch heads are left out."""
    segments = [line.strip() for line in re.split(r"[\r\n]+", _FRAME.sub("\r", text)) if line.strip()]
    messages: list[list[str]] = []
    for segment in segments:
        if segment.startswith("MSH"):
            messages.append([segment])
        elif messages and not segment.startswith(_HEADS):
            messages[-1].append(segment)
    return ["\r".join(message) for message in messages]


def _decoded(path: Path, raw: bytes) -> str:
    """Decode by the character set that the first message names (MSH-18)."""
    head = next((line for line in re.split(rb"[\r\n\x0b]+", raw) if line.startswith(b"MSH")), b"")
    fields = head.decode("latin-1").split(head[3:4].decode("latin-1") or "|")
    charset = fields[17].strip() if len(fields) > 17 else ""
    try:
        return raw.decode(_CHARSETS.get(charset.lower(), charset))
    except (UnicodeDecodeError, LookupError) as error:
        raise UserError(f"{path} cannot be read in the character set that it names ({charset or 'UTF-8'}).") from error


def dxa_batches(
    messages: list[str], source_file: str, settings: RecordSettings, identities: Identities
) -> Iterator[Batch]:
    """Make batches of the DXA records of one file."""
    for first in range(0, len(messages), _BATCH_MESSAGES):
        numbered = list(enumerate(messages[first : first + _BATCH_MESSAGES], start=first + 1))
        yield _batch(numbered, source_file, settings, identities)


def _batch(
    messages: list[tuple[int, str]], source_file: str, settings: RecordSettings, identities: Identities
) -> Batch:
    rows: list[Row] = []
    numbers: list[int] = []
    verbatim: list[str] = []
    passed_over = 0
    for number, message in messages:
        found, others = _rows(message, settings, identities)
        passed_over += others
        rows.extend(row for row, _ in found)
        numbers.extend([number] * len(found))
        verbatim.extend(json.dumps({"message": kept}, ensure_ascii=False) for _, kept in found)
    records = text_frame(rows, DXA_TEXT).assign(row_number=pd.Series(numbers, dtype="int64"))
    kept = pd.DataFrame({"json": pd.Series(verbatim, dtype="str")})
    return Batch(Format.HL7, source_file, records, kept, passed_over=passed_over)


def _rows(message: str, settings: RecordSettings, identities: Identities) -> tuple[list[tuple[Row, str]], int]:
    """Return the records of a message, each with the segments it stands on, and the number of other observations."""
    try:
        parsed = hl7.parse(message)
        kind = str(parsed.extract_field("MSH", 1, 9, 1, 1)), str(parsed.extract_field("MSH", 1, 9, 1, 2))
    except (hl7.HL7Exception, LookupError, ValueError):
        return [({"refusal": Refusal.MALFORMED}, message)], 0
    if kind[0] != "ORU":
        return [], 1
    return _rows_of_segments(parsed, settings, identities)


def _rows_of_segments(
    message: hl7.Message, settings: RecordSettings, identities: Identities
) -> tuple[list[tuple[Row, str]], int]:
    found: list[tuple[Row, str]] = []
    others = 0
    group = _Group(message[0], None, None)
    for segment in message:
        name = str(segment[0])
        if name == "PID":
            group = _Group(group.msh, segment, None)
        elif name == "OBR":
            group = _Group(group.msh, group.pid, segment)
            found.extend((row, _kept(group, None)) for row in _report(group, settings, identities))
        elif name == "OBX":
            row = _observation(segment, group, settings, identities)
            others += row is None
            found.extend([(row, _kept(group, segment))] if row is not None else [])
    return found, others


def _report(group: _Group, settings: RecordSettings, identities: Identities) -> list[Row]:
    """An order of a DXA says that one was done, whatever values follow."""
    code = code_of(_codings(group.obr, 4), "", settings)
    if not isinstance(code, Code) or code.quantity is Quantity.NOT_A_DXA:
        return []
    return [{**_head(group, None, identities), "region": "unspecified", "place": "OBR"}]


def _observation(obx: hl7.Segment, group: _Group, settings: RecordSettings, identities: Identities) -> Row | None:
    unit = _text(obx, 6)
    code = code_of(_codings(obx, 3), unit, settings)
    if code is None:
        return None
    head = {**_head(group, obx, identities), "place": f"OBX {_text(obx, 1)}".strip()}
    if isinstance(code, Refusal):
        return {**head, "refusal": code}
    if code.quantity is Quantity.NOT_A_DXA:
        return {**head, "refusal": Refusal.NOT_A_DXA}
    if code.quantity is Quantity.REPORT:
        return {**head, "region": "unspecified"}
    unit_field = "bmd_unit" if code.quantity is Quantity.BMD else "score_unit"
    return {**head, code.quantity.value: _value(obx), unit_field: unit, "region_of_code": code.region}


def _value(obx: hl7.Segment) -> str:
    """OBX-5; a structured number (SN) gives its comparator, which makes it no number, and its value."""
    parts = [_component(obx, 5, number) for number in (1, 2, 3)]
    if _text(obx, 2) != "SN":
        return parts[0]
    return "".join(part for part in parts if part not in ("", "="))


def _head(group: _Group, obx: hl7.Segment | None, identities: Identities) -> Row:
    candidates = [
        (_subcomponent(repetition, 4, 1), _subcomponent(repetition, 1, 1)) for repetition in _repetitions(group.pid, 3)
    ]
    issuer, identifier = identities.choose(candidates)
    own, of_order = (_text(obx, 11) if obx is not None else ""), _text(group.obr, 25)
    sub_id = _text(obx, 4) if obx is not None else ""
    sender = _text(group.msh, 3)
    return {
        "identifier": identifier,
        "issuer": issuer,
        "dxa_date": _day((_text(obx, 14) if obx is not None else "") or _text(group.obr, 7)),
        "region": "" if re.fullmatch(r"[\d.]*", sub_id) else sub_id,
        "manufacturer": (_text(obx, 18) if obx is not None else "") or (sender if known_maker(sender) else ""),
        "status": _STATUS.get(own, own) if own else _ORDER_STATUS.get(of_order, of_order),
        "issued_at": _moment(_text(group.obr, 22) or _text(group.msh, 7)),
    }


def _day(moment: str) -> str:
    return f"{moment[:4]}-{moment[4:6]}-{moment[6:8]}" if re.match(r"\d{8}", moment) else moment


def _moment(moment: str) -> str:
    """Write YYYYMMDD[HHMM[SS[.S]]][+ZZZZ] as ISO 8601; what is none stays as it is."""
    parts = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d(?:\.\d{1,4})?)?)?([+-]\d{4})?", moment)
    if not parts:
        return moment
    year, month, day, hour, minute, second, zone = parts.groups()
    return f"{year}-{month}-{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone or ''}"


def _kept(group: _Group, obx: hl7.Segment | None) -> str:
    return "\r".join(str(segment) for segment in (group.msh, group.pid, group.obr, obx) if segment is not None)


def _codings(segment: hl7.Segment | None, field: int) -> list[Coding]:
    return [(_component(segment, field, code), _component(segment, field, code + 1)) for code in (1, 4)]


def _text(segment: hl7.Segment | None, field: int) -> str:
    return _component(segment, field, 1)


def _component(segment: hl7.Segment | None, field: int, component: int) -> str:
    repetitions = _repetitions(segment, field)
    return _subcomponent(repetitions[0], component, 1) if repetitions else ""


def _repetitions(segment: hl7.Segment | None, field: int) -> list[hl7.Repetition | str]:
    if segment is None or len(segment) <= field:
        return []
    return list(segment[field])


def _subcomponent(repetition: hl7.Container | str, component: int, subcomponent: int) -> str:
    """Return a part of a field without its escapes; what is not there is empty."""
    part: hl7.Container | str = repetition
    for place in (component, subcomponent):
        if isinstance(part, hl7.Container):
            part = part[place - 1] if len(part) >= place else ""
        elif place > 1:
            part = ""
    return _unescaped(str(part)).strip()


_ESCAPES: Final = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}


def _unescaped(text: str) -> str:
    return re.sub(r"\\([FSTRE])\\", lambda found: _ESCAPES[found.group(1)], text)
