"""What a person with a browser meets: worklist, selection, evidence, and no request that leaves the machine."""

from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import published_example as example
import pytest
from playwright.sync_api import Browser, Locator, Page, Position, expect

WAIT_MS = 30_000
# The table is a canvas, so its cells are met by their place in it.
BOX_OF_FIRST_ROW = Position(x=12, y=52)
PATIENT_ID_OF_SECOND_ROW = Position(x=110, y=87)
HEIGHT_OF_TWO_ROWS_PX = "105"


def open_page(browser: Browser, address: str, scheme: str) -> tuple[Page, set[str]]:
    """Open an address; the set fills with the host of every request that is made."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(WAIT_MS)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
    page.goto(address)
    return page, hosts


def drawn_table(page: Page) -> Locator:
    """Return the worklist once its canvas is there."""
    table = page.get_by_test_id("stDataFrame")
    expect(table.locator("canvas").first).to_be_visible(timeout=WAIT_MS)
    return table


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_first_row_opens_the_patient_with_picture(
    browser: Browser, dashboard_address: str, tmp_path: Path, scheme: str
) -> None:
    page, hosts = open_page(browser, dashboard_address, scheme)
    table = drawn_table(page)
    page.screenshot(path=tmp_path / f"worklist-{scheme}.png")

    table.click(position=BOX_OF_FIRST_ROW)

    expect(page.get_by_role("heading", name="Patient FLAGGED-1")).to_be_visible(timeout=WAIT_MS)
    picture = page.get_by_test_id("stImage").locator("img")
    expect(picture).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".js-plotly-plot")).to_have_count(2, timeout=WAIT_MS)
    assert picture.evaluate("image => image.naturalWidth") == 960
    assert f"/patient?patient=FLAGGED-1&study={example.FIRST.study_instance_uid}" in page.url
    page.screenshot(path=tmp_path / f"patient-{scheme}.png", full_page=True)
    assert hosts <= {urlsplit(dashboard_address).netloc, ""}
    page.close()


def test_deep_link_into_a_fresh_server_carries_the_labels(browser: Browser, dashboard_address: str) -> None:
    page, hosts = open_page(browser, f"{dashboard_address}/patient?patient=RECENT-DXA", "light")

    expect(page.get_by_role("heading", name="Patient RECENT-DXA")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("trained on simulated CT")).to_be_visible()
    expect(page.get_by_text("Not flagged does not mean normal.").first).to_be_visible()
    assert hosts <= {urlsplit(dashboard_address).netloc, ""}
    page.close()


def test_worklist_is_there_again_on_the_way_back(browser: Browser, dashboard_address: str) -> None:
    page, _ = open_page(browser, dashboard_address, "light")
    drawn_table(page).click(position=BOX_OF_FIRST_ROW)
    expect(page.get_by_role("heading", name="Patient FLAGGED-1")).to_be_visible(timeout=WAIT_MS)

    page.get_by_role("link", name="Worklist").click()

    expect(page.get_by_role("heading", name="Worklist")).to_be_visible(timeout=WAIT_MS)
    drawn_table(page)
    page.wait_for_timeout(1500)
    assert "patient" not in page.url
    page.close()


def test_click_on_a_patient_id_opens_the_patient(browser: Browser, dashboard_address: str) -> None:
    page, _ = open_page(browser, dashboard_address, "light")
    drawn_table(page).click(position=PATIENT_ID_OF_SECOND_ROW)

    expect(page.get_by_role("heading", name="Patient FLAGGED-2")).to_be_visible(timeout=WAIT_MS)
    page.close()


def test_download_holds_what_is_shown_and_the_labels(browser: Browser, dashboard_address: str) -> None:
    page, _ = open_page(browser, dashboard_address, "light")
    canvas = drawn_table(page).locator("canvas").first
    expect(canvas).to_have_attribute("height", HEIGHT_OF_TWO_ROWS_PX)
    page.get_by_label("Patient ID").fill("-2")
    page.get_by_label("Patient ID").press("Enter")
    expect(canvas).not_to_have_attribute("height", HEIGHT_OF_TWO_ROWS_PX, timeout=WAIT_MS)
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")

    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download this list (CSV)").click()
    downloaded = pd.read_csv(downloading.value.path())

    assert list(downloaded["patient_id"]) == ["FLAGGED-2"]
    assert list(downloaded["data_kind"]) == ["simulated"]
    assert "Not flagged does not mean normal" in downloaded["notice"][0]
    page.close()
