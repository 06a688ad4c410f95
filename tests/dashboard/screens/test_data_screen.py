"""The page Data in every state and for every role."""

from pathlib import Path

import published_example as example
import pyarrow as pa
import pytest
from page_runs import assert_labelled, run_page, written
from streamlit.testing.v1 import AppTest

from dashboard import access, console, queries, workbook
from screening.dashboard_settings import Role
from screening.store.audit import AccessKind, entries
from screening.store.database import DatabaseFolder

NOTHING = console.Answer(pa.table({"n": [0]}), 0.1, cut=False)
KNOWN = "How common is likely osteoporosis, by age and sex?"


@pytest.fixture
def research(monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = access.Visitor("rea@h.org", frozenset({Role.RESEARCH}))
    monkeypatch.setattr(access, "visitor", lambda: visitor)


@pytest.fixture
def viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = access.Visitor("vic@h.org", frozenset({Role.VIEWER}))
    monkeypatch.setattr(access, "visitor", lambda: visitor)


def run_part(part: str) -> AppTest:
    at = run_page("data")
    at.button_group(key="part").set_value(part)
    return at.run()


def ask(at: AppTest, statement: str) -> AppTest:
    at.text_area[0].set_value(statement)
    return at.button[-1].click().run()


def tables(at: AppTest) -> str:
    return "\n".join(one.value.to_string() for one in at.table)


def trail(folder: Path) -> list[tuple[str, str]]:
    """List action and detail of the audit trail, newest first."""
    found = entries(DatabaseFolder(folder), 100)
    return list(zip(found["action"], found["detail"], strict=True))


def test_the_dictionary_lists_every_column(published: queries.Publication) -> None:
    at = run_page("data")

    assert_labelled(at)
    assert {"relation", "column_name", "comment"} <= set(at.dataframe[0].value.columns)
    assert "tables and views" in written(at)


def test_the_dictionary_is_narrowed_by_a_word(published: queries.Publication) -> None:
    at = run_page("data")
    at.text_input(key="search").set_value("YAM_percent").run()

    assert set(at.dataframe[0].value["column_name"]) >= {"yam_percent"}
    assert len(at.dataframe[0].value) < 30


def test_the_dictionary_says_when_nothing_matches(published: queries.Publication) -> None:
    at = run_page("data")
    at.text_input(key="search").set_value("no such word").run()

    assert_labelled(at)
    assert at.info[0].value == "No column matches."


def test_definitions_show_the_limits_in_force(published: queries.Publication) -> None:
    at = run_part("definitions")

    assert_labelled(at)
    assert "At least 50 years old at the CT" in tables(at).replace("\\", "")
    assert "36 months before 2026-03-01" in tables(at).replace("\\", "")
    assert "Contrast-enhanced" in tables(at).replace("\\", "")
    assert "Pearson r" in tables(at)
    assert {"hologic_l1_l4_female"} <= set(at.dataframe[0].value["reference"])


def test_the_model_card_is_shown_with_the_active_checkpoint(published: queries.Publication) -> None:
    at = run_part("model")

    assert_labelled(at)
    assert example.CHECKPOINT in at.dataframe[0].value["value"].tolist()
    assert "bundled weights" in written(at)
    assert "](examples.png)" not in written(at)


def test_before_the_first_sweep_the_page_says_how_to_fill_it(folder: Path) -> None:
    example.publish_rows(folder, 1, {"publication": [example.PUBLICATION]})
    at = run_part("model")

    assert_labelled(at)
    assert "screening sweep" in at.info[0].value


@pytest.mark.parametrize("part", ["dictionary", "definitions", "downloads", "sql"])
def test_every_part_stands_on_an_empty_database(folder: Path, part: str) -> None:
    example.publish_rows(folder, 1, {"publication": [example.PUBLICATION]})
    at = run_part(part)

    assert_labelled(at)


def test_downloads_offer_each_table_in_three_forms(published: queries.Publication) -> None:
    at = run_part("downloads")

    assert_labelled(at)
    assert at.selectbox(key="relation").value == "study_bmd"
    assert "One row a measured study: the patient's BMD_CNN at that date. 6 rows." in written(at)
    assert [button.label for button in at.download_button] == ["Download CSV", "Download XLSX", "Download PARQUET"]
    assert "series_index" not in at.selectbox(key="relation").options


def test_a_table_that_is_too_long_for_a_workbook_is_offered_in_two_forms(
    published: queries.Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 5)
    at = run_part("downloads")

    assert_labelled(at)
    assert [button.disabled for button in at.download_button] == [False, True, False]
    assert "An Excel workbook has 5 rows at most: take CSV or Parquet." in written(at)


def test_a_known_question_is_answered_and_in_the_trail(published: queries.Publication, folder: Path) -> None:
    at = run_part("sql")
    at.selectbox(key="question").set_value(KNOWN).run()
    at.button[-1].click().run()

    assert_labelled(at)
    assert "likely_share" in at.dataframe[0].value.columns
    assert "rows in" in written(at)
    action, detail = trail(folder)[0]
    assert action == AccessKind.QUERY
    assert detail.startswith(f"-- {KNOWN}")


def test_a_refused_statement_gets_one_sentence_and_is_in_the_trail(
    published: queries.Publication, folder: Path
) -> None:
    at = ask(run_part("sql"), "FROM read_text('/etc/passwd')")

    assert_labelled(at)
    assert "reaches outside this database" in at.error[0].value
    assert len(at.dataframe) == 0
    assert trail(folder)[0] == (AccessKind.QUERY, "FROM read_text('/etc/passwd')")


def test_a_question_is_in_the_trail_before_it_is_asked(
    published: queries.Publication, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_before: list[tuple[str, str]] = []

    def answered(*_: object) -> console.Answer:
        found_before.extend(trail(folder))
        return NOTHING

    monkeypatch.setattr(console, "ask", answered)
    ask(run_part("sql"), "FROM dxa")

    assert found_before[0] == (AccessKind.QUERY, "FROM dxa")


def test_an_answer_that_no_table_shows_leaves_the_page_whole(published: queries.Publication) -> None:
    at = ask(run_part("sql"), "SELECT DATE 'infinity' AS day")

    assert_labelled(at)
    assert "no calendar shows" in at.error[0].value
    assert_labelled(at.run())
    assert len(at.error) == 0


def test_an_answer_without_rows_is_shown(published: queries.Publication) -> None:
    at = ask(run_part("sql"), "FROM dxa WHERE false")

    assert_labelled(at)
    assert "0 rows in" in written(at)


def test_research_asks_a_database_without_identifiers(
    published: queries.Publication, folder: Path, research: None
) -> None:
    at = ask(run_part("sql"), "FROM study")

    assert_labelled(at)
    assert "pseudonymised" in written(at)
    assert "patient_key" in at.dataframe[0].value.columns
    assert example.FIRST.patient_id not in at.dataframe[0].value.to_string()
    assert trail(folder)[0] == (AccessKind.QUERY, "pseudonymised: FROM study")


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_duckdb('{published}', table_name = 'patient')",
        "FROM '{published}'",
        "FROM read_blob('{published}')",
        "FROM read_blob('{folder}/work/site.key')",
        "SELECT patient_id FROM study",
        "FROM identified.patient",
        "FROM published.patient_bmd",
    ],
)
def test_research_reaches_no_identifier(
    published: queries.Publication, folder: Path, research: None, statement: str
) -> None:
    at = ask(run_part("sql"), statement.format(published=published.path, folder=folder))

    assert_labelled(at)
    assert len(at.error) == 1
    assert len(at.dataframe) == 0


def test_research_takes_along_pseudonymised_tables_alone(published: queries.Publication, research: None) -> None:
    at = run_part("downloads")

    assert_labelled(at)
    assert "pseudonymised" in written(at)
    assert "rejected_record" not in at.selectbox(key="relation").options
    assert "patient_id" not in tables(at)


def test_research_has_no_audit(published: queries.Publication, research: None) -> None:
    assert "Audit" not in run_page("data").button_group(key="part").options


def test_a_viewer_has_neither_console_nor_audit(published: queries.Publication, viewer: None) -> None:
    assert run_page("data").button_group(key="part").options == ["Dictionary", "Definitions", "Model card", "Downloads"]


def test_a_viewer_takes_along_pseudonymised_tables_alone(published: queries.Publication, viewer: None) -> None:
    at = run_part("downloads")

    assert_labelled(at)
    assert "pseudonymised" in written(at)
    assert "patient_id" not in tables(at)


def test_research_that_also_views_asks_the_pseudonymised_copy(
    published: queries.Publication, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = access.Visitor("rea@h.org", frozenset({Role.RESEARCH, Role.VIEWER}))
    monkeypatch.setattr(access, "visitor", lambda: both)
    at = ask(run_part("sql"), "FROM study")

    assert example.FIRST.patient_id not in at.dataframe[0].value.to_string()
    assert trail(folder)[0] == (AccessKind.QUERY, "pseudonymised: FROM study")


@pytest.mark.parametrize("part", ["SQL", "Audit"])
def test_the_address_of_a_part_that_is_not_allowed_opens_another(
    published: queries.Publication, viewer: None, part: str
) -> None:
    at = run_page("data", part=part)

    assert not at.exception
    assert len(at.text_area) == 0
    assert "Action" not in [select.label for select in at.multiselect]


def test_whoever_reads_the_audit_trail_is_in_it_once(published: queries.Publication, folder: Path) -> None:
    run_part("audit").run().run()

    assert trail(folder).count((AccessKind.LIST, "audit trail")) == 1


def test_the_audit_trail_is_listed_and_narrowed(published: queries.Publication) -> None:
    at = run_part("audit")
    at.multiselect(key="action").set_value(["sign_in"]).run()

    assert_labelled(at)
    assert set(at.dataframe[0].value["action"]) == {"sign in"}
    assert set(at.dataframe[0].value["person"]) == {access.LOCAL_PERSON}
