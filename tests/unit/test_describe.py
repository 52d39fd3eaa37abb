"""Describes: real recorded payloads, case-insensitive fields, left-out attributes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.domain.describe import Field, Fields, parse_describe
from core.errors import UserError


def test_real_describes_parse_with_their_facts(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "A_api_responses" / "amaxa_describes"
    account = parse_describe(json.loads((folder / "Account.json").read_text()))
    task = parse_describe(json.loads((folder / "Task.json").read_text()))

    assert account.key_prefix == "001"
    assert [field.name for field in account.required_fields] == ["Name"]
    assert account.fields["parentid"].reference_to == ("Account",)
    assert account.by_relationship["parent"].name == "ParentId"
    assert not account.fields["Id"].createable
    assert task.fields["WhatId"].polymorphic
    assert len(task.fields["WhatId"].reference_to) > 5


def test_fields_are_found_without_regard_to_case() -> None:
    fields = Fields((Field(name="Legacy_Id__c", type="string"),))

    assert fields["legacy_id__C"].name == "Legacy_Id__c"
    assert "LEGACY_ID__C" in fields
    assert list(fields) == ["Legacy_Id__c"]
    assert fields.get("Nope") is None


def test_left_out_attributes_take_the_platform_default() -> None:
    sobject = parse_describe({"name": "X__c", "fields": [{"name": "A__c", "type": "string"}]})

    assert sobject.custom
    assert not sobject.fields["A__c"].createable
    assert sobject.fields["A__c"].permissionable


@pytest.mark.parametrize("payload", [{}, {"name": "X"}, {"fields": []}, {"name": 3, "fields": []}])
def test_a_document_that_is_no_describe_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(UserError, match="not the describe"):
        parse_describe(payload)
