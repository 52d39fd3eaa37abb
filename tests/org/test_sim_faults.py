"""Bad days on demand: what a planted fault does to requests, writes and sessions."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from tests.orgs import PracticeOrg, PracticeOrgs, RefusedError, wait_for


@pytest.fixture(scope="module")
def shared(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """One org for the module."""
    return module_practice_org(schema="standard: [Account, Contact]")


@pytest.fixture
def org(shared: PracticeOrg) -> PracticeOrg:
    """The org without faults and as good as empty."""
    shared.begin_afresh("Account")
    return shared


def test_a_status_strikes_as_often_as_it_is_told(org: PracticeOrg) -> None:
    """The first matching request passes, the next two are refused, then all is well."""
    org.plant({"kind": "http", "method": "GET", "path": "/limits$", "preset": "unavailable",
               "times": 2, "after": 1})  # fmt: skip

    statuses = [org.request("GET", "limits").status for _ in range(4)]

    assert statuses == [200, 503, 503, 200]
    assert org.json("GET", "/_sim/faults") == []


def test_the_daily_limit_is_refused_in_salesforces_words(org: PracticeOrg) -> None:
    """REQUEST_LIMIT_EXCEEDED with its two different sentences."""
    org.plant({"kind": "http", "path": "/query", "preset": "daily_limit"})
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"TotalRequests Limit exceeded\.") as refused:
            org.query("SELECT Id FROM Account")
        assert refused.value.status == 403


def test_a_connection_lost_before_the_work_leaves_nothing(org: PracticeOrg) -> None:
    """The client sees a broken connection, the org never saw the request."""
    org.plant({"kind": "http", "method": "POST", "path": "/sobjects/Account", "drop": "before"})

    with pytest.raises(urllib3.exceptions.ProtocolError):
        org.json("POST", "sobjects/Account", {"Name": "Never"})
    assert org.rows("Account") == []


def test_a_connection_lost_after_the_work_hides_a_success(org: PracticeOrg) -> None:
    """The same broken connection, but the row is there: the client cannot tell."""
    org.plant({"kind": "http", "method": "POST", "path": "/sobjects/Account", "drop": "after"})

    with pytest.raises(urllib3.exceptions.ProtocolError):
        org.json("POST", "sobjects/Account", {"Name": "There"})
    assert [row["Name"] for row in org.rows("Account")] == ["There"]


def test_a_truncated_answer_breaks_off(org: PracticeOrg) -> None:
    """The announced length does not arrive."""
    org.plant({"kind": "http", "path": "/describe$", "truncate": True})

    with pytest.raises(urllib3.exceptions.ProtocolError):
        org.json("GET", "sobjects/Account/describe")
    assert org.json("GET", "sobjects/Account/describe")["name"] == "Account"


def test_an_outage_ends_by_itself(org: PracticeOrg) -> None:
    """HTML with 503 for as long as it lasts; the test API stays reachable."""
    org.plant({"kind": "http", "path": "", "preset": "outage", "for_s": 0.5})

    answer = org.request("GET", "limits")
    assert (answer.status, answer.headers["Content-Type"]) == (503, "text/html")
    wait_for(lambda: org.request("GET", "limits").status == 200, timeout_s=10)


def test_sessions_expire_in_the_middle(practice_org: PracticeOrgs) -> None:
    """401 INVALID_SESSION_ID; every token of before is dead."""
    org = practice_org(schema="standard: [Account]")
    org.plant({"kind": "http", "path": "/query", "preset": "session"})

    answer = org.request("GET", "query?q=SELECT+Id+FROM+Account")

    assert answer.status == 401
    assert json.loads(answer.data) == [
        {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}
    ]
    assert org.request("GET", "limits").status == 401


def test_locks_pass_after_some_tries(org: PracticeOrg) -> None:
    """Every second row of the first two writes is locked, the third write goes through."""
    org.plant({"kind": "row", "object": "Account", "preset": "lock", "every": 2, "times": 2})
    records = [{"attributes": {"type": "Account"}, "Name": f"L{n}"} for n in range(4)]

    tries = [org.json("POST", "composite/sobjects", {"records": records}) for _ in range(3)]

    assert [[row["success"] for row in one] for one in tries] == [
        [False, True, False, True], [False, True, False, True], [True] * 4]  # fmt: skip
    assert tries[0][0]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"


def test_full_storage_refuses_inserts(org: PracticeOrg) -> None:
    """STORAGE_LIMIT_EXCEEDED until the fault is gone, in bulk as in REST."""
    org.plant({"kind": "row", "operation": "insert", "preset": "storage"})
    job = org.bulk("Account", "insert", b"Name\nA\nB\n")
    with pytest.raises(RefusedError, match="STORAGE_LIMIT_EXCEEDED"):
        org.json("POST", "sobjects/Account", {"Name": "C"})
    org.clear_faults()

    assert job["numberRecordsFailed"] == 2
    assert org.json("POST", "sobjects/Account", {"Name": "C"})["success"]


def test_faults_are_kept_in_a_file_and_wrong_ones_refused(practice_org: PracticeOrgs) -> None:
    """A restart does not mend the org; a misspelt fault says what is wrong with it."""
    org = practice_org(schema="standard: [Account]")
    org.plant({"kind": "http", "path": "/limits$", "preset": "unknown", "times": 0})
    org.kill()
    org.start()

    assert org.request("GET", "limits").status == 500
    for wrong in ({"kind": "x"}, {"kind": "http", "statsu": 500}, {"kind": "row", "preset": "?"}):
        answer = org.request("POST", "/_sim/faults", wrong)
        assert answer.status == 400
        assert answer.data


@pytest.mark.parametrize(("moment", "there"), [("before", 0), ("after", 1)])
def test_a_held_request_waits_until_it_is_let_go(org: PracticeOrg, moment: str, there: int) -> None:
    """The test acts at that very moment, before or after the work was done."""
    org.plant({"kind": "http", "method": "POST", "path": "/sobjects/Account", "hold": moment})
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(org.json, "POST", "sobjects/Account", {"Name": "Held"})
        assert org.json("GET", "/_sim/faults/held?wait_s=60") == {"held": 1}

        assert (len(org.rows("Account")), sent.done()) == (there, False)
        org.request("POST", "/_sim/faults/release")
        assert sent.result(60)["success"]

    assert len(org.rows("Account")) == 1


def test_jobs_and_the_recycle_bin_are_forgotten_in_time(org: PracticeOrg) -> None:
    """Seven days for a job's results, fifteen for what was deleted, by the org's clock."""
    job = org.bulk("Account", "insert", b"Name\nOld\n")
    org.json("POST", "/_sim/edit", {"delete": [row["Id"] for row in org.rows("Account")]})

    org.json("POST", "/_sim/clock", {"move_s": 8 * 86_400})
    with pytest.raises(RefusedError) as gone:
        org.json("GET", f"jobs/ingest/{job['id']}")
    assert (gone.value.status, len(org.rows("Account"))) == (404, 1)
    org.json("POST", "/_sim/clock", {"move_s": 8 * 86_400})

    assert org.rows("Account") == []
    org.json("POST", "/_sim/reset")


def test_a_reset_empties_an_org_and_ids_go_on(org: PracticeOrg) -> None:
    """Rows are put in and dumped for several objects at once; users stay."""
    org.json("POST", "/_sim/load", {"Account": [{"Name": "One"}], "Contact": [{"LastName": "Two"}]})
    before = org.json("GET", "/_sim/dump?objects=Account,Contact")
    org.json("POST", "/_sim/clock", {"move_s": 1_000_000})

    org.json("POST", "/_sim/reset")

    assert org.json("GET", "/_sim/dump?objects=Account,Contact") == {"Account": [], "Contact": []}
    assert org.rows("User")
    again = org.json("POST", "sobjects/Account", {"Name": "Three"})["id"]
    assert again > before["Account"][0]["Id"]


def test_an_org_far_away_lists_what_was_waited(org: PracticeOrg) -> None:
    """Each call and each job waits as long as the options say, the same job always as long."""
    org.options(call_delay_s=0.01, bulk_job_delay_s=[0.02, 0.04])
    org.json("GET", "limits")
    job = org.json("POST", "jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"})
    path = f"jobs/query/{job['id']}"
    wait_for(lambda: org.json("GET", path)["state"] == "JobComplete", timeout_s=120)
    org.options(call_delay_s=0, bulk_job_delay_s=0)

    waited = org.json("GET", "/_sim/delays")
    calls = [one for one in waited if one["job"] is None]
    jobs = [one for one in waited if one["job"] is not None]
    assert calls[0]["what"] == "GET /services/data/v62.0/limits"
    assert {one["seconds"] for one in calls} == {0.01}
    assert [one["what"] for one in jobs] == ["query Account"]
    assert jobs[0]["seconds"] == random.Random(job["id"]).uniform(0.02, 0.04)
    org.json("DELETE", "/_sim/delays")
    assert org.json("GET", "/_sim/delays") == []
