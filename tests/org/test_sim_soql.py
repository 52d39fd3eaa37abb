"""The query language of the practice org over HTTP, with Salesforce's answers and refusals."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.orgs import PracticeOrg, PracticeOrgs, RefusedError

SCHEMA = """
org: {features: [set_audit_fields]}
standard: [Account, Contact, Task, Opportunity]
objects:
  Account:
    fields:
      Tags__c: {type: multipicklist, values: [Red, Green, Blue]}
      Code__c: {type: text, length: 20, external_id: true, unique: true, case_sensitive: true}
      Double__c: {type: number, precision: 18, scale: 2, formula: "AnnualRevenue * 2"}
      Started__c: date
      Hidden__c: {type: number, precision: 5, scale: 0, default: 4, access: managed}
      Shown__c: {type: number, precision: 5, scale: 0, formula: "Hidden__c * 2"}
"""

ACCOUNTS: list[dict[str, Any]] = [
    {"Name": "Alpha", "Type": "Prospect", "AnnualRevenue": 10, "Tags__c": "Red;Green",
     "BillingCity": "Kyiv", "BillingCountry": "Ukraine", "Code__c": "a-1",
     "Started__c": "2020-01-31"},
    {"Name": "beta", "Type": "Other", "AnnualRevenue": 200, "Tags__c": "Blue", "Code__c": "A-1",
     "Started__c": "2020-02-01"},
    {"Name": "Gamma_x", "AnnualRevenue": None},
    {"Name": "gammaxx", "Type": "Prospect", "Started__c": "2021-03-05"},
]  # fmt: skip


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """Four accounts, five contacts of the first, two tasks."""
    org = module_practice_org(schema=SCHEMA)
    ids = [org.json("POST", "sobjects/Account", row)["id"] for row in ACCOUNTS]
    org.json("PATCH", f"sobjects/Account/{ids[1]}", {"ParentId": ids[0]})
    for number in range(5):
        org.json("POST", "sobjects/Contact", {
            "LastName": f"L{number}", "AccountId": ids[0],
            "Email": f"L{number}@X.example" if number % 2 == 0 else None,
        })  # fmt: skip
    org.json("POST", "sobjects/Task", {"Subject": "Call", "WhatId": ids[0]})
    org.json("POST", "sobjects/Task", {"Subject": "Write"})
    return org


def names(org: PracticeOrg, where: str) -> list[str]:
    """Return the names of the accounts for which a condition holds, in order."""
    return [
        row["Name"] for row in org.query(f"SELECT Name FROM Account WHERE {where} ORDER BY Name")
    ]


def refusal(org: PracticeOrg, soql: str) -> tuple[str, str]:
    """Return errorCode and message of a refused query."""
    with pytest.raises(RefusedError) as refused:
        org.query(soql)
    assert refused.value.status == 400
    return refused.value.body[0]["errorCode"], refused.value.body[0]["message"]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Name = 'ALPHA'", ["Alpha"]),  # text compares without regard to case
        ("Code__c = 'a-1'", ["Alpha"]),  # unless the field is case-sensitive
        ("Name != 'alpha'", ["beta", "Gamma_x", "gammaxx"]),
        ("Type != 'Prospect'", ["beta", "Gamma_x"]),  # an empty field differs from every value
        ("Type NOT IN ('Prospect','Other')", ["Gamma_x"]),
        ("Type IN ('other', null)", ["beta", "Gamma_x"]),
        ("Type = null", ["Gamma_x"]),
        ("Type = ''", ["Gamma_x"]),
        ("NOT Type = 'Prospect'", ["beta", "Gamma_x"]),
        ("AnnualRevenue >= 10 AND (Name LIKE 'a%' OR Name = 'beta')", ["Alpha", "beta"]),
        ("AnnualRevenue < 1000000", ["Alpha", "beta"]),  # an empty number is not below anything
        ("Name LIKE 'gamma%'", ["Gamma_x", "gammaxx"]),
        (r"Name LIKE 'gamma\_%'", ["Gamma_x"]),
        ("Tags__c INCLUDES ('Green;red')", ["Alpha"]),
        ("Tags__c INCLUDES ('Green','Blue')", ["Alpha", "beta"]),
        ("Tags__c EXCLUDES ('Green')", ["beta", "Gamma_x", "gammaxx"]),
        ("Tags__c = 'Green;Red'", ["Alpha"]),
        ("Parent.Name = 'alpha'", ["beta"]),
        ("Parent.Name = null", ["Alpha", "Gamma_x", "gammaxx"]),
        ("Owner.IsActive = true AND Parent.Owner.Name != null", ["beta"]),
        ("Started__c = 2020-01-31", ["Alpha"]),
        ("CALENDAR_YEAR(Started__c) = 2020", ["Alpha", "beta"]),
        ("Started__c > 2020-01-31", ["beta", "gammaxx"]),
        ("CreatedDate = TODAY AND CreatedDate >= YESTERDAY AND Name LIKE 'g%'",
         ["Gamma_x", "gammaxx"]),
        ("CreatedDate < LAST_N_DAYS:3", []),
        ("CreatedDate > 2020-01-01T00:00:00+02:00 AND Name = 'beta'", ["beta"]),
        ("Id IN (SELECT AccountId FROM Contact WHERE Email != null)", ["Alpha"]),
        ("Id NOT IN (SELECT AccountId FROM Contact)", ["beta", "Gamma_x", "gammaxx"]),
        ("Double__c = 20", ["Alpha"]),  # a formula field has no column and is evaluated
    ],
)  # fmt: skip
def test_filters_find_what_an_org_finds(org: PracticeOrg, where: str, found: list[str]) -> None:
    """Each line is one rule of SOQL's comparisons."""
    assert names(org, where) == found


def test_ids_match_in_both_lengths(org: PracticeOrg) -> None:
    """A 15-character id means the same record as its 18-character form."""
    record_id = org.query("SELECT Id FROM Account WHERE Name = 'Alpha'")[0]["Id"]

    assert len(record_id) == 18
    assert (
        names(org, f"Id = '{record_id[:15]}'") == names(org, f"Id IN ('{record_id}')") == ["Alpha"]
    )


def test_order_puts_nulls_where_told(org: PracticeOrg) -> None:
    """Without a word nulls come first (SOQL reference, ORDER BY); picklists sort by their list."""
    first = [r["Name"] for r in org.query("SELECT Name FROM Account ORDER BY AnnualRevenue, Name")]
    last = [
        r["Name"]
        for r in org.query("SELECT Name FROM Account ORDER BY AnnualRevenue DESC NULLS LAST, Name")
    ]

    assert first == ["Gamma_x", "gammaxx", "Alpha", "beta"]
    assert last == ["beta", "Alpha", "Gamma_x", "gammaxx"]


def test_limit_and_offset_cut_the_result(org: PracticeOrg) -> None:
    """They apply after the order, and COUNT() counts what is left."""
    cut = org.query("SELECT Name FROM Account ORDER BY Name LIMIT 2 OFFSET 1")

    assert [row["Name"] for row in cut] == ["beta", "Gamma_x"]
    assert org.count("SELECT COUNT() FROM Account LIMIT 3") == 3


def test_parents_nest_and_missing_ones_are_null(org: PracticeOrg) -> None:
    """A record without a parent shows null where the parent would be."""
    rows = org.query("SELECT name, Parent.Name, Parent.Owner.Username FROM Account ORDER BY Name")

    assert rows[0] == {"Name": "Alpha", "Parent": None}
    parent = rows[1]["Parent"]
    assert parent["Name"] == "Alpha"
    assert parent["attributes"]["type"] == "Account"
    assert parent["Owner"]["Username"].startswith("admin@")


def test_polymorphic_parents_speak_as_names(org: PracticeOrg) -> None:
    """What.Name works for any object; Type tells which one it was."""
    rows = org.query("SELECT Subject, What.Name, What.Type FROM Task ORDER BY Subject")

    assert rows[0]["What"]["attributes"]["type"] == "Name"
    assert (rows[0]["What"]["Name"], rows[0]["What"]["Type"]) == ("Alpha", "Account")
    assert rows[1]["What"] is None


def test_compound_address_is_an_object_or_null(org: PracticeOrg) -> None:
    """An address is built from its parts; without any part it is null."""
    rows = org.query("SELECT BillingAddress FROM Account ORDER BY Name LIMIT 2")

    assert rows[0]["BillingAddress"]["city"] == "Kyiv"
    assert rows[0]["BillingAddress"]["postalCode"] is None
    assert rows[1]["BillingAddress"] is None


def test_subquery_is_nested_and_null_when_empty(org: PracticeOrg) -> None:
    """Recorded: an empty subquery is JSON null, not an empty object."""
    rows = org.query("SELECT Name, (SELECT LastName FROM Contacts ORDER BY LastName DESC LIMIT 2)"
                     " FROM Account ORDER BY Name")  # fmt: skip

    contacts = rows[0]["Contacts"]
    assert (contacts["totalSize"], contacts["done"]) == (2, True)
    assert [c["LastName"] for c in contacts["records"]] == ["L4", "L3"]
    assert rows[1]["Contacts"] is None


def test_aggregates_group_and_name_their_columns(org: PracticeOrg) -> None:
    """Unnamed expressions are expr0, expr1 …; the type is AggregateResult."""
    page = org.json("GET", "query?q=" + quote(
        "SELECT Type, COUNT(Id), SUM(AnnualRevenue) total, MAX(Name) FROM Account"
        " GROUP BY Type HAVING COUNT(Id) > 1"))  # fmt: skip

    assert page == {"totalSize": 1, "done": True, "records": [{
        "attributes": {"type": "AggregateResult"}, "Type": "Prospect", "expr0": 2, "total": 10.0,
        "expr1": "gammaxx"}]}  # fmt: skip


def test_count_answers_a_number_and_no_records(org: PracticeOrg) -> None:
    """Recorded shape of SELECT COUNT()."""
    page = org.json("GET", "query?q=" + quote("select count() from Contact"))

    assert page == {"totalSize": 5, "done": True, "records": []}


def test_unknown_sobject_is_refused_word_for_word(org: PracticeOrg) -> None:
    """The recorded refusal, position and all (only the advice that follows is shortened here)."""
    code, message = refusal(org, "select count() from XYZZY")

    assert code == "INVALID_TYPE"
    assert message.startswith(
        "\nselect count() from XYZZY\n                    ^\nERROR at Row:1:Column:21\n"
        "sObject type 'XYZZY' is not supported."
    )


@pytest.mark.parametrize(
    ("soql", "code", "part"),
    [
        ("SELECT Nope FROM Account", "INVALID_FIELD", "No such column 'Nope' on entity 'Account'"),
        ("SELECT Nope.Name FROM Account", "INVALID_FIELD", "Didn't understand relationship 'Nope'"),
        ("SELECT Id, (SELECT Id FROM Nopes) FROM Account", "INVALID_TYPE",
         "Didn't understand relationship 'Nopes' in FROM part"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD", "must be of type string"),
        ("SELECT Id FROM Account WHERE AnnualRevenue = '5'", "INVALID_FIELD",
         "should not be enclosed"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2020-01-01", "INVALID_FIELD", "type dateTime"),
        ("SELECT Id FROM Account WHERE Id = 'xyz'", "INVALID_QUERY_FILTER_OPERATOR",
         "invalid ID field"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD", "can not be filtered"),
        ("SELECT Id FROM Account WHERE Name = 'a' AND Type = 'b' OR Name = 'c'", "MALFORMED_QUERY",
         "unexpected token: 'OR'"),
        ("SELECT Id FROM", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id, Id FROM Account", "MALFORMED_QUERY", "duplicate field selected"),
        ("SELECT Name, COUNT(Id) FROM Account GROUP BY Type", "MALFORMED_QUERY", "must be grouped"),
        ("SELECT FIELDS(ALL) FROM Account", "MALFORMED_QUERY", "LIMIT of at most 200"),
        ("SELECT Id FROM Account ORDER BY Description", "MALFORMED_QUERY", "can not be sorted"),
        ("SELECT Id FROM Account LIMIT 1 OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000"),
        ("SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact) OR Name = 'x'",
         "MALFORMED_QUERY", "only allowed at the top level"),
    ],
)  # fmt: skip
def test_wrong_queries_are_refused_by_code(
    org: PracticeOrg, soql: str, code: str, part: str
) -> None:
    """The client reads the code, the analyst the sentence."""
    found, message = refusal(org, soql)

    assert found == code
    assert part in message


def test_fields_all_selects_every_field(org: PracticeOrg) -> None:
    """FIELDS(ALL) with a LIMIT of 200 or less, FIELDS(CUSTOM) the custom ones."""
    every = org.query("SELECT FIELDS(ALL) FROM Account LIMIT 1")[0]
    custom = org.query("SELECT FIELDS(CUSTOM) FROM Account LIMIT 200")[0]

    described = org.json("GET", "sobjects/Account/describe")
    assert set(every) == {field["name"] for field in described["fields"]}
    assert set(custom) == {"Tags__c", "Code__c", "Double__c", "Started__c", "Shown__c"}


def test_hidden_fields_are_unknown_but_formulas_read_them(org: PracticeOrg) -> None:
    """Field-level security hides a field from queries, not from the formulas that use it."""
    code, message = refusal(org, "SELECT Hidden__c FROM Account")

    assert (code, "No such column 'Hidden__c'" in message) == ("INVALID_FIELD", True)
    assert refusal(org, "SELECT Id FROM Contact WHERE Account.Hidden__c > 1")[0] == "INVALID_FIELD"
    rows = org.query("SELECT Shown__c FROM Account WHERE Shown__c = 8")
    assert rows == [{"Shown__c": 8.0}] * len(ACCOUNTS)


def test_deleted_rows_are_seen_by_query_all_only(org: PracticeOrg) -> None:
    """queryAll includes the recycle bin."""
    made = org.json("POST", "sobjects/Contact", {"LastName": "Gone"})["id"]
    org.json("DELETE", f"sobjects/Contact/{made}")

    assert org.query("SELECT Id FROM Contact WHERE LastName = 'Gone'") == []
    found = org.query("SELECT Id, IsDeleted FROM Contact WHERE LastName = 'Gone'", all_rows=True)
    assert found == [{"Id": made, "IsDeleted": True}]


def test_pages_follow_each_other_without_gap(practice_org: PracticeOrgs) -> None:
    """2,000 rows a page, fewer when asked; the pages outlive the process as cursors do."""
    org = practice_org(schema=SCHEMA)
    csv = "Name\n" + "".join(f"N{number:05d}\n" for number in range(5_001))
    org.bulk("Account", "insert", csv.encode())
    soql = quote("SELECT Name, Owner.Name FROM Account ORDER BY Name")

    first = org.json("GET", f"query?q={soql}")
    small = org.json("GET", f"query?q={soql}", headers={"Sforce-Query-Options": "batchSize=200"})
    org.kill()
    org.start()
    second = org.json("GET", first["nextRecordsUrl"])
    third = org.json("GET", second["nextRecordsUrl"])

    assert first["nextRecordsUrl"].endswith("-2000")
    assert [page["totalSize"] for page in (first, second, third)] == [5_001] * 3
    assert [page["done"] for page in (first, second, third)] == [False, False, True]
    found = [row["Name"] for page in (first, second, third) for row in page["records"]]
    assert found == [f"N{number:05d}" for number in range(5_001)]
    assert len(small["records"]) == 200
    with pytest.raises(RefusedError, match="INVALID_QUERY_LOCATOR"):
        org.json("GET", "query/01gxxxxxxxxxxxxAAA-2000")


def test_many_children_are_paged_below_their_parent(practice_org: PracticeOrgs) -> None:
    """A subquery with more rows than a page has a nextRecordsUrl of its own."""
    org = practice_org(schema=SCHEMA)
    parents = [org.json("POST", "sobjects/Account", {"Name": name})["id"] for name in "AB"]
    csv = "LastName,AccountId\n" + "".join(f"C{n:04d},{parents[0]}\n" for n in range(2_500))
    org.bulk("Contact", "insert", csv.encode())

    page = org.json(
        "GET",
        "query?q="
        + quote(
            "SELECT Name, (SELECT LastName FROM Contacts ORDER BY LastName) FROM Account"
            " ORDER BY Name"
        ),
    )
    children = page["records"][0]["Contacts"]
    found = list(children["records"])
    while not children["done"]:
        children = org.json("GET", children["nextRecordsUrl"])
        found += children["records"]
    rest = org.json("GET", page["nextRecordsUrl"])

    assert [child["LastName"] for child in found] == [f"C{n:04d}" for n in range(2_500)]
    assert children["totalSize"] == 2_500
    assert [row["Name"] for row in rest["records"]] == ["B"]
    assert rest["records"][0]["Contacts"] is None
