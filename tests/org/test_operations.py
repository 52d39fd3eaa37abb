"""Operations from their launch to their log row, between two orgs that answer by script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from core.bootstrap import Orgbridge
from core.db import duplicates as duplicate_rows
from core.db import operation_logs
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError, NotFoundError, RefusedError, UserError
from core.operations import registry
from core.operations.carrying import carry
from core.services import duplicates, operations, plans
from tests.org.scripted_data import ScriptedData, analyst, described
from tests.org.scripted_org import Reply

SOURCE_ID, TARGET_ID = "00D000000000001EAA", "00D000000000002EAA"
NAME = {"name": "Name", "type": "string", "length": 80}
PLAN = """
orgbridge: 1
name: sales
source: Legacy
target: New
objects:
  - source: Account
    where: "Type != 'Competitor'"
    fields: {Kind__c: Type, Name: Name}
  - source: Contact
"""


@dataclass
class Pair:
    bridge: Orgbridge
    actor: Actor
    source: ScriptedData
    target: ScriptedData

    def launch(self, kind: str, **given: object) -> operations.LogEntry:
        return operations.launch(self.bridge, self.actor, kind, given=given)


@pytest.fixture
def pair(bridge: Orgbridge) -> Iterator[Pair]:
    source, target = ScriptedData(SOURCE_ID), ScriptedData(TARGET_ID)
    made = Pair(bridge, analyst(bridge), source, target)
    source.register(bridge, made.actor, "Legacy")
    target.register(bridge, made.actor, "New")
    yield made
    source.http.stop()
    target.http.stop()


def ids(prefix: str, *numbers: int) -> list[dict[str, str]]:
    return [{"Id": f"{prefix}00000000000{number}AAA"} for number in numbers]


def link(pair: Pair, mapping: str, links: dict[str, str]) -> None:
    with pair.bridge.session(pair.actor.workspace_id) as session:
        set_id = session.scalar(
            text("INSERT INTO link_set (org_pair, mapping_name) VALUES (:p, :m) RETURNING id"),
            {"p": f"{SOURCE_ID}:{TARGET_ID}", "m": mapping},
        )
        for source_id, target_id in links.items():
            session.execute(
                text(
                    "INSERT INTO record_link (link_set_id, source_id, target_id, origin) "
                    "VALUES (:s, :a, :b, 'inserted')"
                ),
                {"s": set_id, "a": source_id, "b": target_id},
            )


def test_counts_say_what_is_missing_extra_and_unknown(pair: Pair) -> None:
    pair.source.rows = {"Account": ids("001", 1, 2, 3), "Old__c": ids("a00", 1), "Case": []}
    pair.target.rows = {"Account": ids("001", 4), "New__c": ids("a01", 1, 2)}
    pair.target.refused = {"Case"}

    entry = pair.launch(
        "record_counts", source="legacy", target="New", objects=["Account", "Old__c=New__c", "Case"]
    )

    rows = {row["name"]: row for row in entry.result["objects"]}
    assert (rows["Account"]["verdict"], rows["Account"]["missing"]) == ("missing", 2)
    assert (rows["Old__c"]["verdict"], rows["Old__c"]["extra"]) == ("extra", 1)
    assert (rows["Case"]["verdict"], rows["Case"]["target"]) == ("unknown", None)
    assert (rows["Case"]["missing"], rows["Case"]["extra"]) == (None, None), "nobody knows"
    assert "No such column" in rows["Case"]["target_error"]
    assert entry.status == "partial"
    assert "2 rows missing in 1" in entry.message


def test_five_hundred_objects_cost_twenty_requests_per_org(pair: Pair) -> None:
    names = [f"O{number}__c" for number in range(500)]
    pair.launch("record_counts", source="Legacy", target="New", objects=names)

    for org in (pair.source, pair.target):
        assert len(org.http.requests("/composite/batch")) == 20


def test_a_plan_counts_with_its_filter_under_the_targets_names(pair: Pair) -> None:
    plans.create(pair.bridge, pair.actor, parse_plan(PLAN))
    pair.source.rows = {"Account": ids("001", 1, 2, 3), "Contact": ids("003", 1)}
    pair.source.where = {"Type != 'Competitor'": ids("001", 1, 2)}
    pair.target.where = {"Kind__c != 'Competitor'": ids("001", 8, 9)}
    pair.target.rows = {"Contact": ids("003", 1)}
    link(pair, "account", {"001000000000001AAA": "001000000000008AAA"})

    entry = pair.launch("record_counts", plan="sales")

    account, contact = entry.result["objects"]
    assert (account["source"], account["target"], account["migrated"]) == (2, 2, 1)
    assert contact["verdict"] == "match"
    assert entry.source_org_id is not None
    assert entry.target_org_id not in (None, entry.source_org_id)


def test_a_filter_that_the_target_does_not_know_is_left_out_and_said(pair: Pair) -> None:
    plans.create(pair.bridge, pair.actor, parse_plan(PLAN))
    pair.source.where = {"Type != 'Competitor'": ids("001", 1, 2)}
    pair.target.rows = {"Account": ids("001", 7, 8, 9)}

    entry = pair.launch("record_counts", plan="sales")

    account = entry.result["objects"][0]
    assert (account["source"], account["target"]) == (2, 3)
    assert "does not know the filter" in account["note"]


def test_missing_rows_are_listed_with_their_reason(pair: Pair) -> None:
    """An object without a name gives its ids alone."""
    plans.create(pair.bridge, pair.actor, parse_plan(PLAN))
    pair.source.describes = {"Account": described("Account", NAME)}
    pair.source.rows = {"Account": ids("001", 1, 2, 3, 4)}
    pair.source.where = {"Type != 'Competitor'": ids("001", 1, 2, 3)}
    pair.target.rows = {"Account": ids("001", 8)}
    link(
        pair,
        "account",
        {"001000000000001AAA": "001000000000008AAA", "001000000000002AAA": "001000000000009AAA"},
    )

    entry = pair.launch("record_counts", plan="sales", explain=["account"])

    told = entry.result["missing"]["account"]
    assert told["reasons"] == {"deleted_since": 1, "filtered": 1, "never_sent": 1}
    assert told["samples"]["deleted_since"] == ["001000000000002AAA"]
    assert told["names"] == {}


def test_counts_have_a_history_per_org_pair(pair: Pair) -> None:
    for _ in range(2):
        pair.launch("record_counts", source="Legacy", target="New", objects=["Account"])

    found = operations.entries(pair.bridge, pair.actor, "record_counts", limit=10)

    assert [entry.status for entry in found] == ["succeeded", "succeeded"]
    assert found[0].created_at >= found[1].created_at
    assert found[0].source_org_id is not None


def test_field_differences_say_what_would_happen_to_the_data(pair: Pair) -> None:
    legacy = {"name": "Legacy_Id__c", "type": "string", "length": 18, "custom": True}
    values = [{"value": value, "label": value, "active": True} for value in ("Hot", "Cold")]
    rating = {"name": "Rating", "type": "picklist", "picklistValues": values}
    restricted = rating | {"picklistValues": values[:1], "restrictedPicklist": True}
    pair.source.describes = {"Account": described("Account", NAME, legacy, rating)}
    short = NAME | {"length": 40}
    pair.target.describes = {"Account": described("Account", short, restricted)}
    pair.source.where = {
        "Legacy_Id__c != null": ids("001", 1, 2),
        "Rating IN ('Cold')": ids("001", 3),
    }

    entry = pair.launch("field_differences", source="Legacy", target="New", objects=["Account"])

    (account,) = entry.result["objects"]
    fields = {field["field"]: field for field in account["fields"]}
    assert fields["Legacy_Id__c"]["severity"] == "loss"
    assert (fields["Legacy_Id__c"]["verdict"], fields["Legacy_Id__c"]["rows_concerned"]) == (
        "safe",
        2,
    )
    assert (fields["Rating"]["missing_values"], fields["Rating"]["rows_concerned"]) == (["Cold"], 1)
    assert fields["Rating"]["severity"] == "refusal"
    assert fields["Name"]["properties"][0]["effect"].startswith("Texts longer than 40")
    assert "Id" not in fields


def test_duplicates_are_grouped_and_explained(pair: Pair) -> None:
    fields = [{"name": name, "type": "string"} for name in ("FirstName", "LastName", "MailingCity")]
    pair.source.describes = {"Contact": described("Contact", *fields)}
    people = [
        {"FirstName": f"F{n}x", "LastName": f"Lastname{n}", "MailingCity": f"City{n % 7}"}
        for n in range(60)
    ]
    people += [dict(people[n]) for n in range(12)]
    pair.source.rows = {"Contact": [{"Id": f"003{n:015d}", **row} for n, row in enumerate(people)]}

    entry = pair.launch(
        "duplicates", org="Legacy", object="Contact", method="exact", fields=["LastName"]
    )
    fuzzy = pair.launch("duplicates", org="Legacy", object="Contact")

    assert entry.result["cluster_count"] == 12
    assert fuzzy.result["fields"] == ["FirstName", "LastName", "MailingCity"]
    assert fuzzy.result["cluster_count"] >= 12
    first = fuzzy.result["clusters"][0]
    assert {member["values"]["LastName"] for member in first["members"]} == {
        first["members"][0]["values"]["LastName"]
    }
    assert first["why"]["LastName"]["likeness"] == "same"


def test_extra_children_are_those_without_a_link_under_migrated_parents(pair: Pair) -> None:
    plans.create(pair.bridge, pair.actor, parse_plan(PLAN))
    lookup = {"name": "AccountId", "type": "reference", "referenceTo": ["Account"]}
    pair.target.describes = {
        "Account": described("Account", NAME),
        "Contact": described("Contact", lookup),
    }
    mine, other = "001000000000008AAA", "001000000000099AAA"
    pair.target.rows = {
        "Contact": [
            {"Id": f"00300000000000{n}AAA", "AccountId": parent, "CreatedDate": f"2026-11-0{n}"}
            for n, parent in ((1, mine), (2, mine), (3, other))
        ]
    }
    link(pair, "account", {"001000000000001AAA": mine})
    link(pair, "contact", {"003000000000009AAA": "003000000000001AAA"})

    entry = pair.launch("extra_child_records", plan="sales")

    (found,) = entry.result["children"]
    assert (found["parent"], found["child"], found["lookup"]) == ("account", "contact", "AccountId")
    assert (found["rows"], found["ids"]) == (1, ["003000000000002AAA"])


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("record_counts", {}, "name a plan"),
        ("record_counts", {"plan": "x", "unknown": 1}, "unknown"),
        ("duplicates", {"org": "Legacy", "object": "A", "method": "exact"}, "must agree"),
        ("duplicates", {"org": "Legacy", "object": "A", "accept_from": 7}, "accept_from"),
        ("duplicates", {"org": "Legacy", "object": "A", "across": "legacy"}, "naming it twice"),
        ("field_differences", {"source": "Legacy"}, "target"),
    ],
)
def test_a_wrong_parameter_gets_a_sentence_and_launches_nothing(
    pair: Pair, kind: str, given: dict[str, object], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        pair.launch(kind, **given)
    assert operations.entries(pair.bridge, pair.actor, kind) == ()


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("field_differences", {"source": "Legacy", "target": "New", "objects": ["A", "B=C"]},
         "Neither org has A, B=C"),
        ("duplicates", {"org": "Legacy", "object": "Contact", "fields": ["id", "LastName"]},
         "not Id"),
        ("duplicates", {"org": "Legacy", "object": "Contact",
                        "fields": [f"F{n}" for n in range(41)]}, "At most 40"),
    ],
)  # fmt: skip
def test_what_only_the_orgs_can_tell_is_said_too(
    pair: Pair, kind: str, given: dict[str, object], words: str
) -> None:
    pair.source.describes = {
        "Contact": described("Contact", {"name": "LastName", "type": "string"})
    }
    with pytest.raises(UserError, match=words):
        pair.launch(kind, **given)


def test_a_field_named_twice_is_compared_once(pair: Pair) -> None:
    pair.source.describes = {
        "Contact": described("Contact", {"name": "LastName", "type": "string"})
    }
    people = [{"Id": f"00300000000000{n}AAA", "LastName": "L"} for n in range(2)]
    pair.source.rows = {"Contact": people}
    given = {"org": "Legacy", "object": "Contact", "method": "exact"}

    entry = pair.launch("duplicates", **given, fields=["LastName", "lastname"])

    assert entry.result["fields"] == ["LastName"]


def test_an_unknown_org_or_a_refusal_ends_the_log_row_as_failed(pair: Pair) -> None:
    with pytest.raises(NotFoundError):
        pair.launch("record_counts", source="Nowhere", target="New", objects=["A"])
    refusal = Reply(403, [{"errorCode": "API_DISABLED_FOR_ORG", "message": "no API"}])
    pair.source.http.on("GET", r"/sobjects", refusal)
    with pytest.raises(RefusedError):
        pair.launch("field_differences", source="Legacy", target="New")

    (counted,) = operations.entries(pair.bridge, pair.actor, "record_counts")
    (compared,) = operations.entries(pair.bridge, pair.actor, "field_differences")
    assert (counted.status, compared.status) == ("failed", "failed")
    assert "no API" in str(compared.error_message)


def test_a_viewer_launches_nothing(pair: Pair) -> None:
    viewer = Actor(pair.actor.workspace_id, None, "vic", Role.VIEWER)

    with pytest.raises(NotAllowedError):
        operations.launch(pair.bridge, viewer, "record_counts", given={"plan": "x"})
    assert operations.offered(viewer) == ()


def test_a_row_carried_twice_is_done_once_and_a_stopped_one_is_cancelled(pair: Pair) -> None:
    given = {"source": "Legacy", "target": "New", "objects": ["Account"]}
    log_id = operations.lay(pair.bridge, pair.actor, "record_counts", given=given)
    stopped = operations.lay(pair.bridge, pair.actor, "record_counts", given=given)

    left = operations.lay(pair.bridge, pair.actor, "record_counts", given=given)

    def go(log: UUID, *, stop: bool, ends: bool = False) -> str:
        return carry(
            pair.bridge,
            pair.actor.workspace_id,
            log,
            kind="record_counts",
            stop=lambda: stop,
            hands_over=lambda: ends,
        )

    assert go(log_id, stop=False) == "succeeded"
    calls = len(pair.source.http.requests("/composite/batch"))
    assert go(log_id, stop=False) == "succeeded"
    assert len(pair.source.http.requests("/composite/batch")) == calls
    assert go(stopped, stop=True) == "cancelled"
    assert go(left, stop=True, ends=True) == "pending"
    assert go(left, stop=False) == "succeeded"


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_operation_describes_itself_for_forms_and_routes(
    bridge: Orgbridge, kind: str
) -> None:
    found = registry.operation(kind)

    assert found.kind == kind
    assert found.purpose.endswith(".")
    assert found.parameters.model_json_schema()["properties"]
    with bridge.session(bridge.workspace_id()) as session:
        assert operation_logs.entries(session, found.log_table) == ()
        with pytest.raises(NotFoundError):
            operation_logs.entry(session, found.log_table, log_id=uuid7())


def test_decisions_about_duplicates_are_kept_reused_and_reopened(pair: Pair) -> None:
    fields = [{"name": name, "type": "string"} for name in ("FirstName", "LastName")]
    pair.source.describes = {"Contact": described("Contact", *fields)}
    people = [{"Id": f"00300000000000{n}AAA", "LastName": f"L{n % 3}"} for n in range(6)]
    pair.source.rows = {"Contact": people}
    given = {"org": "Legacy", "object": "Contact", "method": "exact", "fields": ["LastName"]}
    first = duplicates.board(pair.bridge, pair.actor, log_id=pair.launch("duplicates", **given).id)
    (place,) = first.places
    one, two, three = first.open

    duplicates.decide(
        pair.bridge,
        pair.actor,
        place,
        record_ids=one.record_ids,
        decision="keep",
        survivor_id=one.record_ids[0],
        values={"FirstName": one.record_ids[1]},
    )
    duplicates.decide(
        pair.bridge, pair.actor, place, record_ids=two.record_ids, decision="not_duplicates"
    )
    again = duplicates.board(pair.bridge, pair.actor, log_id=pair.launch("duplicates", **given).id)

    assert [cluster.key for cluster in again.open] == [three.key]
    with pair.bridge.session(pair.actor.workspace_id) as session:
        redirects = duplicate_rows.survivors(session, org_id=place[0], sobject="Contact")
    assert redirects == {one.record_ids[1]: one.record_ids[0]}
    assert duplicates.reopen(pair.bridge, pair.actor, place, key=one.key)
    assert not duplicates.reopen(pair.bridge, pair.actor, place, key=one.key)
    with pytest.raises(UserError, match="not one of the cluster"):
        duplicates.decide(
            pair.bridge,
            pair.actor,
            place,
            record_ids=one.record_ids,
            decision="keep",
            survivor_id=two.record_ids[0],
        )
    with pytest.raises(UserError, match="Nobody survives"):
        duplicates.decide(
            pair.bridge, pair.actor, place, record_ids=one.record_ids, decision="keep"
        )
