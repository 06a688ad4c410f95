"""What the database holds and what its words mean: dictionary, definitions, model card."""

import re
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import queries, wording
from dashboard.rows import data as rows
from screening.validation_report import METRIC_WORDS, READER_WORDS

TABLE_PX: Final = 560
DICTIONARY_COLUMNS = {
    "relation": st.column_config.TextColumn("Table or view", width=150),
    "column_name": st.column_config.TextColumn("Column", width=180),
    "comment": st.column_config.TextColumn("Meaning, unit or DICOM tag", width=790),
    "data_type": st.column_config.TextColumn("Type", width=95),
    "kind": st.column_config.TextColumn("Kind", width=60),
}
REFERENCE_COLUMNS = {
    "reference": st.column_config.TextColumn("Name", width=190),
    "mean_g_cm2": st.column_config.NumberColumn("Mean (g/cm²)", format="%.3f", width=100),
    "sd_g_cm2": st.column_config.NumberColumn("SD (g/cm²)", format="%.3f", width=90),
    "manufacturer": st.column_config.TextColumn("Scale of", width=85),
    "levels": st.column_config.TextColumn("Levels", width=70),
    "source": st.column_config.TextColumn("Source", width=330),
    "verified": st.column_config.CheckboxColumn("Verified", help="Whether the figures were read in that source"),
}
MODEL_COLUMNS = {
    "fact": st.column_config.TextColumn("Active checkpoint", width=180),
    "value": st.column_config.TextColumn("On record", width=700),
}
_HEADING: Final = re.compile(r"^#+ ", re.MULTILINE)
_PICTURE: Final = re.compile(r"^!\[([^\]]*)\]\(([^)]+)\)$", re.MULTILINE)


def show_table(frame: pd.DataFrame, columns: dict[str, Any], name: str, *, height: int | None = None) -> None:
    """Show rows as a table that has a name for screen readers."""
    st.dataframe(
        frame, column_config=columns, hide_index=True, placeholder=wording.MISSING, alt=name, width="stretch",
        column_order=list(columns), height=height or "content",
    )  # fmt: skip


def show_dictionary(asked: rows.Source) -> None:
    """Show every column with its meaning, narrowed by a word."""
    search = st.text_input("Search", placeholder="Part of a table, column or meaning", key="search")
    found = rows.dictionary(asked, search)
    if found.empty:
        st.info("No column matches.")
        return
    st.caption(f"{wording.counted(len(found), 'column')} in {found['relation'].nunique()} tables and views.")
    show_table(found, DICTIONARY_COLUMNS, "Data dictionary", height=TABLE_PX if len(found) > 12 else None)


def show_definitions(published: queries.Publication) -> None:
    """Show what the words of the pages stand for, with the limits in force."""
    asked = rows.Source(published, identified=True)
    st.subheader("Bands")
    st.caption("By the point estimate and its 90 % interval. Not flagged does not mean normal.")
    meant = rows.meaning(asked, "study_bmd")
    show_words(wording.BANDS)
    st.caption(wording.verbatim(meant["band"]))
    show_words(wording.CATEGORIES)
    st.caption(wording.verbatim(meant["category"]))
    st.subheader("Care gap")
    show_criteria(asked)
    st.subheader("T-score references")
    st.caption("Young adult areal BMD of the lumbar spine. What is not verified is to be checked against its source.")
    show_table(rows.references(published), REFERENCE_COLUMNS, "References")
    st.subheader("Why a study or series is not measured")
    show_words({str(reason): word for reason, word in wording.EXCLUSIONS.items()})
    st.subheader("Why a level does not enter the value")
    show_words(wording.LEVEL_PROBLEMS)
    st.subheader("Figures of the comparison with DXA")
    st.caption(
        "Each with its 95 % confidence interval and n; groups of fewer patients than the setting asks have none."
    )
    show_words(METRIC_WORDS)
    show_words(READER_WORDS)


def show_criteria(asked: rows.Source) -> None:
    """Show the criteria of the care gap with the limits in force."""
    headline = queries.headline(asked.published)
    limits = {
        "minimum_age_years": headline.minimum_age_years,
        "look_back_months": headline.look_back_months,
        "as_of_date": wording.day(headline.as_of_date),
    }
    meant = rows.meaning(asked, "care_gap")
    words = {column: wording.criterion(column, limits) for column in wording.CRITERIA if column in meant}
    st.caption(
        "A patient is flagged when all of these hold; one that is not known keeps nobody off, unless it says so."
    )
    show_words(words, meant)


def show_words(words: dict[str, str], meanings: dict[str, str] | None = None) -> None:
    """Show stored values beside what the pages call them, and how that is defined where more is to say."""
    columns = {"Stored as": list(words), "What it says": list(words.values())}
    if meanings is not None:
        columns["Definition"] = [meanings[stored] for stored in words]
    st.table(pd.DataFrame(columns).map(wording.verbatim).set_index("Stored as"), border="horizontal")


def show_model_card(published: queries.Publication) -> None:
    """Show the checkpoint that the numbers are of, and the card of the bundled weights."""
    model = rows.active_model(published)
    if model is None:
        st.info("No study has been read yet. Run `screening sweep`; its checkpoint then stands here.")
    else:
        facts = {
            "Name": model["name"],
            "SHA-256": model["checkpoint_sha256"],
            "Trained on": wording.DATA_KINDS[model["data_kind"]],
            "Measured against": model["reference"],
            "Recalibrated from": model["parent_sha256"],
            "First used": wording.moment(model["registered_at"]),
        }
        show_table(pd.DataFrame(facts.items(), columns=list(MODEL_COLUMNS)), MODEL_COLUMNS, "Active checkpoint")
    with st.container(border=True):
        show_card(rows.model_card())


def show_card(text: str) -> None:
    """Show Markdown with the pictures that lie beside it, none from elsewhere."""
    before, *following = _PICTURE.split(_HEADING.sub(r"#\g<0>", text))  # the page has its own title
    st.markdown(before)
    for words, name, after in zip(following[::3], following[1::3], following[2::3], strict=True):
        picture = rows.card_picture(name)
        if picture is not None:
            st.image(picture, caption=words)
        st.markdown(after)
