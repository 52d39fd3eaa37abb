"""Approvals: one person asks, another one lets a launch into a protected org happen or not.

    launch ─▶ needed? ─▶ ask (run waits) ─▶ approve (run goes on) | reject (run ends) | withdraw

An approval holds for one plan version, one target, one mode, one launch, for seven days. Nobody
approves what they asked for, and a script approves nothing. What a schedule asks for, everybody
asked for who made it, changed it or switched it, also once it is gone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core import notices
from core.access import audit, roles
from core.db import approvals as rows
from core.db import orgs, workspaces
from core.db.approvals import ApprovalRow
from core.domain.roles import SCHEDULE_ACTOR, Actor, Role
from core.domain.workspace_settings import read_settings
from core.errors import ConflictError, NotAllowedError, UserError
from core.jobs import queue
from core.notices import Notice, NoticeEvent

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge

__all__ = ["ApprovalRow"]

VALID_FOR = dt.timedelta(days=7)


def needed(
    bridge: Orgbridge, actor: Actor, *, target_org_id: UUID, rows_to_write: Callable[[], int]
) -> str | None:
    """Why a launch needs an approval, as one sentence, or None when it does not.

    Args:
        rows_to_write: asked only if the workspace has a rule about it, since counting costs calls.
    """
    roles.require(actor, Role.VIEWER, to="see launch rules")
    with bridge.session(actor.workspace_id) as session:
        rules = read_settings(workspaces.stored_settings(session, actor.workspace_id))
        target = orgs.org_row(session, target_org_id)
    if rules.approval_needed and target.protected:
        return f"{target.name} is protected: another person has to approve a launch into it."
    if rules.approval_above_rows and rows_to_write() > rules.approval_above_rows:
        limit = f"{rules.approval_above_rows:,}"
        return f"More than {limit} rows are to be written: another person has to approve that."
    return None


def ask(
    bridge: Orgbridge,
    actor: Actor,
    *,
    plan_version_id: UUID,
    target_org_id: UUID,
    mode: str,
    facts: dict[str, Any],
    reason: str = "",
    run_id: UUID | None = None,
    within: Session | None = None,
) -> UUID:
    """Ask for an approval; its id.

    Args:
        facts: what the approver sees, such as {"rows": 161377, "creates": 1200, "deletes": 0}.
        run_id: the run that waits for it, if it exists already.
        within: the transaction that makes that run, so that there is none without a request.

    Raises:
        ConflictError: the same was asked for and waits.
    """
    roles.require(actor, Role.ANALYST, to="ask for an approval")
    now = bridge.clock()
    values = {
        "plan_version_id": plan_version_id,
        "target_org_id": target_org_id,
        "run_id": run_id,
        "mode": mode,
        "facts": facts,
        "asked_by_id": actor.user_id,
        "asked_by": actor.name,
        "asked_at": now,
        "reason": reason.strip() or None,
        "expires_at": now + VALID_FOR,
    }
    with _transaction(bridge, actor, within) as session:
        orgs.org_row(session, target_org_id)
        approval_id = rows.add(session, values)
        made = rows.approval(session, approval_id)
        _record(session, actor, "approval.asked", on=made, reason=made.reason, after=facts)
        notices.tell(session, _notice(made))
    return approval_id


def approve(bridge: Orgbridge, actor: Actor, approval_id: UUID, *, reason: str = "") -> ApprovalRow:
    """Say yes; a run that waits for it is queued in the same transaction, for the time it was
    launched for if that has not passed.

    Raises:
        NotAllowedError: one's own request, or not a person. ConflictError: decided or too old.
    """
    roles.require(actor, Role.APPROVER, to="approve launches")
    with bridge.session(actor.workspace_id) as session:
        asked = _open_request(bridge, session, approval_id)
        _check_another_person(session, actor, asked)
        rows.decide(
            session, approval_id, _decision(actor, "approved", reason=reason, now=bridge.clock())
        )
        if asked.run_id is not None:
            _release(session, actor, asked.run_id)
        _record(session, actor, "approval.approved", on=asked, reason=reason or None)
        return rows.approval(session, approval_id)


def reject(bridge: Orgbridge, actor: Actor, approval_id: UUID, *, reason: str) -> ApprovalRow:
    """Say no, with a reason; a run that waits for it ends without having begun.

    Raises:
        UserError: no reason. Otherwise as `approve`.
    """
    roles.require(actor, Role.APPROVER, to="reject launches")
    if not reason.strip():
        raise UserError("A rejection needs a reason.", next_step="Say what has to change.")
    with bridge.session(actor.workspace_id) as session:
        asked = _open_request(bridge, session, approval_id)
        _check_another_person(session, actor, asked)
        rows.decide(
            session, approval_id, _decision(actor, "rejected", reason=reason, now=bridge.clock())
        )
        _end(bridge, session, asked, reason=f"Rejected by {actor.name}: {reason.strip()}")
        _record(session, actor, "approval.rejected", on=asked, reason=reason.strip())
        return rows.approval(session, approval_id)


def withdraw(bridge: Orgbridge, actor: Actor, approval_id: UUID) -> ApprovalRow:
    """Take a request back: the one who asked, or an admin; a run that waits for it ends.

    Raises:
        NotAllowedError: somebody else's request. ConflictError: it was decided meanwhile.
    """
    roles.require(actor, Role.ANALYST, to="withdraw a request")
    with bridge.session(actor.workspace_id) as session:
        asked = _open_request(bridge, session, approval_id, expired_too=True)
        if not _asked_for(session, actor, asked):
            roles.require(actor, Role.ADMIN, to="withdraw what another person asked for")
        rows.decide(
            session, approval_id, _decision(actor, "withdrawn", reason="", now=bridge.clock())
        )
        _end(bridge, session, asked, reason=f"Withdrawn by {actor.name}.")
        _record(session, actor, "approval.withdrawn", on=asked)
        return rows.approval(session, approval_id)


def withdraw_of_run(
    bridge: Orgbridge, actor: Actor, run_id: UUID, *, within: Session | None = None
) -> None:
    """Take back what a run that is ended asked for.

    Args:
        within: the transaction that ends it.
    """
    roles.require(actor, Role.ANALYST, to="withdraw a request")
    with _transaction(bridge, actor, within) as session:
        for asked in rows.approvals(session, status="asked"):
            if asked.run_id == run_id:
                made = _decision(actor, "withdrawn", reason="", now=bridge.clock())
                rows.decide(session, asked.id, made)
                _record(session, actor, "approval.withdrawn", on=asked)


def approvals(
    bridge: Orgbridge, actor: Actor, *, status: str | None = None
) -> tuple[ApprovalRow, ...]:
    """Requests, the newest first; `status="asked"` for those that wait."""
    roles.require(actor, Role.VIEWER, to="see approvals")
    with bridge.session(actor.workspace_id) as session:
        return rows.approvals(session, status=status)


def approval(bridge: Orgbridge, actor: Actor, approval_id: UUID) -> ApprovalRow:
    """One request.

    Raises:
        NotFoundError: no such request in this workspace.
    """
    roles.require(actor, Role.VIEWER, to="see approvals")
    with bridge.session(actor.workspace_id) as session:
        return rows.approval(session, approval_id)


def is_own(bridge: Orgbridge, actor: Actor, asked: ApprovalRow) -> bool:
    """Whether the actor asked for it, so that another person has to decide."""
    roles.require(actor, Role.VIEWER, to="see approvals")
    with bridge.session(actor.workspace_id) as session:
        return _asked_for(session, actor, asked)


def use_for_launch(
    bridge: Orgbridge,
    actor: Actor,
    *,
    plan_version_id: UUID,
    target_org_id: UUID,
    mode: str,
    run_id: UUID,
) -> ApprovalRow | None:
    """Use up an approval that was given for exactly this; None when there is none."""
    roles.require(actor, Role.ANALYST, to="launch")
    with bridge.session(actor.workspace_id) as session:
        used = rows.use(
            session,
            plan_version_id=plan_version_id,
            target_org_id=target_org_id,
            mode=mode,
            run_id=run_id,
            now=bridge.clock(),
        )
        if used is not None:
            _record(session, actor, "approval.used", on=used)
        return used


def _transaction(
    bridge: Orgbridge, actor: Actor, within: Session | None
) -> AbstractContextManager[Session]:
    return bridge.session(actor.workspace_id) if within is None else nullcontext(within)


def _notice(asked: ApprovalRow) -> Notice:
    rows_told = asked.facts.get("rows")
    return Notice(
        event=NoticeEvent.APPROVAL_ASKED,
        subject=str(asked.id),
        title=f"Approval asked: {asked.plan_name} into {asked.target_org}",
        body=f"{asked.asked_by} asks to launch version {asked.version} of {asked.plan_name}"
        f" ({asked.mode}) into {asked.target_org}."
        + (f" Rows: {rows_told:,}." if isinstance(rows_told, int) else "")
        + (f" Reason: {asked.reason}" if asked.reason else ""),
        run_id=asked.run_id,
        org_ids=(asked.target_org_id,) if asked.target_org_id else (),
    )


def _open_request(
    bridge: Orgbridge, session: Session, approval_id: UUID, *, expired_too: bool = False
) -> ApprovalRow:
    asked = rows.approval(session, approval_id, lock=True)
    if asked.status != "asked":
        raise ConflictError(
            f"{asked.decided_by} has {asked.status} this already.", state="Nothing was changed."
        )
    is_old = asked.expires_at is not None and asked.expires_at <= bridge.clock()
    if is_old and not expired_too:
        raise ConflictError(
            "This request is older than seven days.",
            state="Nothing was changed.",
            next_step="Ask again: the data and the plan may have changed since.",
        )
    return asked


def _asked_for(session: Session, actor: Actor, asked: ApprovalRow) -> bool:
    if actor.user_id is None:
        return (asked.asked_by_id, asked.asked_by) == (None, actor.name)
    return actor.user_id == asked.asked_by_id or actor.user_id in _makers(session, asked)


def _makers(session: Session, asked: ApprovalRow) -> frozenset[UUID]:
    """People who made, changed or switched the schedule that asks; none where none asks."""
    if not asked.asked_by.startswith(SCHEDULE_ACTOR):
        return frozenset()
    name = asked.asked_by.removeprefix(SCHEDULE_ACTOR)
    return audit.people_behind(session, "schedule", name, until=asked.asked_at)


def _check_another_person(session: Session, actor: Actor, asked: ApprovalRow) -> None:
    if actor.user_id is None:
        raise NotAllowedError(
            "Only a person who signed in approves or rejects.", state="Nothing was decided."
        )
    if _asked_for(session, actor, asked):
        raise NotAllowedError(
            "You asked for this approval yourself."
            if actor.user_id == asked.asked_by_id
            else "You made, changed or switched the schedule that asks for this approval.",
            state="Nothing was decided.",
            next_step="Another person with the role approver has to decide.",
        )


def _decision(actor: Actor, status: str, *, reason: str, now: dt.datetime) -> dict[str, Any]:
    return {
        "status": status,
        "decided_by_id": actor.user_id,
        "decided_by": actor.name,
        "decided_at": now,
        "decision_reason": reason.strip() or None,
    }


def _release(session: Session, actor: Actor, run_id: UUID) -> None:
    released = rows.release_run(session, run_id)
    if released is not None:
        target, start_at = released
        queue.defer_run(
            session,
            workspace_id=actor.workspace_id,
            run_id=run_id,
            target=target or str(run_id),
            start_at=start_at,
        )


def _end(bridge: Orgbridge, session: Session, asked: ApprovalRow, *, reason: str) -> None:
    if asked.run_id is not None:
        rows.end_run(session, asked.run_id, reason=reason, now=bridge.clock())


def _record(
    session: Session,
    actor: Actor,
    action: str,
    *,
    on: ApprovalRow,
    reason: str | None = None,
    after: object = None,
) -> None:
    audit.record(
        session,
        actor,
        action,
        subject_kind="approval",
        subject_id=on.id,
        subject_name=f"{on.plan_name} v{on.version} → {on.target_org or 'a removed org'}",
        after=after,
        reason=reason,
        run_id=on.run_id,
    )
