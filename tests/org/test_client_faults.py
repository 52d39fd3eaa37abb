"""What the client does when the line or the org fails: again, ask first, or say so."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from core.errors import (
    DailyLimitError,
    LockedRowError,
    LostError,
    OrgbridgeError,
    RefusedError,
    RowError,
    TransientError,
)
from core.salesforce.client import OrgClient
from core.salesforce.credentials import Credentials
from core.salesforce.retry import OF_A_PERSON, OF_A_RUN, Patience, RetryPolicy, Timeouts
from core.salesforce.tokens import TokenEndpoint
from core.salesforce.wire import Request
from core.secret import Secret
from tests.org.scripted_org import Reply, ScriptedOrg, error, outcomes

ONE_ROW = {"totalSize": 1, "done": True, "records": [{"attributes": {}, "Id": "1"}]}
MADE = outcomes(["001000000000001AAA"])
HTML_503 = Reply(503, b"<html><title>We are down for maintenance</title></html>")
SOQL = "SELECT Id FROM Account"


@pytest.fixture
def client(org: ScriptedOrg, waits: list[float]) -> OrgClient:
    return OrgClient(
        Credentials(instance_url=org.url, access_token=Secret("t"), api_version="67.0"),
        sleep=waits.append,
        patience=Patience(policy=RetryPolicy(attempts=3, lock_attempts=4)),
    )


READ_FAULTS = {
    "dropped before the answer": Reply(drop=True),
    "truncated": Reply(body=ONE_ROW, cut=20),
    "an HTML page with 503": HTML_503,
    "an HTML page with 200": Reply(200, b"<html><title>Please wait</title></html>"),
    "an odd status of the edge": Reply(420, b""),
    "an odd 406 of the edge": Reply(406, b""),
    "an unknown exception": error(500, "UNKNOWN_EXCEPTION"),
    "a concurrent limit": error(
        403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded."
    ),
}


@pytest.mark.parametrize("fault", READ_FAULTS.values(), ids=READ_FAULTS.keys())
def test_a_read_is_asked_for_again(org: ScriptedOrg, client: OrgClient, fault: Reply) -> None:
    org.on("GET", "/query", fault, Reply(body=ONE_ROW))

    assert list(client.query(SOQL)) == [{"Id": "1"}]
    assert len(org.requests("/query")) == 2


def test_a_read_gives_up_after_the_attempts_of_the_policy(
    org: ScriptedOrg, client: OrgClient, waits: list[float]
) -> None:
    org.on("GET", "/query", HTML_503)

    with pytest.raises(TransientError, match="down for maintenance"):
        list(client.query(SOQL))
    assert len(org.requests("/query")) == 3
    assert len(waits) == 2 and waits[1] > waits[0] * 0.9


WRITE_LOST = {
    "dropped after the request": Reply(drop=True),
    "truncated": Reply(body=[{"id": "001", "success": True, "errors": []}], cut=10),
    "an HTML page with 503": HTML_503,
    "an HTML page with 200": Reply(200, b"<html></html>"),
    "a gateway that gave up": Reply(504, b""),
    "an unknown exception": error(500, "UNKNOWN_EXCEPTION"),
    "fewer outcomes than records": Reply(body=[]),
}


@pytest.mark.parametrize("fault", WRITE_LOST.values(), ids=WRITE_LOST.keys())
def test_a_write_whose_answer_is_lost_is_never_sent_again(
    org: ScriptedOrg, client: OrgClient, fault: Reply
) -> None:
    org.on("POST", "/composite/sobjects", fault, MADE)

    with pytest.raises(LostError):
        client.create_records("Account", [{"Name": "x"}])
    assert len(org.requests("/composite/sobjects")) == 1


WRITE_NOT_BEGUN = {
    "server unavailable": error(503, "SERVER_UNAVAILABLE"),
    "maintenance": error(503, "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE"),
    "concurrent limit": error(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded."),
    "a lock": error(400, "UNABLE_TO_LOCK_ROW"),
    "the edge": Reply(429, b""),
}


@pytest.mark.parametrize("fault", WRITE_NOT_BEGUN.values(), ids=WRITE_NOT_BEGUN.keys())
def test_a_write_that_surely_was_not_applied_is_sent_again(
    org: ScriptedOrg, client: OrgClient, fault: Reply
) -> None:
    org.on("POST", "/composite/sobjects", fault, MADE)

    made = client.create_records("Account", [{"Name": "x"}])

    assert [outcome.record_id for outcome in made] == ["001000000000001AAA"]
    assert made[0].created
    assert len(org.requests("/composite/sobjects")) == 2


def place(url: str) -> str:
    """As a message names it: two practice orgs differ by their port alone."""
    return re.escape(url.removeprefix("http://").rstrip("/"))


def test_a_write_to_an_org_that_cannot_be_reached_was_not_sent(waits: list[float]) -> None:
    gone = ScriptedOrg()
    gone.stop()
    client = OrgClient(
        Credentials(instance_url=gone.url, access_token=Secret("t"), api_version="67.0"),
        sleep=waits.append,
    )

    with pytest.raises(TransientError, match=f"The org at {place(gone.url)} could not be reached"):
        client.create_records("Account", [{"Name": "x"}])


@pytest.mark.parametrize(("patience", "longest_s"), [(OF_A_RUN, 6.0), (OF_A_PERSON, 0.4)])
def test_a_person_is_told_soon_that_an_org_is_away(
    waits: list[float], patience: Patience, longest_s: float
) -> None:
    """Nothing listens there, which a second look seldom changes."""
    goes = ScriptedOrg()
    goes.on("GET", "/query", Reply(body=ONE_ROW))
    held = Credentials(instance_url=goes.url, access_token=Secret("t"), api_version="67.0")
    client = OrgClient(held, sleep=waits.append, patience=patience)
    client.count("SELECT COUNT() FROM Account")
    client.close()
    goes.stop()

    with pytest.raises(TransientError, match="nothing there accepts a connection"):
        client.count("SELECT COUNT() FROM Account")

    assert longest_s / 2 <= sum(waits) <= longest_s, "random from the half of it on"


def test_an_org_that_takes_the_connection_and_says_nothing_is_named(waits: list[float]) -> None:
    """Of a read the person is told what to do; of a write nobody knows what became of it."""
    with silent_org() as url:
        client = OrgClient(
            Credentials(instance_url=url, access_token=Secret("t"), api_version="67.0"),
            sleep=waits.append,
            patience=Patience(
                policy=replace(OF_A_PERSON.policy, until_s=0.1),
                timeouts=Timeouts(read_s=0.2, write_s=0.2),
            ),
        )
        with pytest.raises(
            TransientError, match=f"The org at {place(url)} does not answer"
        ) as read:
            client.count("SELECT COUNT() FROM Account")
        with pytest.raises(LostError, match="no answer within the time allowed"):
            client.wire.send(Request(method="POST", path="/composite/sobjects", write=True))

    assert read.value.state == "Nothing was changed."
    assert read.value.next_step.startswith("Try again in some minutes")
    assert not waits, "a silence is not waited for twice while a person looks on"


def test_a_person_waits_half_a_minute_for_an_answer_and_a_run_minutes() -> None:
    assert 20 <= OF_A_PERSON.timeouts.read_s <= 30 and OF_A_RUN.timeouts.read_s >= 120
    assert OF_A_PERSON.timeouts.write_s == OF_A_RUN.timeouts.write_s


def test_of_an_org_that_is_away_one_object_is_asked_for(
    org: ScriptedOrg, client: OrgClient
) -> None:
    """A page of fifty objects that nobody described yet would wait for each of them."""
    org.on("GET", "/describe", Reply(drop=True))

    for sobject in ("Account", "Contact", "Lead"):
        with pytest.raises(TransientError, match="the connection was dropped"):
            client.describe_known(sobject)

    assert {seen.path.split("/")[-2] for seen in org.requests("/describe")} == {"Account"}


def test_a_login_host_that_says_nothing_is_named(waits: list[float]) -> None:
    with silent_org() as url:
        endpoint = TokenEndpoint(
            sleep=waits.append,
            patience=Patience(policy=RetryPolicy(attempts=1), timeouts=Timeouts(read_s=0.2)),
        )
        with pytest.raises(TransientError, match=f"{place(url)} does not answer"):
            endpoint.get_json(f"{url}/services/data/")


@contextmanager
def silent_org() -> Iterator[str]:
    """An address that takes connections, as the kernel does, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_locks_get_more_patience_than_other_faults(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("POST", "/composite/sobjects", error(400, "UNABLE_TO_LOCK_ROW"))

    with pytest.raises(LockedRowError):
        client.create_records("Account", [{"Name": "x"}])
    assert len(org.requests("/composite/sobjects")) == 4


def test_the_daily_limit_ends_at_once(org: ScriptedOrg, client: OrgClient) -> None:
    refusal = error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    org.on("POST", "/composite/sobjects", refusal)

    with pytest.raises(DailyLimitError):
        client.create_records("Account", [{"Name": "x"}])
    assert len(org.requests("/composite/sobjects")) == 1


def test_a_redirect_is_not_followed(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("GET", "/query", Reply(302, b"", {"Location": "http://169.254.169.254/"}))

    with pytest.raises(RefusedError, match="redirects elsewhere"):
        list(client.query(SOQL))


def test_the_limit_meter_reads_what_the_org_charges(org: ScriptedOrg, client: OrgClient) -> None:
    info = {"Sforce-Limit-Info": "api-usage=25/5000; per-app-api-usage=17/250(appName=x)"}
    org.on("GET", "/query", Reply(body=ONE_ROW, headers=info))

    list(client.query(SOQL))

    assert (client.usage.used, client.usage.allowed, client.usage.left) == (25, 5000, 4975)
    assert client.usage.calls_made == len(org.requests("/query"))


def test_outcomes_come_in_request_order_with_their_reasons(
    org: ScriptedOrg, client: OrgClient
) -> None:
    refusal = {"statusCode": "REQUIRED_FIELD_MISSING", "message": "no", "fields": ["Name"]}
    org.on(
        "PATCH",
        "/composite/sobjects/Account/Key__c",
        Reply(
            body=[
                {"success": False, "errors": [refusal]},
                {"id": "001000000000002AAA", "success": True, "created": False, "errors": []},
            ]
        ),
    )

    first, second = client.upsert_records(
        "Account", [{"Key__c": "a"}, {"Key__c": "b"}], key_field="Key__c"
    )

    assert (first.success, first.record_id, first.errors[0].fields) == (False, None, ("Name",))
    assert (second.success, second.created) == (True, False)


def test_a_blank_upsert_key_never_leaves_the_machine(org: ScriptedOrg, client: OrgClient) -> None:
    """An upsert by a blank key inserts."""
    with pytest.raises(OrgbridgeError, match="no value for the upsert key"):
        client.upsert_records("Account", [{"Key__c": ""}], key_field="Key__c")
    assert org.requests("/composite") == []


def test_a_child_set_of_several_pages_is_completed(org: ScriptedOrg, client: OrgClient) -> None:
    more = "/services/data/v67.0/query/01g000000000002-1"
    child = {"totalSize": 2, "done": False, "nextRecordsUrl": more, "records": [{"Id": "c1"}]}
    parent = {"attributes": {}, "Id": "p", "Contacts": child, "Cases": None, "Owner": {"Name": "o"}}
    org.on("GET", r"/query\?", Reply(body={"totalSize": 1, "done": True, "records": [parent]}))
    last = {"totalSize": 2, "done": True, "records": [{"attributes": {}, "Id": "c2"}]}
    org.on("GET", "/query/01g", Reply(body=last))

    (row,) = client.query("SELECT Id, (SELECT Id FROM Contacts) FROM Account")

    assert row["Contacts"] == [{"Id": "c1"}, {"Id": "c2"}]
    assert row["Cases"] is None


def test_a_query_too_long_for_a_url_goes_as_a_batch(org: ScriptedOrg, client: OrgClient) -> None:
    part = {"statusCode": 200, "result": ONE_ROW}
    org.on("POST", "/composite/batch", Reply(body={"hasErrors": False, "results": [part]}))
    ids = ",".join(f"'{number:018d}'" for number in range(1000))

    assert len(list(client.query(f"SELECT Id FROM Account WHERE Id IN ({ids})"))) == 1


def test_counts_are_batched_and_a_refused_one_stands_for_itself(
    org: ScriptedOrg, client: OrgClient
) -> None:
    def answer(seen):  # type: ignore[no-untyped-def]
        asked = [part["url"] for part in seen.json()["batchRequests"]]
        bad = [{"errorCode": "INVALID_TYPE", "message": "sObject type is not supported"}]
        results = [
            {"statusCode": 400, "result": bad}
            if "Bad" in url
            else {"statusCode": 200, "result": {"totalSize": 7, "done": True, "records": []}}
            for url in asked
        ]
        return Reply(body={"hasErrors": True, "results": results})

    org.on("POST", "/composite/batch", answer)
    names = [f"O{number}" for number in range(59)] + ["Bad"]

    counted = client.counts([f"SELECT COUNT() FROM {name}" for name in names])

    assert counted[:59] == [7] * 59
    assert isinstance(counted[59], RefusedError)
    assert len(org.requests("/composite/batch")) == 3


def test_a_batch_of_counts_that_the_org_cannot_finish_is_halved(
    org: ScriptedOrg, client: OrgClient
) -> None:
    def answer(seen):  # type: ignore[no-untyped-def]
        asked = seen.json()["batchRequests"]
        if len(asked) > 2:
            return error(400, "QUERY_TIMEOUT", "Your query request was running for too long.")
        results = [{"statusCode": 200, "result": {"totalSize": 3}} for _ in asked]
        return Reply(body={"results": results})

    org.on("POST", "/composite/batch", answer)

    assert client.counts(["SELECT COUNT() FROM A"] * 8) == [3] * 8


def test_a_single_record_refusal_is_a_row_error(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("PATCH", "/composite/sobjects", error(400, "STRING_TOO_LONG", "First Name: too large"))

    with pytest.raises(RowError, match="too large"):
        client.update_records("Contact", [{"Id": "003000000000001AAA"}])
