"""Identifier and issuer -> PatientID of the archive, by the issuers that are its own and a crosswalk for the others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import pandas as pd

from screening.errors import UserError
from screening.records.batch import Format
from screening.records.checking import Reasons, Texts
from screening.records.refusals import Refusal
from screening.records.settings import RecordSettings
from screening.records.tables import read_table

_COLUMNS: Final = ("issuer", "identifier", "patient_id")

Identifier = tuple[str, str]  # issuer, identifier


@dataclass(frozen=True, slots=True)
class Identities:
    """Whose identifiers are known.

    Attributes:
        own_issuers: issuers whose identifiers are PatientID of the archive; "" is always one.
        crosswalk: patient_id by (issuer, identifier).
    """

    own_issuers: frozenset[str]
    crosswalk: "pd.Series[str]"

    @classmethod
    def load(cls, settings: RecordSettings) -> Self:
        """Read the crosswalk that the settings name.

        Raises:
            UserError: it cannot be read, lacks a column, or gives one identifier to two patients.
        """
        own = frozenset({"", *settings.own_issuers})
        return cls(own, _crosswalk(settings.crosswalk) if settings.crosswalk else _no_crosswalk())

    def resolve(self, issuer: pd.Series, identifier: pd.Series) -> pd.Series:
        """Return the patient_id of each identifier, "" where there is none."""
        own = issuer.isin(self.own_issuers)
        if own.all():
            return identifier
        patient_id = identifier.where(own, "")
        foreign = pd.MultiIndex.from_arrays([issuer[~own], identifier[~own]])
        patient_id[~own] = self.crosswalk.reindex(foreign).fillna("").to_numpy()
        return patient_id

    def knows(self, issuer: str) -> bool:
        """Tell whether identifiers of this issuer can be resolved at all."""
        return issuer in self.own_issuers or issuer in self.crosswalk.index.get_level_values(0)

    def choose(self, candidates: list[Identifier]) -> Identifier:
        """Of several identifiers of one patient take the archive's own, then one of the crosswalk, then the first."""
        filled = [one for one in candidates if one[1]]
        own = [one for one in filled if one[0] and one[0] in self.own_issuers]
        plain = [one for one in filled if not one[0]]
        crossed = [one for one in filled if one in self.crosswalk.index]
        return next(iter((*own, *plain, *crossed, *filled)), ("", ""))


def identified(text: pd.DataFrame, identities: Identities, reasons: Reasons) -> dict[str, pd.Series]:
    """Return the columns issuer, identifier and patient_id; note why a patient is not known."""
    issuers = Texts.of(text["issuer"])
    issuer, identifier = issuers.words(str), text["identifier"].str.strip()
    patient_id = identities.resolve(issuer, identifier)
    reasons.add_where((identifier == "").to_numpy(bool), Refusal.NO_PATIENT)
    reasons.add(issuers, lambda name: None if identities.knows(name) else Refusal.UNKNOWN_ISSUER)
    reasons.add_where((patient_id == "").to_numpy(bool), Refusal.NOT_IN_CROSSWALK)
    return {"patient_id": patient_id, "issuer": issuer, "identifier": identifier}


def _no_crosswalk() -> "pd.Series[str]":
    return pd.Series([], index=pd.MultiIndex.from_arrays([[], []]), dtype="str")


def _crosswalk(path: Path) -> "pd.Series[str]":
    tables = [table.text for table in read_table(path, Format.CSV, RecordSettings())]
    rows = pd.concat(tables) if tables else pd.DataFrame(columns=["issuer"])
    missing = [name for name in _COLUMNS if name not in rows.columns]
    if missing:
        raise UserError(f"The crosswalk {path} lacks the column {missing[0]}; expected {', '.join(_COLUMNS)}.")
    rows = rows[list(_COLUMNS)].apply(lambda column: column.str.strip()).drop_duplicates()
    crosswalk: pd.Series[str] = rows.set_index(["issuer", "identifier"])["patient_id"]
    if crosswalk.index.has_duplicates:
        raise UserError(f"The crosswalk {path} gives one identifier of an issuer to more than one patient.")
    return crosswalk
