"""Batch of facts about patients as text -> rows for the table `patient_context`, and the refused ones."""

from datetime import date
from typing import Final, get_args

import pandas as pd

from screening.records.batch import Batch
from screening.records.checking import Checked, Reasons, Texts, days, rejected_rows
from screening.records.identities import Identities, identified
from screening.records.refusals import Refusal
from screening.records.settings import Fact, RecordSettings

FACTS: Final = get_args(Fact)
_HOLDS: Final = {
    **dict.fromkeys(("", "true", "t", "yes", "y", "1", "1.0"), "true"),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), "false"),
}


def check_context(
    batch: Batch, settings: RecordSettings, identities: Identities, recorded_on: date, today: date
) -> Checked:
    """Check facts about patients.

    Args:
        batch: records with the columns CONTEXT_TEXT and row_number.
        settings: words of the site for the facts.
        identities: whose identifiers are known.
        recorded_on: day for records that do not say when they were made.
        today: later days are refused.
    """
    text = batch.records
    reasons = Reasons(text.index)
    reasons.add(Texts.of(text["refusal"]), lambda reason: Refusal(reason) if reason else None)
    facts, holds = Texts.of(text["fact"]), Texts.of(text["holds"])
    known = {fact: fact for fact in FACTS} | dict(settings.facts)
    reasons.add(facts, lambda word: known.get(word.lower(), Refusal.UNKNOWN_FACT))
    reasons.add(holds, lambda word: _HOLDS.get(word.lower(), Refusal.UNREADABLE_HOLDS))
    values = pd.DataFrame(
        {
            **identified(text, identities, reasons),
            "fact": facts.words(lambda word: known.get(word.lower(), "")),
            "holds": holds.words(lambda word: _HOLDS.get(word.lower(), "")) == "true",
            "since_date": _day(text["since_date"], batch.date_formats, today, reasons),
            "recorded_on": _day(text["recorded_on"], batch.date_formats, today, reasons).fillna(
                pd.Timestamp(recorded_on)
            ),
        }
    )
    accepted = values.loc[~reasons.refused].drop(columns=["issuer", "identifier"])
    read = values[["patient_id"]].assign(
        dxa_date=pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]"), region=""
    )
    return Checked(batch, accepted, rejected_rows(batch, reasons, read), len(text))


def _day(column: pd.Series, formats: tuple[str, ...], latest: date, reasons: Reasons) -> pd.Series:
    texts = Texts.of(column)
    read = texts.values(days(formats))
    reasons.add_where(read.isna().to_numpy() & texts.stated, Refusal.UNREADABLE_DATE)
    reasons.add_where((read > pd.Timestamp(latest)).to_numpy(bool), Refusal.DATE_IN_FUTURE)
    return read
