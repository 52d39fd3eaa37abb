"""What a query's text tells before it is sent."""

from __future__ import annotations

import pytest

from core.salesforce import queries


@pytest.mark.parametrize(
    ("soql", "columns"),
    [
        ("SELECT Id, Name FROM Account", ["Id", "Name"]),
        ("select Id,\n Account.Owner.Name from Contact where x", ["Id", "Account.Owner.Name"]),
        ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", ["Id"]),
        (
            "SELECT toLabel(Rating), COUNT(Id) total, MAX(Amount) FROM A",
            ["expr0", "total", "expr1"],
        ),
        ("SELECT FIELDS(ALL) FROM Account LIMIT 200", []),
    ],
)
def test_columns_are_those_of_the_select_list(soql: str, columns: list[str]) -> None:
    assert queries.frame_columns(soql) == columns


@pytest.mark.parametrize(
    ("soql", "fit"),
    [
        ("SELECT Id, Account.Name FROM Contact WHERE Id IN (SELECT ContactId FROM Case)", True),
        ("SELECT Id FROM Account WHERE Name = 'GROUP BY'", True),
        ("SELECT Id FROM Attachment", False),
        ("SELECT COUNT(Id) FROM Account", False),
        ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", False),
        ("SELECT Id FROM Account OFFSET 10", False),
        ("SELECT TYPEOF What WHEN Account THEN Name END FROM Task", False),
        ("SELECT FIELDS(STANDARD) FROM Account", False),
    ],
)
def test_what_bulk_does_not_take_is_known(soql: str, fit: bool) -> None:
    assert queries.is_bulk_fit(soql) is fit
