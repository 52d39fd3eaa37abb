"""What the editor shows is what a launch takes, also after any edit."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.describe import Field, Fields, SObject
from core.domain.plan import ConstantRule, ObjectMapping, Plan, ReviewState, plan_from_document
from core.migration.resolve import resolve
from core.plans import editing, launch_rules
from core.plans.editing import FieldPlace

SOURCE = SObject(
    name="Contact",
    fields=Fields(
        (
            Field("Id", "id"),
            Field("LastName", "string", label="Last Name"),
            Field("Phone", "phone", label="Phone"),
            Field("Gebiet__c", "string", label="Region"),
            Field("Code__c", "string", label="Code"),
            Field("OwnerId", "reference", label="Owner", reference_to=("User",)),
            Field("CampaignId", "reference", label="Campaign", reference_to=("Campaign",)),
        )
    ),
)
TARGET = SObject(
    name="Contact",
    fields=Fields(
        (
            Field("Id", "id", createable=False, updateable=False),
            Field("LastName", "string", label="Last Name", length=80),
            Field("Phone", "phone", label="Phone"),
            Field("Region__c", "string", label="Region"),
            Field("Code__c", "string", label="Code", external_id=True, unique=True),
            Field("OwnerId", "reference", label="Owner", reference_to=("User",)),
            Field("CampaignId", "reference", label="Campaign", reference_to=("Campaign",)),
        )
    ),
)


def plan_of(**mapping: Any) -> Plan:
    head = {"orgbridge": 1, "name": "p", "source": "a", "target": "b"}
    return plan_from_document({**head, "objects": [{"source": "Contact", **mapping}]})


def shown(plan: Plan) -> ObjectMapping:
    return launch_rules.with_launch_rules(
        plan.objects[0], SOURCE, TARGET, beside=launch_rules.around(plan)
    )


def saved(plan: Plan, changed: Plan) -> Plan:
    """The plan that is kept when `changed` was made of what is shown."""
    entry = launch_rules.folded(
        shown(plan),
        changed.objects[0],
        draft=plan.objects[0],
        sides=(SOURCE, TARGET),
        beside=launch_rules.around(changed),
    )
    return changed.model_copy(update={"objects": (entry,)})


def sent(plan: Plan) -> set[str]:
    """Target fields that a run writes."""
    described = {"contact": SOURCE}, {"contact": TARGET}
    (entry,) = resolve(plan, *described).mappings
    return set(entry.fields)


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"auto_map": False, "fields": {"LastName": "LastName"}},
        {"fields": {"Phone": {"from": "Phone", "review": "rejected"}}},
        {"skip": ["Phone"], "key": "Code__c"},
        {"lookups": {"CampaignId": {"missing": "blank"}}},
        {"lookups": {"CampaignId": {"missing": "blank"}}, "skip": ["CampaignId"]},
        {"auto_map": False, "lookups": {"OwnerId": {"missing": "running_user"}}},
        {"operation": "preserve"},
        {"operation": "delete"},
    ],
)
def test_the_fields_shown_are_those_that_a_run_writes(mapping: dict[str, Any]) -> None:
    plan = plan_of(**mapping)
    stamped = {"Code__c"} if "key" in mapping else set()

    applied = {name for name, rule in shown(plan).fields.items() if rule.is_applied}

    writes = mapping.get("operation") not in ("preserve", "delete")
    assert applied | stamped == sent(plan)
    assert bool(applied) is writes


def test_what_a_launch_adds_is_a_suggestion_with_its_reason() -> None:
    found = shown(plan_of()).fields

    assert found["Phone"].review is ReviewState.SUGGESTED
    assert (found["Phone"].confidence, found["Phone"].reasons[0]) == (1.0, "same API name")
    assert (found["Region__c"].confidence, found["Region__c"].reasons[0]) == (0.95, "same label")


def test_only_the_touched_field_is_written_into_the_draft() -> None:
    plan = plan_of()
    looked_at = plan.model_copy(update={"objects": (shown(plan),)})
    at = FieldPlace("contact", "Phone")

    kept = saved(plan, editing.set_rule(looked_at, at, ConstantRule(constant="1")))
    untouched = saved(plan, looked_at)

    assert list(kept.objects[0].fields) == ["Phone"]
    assert untouched == plan
    assert sent(kept) == sent(plan)


@pytest.mark.parametrize("mapping", [{}, {"fields": {"Phone": "Code__c"}}])
def test_what_a_person_takes_away_is_not_sent_after_all(mapping: dict[str, Any]) -> None:
    """A launch would add the field again by its name if the draft did not say to leave it."""
    plan = plan_of(**mapping)
    looked_at = plan.model_copy(update={"objects": (shown(plan),)})
    at = FieldPlace("contact", "Phone")

    kept = saved(plan, editing.unmap(looked_at, at))

    assert kept.objects[0].skip == ("Phone",)
    assert "Phone" not in sent(kept)
    looked_at = kept.model_copy(update={"objects": (shown(kept),)})
    assert "Phone" in sent(saved(kept, editing.unskip_field(looked_at, at)))


def test_a_lookup_may_be_read_through_another_record() -> None:
    plan = plan_of(fields={"CampaignId": "Account.Campaign__c"}, auto_map=False)

    (step,) = resolve(plan, {"contact": SOURCE}, {"contact": TARGET}).steps

    assert [lookup.source for lookup in step.lookups] == ["Account.Campaign__c"]
