"""What browser tests share: chromium, the real app, a signed-in person, a watch on requests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from core import practice
from core.config import Settings
from core.secret import Secret
from tests.appserver import AppServer, app_server
from tests.conftest import TEMPLATE, TEST_KEY, TestServer

CHROMIUM = Path("/usr/bin/chromium")
PASSWORD = "a short sentence, easy to remember"
EMAIL = "mira@acme.example"
#: how long a page may take to show something; other work on the machine slows the app down
WAIT_MS = 90_000
expect.set_options(timeout=WAIT_MS)
Context = Callable[..., BrowserContext]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium; its absence fails under CI and skips elsewhere, saying so."""
    if not CHROMIUM.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium")
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def server(
    test_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppServer]:
    """The app on a fresh database; one for all tests of a file, since a start takes seconds."""
    folder = tmp_path_factory.mktemp("app")
    with test_server.database(TEMPLATE) as url:
        settings = Settings(database_url=url, home=folder / "home", key=Secret(TEST_KEY))
        with app_server(settings, folder, worker=True) as running:
            yield running
        practice.down(settings.home)  # they outlive the app on purpose


@pytest.fixture
def outside(server: AppServer) -> list[str]:
    """Addresses beyond this machine that any page asked for; must stay empty."""
    return []


@pytest.fixture
def context(browser: Browser, server: AppServer, outside: list[str]) -> Iterator[Context]:
    """Makes browser contexts that note every request that leaves the machine."""
    opened: list[BrowserContext] = []

    def make(*, dark: bool = False, width: int = 1440, height: int = 900) -> BrowserContext:
        fresh = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        fresh.set_default_timeout(WAIT_MS)

        def note(request: Request) -> None:
            if not request.url.startswith((server.url, "data:", "blob:")):
                outside.append(request.url)

        fresh.on("request", note)
        opened.append(fresh)
        return fresh

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def first_admin(server: AppServer, context: Context) -> Page:
    """A page of the first admin: made with the code from the terminal, or signed in again."""
    page = context().new_page()
    page.goto(server.url)
    if page.locator("#code").count() == 0:
        sign_in(page)
        return page
    page.fill("#code", server.setup_code)
    page.fill("#name", "Mira Koch")
    page.fill("#email", EMAIL)
    page.fill("#password", PASSWORD)
    page.click("button")
    page.wait_for_selector("[data-testid=stSidebarNav]")
    return page


def sign_in(page: Page) -> None:
    """Fill the sign-in form that the page shows."""
    page.fill("#email", EMAIL)
    page.fill("#password", PASSWORD)
    page.click("button")
    page.wait_for_selector("[data-testid=stSidebarNav]")


def settled(page: Page) -> None:
    """Wait until the page's script has run and its title stands."""
    page.wait_for_selector("[data-testid=stMainBlockContainer] h1")
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stStatusWidget]')"
        " && !document.querySelector('[data-testid=stSkeleton]')"
    )
