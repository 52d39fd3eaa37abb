"""What the object book does to mappings, and what it leaves to the plan."""

from __future__ import annotations

from typing import Any

from core.domain.book_rules import by_the_book
from core.domain.describe import Field, Fields, SObject
from core.domain.plan import ConstantRule, CopyRule, ObjectMapping, Write, plan_from_document


def mapping(name: str, **said: Any) -> ObjectMapping:
    return plan_from_document(
        {
            "orgbridge": 1,
            "name": "p",
            "source": "a",
            "target": "b",
            "objects": [{"source": name, **said}],
        }
    ).objects[0]


def sobject(name: str, *fields: Field) -> SObject:
    return SObject(name, Fields(fields))


def run(one: ObjectMapping, source: SObject | None = None, target: SObject | None = None) -> Any:
    return by_the_book(one, source or sobject(one.source), target or sobject(one.target))


def test_rule_3_5_fields_that_no_update_may_carry_are_written_once() -> None:
    fields = {"Product2Id": "Product2Id", "UnitPrice": "UnitPrice"}

    done = run(mapping("PricebookEntry", fields=fields))

    assert done.mapping.fields["Product2Id"] == CopyRule(
        source="Product2Id", write=Write.INSERT_ONLY
    )
    assert done.mapping.fields["UnitPrice"].write is Write.ALWAYS
    assert [note.field for note in done.notes] == ["Product2Id"]


def test_rule_3_7_orders_are_inserted_as_drafts_and_activated_last() -> None:
    done = run(mapping("Order", fields={"Status": "Status", "Name": "Name"}))

    assert done.mapping.fields["Status"] == ConstantRule(constant="Draft", write=Write.INSERT_ONLY)
    assert done.mapping.final_fields == {"Status": CopyRule(source="Status")}
    assert "set after all children" in done.notes[0].sentence


def test_rule_3_7_a_plan_that_says_finally_itself_is_left_alone() -> None:
    fields = {"Status": {"constant": "Draft"}}

    done = run(mapping("Order", fields=fields, **{"finally": {"Status": "Activated"}}))

    assert done.notes == ()
    assert done.mapping.final_fields == {"Status": ConstantRule(constant="Activated")}


def test_fields_that_exclude_each_other_lose_the_lesser() -> None:
    names = ["UnitPrice", "TotalPrice", "Quantity", "PricebookEntryId", "Product2Id"]

    done = run(mapping("OpportunityLineItem", fields={name: name for name in names}))
    members = run(mapping("CampaignMember", fields={"ContactId": "ContactId", "LeadId": "LeadId"}))

    assert set(done.mapping.fields) == {"UnitPrice", "Quantity", "PricebookEntryId"}
    assert set(members.mapping.fields) == {"ContactId", "LeadId"}


def test_rule_3_6_contacts_of_person_accounts_are_not_moved() -> None:
    person = sobject("Contact", Field("IsPersonAccount", "boolean"))

    done = run(mapping("Contact", where="LastName != null"), person, person)
    own = run(mapping("Contact", where="IsPersonAccount = true"), person, person)
    without = run(mapping("Contact"), person)

    assert done.mapping.where == "(LastName != null) AND IsPersonAccount = false"
    assert own.mapping.where == "IsPersonAccount = true"
    assert run(mapping("Contact")).mapping.where is None
    # a target without persons makes no contacts by itself
    assert without.mapping.where is None


def test_deletes_and_unknown_objects_are_left_alone() -> None:
    deleting = mapping("Order", operation="delete", fields={"Status": "Status"})
    unknown = mapping("Thing__c", fields={"Status": "Status"})

    assert run(deleting).mapping == deleting
    assert run(unknown).mapping == unknown
