"""Signing in with a real browser, and what the pages ask the network for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.config import Settings
from core.secret import Secret
from pages import registry
from tests.app.identity_provider import CLIENT_ID, CLIENT_SECRET
from tests.app.test_single_sign_on import ANN, Provider, provider
from tests.appserver import AppServer, app_server
from tests.conftest import TEMPLATE, TEST_KEY, TestServer

from .conftest import EMAIL, PASSWORD, Context, settled, sign_in

__all__ = ["provider"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

#: Streamlit's own navigation markup: a list whose items are not list items (seen on 1.67)
NOT_OURS = "[data-testid=stSidebarNav]"


@pytest.fixture(scope="module")
def server(
    test_server: TestServer,
    tmp_path_factory: pytest.TempPathFactory,
    provider: Provider,
) -> Iterator[AppServer]:
    """The app with a provider of identities beside passwords."""
    folder = tmp_path_factory.mktemp("app")
    home = folder / "home"
    home.mkdir()
    given = {
        "name": "acme",
        "title": "Acme",
        "issuer": provider.url,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "role_claim": "groups",
        "roles": {"team": "analyst"},
    }
    file = home / "oidc.yaml"
    file.write_text(yaml.safe_dump({"providers": [given]}), encoding="utf-8")
    file.chmod(0o600)
    with test_server.database(TEMPLATE) as url:
        settings = Settings(database_url=url, home=home, key=Secret(TEST_KEY))
        with app_server(settings, folder) as running:
            yield running


def test_a_person_signs_in_through_the_provider_of_the_house(
    server: AppServer, first_admin: Page, context: Context, provider: Provider
) -> None:
    """One click on the sign-in page, no password, and back at the page that was asked for."""
    provider.knows(**ANN, groups=["team"])
    page = context().new_page()
    page.goto(f"{server.url}/runs?status=Failed")

    page.get_by_role("link", name="Sign in with Acme").click()
    settled(page)

    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    assert "status=Failed" in page.url
    expect(page.get_by_role("button", name="Ann")).to_be_visible()


def test_signing_in_survives_a_new_tab_and_a_deep_link(
    server: AppServer, first_admin: Page
) -> None:
    tab = first_admin.context.new_page()
    tab.goto(f"{server.url}/audit?actor={EMAIL}")
    settled(tab)

    expect(tab.get_by_role("heading", name="Audit trail")).to_be_visible()


def test_a_deep_link_without_session_leads_through_sign_in_to_the_page(
    server: AppServer, first_admin: Page, context: Context
) -> None:
    page = context().new_page()
    page.goto(f"{server.url}/audit?actor={EMAIL}")
    assert "/login" in page.url
    page.fill("#email", EMAIL)
    page.fill("#password", "not the password")
    page.click("button")
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(page)
    settled(page)

    assert page.url.endswith(f"/audit?actor={EMAIL.replace('@', '%40')}") or "actor=" in page.url
    expect(page.get_by_role("heading", name="Audit trail")).to_be_visible()


def test_signing_out_ends_the_session_in_every_tab(server: AppServer, first_admin: Page) -> None:
    other = first_admin.context.new_page()
    other.goto(f"{server.url}/logout")
    other.click("button")
    assert other.url.endswith("/login")

    first_admin.goto(f"{server.url}/orgs")
    assert "/login" in first_admin.url


def test_the_cookie_is_out_of_reach_for_scripts(first_admin: Page) -> None:
    cookies = {each["name"]: each for each in first_admin.context.cookies()}

    assert cookies["orgbridge_session"]["httpOnly"]
    assert cookies["orgbridge_session"]["sameSite"] == "Lax"
    assert "orgbridge" not in str(first_admin.evaluate("document.cookie"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_are_accessible_and_ask_nobody_outside(
    server: AppServer,
    first_admin: Page,
    context: Context,
    outside: list[str],
    dark: bool,
) -> None:
    """Axe, WCAG 2 A and AA, on every page with an empty database, beside Streamlit's own parts."""
    page = context(dark=dark).new_page()
    page.goto(f"{server.url}/login")
    found = violations(page)
    sign_in(page)
    for spec in registry.PAGES:
        if spec.is_hidden:
            continue
        page.goto(f"{server.url}/{'' if spec.is_default else spec.url_path}")
        settled(page)
        found += [f"{spec.url_path}: {each}" for each in violations(page)]

    assert not found, "\n".join(found)
    assert not outside
    assert PASSWORD not in server.log.read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """What axe says, without Streamlit's own navigation."""
    options = {
        "runOnly": ["wcag2a", "wcag2aa"],
        "resultTypes": ["violations"],
    }
    response = Axe().run(page, context={"exclude": [[NOT_OURS]]}, options=options).response
    return [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in response["violations"]
        for node in violation["nodes"]
    ]
