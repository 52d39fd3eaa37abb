"""The plan editor on a real draft: edits saved one by one, conflicts told, 500 fields in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from uuid import UUID

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.domain.plan import ConstantRule, CopyRule, ReviewState, parse_plan
from core.domain.roles import Actor, Role
from core.services import editor, plans
from pages.parts import plan_grid, plan_import, state
from tests.org.connected import connect, insert
from tests.org.scripted_data import ScriptedData, described
from tests.orgs import PracticeOrgs, practice_org

from .conftest import Opened

__all__ = ["practice_org"]

FIELDS = 500
#: a page's script, warm, at 500 fields; a shared machine is given four times the budget
SCRIPT_WITHIN_S = 4 * 0.5
RUNS = 5
OWNERS = """
from types import SimpleNamespace
from uuid import UUID
import streamlit as st
from core.services import editor
from pages.parts import plan_owners, state, visit
view = editor.view(visit.bridge(), visit.actor(), UUID("{plan_id}"))
st.session_state.setdefault(state.REVISION, view.row.revision)
plan_owners.dialog(view)
"""


def text_field(name: str) -> dict[str, object]:
    return {"name": name, "type": "string", "length": 80, "label": name.replace("_", " ")}


@pytest.fixture
def plan_id(bridge: Orgbridge, actor: Actor) -> Iterator[UUID]:
    """A plan of one object with 500 fields on both sides, two of them suggested."""
    source, target = ScriptedData("00D000000000001EAA"), ScriptedData("00D000000000002EAA")
    source.register(bridge, actor, "Legacy")
    target.register(bridge, actor, "New")
    listed = [text_field(f"F{number:03d}__c") for number in range(FIELDS)]
    for org in (source, target):
        org.describes = {"Account": described("Account", *listed)}
    source.rows = {"Account": [{"Id": "001000000000001AAA", "F000__c": "a", "F001__c": "b" * 99}]}
    text = """
orgbridge: 1
name: Wide
source: Legacy
target: New
objects:
  - source: Account
    fields:
      F000__c: {from: F000__c, review: suggested, confidence: 0.95}
      F001__c: {from: F001__c, review: suggested, confidence: 0.6}
"""
    yield plans.create(bridge, actor, parse_plan(text))
    source.http.stop()
    target.http.stop()


def test_the_editor_opens_with_five_hundred_fields_within_its_budget(
    plan_id: UUID, opened: Opened
) -> None:
    app = opened("prepare/plans.py", role=Role.ANALYST, plan=str(plan_id))
    assert not app.exception
    assert not app.error
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        app.run()
        took.append(time.perf_counter() - began)

    assert sorted(took)[RUNS // 2] < SCRIPT_WITHIN_S, took


def test_the_filter_of_issues_shows_what_the_preview_saw_in_real_rows(
    plan_id: UUID, opened: Opened
) -> None:
    """Nobody reads two truths on one page: rows with an issue below, and no field with one."""
    app = opened("prepare/plans.py", role=Role.ANALYST, plan=str(plan_id), show="issues")

    assert not app.exception
    table = app.data_editor[0].value
    told = dict(zip(table["target"], table["issue"], strict=True))
    assert told == {"F001__c": "Too long: 1 of 1 rows looked at"}


def test_a_viewer_sees_the_plan_and_no_button_that_changes_it(
    plan_id: UUID, opened: Opened
) -> None:
    app = opened("prepare/plans.py", role=Role.VIEWER, plan=str(plan_id))

    labels = {button.label for button in app.button}
    assert not labels & {"Auto-map", "Launch…", "Accept", "Skip field", "Add"}
    assert "Wide" in app.title[0].value


def test_accepting_sure_suggestions_saves_them_and_leaves_the_unsure(
    plan_id: UUID, opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    app = opened("prepare/plans.py", role=Role.ANALYST, plan=str(plan_id))

    app.button(key="plan.accept").click().run()

    assert not app.exception
    fields = plans.plan(bridge, actor, plan_id).plan.mapping("account").fields
    assert fields["F000__c"].review is ReviewState.APPROVED
    assert fields["F001__c"].review is ReviewState.SUGGESTED


def test_an_edit_of_what_somebody_else_changed_is_refused_and_told(
    plan_id: UUID, opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    app = opened("prepare/plans.py", role=Role.ANALYST, plan=str(plan_id), field="F000__c")
    theirs = plan_grid.change_of("F000__c", "reviewed", True, mapping="account")
    editor.edit(bridge, actor, plan_id, revision=1, change=theirs)

    app.button(key="inspect.skip").click().run()

    assert "Your change was not saved; theirs stands" in app.error[0].value
    entry = plans.plan(bridge, actor, plan_id).plan.mapping("account")
    assert not entry.skip
    assert entry.fields["F000__c"].review is ReviewState.APPROVED


def test_an_edit_beside_somebody_elses_is_kept_with_theirs(
    plan_id: UUID, opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    app = opened("prepare/plans.py", role=Role.ANALYST, plan=str(plan_id), field="F001__c")
    theirs = plan_grid.change_of("F000__c", "reviewed", True, mapping="account")
    editor.edit(bridge, actor, plan_id, revision=1, change=theirs)

    app.button(key="inspect.skip").click().run()

    assert not app.error
    entry = plans.plan(bridge, actor, plan_id).plan.mapping("account")
    assert entry.skip == ("F001__c",)
    assert entry.fields["F000__c"].review is ReviewState.APPROVED
    told = app.toast[0].value.replace("\\", "")  # text of others is escaped
    assert "mira changed account.fields.F000__c meanwhile" in told


def test_a_rule_saves_itself_as_soon_as_it_is_whole(
    plan_id: UUID, opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    app = opened("prepare/plans.py", role=Role.ANALYST, plan=str(plan_id), field="F001__c")

    app.selectbox(key="inspect.account.F001__c.kind").set_value("constant").run()
    half = plans.plan(bridge, actor, plan_id).plan.mapping("account").fields["F001__c"]
    app.text_input(key="inspect.account.F001__c.constant").set_value("Warm").run()

    assert not app.exception
    assert isinstance(half, CopyRule)
    whole = plans.plan(bridge, actor, plan_id).plan.mapping("account").fields["F001__c"]
    assert isinstance(whole, ConstantRule)
    assert (whole.constant, whole.review) == ("Warm", ReviewState.APPROVED)
    assert any("Reviewed by analyst" in each.value for each in app.caption)


def test_rows_keep_their_place_while_one_works_on_them(
    plan_id: UUID, bridge: Orgbridge, actor: Actor
) -> None:
    """Edits of a data editor are matched by position: an accepted row must not move away."""
    st.session_state.clear()
    before = editor.rows(bridge, actor, plan_id, mapping="account")
    open_ones = [row for row in before if plan_grid.matches(row, "review")]
    first = plan_grid.held_order(before, open_ones, place="account|review|")
    plans_view = plans.plan(bridge, actor, plan_id)
    change = plan_grid.change_of(first[0].key, "reviewed", True, mapping="account")
    editor.edit(bridge, actor, plan_id, revision=plans_view.row.revision, change=change)

    after = editor.rows(bridge, actor, plan_id, mapping="account")
    still = [row for row in after if plan_grid.matches(row, "review")]
    second = plan_grid.held_order(after, still, place="account|review|")

    assert len(still) == len(open_ones) - 1
    assert [row.key for row in second] == [row.key for row in first]
    assert [row.key for row in plan_grid.held_order(after, still, place="account|all|")] == [
        row.key for row in still
    ]
    st.session_state.pop(state.GRID_ORDER, None)


def test_the_list_of_plans_shows_them_and_offers_a_new_one(plan_id: UUID, opened: Opened) -> None:
    app: AppTest = opened("prepare/plans.py", role=Role.ANALYST)

    assert not app.exception
    assert app.dataframe[0].value["name"].tolist() == ["Wide"]
    assert app.button(key="plans.new")


def test_a_link_to_a_plan_that_is_gone_says_so_and_leads_on(plan_id: UUID, opened: Opened) -> None:
    gone = "00000000-0000-0000-0000-000000000000"

    editor_page = opened("prepare/plans.py", role=Role.ANALYST, plan=gone)
    assert editor_page.title[0].value == "Plan"
    assert editor_page.error
    editor_page.button(key="plan.all").click().run()
    assert editor_page.dataframe[0].value["name"].tolist() == ["Wide"]

    launch_page = opened("migrate/launch.py", plan=gone)
    assert "Choose a plan below" in launch_page.error[0].value
    launch_page.selectbox(key="launch.plan").set_value(str(plan_id)).run()
    assert not launch_page.exception
    assert launch_page.query_params["plan"] == str(plan_id)


def test_what_becomes_of_unknown_owners_is_kept_as_soon_as_it_is_chosen(
    bridge: Orgbridge, actor: Actor, drawn: Opened, practice_org: PracticeOrgs
) -> None:
    """Nobody has to press a button: a reload or a closed dialog would lose it."""
    source, target = (practice_org(schema="standard: [Account]") for _ in range(2))
    connect(bridge, "Legacy", source)
    connect(bridge, "New", target)
    insert(source, "Account", {"Name": "A1"})
    plan = "{orgbridge: 1, name: Owned, source: Legacy, target: New, objects: [{source: Account}]}"
    plan_id = plans.create(bridge, actor, parse_plan(plan))
    app = drawn(OWNERS.format(plan_id=plan_id))
    assert plans.plan(bridge, actor, plan_id).plan.users is None

    app.selectbox(key="owners.missing").set_value("running_user").run()

    users = plans.plan(bridge, actor, plan_id).plan.users
    assert users is not None
    assert users.missing == "running_user"


def test_the_list_counts_what_waits_in_a_plan_that_maps_by_itself(
    plan_id: UUID, bridge: Orgbridge, actor: Actor
) -> None:
    """What a launch would add waits for a person too; nothing is claimed before it was counted."""
    (unopened,) = plans.plans(bridge, actor)
    assert unopened.to_review is None

    view = editor.view(bridge, actor, plan_id)

    (counted,) = plans.plans(bridge, actor)
    shown = [each.progress for each in view.objects]
    assert counted.to_review == sum(each.to_review for each in shown if each) > 2


def test_an_import_tells_what_it_lost_as_text_until_the_plan_is_opened() -> None:
    """Names and sentences come from the file: nothing in them is formatting."""

    def page() -> None:
        from uuid import UUID

        import streamlit as st

        from core.plans.importers import Note
        from core.services.plans import ImportOutcome
        from pages.parts import plan_import, state

        note = Note("objects[0].query", "LIMIT 10 is not carried over: all rows are in scope.")
        kept = ImportOutcome(UUID(int=1), "**b** :red[x]", 2, "SFDMU", (note,))
        st.session_state[state.IMPORTED] = kept
        plan_import.told()

    app = AppTest.from_function(page).run()

    assert not app.exception
    said = app.warning[0].value
    assert "2 objects of the SFDMU file. 1 thing could not be carried over." in said
    assert "**b**" not in said
    assert app.dataframe[0].value["place"].tolist() == ["objects[0].query"]
    assert [each.key for each in app.button] == ["new.notes.open"]


def test_the_tables_of_sfdmu_are_told_apart_by_name() -> None:
    """Whatever else was dropped beside them is left alone."""
    files = [
        SimpleNamespace(name=name, getvalue=lambda: b"\xef\xbb\xbfa,b")
        for name in ("ValueMapping.csv", "fieldmapping.CSV", "other.csv")
    ]
    assert plan_import.texts(files) == {"values": "a,b", "fields": "a,b"}
