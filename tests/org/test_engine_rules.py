"""The numbered rules, each between two practice orgs."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from core.domain.states import RunState
from core.errors import ConflictError, RefusedError
from core.services import launching, running
from core.services import orgs as orgs_service
from tests.org.engine import PLAN, SCHEMA, Pair, check_identity, line
from tests.org.pairs import create, live
from tests.org.two_orgs import empty_pair, two_orgs

KEYED = """
orgbridge: 1
name: rules
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
"""


orgs = two_orgs(SCHEMA)
pair = empty_pair("Contact", "Account")


def test_rule_8_1_a_dry_run_writes_nothing_and_says_what_would_happen(pair: Pair) -> None:
    parent, *_ = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    create(pair.source, "Account", {"Name": "C", "ParentId": parent})
    create(pair.source, "Contact", {"LastName": "X", "AccountId": parent})
    before = live(pair.target, "Account")

    document = pair.run(mode="dry-run")

    check_identity(document)
    assert line(document, "account")["inserted"] == 3
    assert line(document, "contact")["inserted"] == 1
    assert live(pair.target, "Account") == before
    assert pair.run()["status"] == "Succeeded"


def test_rule_2_7_insert_skips_matched_rows(pair: Pair) -> None:
    one, two = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    create(pair.target, "Account", {"Name": "Other", "Legacy_Id__c": one})

    document = pair.run(KEYED + "    operation: insert\n")

    assert line(document, "account")["inserted"] == 1
    assert line(document, "account")["skipped"] == 1
    names = {row["Legacy_Id__c"]: row["Name"] for row in live(pair.target, "Account")}
    assert names == {one: "Other", two: "B"}


def test_rule_2_7_update_skips_unmatched_rows(pair: Pair) -> None:
    one, _ = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    create(pair.target, "Account", {"Name": "Other", "Legacy_Id__c": one})

    document = pair.run(KEYED + "    operation: update\n")

    assert line(document, "account")["updated"] == 1
    assert line(document, "account")["skipped"] == 1
    assert {row["Name"] for row in live(pair.target, "Account")} == {"A"}


def test_rule_2_3_repeated_keys_block_their_whole_group(pair: Pair) -> None:
    create(
        pair.source,
        "Account",
        {"Name": "same"},
        {"Name": " same "},
        {"Name": "other"},
    )
    plan = KEYED.replace("{source: Id, target: Legacy_Id__c}", "Name")

    document = pair.run(plan)

    check_identity(document)
    assert line(document, "account")["blocked"] == 2
    assert line(document, "account")["inserted"] == 1
    assert document["status"] == "Partial"


def test_rule_2_5_keyless_twins_arrive_one_to_one_and_are_counted(pair: Pair) -> None:
    create(pair.source, "Account", *({"Name": f"Twin {n % 3}"} for n in range(9)))
    plan = KEYED.replace("    key: {source: Id, target: Legacy_Id__c}\n", "")

    document = pair.run(plan)
    again = pair.run(plan)

    check_identity(document)
    assert line(document, "account")["inserted"] == 9
    assert line(document, "account")["twins"] == 6
    assert len(live(pair.target, "Account")) == 9
    assert line(again, "account")["unchanged"] == 9


def test_rule_3_1_a_blank_clears_what_we_made_and_keeps_what_others_made(pair: Pair) -> None:
    ours, theirs = create(
        pair.source, "Account", {"Name": "A", "Phone": "1"}, {"Name": "B", "Phone": None}
    )
    create(pair.target, "Account", {"Name": "B0", "Legacy_Id__c": theirs, "Phone": "9"})
    pair.run(KEYED)
    pair.source.json("PATCH", f"sobjects/Account/{ours}", {"Phone": None})

    document = pair.run(KEYED)

    phones = {row["Legacy_Id__c"]: row["Phone"] for row in live(pair.target, "Account")}
    assert phones == {ours: None, theirs: "9"}
    assert line(document, "account")["updated"] == 1


def test_rule_3_2_what_a_person_changed_in_the_target_is_reported_not_overwritten(
    pair: Pair,
) -> None:
    one, two = create(pair.source, "Account", {"Name": "A", "Phone": "1"}, {"Name": "B"})
    pair.run(KEYED)
    there = {row["Legacy_Id__c"]: row["Id"] for row in live(pair.target, "Account")}
    pair.target.json("PATCH", f"sobjects/Account/{there[one]}", {"Phone": "by hand"})
    pair.source.json("PATCH", f"sobjects/Account/{one}", {"Name": "A2"})
    pair.source.json("PATCH", f"sobjects/Account/{two}", {"Name": "B2"})

    document = pair.run(KEYED)
    named = {row["Legacy_Id__c"]: row["Name"] for row in live(pair.target, "Account")}
    overwritten = pair.run(KEYED + "    on_target_change: overwrite\n")

    assert line(document, "account")["blocked"] == 1
    assert named == {one: "A", two: "B2"}
    assert line(overwritten, "account")["updated"] == 1


@pytest.mark.parametrize(
    ("policy", "rows", "bucket"),
    [
        ("report", 1, "blocked"),
        ("skip", 1, "skipped"),
        ("recreate", 2, "inserted"),
    ],
)
def test_rule_3_2_a_target_row_that_is_gone_follows_the_policy(
    pair: Pair, policy: str, rows: int, bucket: str
) -> None:
    one, _ = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    pair.run(KEYED)
    there = {row["Legacy_Id__c"]: row["Id"] for row in live(pair.target, "Account")}
    pair.target.json("DELETE", f"sobjects/Account/{there[one]}")

    document = pair.run(KEYED + f"    on_target_missing: {policy}\n")

    assert line(document, "account")[bucket] == 1
    assert pair.target.count("SELECT COUNT() FROM Account") == rows


def test_rule_5_1_an_unresolved_lookup_follows_its_policy(pair: Pair) -> None:
    lost, kept = create(pair.source, "Account", {"Name": "lost"}, {"Name": "kept"})
    create(
        pair.source,
        "Contact",
        {"LastName": "X", "AccountId": lost},
        {"LastName": "Y", "AccountId": kept},
    )
    plan = KEYED + (
        "    where: \"Name != 'lost'\"\n"
        "  - source: Contact\n    key: {source: Id, target: Legacy_Id__c}\n"
        "    lookups: {AccountId: {missing: %s}}\n"
    )

    rejected = pair.run(plan % "reject")
    blank = pair.run(plan % "blank")

    assert line(rejected, "contact")["blocked"] == 1
    assert line(blank, "contact")["inserted"] == 1
    assert line(blank, "contact")["lookups_left_blank"] == 1
    assert blank["status"] == "Partial"
    told = [said.message for said in running.events(pair.bridge, pair.actor, blank["run_id"])]
    assert "contact: every row is settled; 1 lookup left blank" in told


def test_rule_4_1_a_circle_of_self_lookups_is_closed_in_the_second_pass(pair: Pair) -> None:
    one, two = create(pair.source, "Contact", {"LastName": "X"}, {"LastName": "Y"})
    pair.source.json("PATCH", f"sobjects/Contact/{one}", {"ReportsToId": two})
    pair.source.json("PATCH", f"sobjects/Contact/{two}", {"ReportsToId": one})
    plan = KEYED.replace("Account", "Contact")

    document = pair.run(plan)
    again = pair.run(plan)

    assert line(document, "contact")["second_pass"] == 2
    rows = {row["Legacy_Id__c"]: row for row in live(pair.target, "Contact")}
    assert rows[one]["ReportsToId"] == rows[two]["Id"]
    assert rows[two]["ReportsToId"] == rows[one]["Id"]
    assert line(again, "contact")["unchanged"] == 2


def test_rule_6_2_every_value_as_sent_is_compared_and_nothing_is_lost(pair: Pair) -> None:
    parent, *_ = create(pair.source, "Account", {"Name": "A", "Phone": " 1 "}, {"Name": "B"})
    create(pair.source, "Account", {"Name": "C", "ParentId": parent, "Description": "a\nb"})

    document = pair.run(KEYED)

    proof = pair.summary(document)["proof"]["account"]
    assert proof["rows"] == 3
    assert proof["differences"]["lost"] == 0
    assert proof["differences"]["automation"] == 0
    assert proof["values"] > 9


def test_a_change_of_one_row_writes_one_row(pair: Pair) -> None:
    ids = create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(50)))
    pair.run(KEYED)
    pair.source.json("PATCH", f"sobjects/Account/{ids[7]}", {"Phone": "7"})

    document = pair.run(KEYED)

    assert line(document, "account")["updated"] == 1
    assert line(document, "account")["unchanged"] == 49


def test_deletes_remove_matched_rows_only(pair: Pair) -> None:
    one, two = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    create(pair.target, "Account", {"Name": "x", "Legacy_Id__c": one}, {"Name": "stays"})

    document = pair.run(
        KEYED + "    operation: delete\n", confirm="new", reason="clean the rehearsal"
    )

    assert line(document, "account")["updated"] == 1
    assert line(document, "account")["skipped"] == 1
    assert pair.target.count("SELECT COUNT() FROM Account") == 1
    assert two


def undone(pair: Pair, name: str, *, preview: bool = False) -> dict[str, Any]:
    """Undoes a run; the figures of the undo."""
    made = launching.undo(pair.bridge, pair.actor, name, preview=preview, enqueue=False)
    pair.carry(made)
    return pair.document(made)


def test_rule_7_1_undo_deletes_what_was_made_and_restores_what_was_changed(pair: Pair) -> None:
    known, fresh = create(pair.source, "Account", {"Name": "A", "Phone": "1"}, {"Name": "B"})
    create(pair.target, "Account", {"Name": "A0", "Legacy_Id__c": known, "Phone": "old"})
    create(pair.source, "Contact", {"LastName": "X", "AccountId": fresh})
    before = [(r["Id"], r["Name"], r["Phone"]) for r in live(pair.target, "Account")]
    document = pair.run()

    previewed = undone(pair, document["run_id"], preview=True)
    still = len(live(pair.target, "Contact"))
    figures = undone(pair, document["run_id"])

    assert still == 1
    assert line(previewed, "account")["updated"] == line(figures, "account")["updated"] == 2
    assert figures["status"] == "Succeeded"
    assert [(r["Id"], r["Name"], r["Phone"]) for r in live(pair.target, "Account")] == before
    assert live(pair.target, "Contact") == []
    assert pair.document(document["run_id"])["status"] == "Undone"
    assert line(pair.run(), "account")["inserted"] == 1


def test_rule_7_1_a_record_changed_since_is_a_conflict_and_stays(pair: Pair) -> None:
    one, _ = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    document = pair.run(KEYED)
    there = {row["Legacy_Id__c"]: row["Id"] for row in live(pair.target, "Account")}
    pair.target.json("PATCH", f"sobjects/Account/{there[one]}", {"Name": "by hand"})

    figures = undone(pair, document["run_id"])

    assert line(figures, "account")["blocked"] == 1
    assert [row["Name"] for row in live(pair.target, "Account")] == ["by hand"]


def test_rule_7_2_children_that_others_made_keep_their_parent(pair: Pair) -> None:
    create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    document = pair.run(KEYED)
    parent = live(pair.target, "Account")[0]
    create(pair.target, "Contact", {"LastName": "theirs", "AccountId": parent["Id"]})

    figures = undone(pair, document["run_id"])

    assert line(figures, "account")["blocked"] == 1
    assert [row["Id"] for row in live(pair.target, "Account")] == [parent["Id"]]
    assert len(live(pair.target, "Contact")) == 1


def test_rule_1_4_scope_keeps_children_of_rows_in_the_plan(pair: Pair) -> None:
    inside, outside = create(pair.source, "Account", {"Name": "in"}, {"Name": "out"})
    create(
        pair.source,
        "Contact",
        {"LastName": "X", "AccountId": inside},
        {"LastName": "Y", "AccountId": outside},
        {"LastName": "Z"},
    )

    document = pair.run(
        KEYED
        + "    where: \"Name != 'out'\"\n"
        + "  - source: Contact\n    key: {source: Id, target: Legacy_Id__c}\n"
        + "    scope: {within: [AccountId]}\n"
    )

    assert line(document, "contact")["read"] == 1
    assert [row["LastName"] for row in live(pair.target, "Contact")] == ["X"]


def test_rule_1_5_a_delta_reads_what_changed_and_what_stayed_behind(pair: Pair) -> None:
    one, _ = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    pair.source.json("POST", "/_sim/clock", {"move_s": 3600})
    pair.run(KEYED)
    pair.source.json("POST", "/_sim/clock", {"move_s": 3600})
    changed = pair.run(KEYED, mode="delta")
    pair.source.json("POST", "/_sim/clock", {"move_s": 3600})
    pair.source.json("PATCH", f"sobjects/Account/{one}", {"Phone": "2"})

    document = pair.run(KEYED, mode="delta")

    assert line(changed, "account")["read"] == 0
    assert line(document, "account")["read"] == 1
    assert line(document, "account")["updated"] == 1


def test_rule_8_1_a_trial_lets_the_org_refuse_and_leaves_nothing(pair: Pair) -> None:
    create(pair.source, "Account", {"Name": "A"}, {"Name": "B", "Description": "x" * 300})
    plan = KEYED + "    fields: {Name: Name, Phone: Description}\n    auto_map: false\n"

    document = pair.run(plan, mode="trial")

    check_identity(document)
    assert line(document, "account")["failed"] == 1
    assert pair.failures(document["run_id"])[0]["code"] == "STRING_TOO_LONG"
    assert live(pair.target, "Account") == []
    assert line(pair.run(plan), "account")["inserted"] == 1


def test_a_used_up_daily_limit_pauses_the_run_and_it_goes_on(pair: Pair) -> None:
    create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(5)))
    name = pair.launch(KEYED)
    pair.target.plant({"kind": "http", "preset": "daily_limit", "path": "/composite/sobjects"})

    paused = pair.carry(name)
    why = pair.row(name).wait_reason or ""
    pair.target.clear_faults()
    ended = pair.carry(name)

    assert (paused, ended) == (RunState.PAUSED, RunState.SUCCEEDED)
    assert "limit" in why
    assert len(live(pair.target, "Account")) == 5


def test_a_finished_run_is_not_carried_again(pair: Pair) -> None:
    create(pair.source, "Account", {"Name": "A"})
    document = pair.run(KEYED)
    create(pair.source, "Account", {"Name": "B"})

    state = pair.carry(document["run_id"])

    assert state is RunState.SUCCEEDED
    assert len(live(pair.target, "Account")) == 1


def test_a_run_leaves_its_outcome_among_the_logs(pair: Pair) -> None:
    create(pair.source, "Account", {"Name": "A"})

    document = pair.run(KEYED)

    with pair.bridge.session(pair.actor.workspace_id) as session:
        found = session.execute(
            text("SELECT status, record_counts FROM migrate_data_log WHERE data_schedule_id = :n"),
            {"n": document["run_id"]},
        ).one()
    assert found.status == "succeeded"
    assert found.record_counts["account"]["inserted"] == 1


def test_rule_3_11_rows_that_met_a_lock_are_sent_again(pair: Pair) -> None:
    create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(12)))
    pair.target.plant({"kind": "row", "preset": "lock", "times": 5})

    document = pair.run(KEYED)

    assert line(document, "account")["inserted"] == 12
    assert document["status"] == "Succeeded"


def test_rule_3_11_rows_that_ran_out_of_cpu_go_in_smaller_requests(pair: Pair) -> None:
    create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(12)))
    pair.target.plant({"kind": "row", "preset": "cpu", "times": 14})

    document = pair.run(KEYED)

    assert line(document, "account")["inserted"] == 12
    assert len(live(pair.target, "Account")) == 12


def test_rule_3_3_a_lookup_that_leads_elsewhere_is_a_change(pair: Pair) -> None:
    one, two = create(pair.source, "Account", {"Name": "A"}, {"Name": "B"})
    (person,) = create(pair.source, "Contact", {"LastName": "X", "AccountId": one})
    pair.run()
    pair.source.json("PATCH", f"sobjects/Contact/{person}", {"AccountId": two})

    document = pair.run()

    keys = {row["Id"]: row["Legacy_Id__c"] for row in live(pair.target, "Account")}
    assert line(document, "contact")["updated"] == 1
    assert keys[live(pair.target, "Contact")[0]["AccountId"]] == two


def test_rule_2_7_preserve_writes_nothing_and_children_find_the_parents(pair: Pair) -> None:
    (one,) = create(pair.source, "Account", {"Name": "A"})
    (there,) = create(pair.target, "Account", {"Name": "A there", "Legacy_Id__c": one})
    create(pair.source, "Contact", {"LastName": "X", "AccountId": one})

    document = pair.run(
        KEYED
        + "    operation: preserve\n"
        + "  - source: Contact\n    key: {source: Id, target: Legacy_Id__c}\n"
    )

    assert [row["Name"] for row in live(pair.target, "Account")] == ["A there"]
    assert live(pair.target, "Contact")[0]["AccountId"] == there
    assert line(document, "account")["unchanged"] == 1


def test_a_full_org_stops_a_run_and_resuming_it_sends_what_was_refused(pair: Pair) -> None:
    """Rows refused for want of storage are sent again when there is room, not given up."""
    create(pair.source, "Account", *({"Name": f"A{n}"} for n in range(5)))
    name = pair.launch(KEYED)
    pair.target.plant({"kind": "row", "preset": "storage", "times": 1})

    with pytest.raises(RefusedError, match="storage"):
        pair.carry(name)
    state = pair.carry(name)

    assert state is RunState.SUCCEEDED
    assert (
        line(pair.document(name), "account")["inserted"] == len(live(pair.target, "Account")) == 5
    )


def test_rule_5_1_lookups_lead_to_records_whose_update_was_refused(pair: Pair) -> None:
    """The parent is in the target and recognised by its key; that it could not be updated is a
    failure of its own."""
    (parent,) = create(pair.source, "Account", {"Name": "New name"})
    create(pair.source, "Contact", {"LastName": "Child", "AccountId": parent})
    (there,) = create(pair.target, "Account", {"Name": "Old name", "Legacy_Id__c": parent})
    pair.target.plant(
        {"kind": "row", "object": "Account", "code": "DELETED_BY_RULE", "message": "no", "times": 0}
    )

    document = pair.run(PLAN)

    pair.target.clear_faults()
    assert line(document, "account")["failed"] == 1
    assert [row["AccountId"] for row in live(pair.target, "Contact")] == [there]


def test_an_org_is_not_removed_under_a_run_that_waits_for_its_worker(pair: Pair) -> None:
    """A run that is launched and not begun needs its orgs as much as one on its way."""
    create(pair.source, "Account", {"Name": "A"})
    name = pair.launch(KEYED)

    for card in orgs_service.orgs(pair.bridge, pair.actor):
        with pytest.raises(ConflictError, match="has not ended"):
            orgs_service.remove(pair.bridge, pair.actor, card.id, confirm=card.name)

    assert pair.carry(name) is RunState.SUCCEEDED
