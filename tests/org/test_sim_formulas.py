"""Formulas of validation rules and formula fields, through the rules of a running org."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.orgs import PracticeOrg, PracticeOrgs, RefusedError

#: A formula, a record, and whether the formula is true of it.
CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("ISBLANK(Site)", {}, True),
    ("ISBLANK(Site)", {"Site": "x"}, False),
    ("ISBLANK(Type)", {}, True),
    ('ISPICKVAL(Type, "Other")', {"Type": "Other"}, True),
    ('ISPICKVAL(Type, "")', {}, True),
    ('NOT(ISPICKVAL(Type, "Other"))', {"Type": "Other"}, False),
    ('AND(Site = "x", NumberOfEmployees > 3)', {"Site": "x", "NumberOfEmployees": 4}, True),
    ('Site = "x" && NumberOfEmployees > 3', {"Site": "x", "NumberOfEmployees": 3}, False),
    ('OR(Site = "x", Site = "y")', {"Site": "y"}, True),
    ('Site == "X"', {"Site": "x"}, False),  # formulas compare case-sensitively
    ('Site <> "x"', {}, True),  # a blank text is the empty text
    ("NumberOfEmployees * 2 - 1 >= 2 ^ 3 / 2", {"NumberOfEmployees": 2}, False),
    ("NumberOfEmployees * 2 - 1 >= 2 ^ 3 / 2", {"NumberOfEmployees": 3}, True),
    ("NumberOfEmployees < 5", {}, False),  # a blank number is below nothing
    ('LEN(Site) > 3 && LEFT(Site, 2) = "ab" && RIGHT(Site, 1) = "d"', {"Site": "abcd"}, True),
    ('MID(Site, 2, 2) = "bc" && UPPER(Site) = "ABCD"', {"Site": "abcd"}, True),
    ('Site & "-" & Phone = "a-1"', {"Site": "a", "Phone": "1"}, True),
    ('Site + "!" = "a!"', {"Site": "a"}, True),
    ('CONTAINS(Site, "bc") && BEGINS(Site, "a") && FIND("c", Site) = 3', {"Site": "abc"}, True),
    ('SUBSTITUTE(TRIM(Site), "a", "b") = "bbc"', {"Site": "abc"}, True),
    ('REGEX(Phone, "[0-9]{3}")', {"Phone": "123"}, True),
    ('REGEX(Phone, "[0-9]{3}")', {"Phone": "1234"}, False),
    ('TEXT(Type) = "Other" && TEXT(NumberOfEmployees) = "100"',
     {"Type": "Other", "NumberOfEmployees": 100}, True),
    ('CASE(Site, "a", 1, "b", 2, 0) = 2', {"Site": "b"}, True),
    ("IF(ISBLANK(Site), NumberOfEmployees, 0) > 1", {"NumberOfEmployees": 2}, True),
    ('BLANKVALUE(Site, "none") = "none"', {}, True),
    ("Day__c > TODAY()", {"Day__c": "2999-01-01"}, True),
    ("Day__c + 1 = DATE(2024, 3, 1)", {"Day__c": "2024-02-29"}, True),
    ("YEAR(Day__c) = 2024 && MONTH(Day__c) = 2 && DAY(Day__c) = 29", {"Day__c": "2024-02-29"},
     True),
    ("ADDMONTHS(Day__c, 1) = DATE(2024, 2, 29)", {"Day__c": "2024-01-31"}, True),
    ('DATEVALUE("2024-02-29") - Day__c = 28', {"Day__c": "2024-02-01"}, True),
    ("ISNUMBER(Phone) && VALUE(Phone) = 12", {"Phone": "12"}, True),
    ("MAX(NumberOfEmployees, 5) = 5 && MOD(NumberOfEmployees, 2) = 1 && ROUND(2.5, 0) = 3",
     {"NumberOfEmployees": 3}, True),
    ('INCLUDES(Tags__c, "b")', {"Tags__c": "a;b"}, True),
    ('CONTAINS($User.Username, "admin@")', {}, True),
    ("/* a remark */ ISNEW() /* and another */", {}, True),
    ("Checked__c && NOT(ISCHANGED(Site))", {"Checked__c": True}, True),
    ("Twice__c > 5", {"NumberOfEmployees": 3}, True),  # a formula field inside a rule
]  # fmt: skip
REFUSED = [
    ("VLOOKUP(Site, Site, Site)", "subset"),
    ("Nope__c = 1", "does not exist"),
    ('NumberOfEmployees = "x"', "Incorrect parameter type"),
    ('Type = "Other"', "picklist"),
    ("ISBLANK(Site", "Syntax error"),
    ("$Permission.Bypass", "subset"),
    ("LEN(Site, 1) = 2", "number of parameters"),
]


def schema() -> str:
    """Return a schema with one rule a case; the fax number of a record chooses the rule."""
    rules = "\n".join(
        f"      R{n}: {{formula: {json.dumps(f'AND(Fax = {json.dumps(str(n))}, {formula})')},"
        f" message: rule {n}}}"
        for n, (formula, _, _) in enumerate(CASES)
    )
    return f"""
standard: [Account, Contact]
objects:
  Account:
    fields:
      Day__c: date
      Checked__c: checkbox
      Tags__c: {{type: multipicklist, values: [a, b]}}
      Twice__c: {{type: number, precision: 18, scale: 0, formula: "NumberOfEmployees * 2"}}
      Four__c: {{type: number, precision: 18, scale: 0, formula: "Twice__c * 2"}}
      Greeting__c: {{type: text, formula: 'IF(ISBLANK(Parent.Name), "alone", Parent.Name & "!")'}}
    validation_rules:
{rules}
"""


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """An org with all rules."""
    return module_practice_org(schema=schema())


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_formula_means_what_salesforce_means(org: PracticeOrg, number: int) -> None:
    """A rule refuses exactly the records of which its formula is true."""
    _, record, is_true = CASES[number]

    answer = org.request("POST", "sobjects/Account", {"Name": "A", "Fax": str(number), **record})

    said = answer.json()
    if is_true:
        assert said == [{"message": f"rule {number}", "fields": [],
                         "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION"}]  # fmt: skip
    else:
        assert answer.status == 201, said


@pytest.mark.parametrize(("formula", "part"), REFUSED)
def test_formulas_outside_the_subset_are_refused_when_made(
    org: PracticeOrg, formula: str, part: str
) -> None:
    """No rule is ever half understood."""
    with pytest.raises(RefusedError) as refused:
        org.json("POST", "tooling/sobjects/ValidationRule", {
            "FullName": "Account.Wrong", "Metadata": {
                "active": True, "errorConditionFormula": formula,
                "errorMessage": "x"}})  # fmt: skip

    assert part in refused.value.body[0]["message"]


def test_formula_fields_are_computed_when_read(org: PracticeOrg) -> None:
    """They follow their fields at once, look at parents and at each other, and can be filtered."""
    top = org.json("POST", "sobjects/Account", {"Name": "Top", "NumberOfEmployees": 3})["id"]
    org.json("POST", "sobjects/Account", {"Name": "Below", "ParentId": top})

    found = org.query("SELECT Name, Twice__c, Four__c, Greeting__c FROM Account"
                      " WHERE Name IN ('Top', 'Below') ORDER BY Name")  # fmt: skip
    org.json("PATCH", f"sobjects/Account/{top}", {"NumberOfEmployees": 10})

    assert found == [
        {"Name": "Below", "Twice__c": 0, "Four__c": 0, "Greeting__c": "Top!"},
        {"Name": "Top", "Twice__c": 6, "Four__c": 12, "Greeting__c": "alone"},
    ]
    assert [r["Name"] for r in org.query("SELECT Name FROM Account WHERE Four__c = 40")] == ["Top"]
