"""When a rule of the inspector is whole, so that it may save itself."""

from __future__ import annotations

from typing import Any

import pytest

from pages.parts import plan_rules


@pytest.mark.parametrize(
    ("kind", "rule", "expected"),
    [
        ("copy", {"from": "Name"}, True),
        ("copy", {}, False),
        ("constant", {"constant": "Warm"}, True),
        ("constant", {"constant": None}, False),
        ("values", {"from": "Tier__c", "values": {}}, False),
        ("values", {"from": "Tier__c", "values": {"a": "b"}}, True),
        ("values", {"from": "Tier__c", "values": {}, "otherwise": "reject"}, True),
        ("values", {"values": {"a": "b"}}, False),
        ("expression", {"expression": "upper(Name)"}, True),
        ("expression", {}, False),
        ("mask", {"from": "Email", "mask": "email"}, True),
        ("mask", {"from": "Email"}, False),
        ("convert", {"from": "D__c", "convert": "to_date"}, True),
        ("convert", {"from": "D__c", "convert": "parse_date"}, False),
        ("convert", {"from": "D__c", "convert": "parse_date", "format": "%d.%m.%Y"}, True),
        ("ids", {"from": "Notes__c", "ids": "rewrite"}, True),
    ],
)
def test_a_rule_is_whole_when_nothing_of_it_is_missing(
    kind: str, rule: dict[str, Any], expected: bool
) -> None:
    assert plan_rules.is_complete(kind, rule) is expected
