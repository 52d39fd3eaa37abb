"""Maps and test rows of the plan editor: each choice is saved at once and stands after a reload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import UUID

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.domain.plan import RowTest, ValueMapRule, parse_plan
from core.domain.roles import Actor, Role
from core.services import plans
from pages.parts import state
from tests.org.connected import connect, insert
from tests.orgs import PracticeOrg, PracticeOrgs, module_practice_org

from .conftest import Opened, edited

__all__ = ["module_practice_org"]

SOURCE = """
standard: [Account]
objects:
  Account:
    record_types:
      Business: {name: Business, default: true}
      Old_Reseller: {name: Reseller}
      Lost: {name: Lost}
"""
TARGET = """
org:
  features: [state_country_picklists]
  countries:
    DE: {name: Germany, states: {BY: Bavaria, HE: Hesse}}
    FR: {name: France}
standard: [Account]
objects:
  Account:
    record_types:
      Business: {name: Business, default: true}
      Reseller: {name: Reseller}
      Spare: {name: Spare part}
"""
PLAN = """
orgbridge: 1
name: Mapped
source: Legacy
target: New
objects:
  - source: Account
    fields:
      Name: Name
      RecordTypeId: RecordTypeId
      BillingCountry: BillingCountry
      BillingCountryCode: BillingCountry
      BillingState: BillingState
"""
DIALOG = """
from uuid import UUID
import streamlit as st
from core.services import editor
from pages.parts import {module}, state, visit
view = editor.view(visit.bridge(), visit.actor(), UUID("{plan_id}"))
st.session_state.setdefault(state.REVISION, view.row.revision)
held = st.session_state.setdefault("test.view", view)  # a dialog keeps what it was opened with
{module}.{dialog}(held, "account")
"""


@pytest.fixture(scope="module")
def pair(module_practice_org: PracticeOrgs) -> Iterator[tuple[PracticeOrg, PracticeOrg]]:
    """A source that takes any country, and a target with lists; nobody writes after this."""
    source, target = (module_practice_org(schema=text) for text in (SOURCE, TARGET))
    types = {row["DeveloperName"]: row["Id"] for row in source.rows("RecordType")}
    insert(
        source,
        "Account",
        {"Name": "A1", "RecordTypeId": types["Lost"], "BillingCountry": "germany"},
        {"Name": "A2", "RecordTypeId": types["Lost"], "BillingCountry": "germany"},
        {"Name": "A3", "BillingCountry": "Atlantis", "BillingState": "bavaria"},
        {"Name": "A4", "BillingCountry": "France", "BillingState": "Hesse"},
    )
    yield source, target


@pytest.fixture
def plan_id(bridge: Orgbridge, actor: Actor, pair: tuple[PracticeOrg, PracticeOrg]) -> UUID:
    for name, org in zip(("Legacy", "New"), pair, strict=True):
        connect(bridge, name, org)
    return plans.create(bridge, actor, parse_plan(PLAN))


def reloaded(app: AppTest, script: str) -> AppTest:
    """A new window of the same person: nothing of the old one's session but who it is."""
    fresh = AppTest.from_string(script, default_timeout=90)
    fresh.session_state[state.TOKEN] = app.session_state[state.TOKEN]
    return fresh.run()


def becomes(app: AppTest) -> Mapping[str, str | None]:
    table = app.data_editor[0].value
    targets = [None if pd.isna(name) else str(name) for name in table["target"]]
    return dict(zip(table["source"], targets, strict=True))


def test_record_types_are_found_by_name_and_label_with_their_rows(
    plan_id: UUID, drawn: Opened
) -> None:
    app = drawn(DIALOG.format(plan_id=plan_id, module="plan_owners", dialog="record_types_dialog"))

    assert not app.exception
    table = app.data_editor[0].value
    assert dict(zip(table["source"], table["rows"], strict=True)) == {
        "Business": 2,
        "Reseller": 0,
        "Lost": 2,
    }
    assert becomes(app) == {"Business": "Business", "Reseller": "Reseller", "Lost": None}


def test_a_record_type_that_was_chosen_stands_after_a_reload_without_any_button(
    plan_id: UUID, drawn: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    script = DIALOG.format(plan_id=plan_id, module="plan_owners", dialog="record_types_dialog")
    app = drawn(script, role=Role.ANALYST)
    at = list(becomes(app)).index("Lost")

    edited(app, "types.table", edited_rows={str(at): {"target": "Spare"}})
    app.selectbox(key="types.missing").set_value("blank").run()

    assert not app.exception
    policy = plans.plan(bridge, actor, plan_id).plan.mapping("account").lookup("RecordTypeId")
    assert (policy.map["Lost"], policy.missing) == ("Spare", "blank")
    again = reloaded(app, script)
    assert becomes(again)["Lost"] == "Spare"
    assert again.selectbox(key="types.missing").value == "blank"


def test_a_viewer_reads_the_record_types_and_saves_nothing(
    plan_id: UUID, drawn: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    script = DIALOG.format(plan_id=plan_id, module="plan_owners", dialog="record_types_dialog")
    app = drawn(script, role=Role.VIEWER)

    app.selectbox(key="types.missing").set_value("blank").run()

    assert becomes(app)["Business"] == "Business"
    assert not [each for each in app.button if each.key == "types.save"]
    assert plans.plan(bridge, actor, plan_id).row.revision == 1


@pytest.mark.parametrize(
    ("field", "filled", "lost"),
    [
        ("BillingCountry", {"germany": "Germany"}, "2 values not in the target's list (3 rows)"),
        (
            "BillingCountryCode",
            {"germany": "DE", "France": "FR"},
            "3 values not in the target's list (4 rows)",
        ),
        ("BillingState", {"bavaria": "Bavaria"}, "1 value not in the target's list (1 row)"),
    ],
)
def test_countries_and_states_are_filled_in_from_the_targets_list(
    field: str,
    filled: dict[str, str],
    lost: str,
    plan_id: UUID,
    opened: Opened,
    bridge: Orgbridge,
    actor: Actor,
) -> None:
    """What the list has by label or code is filled in; Atlantis stays for a person to see."""
    app = opened("prepare/plans.py", role=Role.ANALYST, plan=str(plan_id), field=field)
    at = f"inspect.account.{field}"
    app.selectbox(key=f"{at}.kind").set_value("values").run()
    assert any(lost in each.value for each in app.markdown), [each.value for each in app.markdown]

    app.button(key=f"{at}.fill").click().run()

    assert not app.exception
    rule = plans.plan(bridge, actor, plan_id).plan.mapping("account").fields[field]
    assert isinstance(rule, ValueMapRule)
    assert rule.values == filled


def test_a_country_chosen_by_hand_is_saved_at_once(
    plan_id: UUID, opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    app = opened("prepare/plans.py", role=Role.ANALYST, plan=str(plan_id), field="BillingCountry")
    app.selectbox(key="inspect.account.BillingCountry.kind").set_value("values").run()
    (table,) = [each for each in app.data_editor if ".values." in (each.key or "")]
    at = table.value["value"].tolist().index("Atlantis")

    edited(app, table.key or "", edited_rows={str(at): {"target": "France"}})

    assert not app.exception
    rule = plans.plan(bridge, actor, plan_id).plan.mapping("account").fields["BillingCountry"]
    assert isinstance(rule, ValueMapRule)
    assert rule.values == {"Atlantis": "France"}


def test_a_new_test_row_is_kept_as_it_is_typed_and_stands_after_a_reload(
    plan_id: UUID, drawn: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    script = DIALOG.format(plan_id=plan_id, module="plan_tests", dialog="dialog")
    app = drawn(script, role=Role.ANALYST)
    given, expected = (f"tests.new.1.{side}" for side in ("in", "out"))

    edited(app, given, added_rows=[{"field": "Name", "value": "Ada"}])
    assert not plans.plan(bridge, actor, plan_id).plan.mapping("account").tests
    edited(app, expected, added_rows=[{"field": "Name", "value": "Ida"}])
    edited(app, expected, added_rows=[{"field": "Name", "value": "Ada"}])

    assert not app.exception
    kept = plans.plan(bridge, actor, plan_id).plan.mapping("account").tests
    assert kept == (RowTest(given={"Name": "Ada"}, expected={"Name": "Ada"}),)
    again = reloaded(app, script)
    assert any("1 of 1 pass" in each.value for each in again.markdown)
    assert again.dataframe[0].value["given"].tolist() == ["Name = Ada"]
