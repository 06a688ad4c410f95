"""Batch of DXA records as text -> rows for the table `dxa_record`, and every refused record with its reason."""

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
import pandera.pandas as pa

from screening.records.batch import Batch, Format
from screening.records.checking import Checked, Reasons, Texts, days, moments, numbers, rejected_rows
from screening.records.identities import Identities, identified
from screening.records.manufacturers import maker_of
from screening.records.refusals import Refusal
from screening.records.regions import HIP_REGIONS, UNSPECIFIED, region_of, same_site
from screening.records.settings import RecordSettings
from screening.records.units import per_g_cm2, score_fault

# What a result must hold to be believed: areal BMD in g/cm2 (not mg/cm3, not a T-score in the wrong column).
BMD_RANGE_G_CM2: Final = (0.2, 2.5)
SCORE_RANGE: Final = (-8.0, 8.0)
OLDEST_DATE: Final = pd.Timestamp("1987-01-01")  # the first DXA device was sold in 1987

STATUS: Final = {
    "": "final",
    "final": "final",
    "f": "final",
    "corrected": "corrected",
    "amended": "corrected",
    "appended": "corrected",
    "c": "corrected",
    "preliminary": "preliminary",
    "partial": "preliminary",
    "p": "preliminary",
    "withdrawn": "withdrawn",
    "entered-in-error": "withdrawn",
    "entered in error": "withdrawn",
    "cancelled": "withdrawn",
    "deleted": "withdrawn",
    "not-done": "withdrawn",
    "registered": Refusal.NO_RESULT_YET,
    "pending": Refusal.NO_RESULT_YET,
}
_VALUES: Final = ("bmd_dxa", "t_score", "z_score")
_WHAT_WAS_READ: Final = ("patient_id", "dxa_date", "region")
_BETWEEN: Final = "\x1f"  # parts two texts that are looked at together


def check_dxa(batch: Batch, settings: RecordSettings, identities: Identities, today: date) -> Checked:
    """Check every record of a batch by the same rules, whatever its format.

    Args:
        batch: records with the columns DXA_TEXT and row_number.
        settings: names of regions, makers and units of the site.
        identities: whose identifiers are known.
        today: a DXA later than this is refused.
    """
    text = batch.records
    reasons = Reasons(text.index)
    reasons.add(Texts.of(text["refusal"]), lambda reason: Refusal(reason) if reason else None)
    maker = Texts.of(text["manufacturer"])
    values = pd.DataFrame(
        {
            **identified(text, identities, reasons),
            "dxa_date": _date(Texts.of(text["dxa_date"]), batch.date_formats, reasons),
            "region": _region(text, settings, reasons),
            "manufacturer": maker.words(lambda name: maker_of(name, settings.manufacturers)),
            "manufacturer_text": maker.words(str),
            "bmd_dxa": _bmd(text, _unit_where_none(batch, settings), reasons),
            "t_score": _score(text, "t_score", reasons),
            "z_score": _score(text, "z_score", reasons),
            "status": _translated(Texts.of(text["status"]), _status, reasons),
            "issued_at": _issued_at(Texts.of(text["issued_at"]), reasons),
        }
    )
    reasons.add_failures(values, _rules(today))
    accepted = values.loc[~reasons.refused]
    reasons.add_where((values["status"] == "withdrawn").to_numpy(bool), Refusal.WITHDRAWN)
    return Checked(batch, accepted, rejected_rows(batch, reasons, values[list(_WHAT_WAS_READ)]), len(text))


def _rules(today: date) -> pa.DataFrameSchema:
    """The rules that values must keep, each named by the reason it gives."""
    return pa.DataFrameSchema(
        {
            "dxa_date": pa.Column(
                "datetime64[us]",
                [
                    pa.Check.ge(OLDEST_DATE, error=Refusal.DATE_BEFORE_DXA),
                    pa.Check.le(pd.Timestamp(today), error=Refusal.DATE_IN_FUTURE),
                ],
                nullable=True,
            ),
            "bmd_dxa": _number(BMD_RANGE_G_CM2, Refusal.BMD_OUT_OF_RANGE),
            "t_score": _number(SCORE_RANGE, Refusal.T_SCORE_OUT_OF_RANGE),
            "z_score": _number(SCORE_RANGE, Refusal.Z_SCORE_OUT_OF_RANGE),
        },
        checks=[
            pa.Check(_has_value_or_needs_none, error=Refusal.NO_VALUE),
            pa.Check(_values_have_region, error=Refusal.NO_REGION),
        ],
    )


def _number(limits: tuple[float, float], outside: Refusal) -> pa.Column:
    is_number = pa.Check(np.isfinite, error=Refusal.NOT_A_NUMBER)
    return pa.Column(float, [is_number, pa.Check.in_range(*limits, error=outside)], nullable=True)


def _has_value_or_needs_none(values: pd.DataFrame) -> "pd.Series[bool]":
    """A report that a DXA was done, and what takes a result back, need no value."""
    none_needed = (values["region"] == UNSPECIFIED) | (values["status"] == "withdrawn")
    return values[list(_VALUES)].notna().any(axis=1) | none_needed


def _values_have_region(values: pd.DataFrame) -> "pd.Series[bool]":
    return (values["region"] != UNSPECIFIED) | values[list(_VALUES)].isna().all(axis=1)


def _date(texts: Texts, formats: tuple[str, ...], reasons: Reasons) -> pd.Series:
    read = texts.values(days(formats))
    reasons.add_where(~texts.stated, Refusal.NO_DATE)
    reasons.add_where(read.isna().to_numpy() & texts.stated, Refusal.UNREADABLE_DATE)
    return read


def _issued_at(texts: Texts, reasons: Reasons) -> pd.Series:
    read = texts.values(moments)
    reasons.add_where(read.isna().to_numpy() & texts.stated, Refusal.UNREADABLE_ISSUE_TIME)
    return read


def _region(text: pd.DataFrame, settings: RecordSettings, reasons: Reasons) -> pd.Series:
    named = partial(region_of, extra=settings.regions, lumbar=settings.lumbar_region)
    coded = (text["region_of_code"] != "").any()
    both = text["region"] + _BETWEEN + text["region_of_code"] if coded else text["region"]

    def of_both(one: str) -> str | Refusal:
        stated, _, of_code = one.partition(_BETWEEN)
        return _agreed(stated.strip(), of_code.strip(), named)

    return _translated(Texts.of(both), of_both, reasons)


def _agreed(stated: str, of_code: str, named: Callable[[str], str | Refusal]) -> str | Refusal:
    """The region that the record states, as far as its code allows it; else that of the code."""
    region, coded = named(stated), named(of_code)
    if not of_code or (isinstance(region, Refusal) and stated):
        return region
    if not stated or region == UNSPECIFIED:
        return coded
    if not same_site(region, coded):
        return Refusal.REGION_NOT_OF_CODE
    side = next((side for side in ("_left", "_right") if coded.endswith(side)), "")
    return region + side if region + side in HIP_REGIONS else region


def _unit_where_none(batch: Batch, settings: RecordSettings) -> str:
    """The unit of a BMD that states none; a table has taken that of its column before."""
    return "" if batch.source_format in (Format.CSV, Format.PARQUET) else settings.message_bmd_unit


def _bmd(text: pd.DataFrame, unit_where_none: str, reasons: Reasons) -> pd.Series:
    values, units = Texts.of(text["bmd_dxa"]), Texts.of(text["bmd_unit"])
    reasons.add(units, lambda unit: per_g_cm2(unit or unit_where_none), values.stated)

    def divisors(stated: pd.Series) -> pd.Series:
        found = [per_g_cm2(unit or unit_where_none) for unit in stated]
        return pd.Series([1.0 if isinstance(one, Refusal) else one for one in found])

    return values.values(numbers) / units.values(divisors)


def _score(text: pd.DataFrame, name: str, reasons: Reasons) -> pd.Series:
    values = Texts.of(text[name])
    reasons.add(Texts.of(text["score_unit"]), score_fault, values.stated)
    return values.values(numbers)


def _status(word: str) -> str | Refusal:
    return STATUS.get(word.lower(), Refusal.UNKNOWN_STATUS)


def _translated(texts: Texts, translate: Callable[[str], str | Refusal], reasons: Reasons) -> pd.Series:
    """Translate texts; where one cannot be, the reason is noted and the value empty."""
    reasons.add(texts, translate)
    return texts.words(lambda text: "" if isinstance(translate(text), Refusal) else str(translate(text)))
