"""From the most urgent patient to a decision, and two who decide at once."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from visits import (
    BOX_OF_FIRST_ROW,
    HEADER_OF_PATIENT_ID,
    PATIENT_ID_OF_SECOND_ROW,
    WAIT_MS,
    choose_decision,
    drawn_table,
    open_page,
    settled,
    shown_heading,
)

from screening.store.audit import entries
from screening.store.database import DatabaseFolder
from screening.store.reviews import events


@pytest.fixture
def place(tmp_path: Path) -> DatabaseFolder:
    return DatabaseFolder(tmp_path / "database")


def test_most_urgent_patient_is_understood_and_leaves_the_list(
    browser: Browser, dashboard_address: str, place: DatabaseFolder
) -> None:
    page, _ = open_page(browser, dashboard_address)
    drawn_table(page).click(position=BOX_OF_FIRST_ROW)
    shown_heading(page, "Patient FLAGGED-1")
    expect(page.get_by_text("BMD_CNN at or below the border of osteoporosis (likely osteoporosis)")).to_be_visible()
    expect(page.get_by_test_id("stImage").locator("img")).to_be_visible()

    choose_decision(page, "DXA ordered", "A. Reviewer")
    page.get_by_role("button", name="Record the decision").click()
    expect(page.get_by_text("Recorded: DXA ordered.")).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("link", name="Worklist", exact=True).click()

    expect(page.get_by_text("1 patient", exact=True)).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("DXA ordered 1")).to_be_visible()
    assert [row["action"] for row in events(place).to_pylist()] == ["order_dxa"]
    trail = entries(place, 50)
    assert list(trail[trail["action"] == "review"]["patient_id"]) == ["FLAGGED-1"]


def test_second_of_two_reviewers_is_told_and_decides_anew(
    browser: Browser, dashboard_address: str, place: DatabaseFolder
) -> None:
    first, _ = open_page(browser, f"{dashboard_address}/patient?patient=FLAGGED-1")
    second, _ = open_page(browser, f"{dashboard_address}/patient?patient=FLAGGED-1")
    choose_decision(first, "DXA ordered", "First")
    choose_decision(second, "Dismissed", "Second")

    first.get_by_role("button", name="Record the decision").click()
    expect(first.get_by_text("Recorded: DXA ordered.")).to_be_visible(timeout=WAIT_MS)
    second.get_by_role("button", name="Record the decision").click()
    expect(second.get_by_text("since you opened it")).to_be_visible(timeout=WAIT_MS)
    assert [row["reviewer"] for row in events(place).to_pylist()] == ["First"]

    second.get_by_role("button", name="I have seen it").click()
    settled(second)
    choose_decision(second, "Dismissed")
    second.get_by_role("button", name="Record the decision").click()
    expect(second.get_by_text("Recorded: Dismissed.")).to_be_visible(timeout=WAIT_MS)
    assert [row["reviewer"] for row in events(place).to_pylist()] == ["First", "Second"]


def test_row_of_a_sorted_table_opens_its_own_patient(browser: Browser, dashboard_address: str) -> None:
    page, _ = open_page(browser, dashboard_address)
    table = drawn_table(page)
    table.click(position=HEADER_OF_PATIENT_ID)
    page.wait_for_timeout(500)
    table.click(position=HEADER_OF_PATIENT_ID)  # the first click sorts upwards, the second downwards
    page.wait_for_timeout(500)
    table.click(position=BOX_OF_FIRST_ROW)

    shown_heading(page, "Patient FLAGGED-2")


def test_filters_stand_in_the_address_and_no_patient_does(browser: Browser, dashboard_address: str) -> None:
    page, _ = open_page(browser, f"{dashboard_address}/?sex=Male")
    expect(page.get_by_text("1 patient", exact=True)).to_be_visible(timeout=WAIT_MS)
    settled(page)
    page.get_by_label("Patient ID").fill("FLAGGED-2")
    page.get_by_label("Patient ID").press("Enter")
    settled(page)
    assert "sex=Male" in page.url
    assert "FLAGGED" not in page.url

    drawn_table(page).click(position=BOX_OF_FIRST_ROW)
    shown_heading(page, "Patient FLAGGED-2")
    assert "FLAGGED" not in page.url
    assert "FLAGGED" not in page.title()


def test_second_row_is_met_where_it_stands(browser: Browser, dashboard_address: str) -> None:
    page, _ = open_page(browser, dashboard_address)
    drawn_table(page).click(position=PATIENT_ID_OF_SECOND_ROW)

    shown_heading(page, "Patient FLAGGED-2")


def test_the_way_back_leads_to_the_list(browser: Browser, dashboard_address: str) -> None:
    page, _ = open_page(browser, f"{dashboard_address}/?sex=Male")
    drawn_table(page).click(position=BOX_OF_FIRST_ROW)
    shown_heading(page, "Patient FLAGGED-2")
    settled(page)

    page.go_back()
    shown_heading(page, "Worklist")


def test_address_of_the_start_page_may_name_a_patient(browser: Browser, dashboard_address: str) -> None:
    page, _ = open_page(browser, f"{dashboard_address}/?patient=FLAGGED-2")

    shown_heading(page, "Patient FLAGGED-2")
    assert "FLAGGED" not in page.url
