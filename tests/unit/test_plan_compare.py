"""Comparing two documents names each place once and ignores order."""

from __future__ import annotations

from core.domain.plan import CopyRule, parse_plan
from core.plans import editing
from core.plans.compare import compare_plans
from core.plans.editing import FieldPlace

PLAN = parse_plan(
    """
orgbridge: 1
name: sales
source: legacy
target: new
objects:
  - source: Account
    where: "Type != null"
    fields: {Name: Name, Rating: Grade__c}
"""
)


def test_equal_documents_differ_nowhere() -> None:
    assert compare_plans(PLAN, PLAN) == ()


def test_each_changed_place_is_named_with_both_values() -> None:
    changed = editing.set_rule(PLAN, FieldPlace("account", "Rating"), CopyRule(source="Stars__c"))
    changed = editing.change_settings(changed, "account", {"where": None})
    changed = editing.add_objects(changed, [{"source": "Contact"}])

    changes = {change.place: change for change in compare_plans(PLAN, changed)}

    assert set(changes) == {"account.fields.Rating", "account.where", "contact"}
    assert changes["account.fields.Rating"].before == "Grade__c"
    assert changes["account.fields.Rating"].after == "Stars__c"
    assert changes["account.where"].sentence == "account.where removed (was Type != null)"


def test_the_order_of_fields_makes_no_difference() -> None:
    turned = editing.change_object(
        PLAN,
        "account",
        lambda entry: entry.model_copy(update={"fields": dict(reversed(entry.fields.items()))}),
    )

    assert compare_plans(PLAN, turned) == ()
