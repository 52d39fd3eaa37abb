"""Likely duplicates as people settle them: open clusters, a look side by side, decisions kept.

Nothing is merged in an org from here. A decision names the survivor; a later run of a plan that
follows decisions redirects the losers' children to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from core.access import audit, roles
from core.db import duplicates as rows
from core.db import operation_logs, orgs
from core.db.duplicates import DecisionRow
from core.domain.ids import to18
from core.domain.roles import Role
from core.errors import UserError
from core.operations import registry

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor

__all__ = ["DecisionRow"]

#: child objects that are counted for a comparison
MOST_CHILD_COUNTS = 50


@dataclass(frozen=True, slots=True)
class Cluster:
    """Records that are likely the same, with what was decided about them."""

    key: str
    probability: float | None
    record_ids: tuple[str, ...]
    #: values of the compared fields, in order of the ids
    members: tuple[Mapping[str, Any], ...]
    #: why the first two are taken as the same: field → likeness and bits
    why: Mapping[str, Any]
    decision: DecisionRow | None


@dataclass(frozen=True, slots=True)
class Board:
    """The clusters of one search."""

    org_id: UUID
    sobject: str
    fields: tuple[str, ...]
    clusters: tuple[Cluster, ...]

    @property
    def open(self) -> tuple[Cluster, ...]:
        """Those that wait for a decision, the most certain first."""
        return tuple(one for one in self.clusters if one.decision is None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The records of a cluster side by side."""

    record_ids: tuple[str, ...]
    #: field, values in order of the ids, whether they differ
    fields: tuple[tuple[str, tuple[Any, ...], bool], ...]
    #: child object and lookup → number of children, in order of the ids
    children: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)


def board(bridge: Orgbridge, actor: Actor, *, log_id: UUID) -> Board:
    """The clusters of a search with the decisions made so far.

    A cluster all of whose records were once told apart is not asked about again.
    """
    roles.require(actor, Role.VIEWER)
    table = registry.operation("duplicates").log_table
    with bridge.session(actor.workspace_id) as session:
        entry = operation_logs.entry(session, table, log_id=log_id)
        if entry.source_org_id is None:
            raise UserError("The org of this search has been removed.")
        sobject = str(entry.parameters["sobject"])
        decided = rows.decisions(session, org_id=entry.source_org_id, sobject=sobject)
    fields = tuple(entry.result.get("fields", ()))
    clusters = tuple(_cluster(one, decided, fields) for one in entry.result.get("clusters", ()))
    return Board(entry.source_org_id, sobject, fields, clusters)


def decide(
    bridge: Orgbridge,
    actor: Actor,
    place: tuple[UUID, str],
    *,
    record_ids: Sequence[str],
    decision: Literal["keep", "not_duplicates", "skip"],
    survivor_id: str | None = None,
    values: Mapping[str, str] | None = None,
) -> DecisionRow:
    """Keep a decision on one cluster; ``place`` is org and object.

    Args:
        values: field → id of the record whose value the survivor is to have.

    Raises:
        UserError: fewer than two records, or a survivor or value from outside the cluster.
    """
    roles.require(actor, Role.ANALYST, to="decide about duplicates")
    org_id, sobject = place
    ids = tuple(sorted({str(to18(one)) for one in record_ids}))
    chosen = {name: str(to18(one)) for name, one in (values or {}).items()}
    survivor = str(to18(survivor_id)) if survivor_id else None
    _check(ids, decision, survivor, chosen=chosen)
    made = DecisionRow(
        rows.cluster_key(ids), decision, survivor, ids, chosen, actor.name, bridge.clock()
    )
    with bridge.session(actor.workspace_id) as session:
        org = orgs.org_row(session, org_id)
        rows.keep_decision(session, made, org_id=org_id, sobject=sobject)
        audit.record(
            session,
            actor,
            "duplicates.decide",
            subject_kind="org",
            subject_id=org_id,
            subject_name=org.name,
            after={"object": sobject, "decision": decision, "survivor": survivor, "ids": ids},
        )
    return made


def reopen(bridge: Orgbridge, actor: Actor, place: tuple[UUID, str], *, key: str) -> bool:
    """Forget the decision on a cluster; False when there was none."""
    roles.require(actor, Role.ANALYST, to="decide about duplicates")
    org_id, sobject = place
    with bridge.session(actor.workspace_id) as session:
        org = orgs.org_row(session, org_id)
        gone = rows.forget_decision(session, org_id=org_id, sobject=sobject, key=key)
        if gone:
            audit.record(
                session,
                actor,
                "duplicates.reopen",
                subject_kind="org",
                subject_id=org_id,
                subject_name=org.name,
                before={"object": sobject, "cluster": key},
            )
    return gone


def compared(
    bridge: Orgbridge, actor: Actor, place: tuple[UUID, str], *, record_ids: Sequence[str]
) -> Comparison:
    """The records as they are in the org now, field by field, with their children counted.

    Cost: one call for the records, one per 25 counts of children.
    """
    roles.require(actor, Role.VIEWER)
    org_id, sobject = place
    client = bridge.org_client(actor.workspace_id, org_id)
    described = client.describe(sobject)
    names = [one.name for one in described.fields.values() if one.type != "base64"]
    ids = [str(to18(one)) for one in record_ids]
    found = client.retrieve(sobject, ids, names)
    lines = []
    for name in names:
        values = tuple(found.get(one, {}).get(name) for one in ids)
        lines.append((name, values, len({str(value) for value in values}) > 1))
    known = {one.name for one in client.describe_global() if one.queryable}
    lookups = [
        (one.child_sobject, one.field)
        for one in described.child_relationships
        if one.child_sobject in known and one.relationship_name
    ][: MOST_CHILD_COUNTS // max(len(ids), 1)]
    soqls = [
        f"SELECT COUNT() FROM {child} WHERE {lookup} = '{one}'"  # noqa: S608 described names, ids
        for child, lookup in lookups
        for one in ids
    ]
    counted = client.counts(soqls)
    children = {
        f"{child}.{lookup}": tuple(
            number if isinstance(number, int) else None
            for number in counted[at * len(ids) : (at + 1) * len(ids)]
        )
        for at, (child, lookup) in enumerate(lookups)
    }
    return Comparison(tuple(ids), tuple(lines), children)


def _cluster(
    given: Mapping[str, Any], decided: Mapping[str, DecisionRow], fields: Sequence[str]
) -> Cluster:
    """One stored cluster; JSONB forgets the order of names, the fields give it back."""
    members = given["members"]
    ids = tuple(str(one["id"]) for one in members)
    key = rows.cluster_key(ids)
    return Cluster(
        key,
        given["probability"],
        ids,
        tuple({name: one["values"].get(name) for name in fields} for one in members),
        {name: given["why"][name] for name in fields if name in given["why"]},
        decided.get(key) or _told_apart(ids, decided),
    )


def _told_apart(ids: Sequence[str], decided: Mapping[str, DecisionRow]) -> DecisionRow | None:
    wanted = set(ids)
    for row in decided.values():
        if row.decision == "not_duplicates" and wanted <= set(row.record_ids):
            return row
    return None


def _check(
    ids: Sequence[str], decision: str, survivor: str | None, *, chosen: Mapping[str, str]
) -> None:
    if len(ids) < 2:
        raise UserError("A decision needs at least two records.")
    if decision == "keep" and survivor is None:
        raise UserError("Nobody survives.", next_step="Choose the record to keep.")
    outside = {survivor, *chosen.values()} - {None} - set(ids)
    if outside:
        raise UserError(
            f"The record {sorted(map(str, outside))[0]} is not one of the cluster.",
            next_step="Choose among its records.",
        )
