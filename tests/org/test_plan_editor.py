"""The editor on two real schemas: rows, progress, previews, values, the object picker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import delete, update

from core.bootstrap import Orgbridge
from core.db.models import DescribeCache
from core.domain.plan import Plan, ReviewState, ValueMapRule
from core.domain.roles import Actor
from core.errors import ConflictError, OrgbridgeError, UserError
from core.plans import editing
from core.plans.editing import FieldPlace
from core.plans.field_rows import FieldState
from core.services import editor, object_picker, plan_start, plans, previews, tracing
from core.services.previews import Pick
from tests.org.connected import admin, connect, insert
from tests.orgs import PracticeOrgs

SOURCE = """
objects:
  Account:
    fields:
      Sector__c: {type: picklist, values: [Tech, Retail, Mining]}
      Code__c: {type: text, length: 40}
"""
TARGET = """
objects:
  Account:
    fields:
      Sector__c: {type: picklist, values: [Technology, Retail], restricted: true}
      Region__c: {type: picklist, values: [EMEA], required: true}
      Code__c: {type: text, length: 5}
"""
PLAN = """
orgbridge: 1
name: sales
source: old
target: new
objects:
  - source: Account
    auto_map: false
    where: "Name LIKE 'A%'"
    fields:
      Name: Name
      Sector__c: {from: Sector__c, values: {Tech: Technology}, review: suggested, confidence: 0.9}
      Code__c: Code__c
"""


@pytest.fixture
def ada(bridge: Orgbridge) -> Actor:
    return admin(bridge)


@pytest.fixture
def plan_id(bridge: Orgbridge, ada: Actor, practice_org: PracticeOrgs) -> UUID:
    source, target = practice_org(schema=SOURCE), practice_org(schema=TARGET)
    connect(bridge, "old", source)
    connect(bridge, "new", target)
    accounts = insert(
        source,
        "Account",
        {"Name": "A1", "Sector__c": "Tech", "Code__c": "ab"},
        {"Name": "A2", "Sector__c": "Mining", "Code__c": "ab"},
        {"Name": "A3", "Sector__c": "Retail", "Code__c": "too long"},
        {"Name": "B4", "Sector__c": "Tech"},
    )
    insert(source, "Contact", {"LastName": "Ng", "AccountId": accounts[0]})
    return plans.import_plan(bridge, ada, PLAN)


def test_rows_and_progress_follow_both_schemas(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    rows = editor.rows(bridge, ada, plan_id, mapping="account")
    (shown,) = editor.view(bridge, ada, plan_id).objects

    assert rows[0].target == "Region__c"
    assert rows[0].is_required
    by_target = {row.target: row for row in rows if row.target}
    assert by_target["Sector__c"].state is FieldState.AUTO
    assert shown.progress is not None
    assert (shown.progress.mapped, shown.progress.required_unmapped) == (3, 1)


def value_map(**values: str) -> partial[Plan]:
    rule = ValueMapRule(source="Sector__c", values=values)
    return partial(editing.set_rule, at=FieldPlace("account", "Sector__c"), rule=rule)


def test_an_edit_is_saved_at_once_and_one_on_a_stale_place_is_told(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    saved = editor.edit(
        bridge, ada, plan_id, revision=1, change=value_map(Tech="Technology", Mining="Retail")
    )

    assert saved.revision == 2
    with pytest.raises(ConflictError) as told:
        editor.edit(bridge, ada, plan_id, revision=1, change=value_map(Tech="Retail"))
    assert told.value.happened == (
        "ada@x.example changed account.fields.Sector__c after you opened this plan."
    )
    rule = plans.plan(bridge, ada, plan_id).plan.mapping("account").fields["Sector__c"]
    assert isinstance(rule, ValueMapRule)
    assert rule.values == {"Tech": "Technology", "Mining": "Retail"}


def test_two_people_who_edit_different_fields_both_keep_their_edit(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    bob = replace(ada, name="bob@x.example")
    editor.edit(bridge, ada, plan_id, revision=1, change=value_map(Tech="Technology"))
    skip = partial(editing.skip_field, at=FieldPlace("account", "Code__c"))

    saved = editor.edit(bridge, bob, plan_id, revision=1, change=skip)

    assert saved.revision == 3
    assert [(each.by, list(each.after or {})) for each in saved.others] == [
        ("ada@x.example", ["account.fields.Sector__c"])
    ]
    entry = plans.plan(bridge, ada, plan_id).plan.mapping("account")
    assert entry.skip == ("Code__c",)
    assert entry.fields["Sector__c"].review is ReviewState.APPROVED


def test_an_edit_after_somebody_restored_a_version_is_refused(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    plans.cut_version(bridge, ada, plan_id)
    editor.edit(bridge, ada, plan_id, revision=1, change=value_map(Tech="Technology"))
    plans.restore(bridge, ada, plan_id, number=1)

    with pytest.raises(ConflictError, match="replaced the whole plan"):
        editor.edit(bridge, ada, plan_id, revision=2, change=value_map(Tech="Retail"))


def test_the_last_word_on_a_field_names_who_and_when(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    before = editor.last_word(bridge, ada, plan_id, mapping="account", field="Sector__c")
    editor.edit(bridge, ada, plan_id, revision=1, change=value_map(Tech="Technology"))
    bob = replace(ada, name="bob@x.example")
    at = FieldPlace("account", "Sector__c")
    asked = partial(editing.review, at=at, state=ReviewState.NEEDS_CLARIFICATION)
    editor.edit(bridge, bob, plan_id, revision=2, change=asked)

    said = editor.last_word(bridge, ada, plan_id, mapping="account", field="Sector__c")

    assert before is None
    assert said is not None
    assert said.by == "bob@x.example"


def test_a_preview_shows_real_rows_with_their_verdict(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    first = previews.preview(bridge, ada, plan_id, mapping="account")
    issues = previews.preview(bridge, ada, plan_id, mapping="account", pick=Pick.ISSUES)

    assert [row.after["Sector__c"] for row in first.rows] == ["Technology", "Mining", "Retail"]
    assert [row.verdict for row in first.rows] == ["OK", "Not in picklist", "Too long"]
    assert (first.looked_at, first.with_issues) == (3, 2)
    assert [row.field for row in issues.rows] == ["Sector__c", "Code__c"]
    assert first.issues == {"Sector__c": ("Not in picklist", 1), "Code__c": ("Too long", 1)}


def test_values_are_counted_within_the_filter(bridge: Orgbridge, ada: Actor, plan_id: UUID) -> None:
    found = previews.values(bridge, ada, plan_id, mapping="account", field="sector__c")

    assert {(each.value, each.rows) for each in found} == {
        ("Tech", 1),
        ("Mining", 1),
        ("Retail", 1),
    }
    assert previews.matching(bridge, ada, plan_id, mapping="account", where=None) == 4
    with pytest.raises(OrgbridgeError):
        previews.matching(bridge, ada, plan_id, mapping="account", where="Nope = 1")


def test_the_picker_tells_why_an_object_cannot_be_chosen(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    choices = {choice.name: choice for choice in object_picker.object_choices(bridge, ada, plan_id)}
    found = object_picker.relatives(bridge, ada, plan_id, sobject="Account")

    assert choices["Account"].is_in_plan
    assert choices["Contact"].reason == ""
    children = {(relative.sobject, relative.field): relative for relative in found.children}
    contacts = children["Contact", "AccountId"]
    assert (contacts.row_count, contacts.linked_rows, contacts.reason) == (1, 1, "")
    assert found.row_count == 4
    assert any(parent.field == "ParentId" for parent in found.parents)


def test_auto_map_adds_suggestions_and_leaves_what_people_said(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    skipped = partial(editing.skip_field, at=FieldPlace("account", "Fax"))
    revision = editor.edit(bridge, ada, plan_id, revision=1, change=skipped).revision

    found = editor.suggest(bridge, ada, plan_id, revision=revision)

    fields = found.plan.mapping("account").fields
    assert found.added > 10
    assert fields["Phone"].review is ReviewState.SUGGESTED
    assert fields["Phone"].confidence == 1.0
    assert fields["Name"].review is ReviewState.APPROVED
    assert "Fax" not in fields


def started(*names: str) -> Plan:
    """A new plan as the dialog makes it."""
    return plan_start.document("fresh ", names, source="old", target="new", adopts_owners=False)


@pytest.mark.parametrize(
    ("name", "objects", "said"),
    [
        ("  ", ["Account"], "needs a name"),
        ("x" * 201, ["Account"], "at most 200 characters"),
        ("a", [" ", ""], "at least one object"),
        ("a", ["Account", "No such thing'; --"], "No such thing'; -- is no API name"),
    ],
)
def test_what_is_filled_in_wrong_is_told_in_words_of_the_form(
    name: str, objects: list[str], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        plan_start.document(name, objects, source="old", target="new", adopts_owners=True)


def test_a_new_plan_with_an_object_that_is_not_there_leaves_nothing_behind(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    """The same name can be tried again at once, with the spelling that was offered."""
    with pytest.raises(UserError, match=r"old has no object Acount.*Did you mean Account\?"):
        plan_start.start(bridge, ada, started("Contact", "Acount"))
    assert [row.name for row in plans.plans(bridge, ada)] == ["sales"]

    made = plan_start.start(bridge, ada, started("contact", "ACCOUNT", " Account"))

    plan = plans.plan(bridge, ada, made).plan
    assert [(e.source, e.target) for e in plan.objects] == [
        ("Contact", "Contact"),
        ("Account", "Account"),
    ]
    assert plan.mapping("account").fields["Name"].review is ReviewState.SUGGESTED
    with pytest.raises(UserError, match="exists already"):
        plan_start.start(bridge, ada, started("Account"))


def test_an_object_gets_another_target_and_keeps_its_name(
    bridge: Orgbridge, ada: Actor, plan_id: UUID
) -> None:
    """Links of earlier runs and other objects of the plan know it by that name."""
    choices = {each.name for each in object_picker.target_choices(bridge, ada, plan_id)}
    assert {"Account", "Contact"} <= choices
    assert not {name for name in choices if name.endswith(("History", "Share"))}
    to_contact = {"target": "Contact", "as": "account"}

    change = partial(editing.change_settings, mapping="account", settings=to_contact)
    editor.edit(bridge, ada, plan_id, revision=1, change=change)

    entry = plans.plan(bridge, ada, plan_id).plan.mapping("account")
    assert (entry.source, entry.target) == ("Account", "Contact")


def test_parents_that_an_insert_needs_are_found_all_the_way_up(
    bridge: Orgbridge, ada: Actor, practice_org: PracticeOrgs
) -> None:
    """Those of every object that was picked, not of the last one alone."""
    up = """
objects:
  Region__c: {fields: {}}
  Site__c: {fields: {Region__c: {type: lookup, to: Region__c, required: true}}}
  Visit__c: {fields: {Site__c: {type: lookup, to: Site__c, required: true}}}
"""
    for name in ("old", "new"):
        connect(bridge, name, practice_org(schema=SOURCE + up.replace("\nobjects:\n", "")))
    made = plans.import_plan(bridge, ada, PLAN)

    found = object_picker.needed_parents(bridge, ada, made, sobjects=["Visit__c", "Contact"])

    assert found == ("Site__c", "Region__c")
    kept = object_picker.needed_parents(bridge, ada, made, sobjects=["Visit__c", "Site__c"])
    assert kept == ("Region__c",)


def plan_of_two(
    bridge: Orgbridge, ada: Actor, practice_org: PracticeOrgs
) -> tuple[UUID, Callable[[], None]]:
    """A plan whose orgs were described, and what takes them away and forgets them in memory."""
    ids = {}
    for name, schema in (("old", SOURCE), ("new", TARGET)):
        org = practice_org(schema=schema)
        ids[connect(bridge, name, org)] = org
    for org_id in ids:
        bridge.org_client(ada.workspace_id, org_id).describe("Account")

    def leave() -> None:
        for org_id, org in ids.items():
            org.kill()
            bridge.forget_org(ada.workspace_id, org_id)

    return plans.import_plan(bridge, ada, PLAN), leave


def test_a_plan_is_shown_and_edited_by_what_its_orgs_said_last_while_they_are_away(
    bridge: Orgbridge, ada: Actor, practice_org: PracticeOrgs
) -> None:
    """A process that has just started, orgs that do not answer, describes of an hour ago."""
    plan_id, leave = plan_of_two(bridge, ada, practice_org)
    an_hour_ago = bridge.clock() - timedelta(hours=1)
    with bridge.session(ada.workspace_id) as session:
        session.execute(update(DescribeCache).values(checked_at=an_hour_ago))
    leave()

    away = editor.rows(bridge, ada, plan_id, mapping="account")
    (shown,) = editor.view(bridge, ada, plan_id).objects
    rule = partial(editing.skip_field, at=FieldPlace("account", "Code__c"))
    saved = editor.edit(bridge, ada, plan_id, revision=1, change=rule)

    assert {"Name", "Sector__c", "Code__c", "Region__c"} <= {row.target for row in away}
    assert (shown.problem, shown.since) == ("", an_hour_ago)
    assert "Code__c" in saved.plan.mapping("account").skip


def test_a_plan_whose_orgs_never_answered_says_why_nothing_is_shown(
    bridge: Orgbridge, ada: Actor, practice_org: PracticeOrgs
) -> None:
    plan_id, leave = plan_of_two(bridge, ada, practice_org)
    with bridge.session(ada.workspace_id) as session:
        session.execute(delete(DescribeCache))
    leave()

    (shown,) = editor.view(bridge, ada, plan_id).objects

    assert "could not be reached" in shown.problem
    assert shown.since is None


def test_a_record_is_looked_for_in_an_org_that_is_away_once(
    bridge: Orgbridge, ada: Actor, practice_org: PracticeOrgs
) -> None:
    """Key and name of each object are questions of their own, each waited for."""
    _, leave = plan_of_two(bridge, ada, practice_org)
    leave()

    found = tracing.trace(bridge, ada, "A-1")

    assert [problem.partition(": ")[0] for problem in sorted(found.unasked)] == ["new", "old"]
    assert not found.links and not found.record_ids
