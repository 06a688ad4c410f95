"""Every page in both themes, on a desk and on a tablet: labelled, whole, quiet, and told to nobody else."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import published_example as example
import published_nights as nights
import published_validation
import pytest
from conftest import free_port, served
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect
from visits import WAIT_MS, open_page, settled

from screening.dashboard_settings import DashboardSettings
from screening.labels import NOTICE, SIMULATED_NOTICE
from screening.store.database import DatabaseFolder, Row

NAME = "SECRET^NAME"  # as a patient ID: the words that may stand on a page, and nowhere else
STUDY = nights.NOW[0].study_instance_uid
DESK_PX, TABLET_PX = 1280, 820

# What is looked at, which database shows it, and its address.
PAGES = {
    "worklist": ("nights", "/"),
    "long worklist": ("hospital", "/"),
    "search": ("nights", "/patient"),
    "patient": ("nights", f"/patient?study={STUDY}"),
    "failures": ("nights", "/sweeps"),
    "changes": ("nights", "/sweeps?show=Since+the+night+before"),
    "flow": ("nights", "/sweeps?show=Where+studies+went"),
    "books": ("nights", "/sweeps?show=Books+and+files"),
    "every night": ("nights", "/sweeps?show=Every+night"),
    "validation": ("hospital", "/validation"),
    "drift": ("hospital", "/drift"),
    "dictionary": ("nights", "/data"),
    "definitions": ("nights", "/data?part=Definitions"),
    "model card": ("nights", "/data?part=Model+card"),
    "downloads": ("nights", "/data?part=Downloads"),
    "sql": ("nights", "/data?part=SQL"),
    "audit": ("nights", "/data?part=Audit"),
}
# Streamlit's page looks for its server below its own address first: a deep link is answered with "Not Found" there.
LOOKED_FOR_BELOW = "/_stcore/"
NAVIGATION = ["Worklist", "Patient", "Sweeps", "Validation", "Drift", "Data"]
FIRST_CONTROL = {
    "worklist": "Likely osteoporosis",
    "patient": "Find a patient",
    "failures": "Night",
    "validation": "Comparison",
    "drift": "States of",
    "dictionary": "Dictionary",
}

# Whether neither the page nor the part of it that scrolls is wider than the window.
FITS = """() => [document.scrollingElement, ...document.querySelectorAll('[data-testid="stMain"]')]
    .every(part => part.scrollWidth <= part.clientWidth + 1)"""
# The words of tiles and choices that do not fit into them.
CUT = """() => [...document.querySelectorAll('[data-testid="stMetric"] *, [data-testid="stButtonGroup"]')]
    .filter(part => part.clientWidth > 0 && part.scrollWidth > part.clientWidth + 1).map(part => part.innerText)"""
# The name of what has the keyboard, where it can be seen.
FOCUSED = """() => {
    const at = document.activeElement, box = at.getBoundingClientRect()
    const shown = box.width > 0 && box.bottom > 0 && box.top < innerHeight && at !== document.body
    return shown ? (at.labels?.[0]?.innerText || at.getAttribute('aria-label') || at.innerText || '') : ''
}"""


class Site(NamedTuple):
    """A served database."""

    address: str
    log: Path


class Traffic(NamedTuple):
    """What a page asked for, and what did not come or work."""

    addresses: list[str]
    troubles: list[str]


def planted(rows_by_table: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Give the first patient a name in place of an ID."""
    first = nights.NOW[0].patient_id
    return {
        table: [{**row, "patient_id": NAME} if row.get("patient_id") == first else row for row in rows]
        for table, rows in rows_by_table.items()
    }


def publish_named_nights(folder: Path) -> None:
    example.publish_rows(folder, 1, planted(nights.before_rows()))
    example.publish_rows(folder, 2, planted(nights.now_rows()))
    example.draw_evidence(DatabaseFolder(folder).evidence / f"{STUDY}.png")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    """Serve nights with failures and changes, and a hospital with comparisons and scanners."""
    folder = tmp_path_factory.mktemp("every")
    publish_named_nights(folder / "nights")
    published_validation.publish_hospital(folder / "hospital", compared=2)
    with ExitStack() as servers:
        found = {}
        for name in ("nights", "hospital"):
            settings, log = DashboardSettings(port=free_port()), folder / f"{name}.log"
            found[name] = Site(servers.enter_context(served(folder / name, settings, log)), log)
        yield found


@pytest.fixture(scope="module", params=["light", "dark"])
def visitor(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": DESK_PX, "height": 900}, color_scheme=request.param)
    yield context
    context.close()


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    opened = visitor.new_page()
    opened.set_default_timeout(WAIT_MS)
    yield opened
    opened.close()


def listened(page: Page) -> Traffic:
    """Note every request, and every answer, script or message of the browser that tells of trouble."""
    heard = Traffic([], [])
    page.on("request", lambda request: heard.addresses.append(request.url))
    page.on("websocket", lambda socket: heard.addresses.append(socket.url))
    page.on("requestfailed", lambda request: heard.troubles.append(f"{request.url}: {request.failure}"))
    page.on("pageerror", lambda error: heard.troubles.append(str(error)))
    page.on("console", lambda said: heard.troubles.extend([said.text] * is_trouble(said)))
    return heard


def is_trouble(said: ConsoleMessage) -> bool:
    """Tell whether the browser's console holds an error; an answer of status 400 or more is one."""
    return said.type == "error" and LOOKED_FOR_BELOW not in said.location["url"]


def visit(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("h1")).to_be_visible(timeout=WAIT_MS)
    settled(page)


def fits(page: Page, width_px: int) -> None:
    """Wait until nothing lies beside a window of this width: a figure is drawn anew at another one."""
    page.set_viewport_size({"width": width_px, "height": 900})
    page.wait_for_function(FITS)
    assert page.evaluate(CUT) == []


def reached(page: Page, times: int) -> list[str]:
    """Return the names of what Tab leads to and can be seen."""
    names = []
    for _ in range(times):
        page.keyboard.press("Tab")
        names.append(page.evaluate(FOCUSED))
    return names


@pytest.mark.parametrize("name", PAGES)
def test_page_is_whole_labelled_and_asks_nobody_else(page: Page, sites: dict[str, Site], name: str) -> None:
    site, path = sites[PAGES[name][0]], PAGES[name][1]
    heard = listened(page)
    visit(page, site.address + path)

    fits(page, DESK_PX)
    fits(page, TABLET_PX)
    expect(page.get_by_text(NOTICE, exact=True).first).to_be_visible()
    expect(page.get_by_text(SIMULATED_NOTICE, exact=True).first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("encountered an error")).to_have_count(0)
    assert {urlsplit(address).netloc for address in heard.addresses} <= {urlsplit(site.address).netloc, ""}
    assert heard.troubles == []
    assert "SECRET" not in "".join([page.url, page.title(), site.log.read_text(), *heard.addresses])


def test_name_stands_on_the_page_of_the_patient(page: Page, sites: dict[str, Site]) -> None:
    visit(page, sites["nights"].address + PAGES["patient"][1])

    expect(page.get_by_role("heading", name=f"Patient {NAME}")).to_be_visible()


@pytest.mark.parametrize("name", FIRST_CONTROL)
def test_keyboard_reaches_navigation_and_first_control(browser: Browser, sites: dict[str, Site], name: str) -> None:
    page, _ = open_page(browser, sites[PAGES[name][0]].address + PAGES[name][1])
    expect(page.get_by_text(FIRST_CONTROL[name], exact=True).first).to_be_visible(timeout=WAIT_MS)
    settled(page)
    names = reached(page, 30)

    assert [place for place in names if place in NAVIGATION][:6] == NAVIGATION
    assert FIRST_CONTROL[name] in names
