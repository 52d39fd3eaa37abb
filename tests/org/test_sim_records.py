"""Records, collections and describes of the practice org over HTTP, and what survives a kill."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

from orgsim.server import listening_socket
from tests.orgs import PracticeOrg, PracticeOrgs, RefusedError

SCHEMA = """
objects:
  Account:
    fields:
      Key__c: {type: text, length: 20, external_id: true, unique: true}
      Loose__c: {type: text, length: 20, external_id: true}
  Contact:
    fields:
      Key__c: {type: text, length: 20, external_id: true, unique: true, case_sensitive: true}
"""


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """One org for the module."""
    return module_practice_org(schema=SCHEMA)


def records(sobject: str, *rows: dict[str, Any]) -> dict[str, Any]:
    """A collections body."""
    return {"records": [{"attributes": {"type": sobject}, **one} for one in rows]}


def test_upsert_by_key_creates_updates_and_lists_several_matches(org: PracticeOrg) -> None:
    created = org.request("PATCH", "sobjects/Account/Key__c/up%2F1", {"Name": "Up"})
    updated = org.request("PATCH", "sobjects/Account/Key__c/UP%2f1", {"Name": "Upped"})
    for name in ("a", "b"):
        org.json("POST", "sobjects/Account", {"Name": name, "Loose__c": "same"})
    several = org.request("PATCH", "sobjects/Account/Loose__c/same", {"Name": "c"})
    only = org.request("PATCH", "sobjects/Account/Key__c/none?updateOnly=true", {"Name": "c"})

    assert (created.status, updated.status, several.status, only.status) == (201, 200, 300, 404)
    assert json.loads(updated.data)["created"] is False
    assert len(json.loads(several.data)) == 2


def test_parents_are_found_by_their_key(org: PracticeOrg) -> None:
    parent = org.json("POST", "sobjects/Account", {"Name": "P", "Key__c": "parent-1"})["id"]

    answer = org.json("POST", "composite/sobjects", records(
        "Contact", {"LastName": "In", "Account": {"Key__c": "PARENT-1"}},
        {"LastName": "Out", "Account": {"Key__c": "nobody"}},
    ))  # fmt: skip

    row = next(one for one in org.rows("Contact") if one["Id"] == answer[0]["id"])
    assert row["AccountId"] == parent
    assert answer[1]["errors"][0]["statusCode"] == "INVALID_FIELD"
    assert "Foreign key external ID: nobody not found" in answer[1]["errors"][0]["message"]


def test_collections_keep_the_order_and_reject_a_key_given_twice(org: PracticeOrg) -> None:
    answer = org.json("PATCH", "composite/sobjects/Contact/Key__c", records(
        "Contact", {"Key__c": "k1", "LastName": "1"}, {"Key__c": "k2", "LastName": "2"},
        {"Key__c": "k1", "LastName": "3"}, {"Key__c": "K1", "LastName": "4"},
    ))  # fmt: skip

    assert [one["success"] for one in answer] == [False, True, False, True]
    assert answer[0]["errors"][0]["message"] == "Duplicate external id specified: k1"
    assert answer[1]["created"]


def test_all_or_none_writes_nothing(org: PracticeOrg) -> None:
    before = org.count("SELECT COUNT() FROM Account")
    body = {"allOrNone": True, **records("Account", {"Name": "fine"}, {"Phone": "1"})}

    answer = org.json("POST", "composite/sobjects", body)

    codes = [one["errors"][0]["statusCode"] for one in answer]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"]
    assert org.count("SELECT COUNT() FROM Account") == before


def test_more_than_two_hundred_records_are_refused_whole(org: PracticeOrg) -> None:
    with pytest.raises(RefusedError) as refused:
        org.json(
            "POST", "composite/sobjects", records("Account", *({"Name": "x"} for _ in range(201)))
        )

    assert refused.value.body[0]["errorCode"] == "EXCEEDED_ID_LIMIT"


def test_null_clears_absence_keeps(org: PracticeOrg) -> None:
    made = org.json("POST", "sobjects/Account", {"Name": "N", "Phone": "1", "Fax": "2"})["id"]

    answer = org.json(
        "PATCH",
        "composite/sobjects",
        records("Account", {"id": made, "Phone": None}, {"id": "001000000000001AAA", "Fax": "9"}),
    )

    row = next(one for one in org.rows("Account") if one["Id"] == made)
    assert (row["Phone"], row["Fax"]) == (None, "2")
    assert [one["success"] for one in answer] == [True, False]


def test_ids_are_unlike_those_of_another_org(org: PracticeOrg, practice_org: PracticeOrgs) -> None:
    other = practice_org(schema=SCHEMA)
    here = org.json("POST", "sobjects/Account", {"Name": "Id"})["id"]
    there = other.json("POST", "sobjects/Account", {"Name": "Id"})["id"]

    assert here[:3] == there[:3] == "001"
    assert len(here) == 18
    assert here[3:5] != there[3:5]
    assert org.json("GET", f"sobjects/Account/{here[:15]}?fields=Id")["Id"] == here


def test_compressed_requests_are_understood(org: PracticeOrg) -> None:
    body = gzip.compress(json.dumps({"Name": "Zipped"}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    answer = org.request("POST", "sobjects/Account", body, headers=headers)

    assert answer.status == 201


def test_calls_are_counted_and_storage_and_the_daily_limit_run_out(
    practice_org: PracticeOrgs,
) -> None:
    org = practice_org()
    first = org.request("GET", "limits").headers["Sforce-Limit-Info"]
    org.json("POST", "/_sim/limits", {"storage_mb": 0})
    full = org.request("POST", "sobjects/Account", {"Name": "x"})
    org.json("POST", "/_sim/limits", {"calls": 9, "allowed": 10})

    last = org.request("GET", "limits")
    refused = org.request("GET", "limits")

    assert first == "api-usage=1/5000000"
    assert json.loads(full.data)[0]["errorCode"] == "STORAGE_LIMIT_EXCEEDED"
    assert last.headers["Sforce-Limit-Info"] == "api-usage=10/10"
    assert (refused.status, json.loads(refused.data)[0]["errorCode"]) == (
        403,
        "REQUEST_LIMIT_EXCEEDED",
    )


def test_what_was_answered_survives_a_kill(practice_org: PracticeOrgs) -> None:
    org = practice_org(schema=SCHEMA)

    def write(number: int) -> str:
        answer = org.json("POST", "composite/sobjects", records(
            "Account", *({"Name": f"{number}-{at}"} for at in range(20))))  # fmt: skip
        return str(answer[0]["id"])

    with ThreadPoolExecutor(4) as pool:
        answered = list(pool.map(write, range(20)))
    org.kill()
    org.start()

    rows = {one["Id"]: one for one in org.rows("Account")}
    assert len(rows) == 400
    assert set(answered) <= set(rows)
    assert org.json("POST", "sobjects/Account", {"Name": "after"})["id"] > max(rows)


def test_https_speaks_with_a_certificate_of_its_own(practice_org: PracticeOrgs) -> None:
    org = practice_org()
    org.stop()
    org.arguments.append("--tls")
    org.start()
    trusting = urllib3.PoolManager(ca_certs=str(org.home / "ca.pem"))

    answer = trusting.request("GET", f"{org.url}/services/data/")

    assert org.url.startswith("https://")
    assert answer.status == 200


RECORDED = ["Account", "Contact", "Case", "Event", "Custom__c"]


@pytest.fixture(scope="module")
def recorded_org(
    module_practice_org: PracticeOrgs, fixtures_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> PracticeOrg:
    """An org whose schema is the recorded describes."""
    folder = tmp_path_factory.mktemp("recorded")
    for name in RECORDED:
        shutil.copy(describe_file(fixtures_dir, name), folder)
    return module_practice_org(schema=folder)


def describe_file(fixtures_dir: Path, name: str) -> Path:
    """The recorded describe of an object."""
    return fixtures_dir / "A_api_responses" / "cumulusci_describes" / f"describe_{name}.json"


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_describe_comes_back_word_for_word(
    recorded_org: PracticeOrg, fixtures_dir: Path, name: str
) -> None:
    recorded = json.loads(describe_file(fixtures_dir, name).read_text(encoding="utf-8"))

    described = recorded_org.json("GET", f"sobjects/{name}/describe")

    # Known departures (docs/practice-orgs.md): hosts and versions in URLs, children added by the
    # other objects of the org.
    assert described["fields"] == recorded["fields"]
    assert [list(one) for one in described["fields"]] == [list(one) for one in recorded["fields"]]
    children = len(recorded["childRelationships"])
    assert described["childRelationships"][:children] == recorded["childRelationships"]
    apart = {"fields", "urls", "recordTypeInfos", "childRelationships", "sobjectDescribeOption"}
    assert {key: described[key] for key in recorded if key not in apart} == {
        key: value for key, value in recorded.items() if key not in apart
    }


@pytest.mark.parametrize("name", ["Account", "Contact", "Case", "Event"])
def test_the_shipped_standard_objects_equal_the_recordings(
    org: PracticeOrg, fixtures_dir: Path, name: str
) -> None:
    said = json.loads(describe_file(fixtures_dir, name).read_text(encoding="utf-8"))
    recorded = {one["name"]: one for one in said["fields"]}

    described = {one["name"]: one for one in org.json("GET", f"sobjects/{name}/describe")["fields"]}

    # Known departures: fields that only their orgs had, and fields of features that are off here.
    shared = [one for one in recorded if not one.endswith("__c") and one != "RecordTypeId"]
    assert [one for one in shared if one not in described] == []
    assert {one: described[one] for one in shared} == {one: recorded[one] for one in shared}


def test_connections_to_an_org_send_what_is_written_at_once() -> None:
    """Without it every answer in two writes waits 40 ms for an acknowledgement."""
    listening = listening_socket("127.0.0.1", 0)
    with listening, socket.create_connection(listening.getsockname()[:2]):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
