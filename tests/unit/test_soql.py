"""Filters and queries that people write: what passes, what is refused, and where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.describe import Field, Fields, SObject
from core.domain.soql import (
    Select,
    all_of,
    checked_filter,
    in_list,
    parse_select,
    quoted,
    unquoted,
)
from core.errors import UserError

ACCOUNT = SObject(
    name="Account",
    fields=Fields(
        (
            Field("Name", "string"),
            Field("Type", "picklist"),
            Field("OwnerId", "reference", reference_to=("User",), relationship_name="Owner"),
        )
    ),
)


@pytest.mark.parametrize(
    "text",
    [
        "Type != 'Competitor'",
        "Name = 'O\\'Neil' AND (Type = null OR Type IN ('a', 'b'))",
        "NOT (Name LIKE 'x%') AND Amount >= 1.5",
        "CreatedDate = LAST_N_DAYS:30",
        "CreatedDate > 2024-01-01T00:00:00Z AND CloseDate <= 2024-12-31",
        "Id IN (SELECT AccountId FROM Contact WHERE Email != null)",
        "Id NOT IN (SELECT AccountId FROM Contact)",
        "Tags__c INCLUDES ('a;b', 'c')",
        "Owner.Profile.Name = 'x'",
        "CALENDAR_YEAR(CreatedDate) = 2024",
        "CALENDAR_YEAR(convertTimezone(CreatedDate)) = 2024",
        "AnnualRevenue > USD5000",
        "IsActive = TRUE",
        "Name = 'a -- not a comment; LIMIT 1'",
    ],
)
def test_conditions_pass_and_pass_again_as_spelt(text: str) -> None:
    checked = checked_filter(text)

    assert checked_filter(checked.text).text == checked.text
    assert re.sub(r"\s", "", checked.text) == re.sub(r"\s", "", text)


INJECTED = [
    ("Name = 'x' LIMIT 1", "a clause behind it (LIMIT)"),
    ("Name = 'x' ORDER BY Name", "a clause behind it (ORDER)"),
    ("Name = 'x' FOR UPDATE", "a clause behind it (FOR)"),
    ("Name = 'x' ALL ROWS", "a clause behind it (ALL)"),
    ("Name = 'x' GROUP BY Name", "a clause behind it (GROUP)"),
    ("Name = 'x' WITH SECURITY_ENFORCED", "a clause behind it (WITH)"),
    ("Name = 'x') OR (Name != null", "goes on with ')'"),
    ("Name = 'x'; DELETE", "has '; '"),
    ("Name = 'x' -- comment", "has '--'"),
    ("Name = 'x' /* c */", "has '/*'"),
    ("Name = 'x", "has an open string"),
    ("Name = x", "where a value should be"),
    ('Name = "x"', "has '\"x'"),
    ("Name == 'x'", "where a value should be"),
    ("SELECT Id FROM Account", "has SELECT where a field should be"),
    ("Id IN (SELECT Id FROM Account LIMIT 1)", "where ')' should be"),
    ("Name", "ends where a comparison should be"),
    ("Name =", "ends where a value should be"),
    ("", "ends where a name should be"),
    ("Name = 'a' AND Type = 'b' OR Type = 'c'", "mixes AND and OR"),
    ("(" * 50 + "Name = 'a'" + ")" * 50, "is nested too deeply"),
    ("Name IN ()", "where a value should be"),
    ("Name = 'a' 'b'", "goes on with"),
    ("COUNT() > 1", "where"),
    ("Name = {!x}", "has '{!'"),
]


@pytest.mark.parametrize(("text", "sentence"), INJECTED)
def test_injected_clauses_and_broken_conditions_are_refused_by_place(
    text: str, sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        checked_filter(text, place="account.where")

    assert str(caught.value).startswith("account.where: the filter ")
    assert sentence in str(caught.value)
    assert "at character" in str(caught.value)


def test_fields_are_looked_up() -> None:
    checked = checked_filter("name = 'a' AND owner.Name = 'b'", sobject=ACCOUNT)

    assert checked.fields == ("name", "owner.Name")
    with pytest.raises(UserError, match="Account has no field 'Nope'"):
        checked_filter("Nope = 1", sobject=ACCOUNT)
    with pytest.raises(UserError, match="no relationship 'Parent'"):
        checked_filter("Parent.Name = 'x'", sobject=ACCOUNT)


@settings(deadline=None)
@given(st.text())
def test_quoted_and_unquoted_are_inverse(text: str) -> None:
    literal = quoted(text)

    assert unquoted(literal) == text
    assert checked_filter(f"Name = {literal}").fields == ("Name",)


def test_lists_and_conjunctions_are_built_safely() -> None:
    assert in_list(["a", "b'c"]) == r"('a', 'b\'c')"
    assert all_of(["A = 1", "", "B = 2 OR C = 3"]) == "(A = 1) AND (B = 2 OR C = 3)"
    assert all_of(["A = 1"]) == "A = 1"
    assert all_of([]) == ""


def test_queries_come_apart() -> None:
    found = parse_select(
        "SELECT Id, Parent__r.Code__c FROM A__c WHERE X = 'y' AND Z IN (1, 2) "
        "ORDER BY Name DESC NULLS LAST, Id LIMIT 10"
    )

    assert found == Select(
        ("Id", "Parent__r.Code__c"),
        "A__c",
        "X = 'y' AND Z IN (1, 2)",
        "Name DESC NULLS LAST, Id",
        10,
    )
    with pytest.raises(UserError, match="query: the query has 'UPDATE'"):
        parse_select("UPDATE Account")


def test_real_queries_of_other_tools_come_apart(fixtures_dir: Path) -> None:
    seen = 0
    for path in sorted((fixtures_dir / "B_datasets").glob("rlm_*/export.json")):
        document = json.loads(path.read_text())
        sets = document.get("objectSets") or [document]
        for entry in (entry for one in sets for entry in one["objects"]):
            found = parse_select(entry["query"])
            assert found.fields
            assert found.sobject
            seen += 1
    assert seen > 80
