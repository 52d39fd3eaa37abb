"""The door's routes with the real services behind them, as a browser would use them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from core.access import people as accounts
from core.api import door, process
from core.api.cookies import SESSION_COOKIE
from core.api.gate import Gate
from core.bootstrap import Orgbridge
from core.db import schema
from core.db.models import AppUser, AuditLog, UserSession
from core.domain.roles import Actor, Role
from core.services import people

HOST = "http://127.0.0.1:8501"
PASSWORD = "a short sentence is easy"
HTML = {"accept": "text/html"}
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


async def inside(request: Request) -> PlainTextResponse:
    return PlainTextResponse("inside")


@pytest.fixture
def app(bridge: Orgbridge) -> Iterator[Starlette]:
    """The gate, the door and one page behind them."""
    process.hold(bridge)
    yield Starlette(
        routes=[*door.routes(), Route("/{path:path}", inside, methods=["GET", "POST"])],
        middleware=[Middleware(Gate, is_signed_in=door.is_signed_in)],
    )
    process.hold(None)


@pytest.fixture
def browser(app: Starlette) -> TestClient:
    return TestClient(app, base_url=HOST, follow_redirects=False, headers=HTML)


def send(browser: TestClient, path: str, **typed: str) -> tuple[int, str]:
    """Open a form, fill it in, send it; status and where it leads (or its text)."""
    drawn = browser.get(path).text
    token = _CSRF.search(drawn)
    assert token is not None, drawn
    answer = browser.post(path.partition("?")[0], data={"csrf": token[1], **typed})
    return answer.status_code, answer.headers.get("location", answer.text)


def set_up(browser: TestClient, bridge: Orgbridge) -> None:
    code = people.issue_setup_code(bridge) or ""
    status, where = send(
        browser, "/setup", code=code, name="Ada", email="ada@x.org", password=PASSWORD
    )
    assert (status, where) == (303, "/")


def counts(bridge: Orgbridge) -> tuple[int, ...]:
    with bridge.owner_session() as session:
        return tuple(
            session.scalar(sa.select(sa.func.count()).select_from(model)) or 0
            for model in (AppUser, UserSession, AuditLog)
        )


def test_first_admin_signs_in_out_and_in_again(bridge: Orgbridge, browser: TestClient) -> None:
    """From the one-time code to a deep link that survives signing in."""
    assert browser.get("/login").headers["location"] == "/setup"
    set_up(browser, bridge)
    assert browser.get("/orgs").text == "inside"
    assert browser.get("/setup").headers["location"] == "/login"

    assert send(browser, "/logout") == (303, "/login")
    turned = browser.get("/run?run=R-7")
    assert turned.headers["location"] == "/login?next=%2Frun%3Frun%3DR-7"
    status, where = send(
        browser,
        turned.headers["location"],
        email="ada@x.org",
        password=PASSWORD,
        next="/run?run=R-7",
    )

    assert (status, where) == (303, "/run?run=R-7")
    assert browser.get(where).text == "inside"


def test_cookie_is_out_of_reach_for_scripts_and_other_sites(
    bridge: Orgbridge, browser: TestClient
) -> None:
    set_up(browser, bridge)
    send(browser, "/logout")
    form = browser.get("/login").text
    token = _CSRF.search(form)
    assert token is not None
    answer = browser.post(
        "/login", data={"csrf": token[1], "email": "ada@x.org", "password": PASSWORD}
    )

    (laid,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(SESSION_COOKIE)]
    assert "httponly" in laid.lower() and "samesite=" in laid.lower()
    assert "samesite=none" not in laid.lower()


def test_stolen_cookie_is_worth_nothing_after_signing_out(
    bridge: Orgbridge, app: Starlette, browser: TestClient
) -> None:
    """The session ends on the server, not in the browser alone."""
    set_up(browser, bridge)
    stolen = browser.cookies[SESSION_COOKIE]
    thief = TestClient(app, base_url=HOST, follow_redirects=False)
    thief.cookies.set(SESSION_COOKIE, stolen)
    assert thief.get("/orgs").text == "inside"

    send(browser, "/logout")

    assert thief.get("/orgs").status_code == 401


@pytest.mark.parametrize(
    "path", [r.path for r in door.routes() if isinstance(r, Route) and "POST" in (r.methods or ())]
)
@pytest.mark.parametrize("token", ["", "invented"])
def test_every_post_without_our_form_does_nothing(
    bridge: Orgbridge, browser: TestClient, path: str, token: str
) -> None:
    """Right data, wrong form: refused before the act, on every route that acts."""
    set_up(browser, bridge)
    code = people.issue_setup_code(bridge) or "none"
    before = counts(bridge)
    everything = {
        "csrf": token,
        "email": "ada@x.org",
        "password": PASSWORD,
        "code": code,
        "name": "Eve",
        "token": "x",
    }

    answer = browser.post(path, data=everything)

    assert answer.status_code == 400
    assert counts(bridge) == before
    assert browser.get("/orgs").text == "inside"


def test_lockout_tells_the_time_and_not_who_exists(
    bridge: Orgbridge, app: Starlette, browser: TestClient
) -> None:
    set_up(browser, bridge)
    stranger = TestClient(app, base_url=HOST, follow_redirects=False, headers=HTML)
    answers = []
    for email in ("ada@x.org", "nobody@x.org"):
        for _ in range(accounts.LOCK_AFTER):
            send(stranger, "/login", email=email, password="wrong password")
        status, text = send(stranger, "/login", email=email, password=PASSWORD)
        answers.append((status, re.sub(r"\d\d:\d\d UTC|value=\"[^\"]*\"", "", text)))

    assert answers[0] == answers[1]
    assert answers[0][0] == 400
    assert "Too many wrong passwords" in answers[0][1] and "Try again in" in answers[0][1]


def test_invited_person_chooses_a_password_once(
    bridge: Orgbridge, app: Starlette, browser: TestClient
) -> None:
    operator = Actor(bridge.workspace_id(), None, "terminal:x", Role.ADMIN, "terminal")
    set_up(browser, bridge)
    made = people.invite(bridge, operator, name="", email="bo@x.org", role=Role.VIEWER)
    bo = TestClient(app, base_url=HOST, follow_redirects=False, headers=HTML)
    link = f"/invite?token={made.token}"

    assert send(bo, link, token=made.token, name="Bo", password="short")[0] == 400
    assert send(bo, link, token=made.token, name="Bo", password=PASSWORD) == (303, "/")
    assert bo.get("/orgs").text == "inside"

    again = TestClient(app, base_url=HOST, follow_redirects=False, headers=HTML)
    status, text = send(again, link, token=made.token, name="Eve", password=PASSWORD)
    assert status == 400 and "not valid" in text


def test_invented_oauth_answer_connects_nothing(bridge: Orgbridge, browser: TestClient) -> None:
    set_up(browser, bridge)
    before = counts(bridge)

    answer = browser.get("/oauth/callback?state=invented&code=x")

    assert answer.status_code == 400 and "was not connected" in answer.text
    assert counts(bridge) == before


def test_health_tells_whether_a_newer_version_has_overtaken_this_one(
    bridge: Orgbridge, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older app goes on working, so it stays in a proxy's list; no word more to strangers."""
    stranger = TestClient(app, base_url=HOST)
    said = [stranger.get("/health")]
    with monkeypatch.context() as older:
        older.setattr(schema, "HEAD_REVISION", "0001")
        said.append(stranger.get("/health"))
    process.hold(None)
    said.append(stranger.get("/health"))

    assert [(each.status_code, each.json()) for each in said] == [
        (200, {"status": "ok"}),
        (200, {"status": "outdated"}),
        (503, {"status": "unavailable"}),
    ]


def test_home_by_its_name_leads_home(browser: TestClient, bridge: Orgbridge) -> None:
    """Streamlit knows the default page at / only; a stranger signs in first."""
    set_up(browser, bridge)
    within = browser.get("/home")
    browser.cookies.clear()
    outside = browser.get("/home")

    assert (within.status_code, within.headers["location"]) == (303, "/")
    assert outside.headers["location"] == "/login?next=%2Fhome"
