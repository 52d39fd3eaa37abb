"""Rows of the two practice orgs of a rule's test: made over REST, read by the test API."""

from __future__ import annotations

from typing import Any

from tests.orgs import PracticeOrg


def live(org: PracticeOrg, sobject: str) -> list[dict[str, Any]]:
    """Rows that are not in the recycle bin."""
    return [row for row in org.rows(sobject) if not row["IsDeleted"]]


def create(org: PracticeOrg, sobject: str, *rows: dict[str, Any]) -> list[str]:
    """Records made over REST; their ids."""
    records = [{"attributes": {"type": sobject}, **row} for row in rows]
    made: list[str] = []
    for start in range(0, len(records), 200):
        said = org.json("POST", "composite/sobjects", {"records": records[start : start + 200]})
        assert all(row["success"] for row in said), said
        made += [row["id"] for row in said]
    return made


def change(org: PracticeOrg, sobject: str, record_id: str, **values: Any) -> None:
    """One record updated over REST."""
    org.json("PATCH", f"sobjects/{sobject}/{record_id}", values)


def emptied(org: PracticeOrg, *sobjects: str) -> None:
    """Takes faults and the rows of these objects away, children first."""
    org.clear_faults()
    ids = [row["Id"] for name in sobjects for row in live(org, name)]
    org.json("POST", "/_sim/edit", {"delete": ids})


def by_key(org: PracticeOrg, sobject: str, key: str = "Legacy_Id__c") -> dict[str, dict[str, Any]]:
    """Live rows by their key."""
    return {row[key]: row for row in live(org, sobject)}
