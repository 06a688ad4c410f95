"""Rows for whoever takes them along or asks for them: downloads, questions in SQL, the audit trail."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard import access, console, console_process, exports, wording, workbook
from dashboard.rows import data as rows
from screening.store.audit import AccessKind

PARQUET_TYPE: Final = "application/vnd.apache.parquet"
PACKED_TYPE: Final = "application/gzip"
TABLE_PX: Final = 480
EDITOR_PX: Final = 260
_LAST: Final = "answer of the console"
AUDIT_COLUMNS = {
    "at": st.column_config.DatetimeColumn("At (UTC)", format="YYYY-MM-DD HH:mm:ss", width=150),
    "person": st.column_config.TextColumn("Person", width=170),
    "action": st.column_config.TextColumn("Action", width=80),
    "patient_id": st.column_config.TextColumn("Patient ID", width=120),
    "row_count": st.column_config.NumberColumn("Rows", format="localized", width=70),
    "detail": st.column_config.TextColumn("Detail", width=420),
    "roles": st.column_config.ListColumn("Roles", width=150),
    "study_instance_uid": st.column_config.TextColumn("Study Instance UID", width=150),
}


def show_source(asked: rows.Source) -> None:
    """Say whose data the visitor gets."""
    if asked.identified:
        st.caption(
            "The publication as it is: it names patients. Each download and each question is in the audit trail."
        )
    else:
        st.caption(
            "A pseudonymised database made of the publication: keys for patients and studies, months for dates, one "
            "group for ages from 90 years on, no text that somebody wrote, nobody who has opted out. Each download and "
            "each question is in the audit trail."
        )


def show_downloads(asked: rows.Source) -> None:
    """Offer each table and view as a file, made when somebody asks for it."""
    show_source(asked)
    found = rows.relations(asked)
    relation = st.selectbox("Table or view", list(found), key="relation", bind="query-params", width=420)
    taken = rows.wanted(asked, relation)
    st.markdown(f"{found[relation]} {wording.counted(taken.row_count, 'row')}.")
    offer_files(asked, taken)
    meant = pd.DataFrame(rows.meaning(asked, relation).items(), columns=["Column", "Meaning, unit or DICOM tag"])
    st.table(meant.map(wording.verbatim).set_index("Column"), border="horizontal")


def offer_files(asked: rows.Source, taken: rows.Wanted) -> None:
    """Offer CSV, Excel and Parquet."""
    packed = taken.row_count > rows.PACKED_FROM_ROWS
    too_long = taken.row_count > workbook.MOST_ROWS
    csv_name = f"{taken.relation}.csv.gz" if packed else f"{taken.relation}.csv"
    makers = {
        csv_name: (PACKED_TYPE if packed else exports.CSV_TYPE, lambda: rows.csv_file(asked, taken)),
        f"{taken.relation}.xlsx": (exports.XLSX_TYPE, lambda: rows.xlsx_file(asked, taken)),
        f"{taken.relation}.parquet": (PARQUET_TYPE, lambda: rows.parquet_file(asked, taken)),
    }
    place = st.container(horizontal=True)
    for name, (kind, make) in makers.items():
        data = access.traced(make, AccessKind.DOWNLOAD, row_count=taken.row_count, detail=_named(asked, name))
        place.download_button(
            f"Download {name.partition('.')[2].upper()}", data, name, kind, disabled=too_long and name.endswith(".xlsx")
        )
    if too_long:
        st.caption(f"An Excel workbook has {workbook.MOST_ROWS:,} rows at most: take CSV or Parquet.")


def show_console(asked: rows.Source) -> None:
    """Take a question in SQL and show its answer."""
    show_source(asked)
    known = rows.questions(asked)
    title = st.selectbox("Start from", list(known), key="question", bind="query-params")
    with st.form("sql", border=False):
        statement = st.text_area("SQL", known[title], height=EDITOR_PX, key=f"sql of {title}")
        st.caption(
            f"One read-only statement; Ctrl+Enter runs it. At most {console_process.MOST_ROWS:,} rows come back, "
            f"within {console_process.TIME_LIMIT_S} s. Columns and their units stand under Dictionary."
        )
        if st.form_submit_button("Run", type="primary"):
            run(asked, statement)
    show_answer(asked, statement)


def run(asked: rows.Source, statement: str) -> None:
    """Enter the statement into the audit trail, then ask it, and keep the answer for this visitor."""
    st.session_state.pop(_LAST, None)
    access.leave_trail(AccessKind.QUERY, detail=_named(asked, statement))
    try:
        with st.spinner("Asking"):
            answer = rows.ask(asked, statement)
    except console.NotAnswered as refusal:
        st.error(wording.verbatim(str(refusal)))
        return
    st.session_state[_LAST] = (asked, statement, answer)


def show_answer(asked: rows.Source, statement: str) -> None:
    """Show the newest answer, as long as it is of this database."""
    of, question, answer = st.session_state.get(_LAST, (None, "", None))
    if answer is None or of != asked:
        return
    cut = f"; there are more, and the first {answer.rows.num_rows:,} are shown" if answer.cut else ""
    st.caption(f"{wording.counted(answer.rows.num_rows, 'row')} in {answer.seconds:.2f} s{cut}.")
    if question != statement:
        st.caption("The answer is of the statement before; run the new one.")
    frame = answer.rows.to_pandas()
    st.dataframe(
        frame, hide_index=True, placeholder=wording.MISSING, alt="Answer", width="stretch",
        height=TABLE_PX if len(frame) > 12 else "content",
    )  # fmt: skip
    place = st.container(horizontal=True)
    for name, kind, make in (
        ("answer.csv", exports.CSV_TYPE, lambda: rows.answer_csv(asked, answer)),
        ("answer.parquet", PARQUET_TYPE, lambda: rows.answer_parquet(asked, answer)),
    ):
        data = access.traced(
            make, AccessKind.DOWNLOAD, row_count=answer.rows.num_rows, detail=_named(asked, f"{name}: {question}")
        )
        place.download_button(f"Download {name.partition('.')[2].upper()}", data, name, kind)


def show_audit() -> None:
    """Show who looked at whom, narrowed by person and action."""
    entries = rows.audit()
    if entries.empty:
        st.info("Nobody has looked at anything yet.")
        return
    person_place, action_place = st.columns([2, 3], gap="medium")
    persons = person_place.multiselect(
        "Person", sorted(entries["person"].dropna().unique()), key="person", placeholder="All"
    )
    actions = action_place.multiselect(
        "Action",
        sorted(entries["action"].dropna().unique()),
        key="action",
        bind="query-params",
        placeholder="All",
        format_func=wording.plain,
    )
    shown = rows.narrowed(entries, persons, actions)
    if shown.empty:
        st.info("No entry matches.")
        return
    # Without a count of rows: each such line would make it another one, and so the next line.
    access.leave_trail(AccessKind.LIST, detail="; ".join(["audit trail", *persons, *actions]))
    st.caption(f"{wording.counted(len(shown), 'record')}, newest first; the newest {rows.AUDIT_ENTRIES:,} are read.")
    worded = shown.assign(action=shown["action"].map(wording.plain))
    st.dataframe(
        worded, column_config=AUDIT_COLUMNS, hide_index=True, placeholder=wording.MISSING, alt="Audit trail",
        width="stretch", column_order=list(AUDIT_COLUMNS), height=TABLE_PX if len(shown) > 12 else "content",
    )  # fmt: skip
    data = access.traced(
        lambda: exports.csv_bytes(shown), AccessKind.DOWNLOAD, row_count=len(shown), detail="audit.csv"
    )
    st.download_button("Download CSV", data, "audit.csv", exports.CSV_TYPE)


def _named(asked: rows.Source, what: str) -> str:
    """Say in the trail which database something was taken from."""
    return what if asked.identified else f"pseudonymised: {what}"
