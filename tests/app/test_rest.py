"""REST for scripts: the key is the only way in, every refusal is JSON."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from core.api import process, rest
from core.api.cookies import SESSION_COOKIE
from core.api.gate import Gate
from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.operations.carrying import carry
from core.services import api_keys, people
from tests.org.scripted_data import ScriptedData

OPERATIONS = "/api/v1/operations"


@pytest.fixture
def client(bridge: Orgbridge) -> Iterator[TestClient]:
    process.hold(bridge)
    app = Starlette(
        routes=rest.routes(), middleware=[Middleware(Gate, is_signed_in=lambda token: True)]
    )
    yield TestClient(app, base_url="http://127.0.0.1:8501", follow_redirects=False)
    process.hold(None)


@pytest.fixture
def admin(bridge: Orgbridge) -> Actor:
    code = people.issue_setup_code(bridge)
    assert code is not None
    signed = people.create_first_admin(
        bridge, code=code, name="Mira", email="m@a.example", password="a long sentence", origin="t"
    )
    visitor = people.who(bridge, signed.token)
    assert visitor is not None
    return visitor.actor


def key(bridge: Orgbridge, admin: Actor, role: Role) -> dict[str, str]:
    made = api_keys.make(bridge, admin, name=f"ci {role.name}", role=role)
    return {"authorization": f"Bearer {made.text.reveal()}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic x"},
        {"cookie": f"{SESSION_COOKIE}=good"},
    ],
)
@pytest.mark.parametrize("path", [OPERATIONS, "/api/v1/openapi.json", "/api/v1/nowhere"])
def test_without_a_key_nothing_answers(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    """A session cookie opens nothing here: another site's form could send it along."""
    answer = client.get(path, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"] == "An API key is needed."


def test_a_wrong_key_is_refused_as_such_however_often(client: TestClient) -> None:
    """The throttle on wrong keys is no fault of the request's form."""
    wrong = {"authorization": "Bearer wrong"}

    said = {client.get(OPERATIONS, headers=wrong).status_code for _ in range(30)}

    assert said == {401}


def test_a_launch_is_queued_and_ends_in_its_entry(
    bridge: Orgbridge, client: TestClient, admin: Actor
) -> None:
    org = ScriptedData("00D000000000001EAA")
    org.register(bridge, admin, "Legacy")
    org.rows = {"Account": [{"Id": "001000000000001AAA"}]}
    headers = key(bridge, admin, Role.ANALYST)
    given = {"source": "Legacy", "target": "Legacy", "objects": ["Account"]}

    launched = client.post(f"{OPERATIONS}/record_counts", json=given, headers=headers)
    assert launched.status_code == 202, launched.text
    shown = f"{OPERATIONS}/record_counts/{launched.json()['id']}"
    waiting = client.get(shown, headers=headers)
    carry(bridge, admin.workspace_id, UUID(launched.json()["id"]), kind="record_counts")
    ended = client.get(shown, headers=headers)
    org.http.stop()

    assert (launched.status_code, waiting.json()["status"]) == (202, "pending")
    assert ended.json()["status"] == "succeeded"
    assert ended.json()["result"]["objects"][0]["verdict"] == "match"


def test_what_is_wrong_is_said_in_json(bridge: Orgbridge, client: TestClient, admin: Actor) -> None:
    analyst, viewer = key(bridge, admin, Role.ANALYST), key(bridge, admin, Role.VIEWER)
    launch = f"{OPERATIONS}/record_counts"

    assert client.post(launch, content=b"{", headers=analyst).status_code == 422
    assert client.post(launch, json=[1], headers=analyst).status_code == 422
    unknown = client.post(launch, json={"nope": 1}, headers=analyst)
    assert (unknown.status_code, "nope" in unknown.json()["error"]) == (422, True)
    assert client.post(launch, json={"plan": "x"}, headers=viewer).status_code == 403
    assert client.post(f"{OPERATIONS}/nothing", json={}, headers=analyst).status_code == 404
    assert client.get(f"{launch}/not-an-id", headers=analyst).status_code == 404
    assert client.get("/api/v1/nowhere", headers=analyst).status_code == 404
    assert client.post(launch, content=b"x" * 1_100_000, headers=analyst).status_code == 413


def test_the_openapi_page_names_every_operation_that_the_key_may_launch(
    bridge: Orgbridge, client: TestClient, admin: Actor
) -> None:
    headers = key(bridge, admin, Role.ANALYST)
    listed = client.get(OPERATIONS, headers=headers).json()["operations"]
    document = client.get("/api/v1/openapi.json", headers=headers).json()

    assert document["openapi"].startswith("3.1")
    for card in listed:
        body = document["paths"][f"{OPERATIONS}/{card['kind']}"]["post"]["requestBody"]
        assert body["content"]["application/json"]["schema"] == card["schema"]
    assert "record_counts" in {card["kind"] for card in listed}
    few = client.get(OPERATIONS, headers=key(bridge, admin, Role.VIEWER)).json()["operations"]
    assert few == []


def test_a_file_is_uploaded_read_and_listed(
    bridge: Orgbridge, client: TestClient, admin: Actor
) -> None:
    headers = key(bridge, admin, Role.ANALYST)
    content = b"Code;Name\r\n1;M\xc3\xbcller\r\n2;Ng\r\n"

    kept = client.put("/api/v1/files/people?file_name=People.csv", content=content, headers=headers)
    assert kept.status_code == 201, kept.text
    launched = client.post(f"{OPERATIONS}/read_files", json={"files": "people"}, headers=headers)
    carry(bridge, admin.workspace_id, UUID(launched.json()["id"]), kind="read_files")

    (listed,) = client.get("/api/v1/files", headers=headers).json()["files"]
    assert (listed["status"], listed["rows"], listed["tables"][0]["object"]) == (
        "read",
        2,
        "People",
    )
    twice = client.put("/api/v1/files/people", content=content, headers=headers)
    assert (twice.status_code, "already" in twice.json()["error"]) == (422, True)
    no_plan = client.post("/api/v1/files/people/plan", json={"plan": "none"}, headers=headers)
    assert no_plan.status_code == 404
    bomb = client.put("/api/v1/files/x?file_name=x.zip", content=b"PK", headers=headers)
    assert "no zip file" in bomb.json()["error"]
    viewer = key(bridge, admin, Role.VIEWER)
    assert client.put("/api/v1/files/y", content=content, headers=viewer).status_code == 403
