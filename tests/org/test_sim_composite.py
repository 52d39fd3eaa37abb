"""Many requests in one: composite, batch, graph, tree; and what changed since when."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest

from tests.orgs import VERSION, PracticeOrg, PracticeOrgs, RefusedError

BASE = f"/services/data/v{VERSION}"
SCHEMA = "standard: [Account, Contact]"


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    return module_practice_org(schema=SCHEMA)


def _part(method: str, url: str, reference: str, body: Any = None) -> dict[str, Any]:
    part = {"method": method, "url": f"{BASE}/{url}", "referenceId": reference}
    return part if body is None else {**part, "body": body}


def test_parts_use_what_earlier_parts_answered(org: PracticeOrg) -> None:
    said = org.json(
        "POST",
        "composite",
        {
            "compositeRequest": [
                _part("POST", "sobjects/Account", "a", {"Name": "Composite"}),
                _part("POST", "sobjects/Contact", "c", {"LastName": "C", "AccountId": "@{a.id}"}),
                _part("GET", "sobjects/Contact/@{c.id}?fields=AccountId", "read"),
            ]
        },
    )["compositeResponse"]

    assert [part["httpStatusCode"] for part in said] == [201, 201, 200]
    assert said[2]["body"]["AccountId"] == said[0]["body"]["id"]


def test_a_part_that_needs_a_refused_one_is_halted(org: PracticeOrg) -> None:
    said = org.json(
        "POST",
        "composite",
        {
            "compositeRequest": [
                _part("POST", "sobjects/Account", "a", {}),
                _part("POST", "sobjects/Contact", "c", {"LastName": "C", "AccountId": "@{a.id}"}),
                _part("POST", "sobjects/Account", "b", {"Name": "Goes on"}),
            ]
        },
    )["compositeResponse"]

    assert [part["httpStatusCode"] for part in said] == [400, 400, 201]
    assert said[1]["body"][0]["errorCode"] == "PROCESSING_HALTED"


def test_all_or_none_undoes_the_innocent_parts_too(org: PracticeOrg) -> None:
    before = org.count("SELECT COUNT() FROM Account")

    said = org.json(
        "POST",
        "composite",
        {
            "allOrNone": True,
            "compositeRequest": [
                _part("POST", "sobjects/Account", "a", {"Name": "Innocent"}),
                _part("POST", "sobjects/Contact", "c", {}),
            ],
        },
    )["compositeResponse"]

    assert said[0]["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert said[1]["body"][0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    assert org.count("SELECT COUNT() FROM Account") == before


def test_a_composite_request_has_its_limits(org: PracticeOrg) -> None:
    many = [_part("GET", "limits", f"r{n}") for n in range(26)]
    queries = [_part("GET", "query?q=SELECT+Id+FROM+Account", f"q{n}") for n in range(6)]

    for parts in (many, queries, [many[0], many[0]]):
        with pytest.raises(RefusedError) as refused:
            org.json("POST", "composite", {"compositeRequest": parts})
        assert refused.value.status == 400


def test_batch_parts_are_independent_unless_told_to_halt(org: PracticeOrg) -> None:
    requests = [
        {"method": "GET", "url": f"v{VERSION}/sobjects/Account/001000000000000AAA"},
        {"method": "GET", "url": f"v{VERSION}/limits/recordCount?sObjects=Account"},
    ]

    said = org.json("POST", "composite/batch", {"batchRequests": requests})
    halted = org.json("POST", "composite/batch", {"haltOnError": True, "batchRequests": requests})

    assert said["hasErrors"]
    assert [result["statusCode"] for result in said["results"]] == [404, 200]
    assert [result["statusCode"] for result in halted["results"]] == [404, 412]


def test_each_graph_is_all_or_nothing(org: PracticeOrg) -> None:
    good = [_part("POST", "sobjects/Account", "a", {"Name": "Graph good"})]
    bad = [
        _part("POST", "sobjects/Account", "a", {"Name": "Graph bad"}),
        _part("POST", "sobjects/Contact", "c", {}),
    ]

    said = org.json(
        "POST",
        "composite/graph",
        {"graphs": [{"graphId": str(n), "compositeRequest": p} for n, p in enumerate((good, bad))]},
    )["graphs"]

    assert [graph["isSuccessful"] for graph in said] == [True, False]
    names = {row["Name"] for row in org.query("SELECT Name FROM Account WHERE Name LIKE 'Graph%'")}
    assert names == {"Graph good"}


def test_a_tree_makes_parents_and_children_or_nothing(org: PracticeOrg) -> None:
    def tree(last_name: str) -> dict[str, Any]:
        child = {"attributes": {"type": "Contact", "referenceId": "c"}, "LastName": last_name}
        root = {"attributes": {"type": "Account", "referenceId": "a"}, "Name": "Tree"}
        return {"records": [{**root, "Contacts": {"records": [child]}}]}

    said = org.json("POST", "composite/tree/Account", tree("Leaf"))
    with pytest.raises(RefusedError) as refused:
        org.json("POST", "composite/tree/Account", tree(""))

    ids = {result["referenceId"]: result["id"] for result in said["results"]}
    (contact,) = org.query(f"SELECT AccountId FROM Contact WHERE Id = '{ids['c']}'")
    assert contact["AccountId"] == ids["a"]
    assert refused.value.body["results"][0]["referenceId"] == "c"
    assert org.count("SELECT COUNT() FROM Account WHERE Name = 'Tree'") == 1


def test_changes_are_told_by_time(org: PracticeOrg) -> None:
    kept = org.json("POST", "sobjects/Account", {"Name": "Kept"})["id"]
    gone = org.json("POST", "sobjects/Account", {"Name": "Gone"})["id"]
    org.json("DELETE", f"sobjects/Account/{gone}")
    now = dt.datetime.now(dt.UTC)
    window = "&".join(
        f"{name}={quote((now + dt.timedelta(minutes=minutes)).isoformat())}"
        for name, minutes in (("start", -5), ("end", 5))
    )

    updated = org.json("GET", f"sobjects/Account/updated/?{window}")
    deleted = org.json("GET", f"sobjects/Account/deleted/?{window}")

    assert kept in updated["ids"]
    assert gone not in updated["ids"]
    assert [row["id"] for row in deleted["deletedRecords"]] == [gone]
    with pytest.raises(RefusedError):
        old = window.replace(str(now.year), str(now.year - 1))
        org.json("GET", f"sobjects/Account/updated/?{old}")


def test_objects_without_rows_are_left_out_of_counts(module_practice_org: PracticeOrgs) -> None:
    empty = module_practice_org(schema=SCHEMA)
    empty.json("POST", "sobjects/Account", {"Name": "One"})

    said = empty.json("GET", "limits/recordCount?sObjects=Contact,Account,Nothing__c")

    assert said == {"sObjects": [{"count": 1, "name": "Account"}]}
