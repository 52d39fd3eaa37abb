"""Key advice, owner map, record types and test rows of a plan, on two practice orgs."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import pytest

from core.bootstrap import Orgbridge
from core.domain.plan import KeySpec, RowTest
from core.domain.roles import Actor
from core.services import (
    editor,
    identity_maps,
    key_advice,
    plans,
    previews,
    row_testing,
)
from core.services.identity_maps import FoundBy
from core.services.key_advice import KeyKind
from tests.org.connected import admin, connect, insert
from tests.orgs import PracticeOrgs

SOURCE = """
org:
  users:
    - {username: vera@old.example, first: Vera, last: Holm, email: v@x.example, active: true, profile: Standard User}
    - {username: kim@old.example, first: Kim, last: Berg, email: k@x.example, active: true, profile: Standard User}
objects:
  Account:
    fields:
      Code__c: {type: text, length: 40}
"""  # noqa: E501 one user a line
TARGET = """
org:
  users:
    - {username: vera@new.example, first: Vera, last: Holm, email: v@x.example, active: true, profile: Standard User}
objects:
  Account:
    fields:
      Code__c: {type: text, length: 40}
      Legacy_Id__c: {type: text, length: 18, external_id: true, unique: true, case_sensitive: true}
"""  # noqa: E501 as above
PLAN = """
orgbridge: 1
name: sales
source: old
target: new
objects:
  - source: Account
    auto_map: false
    fields: {Name: Name, Code__c: Code__c, OwnerId: OwnerId, Legacy_Id__c: {constant: x}}
"""


@pytest.fixture
def ada(bridge: Orgbridge) -> Actor:
    return admin(bridge)


@pytest.fixture
def plan_id(bridge: Orgbridge, ada: Actor, practice_org: PracticeOrgs) -> UUID:
    source, target = practice_org(schema=SOURCE), practice_org(schema=TARGET)
    connect(bridge, "old", source)
    connect(bridge, "new", target)
    users = {row["Username"]: row["Id"] for row in source.rows("User")}
    vera, kim = users["vera@old.example"], users["kim@old.example"]
    insert(
        source,
        "Account",
        {"Name": "A1", "Code__c": "1", "OwnerId": vera},
        {"Name": "A2", "Code__c": "1", "OwnerId": vera},
        {"Name": "A3", "OwnerId": kim},
    )
    insert(target, "Account", {"Name": "a1", "Code__c": "9"})
    return plans.import_plan(bridge, ada, PLAN)


def test_rule_2_1_the_advice_names_figures_and_blocked_rows_and_offers_the_migration_key(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    found = key_advice.advice(bridge, ada, plan_id, mapping="account")
    by_key = {one.key.target: one for one in found.candidates if one.kind is KeyKind.SINGLE}

    assert (found.source_rows, found.target_rows, found.is_sampled) == (3, 1, False)
    name, code = by_key[("Name",)], by_key[("Code__c",)]
    assert (name.source.filled_share, name.overlap, name.blocked_rows) == (1.0, 1, 0)
    assert (code.source.filled, code.source.repeated, code.blocked_rows) == (2, 2, 3)
    assert [(row.values, row.is_repeated) for row in code.blocked] == [
        (("1",), True),
        (("1",), True),
        ((None,), False),
    ]
    assert found.migration_key is not None
    use = partial(key_advice.with_key, mapping="account", key=found.migration_key.key)
    kept = editor.edit(bridge, ada, plan_id, revision=1, change=use).plan.mapping("account")
    assert kept.key == KeySpec(source=("Id",), target=("Legacy_Id__c",), value="Id")
    assert "Legacy_Id__c" not in kept.fields


def test_owners_of_rows_in_scope_are_matched_and_kept_as_the_plans_map(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    found = identity_maps.owner_map(bridge, ada, plan_id)

    told = {
        line.match.source.username: (line.rows, line.match.found_by)
        for line in found.lines
        if line.match.source.username.endswith("@old.example")
    }
    assert told == {"vera@old.example": (2, FoundBy.EMAIL), "kim@old.example": (1, FoundBy.NONE)}
    assert found.lines[0].match.target is None
    chosen = identity_maps.chosen_of(found.lines)
    change = partial(identity_maps.with_owners, chosen=chosen, missing="running_user")
    saved = editor.edit(bridge, ada, plan_id, revision=1, change=change).plan
    assert saved.users is not None
    assert saved.users.map["vera@old.example"] == "vera@new.example"
    assert saved.users.missing == "running_user"
    again = identity_maps.owner_map(bridge, ada, plan_id)
    assert again.policy == saved.users


def test_objects_without_record_types_have_an_empty_map(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    assert identity_maps.record_type_map(bridge, ada, plan_id, mapping="account").lines == ()


def test_a_real_row_becomes_a_test_that_passes_until_a_rule_changes(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    row = previews.preview(bridge, ada, plan_id, mapping="account").rows[0]
    taken = row_testing.row_as_test(row.before, row.after)
    wrong = RowTest(given={"Name": "x"}, expected={"Name": "y"})
    change = partial(row_testing.with_tests, mapping="account", tests=[taken, wrong])
    editor.edit(bridge, ada, plan_id, revision=1, change=change)

    found = row_testing.results(bridge, ada, plan_id, mapping="account")

    assert {each.passed for each in found if each.number == 1} == {True}
    assert [each.sentence for each in found if each.number == 2] == [
        "Test 2: Name is 'x', expected 'y'."
    ]
