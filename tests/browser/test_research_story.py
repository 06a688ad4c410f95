"""The epidemiologist asks a question in SQL and takes the answer along; research asks where nobody is named."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import published_example as example
import pytest
from conftest import served_behind_proxy
from playwright.sync_api import Browser, BrowserContext, Page, expect
from visits import WAIT_MS, arriving_as, cells, drawn_table, open_page, settled, shown_heading

from screening.store.audit import entries
from screening.store.database import DatabaseFolder

QUESTION = "How common is likely osteoporosis, by age and sex?"
OUTSIDE = "The statement reaches outside this database, and that is closed."
NO_QUESTION = (
    "Only questions are answered: SELECT, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN. A PIVOT must list its values."
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> DatabaseFolder:
    folder = tmp_path_factory.mktemp("asked")
    example.publish_example(folder)
    return DatabaseFolder(folder)


@pytest.fixture(scope="module")
def address(place: DatabaseFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the example behind a proxy that tells person and group."""
    roles = {"quality": ["statistics"], "research": ["science"]}
    with served_behind_proxy(place.folder, roles, tmp_path_factory.mktemp("door")) as served_at:
        yield served_at


@pytest.fixture
def epidemiologist(browser: Browser) -> BrowserContext:
    return arriving_as(browser, "epi@h.org", "statistics")


@pytest.fixture
def researcher(browser: Browser) -> BrowserContext:
    return arriving_as(browser, "rea@h.org", "science")


def open_console(visitor: BrowserContext, address: str) -> Page:
    page, _ = open_page(visitor, f"{address}/data?part=SQL")
    shown_heading(page, "Data")
    expect(page.get_by_role("button", name="Run")).to_be_visible(timeout=WAIT_MS)
    settled(page)
    return page


def run(page: Page, statement: str) -> None:
    page.get_by_role("textbox", name="SQL").fill(statement)
    page.get_by_role("button", name="Run").click()


def downloaded(page: Page) -> pd.DataFrame:
    """Take the answer along as CSV."""
    expect(page.get_by_role("button", name="Download CSV")).to_be_visible(timeout=WAIT_MS)
    settled(page)
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download CSV").click()
    assert downloading.value.suggested_filename == "answer.csv"
    return pd.read_csv(downloading.value.path())


def test_epidemiologist_runs_a_known_question_and_takes_the_answer_along(
    epidemiologist: BrowserContext, address: str, place: DatabaseFolder
) -> None:
    page, _ = open_page(epidemiologist, address)
    page.get_by_role("link", name="Data", exact=True).click()
    page.get_by_role("radio", name="SQL").click()
    page.get_by_label("Start from").click()
    page.get_by_role("option", name=QUESTION).click()
    expect(page.get_by_role("textbox", name="SQL")).to_contain_text("FROM patient_bmd", timeout=WAIT_MS)
    settled(page)
    page.get_by_role("button", name="Run").click()

    expect(page.get_by_text("3 rows in")).to_be_visible(timeout=WAIT_MS)
    answer = downloaded(page)
    assert answer.drop(columns="notice").to_dict("list") == {
        "age_from_years": [60, 60, 70],
        "sex": ["F", "M", "F"],
        "patient_count": [1, 2, 2],
        "likely_count": [0, 1, 2],
        "likely_share": [0.0, 0.5, 1.0],
    }
    assert answer["notice"].str.contains("Not flagged does not mean normal").all()
    trail = entries(place, 50)
    assert {"query", "download"} <= set(trail.loc[trail["person"] == "epi@h.org", "action"])


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("SELECT * FROM read_text('/etc/passwd')", OUTSIDE),
        ("COPY patient TO '/tmp/patients.csv'", NO_QUESTION),
        ("DROP TABLE patient", NO_QUESTION),
        ("SELECT 1; SELECT 2", "One statement is answered at a time, and these are 2."),
    ],
)
def test_hostile_statement_gets_one_sentence(
    epidemiologist: BrowserContext, address: str, statement: str, sentence: str
) -> None:
    page = open_console(epidemiologist, address)
    run(page, statement)

    told = page.get_by_test_id("stAlert")
    expect(told).to_have_text(sentence, timeout=WAIT_MS)
    settled(page)
    expect(told).to_have_count(1)
    expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
    expect(page.get_by_role("button", name="Download CSV")).to_have_count(0)


def test_console_answers_again_after_a_refusal(epidemiologist: BrowserContext, address: str) -> None:
    page = open_console(epidemiologist, address)
    run(page, "DELETE FROM patient")
    expect(page.get_by_test_id("stAlert")).to_have_text(NO_QUESTION, timeout=WAIT_MS)
    run(page, "SELECT count(*) AS n FROM patient")

    expect(page.get_by_text("1 row in")).to_be_visible(timeout=WAIT_MS)
    assert cells(drawn_table(page)) == ["8"]


def test_research_takes_everybody_along_without_a_name(
    researcher: BrowserContext, address: str, place: DatabaseFolder
) -> None:
    page = open_console(researcher, address)
    expect(page.get_by_text("A pseudonymised database made of the publication")).to_be_visible()
    run(page, "SELECT * FROM patient JOIN study USING (patient_key)")
    answer = downloaded(page)

    named = [patient.patient_id for patient in example.EVERYBODY] + [example.EXCLUDED[0], example.FAILED[0]]
    studies = [patient.study_instance_uid for patient in example.EVERYBODY]
    carried = answer.to_csv() + page.content()
    assert len(answer) == 9
    assert not [secret for secret in [*named, *studies, "2.25.", "General Hospital"] if secret in carried]
    trail = entries(place, 50)
    assert set(trail.loc[trail["person"] == "rea@h.org", "patient_id"].dropna()) == set()


@pytest.mark.parametrize("statement", ["SELECT patient_id FROM patient", "FROM study SELECT study_instance_uid"])
def test_research_finds_no_identifier_to_ask_for(researcher: BrowserContext, address: str, statement: str) -> None:
    page = open_console(researcher, address)
    run(page, statement)

    expect(page.get_by_test_id("stAlert")).to_contain_text("not found", timeout=WAIT_MS)


def test_research_cannot_reach_the_named_database(
    researcher: BrowserContext, address: str, place: DatabaseFolder
) -> None:
    page = open_console(researcher, address)
    run(page, f"FROM read_blob('{Path(place.published).resolve()}')")

    expect(page.get_by_test_id("stAlert")).to_have_text(OUTSIDE, timeout=WAIT_MS)
