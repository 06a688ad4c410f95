"""Columns of text -> values and reasons: what the checks of all kinds of record share.

Most columns hold few different texts (days, regions, makers, even BMD to three digits), so each is looked at once.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from screening.records.batch import Batch
from screening.records.refusals import Refusal

_RANKS: Final = {reason: rank for rank, reason in enumerate(Refusal)}
_NAMES: Final = np.array([reason.value for reason in Refusal] + [""], dtype=object)
_NOT_REFUSED: Final = len(Refusal)


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a batch.

    Attributes:
        batch: what was checked.
        accepted: rows for the store, among them those that take something back.
        rejected: row_number, place, reason and record (JSON) of each refused row, and as far as they could be read its
            patient_id, dxa_date and region.
        read_count: rows checked.
    """

    batch: Batch
    accepted: pd.DataFrame
    rejected: pd.DataFrame
    read_count: int


@dataclass(frozen=True, slots=True)
class Texts:
    """The different texts of a column, without spaces around them, and which of them stands in each row."""

    texts: tuple[str, ...]
    places: NDArray[np.intp]
    index: pd.Index

    @classmethod
    def of(cls, column: pd.Series) -> Self:
        """Find the different texts of a column."""
        if len(column) and (column == column.iloc[0]).all():
            return cls((str(column.iloc[0]).strip(),), np.zeros(len(column), np.intp), column.index)
        places, texts = pd.factorize(column)
        return cls(tuple(str(text).strip() for text in texts), places, column.index)

    def words(self, of_text: Callable[[str], str]) -> pd.Series:
        """Translate each text into another."""
        words = pd.array([of_text(text) for text in self.texts], dtype="str")
        return pd.Series(words.take(self.places), index=self.index)

    def values(self, of_texts: Callable[[pd.Series], pd.Series]) -> pd.Series:
        """Translate all texts at once, e.g. into numbers or days."""
        values = of_texts(pd.Series(self.texts, dtype="str"))
        return pd.Series(values.to_numpy()[self.places], index=self.index)

    @property
    def stated(self) -> NDArray[np.bool_]:
        """Where there is a text."""
        return np.array([text != "" for text in self.texts], dtype=bool)[self.places]


class Reasons:
    """The first reason, in the order of `Refusal`, for which each row is refused."""

    def __init__(self, index: pd.Index) -> None:
        self._index = index
        self._ranks = np.full(len(index), _NOT_REFUSED, dtype=np.int16)

    def add(self, texts: Texts, reason_of: Callable[[str], object], where: NDArray[np.bool_] | None = None) -> None:
        """Take note of the texts that are answered by a `Refusal`."""
        answers = [reason_of(text) for text in texts.texts]
        ranks = np.array([_RANKS[one] if isinstance(one, Refusal) else _NOT_REFUSED for one in answers], np.int16)
        if (ranks < _NOT_REFUSED).any():
            found = ranks[texts.places]
            found = found if where is None else np.where(where, found, _NOT_REFUSED)
            self._ranks = np.minimum(self._ranks, found)

    def add_where(self, rows: NDArray[np.bool_], reason: Refusal) -> None:
        """Take note of one reason for the rows that are true."""
        if rows.any():
            self._ranks[rows] = np.minimum(self._ranks[rows], _RANKS[reason])

    def add_failures(self, values: pd.DataFrame, rules: pa.DataFrameSchema) -> None:
        """Take note of the rules that rows break; each rule is named by its reason."""
        if values.empty:
            return
        try:
            rules.validate(values, lazy=True)
        except pa.errors.SchemaErrors as errors:
            for check, cases in errors.failure_cases.groupby("check"):
                rows = self._index.get_indexer(cases["index"])
                self._ranks[rows] = np.minimum(self._ranks[rows], _RANKS[Refusal(str(check))])

    @property
    def refused(self) -> NDArray[np.bool_]:
        """Which rows have a reason."""
        return self._ranks < _NOT_REFUSED

    @property
    def names(self) -> NDArray[np.object_]:
        """The reason of each row, "" being none."""
        return np.asarray(_NAMES[self._ranks])


def days(formats: Sequence[str]) -> Callable[[pd.Series], pd.Series]:
    """Read days by the first format that fits; what fits none is NaT."""

    def read(texts: pd.Series) -> pd.Series:
        found = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us]")
        for one in formats:
            found = found.fillna(pd.to_datetime(texts, format=one, errors="coerce").astype("datetime64[us]"))
        midnight: pd.Series = found.dt.normalize()
        return midnight

    return read


def moments(texts: pd.Series) -> pd.Series:
    """Read ISO 8601 times as UTC without zone; a time without zone is taken as UTC; what is none is NaT."""
    read = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    return read.dt.tz_localize(None).astype("datetime64[us]")


def numbers(texts: pd.Series) -> pd.Series:
    """Read numbers; empty text is missing, other text that is no finite number is infinite."""
    read = pd.to_numeric(texts, errors="coerce").astype(float)
    return read.where(read.notna() | (texts == ""), np.inf).replace(-np.inf, np.inf)


def rejected_rows(batch: Batch, reasons: Reasons, values: pd.DataFrame) -> pd.DataFrame:
    """Return the refused rows of a batch with their records as JSON and those of their values that were read."""
    refused = reasons.refused
    rows = pd.concat([batch.records.loc[refused, ["row_number", "place"]], values.loc[refused]], axis=1)
    return rows.reset_index(drop=True).assign(
        reason=pd.Series(reasons.names[refused], dtype="str"), record=_json(batch.verbatim.loc[refused])
    )


def _json(verbatim: pd.DataFrame) -> pd.Series:
    if list(verbatim.columns) == ["json"]:
        return verbatim["json"].reset_index(drop=True)
    names = list(verbatim.columns)
    rows = zip(*(verbatim[name].to_list() for name in names), strict=True)
    return pd.Series([json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows], dtype="str")
