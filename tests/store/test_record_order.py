"""Whatever the order, the splitting into files or the repetition: the same records give the same tables."""

from datetime import date, datetime
from io import StringIO
from typing import Any

import duckdb
import hypothesis
import pandas as pd
from hypothesis import strategies as st

from screening.records.batch import Format
from screening.records.dxa import check_dxa
from screening.records.dxa_tables import dxa_of_rows
from screening.records.identities import Identities
from screening.records.patient_tables import context_of_rows
from screening.records.patients import check_context
from screening.records.settings import RecordSettings
from screening.store.database import create_schema
from screening.store.records import store_context, store_dxa

NOW, TODAY = datetime(2025, 6, 30, 12), date(2025, 6, 30)
SETTINGS = RecordSettings()
HELD = "patient_id, dxa_date, region, manufacturer, bmd_dxa, t_score, z_score, status, issued_at"
COLUMNS = {
    "dxa": f"{HELD}, conflict",
    "dxa_record": f"record_digest, {HELD}",
    "rejected_record": "record_digest, reason, record, patient_id, dxa_date, region",
    "patient_context": "patient_id, fact, holds, since_date, recorded_on",
}
DXA_HEADER = "patient_id,dxa_date,region,manufacturer,bmd_dxa,t_score,status,issued_at"
FACT_HEADER = "patient_id,fact,holds,since_date,recorded_on"

DXA_LINES = st.lists(
    st.builds(
        ",".join,
        st.tuples(
            st.sampled_from(["A", "B", ""]),
            st.sampled_from(["2024-03-01", "2999-01-01"]),
            st.sampled_from(["L1-L4", "AP Spine", "forearm"]),
            st.sampled_from(["GE", "Lunar"]),
            st.sampled_from(["0.8", "0.9", "81", ""]),
            st.sampled_from(["-2.5", "-1", ""]),
            st.sampled_from(["", "corrected", "preliminary", "entered-in-error"]),
            st.sampled_from(["", "2024-03-02", "2024-03-03T10:00:00"]),
        ),
    ),
    min_size=1,
    max_size=12,
)
FACT_LINES = st.lists(
    st.builds(
        ",".join,
        st.tuples(
            st.sampled_from(["A", "B", ""]),
            st.sampled_from(["death", "opt_out", "sneeze"]),
            st.sampled_from(["yes", "no", "?"]),
            st.sampled_from(["", "2020-01-01", "2021-01-01"]),
            st.sampled_from(["2024-01-01", "2024-01-02"]),
        ),
    ),
    min_size=1,
    max_size=12,
)


def text_of(header: str, lines: list[str]) -> pd.DataFrame:
    return pd.read_csv(StringIO("\n".join([header, *lines])), dtype=str, keep_default_na=False).astype("str")


def tables(dxa_files: list[list[str]], fact_files: list[list[str]]) -> dict[str, list[tuple[Any, ...]]]:
    connection = duckdb.connect()
    create_schema(connection)
    identities = Identities.load(SETTINGS)
    for number, lines in enumerate(dxa_files):
        rows = pd.Series(range(2, len(lines) + 2))
        batch = dxa_of_rows(text_of(DXA_HEADER, lines), rows, Format.CSV, f"{number}.csv", SETTINGS)
        store_dxa(connection, [check_dxa(batch, SETTINGS, identities, TODAY)], NOW)
    for number, lines in enumerate(fact_files):
        rows = pd.Series(range(2, len(lines) + 2))
        batch = context_of_rows(text_of(FACT_HEADER, lines), rows, Format.CSV, f"{number}.csv", SETTINGS)
        store_context(connection, [check_context(batch, SETTINGS, identities, TODAY, TODAY)], NOW)
    found = {
        table: connection.execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall()
        for table, columns in COLUMNS.items()
    }
    connection.close()
    return found


@hypothesis.given(lines=DXA_LINES, data=st.data())
@hypothesis.settings(max_examples=15, deadline=None, database=None)
def test_dxa_records_in_any_order_files_and_repetition(lines: list[str], data: Any) -> None:
    shuffled = data.draw(st.permutations(lines))
    cut = data.draw(st.integers(0, len(lines)))
    again = data.draw(st.lists(st.sampled_from(lines), max_size=4))
    files = [part for part in (shuffled[:cut], shuffled[cut:] + again, again) if part]
    assert tables([lines], []) == tables(files, [])


@hypothesis.given(lines=FACT_LINES, data=st.data())
@hypothesis.settings(max_examples=15, deadline=None, database=None)
def test_facts_in_any_order_files_and_repetition(lines: list[str], data: Any) -> None:
    shuffled = data.draw(st.permutations(lines))
    cut = data.draw(st.integers(0, len(lines)))
    again = data.draw(st.lists(st.sampled_from(lines), max_size=4))
    files = [part for part in (shuffled[:cut], shuffled[cut:] + again, again) if part]
    assert tables([], [lines]) == tables([], files)
