"""Which objects a plan may take, with the parents they need and the children one may want.

Every object of the source is listed, those that cannot be chosen with the reason. Row counts are
asked of the source live, 25 to a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import roles
from core.db import plans as rows
from core.domain.describe import SObject
from core.domain.roles import Role
from core.errors import OrgbridgeError, UserError

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor
    from core.salesforce.client import OrgClient
    from core.salesforce.describes import SObjectSummary
    from core.salesforce.source import RowSource

#: ends of names whose rows an org keeps about others; they are made by it, not moved
_KEPT_BY_THE_ORG = (
    ("History", "the org writes its own history of changes"),
    ("Share", "sharing is calculated by the target"),
    ("Feed", "feeds follow the records and are not moved"),
    ("ChangeEvent", "it is a stream, not a table"),
    ("__e", "it is a stream, not a table"),
    ("__mdt", "custom metadata is deployed, not loaded"),
    ("__b", "big objects cannot be loaded by these APIs"),
)


@dataclass(frozen=True, slots=True)
class ObjectChoice:
    """One object of the source."""

    name: str
    label: str
    is_custom: bool
    is_in_plan: bool
    #: the target has an object of the same name
    is_in_target: bool
    #: why it cannot be chosen; '' when it can
    reason: str


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """One object of the target that rows can be written to."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Relative:
    """An object that another one looks up to, or that looks up to it."""

    sobject: str
    #: the lookup that makes the relation: on the object itself for a parent, on the child else
    field: str
    #: an insert of the child without it is refused
    is_required: bool
    is_in_plan: bool
    #: rows of the relative in the source now; None when the org would not count them
    row_count: int | None
    #: rows that this lookup links: of the object itself for a parent, of the relative for a child
    linked_rows: int | None
    #: why it cannot be chosen; '' when it can
    reason: str


@dataclass(frozen=True, slots=True)
class Relatives:
    """The neighbours of one object."""

    sobject: str
    row_count: int | None
    parents: tuple[Relative, ...]
    children: tuple[Relative, ...]


def object_choices(bridge: Orgbridge, actor: Actor, plan_id: UUID) -> tuple[ObjectChoice, ...]:
    """All objects of the plan's source, those that can be chosen first, by label.

    Cost: one call per org, or none while the list is cached.

    Raises:
        UserError: an org of the plan is not connected.
    """
    roles.require(actor, Role.VIEWER)
    source, target, chosen = _orgs_of(bridge, actor, plan_id)
    in_target = {summary.name.lower(): summary for summary in target.describe_global()}
    choices = [
        ObjectChoice(
            name=summary.name,
            label=summary.label,
            is_custom=summary.custom,
            is_in_plan=summary.name.lower() in chosen,
            is_in_target=summary.name.lower() in in_target,
            reason=_reason_against(summary, in_target.get(summary.name.lower())),
        )
        for summary in source.describe_global()
    ]
    return tuple(sorted(choices, key=lambda choice: (bool(choice.reason), choice.label.lower())))


def target_choices(bridge: Orgbridge, actor: Actor, plan_id: UUID) -> tuple[TargetChoice, ...]:
    """The objects of the plan's target that the connected user can write, by label.

    Cost: one call, or none while the list is cached.

    Raises:
        UserError: an org of the plan is not connected.
    """
    roles.require(actor, Role.VIEWER)
    _, target, _ = _orgs_of(bridge, actor, plan_id)
    found = [
        TargetChoice(summary.name, summary.label)
        for summary in target.describe_global()
        if (summary.createable or summary.updateable) and not _reason_against(summary, None)
    ]
    return tuple(sorted(found, key=lambda choice: (choice.label.lower(), choice.name)))


def relatives(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, sobject: str) -> Relatives:
    """The parents that an object needs or may have, and its children, with live row counts.

    Cost: one describe (cached) and one call per 25 neighbours.
    """
    roles.require(actor, Role.VIEWER)
    source, target, chosen = _orgs_of(bridge, actor, plan_id)
    listed = {summary.name.lower(): summary for summary in source.describe_global()}
    described = source.describe(sobject)
    up = _parents(described, listed)
    down = _children(described, listed)
    names = list(dict.fromkeys([described.name, *(edge.sobject for edge in (*up, *down))]))
    asked = [f"SELECT COUNT() FROM {name}" for name in names]  # noqa: S608 names come from the org's describe
    answers = _counts(source, [*asked, *(edge.soql for edge in (*up, *down))])
    rows = dict(zip(names, answers[: len(names)], strict=True))
    linked = dict(zip((*up, *down), answers[len(names) :], strict=True))
    in_target = {summary.name.lower(): summary for summary in target.describe_global()}

    def drawn(edges: Iterable[_Edge]) -> tuple[Relative, ...]:
        return tuple(
            Relative(
                sobject=edge.sobject,
                field=edge.field,
                is_required=edge.is_required,
                is_in_plan=edge.sobject.lower() in chosen,
                row_count=rows[edge.sobject],
                linked_rows=linked[edge],
                reason=_reason_against(
                    listed[edge.sobject.lower()], in_target.get(edge.sobject.lower())
                ),
            )
            for edge in edges
        )

    return Relatives(described.name, rows[described.name], drawn(up), drawn(down))


def needed_parents(
    bridge: Orgbridge, actor: Actor, plan_id: UUID, *, sobjects: Sequence[str]
) -> tuple[str, ...]:
    """Objects without which an insert of the given ones is refused, and what those need in turn.

    Those of the plan, the given ones and those that cannot be chosen are left out.

    Cost: one describe per object that is looked at, from the cache when fresh.

    Raises:
        UserError: an org of the plan is not connected.
    """
    roles.require(actor, Role.VIEWER)
    source, target, chosen = _orgs_of(bridge, actor, plan_id)
    listed = {summary.name.lower(): summary for summary in source.describe_global()}
    in_target = {summary.name.lower(): summary for summary in target.describe_global()}
    seen, found, waiting = {name.lower() for name in sobjects} | chosen, [], list(sobjects)
    while waiting:
        for edge in _parents(source.describe(waiting.pop(0)), listed):
            parent = edge.sobject.lower()
            if not edge.is_required or parent in seen:
                continue
            seen.add(parent)
            if not _reason_against(listed[parent], in_target.get(parent)):
                found.append(edge.sobject)
                waiting.append(edge.sobject)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Edge:
    """One lookup between the object and a relative."""

    sobject: str
    field: str
    is_required: bool
    #: how many rows it links
    soql: str


def _orgs_of(
    bridge: Orgbridge, actor: Actor, plan_id: UUID
) -> tuple[RowSource, OrgClient, set[str]]:
    """Clients of the plan's orgs, and the source objects it has, in small letters."""
    with bridge.session(actor.workspace_id) as session:
        draft = rows.plan_draft(session, plan_id=plan_id)
    chosen = {entry["source"].lower() for entry in draft.document["objects"]}
    source_id, target_id = draft.row.source_org_id, draft.row.target_org_id
    if source_id is None or target_id is None:
        missing = "source" if source_id is None else "target"
        raise UserError(
            f"The {missing} org of the plan {draft.row.name} is not connected.",
            state="The plan is unchanged.",
            next_step="Connect it under Orgs with the name that the plan uses.",
        )
    workspace = actor.workspace_id
    return bridge.row_source(workspace, source_id), bridge.org_client(workspace, target_id), chosen


def _reason_against(summary: SObjectSummary, twin: SObjectSummary | None) -> str:
    for ending, reason in _KEPT_BY_THE_ORG:
        if summary.name.endswith(ending) and summary.name != ending:
            return reason
    if summary.deprecated_and_hidden:
        return "it is deprecated and hidden"
    if not summary.queryable:
        return "the connected user cannot query it"
    if twin is not None and not (twin.createable or twin.updateable):
        return "the connected user of the target can neither create nor update it"
    return ""


def _parents(described: SObject, listed: dict[str, SObjectSummary]) -> tuple[_Edge, ...]:
    return tuple(
        _Edge(
            parent,
            field.name,
            field.required_on_create,
            _linked(described.name, field.name, parent),
        )
        for field in described.references
        if field.is_writeable
        for parent in field.reference_to
        if parent.lower() in listed and listed[parent.lower()].queryable
    )


def _children(described: SObject, listed: dict[str, SObjectSummary]) -> tuple[_Edge, ...]:
    known = (
        (child, listed.get(child.child_sobject.lower())) for child in described.child_relationships
    )
    return tuple(
        _Edge(
            child.child_sobject,
            child.field,
            child.cascade_delete,
            _linked(child.child_sobject, child.field, described.name),
        )
        for child, summary in known
        if summary is not None and not _reason_against(summary, None)
    )


def _linked(child: str, field: str, parent: str) -> str:
    """Rows of the child whose lookup leads to the parent; it may lead to other objects too."""
    return f"SELECT COUNT() FROM {child} WHERE {field} IN (SELECT Id FROM {parent})"  # noqa: S608 names come from the org's describe


def _counts(client: RowSource, asked: list[str]) -> list[int | None]:
    answers = client.counts(asked)
    return [None if isinstance(answer, OrgbridgeError) else answer for answer in answers]
