"""The app as a real process: nothing answers before sign-in, whatever is asked first."""

from __future__ import annotations

import dataclasses
import http.client
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from core.access import people as accounts
from core.config import Settings
from core.secret import Secret
from pages import registry
from tests.appserver import AppServer, app_server
from tests.conftest import TEMPLATE, TEST_KEY, TestServer

ADDRESSES = [f"/{page.url_path}" for page in registry.PAGES]
INSIDE = [
    "/_stcore/health",
    "/_stcore/host-config",
    "/_stcore/metrics",
    "/_stcore/script-health-check",
    "/_stcore/agent/openapi.json",
    "/orgs/_stcore/health",
    "/door/x/_stcore/host-config",
    "/oidc/x/_stcore/host-config",
    "/app/static/logo-light.svg",
    "/static/index.html",
    "/media/x",
    "/api/anything",
]


@pytest.fixture(scope="module")
def server(
    test_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppServer]:
    """One app for the tests that only ask; those that need a fresh one start their own."""
    folder = tmp_path_factory.mktemp("app")
    with test_server.database(TEMPLATE) as url:
        settings = Settings(database_url=url, home=folder / "home", key=Secret(TEST_KEY))
        with app_server(settings, folder) as running:
            yield running


def ask(
    server: AppServer, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    """One request, redirects not followed."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    connection.request(method, path, headers=headers or {"accept": "text/html"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_each_page_is_gated_first_thing_and_the_app_stops_when_told_to(
    settings: Settings, tmp_path: Path
) -> None:
    """Before any session ran st.navigation, a deep link must not run a page script.

    uvicorn ends its lifespan and then lets the signal through: the status names it.
    """
    with app_server(settings, tmp_path) as fresh:
        for address in ADDRESSES:
            answer = ask(fresh, address)

            assert answer.status == 303, address
            assert str(answer.getheader("location")).startswith("/login?next="), address
        fresh.process.terminate()

        assert fresh.process.wait(timeout=20) in {0, -signal.SIGTERM}
        told = fresh.log.read_text(encoding="utf-8")
        assert "app has let go of everything" in told
        assert "Traceback" not in told


def test_nothing_inside_answers_and_health_says_only_that(server: AppServer) -> None:
    for path in INSIDE:
        assert ask(server, path, headers={"accept": "*/*"}).status == 401, path
    assert ask(server, "/health").status == 200


def test_the_websocket_is_refused_without_a_session(server: AppServer) -> None:
    handshake = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for cookie in ({}, {"cookie": "orgbridge_session=guessed"}):
        assert ask(server, "/_stcore/stream", headers=handshake | cookie).status == 403


def test_it_listens_on_loopback_only_and_prints_a_setup_code(server: AppServer) -> None:
    listening = [
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    port = f"{urlsplit(server.url).port:04X}"
    addresses = {entry.split(":")[0] for entry in listening if entry.endswith(f":{port}")}

    assert addresses == {"0100007F"}
    assert len(server.setup_code) == 23


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)], ids=["nobody trusted", "proxy trusted"])
def test_only_a_trusted_proxy_says_for_whom_it_asks(
    settings: Settings, tmp_path: Path, trusted: tuple[str, ...]
) -> None:
    """Otherwise whoever names another address with each try escapes the throttle by address."""
    with app_server(dataclasses.replace(settings, trusted_proxies=trusted), tmp_path) as running:
        for number in range(accounts.THROTTLE_AFTER + 1):
            status, text = ask_as(running, f"203.0.113.{number}")

    assert status == 400
    assert ("Too many attempts from this address" in text) is (not trusted)


def ask_as(server: AppServer, address: str) -> tuple[int, str]:
    """Send the setup form with a wrong code, in the name of an address."""
    with httpx2.Client(base_url=server.url, headers={"x-forwarded-for": address}) as browser:
        drawn = browser.get("/setup").text
        token = re.search(r'name="csrf" value="([^"]+)"', drawn)
        assert token is not None
        answer = browser.post("/setup", data={"csrf": token[1], "code": "wrong", "email": "a@b.c"})
        return answer.status_code, answer.text
