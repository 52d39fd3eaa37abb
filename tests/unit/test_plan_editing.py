"""Edits keep what people reviewed and refuse what the platform could not tell apart."""

from __future__ import annotations

import pytest

from core.domain.plan import CopyRule, Plan, ReviewState, parse_plan
from core.errors import NotFoundError, UserError
from core.plans import editing
from core.plans.editing import FieldPlace

TEXT = """
orgbridge: 1
name: sales
source: legacy
target: new
objects:
  - source: Account
    fields:
      Name: Name
      Industry: {from: Sector__c, review: suggested, confidence: 0.9, reasons: [label]}
      Rating: {from: Grade__c, review: suggested, confidence: 0.6}
  - source: Contact
    after: [account]
    lookups: {AccountId: {through: [account]}}
"""


@pytest.fixture
def plan() -> Plan:
    return parse_plan(TEXT)


def _fields(plan: Plan) -> dict[str, CopyRule]:
    return plan.mapping("account").fields


def test_a_rule_set_by_a_person_counts_as_reviewed(plan: Plan) -> None:
    changed = editing.set_rule(plan, FieldPlace("account", "rating"), CopyRule(source="Stars__c"))

    assert _fields(changed)["Rating"].source == "Stars__c"
    assert _fields(changed)["Rating"].review is ReviewState.APPROVED


def test_accepting_takes_only_suggestions_of_that_confidence(plan: Plan) -> None:
    changed = editing.accept_at_least(plan, 0.9)

    assert _fields(changed)["Industry"].review is ReviewState.APPROVED
    assert _fields(changed)["Rating"].review is ReviewState.SUGGESTED


def test_suggestions_never_replace_what_a_person_said(plan: Plan) -> None:
    plan = editing.review(plan, FieldPlace("account", "Industry"), ReviewState.REJECTED)
    plan = editing.skip_field(plan, FieldPlace("account", "Fax"))
    fresh = {name: CopyRule(source="New__c") for name in ("NAME", "industry", "Fax", "Rating")}

    changed = editing.merge_suggestions(plan, "account", fresh)

    assert _fields(changed)["Name"].source == "Name"
    assert _fields(changed)["Industry"].review is ReviewState.REJECTED
    assert "Fax" not in _fields(changed)
    assert _fields(changed)["Rating"].source == "New__c"


def test_a_skipped_field_that_gets_a_rule_is_no_longer_skipped(plan: Plan) -> None:
    skipped = editing.skip_field(plan, FieldPlace("account", "Name"))

    changed = editing.set_rule(skipped, FieldPlace("account", "Name"), CopyRule(source="Title__c"))

    assert "Name" not in _fields(skipped)
    assert changed.mapping("account").skip == ()


def test_a_rule_does_not_move_onto_a_filled_field(plan: Plan) -> None:
    with pytest.raises(UserError, match="already filled"):
        editing.move_rule(plan, FieldPlace("account", "Rating"), "industry")

    moved = editing.move_rule(plan, FieldPlace("account", "Rating"), "Tier__c")
    assert "Rating" not in _fields(moved)
    assert _fields(moved)["Tier__c"].source == "Grade__c"


def test_removing_an_object_takes_its_name_out_of_the_others(plan: Plan) -> None:
    changed = editing.remove_object(plan, "account")

    contact = changed.mapping("contact")
    assert contact.after == ()
    assert contact.lookups["AccountId"].through == ()


def test_the_last_object_stays(plan: Plan) -> None:
    alone = editing.remove_object(plan, "account")

    with pytest.raises(UserError, match="at least one object"):
        editing.remove_object(alone, "contact")


def test_settings_are_checked_like_a_plan_file(plan: Plan) -> None:
    changed = editing.change_settings(
        plan, "account", {"operation": "update", "key": "Legacy_Id__c"}
    )

    assert changed.mapping("account").key.target == ("Legacy_Id__c",)
    assert changed.mapping("account").operation == "update"
    back = editing.change_settings(changed, "account", {"key": None})
    assert back.mapping("account").key.is_ledger
    with pytest.raises(UserError, match="operation"):
        editing.change_settings(plan, "account", {"operation": "explode"})


def test_an_edit_of_an_object_that_is_gone_says_so(plan: Plan) -> None:
    with pytest.raises(NotFoundError, match="no object named lead"):
        editing.skip_field(plan, FieldPlace("lead", "Name"))


def test_added_objects_are_checked_against_the_plan(plan: Plan) -> None:
    changed = editing.add_objects(plan, [{"source": "Case", "operation": "insert"}])

    assert [entry.name for entry in changed.objects] == ["account", "contact", "case"]
    with pytest.raises(UserError):
        editing.add_objects(plan, [{"source": "Account"}])
