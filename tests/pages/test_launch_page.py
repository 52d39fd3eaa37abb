"""New migration: what the page asks before a launch, and what it hands on."""

from __future__ import annotations

from uuid import UUID

import pytest

from core.bootstrap import Orgbridge
from core.domain.findings import Finding, Fix, Severity
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.services import orgs, plans, run_reads, settings
from pages.parts import launch_checks
from tests.org.connected import connect
from tests.orgs import PracticeOrg, PracticeOrgs, module_practice_org, practice_org

from .conftest import Opened, edited

__all__ = ["module_practice_org", "practice_org"]

PLAN = """
orgbridge: 1
name: Small
source: Legacy
target: New
objects:
  - source: Account
    auto_map: false
    fields: {Name: Name}
  - source: Contact
    auto_map: false
    fields: {LastName: LastName}
"""


@pytest.fixture(scope="module")
def pair(module_practice_org: PracticeOrgs) -> list[PracticeOrg]:
    """Two small orgs that nothing is written to: launches here have no worker."""
    return [module_practice_org(schema="standard: [Account, Contact]") for _ in range(2)]


@pytest.fixture
def plan_id(bridge: Orgbridge, actor: Actor, pair: list[PracticeOrg]) -> UUID:
    """A plan of two objects between them."""
    for name, org in zip(("Legacy", "New"), pair, strict=True):
        connect(bridge, name, org)
    return plans.create(bridge, actor, parse_plan(PLAN))


@pytest.mark.parametrize("start", ["now", "repeat"])
def test_a_writing_launch_waits_for_the_answer_about_e_mail(
    plan_id: UUID, opened: Opened, bridge: Orgbridge, actor: Actor, start: str
) -> None:
    """Rule 8.3, also where the launch becomes a schedule."""
    app = opened(
        "migrate/launch.py", role=Role.ANALYST, plan=str(plan_id), mode="full", start=start
    )
    assert not app.exception
    assert app.button(key="launch.act").disabled
    assert any("Answer the question about e-mail" in each.value for each in app.caption)

    app.selectbox(key="launch.email").set_value("off").run()

    assert not app.button(key="launch.act").disabled


def test_a_dry_run_starts_without_questions_and_opens_its_run(
    plan_id: UUID, opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    app = opened("migrate/launch.py", role=Role.ANALYST, plan=str(plan_id))

    app.button(key="launch.act").click().run()

    page = run_reads.listed(bridge, actor, run_reads.RunFilter(plan_id=plan_id))
    assert [line.mode for line in page.rows] == ["dry-run"]
    assert app.query_params["run"] == page.rows[0].name


def test_a_launch_into_a_protected_org_asks_another_person_where_the_rule_says_so(
    plan_id: UUID, opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    target = orgs.org_named(bridge, actor, "New")
    orgs.set_protected(bridge, actor, target.id, on=True)
    settings.change_settings(bridge, actor, approval_needed=True)

    app = opened("migrate/launch.py", role=Role.ANALYST, plan=str(plan_id), mode="full")

    assert app.button(key="launch.act").label == "Ask for approval…"
    assert any("another person has to approve" in each.value for each in app.markdown)


def test_an_object_without_a_tick_stays_out_while_the_graph_is_looked_at(
    plan_id: UUID, opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    app = opened("migrate/launch.py", role=Role.ANALYST, plan=str(plan_id))
    edited(app, "launch.steps.Small.2", edited_rows={"1": {"run": False}})

    app.session_state["choice.view"] = "graph"
    app.run()
    assert any("not part of this launch: Contact" in each.value for each in app.markdown)
    app.session_state["choice.view"] = "table"
    app.run()
    assert app.data_editor[0].value["run"].tolist() == [True, False]
    app.session_state["choice.view"] = "graph"
    app.run()
    app.button(key="launch.act").click().run()

    assert not app.exception
    (line,) = run_reads.listed(bridge, actor, run_reads.RunFilter(plan_id=plan_id)).rows
    assert run_reads.shown(bridge, actor, line.name).row.options["only"] == ["account"]


def test_rows_of_an_org_that_is_away_are_unknown_and_not_none(
    bridge: Orgbridge, actor: Actor, practice_org: PracticeOrgs, opened: Opened
) -> None:
    away = [practice_org(schema="standard: [Account, Contact]") for _ in range(2)]
    for name, org in zip(("Legacy", "New"), away, strict=True):
        connect(bridge, name, org)
    plan = plans.create(bridge, actor, parse_plan(PLAN))
    for org in away:
        org.stop()

    app = opened("migrate/launch.py", role=Role.ANALYST, plan=str(plan), mode="full")

    said = "\n".join(str(each.value) for each in app.markdown)
    assert "2 objects in 1 wave]" in said, "no number of rows"
    assert "Legacy could not be asked" in said.replace("\\", "")
    assert dict(app.table[0].value.iloc[:, 0]) | {"Rows": "—"} == dict(
        app.table[0].value.iloc[:, 0]
    )
    assert app.button(key="launch.act").disabled


def test_the_checks_say_when_they_ran_and_the_launch_how_long_it_takes(
    plan_id: UUID, opened: Opened
) -> None:
    app = opened("migrate/launch.py", role=Role.ANALYST, plan=str(plan_id), mode="full")

    assert any("Pre-flight checks** :gray[ran" in each.value for each in app.markdown)
    facts = app.table[0].value
    assert "a first full run tells" in facts.to_string()


def test_a_test_row_that_fails_is_mended_among_the_tests() -> None:
    wrong = Finding(
        Severity.BLOCKER, launch_checks.ROW_TEST, "Test 1: …", mapping="account", fix=Fix.FIELD
    )

    assert launch_checks._dialog(wrong) == "tests"
