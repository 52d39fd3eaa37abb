"""The plan editor: what its tables show, and every edit as one saved step.

    view(plan)  ─▶ objects with their progress
    rows(plan, mapping) ─▶ one row per field
    suggest(plan) ─▶ the auto-map, saved as suggestions
    edit(plan, revision, change) ─▶ the draft with the change, saved at once under a new revision

An edit is any function of `core.plans.editing` with its arguments bound. It is applied to the draft
as it was read; if somebody saved in between nothing is written and the person is told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import roles
from core.db import plan_history
from core.db.plan_history import PlanEdit
from core.domain import automap
from core.domain.describe import SObject
from core.domain.plan import ObjectMapping, Plan, ReviewState, RuleBase
from core.domain.roles import Role
from core.errors import ConflictError, OrgbridgeError, UserError
from core.plans import editing, field_rows, launch_rules
from core.plans.compare import compare_plans
from core.plans.field_rows import FieldRow, MappingProgress
from core.services import plan_memory, plans

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.db.plans import PlanRow
    from core.domain.roles import Actor

Edit = Callable[[Plan], Plan]

#: source rows whose values help to tell fields apart
SAMPLE_ROWS = 50
#: types that say nothing by their values, or cannot be selected in bulk
_UNSAMPLED = frozenset({"address", "location", "base64", "id", "reference", "boolean"})


@dataclass(frozen=True, slots=True)
class ObjectView:
    """One object mapping in the list at the left."""

    name: str
    source: str
    target: str
    operation: str
    progress: MappingProgress | None
    #: why there is no progress: an object that an org does not have, an org that does not answer
    problem: str = ""
    #: set while an org does not answer: when it last said what is shown of it
    since: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class EditorView:
    """A plan as the editor opens it."""

    row: PlanRow
    #: the draft with what a launch would add by itself (`core.plans.launch_rules`)
    plan: Plan
    objects: tuple[ObjectView, ...]


@dataclass(frozen=True, slots=True)
class Describes:
    """Both sides of one object mapping."""

    source: SObject
    target: SObject
    #: set while an org does not answer: when it last said what is shown of it
    since: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class EditorSaved:
    """What an edit left."""

    plan: Plan
    revision: int
    #: edits of other people since the revision that was looked at; they are kept
    others: tuple[PlanEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggested:
    """What an auto-map left."""

    plan: Plan
    revision: int
    #: suggestions that were not there before
    added: int


def view(bridge: Orgbridge, actor: Actor, plan_id: UUID) -> EditorView:
    """The plan with the progress of each object.

    Cost: one describe per object and org, from the cache when fresh.
    """
    roles.require(actor, Role.VIEWER)
    opened = plans.plan(bridge, actor, plan_id)
    entries, objects = [], []
    for entry in opened.plan.objects:
        shown, listed = _object_view(bridge, actor, opened=opened, entry=entry)
        entries.append(shown)
        objects.append(listed)
    plan = opened.plan.model_copy(update={"objects": tuple(entries)})
    if all(listed.progress for listed in objects):
        waiting = sum(listed.progress.to_review for listed in objects if listed.progress)
        plan_memory.keep_to_review(opened.row.id, opened.row.revision, waiting)
    return EditorView(row=opened.row, plan=plan, objects=tuple(objects))


def rows(
    bridge: Orgbridge,
    actor: Actor,
    plan_id: UUID,
    *,
    mapping: str,
    issues: Mapping[str, str] | None = None,
) -> tuple[FieldRow, ...]:
    """The field rows of one object mapping, open ones first.

    Args:
        issues: what a validation said, by target field in small letters.

    Raises:
        UserError: an org is not connected or lacks the object.
    """
    roles.require(actor, Role.VIEWER)
    opened = plans.plan(bridge, actor, plan_id)
    both = describes(bridge, actor, opened=opened, mapping=mapping)
    entry = _shown(bridge, actor, opened=opened, name=mapping).entry
    return field_rows.field_rows(entry, both.source, both.target, issues=issues)


def as_launched(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, mapping: str) -> ObjectMapping:
    """One object mapping with what a launch would add by itself."""
    roles.require(actor, Role.VIEWER)
    opened = plans.plan(bridge, actor, plan_id)
    return _shown(bridge, actor, opened=opened, name=mapping).entry


def sides(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, mapping: str) -> Describes:
    """Both describes of one object mapping, for choosing fields."""
    roles.require(actor, Role.VIEWER)
    return describes(bridge, actor, opened=plans.plan(bridge, actor, plan_id), mapping=mapping)


def edit(
    bridge: Orgbridge, actor: Actor, plan_id: UUID, *, revision: int, change: Edit
) -> EditorSaved:
    """Applies one change, made by somebody who looked at `revision`, to the draft and saves it.

    The change sees the plan as the editor shows it, with what a launch would add by itself; saved
    is what differs from that. If others saved in between, the change goes on top of theirs as long
    as it touches no place that they changed: both are kept.

    Raises:
        ConflictError: others changed the same place in between; nothing was written.
        UserError: the change is not possible; nothing was written.
    """
    roles.require(actor, Role.ANALYST)
    for is_last in (False, False, True):
        opened = plans.plan(bridge, actor, plan_id)
        changed = _changed(bridge, actor, opened, change=change)
        touched = [made.place for made in compare_plans(opened.plan, changed)]
        others = _edits_since(bridge, actor, opened.row, revision)
        _refuse_overlap(others, touched)
        if not touched:
            return EditorSaved(changed, opened.row.revision, others=_told(others, actor))
        try:
            now = opened.row.revision
            saved = plans.save(bridge, actor, plan_id, document=changed, revision=now)
        except ConflictError:
            if is_last:
                raise
            continue
        return EditorSaved(changed, saved, others=_told(others, actor))
    raise AssertionError("unreachable: the last try returns or raises")


def last_word(
    bridge: Orgbridge, actor: Actor, plan_id: UUID, *, mapping: str, field: str
) -> PlanEdit | None:
    """Who last wrote or reviewed the rule of a target field, and when; None for nobody."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        return plan_history.last_edit_of(session, plan_id, place=f"{mapping}.fields.{field}")


def suggest(
    bridge: Orgbridge,
    actor: Actor,
    plan_id: UUID,
    *,
    revision: int,
    mapping: str | None = None,
) -> Suggested:
    """Auto-maps one object mapping, or all, and saves what was found as suggestions.

    What a person approved, questioned, rejected or skipped stays as it is.

    Cost: one describe per object and org (cached), one query of sample rows per object.

    Raises:
        ConflictError: somebody saved in between; nothing was written.
    """
    roles.require(actor, Role.ANALYST)
    opened = plans.plan(bridge, actor, plan_id)
    plan = opened.plan
    names = [mapping] if mapping else [entry.name for entry in plan.objects]
    made: dict[str, dict[str, RuleBase]] = {}
    for name in names:
        both = describes(bridge, actor, opened=opened, mapping=name)
        samples = _samples(bridge, actor, opened.row, entry=plan.mapping(name), source=both.source)
        found = automap.suggest(both.source, both.target, samples=samples)
        made[name] = {
            **_taken_anyway(plan, plan.mapping(name), both),
            **{each.target: each.rule for each in found},
        }

    def change(current: Plan) -> Plan:
        for name, rules in made.items():
            current = editing.merge_suggestions(current, name, rules)
        return current

    saved = edit(bridge, actor, plan_id, revision=revision, change=change)
    before, after = (_suggested(plan), _suggested(saved.plan))
    return Suggested(saved.plan, saved.revision, added=len(after - before))


def _taken_anyway(plan: Plan, entry: ObjectMapping, both: Describes) -> dict[str, RuleBase]:
    """What a launch would add if nothing was suggested: an auto-map must not take it away."""
    spoken = {n: r for n, r in entry.fields.items() if r.review is not ReviewState.SUGGESTED}
    bare = entry.model_copy(update={"fields": spoken})
    beside = launch_rules.around(plan)
    full = launch_rules.with_launch_rules(bare, both.source, both.target, beside=beside)
    return {name: rule for name, rule in full.fields.items() if name not in spoken}


def describes(
    bridge: Orgbridge, actor: Actor, *, opened: plans.PlanView, mapping: str
) -> Describes:
    """Source and target describe of one object mapping.

    Raises:
        UserError: an org of the plan is not connected.
        RefusedError: an org does not have the object, or the user may not see it.
    """
    plan = opened.plan
    entry = plan.mapping(mapping)
    source_id, target_id = opened.row.source_org_id, opened.row.target_org_id
    if source_id is None or target_id is None:
        role, name = ("source", plan.source) if source_id is None else ("target", plan.target)
        raise UserError(
            f"The {role} org {name} is not connected.",
            state="The plan is unchanged.",
            next_step="Connect it under Orgs with this name.",
        )
    source = bridge.row_source(actor.workspace_id, source_id)
    target = bridge.org_client(actor.workspace_id, target_id)
    here, there = source.describe_known(entry.source), target.describe_known(entry.target)
    ages = [known.since for known in (here, there) if known.since is not None]
    return Describes(here.sobject, there.sobject, min(ages, default=None))


def _edits_since(
    bridge: Orgbridge, actor: Actor, row: PlanRow, revision: int
) -> tuple[PlanEdit, ...]:
    """What was saved after the revision that a person looked at, the newest first."""
    behind = row.revision - revision
    if behind <= 0:
        return ()
    with bridge.session(actor.workspace_id) as session:
        return plan_history.newest_edits(session, row.id, count=behind)


def _refuse_overlap(others: Sequence[PlanEdit], touched: Sequence[str]) -> None:
    """Raises if somebody changed in between what is to be changed now."""
    for edit_of in others:
        if edit_of.before is None or edit_of.after is None:
            raise ConflictError(
                f"{edit_of.by} replaced the whole plan after you opened it.",
                state="Your change was not saved.",
                next_step="Look at the plan as it is now and make your change again.",
            )
        for place in {**edit_of.before, **edit_of.after}:
            if any(_is_same_place(place, mine) for mine in touched):
                raise ConflictError(
                    f"{edit_of.by} changed {place} after you opened this plan.",
                    state="Your change was not saved; theirs stands.",
                    next_step="Look at it below and make your change again if it is still right.",
                    place=place,
                )


def _is_same_place(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _told(others: Sequence[PlanEdit], actor: Actor) -> tuple[PlanEdit, ...]:
    """Edits of other people; those from another window of one's own need no word."""
    return tuple(each for each in others if each.by != actor.name)


def _suggested(plan: Plan) -> set[tuple[str, str]]:
    return {
        (entry.name, name)
        for entry in plan.objects
        for name, rule in entry.fields.items()
        if rule.review is ReviewState.SUGGESTED
    }


def _samples(
    bridge: Orgbridge, actor: Actor, row: PlanRow, *, entry: ObjectMapping, source: SObject
) -> dict[str, list[str]]:
    """Some filled values of each field of the source, by which fields are told apart."""
    org_id = row.source_org_id
    if org_id is None:
        return {}
    names = [field.name for field in source.fields.values() if field.type not in _UNSAMPLED]
    soql = f"SELECT {', '.join(names)} FROM {source.name} LIMIT {SAMPLE_ROWS}"  # noqa: S608 names of the describe
    client = bridge.row_source(actor.workspace_id, org_id)
    found: dict[str, list[str]] = {}
    for frame in client.query_frames(soql, api="rest"):
        for column in frame.columns:
            found.setdefault(column, []).extend(frame.get_column(column).drop_nulls().to_list())
    return found


def _object_view(
    bridge: Orgbridge, actor: Actor, *, opened: plans.PlanView, entry: ObjectMapping
) -> tuple[ObjectMapping, ObjectView]:
    """The mapping as shown, and its line in the list; as saved where an org does not answer."""
    shown, progress, problem, since = entry, None, "", None
    try:
        made = _shown(bridge, actor, opened=opened, name=entry.name)
        shown, progress, since = made.entry, made.progress, made.since
    except OrgbridgeError as error:
        problem = error.happened
    listed = ObjectView(
        name=entry.name,
        source=entry.source,
        target=entry.target,
        operation=entry.operation.value,
        progress=progress,
        problem=problem,
        since=since,
    )
    return shown, listed


def _shown(
    bridge: Orgbridge, actor: Actor, *, opened: plans.PlanView, name: str
) -> plan_memory.Shown:
    """One object mapping with what a launch adds, and its progress; from memory when fresh."""
    entry, beside = opened.plan.mapping(name), launch_rules.around(opened.plan)

    def made() -> plan_memory.Shown:
        both = describes(bridge, actor, opened=opened, mapping=name)
        full = launch_rules.with_launch_rules(entry, both.source, both.target, beside=beside)
        rows = field_rows.field_rows(full, both.source, both.target)
        return plan_memory.Shown(full, field_rows.progress(rows), both.since)

    return plan_memory.shown_of(opened.row.id, entry, beside, make=made)


def _changed(bridge: Orgbridge, actor: Actor, opened: plans.PlanView, *, change: Edit) -> Plan:
    """The draft after a change of the plan as the editor shows it."""
    shown: dict[str, ObjectMapping] = {}
    for entry in opened.plan.objects:
        try:
            shown[entry.name] = _shown(bridge, actor, opened=opened, name=entry.name).entry
        except OrgbridgeError:  # what cannot be described can still be edited
            shown[entry.name] = entry
    changed = change(opened.plan.model_copy(update={"objects": tuple(shown.values())}))
    beside = launch_rules.around(changed)
    drafts = {entry.name: entry for entry in opened.plan.objects}
    entries = []
    for entry in changed.objects:
        draft, was = drafts.get(entry.name), shown.get(entry.name)
        if draft is None or was is None or entry is was:
            entries.append(draft or entry)
            continue
        try:
            both = describes(bridge, actor, opened=opened, mapping=entry.name)
        except OrgbridgeError:
            entries.append(entry)
            continue
        sides_of = (both.source, both.target)
        entries.append(launch_rules.folded(was, entry, draft=draft, sides=sides_of, beside=beside))
    return changed.model_copy(update={"objects": tuple(entries)})


def open_rows(found: Sequence[FieldRow]) -> tuple[FieldRow, ...]:
    """The rows on which somebody has to decide."""
    return tuple(row for row in found if row.is_open)
