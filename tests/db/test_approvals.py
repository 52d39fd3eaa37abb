"""Approvals: another person decides, once, for exactly one launch; keys of people and admins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from uuid import UUID

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.models import AuditLog, DataMigration
from core.domain.roles import Actor, Role
from core.domain.states import RunState
from core.errors import ConflictError, NotAllowedError, NotFoundError, UserError
from core.notices import NoticeEvent
from core.secret import Secret
from core.services import api_keys, approvals, notices, orgs, people, schedules, settings, steering
from core.services.notices import RuleRequest
from core.services.schedules import ScheduleRequest
from tests.db.planting import plant, workspace

#: Apprise 2.2 imports imghdr where Python still has it
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@dataclass
class Scene:
    """A plan version for a protected org, a run that waits, and people."""

    bridge: Orgbridge
    workspace_id: UUID
    version_id: UUID
    org_id: UUID
    run_id: UUID
    now: dt.datetime
    #: sets the clock
    turn: Callable[[dt.datetime], None]

    def actor(self, name: str, role: Role, *, person: bool = True) -> Actor:
        return Actor(self.workspace_id, uuid7() if person else None, name, role)

    def ask(self, actor: Actor, **more: object) -> UUID:
        given = {
            "plan_version_id": self.version_id,
            "target_org_id": self.org_id,
            "mode": "full",
            "facts": {"rows": 161_377},
            "run_id": self.run_id,
        }
        return approvals.ask(self.bridge, actor, **(given | more))

    def run(self) -> DataMigration:
        with self.bridge.session(self.workspace_id) as session:
            return session.get_one(DataMigration, self.run_id)

    def queued(self) -> int | None:
        with self.bridge.owner_session() as session:
            return session.scalar(sa.text("SELECT count(*) FROM procrastinate_jobs"))


@pytest.fixture
def scene(settings: Settings) -> Iterator[Scene]:
    times = [dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)]
    with bootstrap.build(settings, clock=lambda: times[-1]) as bridge:
        with bridge.owner_session() as session:
            workspace_id = workspace(session, "A")
            rows = plant(session, workspace_id)
            session.execute(sa.text("DELETE FROM approval"))
            session.execute(
                sa.update(DataMigration).values(
                    status=RunState.WAITING_APPROVAL.value, target_organization_id="00D000000000001"
                )
            )
        yield Scene(
            bridge,
            workspace_id,
            version_id=rows["plan_version"]["id"],
            org_id=rows["registered_org"]["id"],
            run_id=rows["data_migration"]["id"],
            now=times[0],
            turn=times.append,
        )


def test_another_person_approves_and_the_run_goes_on(scene: Scene) -> None:
    """The run is queued in the transaction of the decision."""
    ada, bo = scene.actor("ada", Role.ANALYST), scene.actor("bo", Role.APPROVER)
    asked = scene.ask(ada, reason="cut-over at noon")
    waiting = approvals.approvals(scene.bridge, bo, status="asked")
    assert [(w.id, w.asked_by, w.facts, w.reason) for w in waiting] == [
        (asked, "ada", {"rows": 161_377}, "cut-over at noon")
    ]

    decided = approvals.approve(scene.bridge, bo, asked, reason="counts look right")

    assert (decided.status, decided.decided_by) == ("approved", "bo")
    assert scene.run().status == RunState.PENDING.value
    assert scene.queued() == 1
    with pytest.raises(ConflictError, match="bo has approved this already"):
        approvals.reject(scene.bridge, scene.actor("cy", Role.APPROVER), asked, reason="late")


def test_an_approved_run_keeps_the_time_that_it_was_to_start(scene: Scene) -> None:
    """A yes on Friday afternoon does not start the cut-over of Sunday."""
    later = scene.now + dt.timedelta(days=2)
    with scene.bridge.owner_session() as session:
        options = {"start_at": later.isoformat()}
        session.execute(sa.update(DataMigration).values(options=options))
    asked = scene.ask(scene.actor("ada", Role.ANALYST), facts={"start_at": later.isoformat()})

    approvals.approve(scene.bridge, scene.actor("bo", Role.APPROVER), asked)

    with scene.bridge.owner_session() as session:
        at = session.scalars(sa.text("SELECT scheduled_at FROM procrastinate_jobs")).all()
    assert at == [later]
    assert scene.run().status == RunState.PENDING.value


def test_nobody_approves_their_own_request(scene: Scene) -> None:
    """Not even an admin, and the database would not take it either."""
    ada = scene.actor("ada", Role.ADMIN)
    asked = scene.ask(ada)

    with pytest.raises(NotAllowedError, match="yourself"):
        approvals.approve(scene.bridge, ada, asked)
    with pytest.raises(NotAllowedError, match="Only a person"):
        approvals.approve(
            scene.bridge, scene.actor("terminal:ada", Role.ADMIN, person=False), asked
        )
    with pytest.raises(NotAllowedError, match="analyst may not"):
        approvals.approve(scene.bridge, scene.actor("bo", Role.ANALYST), asked)
    with (
        pytest.raises(sa.exc.IntegrityError, match="another_person"),
        scene.bridge.session(scene.workspace_id) as session,
    ):
        session.execute(
            sa.text("UPDATE approval SET status = 'approved', decided_by_id = asked_by_id")
        )

    assert scene.run().status == RunState.WAITING_APPROVAL.value
    assert scene.queued() == 0


def test_who_shaped_a_schedule_does_not_approve_what_it_asks_for(scene: Scene) -> None:
    """Nor under its later name, nor once it is gone; somebody else does."""
    ada, bo = scene.actor("ada", Role.APPROVER), scene.actor("bo", Role.ADMIN)
    cy = scene.actor("cy", Role.APPROVER)
    given = {"operation": "record_counts", "options": {"plan": "p"}}
    nightly = ScheduleRequest("nightly", "0 2 * * *", **given)
    schedule_id = schedules.create(scene.bridge, ada, nightly)
    other = ScheduleRequest("cy's own", "0 3 * * *", **given)
    schedules.create(scene.bridge, cy, other)
    renamed = replace(nightly, name="every night")
    schedules.change(scene.bridge, bo, schedule_id, request=renamed)
    scene.turn(dt.datetime.now(dt.UTC))  # the trail is stamped by the database
    asked = scene.ask(scene.actor("schedule:every night", Role.ANALYST, person=False))
    schedules.remove(scene.bridge, cy, schedule_id)  # too late to have shaped what asks

    row = approvals.approval(scene.bridge, ada, asked)
    own = [approvals.is_own(scene.bridge, who, row) for who in (ada, bo, cy)]
    for maker in (ada, bo):
        with pytest.raises(NotAllowedError, match="made, changed or switched the schedule"):
            approvals.approve(scene.bridge, maker, asked)

    assert own == [True, True, False]
    assert scene.queued() == 0
    assert approvals.approve(scene.bridge, cy, asked).decided_by == "cy"


def test_rejection_ends_the_run_with_its_reason(scene: Scene) -> None:
    asked = scene.ask(scene.actor("ada", Role.ANALYST))
    bo = scene.actor("bo", Role.APPROVER)
    with pytest.raises(UserError, match="needs a reason"):
        approvals.reject(scene.bridge, bo, asked, reason="  ")

    approvals.reject(scene.bridge, bo, asked, reason="30 blockers")

    run = scene.run()
    assert (run.status, run.wait_reason) == ("Cancelled", "Rejected by bo: 30 blockers")
    assert run.finished_at == scene.now
    assert scene.queued() == 0


def test_request_is_withdrawn_by_its_author_or_an_admin(scene: Scene) -> None:
    ada = scene.actor("ada", Role.ANALYST)
    asked = scene.ask(ada)
    with pytest.raises(ConflictError, match="asked for already"):
        scene.ask(ada)
    with pytest.raises(NotAllowedError, match="another person"):
        approvals.withdraw(scene.bridge, scene.actor("bo", Role.APPROVER), asked)

    approvals.withdraw(scene.bridge, ada, asked)

    assert approvals.approval(scene.bridge, ada, asked).status == "withdrawn"
    with pytest.raises(ConflictError):
        approvals.approve(scene.bridge, scene.actor("bo", Role.APPROVER), asked)


def test_a_run_that_is_cancelled_while_it_waits_takes_its_request_back(scene: Scene) -> None:
    """Nobody says yes to what will not happen."""
    ada, bo = scene.actor("ada", Role.ANALYST), scene.actor("bo", Role.APPROVER)
    asked = scene.ask(ada)
    with scene.bridge.session(scene.workspace_id) as session:
        name = session.get_one(DataMigration, scene.run_id).data_schedule_id

    steering.cancel(scene.bridge, ada, name)

    assert approvals.approvals(scene.bridge, bo, status="asked") == ()
    assert approvals.approval(scene.bridge, bo, asked).status == "withdrawn"
    with pytest.raises(ConflictError, match="ada has withdrawn this"):
        approvals.approve(scene.bridge, bo, asked)
    assert scene.queued() == 0


def test_old_request_has_to_be_asked_again(scene: Scene) -> None:
    asked = scene.ask(scene.actor("ada", Role.ANALYST))
    scene.turn(scene.now + dt.timedelta(days=8))

    with pytest.raises(ConflictError, match="older than seven days"):
        approvals.approve(scene.bridge, scene.actor("bo", Role.APPROVER), asked)

    assert scene.ask(scene.actor("ada", Role.ANALYST)) != asked


def test_one_approval_lets_one_launch_happen(scene: Scene) -> None:
    """For its version, target and mode only; of launches at the same time one gets it."""
    ada, bo = scene.actor("ada", Role.ANALYST), scene.actor("bo", Role.APPROVER)
    asked = scene.ask(ada, run_id=None)
    approvals.approve(scene.bridge, bo, asked)

    def launch(mode: str) -> bool:
        used = approvals.use_for_launch(
            scene.bridge,
            ada,
            plan_version_id=scene.version_id,
            target_org_id=scene.org_id,
            mode=mode,
            run_id=scene.run_id,
        )
        return used is not None

    assert not launch("canary")
    with ThreadPoolExecutor(5) as pool:
        got = sorted(pool.map(launch, ["full"] * 5))

    assert got == [False] * 4 + [True]


def test_rules_of_the_workspace_say_when_it_is_needed(scene: Scene) -> None:
    admin = scene.actor("ada", Role.ADMIN)

    def why(rows: int) -> str | None:
        return approvals.needed(
            scene.bridge, admin, target_org_id=scene.org_id, rows_to_write=lambda: rows
        )

    assert why(10**9) is None
    settings.change_settings(scene.bridge, admin, approval_above_rows=1_000)
    assert why(1_000) is None
    assert "More than 1,000 rows" in (why(1_001) or "")
    orgs.set_protected(scene.bridge, admin, scene.org_id, on=True)
    assert "is protected" in (why(1) or "")
    settings.change_settings(scene.bridge, admin, approval_needed=False)

    assert why(1) is None


def test_request_is_told_and_decisions_are_in_the_audit_trail(scene: Scene) -> None:
    admin = scene.actor("ada", Role.ADMIN)
    rule = RuleRequest(
        name="approvers",
        events=(str(NoticeEvent.APPROVAL_ASKED),),
        channel="webhook",
        address=Secret("json://hooks.invalid:9"),
    )
    notices.add_rule(scene.bridge, admin, rule)
    asked = scene.ask(scene.actor("ada", Role.ANALYST), reason="please")
    approvals.reject(scene.bridge, scene.actor("bo", Role.APPROVER), asked, reason="no")

    with scene.bridge.session(scene.workspace_id) as session:
        rows = session.execute(
            sa.select(AuditLog.actor, AuditLog.action, AuditLog.reason, AuditLog.run_id)
            .where(AuditLog.subject_kind == "approval")
            .order_by(AuditLog.id)
        )
        trail = [tuple(row) for row in rows]
    assert trail == [
        ("ada", "approval.asked", "please", scene.run_id),
        ("bo", "approval.rejected", "no", scene.run_id),
    ]
    told = notices.log(scene.bridge, admin).rows[0]
    assert "Rows: 161,377. Reason: please" in told.body


def test_requests_of_another_workspace_do_not_exist(scene: Scene) -> None:
    asked = scene.ask(scene.actor("ada", Role.ANALYST))
    with scene.bridge.owner_session() as session:
        other = workspace(session, "B")
    stranger = Actor(other, uuid7(), "eve", Role.ADMIN)

    with pytest.raises(NotFoundError):
        approvals.approve(scene.bridge, stranger, asked)
    with pytest.raises(NotFoundError):
        scene.ask(stranger)

    assert approvals.approvals(scene.bridge, stranger) == ()


def test_keys_are_made_listed_and_revoked_by_whom_they_concern(bridge: Orgbridge) -> None:
    """An analyst has their own, with an end; an admin sees and ends all."""
    code = people.issue_setup_code(bridge) or ""
    entered = people.create_first_admin(
        bridge, code=code, name="", email="a@x.org", password="a long sentence", origin="t"
    )
    visitor = people.who(bridge, entered.token)
    assert visitor is not None
    admin = visitor.actor
    bo = Actor(admin.workspace_id, admin.user_id, "bo", Role.ANALYST)
    theirs = Actor(admin.workspace_id, None, "terminal:x", Role.ADMIN)
    with pytest.raises(NotAllowedError):
        api_keys.make(bridge, bo, name="for ever", role=Role.VIEWER, days=None)
    with pytest.raises(UserError, match="1 to 366"):
        api_keys.make(bridge, bo, name="long", role=Role.VIEWER, days=400)

    own = api_keys.make(bridge, bo, name="ci", role=Role.ANALYST)
    other = api_keys.make(bridge, theirs, name="backup", role=Role.VIEWER, days=None)

    assert [key.name for key in api_keys.keys(bridge, bo)] == ["ci"]
    assert [key.name for key in api_keys.keys(bridge, admin)] == ["backup", "ci"]
    with pytest.raises(ConflictError):
        api_keys.make(bridge, bo, name="ci", role=Role.VIEWER)
    with pytest.raises(NotAllowedError, match="keys of others"):
        api_keys.revoke(bridge, bo, other.id)
    assert people.actor_of_api_key(bridge, other.text.reveal(), origin="t").role is Role.VIEWER
    api_keys.revoke(bridge, bo, own.id)
    with pytest.raises(NotAllowedError):
        people.actor_of_api_key(bridge, own.text.reveal(), origin="t")
    assert own.text.reveal() not in repr(own)
