"""What a person with a browser meets: worklist, selection, evidence, and no request that leaves the machine."""

from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import published_example as example
import pytest
from playwright.sync_api import Browser, expect
from visits import BOX_OF_FIRST_ROW, PATIENT_ID_OF_SECOND_ROW, WAIT_MS, drawn_table, open_page, settled


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
    assert page.url.endswith(f"/patient?study={example.FIRST.study_instance_uid}")
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
    drawn_table(page)
    page.get_by_label("Patient ID").fill("-2")
    page.get_by_label("Patient ID").press("Enter")
    expect(page.get_by_text("1 patient", exact=True)).to_be_visible(timeout=WAIT_MS)
    settled(page)

    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download this list (CSV)").click()
    downloaded = pd.read_csv(downloading.value.path())

    assert list(downloaded["patient_id"]) == ["FLAGGED-2"]
    assert list(downloaded["data_kind"]) == ["simulated"]
    assert "Not flagged does not mean normal" in downloaded["notice"][0]
    page.close()
