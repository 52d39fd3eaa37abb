"""What a field of the target takes, and which listed value a source value means."""

from __future__ import annotations

from core.domain.describe import Field, Fields, PicklistValue, SObject
from core.plans.value_lists import ListedValue, likely_values, listed_values

COUNTRIES = (PicklistValue("DE", "Germany"), PicklistValue("XX", "Gone", active=False))
TARGET = SObject(
    "Account",
    Fields(
        (
            Field("BillingCountry", "string", length=80),
            Field("BillingCountryCode", "picklist", picklist_values=COUNTRIES),
            Field("Tier__c", "picklist", picklist_values=(PicklistValue("Gold"),)),
            Field("Tier__cCode", "picklist", picklist_values=COUNTRIES),
            Field("Name", "string", length=80),
        )
    ),
)


def test_a_country_text_takes_the_labels_of_the_list_behind_it() -> None:
    assert listed_values(TARGET, "billingcountry") == (ListedValue("Germany", "Germany"),)
    assert listed_values(TARGET, "BillingCountryCode") == (ListedValue("DE", "Germany"),)
    assert listed_values(TARGET, "Tier__c") == (ListedValue("Gold", "Gold"),)
    assert listed_values(TARGET, "Name") == ()
    assert listed_values(TARGET, "Nope") == ()


def test_likely_values_are_beyond_doubt_or_left_out() -> None:
    listed = (ListedValue("A", "Same"), ListedValue("B", "same"), ListedValue("Gold", "Gold"))

    assert likely_values(["SAME", "gold ", "Gold", "Other"], listed) == {"gold ": "Gold"}
