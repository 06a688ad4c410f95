"""Refused records as they were kept -> batches to be checked again with today's settings."""

import json
from collections.abc import Iterator
from typing import Final

import pandas as pd

from screening.records import dicom, fhir, hl7v2
from screening.records.batch import DXA_TEXT, Batch, Format, text_frame
from screening.records.dxa_tables import dxa_of_rows
from screening.records.fhir_resources import kept_entry
from screening.records.identities import Identities
from screening.records.omop import dxa_of_measurements
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings

_MALFORMED_KEYS: Final = ({"fields"}, {"file"})


def kept_dxa(kept: pd.DataFrame, settings: RecordSettings, identities: Identities) -> Iterator[Batch]:
    """Read refused records again.

    Args:
        kept: columns source_format, source_file, row_number and record (JSON) of the table rejected_record.
        settings: how they are to be read today.
        identities: whose identifiers are known today.
    """
    for (source_format, source_file), rows in kept.groupby(["source_format", "source_file"], sort=True):
        records = [json.loads(record) for record in rows["record"]]
        numbers = [0 if pd.isna(number) else int(number) for number in rows["row_number"]]
        by_keys: dict[tuple[str, ...], list[int]] = {}
        for place, record in enumerate(records):
            by_keys.setdefault(tuple(record), []).append(place)
        for keys, places in by_keys.items():
            chosen = [records[place] for place in places]
            texts = [rows["record"].iloc[place] for place in places]
            numbered = pd.Series([numbers[place] for place in places], dtype="int64")
            if set(keys) in _MALFORMED_KEYS:
                yield _still_malformed(Format(str(source_format)), str(source_file), texts, numbered)
            else:
                yield from _read_again(
                    Format(str(source_format)), str(source_file), chosen, texts, numbered, settings, identities
                )


def _read_again(
    source_format: Format,
    source_file: str,
    records: list[dict[str, str]],
    texts: list[str],
    numbers: "pd.Series[int]",
    settings: RecordSettings,
    identities: Identities,
) -> Iterator[Batch]:
    match source_format:
        case Format.CSV | Format.PARQUET:
            yield dxa_of_rows(pd.DataFrame(records, dtype="str"), numbers, source_format, source_file, settings)
        case Format.OMOP:
            yield dxa_of_measurements(pd.DataFrame(records, dtype="str"), numbers, source_file, settings)
        case Format.DICOM:
            yield dicom.batch_of_rows(records, source_file)
        case Format.HL7:
            messages = [str(record["message"]) for record in records]
            yield from hl7v2.dxa_batches(messages, source_file, settings, identities)
        case Format.FHIR:
            for text in texts:
                entry, context = kept_entry(text)
                yield from fhir.dxa_batches([entry], context, source_file, settings, identities)


def _still_malformed(source_format: Format, source_file: str, texts: list[str], numbers: "pd.Series[int]") -> Batch:
    rows = [{"refusal": Refusal.MALFORMED.value}] * len(texts)
    verbatim = pd.DataFrame({"json": pd.Series(texts, dtype="str")})
    return Batch(source_format, source_file, text_frame(rows, DXA_TEXT).assign(row_number=numbers), verbatim)
