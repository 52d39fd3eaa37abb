"""The editor's rows show what is open first and follow the document."""

from __future__ import annotations

from core.domain.describe import Field, Fields, SObject
from core.domain.plan import parse_plan
from core.plans.field_rows import FieldState, field_rows, progress, type_words

SOURCE = SObject(
    name="Account",
    fields=Fields(
        (
            Field(name="Id", type="id", createable=False, updateable=False),
            Field(name="Name", type="string", label="Account Name", length=255),
            Field(name="Sector__c", type="picklist", label="Sector"),
            Field(name="Fax", type="phone", label="Fax", length=40),
            Field(name="BillingAddress", type="address", createable=False, updateable=False),
            Field(name="Score__c", type="double", calculated=True, createable=False),
        )
    ),
)
TARGET = SObject(
    name="Account",
    fields=Fields(
        (
            Field(name="Name", type="string", length=120, nillable=False, label="Account Name"),
            Field(name="Region__c", type="picklist", nillable=False, label="Region"),
            Field(name="Industry", type="picklist", label="Industry"),
            Field(name="Fax", type="phone", label="Fax", length=40),
        )
    ),
)
MAPPING = parse_plan(
    """
orgbridge: 1
name: p
source: a
target: b
objects:
  - source: Account
    skip: [Fax]
    fields:
      Name: Name
      Industry: {from: Sector__c, values: {Tech: Technology}, review: suggested, confidence: 0.8}
      Gone__c: {constant: x}
"""
).mapping("account")


def test_required_and_unmapped_fields_come_first() -> None:
    rows = field_rows(MAPPING, SOURCE, TARGET)

    assert [row.key for row in rows] == [
        "Region__c",
        "Name",
        "Industry",
        "Gone__c",
        "Fax",
        "source:Fax",
        "source:Score__c",
    ]
    assert rows[0].is_open
    assert rows[0].is_required


def test_a_row_tells_state_rule_and_types() -> None:
    rows = {row.key: row for row in field_rows(MAPPING, SOURCE, TARGET, issues={"name": "Long"})}

    assert rows["Name"].state is FieldState.REVIEWED
    assert rows["Name"].source_type == "Text(255)"
    assert rows["Name"].target_type == "Text(120)"
    assert rows["Name"].issue == "Long"
    assert rows["Industry"].state is FieldState.AUTO
    assert rows["Industry"].rule_words == "Value map · 1 values"
    assert rows["Gone__c"].target_label == "not in the target"
    assert rows["Fax"].state is FieldState.SKIPPED


def test_progress_counts_what_is_left_to_do() -> None:
    done = progress(field_rows(MAPPING, SOURCE, TARGET))

    assert (done.mapped, done.fields) == (3, 4)
    assert done.required_unmapped == 1
    assert done.to_review == 2


def test_types_read_as_in_setup() -> None:
    assert type_words(Field(name="A", type="reference", reference_to=("Account",))) == (
        "Lookup(Account)"
    )
    many = Field(name="W", type="reference", reference_to=("A", "B", "C"))
    assert type_words(many) == "Lookup(A, B…)"
    assert type_words(Field(name="P", type="percent", precision=3, scale=0)) == "Percent(3, 0)"
