"""The quality lead sees last night's failures; whoever sees no patient sees counts of them."""

from collections.abc import Iterator

import published_nights as nights
import pytest
from conftest import served_behind_proxy
from playwright.sync_api import Browser, expect
from visits import WAIT_MS, arriving_as, cells, drawn_table, open_page, settled, shown_heading

from screening.store.audit import entries
from screening.store.database import DatabaseFolder

STUDY, PATIENT = nights.NEWLY_FAILED
ACCESSION = f"A-{STUDY[-5:]}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> DatabaseFolder:
    folder = tmp_path_factory.mktemp("nights")
    nights.publish_nights(folder)
    return DatabaseFolder(folder)


@pytest.fixture(scope="module")
def address(place: DatabaseFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the nights behind a proxy that tells person and group."""
    roles = {"quality": ["quality"], "research": ["science"]}
    with served_behind_proxy(place.folder, roles, tmp_path_factory.mktemp("door")) as served_at:
        yield served_at


def test_quality_lead_sees_what_failed_last_night_and_how_to_read_more(
    browser: Browser, address: str, place: DatabaseFolder
) -> None:
    page, _ = open_page(arriving_as(browser, "quinn@h.org", "quality"), address)
    page.get_by_role("link", name="Sweeps", exact=True).click()

    shown_heading(page, "Sweeps")
    expect(page.get_by_text("33.3 % of the studies read failed; the limit is 5.0 %.")).to_be_visible(timeout=WAIT_MS)
    shown_heading(page, "Failures of sweep 7: 1")
    written = cells(drawn_table(page))
    assert {ACCESSION, "screening.imaging.hounsfield", "MemoryError"} <= set(written)
    expect(page.get_by_test_id("stCode")).to_have_text(f"screening explain {STUDY} --database {place.folder}")
    settled(page)
    trail = entries(place, 50)
    assert "failures of sweep 7" in set(trail.loc[trail["person"] == "quinn@h.org", "detail"])


def test_quality_lead_goes_back_to_an_earlier_night(browser: Browser, address: str) -> None:
    page, _ = open_page(arriving_as(browser, "quinn@h.org", "quality"), f"{address}/sweeps")
    shown_heading(page, "Failures of sweep 7: 1")
    page.get_by_label("Night").click()
    page.get_by_role("option", name="Sweep 3,").click()

    shown_heading(page, "Failures of sweep 3: 0")
    expect(page.get_by_text("12 studies wait for the next.")).to_be_visible()
    assert page.url.endswith("/sweeps?night=3")


def test_quality_lead_sees_what_the_night_changed(browser: Browser, address: str) -> None:
    page, _ = open_page(arriving_as(browser, "quinn@h.org", "quality"), f"{address}/sweeps")
    page.get_by_role("radio", name="Since the night before").click()

    shown_heading(page, "New failures: 1")
    shown_heading(page, "Failures gone: 1")
    expect(page.get_by_text("Against publication 1 of 2026-02-28 04:01 UTC.")).to_be_visible()


@pytest.mark.parametrize("show", ["", "?show=Since+the+night+before", "?show=Books+and+files"])
def test_research_sees_counts_and_no_study(browser: Browser, address: str, show: str) -> None:
    page, _ = open_page(arriving_as(browser, "rea@h.org", "science"), f"{address}/sweeps{show}")
    shown_heading(page, "Sweeps")
    drawn_table(page)
    settled(page)

    shown = page.content()
    assert not [secret for secret in (PATIENT, STUDY, ACCESSION, "FLAGGED", "/archive/") if secret in shown]
    expect(page.get_by_test_id("stCode")).to_have_count(0)


def test_research_reads_where_studies_broke(browser: Browser, address: str, place: DatabaseFolder) -> None:
    page, _ = open_page(arriving_as(browser, "rea@h.org", "science"), f"{address}/sweeps")
    shown_heading(page, "Failures of sweep 7: 1")

    assert cells(drawn_table(page)) == ["screening.imaging.hounsfield", "MemoryError", "1"]
    expect(page.get_by_text("Your role sees counts, not studies.")).to_be_visible()
    trail = entries(place, 50)
    assert "list" not in set(trail.loc[trail["person"] == "rea@h.org", "action"])
