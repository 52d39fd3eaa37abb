"""Starting runs: a launch of a plan, and the undo of a run.

A launch freezes the plan as a version, checks the confirmation, makes the run's row and puts its
job into the queue in the same transaction. Whoever carries it (a worker, or the terminal itself)
finds everything there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.access import audit, roles
from core.db import orgs, runs
from core.db import plans as plan_rows
from core.domain.names import object_name
from core.domain.plan import ObjectMapping, Operation, Plan, objects_named, plan_from_document
from core.domain.roles import Actor, Role
from core.domain.states import FINISHED_RUNS, RunState
from core.errors import ConflictError, UserError
from core.jobs import queue
from core.migration.load_options import with_load_options
from core.services import approvals, plans, undoing
from core.services.confirming import Confirmation, check_confirmation

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

MODES = ("full", "delta", "dry-run", "trial", "canary")
#: rule 8.3: e-mail is switched off in the target, masked by the plan, or wanted; no answer is ""
EMAIL_ANSWERS = ("off", "masked", "wanted")
CANARY_PERCENT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """How a plan is to be run."""

    mode: str = "full"
    canary_percent: int = CANARY_PERCENT
    #: mappings a canary draws from; empty for all that are nobody's detail
    canary_roots: tuple[str, ...] = ()
    #: names of mappings; empty for all
    only: tuple[str, ...] = ()
    #: number of a plan version; None cuts one from the draft
    version: int | None = None
    start_at: dt.datetime | None = None
    #: the target's registered name as typed, where it is asked for
    confirm: str = ""
    reason: str = ""
    batch: int | None = None
    api: str | None = None
    #: by mapping: fields of its `load:`; they win over `batch` and `api`, and those over the plan
    loads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stop_at_failed_percent: int | None = None
    keep_undo: bool = True
    verify: bool = True
    #: how rehearsed e-mail is kept from people: who said what (rule 8.3)
    email_answer: str = ""
    #: queue on which the job is put; None: any worker's
    queue: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def chosen(self, plan: Plan) -> list[ObjectMapping]:
        """The mappings of the plan that are to run."""
        return [entry for entry in plan.objects if not self.only or entry.name in self.only]

    def options(self) -> dict[str, Any]:
        """What the run keeps of it."""
        return {
            "canary_percent": self.canary_percent,
            "canary_roots": list(self.canary_roots),
            "only": list(self.only),
            "batch": self.batch,
            "api": self.api,
            "loads": {name: dict(load) for name, load in self.loads.items()},
            "stop_at_failed_percent": self.stop_at_failed_percent,
            "keep_undo": self.keep_undo,
            "verify": self.verify,
            "email_answer": self.email_answer,
            "start_at": self.start_at.isoformat() if self.start_at else None,
            **self.extra,
        }


def launch(
    bridge: Orgbridge,
    actor: Actor,
    plan_id: UUID,
    request: LaunchRequest,
    *,
    idempotency_key: str | None = None,
    enqueue: bool = True,
) -> str:
    """Makes a run of a plan and queues it; the run's name.

    Raises:
        UserError: unknown mode or mapping, read-only target, confirmation missing; nothing was
        made.
    """
    roles.require(actor, Role.ANALYST, to="launch")
    check_mode(request.mode, state="Nothing was launched.")
    return make_run(
        bridge, actor, plan_id, request, idempotency_key=idempotency_key, enqueue=enqueue
    )


def check_mode(mode: object, *, state: str) -> None:
    """Passes where a launch knows the mode; `state` says what was left undone otherwise."""
    if mode not in MODES:
        raise UserError(
            f"There is no mode {str(mode)[:80]!r}.",
            state=state,
            next_step=f"There are {', '.join(MODES)}.",
        )


def check_email_answer(answer: object, *, state: str) -> None:
    """Passes where the question about e-mail is not answered, or with an answer that is known."""
    if answer and answer not in EMAIL_ANSWERS:
        raise UserError(
            f"{str(answer)[:80]!r} is no answer to the question about e-mail from the target.",
            state=state,
            next_step="Answer off (the target lets none out), masked (the plan masks the "
            "addresses) or wanted (messages to real people are all right).",
        )


def make_run(
    bridge: Orgbridge,
    actor: Actor,
    plan_id: UUID,
    request: LaunchRequest,
    *,
    idempotency_key: str | None = None,
    enqueue: bool = True,
    parent_run_id: UUID | None = None,
) -> str:
    """Makes a run of any mode and queues it; the run's name. Errors as `launch`."""
    roles.require(actor, Role.ANALYST, to="launch")
    if idempotency_key is not None:
        known = _answered(bridge, actor, idempotency_key)
        if known is not None:
            return known
    view = plans.plan(bridge, actor, plan_id)
    plan = _plan_of(bridge, actor, view, request)
    only = objects_named(plan, request.only, state="Nothing was launched.")
    request = replace(request, only=tuple(one.name for one in only))
    _check(request, plan)
    sides = ((plan.source, view.row.source_org_id), (plan.target, view.row.target_org_id))
    source, target = _orgs(bridge, actor, sides, what="launched")
    _confirm(target, plan, request)
    facts = _approval(bridge, actor, plan, request, orgs_of=(source.id, target.id))
    options = _options(bridge, actor, plan, request, target_org_id=target.id)
    organization = bridge.org_client(actor.workspace_id, target.id).identity.organization_id
    version = _version(bridge, actor, plan_id, request, looked_at=plan)
    new = runs.NewRun(
        mode=request.mode,
        plan_id=plan_id,
        plan_version_id=version,
        source_org_id=source.id,
        target_org_id=target.id,
        target_organization_id=organization,
        requested_by=actor.name,
        requested_by_id=actor.user_id,
        reason=request.reason.strip() or None,
        options=options,
        parent_run_id=parent_run_id,
        wrapped_key=bridge.spool.new_wrapped_key(),
        status=RunState.PENDING if facts is None else RunState.WAITING_APPROVAL,
    )
    name = runs.new_name(plan.name, bridge.clock())
    with bridge.session(actor.workspace_id) as session:
        plan_rows.hold_plan(session, plan_id)
        orgs.hold_orgs(session, source.id, target.id)
        run_id = runs.add_run(session, new, name=name)
        told = _launched(plan, target, request)
        _audit_launch(session, actor, run_id, name=name, after=told, reason=new.reason)
        if idempotency_key is not None:
            runs.remember_answer(session, idempotency_key, run_id)
        if facts is not None:
            on: dict[str, Any] = {"plan_version_id": version, "target_org_id": target.id}
            on |= {"mode": request.mode, "facts": facts, "reason": request.reason}
            approvals.ask(bridge, actor, **on, run_id=run_id, within=session)
        elif enqueue:
            _defer(session, actor, run_id, organization, request)
    return name


def _options(
    bridge: Orgbridge, actor: Actor, plan: Plan, request: LaunchRequest, *, target_org_id: UUID
) -> dict[str, Any]:
    """What the run keeps of the request, and which of its objects an undo cannot take back."""
    kept = undoing.kept_objects(bridge, actor, plan, target_org_id=target_org_id)
    irreversible = undoing.irreversible(plan, request.only, kept=kept)
    return {**request.options(), "irreversible": list(irreversible)}


def _launched(plan: Plan, target: orgs.OrgRow, request: LaunchRequest) -> dict[str, str]:
    """What the audit row says of a launch."""
    told = {"mode": request.mode, "target": target.name, "plan": plan.name}
    if request.email_answer:  # rule 8.3: the audit row says who answered
        told["email"] = request.email_answer
    return told


def undo(
    bridge: Orgbridge,
    actor: Actor,
    name: str,
    *,
    confirm: str = "",
    reason: str = "",
    preview: bool = False,
    enqueue: bool = True,
) -> str:
    """Makes the run that takes another one's writes back; its name.

    Args:
        preview: nothing is sent; the run's buckets say what would be deleted, restored, in
        conflict.
    Raises:
        ConflictError: it did not end yet, wrote nothing, or later runs wrote the same rows.
    """
    roles.require(actor, Role.ANALYST, to="undo runs")
    with bridge.session(actor.workspace_id) as session:
        run = runs.run_named(session, name)
    _check_undoable(run)
    if not preview:
        _check_newest(bridge, actor, run)
    sides = ((run.source_name, run.source_org_id), (run.target_name, run.target_org_id))
    source, target = _orgs(bridge, actor, sides, what="undone")
    if not preview:
        check_confirmation(target, Confirmation(confirm, reason), act="undo in")
    new = runs.NewRun(
        mode="undo",
        plan_id=run.plan_id,
        plan_version_id=run.plan_version_id,
        source_org_id=source.id,
        target_org_id=target.id,
        target_organization_id=run.target_organization_id or "",
        requested_by=actor.name,
        requested_by_id=actor.user_id,
        reason=reason.strip() or None,
        options={"preview": preview, "only": list(run.options.get("only") or ())},
        parent_run_id=run.id,
        wrapped_key=bridge.spool.new_wrapped_key(),
    )
    made = runs.new_name(f"undo {run.plan_name or 'run'}", bridge.clock())
    with bridge.session(actor.workspace_id) as session:
        orgs.hold_orgs(session, source.id, target.id)
        run_id = runs.add_run(session, new, name=made)
        audit.record(
            session,
            actor,
            "run.undo",
            subject_kind="run",
            subject_id=run.id,
            subject_name=run.name,
            after={"preview": preview, "by": made},
            reason=new.reason,
            run_id=run_id,
        )
        if enqueue:
            _defer(session, actor, run_id, new.target_organization_id, LaunchRequest())
    return made


def _check_newest(bridge: Orgbridge, actor: Actor, run: runs.RunRow) -> None:
    later = undoing.later_runs(bridge, actor, run)
    if later:
        raise ConflictError(
            f"A later run, {later[0]}, wrote the same records.",
            state="Nothing was undone.",
            next_step="Undo the later runs first, the newest one before the others.",
        )


def _check_undoable(run: runs.RunRow) -> None:
    if run.mode in ("undo", "dry-run") or run.status is RunState.UNDONE:
        raise ConflictError(
            f"There is nothing to undo in {run.name}.", next_step="`runs list` shows the runs."
        )
    if run.status not in FINISHED_RUNS:
        raise ConflictError(
            f"The run {run.name} is {run.status.value.lower()}.",
            next_step="Cancel it, or let it end, before it is undone.",
        )


def _audit_launch(
    session: Any,
    actor: Actor,
    run_id: UUID,
    *,
    name: str,
    after: Mapping[str, str],
    reason: str | None,
) -> None:
    audit.record(
        session,
        actor,
        "run.launch",
        subject_kind="run",
        subject_id=run_id,
        subject_name=name,
        after=after,
        reason=reason,
        run_id=run_id,
    )


def _answered(bridge: Orgbridge, actor: Actor, key: str) -> str | None:
    with bridge.session(actor.workspace_id) as session:
        return runs.answer(session, key)


def _check(request: LaunchRequest, plan: Plan) -> None:
    check_email_answer(request.email_answer, state="Nothing was launched.")
    with_load_options(plan, request.options())  # said here, not when a worker takes the run
    percent = request.stop_at_failed_percent
    if percent is not None and not 1 <= percent <= 100:
        raise UserError(
            f"A run cannot stop at {percent} % of failed rows.",
            state="Nothing was launched.",
            next_step="Give a percentage from 1 to 100, or none.",
        )
    if request.mode == "canary" and not 1 <= request.canary_percent <= 99:
        raise UserError(
            f"A canary of {request.canary_percent} % cannot be taken.",
            state="Nothing was launched.",
            next_step="Take from 1 to 99 percent of the roots, or launch in full.",
        )


def _orgs(
    bridge: Orgbridge,
    actor: Actor,
    sides: tuple[tuple[str | None, UUID | None], tuple[str | None, UUID | None]],
    *,
    what: str,
) -> tuple[orgs.OrgRow, orgs.OrgRow]:
    """Source and target, each given by name and id."""
    (source_name, source), (target_name, target) = sides
    if source is None or target is None:
        lost = target_name if target is None else source_name
        raise UserError(
            f"The org {lost or 'it names'} is not connected, or was removed.",
            state=f"Nothing was {what}.",
            next_step="Connect it again under that name, or change the plan.",
        )
    with bridge.session(actor.workspace_id) as session:
        return orgs.org_row(session, source), orgs.org_row(session, target)


def _plan_of(bridge: Orgbridge, actor: Actor, view: plans.PlanView, request: LaunchRequest) -> Plan:
    """What runs, and so what is asked about: the version that was named, else the draft."""
    if request.version is None:
        return view.plan
    return plans.version_plan(bridge, actor, view.row.id, number=request.version)


def _confirm(target: orgs.OrgRow, plan: Plan, request: LaunchRequest) -> None:
    if request.mode == "dry-run":
        return
    deletes = any(entry.operation.is_delete for entry in request.chosen(plan))
    given = Confirmation(request.confirm, request.reason)
    check_confirmation(target, given, deletes=deletes)


def _version(
    bridge: Orgbridge, actor: Actor, plan_id: UUID, request: LaunchRequest, *, looked_at: Plan
) -> UUID:
    """The version that runs: the one that was named, or the draft, as it was looked at."""
    if request.version is None:
        cut = plans.cut_version(bridge, actor, plan_id, cut_for="launch")
        if plan_from_document(cut.document) != looked_at:
            raise ConflictError(
                f"{looked_at.name} was edited while it was being launched.",
                state="Nothing was launched.",
                next_step="Look at the plan as it is now and launch it again.",
            )
        return cut.id
    for version in plans.versions(bridge, actor, plan_id):
        if version.number == request.version:
            return version.id
    raise UserError(f"The plan has no version {request.version}.", state="Nothing was launched.")


def _approval(
    bridge: Orgbridge,
    actor: Actor,
    plan: Plan,
    request: LaunchRequest,
    *,
    orgs_of: tuple[UUID, UUID],
) -> dict[str, Any] | None:
    """What another person who has to agree has to know, or None; a dry run writes nothing and needs
    nobody."""
    if request.mode == "dry-run":
        return None
    source, target = orgs_of
    counted = cache(lambda: _rows_in_scope(bridge, actor, plan, request, source=source))
    if approvals.needed(bridge, actor, target_org_id=target, rows_to_write=counted) is None:
        return None
    return _approval_facts(plan, request, rows=counted())


def _rows_in_scope(
    bridge: Orgbridge, actor: Actor, plan: Plan, request: LaunchRequest, *, source: UUID
) -> int:
    """Rows of the source that the launch may write; a trial and a retry are small by themselves.

    Cost: one call per 25 objects.
    """
    if request.mode not in ("full", "delta", "canary"):
        return 0
    asked = [
        f"SELECT COUNT() FROM {entry.source}" + (f" WHERE {entry.where}" if entry.where else "")  # noqa: S608 the org reads the filter
        for entry in request.chosen(plan)
        if entry.operation is not Operation.PRESERVE
    ]
    answers = bridge.row_source(actor.workspace_id, source).counts(asked)
    return sum(answer for answer in answers if isinstance(answer, int))


def _defer(session: Any, actor: Actor, run_id: UUID, target: str, request: LaunchRequest) -> None:
    queue.defer_run(
        session,
        workspace_id=actor.workspace_id,
        run_id=run_id,
        target=target,
        start_at=request.start_at,
        queue=request.queue or queue.SHARED_QUEUE,
    )


def _approval_facts(plan: Plan, request: LaunchRequest, *, rows: int) -> dict[str, Any]:
    """What an approver has to know, as far as the launch knows it."""
    chosen = request.chosen(plan)
    facts: dict[str, Any] = {
        "rows": rows,
        "objects": [object_name(one.name, one.target) for one in chosen],
        "deletes": [object_name(one.name, one.target) for one in chosen if one.operation.is_delete],
        "email": request.email_answer,
        "keep_undo": request.keep_undo,
    }
    if request.mode == "canary":
        facts["canary_percent"] = request.canary_percent
    if request.start_at is not None:
        facts["start_at"] = request.start_at.isoformat()
    return facts
