"""Attacks on the doors: every route and the WebSocket with every session that is none."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.access import people as accounts
from core.access import sessions
from core.access.sessions import Browser
from core.api import door, downloads, oidc, process, rest
from core.api.cookies import SESSION_COOKIE
from core.api.gate import Gate
from core.bootstrap import Orgbridge
from core.db.models import AuditLog, SignInAttempt
from core.domain.roles import Actor, Role
from core.errors import OrgbridgeError
from core.services import api_keys, operations, people, settings, workspaces
from pages import registry

HOST = "http://127.0.0.1:8501"
PASSWORD = "a short sentence is easy"
#: whatever lies behind the gate: pages, Streamlit's own routes, downloads
BEHIND = [
    *(f"/{page.url_path}" for page in registry.PAGES),
    *(route.path for route in downloads.routes() if isinstance(route, Route)),
    "/", "/_stcore/health", "/_stcore/host-config", "/_stcore/upload_file/x/y", "/media/x.csv",
    "/static/index.html", "/app/static/logo-light.svg", "/component/x", "/anything",
]  # fmt: skip


@dataclass
class Town:
    """A workspace with an admin, and a second one whose viewer is somebody else."""

    bridge: Orgbridge
    admin: Actor
    token: str
    other: Actor
    other_token: str

    def tokens(self) -> dict[str, str | None]:
        """Session tokens that open nothing."""
        return {
            "none": None,
            "empty": "",
            "wrong": "x" * 43,
            "long": "x" * 100_000,
            "not ascii": "é" * 20,
            "injected": "' OR 1=1 --",
            "an API key": api_keys.make(
                self.bridge, self.admin, name="k", role=Role.ADMIN
            ).text.reveal(),
            "expired": self._session(expired=True),
            "revoked": self._session(expired=False),
        }

    def _session(self, *, expired: bool) -> str:
        long_ago = self.bridge.clock() - 2 * sessions.LONGEST
        with self.bridge.owner_session() as session:
            assert self.admin.user_id is not None
            opened = sessions.open_session(
                session,
                user_id=self.admin.user_id,
                workspace_id=self.admin.workspace_id,
                browser=Browser("t"),
                now=long_ago if expired else self.bridge.clock(),
            )
            if not expired:
                sessions.close_session(session, opened.token, now=self.bridge.clock())
        return opened.token


@pytest.fixture
def town(bridge: Orgbridge) -> Town:
    code = people.issue_setup_code(bridge) or ""
    entered = people.create_first_admin(
        bridge, code=code, name="", email="ada@x.org", password=PASSWORD, origin="t"
    )
    visitor = people.who(bridge, entered.token)
    assert visitor is not None
    operator = Actor(bridge.workspace_id(), None, "terminal:x", Role.ADMIN, "terminal")
    there = dataclasses.replace(
        operator, workspace_id=workspaces.create(bridge, operator, name="other")
    )
    made = people.invite(bridge, there, name="Eve", email="eve@x.org", role=Role.ADMIN)
    eve = people.accept_invitation(
        bridge, token=made.token, name="Eve", password=PASSWORD, origin="t"
    )
    theirs = people.who(bridge, eve.token)
    assert theirs is not None
    return Town(bridge, visitor.actor, entered.token, theirs.actor, eve.token)


async def inside(request: Request) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def stream(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("inside")
    await socket.close()


@pytest.fixture
def app(bridge: Orgbridge) -> Iterator[Starlette]:
    process.hold(bridge)
    yield Starlette(
        routes=[
            *rest.routes(),
            *downloads.routes(),
            *oidc.routes(),
            *door.routes(),
            WebSocketRoute("/_stcore/stream", stream),
            Route("/{path:path}", inside, methods=["GET", "POST", "PUT", "DELETE"]),
        ],
        middleware=[Middleware(Gate, is_signed_in=door.is_signed_in)],
        exception_handlers={Exception: door.on_failure},
    )
    process.hold(None)


def browser(app: Starlette, token: str | None) -> TestClient:
    headers = {b"accept": b"text/html"}
    if token is not None:
        headers[b"cookie"] = f"{SESSION_COOKIE}={token}".encode()
    return TestClient(app, base_url=HOST, follow_redirects=False, headers=headers)


def test_no_route_opens_without_a_living_session(town: Town, app: Starlette) -> None:
    """All paths by all methods, with each token that is none; and the live connection."""
    for kind, token in town.tokens().items():
        caller = browser(app, token)
        for path in BEHIND:
            for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
                answer = caller.request(method, path)
                assert answer.status_code in {303, 401}, (kind, method, path)
                assert "inside" not in answer.text
        with pytest.raises(WebSocketDisconnect), caller.websocket_connect("/_stcore/stream"):
            pass
    assert browser(app, town.token).get("/orgs").text == "inside"


def test_a_session_of_another_workspace_sees_nothing_of_this_one(
    town: Town, app: Starlette
) -> None:
    """Her downloads hold her rows alone, and no key of hers finds an entry of ours."""
    settings.change_settings(town.bridge, town.admin, temporary_days=7)
    body = {"source": "a", "target": "b", "objects": ["Account"]}
    ours = operations.enqueue(town.bridge, town.admin, "record_counts", given=body)
    eve = browser(app, town.other_token)

    theirs = eve.get("/download/audit").text
    mine = browser(app, town.token).get("/download/audit").text
    key = api_keys.make(town.bridge, town.other, name="k", role=Role.ADMIN).text.reveal()
    shown = eve.get(
        f"/api/v1/operations/record_counts/{ours}", headers={"authorization": f"Bearer {key}"}
    )

    assert "settings.changed" in mine and "settings.changed" not in theirs
    assert "ada@x.org" not in theirs
    assert shown.status_code == 404
    with pytest.raises(OrgbridgeError):
        workspaces.enter(
            town.bridge,
            town.other,
            town.admin.workspace_id,
            session_id=_session_id(town, town.other_token),
        )
    with pytest.raises(OrgbridgeError):
        people.revoke_session(town.bridge, town.other, _session_id(town, town.token))
    assert people.who(town.bridge, town.token) is not None


def test_a_session_that_was_laid_before_signing_in_is_not_taken_over(
    town: Town, app: Starlette
) -> None:
    """Session fixation: every sign-in gets a token of its own, and the planted one stays dead."""
    caller = browser(app, None)
    caller.cookies.set(SESSION_COOKIE, "planted-by-somebody")
    tokens = {_signed_in(caller) for _ in range(3)}

    assert len(tokens) == 3 and "planted-by-somebody" not in tokens
    assert browser(app, "planted-by-somebody").get("/orgs").status_code == 303


TRICKS = (
    "/door/../core/config.py", "/door/..%2f..%2fcore%2fconfig.py", "/door/%2e%2e/orgs",
    "/door/....//orgs", "/oidc/../orgs", "/oidc/x/../../orgs", "/api/v1/../../orgs",
    "/login/../orgs", "//orgs", "/login%00", "/health/../_stcore/stream", "/door\\..\\orgs",
    "/door/door.css%00.png", "/door//etc/passwd", "/door/x/_stcore/host-config", "/oidc/x/y",
    "/oidc/x/callback/y", "/door/door.css/orgs", "/oidc/x/_stcore/health", "/oidc//callback",
)  # fmt: skip


def test_no_trick_with_a_path_leads_inside(town: Town, app: Starlette) -> None:
    """Nor does a path below an open one that no route of ours takes: Streamlit would answer it."""
    caller = browser(app, None)
    for path in TRICKS:
        answer = caller.get(path)

        assert answer.status_code in {303, 401, 404, 400}, path
        assert "inside" not in answer.text and "root:" not in answer.text, path
        assert "core.errors" not in answer.text


def test_guessing_keys_is_throttled_while_a_right_one_goes_on_working(
    town: Town, app: Starlette
) -> None:
    caller = browser(app, None)
    right = api_keys.make(town.bridge, town.admin, name="ci", role=Role.VIEWER).text.reveal()
    statuses = [
        caller.get(
            "/api/v1/operations", headers={"authorization": f"Bearer obk_{n:012x}_{'x' * 43}"}
        ).status_code
        for n in range(accounts.THROTTLE_AFTER + 3)
    ]
    after = caller.get("/api/v1/operations", headers={"authorization": f"Bearer {right}"})

    assert statuses[: accounts.THROTTLE_AFTER] == [401] * accounts.THROTTLE_AFTER
    assert 200 not in statuses
    assert after.status_code == 200
    with town.bridge.owner_session() as session:
        assert (session.scalar(sa.select(sa.func.count()).select_from(SignInAttempt)) or 0) > 0


def test_a_session_revoked_in_the_middle_ends_with_the_next_request(
    town: Town, app: Starlette
) -> None:
    caller = browser(app, town.token)
    assert caller.get("/orgs").text == "inside"

    people.revoke_session(town.bridge, town.admin, _session_id(town, town.token))

    assert caller.get("/orgs").status_code == 303
    with pytest.raises(WebSocketDisconnect), caller.websocket_connect("/_stcore/stream"):
        pass


def test_a_key_ends_with_its_person_its_time_and_its_revocation(town: Town) -> None:
    made = api_keys.make(town.bridge, town.admin, name="ci", role=Role.VIEWER, days=1)
    later = town.bridge.clock() + dt.timedelta(days=2)
    text = made.text.reveal()
    from core.access import api_keys as keys

    now = town.bridge.clock()
    assert keys.actor_of(town.bridge.engine, text, origin="t", now=now) is not None
    assert keys.actor_of(town.bridge.engine, text, origin="t", now=later) is None
    api_keys.revoke(town.bridge, town.admin, made.id)
    assert keys.actor_of(town.bridge.engine, text, origin="t", now=now) is None


HOSTILE = (
    "<script>alert(1)</script>", "'; DROP TABLE app_user; --", "=HYPERLINK(1)", "%s%s%n", "\x00x",
    "a" * 5_000, "../../etc/passwd", "{{7*7}}", "${jndi:ldap://x}", "\r\nSet-Cookie: a=b",
)  # fmt: skip


def test_a_form_of_the_door_that_is_too_large_is_refused(town: Town, app: Starlette) -> None:
    """Strangers reach these routes: neither a long field, nor many, nor a file fills the memory."""
    caller = browser(app, None)
    plain = {"content-type": "application/x-www-form-urlencoded"}
    parts = {"content-type": "multipart/form-data; boundary=b"}
    field = b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\n'
    file = b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n'
    bombs = ((plain, b"email="), (parts, field), (parts, file))
    answers = [
        caller.post(path, content=start + b"a" * 3_000_000, headers=headers)
        for path in ("/login", "/setup", "/invite")
        for headers, start in bombs
    ]
    many = "&".join(f"f{n}=1" for n in range(50))
    answers.append(caller.post("/login", content=many, headers=plain))

    assert [answer.status_code for answer in answers] == [400] * len(answers)
    assert "Traceback" not in "".join(answer.text for answer in answers)


def test_hostile_text_in_the_forms_stays_text(town: Town, app: Starlette) -> None:
    """Neither the answer nor the database nor the audit trail takes it for anything else."""
    caller = browser(app, None)
    for hostile in HOSTILE:
        drawn = caller.get("/login", params={"next": hostile[:100]}).text
        token = drawn.split('name="csrf" value="')[1].split('"')[0]
        typed = {"csrf": token, "email": hostile, "password": hostile, "next": hostile}
        answer = caller.post("/login", data=typed)

        assert answer.status_code == 400, hostile
        assert "<script>" not in answer.text and "Traceback" not in answer.text
        laid = {each.partition("=")[0] for each in answer.headers.get_list("set-cookie")}
        assert laid == {"orgbridge_csrf"}
    with town.bridge.owner_session() as session:
        trail = json.dumps([str(each) for each in session.scalars(sa.select(AuditLog.after))])
    assert not [hostile for hostile in HOSTILE if hostile in trail]


def _session_id(town: Town, token: str) -> UUID:
    visitor = people.who(town.bridge, token)
    assert visitor is not None
    return visitor.session_id


def _signed_in(caller: TestClient) -> str:
    drawn = caller.get("/login").text
    token = drawn.split('name="csrf" value="')[1].split('"')[0]
    answer = caller.post("/login", data={"csrf": token, "email": "ada@x.org", "password": PASSWORD})
    assert answer.status_code == 303
    (laid,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(SESSION_COOKIE)]
    return laid.split("=", 1)[1].split(";")[0]


NAMES = (
    "../../../../tmp/orgbridge-pwned.csv", "/etc/cron.d/orgbridge-pwned.csv", "C:\\Windows\\x.csv",
    "..\\..\\x.csv", "CON.csv", "a" * 300 + ".csv", "x\r\nSet-Cookie: a=b.csv",
    "\x1b[2J\u202egpj.csv", "%2e%2e%2fx.csv", "....//x.csv", "a.csv/../../b.csv",
    "<img src=x onerror=alert(1)>.csv",
)  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_names_of_uploaded_files_lead_nowhere(town: Town, app: Starlette, packed: bool) -> None:
    """Alone and as entries of a zip: a name is words; bytes lie under ids of ours, on the spool."""
    made = api_keys.make(town.bridge, town.admin, name="up", role=Role.ANALYST)
    key = {"authorization": f"Bearer {made.text.reveal()}"}
    caller = browser(app, None)
    home = town.bridge.settings.home

    def outside() -> set[Path]:
        return {path for path in home.parent.rglob("*") if home not in (path, *path.parents)}

    before = outside()
    for number, name in enumerate(NAMES):
        content = zip_of(name, b"Code,Name\n1,Ng\n") if packed else b"Code,Name\n1,Ng\n"
        asked = {"file_name": "delivery.zip" if packed else name}
        place = f"/api/v1/files/set {number}"

        answer = caller.put(place, params=asked, content=content, headers=key)

        assert answer.status_code == 201, (name, answer.text)
        (table,) = answer.json()["tables"]
        kept = table["file_name"]
        assert kept.endswith(".csv") and len(kept) <= 200 and kept.isprintable(), kept
        assert not set(kept) & set("/\\"), kept
    assert outside() == before
    assert not Path("/tmp/orgbridge-pwned.csv").exists()
    nul = caller.put("/api/v1/files/nul", params={"file_name": "a\0.csv"}, content=b"A\n1\n",
                     headers=key)  # fmt: skip
    assert (nul.status_code, "Traceback" in nul.text) == (404, False)


def test_a_zip_that_lies_about_its_size_unpacks_no_further(town: Town, app: Starlette) -> None:
    """40 MB of blanks that say of themselves that they are 1,000 bytes."""
    made = api_keys.make(town.bridge, town.admin, name="up", role=Role.ANALYST)
    key = {"authorization": f"Bearer {made.text.reveal()}"}
    honest = zip_of("a.csv", b"A,B\n" + b" " * 40_000_000)
    size = struct.pack("<I", 40_000_004)
    assert honest.count(size) >= 2
    lying = honest.replace(size, struct.pack("<I", 1_000))

    answers = [
        browser(app, None).put(
            f"/api/v1/files/{name}?file_name=a.zip", content=content, headers=key
        )
        for name, content in (("honest", honest), ("lying", lying))
    ]

    assert "times its size" in answers[0].json()["error"]
    assert (answers[1].status_code, answers[1].json()["error"]) == (
        422,
        "a.csv is damaged in its zip.",
    )
    with town.bridge.session(town.admin.workspace_id) as session:
        sizes = list(session.scalars(sa.text("SELECT bytes FROM file_set")))
    assert all(size < 1_000_000 for size in sizes)


DOWNLOADS = ("../../etc/passwd", '"; filename=x.exe; "', "x\r\nSet-Cookie: a=b", "..", "", "\u202e")


def test_the_header_of_a_download_carries_one_plain_name() -> None:
    for name in (*DOWNLOADS, "a" * 5_000 + ".csv"):
        header = downloads.streamed(name, []).headers["content-disposition"]

        kept = re.fullmatch(r'attachment; filename="([A-Za-z0-9_ -][A-Za-z0-9._ -]*)"', header)
        assert kept and len(kept[1]) <= 150, header


def zip_of(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        entry = zipfile.ZipInfo("placeholder.csv")
        entry.filename = name  # as written: ZipInfo itself would mend it
        pack.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
