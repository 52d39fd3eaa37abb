"""The gate and the door's forms, driven as HTTP without a server process."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.api import csrf
from core.api.cookies import CSRF_COOKIE, SESSION_COOKIE
from core.api.door import local_path
from core.api.gate import Gate, is_open
from core.errors import UserError

HTML = {"accept": "text/html,application/xhtml+xml"}


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"behind the gate: {request.url.path}")


async def stream(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


@pytest.fixture
def client() -> TestClient:
    app = Starlette(
        routes=[
            WebSocketRoute("/_stcore/stream", stream),
            Route("/{path:path}", page, methods=["GET", "POST"]),
        ],
        middleware=[Middleware(Gate, is_signed_in=lambda token: token == "good")],
    )
    return TestClient(app, base_url="http://127.0.0.1:8501", follow_redirects=False)


@pytest.mark.parametrize("path", ["/", "/orgs", "/run?run=R-7&tab=errors", "/_stcore/x", "/logout"])
def test_a_browser_without_session_is_sent_to_sign_in_and_back(
    client: TestClient, path: str
) -> None:
    answer = client.get(path, headers=HTML)

    assert answer.status_code == 303
    where = answer.headers["location"]
    assert where.startswith("/login?next=")
    assert "behind the gate" not in answer.text


@pytest.mark.parametrize(
    "path", ["/_stcore/health", "/_stcore/metrics", "/static/x.js", "/media/x", "/app/static/a"]
)
def test_anything_else_without_session_gets_401(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 401
    assert "behind the gate" not in answer.text


def test_a_post_without_session_is_not_redirected_but_refused(client: TestClient) -> None:
    assert client.post("/_stcore/upload_file", headers=HTML).status_code == 401


@pytest.mark.parametrize("path", ["/login", "/setup", "/oauth/callback", "/health", "/door/a.css"])
def test_the_door_itself_answers_without_session(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/loginx", "/login/", "/door", "/door/../app", "/health/x", "/setupx", "//login"]
)
def test_only_exact_paths_are_open(path: str) -> None:
    assert not is_open(path)


def test_a_valid_session_passes_and_an_invalid_one_does_not(client: TestClient) -> None:
    client.cookies.set(SESSION_COOKIE, "good")
    passed = client.get("/orgs", headers=HTML)
    client.cookies.set(SESSION_COOKIE, "bad")
    refused = client.get("/orgs", headers=HTML)

    assert passed.status_code == 200
    assert refused.status_code == 303


def test_a_websocket_without_session_is_refused(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass


def test_a_websocket_of_another_site_is_refused_even_with_our_cookie(client: TestClient) -> None:
    client.cookies.set(SESSION_COOKIE, "good")

    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/_stcore/stream", headers={"origin": "https://evil.example"}),
    ):
        pass


def test_a_websocket_with_session_from_our_own_page_opens(client: TestClient) -> None:
    headers = {
        "origin": "http://127.0.0.1:8501",
        "host": "127.0.0.1:8501",
        "cookie": f"{SESSION_COOKIE}=good",
    }
    with client.websocket_connect("/_stcore/stream", headers=headers) as socket:
        assert socket.receive_text() == "hello"


def test_every_answer_forbids_foreign_hosts_and_frames(client: TestClient) -> None:
    for path in ("/login", "/orgs"):
        headers = client.get(path, headers=HTML).headers
        policy = headers["content-security-policy"]

        assert "default-src 'self'" in policy
        assert "http" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ("/run?run=R-7", "/run?run=R-7"),
        ("", "/"),
        ("orgs", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/orgs\r\nSet-Cookie: a=b", "/"),
        ("/login?next=/login", "/"),
        ("/_stcore/health", "/"),
    ],
)
def test_sign_in_leads_to_pages_of_this_site_only(wanted: str, goes_to: str) -> None:
    assert local_path(wanted) == goes_to


def request_with(cookies: str, **headers: str) -> Request:
    raw = [(b"cookie", cookies.encode()), (b"host", b"127.0.0.1:8501")]
    raw += [(name.encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/login", "headers": raw})


def test_a_form_passes_only_with_the_cookie_of_the_browser_it_was_drawn_for() -> None:
    value, token = csrf.new_token(request_with(""))

    csrf.check(request_with(f"{CSRF_COOKIE}={value}"), token)
    csrf.check(request_with(f"{CSRF_COOKIE}={value}", origin="http://127.0.0.1:8501"), token)
    for cookies, sent in (
        ("", token),
        (f"{CSRF_COOKIE}=other", token),
        (f"{CSRF_COOKIE}={value}", ""),
        (f"{CSRF_COOKIE}={value}", token[:-2] + "xx"),
    ):
        with pytest.raises(UserError):
            csrf.check(request_with(cookies), sent)


def test_a_cookie_that_is_no_plain_text_is_a_wrong_one() -> None:
    _, token = csrf.new_token(request_with(""))

    with pytest.raises(UserError):
        csrf.check(request_with(f"{CSRF_COOKIE}=\xe9"), token)


def test_a_form_sent_by_another_site_is_refused() -> None:
    value, token = csrf.new_token(request_with(""))

    with pytest.raises(UserError):
        csrf.check(request_with(f"{CSRF_COOKIE}={value}", origin="https://evil.example"), token)
