"""Schedules as people handle them: what runs when, in which zone, and what came of it.

A schedule that writes to a protected org asks for the same confirmation as a launch, when it is
made, changed or switched on again: it will write without anybody looking.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.access import audit, roles
from core.db import orgs as org_rows
from core.db import plans as plan_rows
from core.db import schedules as rows
from core.db.schedules import FiringRow, ScheduleRow
from core.domain import names, rhythm
from core.domain.roles import SCHEDULE_ACTOR, Actor, Role
from core.errors import OrgbridgeError, UserError
from core.jobs import cron
from core.services import launching, operations
from core.services.confirming import Confirmation, check_confirmation
from core.services.launching import LaunchRequest

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge

NEXT_TIMES = 5
#: a firing that is this much overdue is shown as late
LATE_AFTER = dt.timedelta(minutes=2)
#: outcome of a firing whose operation is in the queue
LAUNCHED = "launched"
#: outcome of a firing that could launch nothing
REFUSED = "refused"
#: name among a schedule's options: which target, and whether deletes, somebody confirmed
CONFIRMED = "confirmed"
#: modes that only read ask for no confirmation
_READING_MODES = frozenset({"dry-run"})


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """What a person fills in."""

    name: str
    #: minute hour day month weekday
    cron: str
    time_zone: str = "UTC"
    plan_id: UUID | None = None
    operation: str = "migrate_data"
    #: parameters of the operation: mode, canary share …
    options: Mapping[str, Any] = field(default_factory=dict)
    version_policy: str = "latest"
    plan_version_id: UUID | None = None
    late_policy: str = "run_once"
    overlap_policy: str = "skip"


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule as the list shows it."""

    row: ScheduleRow
    #: the rhythm in words: Every day at 02:30 (Europe/Berlin)
    words: str
    #: the next due times in UTC; empty when it is switched off
    next_times: tuple[dt.datetime, ...]
    firings: tuple[FiringRow, ...]
    is_late: bool

    @property
    def last(self) -> FiringRow | None:
        """The newest firing."""
        return self.firings[0] if self.firings else None


def schedules(bridge: Orgbridge, actor: Actor) -> tuple[ScheduleView, ...]:
    """All schedules, the next due first."""
    roles.require(actor, Role.VIEWER)
    now = bridge.clock()
    with bridge.session(actor.workspace_id) as session:
        return tuple(_view(session, row, now) for row in rows.schedules(session))


def preview(cron_line: str, time_zone: str, *, after: dt.datetime) -> tuple[dt.datetime, ...]:
    """The next five times of a rhythm that is being typed.

    Raises:
        UserError: the line or the zone is not understood.
    """
    return cron.next_dues(cron_line, time_zone, after=after, count=NEXT_TIMES)


def create(
    bridge: Orgbridge,
    actor: Actor,
    request: ScheduleRequest,
    *,
    confirmation: Confirmation | None = None,
) -> UUID:
    """Keeps a new schedule; it fires from its next time on.

    Raises:
        UserError: name taken, rhythm not understood, confirmation missing. Nothing was saved.
    """
    roles.require(actor, Role.ANALYST)
    preview(request.cron, request.time_zone, after=bridge.clock())
    _check_what(actor, request)
    with bridge.session(actor.workspace_id) as session:
        confirmed = _confirm(session, actor, request, confirmation or Confirmation())
        columns = _columns(request, confirmed)
        schedule_id = rows.add(session, {**columns, "created_by": actor.name})
        audit.record(
            session,
            actor,
            "schedule.create",
            subject_kind="schedule",
            subject_id=schedule_id,
            subject_name=request.name,
            after=columns,
            reason=(confirmation or Confirmation()).reason or None,
        )
    return schedule_id


def change(
    bridge: Orgbridge,
    actor: Actor,
    schedule_id: UUID,
    *,
    request: ScheduleRequest,
    confirmation: Confirmation | None = None,
) -> None:
    """Replaces what a schedule does; raises as `create` does."""
    roles.require(actor, Role.ANALYST)
    preview(request.cron, request.time_zone, after=bridge.clock())
    _check_what(actor, request)
    with bridge.session(actor.workspace_id) as session:
        before = rows.schedule(session, schedule_id)
        confirmed = _confirm(session, actor, request, confirmation or Confirmation())
        columns = _columns(request, confirmed)
        rows.change(session, schedule_id, columns)
        audit.record(
            session,
            actor,
            "schedule.change",
            subject_kind="schedule",
            subject_id=schedule_id,
            subject_name=request.name,
            before=asdict(before),
            after=columns,
            reason=(confirmation or Confirmation()).reason or None,
        )


def switch(
    bridge: Orgbridge,
    actor: Actor,
    schedule_id: UUID,
    *,
    on: bool,
    confirmation: Confirmation | None = None,
) -> None:
    """Pauses a schedule, or lets it fire again; times that passed meanwhile are not made up for."""
    roles.require(actor, Role.ANALYST)
    with bridge.session(actor.workspace_id) as session:
        row = rows.schedule(session, schedule_id)
        values: dict[str, Any] = {"enabled": on}
        if on:
            request = _request_of(row)
            confirmed = _confirm(session, actor, request, confirmation or Confirmation())
            values |= {"options": _columns(request, confirmed)["options"]}
        rows.change(session, schedule_id, values)
        audit.record(
            session,
            actor,
            "schedule.resume" if on else "schedule.pause",
            subject_kind="schedule",
            subject_id=schedule_id,
            subject_name=row.name,
            reason=(confirmation or Confirmation()).reason or None,
        )


def remove(bridge: Orgbridge, actor: Actor, schedule_id: UUID) -> None:
    """Deletes a schedule; runs that it launched stay."""
    roles.require(actor, Role.ANALYST)
    with bridge.session(actor.workspace_id) as session:
        row = rows.schedule(session, schedule_id)
        rows.remove(session, schedule_id)
        audit.record(
            session,
            actor,
            "schedule.delete",
            subject_kind="schedule",
            subject_id=schedule_id,
            subject_name=row.name,
            before=asdict(row),
        )


def launch_due(
    bridge: Orgbridge, workspace_id: UUID, schedule_id: UUID, *, due_at: dt.datetime
) -> str | None:
    """Launches what a schedule names for one due time; the run's name, None if nothing had to be.

    A second call for the same due time launches nothing, whoever makes it. The confirmation was
    given when the schedule was made, so the launch carries it, as long as the plan still writes
    into the org that was named and deletes no more than was said then.

    Raises:
        OrgbridgeError: nothing could be launched; the firing says why.
    """
    with bridge.session(workspace_id) as session:
        row = rows.schedule(session, schedule_id)
        firing = rows.firing(session, schedule_id, due_at)
        if firing is None or firing.run is not None or not row.enabled:
            return None
        if row.overlap_policy == "skip" and rows.goes_still(session, schedule_id):
            rows.note_firing(session, schedule_id, due_at, outcome="skipped")
            return None
    try:
        return _launch(bridge, workspace_id, row, due_at=due_at)
    except OrgbridgeError as problem:
        with bridge.session(workspace_id) as session:
            rows.note_firing(session, schedule_id, due_at, outcome=REFUSED, reason=str(problem))
        raise


def _launch(
    bridge: Orgbridge, workspace_id: UUID, row: ScheduleRow, *, due_at: dt.datetime
) -> str | None:
    actor = Actor(
        workspace_id, None, f"{SCHEDULE_ACTOR}{row.name}", Role.ANALYST, origin="schedule"
    )
    if row.plan_id is None:
        _launch_operation(bridge, actor, row, due_at=due_at)
        return None
    with bridge.session(workspace_id) as session:
        deletes = _deletes(session, row.plan_id, row.plan_version_id)
        request = launch_request(row, deletes=deletes)
    request = replace(request, version=_pinned(bridge, workspace_id, row))
    key = f"schedule:{row.id}:{due_at.isoformat()}"
    name = launching.launch(bridge, actor, row.plan_id, request, idempotency_key=key)
    with bridge.session(workspace_id) as session:
        fired = rows.firing(session, row.id, due_at)
        again = "fired" if fired is not None and fired.outcome == REFUSED else None
        rows.note_firing(session, row.id, due_at, run=name, outcome=again)
    return name


def _launch_operation(
    bridge: Orgbridge, actor: Actor, row: ScheduleRow, *, due_at: dt.datetime
) -> None:
    """Queues a schedule's operation and says so of its firing in one transaction."""
    workspace_id = actor.workspace_id
    with bridge.session(workspace_id) as session:
        fired = rows.firing(session, row.id, due_at)
    if fired is None or fired.outcome == LAUNCHED:
        return
    operations.enqueue(
        bridge,
        actor,
        row.operation,
        given=row.options,
        noting=lambda session: rows.note_firing(session, row.id, due_at, outcome=LAUNCHED),
    )


def words(cron_line: str, time_zone: str) -> str:
    """A rhythm as people say it, with the zone whose clock it follows.

    >>> words("30 2 * * *", "Europe/Berlin")
    'Every day at 02:30 (Europe/Berlin)'
    """
    try:
        return f"{rhythm.told(cron_line)} ({time_zone})"
    except ValueError:  # kept before such lines were refused
        return f"{cron_line} ({time_zone})"


def _view(session: Session, row: ScheduleRow, now: dt.datetime) -> ScheduleView:
    due = row.next_due_at
    return ScheduleView(
        row=row,
        words=words(row.cron, row.time_zone),
        next_times=preview(row.cron, row.time_zone, after=now) if row.enabled else (),
        firings=rows.firings(session, row.id),
        is_late=row.enabled and due is not None and now - due > LATE_AFTER,
    )


def _check_what(actor: Actor, request: ScheduleRequest) -> None:
    """Passes when there is something to launch: a plan, or an operation with its parameters."""
    if not names.fitting(request.name, of="A schedule"):
        raise UserError("A schedule needs a name.", state="Nothing was saved.")
    if request.plan_id is None:
        if request.operation == "migrate_data":
            raise UserError("A schedule needs a plan.", state="Nothing was saved.")
        operations.checked(actor, request.operation, request.options)
        return
    launching.check_mode(request.options.get("mode", "full"), state="Nothing was saved.")
    launching.check_email_answer(request.options.get("email_answer"), state="Nothing was saved.")


def _confirm(
    session: Session, actor: Actor, request: ScheduleRequest, given: Confirmation
) -> dict[str, Any]:
    """Checks what a launch would check, for schedules that write; what is kept of the yes."""
    if request.plan_id is None:
        operations.check_guard(
            session, request.operation, request.options, act="write on a schedule to"
        )
        return {}
    plan_rows.hold_plan(session, request.plan_id)
    if request.options.get("mode") in _READING_MODES:
        return {}
    draft = plan_rows.plan_draft(session, plan_id=request.plan_id)
    target_id = draft.row.target_org_id
    if target_id is None:
        raise UserError(
            f"The target org of the plan {draft.row.name} is not connected.",
            state="Nothing was saved.",
            next_step="Connect it under Orgs first.",
        )
    deletes = _deletes(session, request.plan_id, request.plan_version_id)
    target = org_rows.org_row(session, target_id)
    check_confirmation(target, given, deletes=deletes, act="write on a schedule to")
    if not given.name:
        return {}
    return {"target_org_id": str(target_id), "deletes": deletes, "by": actor.name}


def _deletes(session: Session, plan_id: UUID, version_id: UUID | None) -> bool:
    """Whether what runs deletes rows: the version that the schedule stays with, or the draft."""
    if version_id is None:
        document = plan_rows.plan_draft(session, plan_id=plan_id).document
    else:
        document = plan_rows.version_by_id(session, version_id).document
    return any(str(entry.get("operation", "")).endswith("delete") for entry in document["objects"])


def _pinned(bridge: Orgbridge, workspace_id: UUID, row: ScheduleRow) -> int | None:
    """Number of the version that a schedule stays with; None where it follows the plan."""
    if row.version_policy == "latest" or row.plan_version_id is None:
        return None
    with bridge.session(workspace_id) as session:
        return plan_rows.version_by_id(session, row.plan_version_id).number


def launch_request(row: ScheduleRow, *, deletes: bool) -> LaunchRequest:
    """The launch, with the confirmation if it was given for this target and for deletes."""
    said = row.options.get(CONFIRMED) or {}
    is_same = said.get("target_org_id") == str(row.target_org_id)
    holds = is_same and (said.get("deletes") or not deletes)
    known = {f.name for f in fields(LaunchRequest)}
    options = {name: value for name, value in row.options.items() if name in known}
    options["only"] = tuple(options.get("only", ()))
    return LaunchRequest(
        **{
            **options,
            "confirm": (row.target_org or "") if holds else "",
            "reason": f"schedule {row.name}, confirmed by {said.get('by') or row.created_by}",
        }
    )


def _columns(request: ScheduleRequest, confirmed: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in request.options.items() if name != CONFIRMED}
    return {**asdict(request), "options": options | ({CONFIRMED: confirmed} if confirmed else {})}


def _request_of(row: ScheduleRow) -> ScheduleRequest:
    names = ScheduleRequest.__dataclass_fields__
    return ScheduleRequest(**{name: getattr(row, name) for name in names})
