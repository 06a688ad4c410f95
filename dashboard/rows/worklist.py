"""Who is on the worklist, as published and by what reviewers decided since."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import streamlit as st

from dashboard import queries

PAGE_ROWS: Final = 250


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader asks for; an empty tuple means all."""

    band: str = "likely"  # or indeterminate, who are not flagged
    states: tuple[str, ...] = ()
    sexes: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    ages_years: tuple[int, int] = (0, 130)
    months_since_ct: tuple[int, int] = (-1200, 2400)
    search: str = ""

    def __str__(self) -> str:
        """Say it in a line, as the audit trail keeps it."""
        lists = (("states", self.states), ("sexes", self.sexes), ("sites", self.sites))
        chosen = [f"{name} {', '.join(values)}" for name, values in lists if values]
        ages, months = ("{} to {}".format(*span) for span in (self.ages_years, self.months_since_ct))
        search = [f"patient ID with {self.search}"] if self.search else []
        return "; ".join([self.band, *chosen, f"ages {ages} years", f"CT {months} months ago", *search])


@dataclass(frozen=True, slots=True)
class Found:
    """The patients that were asked for."""

    _connection: queries.Connection

    def count(self) -> int:
        """Count them."""
        return self._connection.table("worklist_asked").shape[0]

    def page(self, number: int) -> pa.Table:
        """Return one page, from 1, as it is shown."""
        place = {"row_limit": PAGE_ROWS, "first_row": PAGE_ROWS * (number - 1)}
        return self._connection.sql(queries.question("worklist"), params=place).to_arrow_table()

    def whole(self) -> pa.Table:
        """Return all of them, as a file has them."""
        return self._connection.sql(queries.question("worklist_whole")).to_arrow_table()


@dataclass(frozen=True, slots=True)
class Summary:
    """How many of a band stand where, and the limits within which they can be narrowed."""

    state_counts: dict[str, int]
    open_count: int
    sites: tuple[str, ...]
    youngest_years: int
    oldest_years: int
    newest_months: int
    oldest_months: int


def summary(published: queries.Publication, *, band: str = "likely") -> Summary:
    """Count who stands where by now."""
    with _list_now(published, band) as connection:
        (row,) = connection.sql(queries.question("worklist_summary")).to_arrow_table().to_pylist()
    return Summary(**row | {"state_counts": dict(row["state_counts"]), "sites": tuple(row["sites"] or ())})


def next_open(published: queries.Publication, patient_id: str) -> str | None:
    """Return the study key of who comes next among those that wait for a decision; None after the last."""
    with _list_now(published, "likely") as connection:
        row = connection.execute(queries.question("worklist_next"), {"patient_id": patient_id}).fetchone()
    return str(row[0]) if row else None


@contextmanager
def found(published: queries.Publication, asked: Asked) -> Iterator[Found]:
    """Find who is asked for, in the order in which to look."""
    youngest, oldest = asked.ages_years
    newest_months, oldest_months = asked.months_since_ct
    parameters: dict[str, Any] = {
        "states": list(asked.states),
        "sexes": list(asked.sexes),
        "sites": list(asked.sites),
        "youngest_years": youngest,
        "oldest_years": oldest,
        "newest_months": newest_months,
        "oldest_months": oldest_months,
        "search": asked.search.strip(),
    }
    with _list_now(published, asked.band) as connection:
        connection.execute(queries.question("worklist_asked"), parameters)
        yield Found(connection)


@contextmanager
def _list_now(published: queries.Publication, band: str) -> Iterator[queries.Connection]:
    """Open the publication with the view worklist_now: its list and the decisions made since."""
    with queries.opened(published) as connection:
        connection.register("published_list", _published_list(published, band))
        connection.register("later_event", queries.later_decisions(published))
        connection.execute(queries.question("worklist_now"))
        yield connection


@st.cache_resource(show_spinner="Reading the list", max_entries=2)
def _published_list(published: queries.Publication, band: str) -> pa.Table:
    """Ask for everybody of the band once a publication; who is asked for is then found within it."""
    with queries.opened(published) as connection:
        return connection.sql(queries.question("worklist_published"), params={"band": band}).to_arrow_table()
