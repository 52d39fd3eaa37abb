"""What each difference between two fields does to data moved across."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from core.domain.describe import Field, Fields, PicklistValue, RecordType, SObject
from core.operations.differences import Kind, ObjectPair, compare, usage_queries
from core.operations.field_checks import Severity, Verdict, compare_field

TEXT = Field(name="A__c", type="string", label="A", length=80, custom=True)
NUMBER = Field(name="A__c", type="double", label="A", precision=18, scale=2, custom=True)
CHOICE = Field(
    name="A__c",
    type="picklist",
    label="A",
    custom=True,
    picklist_values=(PicklistValue("x"), PicklistValue("y")),
)
LOOKUP = Field(name="A__c", type="reference", label="A", reference_to=("Account",), custom=True)


@pytest.mark.parametrize(
    ("mine", "theirs", "name", "severity", "verdict"),
    [
        (TEXT, replace(TEXT, length=40), "length", Severity.REFUSAL, Verdict.WIDEN),
        (TEXT, replace(TEXT, length=255), "length", Severity.NOTE, Verdict.LEAVE),
        (TEXT, replace(TEXT, type="textarea"), "type", Severity.NOTE, Verdict.LEAVE),
        (TEXT, NUMBER, "type", Severity.REFUSAL, Verdict.BY_HAND),
        (NUMBER, replace(NUMBER, scale=0), "scale", Severity.CHANGE, Verdict.WIDEN),
        (
            NUMBER,
            replace(NUMBER, precision=6),
            "digits before the point",
            Severity.REFUSAL,
            Verdict.WIDEN,
        ),
        (TEXT, replace(TEXT, nillable=False), "required", Severity.REFUSAL, Verdict.RELAX),
        (replace(TEXT, nillable=False), TEXT, "required", Severity.NOTE, Verdict.LEAVE),
        (TEXT, replace(TEXT, unique=True), "unique", Severity.REFUSAL, Verdict.RELAX),
        (TEXT, replace(TEXT, external_id=True), "external id", Severity.NOTE, Verdict.LEAVE),
        (
            TEXT,
            replace(TEXT, createable=False, updateable=False),
            "writeable",
            Severity.LOSS,
            Verdict.BY_HAND,
        ),
        (
            CHOICE,
            replace(CHOICE, picklist_values=CHOICE.picklist_values[:1], restricted_picklist=True),
            "picklist values",
            Severity.REFUSAL,
            Verdict.ADD_VALUE,
        ),
        (
            CHOICE,
            replace(CHOICE, picklist_values=CHOICE.picklist_values[:1]),
            "picklist values",
            Severity.CHANGE,
            Verdict.ADD_VALUE,
        ),
        (
            CHOICE,
            replace(CHOICE, picklist_values=CHOICE.picklist_values[::-1]),
            "picklist order",
            Severity.NOTE,
            Verdict.LEAVE,
        ),
        (
            LOOKUP,
            replace(LOOKUP, reference_to=("Contact",)),
            "looks up",
            Severity.REFUSAL,
            Verdict.BY_HAND,
        ),
        (
            LOOKUP,
            replace(LOOKUP, relationship_order=0),
            "master-detail",
            Severity.CHANGE,
            Verdict.BY_HAND,
        ),
        (TEXT, replace(TEXT, inline_help_text="?"), "help text", Severity.NOTE, Verdict.LEAVE),
        (TEXT, replace(TEXT, calculated_formula="1"), "formula", Severity.NOTE, Verdict.LEAVE),
        (TEXT, replace(TEXT, default_value="x"), "default", Severity.NOTE, Verdict.LEAVE),
    ],
)
def test_a_difference_has_its_name_and_weight(
    mine: Field, theirs: Field, name: str, severity: Severity, verdict: Verdict
) -> None:
    found = {one.name: one for one in compare_field(mine, theirs)}

    assert (found[name].severity, found[name].verdict) == (severity, verdict)
    assert found[name].effect.endswith(".")


@pytest.mark.parametrize("field", [TEXT, NUMBER, CHOICE, LOOKUP])
def test_a_field_does_not_differ_from_itself(field: Field) -> None:
    assert compare_field(field, field) == ()


def sobject(name: str, *fields: Field, **more: object) -> SObject:
    return SObject(name=name, fields=Fields(fields), **more)  # type: ignore[arg-type]


def test_fields_of_one_side_and_record_types_are_told() -> None:
    kinds = (RecordType("012A", "Partner"), RecordType("012M", "Master", master=True))
    source = sobject("X", TEXT, replace(TEXT, name="Gone__c"), record_types=kinds)
    needed = replace(TEXT, name="New__c", nillable=False)
    target = sobject("X", TEXT, needed, replace(TEXT, name="Idle__c"))

    (found,) = compare([ObjectPair(source, target)])

    by_name = {one.field: one for one in found.fields}
    assert (by_name["Gone__c"].kind, by_name["Gone__c"].severity) == (
        Kind.ONLY_SOURCE,
        Severity.LOSS,
    )
    assert by_name["New__c"].severity is Severity.REFUSAL
    assert by_name["Idle__c"].severity is Severity.NONE
    assert found.fields[0].field == "Gone__c"
    assert found.properties[0].target == "lacks Partner"
    assert [one.soql for one in usage_queries([found])] == [
        "SELECT COUNT() FROM X WHERE Gone__c != null"
    ]


def test_a_plan_compares_renamed_fields_and_nothing_else() -> None:
    source = sobject("X", TEXT, replace(TEXT, name="Other__c"))
    target = sobject("Y", replace(TEXT, name="B__c", length=10))

    (found,) = compare([ObjectPair(source, target, {"A__c": "B__c"})])

    assert [(one.field, one.target_field) for one in found.fields] == [("A__c", "B__c")]


def test_a_required_field_that_a_plan_fills_refuses_no_row() -> None:
    """By a constant, say: the source need not have it."""
    needed = replace(TEXT, name="New__c", nillable=False)
    pair = ObjectPair(sobject("X", TEXT), sobject("X", TEXT, needed), {TEXT.name: TEXT.name})

    bare, filled = compare([pair, replace(pair, filled={"New__c"})])

    assert bare.severity is Severity.REFUSAL
    assert [one.field for one in bare.fields] == ["New__c", TEXT.name]
    assert filled.severity is Severity.NONE


def test_values_in_a_usage_query_are_escaped() -> None:
    values = (PicklistValue("it's"), PicklistValue("a\\b"))
    source = sobject("X", replace(CHOICE, picklist_values=values))
    target = sobject("X", replace(CHOICE, picklist_values=()))

    (query,) = usage_queries(compare([ObjectPair(source, target)]))

    assert query.soql.endswith(r"IN ('it\'s', 'a\\b')")


def test_254_objects_are_compared_within_two_seconds() -> None:
    fields = [replace(TEXT, name=f"F{n}__c") for n in range(100)]
    others = [replace(one, length=40 + n) for n, one in enumerate(fields)]
    pairs = [
        ObjectPair(sobject(f"O{n}__c", *fields), sobject(f"O{n}__c", *others)) for n in range(254)
    ]

    began = time.process_time()
    found = compare(pairs)

    assert len(found) == 254
    assert time.process_time() - began < 2.0
