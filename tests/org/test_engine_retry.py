"""Rows that did not arrive are tried again by a run of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from core.errors import ConflictError, UserError
from core.services import retrying, run_reads
from core.services.retrying import RetryChoice
from tests.org.engine import SCHEMA, Pair, check_identity, line
from tests.org.pairs import create, live
from tests.org.two_orgs import empty_pair, two_orgs

PLAN = """
orgbridge: 1
name: retried
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
    fields: {Phone: Description}
    skip: [Description]
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
"""
TOO_LONG = "x" * 60


orgs = two_orgs(SCHEMA)
pair = empty_pair("Contact", "Account")


def broken(pair: Pair) -> tuple[list[str], str]:
    """A run in which two of five accounts are refused and their contacts held back."""
    texts = ("1", TOO_LONG, "3", TOO_LONG, "5")
    ids = create(pair.source, "Account", *({"Name": t[:1], "Description": t} for t in texts))
    create(pair.source, "Contact", *({"LastName": f"C{n}", "AccountId": ids[n]} for n in range(5)))
    document = pair.run(PLAN)
    assert (line(document, "account")["failed"], line(document, "contact")["blocked"]) == (2, 2)
    return ids, str(document["run_id"])


def retried(pair: Pair, name: str, choice: RetryChoice | None = None) -> dict[str, Any]:
    """The figures of a retry."""
    made = retrying.retry(pair.bridge, pair.actor, name, choice, enqueue=False)
    pair.carry(made)
    return pair.document(made)


def resolved(pair: Pair, name: str) -> dict[str, int]:
    """How many failures of a run were brought by later ones, by kind."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        found = session.execute(
            text(
                "SELECT f.kind, count(*) FROM row_failure f JOIN data_migration m"
                " ON m.id = f.run_id WHERE m.data_schedule_id = :name"
                " AND f.resolved_by_run IS NOT NULL GROUP BY 1"
            ),
            {"name": name},
        )
        return {str(kind): int(n) for kind, n in found}


def test_a_retry_reads_the_rows_that_did_not_arrive_and_no_others(pair: Pair) -> None:
    ids, name = broken(pair)
    for n in (1, 3):
        pair.source.json("PATCH", f"sobjects/Account/{ids[n]}", {"Description": "short"})

    left = retrying.rows_left(pair.bridge, pair.actor, name)
    document = retried(pair, name)

    assert left == {"account": 2, "contact": 2}
    assert document["status"] == "Succeeded"
    check_identity(document)
    assert (line(document, "account")["read"], line(document, "account")["inserted"]) == (2, 2)
    assert (line(document, "contact")["read"], line(document, "contact")["inserted"]) == (2, 2)
    assert len(live(pair.target, "Contact")) == 5
    assert all(row["AccountId"] for row in live(pair.target, "Contact"))
    assert resolved(pair, name) == {"failed": 2, "blocked": 2}
    assert pair.row(document["run_id"]).parent_run_id == pair.row(name).id
    assert retrying.rows_left(pair.bridge, pair.actor, name) == {}


def test_a_retry_of_a_retry_resolves_the_first_failure_too(pair: Pair) -> None:
    ids, name = broken(pair)
    pair.source.json("PATCH", f"sobjects/Account/{ids[1]}", {"Description": "short"})
    second = retried(pair, name)
    pair.source.json("PATCH", f"sobjects/Account/{ids[3]}", {"Description": "short"})

    third = retried(pair, second["run_id"])

    assert line(second, "account")["failed"] == 1
    assert third["status"] == "Succeeded"
    assert resolved(pair, name) == {"failed": 2, "blocked": 2}
    assert resolved(pair, second["run_id"]) == {"failed": 1, "blocked": 1}


def test_a_retry_takes_a_group_a_mapping_or_single_rows(pair: Pair) -> None:
    ids, name = broken(pair)
    for n in (1, 3):
        pair.source.json("PATCH", f"sobjects/Account/{ids[n]}", {"Description": "short"})
    with pair.bridge.session(pair.actor.workspace_id) as session:
        print_of = session.scalar(
            text("SELECT fingerprint FROM row_failure WHERE kind = 'blocked' LIMIT 1")
        )

    one = retried(pair, name, RetryChoice(source_ids=(ids[1],)))
    rest = retried(pair, name, RetryChoice(mappings=("account",)))
    group = retried(pair, name, RetryChoice(fingerprints=(str(print_of),)))

    assert [entry["as"] for entry in one["objects"]] == ["account"]
    assert line(one, "account")["inserted"] == 1
    assert line(rest, "account")["inserted"] == 1
    assert line(group, "contact")["inserted"] == 2


def test_a_retry_carries_the_plan_as_it_stands_now(pair: Pair) -> None:
    """A failure is mostly mended in the plan; a mapping that is gone is named."""
    _, name = broken(pair)
    pair.import_plan(PLAN.replace("{Phone: Description}", "{Phone: {constant: mended}}"))

    document = retried(pair, name)
    without = PLAN[: PLAN.index("  - source: Contact")]
    pair.import_plan(without)

    assert document["status"] == "Succeeded"
    assert pair.row(document["run_id"]).plan_version != pair.row(name).plan_version
    with pytest.raises(ConflictError, match="no rows to try again"):
        retrying.retry(pair.bridge, pair.actor, name)


def test_a_retry_of_a_mapping_that_is_gone_is_refused(pair: Pair) -> None:
    _, name = broken(pair)
    pair.import_plan(PLAN[: PLAN.index("  - source: Contact")])

    with pytest.raises(UserError, match="no object 'contact'"):
        retrying.retry(pair.bridge, pair.actor, name)


def test_a_run_is_told_which_of_its_blank_lookups_a_retry_filled_in(pair: Pair) -> None:
    """The contacts had arrived: a retry reads them where their group is named."""
    plan = f"{PLAN}    lookups: {{AccountId: {{missing: blank}}}}\n"
    made = create(pair.source, "Account", {"Name": "A", "Description": TOO_LONG})
    create(pair.source, "Contact", {"LastName": "C", "AccountId": made[0]})
    name = str(pair.run(plan)["run_id"])
    (blank,) = [
        group.line
        for group in run_reads.failure_groups(pair.bridge, pair.actor, name)
        if group.line.kind == "left_blank"
    ]
    pair.source.json("PATCH", f"sobjects/Account/{made[0]}", {"Description": "short"})

    account = retried(pair, name)
    before = run_reads.shown(pair.bridge, pair.actor, name)
    named = retried(pair, name, RetryChoice(fingerprints=(blank.fingerprint,)))
    after = run_reads.shown(pair.bridge, pair.actor, name)

    assert account["status"] == "Succeeded" and live(pair.target, "Contact")[0]["AccountId"]
    assert (before.still_unfilled, before.filled_later) == (1, ())
    assert [(one.run, one.values) for one in after.filled_later] == [(named["run_id"], 1)]
    assert after.still_unfilled == 0 and after.totals.lookups_left_blank == 1


def test_a_retry_of_parents_fills_the_lookups_of_rows_that_had_arrived_where_asked(
    pair: Pair,
) -> None:
    plan = f"{PLAN}    lookups: {{AccountId: {{missing: blank}}}}\n"
    made = create(pair.source, "Account", {"Name": "A", "Description": TOO_LONG}, {"Name": "B"})
    create(
        pair.source,
        "Contact",
        {"LastName": "C", "AccountId": made[0]},
        {"LastName": "D", "AccountId": made[1]},
    )
    name = str(pair.run(plan)["run_id"])
    pair.source.json("PATCH", f"sobjects/Account/{made[0]}", {"Description": "short"})
    parents = RetryChoice(mappings=("account",))
    wider = replace(parents, blank_lookups=True)

    left = [retrying.rows_left(pair.bridge, pair.actor, name, one) for one in (parents, wider)]
    document = retried(pair, name, wider)

    assert left == [{"account": 1}, {"account": 1, "contact": 1}]
    assert document["status"] == "Succeeded"
    assert (line(document, "contact")["read"], line(document, "contact")["updated"]) == (1, 1)
    assert all(row["AccountId"] for row in live(pair.target, "Contact"))
    after = run_reads.shown(pair.bridge, pair.actor, name)
    assert after.still_unfilled == 0
    assert [(one.run, one.values) for one in after.filled_later] == [(document["run_id"], 1)]
    assert retrying.rows_left(pair.bridge, pair.actor, name, wider) == {}


def test_a_later_run_of_the_whole_plan_makes_good_what_a_run_left_behind(pair: Pair) -> None:
    ids, name = broken(pair)
    shown = run_reads.shown(pair.bridge, pair.actor, name)
    for n in (1, 3):
        pair.source.json("PATCH", f"sobjects/Account/{ids[n]}", {"Description": "short"})

    again = pair.run(PLAN)

    after = run_reads.shown(pair.bridge, pair.actor, name)
    assert (shown.still_failed, shown.made_good_by) == (4, None)
    assert again["status"] == "Succeeded"
    assert (after.still_failed, after.made_good_by) == (0, again["run_id"])
    assert run_reads.shown(pair.bridge, pair.actor, again["run_id"]).made_good_by is None
