"""One session for all callers: renewed once, rotated, ended once and for all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from core.errors import SessionLostError
from core.salesforce.client import OrgClient
from core.salesforce.credentials import Credentials, TokenFlow
from core.secret import Secret
from tests.org.scripted_org import SESSION_EXPIRED, Reply, ScriptedOrg, Seen, outcomes

ONE_ROW = {"totalSize": 1, "done": True, "records": [{"attributes": {}, "Id": "1"}]}


def held(org: ScriptedOrg, **given: object) -> Credentials:
    values: dict[str, object] = {
        "instance_url": org.url,
        "access_token": Secret("old-token"),
        "refresh_token": Secret("refresh-1"),
        "client_id": "app",
        "flow": TokenFlow.WEB_SERVER,
        "api_version": "67.0",
        **given,
    }
    return Credentials(**values)  # type: ignore[arg-type]


def accepts(org: ScriptedOrg, token: str) -> None:
    """Queries and writes answer this token only."""

    def guarded(reply: Reply):  # type: ignore[no-untyped-def]
        return lambda seen: reply if seen.token == token else Reply(401, SESSION_EXPIRED)

    org.on("GET", r"/query", guarded(Reply(body=ONE_ROW)))
    org.on("POST", r"/composite/sobjects", guarded(outcomes(["001000000000001AAA"])))


def grants(org: ScriptedOrg, **answer: str) -> None:
    document = {"access_token": "new-token", "instance_url": org.url, **answer}
    org.on("POST", r"/services/oauth2/token", Reply(body=document))


def test_a_storm_of_expired_calls_renews_the_session_once(org: ScriptedOrg) -> None:
    accepts(org, "new-token")
    grants(org)
    client = OrgClient(held(org))
    together = threading.Barrier(20)

    def ask(_: int) -> int:
        together.wait()
        return len(list(client.query("SELECT Id FROM Account")))

    with ThreadPoolExecutor(20) as pool:
        rows = list(pool.map(ask, range(20)))

    assert rows == [1] * 20
    assert len(org.requests("/oauth2/token")) == 1


def test_a_rotated_refresh_token_is_handed_over_for_storing(org: ScriptedOrg) -> None:
    accepts(org, "new-token")
    grants(org, refresh_token="refresh-2")
    stored: list[Credentials] = []
    client = OrgClient(held(org), on_token=stored.append)

    list(client.query("SELECT Id FROM Account"))

    assert [kept.refresh_token.reveal() for kept in stored] == ["refresh-2"]
    assert stored[0].access_token.reveal() == "new-token"


def test_a_session_that_another_process_renewed_is_taken_over(org: ScriptedOrg) -> None:
    """Two workers that redeem one rotating refresh token would both lose the org."""
    accepts(org, "theirs")

    @contextmanager
    def guard() -> Iterator[Credentials | None]:
        yield held(org, access_token=Secret("theirs"))

    client = OrgClient(held(org), guard=guard)

    assert len(list(client.query("SELECT Id FROM Account"))) == 1
    assert org.requests("/oauth2/token") == []


def test_a_write_repeated_after_renewal_keeps_its_headers(org: ScriptedOrg) -> None:
    """Without Sforce-Auto-Assign the org's assignment rules would replace the owner."""
    accepts(org, "new-token")
    grants(org)
    client = OrgClient(held(org))

    client.create_records("Lead", [{"LastName": "Ng"}])

    sent = org.requests("/composite/sobjects")
    assert [seen.headers["sforce-auto-assign"] for seen in sent] == ["FALSE", "FALSE"]
    assert sent[0].body == sent[1].body


def test_a_refused_renewal_is_asked_for_once_and_told_to_all(org: ScriptedOrg) -> None:
    accepts(org, "never")
    refusal = {"error": "invalid_grant", "error_description": "expired access/refresh token"}
    org.on("POST", "/services/oauth2/token", Reply(400, refusal))
    client = OrgClient(held(org))

    def ask(_: int) -> str:
        with pytest.raises(SessionLostError) as caught:
            list(client.query("SELECT Id FROM Account"))
        return caught.value.next_step

    with ThreadPoolExecutor(8) as pool:
        steps = set(pool.map(ask, range(8)))

    assert steps == {"Reconnect the org."}
    assert len(org.requests("/oauth2/token")) == 1


def test_a_session_without_refresh_token_ends_with_a_sentence(org: ScriptedOrg) -> None:
    accepts(org, "never")
    client = OrgClient(held(org, refresh_token=Secret(""), flow=TokenFlow.ACCESS_TOKEN))

    with pytest.raises(SessionLostError, match="no refresh token is stored"):
        list(client.query("SELECT Id FROM Account"))


def test_a_401_that_no_token_mends_does_not_renew(org: ScriptedOrg) -> None:
    words = "This session is not valid for use with the REST API"
    org.on("GET", "/query", Reply(401, [{"errorCode": "INVALID_SESSION_ID", "message": words}]))
    client = OrgClient(held(org))

    with pytest.raises(SessionLostError):
        list(client.query("SELECT Id FROM Account"))
    assert org.requests("/oauth2/token") == []


def test_soap_calls_renew_too_although_they_expire_with_a_500(org: ScriptedOrg) -> None:
    grants(org)
    fault = b"<soapenv:Fault><faultcode>sf:INVALID_SESSION_ID</faultcode></soapenv:Fault>"
    good = (
        b'<e xmlns="urn:partner.soap.sforce.com"><result>'
        b"<timestamp>2026-11-21T05:00:00.123Z</timestamp></result></e>"
    )

    def answer(seen: Seen) -> Reply:
        return Reply(200, good) if b"new-token" in seen.body else Reply(500, fault)

    org.on("POST", "/services/Soap/u/67.0", answer)
    client = OrgClient(held(org))

    assert client.server_time().isoformat() == "2026-11-21T05:00:00.123000+00:00"
    assert all("authorization" not in seen.headers for seen in org.requests("/Soap/"))


def test_no_secret_shows_in_errors_or_representations(org: ScriptedOrg) -> None:
    org.on("GET", "/query", Reply(400, [{"errorCode": "MALFORMED_QUERY", "message": "no"}]))
    client = OrgClient(held(org, client_secret=Secret("hush")))

    with pytest.raises(Exception) as caught:
        list(client.query("SELECT Id FROM Account"))

    shown = f"{caught.value!r} {caught.value.__dict__} {client!r} {held(org)!r}"
    assert not any(word in shown for word in ("old-token", "refresh-1", "hush"))
