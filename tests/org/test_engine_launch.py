"""What a launch decides: preflight before anything is sent, how rows travel, what was meant and
what happened."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from core.domain.states import RunState
from core.errors import UserError
from core.services import audit, preflight
from terminal.exits import Exit
from terminal.progress import status_of
from terminal.run import carried
from tests.org.engine import SCHEMA, Pair, check_identity, line
from tests.org.oracle import live
from tests.org.two_orgs import empty_pair, two_orgs
from tests.orgs import PracticeOrg

STRICT = SCHEMA.replace(
    "  Contact:\n",
    "      Region__c: {type: text, label: Region, length: 20, required: true}\n  Contact:\n",
)
PLAN = """
orgbridge: 1
name: launched
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    fields: {Region__c: {constant: EMEA}}
"""
#: a long description is refused as a phone number
REFUSED = PLAN.replace("{Region__c:", "{Phone: Description, Region__c:") + (
    "    skip: [Description]\n"
)
UNFILLED = PLAN.replace("{Region__c: {constant: EMEA}}", "{}")


orgs = two_orgs(SCHEMA, STRICT)
pair = empty_pair("Account")


def create(org: PracticeOrg, *rows: dict[str, Any]) -> list[str]:
    """Accounts made over REST; their ids."""
    records = [{"attributes": {"type": "Account"}, **row} for row in rows]
    made: list[str] = []
    for start in range(0, len(records), 200):
        said = org.json("POST", "composite/sobjects", {"records": records[start : start + 200]})
        assert all(row["success"] for row in said), said
        made += [row["id"] for row in said]
    return made


def chunks(pair: Pair, name: str) -> list[tuple[str, str, int]]:
    """API, operation and rows of a run's chunks, in order."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        found = session.execute(
            text("SELECT api, operation, rows FROM run_chunk WHERE run_id = :id ORDER BY number"),
            {"id": pair.row(name).id},
        )
        return [(api, operation, rows) for api, operation, rows in found]


def test_a_blocker_ends_the_run_before_anything_is_sent(pair: Pair) -> None:
    create(pair.source, {"Name": "A"})
    name = pair.launch(UNFILLED)

    with pytest.raises(UserError, match="Region__c is required and nothing fills it"):
        pair.carry(name)

    stood = pair.row(name)
    kept = stood.summary["preflight"]
    assert stood.status is RunState.FAILED
    assert "Region__c is required" in (stood.wait_reason or "")
    assert kept["ready"] is False
    assert kept["findings"][0]["code"] == "required_unmapped"
    assert live(pair.target, "Account") == []
    assert chunks(pair, name) == []


def test_a_script_reads_what_became_of_a_run_that_was_stopped_before_it_sent_anything(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    create(pair.source, {"Name": "A"})
    name = pair.launch(UNFILLED)

    status = carried(pair.bridge, pair.actor, name, as_json=True)

    said = capsys.readouterr()
    assert status == Exit.FAILED
    assert json.loads(said.out)["status"] == "Failed"
    assert said.err.count("Preflight stops the run: Account.Region__c is required") == 1
    # the last words of a run's story are told, however short it was
    assert "run is failed" in said.err


def test_a_dry_run_keeps_the_blockers_goes_on_and_is_not_green(pair: Pair) -> None:
    """A script that rehearses and then runs must not read a blocker as leave to go on."""
    create(pair.source, {"Name": "A"})

    document = pair.run(UNFILLED, mode="dry-run")

    assert document["status"] == "Partial"
    assert status_of(document) == Exit.LEFT_ROWS
    assert line(document, "account")["inserted"] == 1
    assert pair.summary(document)["preflight"]["counts"]["blocker"] == 1


def test_warnings_are_kept_with_the_run(pair: Pair) -> None:
    create(pair.source, {"Name": "A"})
    plan = PLAN.replace("{constant: EMEA}", "{constant: EMEA, review: suggested}")

    document = pair.run(plan)

    kept = pair.summary(document)["preflight"]
    assert document["status"] == "Succeeded"
    assert kept["ready"] is True
    assert "unreviewed" in {finding["code"] for finding in kept["findings"]}


def test_what_was_meant_is_compared_with_what_happened(pair: Pair) -> None:
    texts = ("1", "x" * 60, "3")
    create(pair.source, *({"Name": "A", "Description": text} for text in texts))
    rehearsed = pair.run(REFUSED, mode="dry-run")

    document = pair.run(REFUSED)

    found = pair.summary(document)["compared"]["account"]
    # the rehearsal looks at values as the org will; a run leaves that to the org
    assert (found["expected"]["insert"], found["expected"]["blocked"]) == (2, 1)
    assert found["planned"]["insert"] == 3
    assert found["expected_by"] == rehearsed["run_id"]
    assert found["happened"]["inserted"] == 2
    assert found["happened"]["failed"] == 1
    assert pair.row(document["run_id"]).buckets["account"]["load"] == {"upsert": {"collections": 1}}


def test_buckets_count_parents_and_children_of_one_object(pair: Pair) -> None:
    """Generations are planned one after the other; the figures are of all of them."""
    parent, *_ = create(pair.source, {"Name": "A"}, {"Name": "B"})
    create(pair.source, {"Name": "C", "ParentId": parent}, {"Name": "D", "ParentId": parent})

    document = pair.run(PLAN)

    assert pair.row(document["run_id"]).buckets["account"]["insert"] == 4


def test_a_step_with_failed_rows_is_partial(pair: Pair) -> None:
    create(pair.source, {"Name": "A"}, {"Name": "B"})
    pair.target.plant({"kind": "row", "code": "SOME_RULE", "message": "no", "times": 1})

    document = pair.run(PLAN)

    with pair.bridge.session(pair.actor.workspace_id) as session:
        status = session.scalar(
            text("SELECT status FROM run_step WHERE run_id = :id AND phase = 'load'"),
            {"id": pair.row(document["run_id"]).id},
        )
    assert status == "partial"
    assert document["status"] == "Partial"


def test_a_run_whose_org_is_gone_ends_with_the_reason(pair: Pair) -> None:
    name = pair.launch(PLAN)
    with pair.bridge.owner_session() as session:
        session.execute(
            text("UPDATE data_migration SET source_org_id = NULL WHERE data_schedule_id = :name"),
            {"name": name},
        )

    with pytest.raises(UserError, match="no longer registered"):
        pair.carry(name)

    row = pair.row(name)
    assert row.status is RunState.FAILED
    assert "An org of this run is no longer registered" in str(row.wait_reason)


def test_small_sets_go_by_collections_larger_ones_by_bulk(pair: Pair) -> None:
    create(pair.source, *({"Name": f"A{n}"} for n in range(2_001)))

    document = pair.run(PLAN)

    assert document["status"] == "Succeeded"
    assert chunks(pair, document["run_id"]) == [("bulk", "upsert", 2_001)]


def test_preflight_shows_the_choice_by_cost(pair: Pair) -> None:
    create(pair.source, *({"Name": f"A{n}"} for n in range(7)))
    plan_id = pair.import_plan(PLAN + "    load: {batch: 3}\n")

    document = preflight.check(pair.bridge, pair.actor, plan_id).document()

    assert document["ready"] is True
    assert document["loads"] == {"account": {"rows": 7, "api": "collections", "requests": 3}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [("collections", "upsert", 7)]),
        ({"batch": 3}, [("collections", "upsert", 3)] * 2 + [("collections", "upsert", 1)]),
        ({"api": "bulk"}, [("bulk", "upsert", 7)]),
        ({"api": "graph"}, [("graph", "upsert", 7)]),
        ({"loads": {"account": {"all_or_none": True}}}, [("graph", "upsert", 7)]),
        (
            {"api": "bulk", "loads": {"account": {"api": "collections", "batch": 5}}},
            [("collections", "upsert", 5), ("collections", "upsert", 2)],
        ),
    ],
)
def test_a_launch_says_how_rows_travel(
    pair: Pair, given: dict[str, Any], expected: list[tuple[str, str, int]]
) -> None:
    create(pair.source, *({"Name": f"A{n}"} for n in range(7)))

    document = pair.run(PLAN, **given)

    assert document["status"] == "Succeeded"
    assert chunks(pair, document["run_id"]) == expected
    assert len(live(pair.target, "Account")) == 7


@pytest.mark.parametrize("operation", ["upsert", "insert", "update", "delete"])
def test_graphs_carry_every_operation(pair: Pair, operation: str) -> None:
    ids = create(pair.source, {"Name": "A"}, {"Name": "B/&?", "Phone": "1"})
    if operation in ("update", "delete"):
        rows = [{"Name": "x", "Legacy_Id__c": one, "Region__c": "EMEA"} for one in ids]
        create(pair.target, *rows)
    plan = PLAN + f"    operation: {operation}\n    load: {{api: graph}}\n"

    document = pair.run(plan, confirm="new", reason="rehearsal")

    check_identity(document)
    assert document["status"] == "Succeeded"
    assert {api for api, _, _ in chunks(pair, document["run_id"])} == {"graph"}
    names = sorted(row["Name"] for row in live(pair.target, "Account"))
    assert names == ([] if operation == "delete" else ["A", "B/&?"])


def test_all_or_none_takes_every_row_of_a_refused_graph_back(pair: Pair) -> None:
    """Without all or nothing the others are sent again without the refused one."""
    rows = [{"Name": f"A{n}", "Description": "x" * (60 if n == 2 else 1)} for n in range(5)]
    create(pair.source, *rows)

    together = pair.run(REFUSED + "    load: {all_or_none: true}\n")
    kept = len(live(pair.target, "Account"))
    single = pair.run(REFUSED + "    load: {api: graph}\n")

    check_identity(together)
    check_identity(single)
    assert (line(together, "account")["failed"], kept) == (5, 0)
    assert (line(single, "account")["failed"], line(single, "account")["inserted"]) == (1, 4)


def test_rows_travel_in_the_order_that_the_plan_names(pair: Pair) -> None:
    names = ["m", "c", "x", "a", "q", "b"]
    create(pair.source, *({"Name": name, "Phone": str(n)} for n, name in enumerate(names)))

    pair.run(PLAN + "    load: {order_by: Name, batch: 2, serial: true}\n")

    made = sorted(live(pair.target, "Account"), key=lambda row: str(row["Id"]))
    assert [row["Name"] for row in made] == sorted(names)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"api": "soap"}, "account.api cannot be used"),
        ({"loads": {"nobody": {}}}, "'nobody', which is no mapping"),
        ({"loads": {"account": {"batches": 3}}}, "account.batches cannot be used"),
        ({"stop_at_failed_percent": 0}, "cannot stop at 0 %"),
    ],
)
def test_load_options_that_mean_nothing_are_refused_at_launch(
    pair: Pair, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        pair.launch(PLAN, **given)


def test_rule_8_3_who_answered_for_e_mail_is_kept_with_the_launch(pair: Pair) -> None:
    """No API tells whether the target may send mail: a person does, by name."""
    create(pair.source, {"Name": "A"})
    name = pair.launch(PLAN, email_answer="masked")

    assert pair.row(name).options["email_answer"] == "masked"
    chosen = audit.TrailFilter(action="run.launch", subject_id=str(pair.row(name).id))
    (told,) = audit.trail(pair.bridge, pair.actor, chosen).rows
    assert told.actor == pair.actor.name
    assert told.after["email"] == "masked"
