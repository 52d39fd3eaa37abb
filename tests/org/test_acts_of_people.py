"""Any order of people's acts: what is refused leaves no trace, what is accepted exactly one.

A machine of hypothesis lets three people (and a worker) do what services offer, in workspaces of
their own on a real database, and looks at the rows after every act:

    nobody acts without a session, beyond their role, or on what was deleted or removed
    a draft holds the last accepted edit, revisions and versions count on without gaps
    nobody approves what they asked for; who waits for an approval has one request open
    one job at most for a run, one run at most that writes into a target

``ACTS_EXAMPLES`` and ``ACTS_STEPS`` of the environment let it look deeper.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.models import RegisteredOrg
from core.db.run_lease import Lease, claim
from core.db.run_state import RunStore
from core.domain.plan import Plan
from core.domain.roles import Actor, Role
from core.domain.states import CARRIED_RUNS, NOT_CARRIED_RUNS, RunState
from core.errors import ConflictError, OrgbridgeError
from core.plans import editing
from core.plans.editing import FieldPlace
from core.secret import Secret
from core.services import approvals, launching, orgs, people, plans, schedules, steering, workspaces
from core.services.confirming import Confirmation
from core.services.launching import LaunchRequest
from core.services.orgs import ConnectRequest
from core.services.schedules import ScheduleRequest
from tests.org.two_orgs import two_orgs
from tests.orgs import PracticeOrg

EXAMPLES = int(os.environ.get("ACTS_EXAMPLES", "7"))
STEPS = int(os.environ.get("ACTS_STEPS", "25"))
SCHEMA = "objects: {Account: {fields: {Code__c: {type: text, label: Code, length: 20}}}}"
PASSWORD = "a short sentence is easy"
PLAN = """
orgbridge: 1
name: {name}
source: {source}
target: live
objects: [{{source: Account, auto_map: false, fields: {{Name: Name}}}}]
"""
#: source org by plan; the second one does not answer
SOURCES = {"moves": "legacy", "spare": "away"}
WHO = st.sampled_from(("ada", "bo", "cy"))
ROLES = {"ada": Role.ADMIN, "bo": Role.ANALYST, "cy": Role.APPROVER}
PLANS = st.sampled_from(tuple(SOURCES))
#: the rows of a workspace that acts change, as one text
TRACES = """
SELECT concat_ws(' ',
 (SELECT string_agg(concat(id, status, requested_state), ',' ORDER BY id) FROM data_migration
   WHERE workspace_id = :w),
 (SELECT string_agg(concat(id, name, revision, deleted_at, target_org_id), ',' ORDER BY id)
   FROM migration_plan WHERE workspace_id = :w),
 (SELECT string_agg(concat(id, number), ',' ORDER BY id) FROM plan_version WHERE workspace_id = :w),
 (SELECT string_agg(concat(id, status), ',' ORDER BY id) FROM approval WHERE workspace_id = :w),
 (SELECT string_agg(concat(id, enabled), ',' ORDER BY id) FROM schedule WHERE workspace_id = :w),
 (SELECT string_agg(concat(id, name, protected, read_only), ',' ORDER BY id) FROM registered_org
   WHERE workspace_id = :w),
 (SELECT string_agg(concat(user_id, role, active), ',' ORDER BY user_id) FROM membership
   WHERE workspace_id = :w),
 (SELECT count(*) FROM procrastinate_jobs WHERE args ->> 'workspace_id' = CAST(:w AS text)))
"""
ACTS = "SELECT action FROM audit_log WHERE workspace_id = :w ORDER BY id"
_numbers = itertools.count(1)

made_orgs = two_orgs(SCHEMA)


@dataclass
class Someone:
    """A person as the machine knows them."""

    token: str
    role: Role
    user_id: UUID
    is_inside: bool = True
    is_active: bool = True


@dataclass
class Known:
    """A plan as the machine knows it."""

    id: UUID
    plan: Plan
    revision: int = 1
    is_there: bool = True
    schedules: list[UUID] = field(default_factory=list)


class Acts(RuleBasedStateMachine):
    """See the module."""

    bridge: Orgbridge
    source: PracticeOrg
    target: PracticeOrg

    @initialize()
    def begin(self) -> None:
        number = next(_numbers)
        main = Actor(self.bridge.workspace_id(), None, "terminal:x", Role.ADMIN, "terminal")
        self.workspace_id = workspaces.create(self.bridge, main, name=f"Team {number}")
        self.operator = Actor(self.workspace_id, None, "terminal:x", Role.ADMIN, "terminal")
        for name, org in (("legacy", self.source), ("live", self.target)):
            orgs.connect(self.bridge, self.operator, request(name, org))
        self.orgs = {name: self._org(name) for name in ("legacy", "live")}
        self.orgs["away"] = self._away()
        self.people = {name: self._person(name, number) for name in ROLES}
        self.plans = {name: self._plan(name) for name in SOURCES}
        self.askers: dict[UUID, str] = {}
        self.carried: dict[UUID, Lease] = {}

    def teardown(self) -> None:
        """No run holds the target, which all workspaces of the test share, any longer."""
        for run_id, lease in getattr(self, "carried", {}).items():
            self._store(run_id, lease).release(RunState.CANCELLED, over=True)
            lease.close()

    # --- plans

    @rule(who=WHO, of=PLANS, is_late=st.booleans())
    def edit(self, who: str, of: str, is_late: bool) -> None:
        known = self.plans[of]
        place = FieldPlace("account", f"F{next(_numbers)}__c")
        changed = editing.skip_field(known.plan, place)
        revision = known.revision - is_late
        act = partial(plans.save, plan_id=known.id, document=changed, revision=revision)
        if self.act(who, act, role=Role.ANALYST, entries=["plan.edit"]):
            assert not is_late and known.is_there
            known.plan, known.revision = changed, known.revision + 1

    @rule(who=WHO, of=PLANS)
    def cut(self, who: str, of: str) -> None:
        known = self.plans[of]
        act = partial(plans.cut_version, plan_id=known.id, label=f"v {next(_numbers)}")
        if self.act(who, act, role=Role.ANALYST, entries=["plan.version"]):
            assert known.is_there

    @rule(who=WHO, of=PLANS, number=st.integers(1, 3))
    def restore(self, who: str, of: str, number: int) -> None:
        known = self.plans[of]
        act = partial(plans.restore, plan_id=known.id, number=number)
        if self.act(who, act, role=Role.ANALYST, entries=["plan.restore"]):
            assert known.is_there
            old = plans.version_plan(self.bridge, self.operator, known.id, number=number)
            stays = {"name": known.plan.name, "source": known.plan.source}
            stays["target"] = known.plan.target
            known.plan, known.revision = old.model_copy(update=stays), known.revision + 1

    @rule(who=WHO, of=PLANS)
    def rename(self, who: str, of: str) -> None:
        known, name = self.plans[of], f"plan {next(_numbers)}"
        act = partial(plans.rename, plan_id=known.id, name=name)
        if self.act(who, act, role=Role.ANALYST, entries=["plan.rename"]):
            assert known.is_there
            known.plan = known.plan.model_copy(update={"name": name})
            known.revision += 1

    @rule(who=WHO, of=PLANS, is_typed=st.booleans())
    def delete(self, who: str, of: str, is_typed: bool) -> None:
        known = self.plans[of]
        confirm = known.plan.name if is_typed else "another"
        act = partial(plans.remove, plan_id=known.id, confirm=confirm)
        if self.act(who, act, role=Role.ANALYST, entries=["plan.delete"]):
            assert is_typed and known.is_there and not known.schedules
            known.is_there = False

    # --- orgs

    @rule(who=WHO, side=st.sampled_from(("legacy", "live")))
    def rename_org(self, who: str, side: str) -> None:
        name, old = f"org {next(_numbers)}", self._name(side)
        named = [
            (known, side_of)
            for known in self._living()
            for side_of in ("source", "target")
            if getattr(known.plan, side_of) == old
        ]
        follow = ["plan.edit"] * len(named)
        act = partial(orgs.rename, org_id=self.orgs[side], name=name)
        if self.act(who, act, role=Role.ADMIN, entries=["org.renamed", *follow]):
            for known, side_of in named:
                known.plan = known.plan.model_copy(update={side_of: name})
                known.revision += 1

    @rule(who=WHO, on=st.booleans())
    def protect(self, who: str, on: bool) -> None:
        act = partial(orgs.set_protected, org_id=self.orgs["live"], on=on)
        self.act(who, act, role=Role.ADMIN, entries=None)

    @rule(who=WHO)
    def remove_org(self, who: str) -> None:
        if "away" not in self.orgs:
            return
        act = partial(orgs.remove, org_id=self.orgs["away"], confirm="away")
        if self.act(who, act, role=Role.ADMIN, entries=["org.removed"]):
            assert not [run for run in self._runs() if run.is_open and run.source is not None
                        and run.source == self.orgs["away"]]  # fmt: skip
            del self.orgs["away"]

    # --- runs

    @rule(who=WHO, of=PLANS, mode=st.sampled_from(("full", "dry-run")), typed=st.booleans())
    def launch(self, who: str, of: str, mode: str, typed: bool) -> None:
        known, target = self.plans[of], self._name("live")
        asked = LaunchRequest(mode=mode, confirm=target if typed else "", reason="moving on")
        act = partial(launching.launch, plan_id=known.id, request=asked)
        name = self.act(who, act, role=Role.ANALYST, entries=None)
        if name:
            assert known.is_there and (SOURCES[of] != "away" or "away" in self.orgs)
            run = next(each for each in self._runs() if each.name == name)
            waits = run.status == RunState.WAITING_APPROVAL.value
            expected = ["plan.version", "run.launch", *(["approval.asked"] if waits else [])]
            assert self.entries == expected
            assert (self._jobs()[run.id], waits) in ((1, False), (0, True))
            self.askers[run.id] = who

    @rule(who=WHO, wish=st.sampled_from(("pause", "cancel", "resume")), at=st.integers(0, 5))
    def steer(self, who: str, wish: str, at: int) -> None:
        run = self._some(self._runs(), at)
        if run is None:
            return
        act = partial(getattr(steering, wish), name=run.name)
        waits = run.status == RunState.WAITING_APPROVAL.value
        more = ["approval.withdrawn"] if waits and wish == "cancel" else []
        before = RunState(run.status)
        if self.act(who, act, role=Role.ANALYST, entries=[f"run.{wish}", *more]):
            if wish == "resume":
                assert before not in NOT_CARRIED_RUNS
                assert self._jobs()[run.id] == 1
            if wish == "pause":
                assert before in CARRIED_RUNS

    @rule(who=WHO, verdict=st.sampled_from(("approve", "reject", "withdraw")), at=st.integers(0, 3))
    def decide(self, who: str, verdict: str, at: int) -> None:
        asked = self._some(approvals.approvals(self.bridge, self.operator, status="asked"), at)
        if asked is None:
            return
        assert asked.run_id is not None
        given = {} if verdict == "withdraw" else {"reason": "looked at it"}
        act = partial(getattr(approvals, verdict), approval_id=asked.id, **given)
        needed = Role.ANALYST if verdict == "withdraw" else Role.APPROVER
        past = {"approve": "approved", "reject": "rejected", "withdraw": "withdrawn"}[verdict]
        if self.act(who, act, role=needed, entries=[f"approval.{past}"]):
            is_own = self.askers[asked.run_id] == who
            assert not is_own or verdict == "withdraw"
            assert is_own or verdict != "withdraw" or self.people[who].role is Role.ADMIN
            assert self._jobs()[asked.run_id] == (verdict == "approve")

    @rule(at=st.integers(0, 5))
    def take_up(self, at: int) -> None:
        """A worker takes a run out of the queue."""
        run = self._some([each for each in self._runs() if self._jobs()[each.id]], at)
        if run is None or run.id in self.carried:
            return
        is_held = any(each.lock for each in self._runs())
        try:
            lease = claim(self.bridge.owner_engine, run.id, lock_target=run.mode != "dry-run")
        except ConflictError:
            over = run.status in {state.value for state in NOT_CARRIED_RUNS}
            assert over or is_held
            return
        assert lease.wish is None or run.status in {state.value for state in CARRIED_RUNS}
        self.carried[run.id] = lease

    @precondition(lambda self: self.carried)
    @rule(state=st.sampled_from((RunState.SUCCEEDED, RunState.FAILED, RunState.WAITING_DECISION)))
    def let_go(self, state: RunState) -> None:
        """The worker ends with a run, as it was asked to if it was."""
        run_id, lease = self.carried.popitem()
        with self.bridge.owner_session() as session:
            session.execute(
                sa.text("DELETE FROM procrastinate_jobs WHERE args ->> 'run_id' = :run"),
                {"run": str(run_id)},
            )
        store = self._store(run_id, lease)
        wishes = {"pause": RunState.PAUSED, "cancel": RunState.CANCELLED, None: state}
        ended = wishes[store.heartbeat()]
        over = ended in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)
        store.release(ended, over=over)
        lease.close()

    # --- schedules

    @rule(who=WHO, of=PLANS, typed=st.booleans())
    def schedule(self, who: str, of: str, typed: bool) -> None:
        known = self.plans[of]
        asked = ScheduleRequest(f"s {next(_numbers)}", "0 2 * * *", "UTC", plan_id=known.id)
        said = Confirmation(self._name("live") if typed else "", "every night")
        act = partial(schedules.create, request=asked, confirmation=said)
        made = self.act(who, act, role=Role.ANALYST, entries=["schedule.create"])
        if made:
            assert known.is_there
            known.schedules.append(made)

    @rule(who=WHO, of=PLANS, on=st.booleans(), typed=st.booleans())
    def switch(self, who: str, of: str, on: bool, typed: bool) -> None:
        for schedule_id in self.plans[of].schedules[:1]:
            said = Confirmation(self._name("live") if typed else "", "again")
            act = partial(schedules.switch, schedule_id=schedule_id, on=on, confirmation=said)
            entry = "schedule.resume" if on else "schedule.pause"
            self.act(who, act, role=Role.ANALYST, entries=[entry])

    @rule(who=WHO, of=PLANS)
    def unschedule(self, who: str, of: str) -> None:
        for schedule_id in self.plans[of].schedules[:1]:
            act = partial(schedules.remove, schedule_id=schedule_id)
            if self.act(who, act, role=Role.ANALYST, entries=["schedule.delete"]):
                self.plans[of].schedules.remove(schedule_id)

    # --- people

    @rule(who=WHO, whom=WHO, role=st.sampled_from(Role))
    def change_role(self, who: str, whom: str, role: Role) -> None:
        person = self.people[whom]
        act = partial(people.change_role, user_id=person.user_id, role=role)
        if self.act(who, act, role=Role.ADMIN, entries=["person.role_changed"]):
            person.role = role

    @rule(who=WHO, whom=WHO)
    def end_session(self, who: str, whom: str) -> None:
        person = self.people[whom]
        open_ones = people.sessions_of(self.bridge, self.operator, person.user_id)
        for each in open_ones[:1]:
            act = partial(people.revoke_session, session_id=each.id)
            needed = Role.VIEWER if who == whom else Role.ADMIN
            if self.act(who, act, role=needed, entries=["session.revoked"]):
                person.is_inside = False

    @rule(who=WHO, whom=WHO)
    def deactivate(self, who: str, whom: str) -> None:
        person = self.people[whom]
        act = partial(people.deactivate, user_id=person.user_id)
        if self.act(who, act, role=Role.ADMIN, entries=["person.deactivated"]):
            assert who != whom
            person.is_active = person.is_inside = False

    @rule(who=WHO)
    def come_back(self, who: str) -> None:
        """The operator lets them in again, and they sign in with their password."""
        person = self.people[who]
        people.reactivate(self.bridge, self.operator, person.user_id)
        email = next(
            one.email
            for one in people.people(self.bridge, self.operator)
            if one.id == person.user_id
        )
        entered = people.sign_in(self.bridge, email=email, password=PASSWORD, origin=email)
        person.token, person.is_active, person.is_inside = entered.token, True, True

    # --- what always holds

    @invariant()
    def drafts_hold_the_last_accepted_edit(self) -> None:
        for known in self._living():
            held = plans.plan(self.bridge, self.operator, known.id)
            assert (held.plan, held.row.revision) == (known.plan, known.revision)
            assert held.row.target_org == known.plan.target
            cut = plans.versions(self.bridge, self.operator, known.id)
            assert [each.number for each in cut] == list(range(len(cut), 0, -1))

    @invariant()
    def a_run_has_one_job_and_a_target_one_run(self) -> None:
        if not hasattr(self, "workspace_id"):
            return
        assert max(self._jobs().values(), default=0) <= 1
        assert sum(each.lock for each in self._runs()) <= 1

    @invariant()
    def who_waits_for_an_approval_has_asked_for_it(self) -> None:
        if not hasattr(self, "workspace_id"):
            return
        waiting = {
            each.id for each in self._runs() if each.status == RunState.WAITING_APPROVAL.value
        }
        asked = approvals.approvals(self.bridge, self.operator, status="asked")
        assert Counter(each.run_id for each in asked) == Counter(waiting)

    # --- how

    def act(
        self,
        who: str,
        call: Callable[..., Any],
        *,
        role: Role,
        entries: list[str] | None,
    ) -> Any:
        """The call's answer (or True) where it was accepted; None where not, and nothing changed.

        Args:
            entries: what the audit trail holds of it; None: the caller looks at `self.entries`.
        """
        person = self.people[who]
        visitor = people.who(self.bridge, person.token)
        assert (visitor is not None) == person.is_inside
        if visitor is None:
            return None
        assert visitor.actor.role is person.role
        before, entries_before = self._traces()
        try:
            answer = call(self.bridge, visitor.actor)
        except OrgbridgeError:
            assert self._traces() == (before, entries_before)
            return None
        self.entries = self._traces()[1][len(entries_before) :]
        assert person.role >= role
        assert entries is None or self.entries == entries
        return answer or True

    def _store(self, run_id: UUID, lease: Lease) -> RunStore:
        return RunStore(
            self.bridge.owner_session,
            workspace_id=self.workspace_id,
            run_id=run_id,
            token=lease.token,
        )

    def _traces(self) -> tuple[str, list[str]]:
        with self.bridge.owner_session() as session:
            found = session.scalar(sa.text(TRACES), {"w": self.workspace_id})
            entries = session.scalars(sa.text(ACTS), {"w": self.workspace_id})
            return str(found), list(entries)

    def _runs(self) -> list[Any]:
        with self.bridge.owner_session() as session:
            return list(
                session.execute(
                    sa.text(
                        "SELECT id, data_schedule_id AS name, status, mode,"
                        " source_org_id AS source,"
                        " finished_at IS NULL AS is_open, lock_organization_id IS NOT NULL AS lock"
                        " FROM data_migration WHERE workspace_id = :w ORDER BY created_at, id"
                    ),
                    {"w": self.workspace_id},
                )
            )

    def _jobs(self) -> Counter[UUID]:
        with self.bridge.owner_session() as session:
            found = session.scalars(
                sa.text(
                    "SELECT CAST(args ->> 'run_id' AS uuid) FROM procrastinate_jobs"
                    " WHERE args ->> 'run_id' IS NOT NULL AND status IN ('todo', 'doing')"
                    " AND args ->> 'workspace_id' = CAST(:w AS text)"
                ),
                {"w": self.workspace_id},
            )
            return Counter(found)

    def _some(self, among: Any, at: int) -> Any:
        return among[at % len(among)] if among else None

    def _living(self) -> list[Known]:
        return [known for known in getattr(self, "plans", {}).values() if known.is_there]

    def _name(self, side: str) -> str:
        return orgs.org(self.bridge, self.operator, self.orgs[side]).name

    def _org(self, name: str) -> UUID:
        return orgs.org_named(self.bridge, self.operator, name).id

    def _away(self) -> UUID:
        """An org at an address where nobody listens."""
        with self.bridge.session(self.workspace_id) as session:
            away = RegisteredOrg(
                name="away", domain_name="127.0.0.1:9", instance_url="http://127.0.0.1:9",
                access_token=self.bridge.vault.encrypt("gone"), environment="sandbox",
                auth_kind="access_token", api_version="62.0",
            )  # fmt: skip
            session.add(away)
            session.flush()
            return away.id

    def _person(self, name: str, number: int) -> Someone:
        email = f"{name}{number}@x.example"
        made = people.invite(self.bridge, self.operator, name=name, email=email, role=ROLES[name])
        entered = people.accept_invitation(
            self.bridge, token=made.token, name=name, password=PASSWORD, origin=email
        )
        return Someone(entered.token, ROLES[name], made.user_id)

    def _plan(self, name: str) -> Known:
        text = PLAN.format(name=name, source=SOURCES[name])
        plan_id = plans.import_plan(self.bridge, self.operator, text)
        return Known(plan_id, plans.plan(self.bridge, self.operator, plan_id).plan)


def request(name: str, org: PracticeOrg) -> ConnectRequest:
    token = Secret(org.access_token)
    return ConnectRequest(name=name, kind="access_token", instance_url=org.url, access_token=token)


@pytest.fixture
def impatient(settings: Settings) -> Iterator[Orgbridge]:
    """The product; an org that is away is not waited for."""
    with bootstrap.build(settings, sleep=lambda _: None) as bridge:
        yield bridge


def test_any_order_of_acts_keeps_what_was_promised(
    impatient: Orgbridge, orgs: tuple[PracticeOrg, PracticeOrg]
) -> None:
    machine = type("Machine", (Acts,), {"bridge": impatient, "source": orgs[0], "target": orgs[1]})

    run_state_machine_as_test(
        machine,
        settings=profile(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,
            # a shorter story is worth less than minutes: each step asks a real database
            phases=(Phase.generate,),
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
