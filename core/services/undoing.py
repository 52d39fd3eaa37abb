"""What an undo would take back, what it cannot, and which runs have to go first; asks no org."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.access import roles
from core.db import runs
from core.domain.object_book import object_book
from core.domain.plan import ObjectMapping, Operation, Plan
from core.domain.roles import Actor, Role
from core.errors import (
    DailyLimitError,
    NotFoundError,
    RefusedError,
    SessionLostError,
    TransientError,
)

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

#: records that are mail: what was sent stays sent
_MAIL = frozenset({"emailmessage"})
_INSERTS = (Operation.INSERT, Operation.UPSERT)


@dataclass(frozen=True, slots=True)
class UndoLine:
    """One mapping's records by what an undo does with them, conflicts apart."""

    mapping: str
    target: str
    delete: int
    restore: int
    undelete: int


@dataclass(frozen=True, slots=True)
class UndoOutlook:
    """What an undo of a run is about."""

    run: str
    lines: tuple[UndoLine, ...]
    #: what stays as it is, one sentence each
    cannot: tuple[str, ...]
    #: later runs that wrote the same records: they are undone before, the newest first
    first: tuple[str, ...]


def outlook(bridge: Orgbridge, actor: Actor, name: str) -> UndoOutlook:
    """Figures from what the run recorded; conflicts are found by a preview (`launching.undo`)."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        run = runs.run_named(session, name)
        lines = [_line(step) for step in runs.steps(session, run.id) if step["phase"] == "load"]
    return UndoOutlook(
        run=run.name,
        lines=tuple(line for line in lines if line.delete or line.restore or line.undelete),
        cannot=tuple(run.options.get("irreversible") or ()),
        first=later_runs(bridge, actor, run),
    )


def irreversible(
    plan: Plan, only: Sequence[str] = (), *, kept: Collection[str] = ()
) -> tuple[str, ...]:
    """What no undo of a run of this plan takes back, one sentence each (rule 7.3).

    Args:
        kept: target objects of which the org deletes no record (`kept_objects`).
    """
    chosen = [entry for entry in plan.objects if not only or entry.name in only]
    return tuple(dict.fromkeys(sentence for e in chosen for sentence in _lasting(e, kept)))


def kept_objects(bridge: Orgbridge, actor: Actor, plan: Plan, *, target_org_id: UUID) -> set[str]:
    """Objects of the plan's target whose describe says that nobody deletes their records.

    An object that the target does not have, and a target that does not answer, are the run's to
    tell: nothing is said of them here.
    """
    roles.require(actor, Role.VIEWER)
    client = bridge.org_client(actor.workspace_id, target_org_id)
    names = sorted({entry.target for entry in plan.objects if entry.operation in _INSERTS})
    kept: set[str] = set()
    with suppress(SessionLostError, DailyLimitError, TransientError):
        for name, found in client.describes.each(names):
            if not isinstance(found, RefusedError) and not found.deletable:
                kept.add(name)
    return kept


def later_runs(bridge: Orgbridge, actor: Actor, run: runs.RunRow) -> tuple[str, ...]:
    """Names of later runs that wrote records which this run wrote too, the newest first.

    Cost: reads the lists of records of both runs, where a later run wrote the same objects at all.
    """
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        later = [runs.run_named(session, name) for name in runs.writers_after(session, run)]
    if not later:
        return ()
    ours = _records(bridge, actor, run)
    if ours is None:
        return tuple(each.name for each in later)
    found = []
    for each in later:
        theirs = _records(bridge, actor, each)
        if theirs is None or ours & theirs:
            found.append(each.name)
    return tuple(found)


def _records(bridge: Orgbridge, actor: Actor, run: runs.RunRow) -> set[str] | None:
    """Target ids that a run wrote; None when its pages are gone."""
    with bridge.session(actor.workspace_id) as session:
        names = {str(step["mapping_name"]) for step in runs.steps(session, run.id)}
        try:
            spool = bridge.spool.run(run.id, runs.wrapped_key(session, run.id))
        except NotFoundError:
            return None
    return {
        record
        for name in names
        for page in spool.pages(f"done/{name}", ["target_id"])
        for record in page.get_column("target_id")
    }


def _line(step: Mapping[str, Any]) -> UndoLine:
    deletes = step["operation"] == Operation.DELETE
    is_hard = step["operation"] == Operation.HARD_DELETE
    updated = int(step["updated"])
    return UndoLine(
        mapping=str(step["mapping_name"]),
        target=str(step["target_object"]),
        delete=int(step["inserted"]),
        restore=0 if deletes or is_hard else updated,
        undelete=updated if deletes else 0,
    )


def _lasting(entry: ObjectMapping, kept: Collection[str]) -> Iterable[str]:
    name = entry.target
    stays = name.lower() in {one.lower() for one in kept}
    if entry.operation is Operation.HARD_DELETE:
        yield f"{name}: rows are deleted for good; no undo brings them back."
    if entry.operation is Operation.DELETE:
        yield f"{name}: deleted rows come back only while they are in the recycle bin."
    book = object_book().entry(name)
    if entry.operation in _INSERTS and (stays or not book.undoable):
        yield f"{name}: the platform lets nobody delete its rows; new ones stay."
    for activation in book.activations:
        if not activation.undoable and _writes(entry, activation.field):
            field = activation.field
            yield f"{name}: an activation ({field}) stays, and so does a record that is active."
    if entry.operation in _INSERTS and name.lower() in _MAIL:
        yield f"{name}: mail that was sent stays sent."


def _writes(entry: ObjectMapping, field: str) -> bool:
    """The mapping fills the field, by a rule or because both sides have it."""
    named = {name.lower() for name in (*entry.fields, *entry.final_fields)}
    skipped = {name.lower() for name in entry.skip}
    return field.lower() in named or (entry.auto_map and field.lower() not in skipped)
