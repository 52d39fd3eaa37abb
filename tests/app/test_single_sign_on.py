"""Single sign-on against a provider in its own process: the way in, and the ways to be kept out."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
import urllib3
import yaml
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from core import bootstrap
from core.access.providers import read_providers
from core.api import door, oidc, process
from core.api.cookies import SESSION_COOKIE
from core.api.gate import Gate
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.models import AppUser, AuditLog, UserSession
from core.domain.roles import Actor, Role
from core.errors import ConfigError
from core.services import people, workspaces
from tests.app.identity_provider import CLIENT_ID, CLIENT_SECRET
from tests.appserver import free_port
from tests.conftest import PROJECT
from tests.orgs import wait_for

HOST = "http://127.0.0.1:8501"
PASSWORD = "a short sentence is easy"
ANN = {"sub": "u-1", "email": "ann@acme.example", "email_verified": True, "name": "Ann"}


@dataclasses.dataclass
class Provider:
    """The provider's process, and what to say to it."""

    url: str
    http: urllib3.PoolManager

    def knows(self, **person: Any) -> None:
        self.http.request("POST", f"{self.url}/_test/person", json=person)

    def logout_token(self, query: str = "") -> str:
        answer = self.http.request("GET", f"{self.url}/_test/logout_token{query}")
        return str(answer.json()["token"])

    def times_asked_for_keys(self) -> int:
        answer = self.http.request("GET", f"{self.url}/_test/asked_for_keys")
        return int(answer.json()["times"])

    def follow(self, url: str) -> str:
        """What the person's browser is sent back to."""
        answer = self.http.request("GET", url, redirect=False)
        assert answer.status == 307, answer.data
        return str(answer.headers["location"])


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    port, http = free_port(), urllib3.PoolManager(retries=False)
    script = Path(__file__).with_name("identity_provider.py")
    process_ = subprocess.Popen([sys.executable, str(script), str(port)], cwd=PROJECT)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return bool(http.request("GET", f"{url}/keys", timeout=2).status == 200)
        except urllib3.exceptions.HTTPError:
            return False

    wait_for(answers, 60)
    yield Provider(url, http)
    process_.terminate()
    process_.wait(timeout=20)


@pytest.fixture
def house(settings: Settings, provider: Provider) -> Iterator[Orgbridge]:
    """The product with two providers (one by groups, one for all of a domain) and a first admin."""
    settings.home.mkdir(parents=True)
    common = {"issuer": provider.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    by_group = {"role_claim": "groups", "roles": {"ops": "admin", "team": "analyst"}}
    file = settings.home / "oidc.yaml"
    given = [
        {"name": "acme", "title": "Acme", **common, **by_group},
        {"name": "all", "title": "All", **common, "default_role": "viewer", "domains": ["x.org"]},
        {"name": "guest", "title": "Guest", **common, "workspace": "Guests", **by_group},
    ]
    file.write_text(yaml.safe_dump({"providers": given}))
    file.chmod(0o600)
    with bootstrap.build(settings) as bridge:
        process.hold(bridge)
        code = people.issue_setup_code(bridge) or ""
        people.create_first_admin(
            bridge, code=code, name="", email="ada@x.org", password=PASSWORD, origin="t"
        )
        yield bridge
        process.hold(None)


async def inside(request: Request) -> PlainTextResponse:
    return PlainTextResponse("inside")


@pytest.fixture
def app(house: Orgbridge) -> Starlette:
    return Starlette(
        routes=[*oidc.routes(), *door.routes(), Route("/{path:path}", inside)],
        middleware=[Middleware(Gate, is_signed_in=door.is_signed_in)],
    )


@pytest.fixture
def browser(app: Starlette) -> TestClient:
    return TestClient(app, base_url=HOST, follow_redirects=False, headers={"accept": "text/html"})


def go(
    browser: TestClient, provider: Provider, *, name: str = "acme", wanted: str = "/runs"
) -> tuple[int, str]:
    """The whole round trip; status and where it leads (or its text)."""
    begun = browser.get(f"/oidc/{name}?next={wanted}")
    assert begun.status_code == 303, begun.text
    back = provider.follow(begun.headers["location"])
    answer = browser.get(back.removeprefix(HOST))
    return answer.status_code, answer.headers.get("location", answer.text)


def role_of(bridge: Orgbridge, browser: TestClient) -> Role | None:
    visitor = people.who(bridge, browser.cookies.get(SESSION_COOKIE) or "")
    return visitor.actor.role if visitor else None


def test_the_sign_in_page_offers_each_provider(browser: TestClient) -> None:
    page = browser.get("/login?next=/run%3Frun%3D7").text

    assert re.findall(r'href="(/oidc/[^"]+)">([^<]+)<', page) == [
        ("/oidc/acme?next=%2Frun%3Frun%3D7", "Sign in with Acme"),
        ("/oidc/all?next=%2Frun%3Frun%3D7", "Sign in with All"),
        ("/oidc/guest?next=%2Frun%3Frun%3D7", "Sign in with Guest"),
    ]


def test_a_stranger_with_a_group_joins_with_its_role_and_comes_back_where_they_wanted(
    house: Orgbridge, browser: TestClient, provider: Provider
) -> None:
    provider.knows(**ANN, groups=["team", "other"])

    assert go(browser, provider) == (303, "/runs")
    assert browser.get("/orgs").text == "inside"
    assert role_of(house, browser) is Role.ANALYST
    provider.knows(**ANN, groups=["ops"])
    assert go(browser, provider) == (303, "/runs")
    assert role_of(house, browser) is Role.ADMIN
    with house.owner_session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(AppUser)) == 2
        acts = session.scalars(sa.select(AuditLog.action).where(AuditLog.actor == ANN["email"]))
        assert list(acts) == ["person.joined", "session.opened", "session.opened"]


def test_a_verified_address_links_the_account_once(
    house: Orgbridge, browser: TestClient, provider: Provider
) -> None:
    """Afterwards the subject decides, not the address; another subject does not get the account."""
    provider.knows(sub="ada-1", email="ADA@x.org", email_verified=True)
    assert go(browser, provider, name="all")[0] == 303
    assert role_of(house, browser) is Role.ADMIN

    provider.knows(sub="ada-1", email="renamed@elsewhere.example", email_verified=False)
    assert go(browser, provider, name="all")[0] == 303
    visitor = people.who(house, browser.cookies[SESSION_COOKIE])
    assert visitor is not None and visitor.email == "ada@x.org"

    provider.knows(sub="thief", email="ada@x.org", email_verified=True)
    status, text = go(browser, provider, name="all")
    assert status == 400 and "signs in as somebody else" in text


def test_a_provider_of_one_workspace_opens_no_account_of_another(
    house: Orgbridge, browser: TestClient, provider: Provider
) -> None:
    """Whoever runs that provider could name any address; a session reaches all of an account."""
    operator = Actor(house.workspace_id(), None, "terminal:x", Role.ADMIN, "terminal")
    guests = workspaces.create(house, operator, name="Guests")
    there = dataclasses.replace(operator, workspace_id=guests)
    provider.knows(sub="evil", email="ada@x.org", email_verified=True, groups=["ops"])
    claim = "belongs to another workspace"

    assert claim in go(browser, provider, name="guest")[1]
    workspaces.join(house, there, email="ada@x.org", role=Role.VIEWER)
    assert claim in go(browser, provider, name="guest")[1]
    assert role_of(house, browser) is None

    provider.knows(sub="g-1", email="guest@g.org", email_verified=True, groups=["team"])
    assert go(browser, provider, name="guest")[0] == 303
    assert role_of(house, browser) is Role.ANALYST


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_an_address_that_is_not_verified_opens_no_account(
    house: Orgbridge, browser: TestClient, provider: Provider, verified: object
) -> None:
    provider.knows(sub="x", email="ada@x.org", email_verified=verified)

    status, text = go(browser, provider, name="all")

    assert status == 400 and "is verified" in text
    assert role_of(house, browser) is None


def test_who_has_no_role_or_another_domain_stays_out(
    house: Orgbridge, browser: TestClient, provider: Provider
) -> None:
    provider.knows(**ANN, groups=["unknown"])
    assert "no role here" in go(browser, provider)[1]
    assert "not let in" in go(browser, provider, name="all")[1]

    with house.owner_session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(AppUser)) == 1


@pytest.mark.parametrize(
    "fault",
    ["nonce", "audience", "issuer", "expired", "unsigned", "shared_key", "other_key", "no_token",
     "declined"],
)  # fmt: skip
def test_an_answer_that_proves_nothing_signs_nobody_in(
    house: Orgbridge, browser: TestClient, provider: Provider, fault: str
) -> None:
    provider.knows(**ANN, groups=["team"], fault=fault)

    status, text = go(browser, provider)

    assert status == 400 and "did not sign you in" in text
    assert role_of(house, browser) is None
    assert CLIENT_SECRET not in text


def test_an_answer_is_good_once_and_only_in_the_browser_that_began(
    house: Orgbridge, app: Starlette, browser: TestClient, provider: Provider
) -> None:
    """Neither a stolen answer nor one that an attacker began for a victim signs anybody in."""
    provider.knows(**ANN, groups=["team"])
    begun = browser.get("/oidc/acme").headers["location"]
    back = provider.follow(begun).removeprefix(HOST)
    victim = TestClient(app, base_url=HOST, follow_redirects=False)
    foreign = victim.get(back)
    own_trip = victim.get("/oidc/acme")
    mixed = victim.get(back)

    assert own_trip.status_code == 303
    assert [each.status_code for each in (foreign, mixed)] == [400, 400]
    assert role_of(house, victim) is None
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 400
    asked = parse_qs(urlsplit(begun).query)
    assert asked["code_challenge_method"] == ["S256"] and asked["nonce"] and asked["state"]
    assert asked["redirect_uri"] == [f"{HOST}/oidc/acme/callback"]


def test_a_session_ends_with_the_account(
    house: Orgbridge, browser: TestClient, provider: Provider
) -> None:
    """Here by deactivation, at the provider by its logout token or by the lost group."""
    operator = Actor(house.workspace_id(), None, "terminal:x", Role.ADMIN, "terminal")
    provider.knows(**ANN, groups=["team"])
    go(browser, provider)
    assert browser.get("/orgs").text == "inside"

    ordinary = browser.post("/oidc/acme/logout", data={"logout_token": "no token"})
    not_one = {"logout_token": provider.logout_token("?nonce=1")}
    assert (
        ordinary.status_code == browser.post("/oidc/acme/logout", data=not_one).status_code == 400
    )
    assert browser.get("/orgs").text == "inside"
    told = browser.post("/oidc/acme/logout", data={"logout_token": provider.logout_token()})
    assert told.status_code == 200
    assert browser.get("/orgs").status_code == 303

    go(browser, provider)
    ann = next(each for each in people.people(house, operator) if each.email == ANN["email"])
    people.deactivate(house, operator, ann.id)
    assert browser.get("/orgs").status_code == 303
    assert "deactivated" in go(browser, provider)[1]
    people.reactivate(house, operator, ann.id)
    provider.knows(**ANN, groups=[])
    assert "no role here any more" in go(browser, provider)[1]
    with house.owner_session() as session:
        living = sa.select(UserSession).where(
            UserSession.user_id == ann.id, UserSession.revoked_at.is_(None)
        )
        assert session.scalars(living).all() == []


def test_forged_logout_tokens_end_nothing_and_cost_the_provider_nothing(
    browser: TestClient, provider: Provider
) -> None:
    """Anybody may send them, as many as they like: each names a key that nobody has seen yet."""
    odd = [{"alg": "RS256", "crit": 1}, {"alg": "none"}, {"alg": ["RS256"]}, [], "x"]
    unknown = [{"alg": "RS256", "kid": f"key-{number}"} for number in range(20)]
    browser.post("/oidc/acme/logout", data={"logout_token": "the keys are known after it"})
    before = provider.times_asked_for_keys()

    for header in (*odd, *unknown):
        parts = [json.dumps(each).encode() for each in (header, {"sub": "u-1"})]
        token = b".".join([*(base64.urlsafe_b64encode(each).rstrip(b"=") for each in parts), b"AA"])
        answer = browser.post("/oidc/acme/logout", data={"logout_token": token.decode()})
        assert (answer.status_code, answer.text) == (400, "invalid_request")

    assert provider.times_asked_for_keys() == before


def test_the_last_admin_stays_one_whatever_the_provider_says(
    house: Orgbridge, browser: TestClient, provider: Provider
) -> None:
    provider.knows(sub="ada-1", email="ada@x.org", email_verified=True, groups=["team"])

    go(browser, provider)

    assert role_of(house, browser) is Role.ADMIN


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"issuer": "http://login.example"}, "must begin with https"),
        ({"roles": {"ops": "boss"}}, "no role 'boss'"),
        ({"name": "../x"}, "name"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_a_wrong_file_is_refused_at_the_start_without_its_secrets(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    entry = {"name": "a", "title": "A", "issuer": "https://a.example", "client_id": "c"}
    file = tmp_path / "oidc.yaml"
    file.write_text(
        yaml.safe_dump({"providers": [{**entry, "client_secret": "pLanted", **change}]})
    )
    file.chmod(0o600)

    with pytest.raises(ConfigError, match=reason) as caught:
        read_providers(file)
    assert "pLanted" not in str(caught.value)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read it"):
        read_providers(file)
