"""What a delta depends on besides rows and plan, and what it asks for."""

from __future__ import annotations

from dataclasses import replace

from core.domain.describe import Field, Fields, RecordType, SObject
from core.domain.plan import ObjectMapping
from core.migration.delta import formulas
from core.migration.spec import Step


def step(**target: object) -> Step:
    """A mapping of an object with one formula."""
    total = Field("Total__c", "double", calculated=True, calculated_formula="A__c + B__c")
    sobject = SObject("Order__c", Fields((Field("Id", "id"), total)))
    mapping = ObjectMapping.model_validate({"source": "Order__c"})
    return Step(mapping, sobject, replace(sobject, **target), {}, ())  # type: ignore[arg-type]


def test_rule_1_5_a_formula_that_reads_otherwise_asks_for_a_full_compare() -> None:
    before = step()
    changed = Field("Total__c", "double", calculated=True, calculated_formula="A__c * B__c")
    after = replace(before, source=SObject("Order__c", Fields((Field("Id", "id"), changed))))

    assert formulas([before]) == formulas([step()])
    assert formulas([before]) != formulas([after])


def test_rule_1_5_a_record_type_that_was_added_asks_for_a_full_compare() -> None:
    kind = RecordType("0125g0000000001AAA", "Partner")

    assert formulas([step()]) != formulas([step(record_types=(kind,))])
