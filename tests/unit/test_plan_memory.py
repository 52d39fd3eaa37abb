"""What the editor keeps between two edits says the same as what it is kept from."""

from __future__ import annotations

from core.domain.plan import parse_plan, plan_document
from core.services import plan_memory

PLAN = """
orgbridge: 1
name: Two
source: Legacy
target: New
objects:
  - source: Account
    fields: {Name: Name, Industry: {from: Industry, review: suggested, confidence: 0.5}}
  - source: Contact
    key: Email
    fields: {LastName: LastName, Phone: {constant: none}}
"""


def test_a_plan_is_spelt_the_same_before_and_after_an_edit_and_untouched_objects_once() -> None:
    plan = parse_plan(PLAN)
    account, contact = plan.objects
    edited = account.model_copy(update={"skip": ("Fax",)})
    changed = plan.model_copy(update={"name": "Three", "objects": (edited, contact)})

    first, second = plan_memory.document_of(plan), plan_memory.document_of(changed)

    assert first == plan_document(plan)
    assert second == plan_document(changed)
    assert second["objects"][1] is first["objects"][1]
