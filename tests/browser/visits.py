"""What a person with a browser does, step by step."""

from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Position, expect

WAIT_MS = 30_000
PROXY_SECRET = "what the proxy of these tests sends"
# The table is a canvas, so its cells are met by their place in it.
BOX_OF_FIRST_ROW = Position(x=12, y=52)
HEADER_OF_PATIENT_ID = Position(x=130, y=17)
PATIENT_ID_OF_SECOND_ROW = Position(x=120, y=87)


def open_page(visitor: Browser | BrowserContext, address: str, scheme: str = "light") -> tuple[Page, set[str]]:
    """Open an address; the set fills with the host of every request that is made."""
    if isinstance(visitor, Browser):
        visitor = visitor.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = visitor.new_page()
    page.set_default_timeout(WAIT_MS)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
    page.goto(address)
    return page, hosts


def settled(page: Page) -> None:
    """Wait until the page has nothing left to do."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=WAIT_MS)


def drawn_table(page: Page) -> Locator:
    """Return the first table once its canvas is there."""
    table = page.get_by_test_id("stDataFrame").first
    expect(table.locator("canvas").first).to_be_visible(timeout=WAIT_MS)
    return table


def cells(table: Locator) -> list[str]:
    """Return the words of a drawn table, as they stand for screen readers inside its canvas; those in view alone."""
    written = table.locator("canvas table td")
    expect(written.first).to_be_attached(timeout=WAIT_MS)
    return written.all_text_contents()


def arriving_as(browser: Browser, person: str, group: str) -> BrowserContext:
    """Return a browser whose requests come through a proxy that has signed this person in."""
    headers = {"X-Forwarded-User": person, "X-Forwarded-Groups": group, "X-Proxy-Secret": PROXY_SECRET}
    return browser.new_context(viewport={"width": 1280, "height": 900}, extra_http_headers=headers)


def shown_heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text, exact=True)).to_be_visible(timeout=WAIT_MS)


def choose_decision(page: Page, decision: str, reviewer: str | None = None) -> None:
    """Fill in what a reviewer decides; without a name where the sign-in tells it."""
    if reviewer is not None:
        page.get_by_label("Your name").fill(reviewer)
        page.get_by_label("Your name").press("Enter")
        settled(page)
    page.get_by_role("radio", name=decision).click()
    expect(page.get_by_role("button", name="Record the decision")).to_be_enabled(timeout=WAIT_MS)
    settled(page)
