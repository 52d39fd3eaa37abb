"""Schedules are kept with their rhythm in words, and ask before they write to a protected org."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from core.bootstrap import Orgbridge
from core.db.happenings import LateHappening
from core.db.models import MigrationPlan, RegisteredOrg, ScheduleFiring
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError, UserError
from core.notices import watching
from core.services import launching, orgs, plans, schedules
from core.services.confirming import Confirmation
from core.services.launching import LaunchRequest
from core.services.schedules import ScheduleRequest

PLAN = """
orgbridge: 1
name: nightly
source: legacy
target: live
objects: [{source: Account}]
"""


@pytest.fixture
def ann(bridge: Orgbridge) -> Actor:
    return Actor(bridge.workspace_id(), None, "ann@x.example", Role.ANALYST)


def _connect(bridge: Orgbridge, actor: Actor, name: str, *, protected: bool) -> None:
    with bridge.session(actor.workspace_id) as session:
        session.execute(
            insert(RegisteredOrg).values(
                name=name,
                domain_name=f"{name}.example",
                instance_url=f"https://{name}.example",
                access_token="-",
                environment="production" if protected else "sandbox",
                auth_kind="access_token",
                protected=protected,
            )
        )


def test_a_schedule_shows_its_rhythm_and_next_times(bridge: Orgbridge, ann: Actor) -> None:
    request = ScheduleRequest(
        "counts",
        "30 2 * * *",
        "Europe/Berlin",
        operation="record_counts",
        options={"plan": "nightly"},
    )
    schedules.create(bridge, ann, request)

    (view,) = schedules.schedules(bridge, ann)

    assert view.words == "Every day at 02:30 (Europe/Berlin)"
    assert len(view.next_times) == schedules.NEXT_TIMES
    assert all(time.tzinfo is not None for time in view.next_times)
    assert view.last is None


def test_the_night_in_which_clocks_jump_is_shown_once(bridge: Orgbridge) -> None:
    before = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)

    times = schedules.preview("30 2 * * *", "Europe/Berlin", after=before)

    assert [time.strftime("%d %H:%M") for time in times[:3]] == ["29 01:30", "30 00:30", "31 00:30"]


def test_writing_to_a_protected_org_on_a_schedule_is_confirmed(
    bridge: Orgbridge, ann: Actor
) -> None:
    _connect(bridge, ann, "legacy", protected=False)
    _connect(bridge, ann, "live", protected=True)
    request = ScheduleRequest("nightly", "0 1 * * *", plan_id=plans.import_plan(bridge, ann, PLAN))

    with pytest.raises(UserError, match="live"):
        schedules.create(bridge, ann, request)
    with pytest.raises(UserError, match="reason"):
        schedules.create(bridge, ann, request, confirmation=Confirmation("live"))
    assert schedules.schedules(bridge, ann) == ()
    schedule_id = schedules.create(
        bridge, ann, request, confirmation=Confirmation("live", "agreed with sales")
    )

    schedules.switch(bridge, ann, schedule_id, on=False)
    with pytest.raises(UserError, match="confirmed"):
        schedules.switch(bridge, ann, schedule_id, on=True)
    (view,) = schedules.schedules(bridge, ann)
    assert (view.row.enabled, view.row.target_org, view.next_times) == (False, "live", ())


DUE = dt.datetime(2026, 11, 21, 1, tzinfo=dt.UTC)


def _fire(bridge: Orgbridge, actor: Actor, schedule_id: UUID, due_at: dt.datetime) -> None:
    """A due time has come: what the scheduler writes, then what the worker does."""
    with bridge.session(actor.workspace_id) as session:
        session.execute(insert(ScheduleFiring).values(schedule_id=schedule_id, due_at=due_at))
    schedules.launch_due(bridge, actor.workspace_id, schedule_id, due_at=due_at)


def test_a_launch_that_was_confirmed_for_another_target_is_refused_and_says_why(
    bridge: Orgbridge, ann: Actor
) -> None:
    """The plan may change after the yes: to another org, to deletes. Nobody confirmed that."""
    for name in ("legacy", "live", "other"):
        _connect(bridge, ann, name, protected=name != "legacy")
    request = ScheduleRequest(
        "nightly",
        "0 1 * * *",
        plan_id=plans.import_plan(bridge, ann, PLAN),
        options={"mode": "full", "email_answer": "off", "confirmed": {"deletes": True}},
    )
    given = Confirmation("live", "agreed with sales")
    schedule_id = schedules.create(bridge, ann, request, confirmation=given)
    (view,) = schedules.schedules(bridge, ann)
    kept = schedules.launch_request(view.row, deletes=False)
    assert (kept.confirm, kept.reason) == ("live", "schedule nightly, confirmed by ann@x.example")
    assert schedules.launch_request(view.row, deletes=True).confirm == ""

    with bridge.session(ann.workspace_id) as session:
        other = orgs.org_named(bridge, ann, "other").id
        session.execute(update(MigrationPlan).values(target_org_id=other))
    with pytest.raises(UserError, match="other its name must be confirmed"):
        _fire(bridge, ann, schedule_id, DUE)

    (view,) = schedules.schedules(bridge, ann)
    assert view.last is not None and view.last.run is None
    assert view.last.outcome == "refused"
    assert "other is a production org" in (view.last.reason or "")
    late = LateHappening(
        ann.workspace_id, schedule_id, "nightly", None, DUE, "refused", view.last.reason
    )
    told = watching.late_notice(late)
    assert told.title == "Not launched: nightly"
    assert "Nothing was launched. To write to other" in told.body


def test_a_pinned_version_that_deletes_is_asked_about_though_the_draft_does_not(
    bridge: Orgbridge, ann: Actor
) -> None:
    """A launch of it, and a schedule that stays with it."""
    for name in ("legacy", "live"):
        _connect(bridge, ann, name, protected=False)
    keyed = "[{source: Account, operation: delete, key: Code__c, auto_map: false, fields: {}}]"
    plan_id = plans.import_plan(bridge, ann, PLAN.replace("[{source: Account}]", keyed))
    pinned = plans.cut_version(bridge, ann, plan_id)
    draft = plans.plan(bridge, ann, plan_id)
    plans.save(bridge, ann, plan_id, document=parse_plan(PLAN), revision=draft.row.revision)
    options = {"mode": "full", "email_answer": "off"}
    request = ScheduleRequest(
        "purge", "0 1 * * *", plan_id=plan_id, options=options, version_policy="pinned",
        plan_version_id=pinned.id,
    )  # fmt: skip

    with pytest.raises(UserError, match="the plan deletes rows"):
        schedules.create(bridge, ann, request)
    launch = LaunchRequest(mode="full", email_answer="off", version=pinned.number)
    with pytest.raises(UserError, match="the plan deletes rows"):
        launching.launch(bridge, ann, plan_id, launch)


def test_a_rhythm_that_is_not_understood_saves_nothing(bridge: Orgbridge, ann: Actor) -> None:
    for line in ("every day", "0 25 * * *", "0 0 30 2 *"):
        with pytest.raises(UserError):
            schedules.create(bridge, ann, ScheduleRequest("x", line))
    with pytest.raises(UserError, match="time zone"):
        schedules.create(bridge, ann, ScheduleRequest("x", "0 1 * * *", "Berlin"))

    assert schedules.schedules(bridge, ann) == ()


def test_a_viewer_makes_no_schedules(bridge: Orgbridge, ann: Actor) -> None:
    viewer = Actor(ann.workspace_id, None, "vic@x.example", Role.VIEWER)

    with pytest.raises(NotAllowedError):
        schedules.create(bridge, viewer, ScheduleRequest("x", "0 1 * * *"))


def test_words_that_a_launch_does_not_know_are_refused_before_they_are_kept(
    bridge: Orgbridge, ann: Actor
) -> None:
    """Modes and answers about e-mail (rule 8.3), of a schedule as of a launch."""
    for name in ("legacy", "live"):
        _connect(bridge, ann, name, protected=False)
    plan_id = plans.import_plan(bridge, ann, PLAN)
    for options, said in (
        ({"mode": "full", "email_answer": "no idea"}, "'no idea' is no answer"),
        ({"mode": "fool"}, "no mode 'fool'"),
    ):
        request = ScheduleRequest("nightly", "0 1 * * *", plan_id=plan_id, options=options)
        with pytest.raises(UserError, match=said) as refused:
            schedules.create(bridge, ann, request)
        assert "Nothing was saved." in str(refused.value)
        with pytest.raises(UserError, match=said) as refused:
            launching.launch(bridge, ann, plan_id, LaunchRequest(**options))
        assert "Nothing was launched." in str(refused.value)

    assert not schedules.schedules(bridge, ann)
    for answer in launching.EMAIL_ANSWERS:
        launching.check_email_answer(answer, state="")
