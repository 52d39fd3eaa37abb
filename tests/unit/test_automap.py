"""Auto-map: what it matches, what it must not touch, and how often it is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.automap import score
from benchmarks.automap_truth import fivetran_cases, npsp_cases
from core.domain.automap import candidates, compatibility, completed, suggest
from core.domain.describe import Field, Fields, PicklistValue, SObject
from core.domain.field_names import bare_name, name_words
from core.domain.plan import CopyRule, ReviewState, plan_from_document
from core.domain.samples import share_fitting


def sobject(name: str, *fields: Field) -> SObject:
    return SObject(name=name, fields=Fields(fields))


def completed_fields(source: SObject, target: SObject, **mapping: object) -> dict[str, str]:
    plan = plan_from_document(
        {
            "orgbridge": 1,
            "name": "p",
            "source": "a",
            "target": "b",
            "objects": [{"source": source.name, "target": target.name, **mapping}],
        }
    )
    done = completed(plan.objects[0], source, target, in_plan=["Account"])
    return {k: r.source for k, r in done.applied_fields.items() if isinstance(r, CopyRule)}


TARGET = sobject(
    "Contact",
    Field("Id", "id", createable=False, updateable=False),
    Field("LastName", "string", label="Last Name", length=80),
    Field("Email", "email", label="Email"),
    Field("Region__c", "string", label="Sales region"),
    Field("Total__c", "double", label="Total", calculated=True, createable=False, updateable=False),
    Field("Name", "string", label="Full Name"),
    Field("CreatedDate", "datetime", label="Created Date"),
    Field("AccountId", "reference", label="Account ID", reference_to=("Account",)),
    Field("ReportsToId", "reference", label="Reports To ID", reference_to=("Contact",)),
    Field("OwnerId", "reference", label="Owner ID", reference_to=("User",)),
    Field("Birthdate", "date", label="Birthdate"),
)
SOURCE = sobject(
    "Contact",
    Field("Id", "id"),
    Field("lastname", "string", label="Surname"),
    Field("Email", "boolean", label="Email"),
    Field("Gebiet__c", "string", label="Sales Region"),
    Field("Total__c", "double", label="Total"),
    Field("Name", "string", label="Full Name"),
    Field("CreatedDate", "datetime", label="Created Date"),
    Field("AccountId", "reference", label="Account ID", reference_to=("Account",)),
    Field("ReportsToId", "reference", label="Reports To ID", reference_to=("Contact",)),
    Field("OwnerId", "reference", label="Owner ID", reference_to=("User",)),
)


def test_a_run_completes_by_api_name_then_label_and_touches_nothing_else() -> None:
    """Not: read-only, incompatible, audit, never-send, lookups that lead outside the plan."""
    assert completed_fields(SOURCE, TARGET) == {
        "LastName": "lastname",
        "Region__c": "Gebiet__c",
        "AccountId": "AccountId",
        "OwnerId": "OwnerId",
    }


def test_given_rules_skips_and_policies_win_over_completion() -> None:
    fields = completed_fields(
        SOURCE,
        TARGET,
        fields={"LastName": "Name", "Region__c": {"from": "Name", "review": "rejected"}},
        skip=["OwnerId"],
        lookups={"ReportsToId": {"match": "Email"}},
    )

    assert fields == {"LastName": "Name", "AccountId": "AccountId", "ReportsToId": "ReportsToId"}
    assert completed_fields(SOURCE, TARGET, auto_map=False) == {}
    assert completed_fields(SOURCE, TARGET, operation="delete") == {}


def test_a_label_that_two_source_fields_share_completes_nothing() -> None:
    source = sobject(
        "A", Field("X__c", "string", label="Region"), Field("Y__c", "string", label="Region")
    )
    target = sobject("A", Field("Z__c", "string", label="Region"))

    assert completed_fields(source, target) == {}


def test_suggestions_carry_confidence_and_reasons_for_review() -> None:
    found = {s.target: s for s in suggest(SOURCE, TARGET)}

    assert found["LastName"].confidence == 1.0
    assert found["LastName"].reasons == ("same API name",)
    assert found["Region__c"].reasons == ("same label",)
    assert found["Region__c"].rule.review is ReviewState.SUGGESTED
    assert not {"Total__c", "Id", "CreatedDate", "Email"} & set(found)


def test_what_people_approved_before_comes_first() -> None:
    source = sobject("A", Field("Alpha__c", "string"), Field("Region__c", "string"))

    (remembered,) = (
        s
        for s in suggest(source, TARGET, remembered={"Region__c": "Region__c"})
        if s.target == "Region__c"
    )
    assert remembered.reasons[0] == "approved before"
    assert suggest(source, TARGET, taken=["region__C"]) == ()


def test_sample_values_decide_whether_text_may_become_a_date() -> None:
    source = sobject("A", Field("Birth_Date__c", "string"))
    dates, words = {"Birth_Date__c": ["1999-12-31", ""]}, {"Birth_Date__c": ["soon", "later"]}

    def confidence(samples: dict[str, list[str]] | None) -> float:
        ranked = candidates(source, TARGET, samples=samples)["Birth_Date__c"]
        return max((c.confidence for c in ranked if c.target == "Birthdate"), default=0.0)

    assert confidence(dates) > 0.6 > confidence(None) > confidence(words)


def test_picklists_with_the_same_values_find_each_other() -> None:
    values = tuple(PicklistValue(v) for v in ("Hot", "Warm", "Cold"))
    source = sobject("A", Field("Warmth__c", "picklist", picklist_values=values))
    target = sobject(
        "B",
        Field("Lead_Temp__c", "picklist", picklist_values=values),
        Field("Temperament__c", "picklist", picklist_values=(PicklistValue("x"),)),
    )

    best, *_ = candidates(source, target)["Warmth__c"]

    assert best.target == "Lead_Temp__c"
    assert "picklist values 100% alike" in best.reasons


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        (Field("A", "string"), Field("B", "picklist"), True),
        (Field("A", "currency"), Field("B", "int"), True),
        (Field("A", "date"), Field("B", "datetime"), True),
        (Field("A", "boolean"), Field("B", "date"), False),
        (Field("A", "date"), Field("B", "picklist"), False),
        (Field("A", "address"), Field("B", "string"), False),
        (Field("A", "currency"), Field("B", "reference", reference_to=("User",)), False),
        (Field("A", "string"), Field("B", "reference", reference_to=("RecordType",)), True),
        (Field("A", "id"), Field("B", "string"), True),
        (Field("A", "id"), Field("B", "email"), False),
    ],
)
def test_types_fit_or_do_not(one: Field, other: Field, fits: bool) -> None:
    assert (compatibility(one, other) > 0) is fits


def test_names_fall_into_words() -> None:
    assert name_words("npsp__Account1_Zip_Postal_Code__c") == ("account", "1", "postal", "code")
    assert name_words("BillingStateCode") == ("billing", "state", "code")
    assert name_words("SLAExpirationDate__c") == ("sla", "expiration", "date")
    assert bare_name("annual_revenue") == bare_name("AnnualRevenue") == "annualrevenue"


def test_values_fit_by_shape() -> None:
    assert share_fitting(["a@b.example", "x"], Field("E", "email")) == 0.5
    assert share_fitting([], Field("E", "email")) == 1.0
    assert share_fitting(["1.5", "2e3"], Field("N", "currency")) == 1.0
    assert share_fitting(["abcdef"], Field("T", "string", length=3)) == 0.0


def test_automap_finds_the_fields_of_warehouse_columns(fixtures_dir: Path) -> None:
    found = score("fivetran", fivetran_cases(fixtures_dir))

    assert found.fields >= 60
    assert found.top1_share >= 0.99, found.misses


@pytest.mark.parametrize("descriptions", [True, False])
def test_automap_finds_what_npsp_mapped_by_hand(fixtures_dir: Path, descriptions: bool) -> None:
    found = score("npsp", npsp_cases(fixtures_dir, descriptions=descriptions))

    assert found.fields == 45
    assert found.top1_share >= 0.85, found.misses
    assert found.top3_share >= 0.95, found.misses
    assert found.right >= 0.9 * found.proposed
