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
from core.db.duplicates import DecisionRow, Elsewhere
from core.domain.ids import to18
from core.domain.roles import Role
from core.errors import RefusedError, UserError
from core.operations import registry

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.describe import SObject
    from core.domain.roles import Actor
    from core.salesforce.client import OrgClient

__all__ = ["DecisionRow"]

#: child objects that are counted for a comparison
MOST_CHILD_COUNTS = 50
#: an org and the name of one of its objects
Place = tuple[UUID, str]


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
    #: which of the search's orgs holds each record, in order of the ids: 0, or 1 for the second
    sides: tuple[int, ...] = ()

    @property
    def suggested(self) -> str:
        """Who survives unless somebody chooses another: of two orgs, the second's first record."""
        there = zip(self.record_ids, self.sides, strict=False)
        return next((one for one, side in there if side), self.record_ids[0])


@dataclass(frozen=True, slots=True)
class Board:
    """The clusters of one search."""

    #: where it searched: one place, or two that were compared with each other
    places: tuple[Place, ...]
    #: names of their orgs
    orgs: tuple[str, ...]
    fields: tuple[str, ...]
    clusters: tuple[Cluster, ...]

    def elsewhere(self, cluster: Cluster) -> Elsewhere | None:
        """Which of a cluster's records the second org holds; None where only one was searched."""
        if len(self.places) < 2:
            return None
        org_id, sobject = self.places[1]
        there = zip(cluster.record_ids, cluster.sides, strict=True)
        return Elsewhere(org_id, sobject, tuple(str(to18(one)) for one, side in there if side))

    @property
    def open(self) -> tuple[Cluster, ...]:
        """Those that wait for a decision, the most certain first."""
        return tuple(one for one in self.clusters if one.decision is None)

    def likely(self, from_probability: float) -> tuple[Cluster, ...]:
        """Those that wait and are at least so likely the same; without a probability none is."""
        return tuple(
            one
            for one in self.open
            if one.probability is not None and one.probability >= from_probability
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """The records of a cluster side by side."""

    record_ids: tuple[str, ...]
    #: field, values in order of the ids, whether they differ
    fields: tuple[tuple[str, tuple[Any, ...], bool], ...]
    #: child object and lookup → number of children, in order of the ids
    children: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    #: what the records are called that lookups lead to, by id
    names: Mapping[str, str] = field(default_factory=dict)


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
        places = [(entry.source_org_id, sobject)]
        names = tuple(map(str, entry.result.get("orgs", ())))
        if len(names) > 1:
            other = orgs.org_named(session, names[1])
            if other is None:
                raise UserError(
                    "The second org of this search has been removed.", next_step="Search again."
                )
            places.append((other.id, str(entry.parameters.get("across_object") or sobject)))
        decided = rows.decisions(session, org_id=entry.source_org_id, sobject=sobject)
    fields = tuple(entry.result.get("fields", ()))
    clusters = tuple(_cluster(one, decided, fields) for one in entry.result.get("clusters", ()))
    return Board(tuple(places), names, fields, clusters)


def decide(
    bridge: Orgbridge,
    actor: Actor,
    place: Place,
    *,
    record_ids: Sequence[str],
    decision: Literal["keep", "not_duplicates", "skip"],
    survivor_id: str | None = None,
    values: Mapping[str, str] | None = None,
    elsewhere: Elsewhere | None = None,
) -> DecisionRow:
    """Keep a decision on one cluster; ``place`` is org and object.

    Args:
        values: field → id of the record whose value the survivor is to have.
        elsewhere: which of the records a second org holds.

    Raises:
        UserError: fewer than two records, or a survivor or value from outside the cluster.
    """
    roles.require(actor, Role.ANALYST, to="decide about duplicates")
    ids = tuple(sorted({str(to18(one)) for one in record_ids}))
    chosen = {name: str(to18(one)) for name, one in (values or {}).items()}
    survivor = str(to18(survivor_id)) if survivor_id else None
    _check(ids, decision, survivor, chosen=chosen)
    made = DecisionRow(
        rows.cluster_key(ids),
        decision,
        survivor,
        ids,
        chosen,
        actor.name,
        bridge.clock(),
        elsewhere,
    )
    _keep(bridge, actor, place, made=[made])
    return made


def accept(
    bridge: Orgbridge, actor: Actor, *, log_id: UUID, from_probability: float, count: int
) -> int:
    """Keep the suggested record of every open cluster of a search that is likely enough.

    All are kept, or none; what was decided before stays as it is.

    Args:
        count: how many clusters the person saw.

    Raises:
        UserError: meanwhile there are more or fewer of them.
    """
    roles.require(actor, Role.ANALYST, to="decide about duplicates")
    found = board(bridge, actor, log_id=log_id)
    wanted = found.likely(from_probability)
    if len(wanted) != count:
        raise UserError(
            f"By now {len(wanted):,} groups are at least so likely the same, not {count:,}.",
            state="None was accepted.",
            next_step="Look at the list again.",
        )
    made = [
        DecisionRow(
            cluster.key,
            "keep",
            str(to18(cluster.suggested)),
            tuple(sorted(str(to18(one)) for one in cluster.record_ids)),
            {},
            actor.name,
            bridge.clock(),
            found.elsewhere(cluster),
        )
        for cluster in wanted
    ]
    _keep(bridge, actor, found.places[0], made=made)
    return len(wanted)


def reopen(bridge: Orgbridge, actor: Actor, place: Place, *, key: str) -> bool:
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
    bridge: Orgbridge, actor: Actor, places: Sequence[Place], *, cluster: Cluster
) -> Comparison:
    """The records as they are in their orgs now, field by field, with their children counted.

    Args:
        places: those of the search; the cluster's ``sides`` are positions among them.

    Cost: per org one call for the records, one per 25 counts of children, one per object that
    lookups lead to.
    """
    roles.require(actor, Role.VIEWER)
    ids = [str(to18(one)) for one in cluster.record_ids]
    sides = cluster.sides or (0,) * len(ids)
    told: list[_Side] = []
    for number, (org_id, sobject) in enumerate(places):
        mine = [one for one, side in zip(ids, sides, strict=True) if side == number]
        if mine:
            told.append(_side(bridge.org_client(actor.workspace_id, org_id), sobject, mine))
    rows_ = {one: row for side in told for one, row in side.rows.items()}
    names = {one: name for side in told for one, name in side.names.items()}
    lines = []
    for name in dict.fromkeys(name for side in told for name in side.fields):
        values = tuple(rows_.get(one, {}).get(name) for one in ids)
        # ids of two orgs differ always: what they are called tells
        shown = values if len(told) == 1 else [names.get(str(one), one) for one in values]
        lines.append((name, values, len({str(value) for value in shown}) > 1))
    side_of = {one: side for side in told for one in side.ids}
    children = {
        name: tuple(side_of[one].children[name].get(one) for one in ids)
        for name in told[0].children
        if all(name in side.children for side in told)
    }
    return Comparison(tuple(ids), tuple(lines), children, names)


@dataclass(frozen=True, slots=True)
class _Side:
    """What one org says of its members of a cluster."""

    ids: Sequence[str]
    fields: Sequence[str]
    rows: Mapping[str, Mapping[str, Any]]
    #: child object and lookup → id → number
    children: Mapping[str, Mapping[str, int | None]]
    names: Mapping[str, str]


def _side(client: OrgClient, sobject: str, ids: Sequence[str]) -> _Side:
    described = client.describe(sobject)
    names = [one.name for one in described.fields.values() if one.type != "base64"]
    found = client.retrieve(sobject, ids, names)
    children = _children(client, described, ids)
    return _Side(ids, names, found, children, _called(client, described, found))


def _children(
    client: OrgClient, described: SObject, ids: Sequence[str]
) -> dict[str, dict[str, int | None]]:
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
    counted = iter(client.counts(soqls))
    return {
        f"{child}.{lookup}": {
            one: number if isinstance(number, int) else None
            for one, number in zip(ids, counted, strict=False)
        }
        for child, lookup in lookups
    }


def _called(
    client: OrgClient, described: SObject, found: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """What the records are called that the rows' lookups lead to; those that cannot be read are
    left out."""
    lookups = [one.name for one in described.fields.values() if one.is_reference]
    wanted = {str(row[name]) for row in found.values() for name in lookups if row.get(name)}
    names: dict[str, str] = {}
    for sobject, ids in client.describes.by_object(sorted(wanted)).items():
        try:
            fields = client.describe(sobject).fields.values()
            named = next((one.name for one in fields if one.name_field), None)
            if named is None:
                continue
            called = client.retrieve(sobject, ids, ["Id", named])
        except RefusedError:  # the comparison is worth more than these names
            continue
        names |= {one: str(row[named]) for one, row in called.items() if row.get(named)}
    return names


def _keep(bridge: Orgbridge, actor: Actor, place: Place, *, made: Sequence[DecisionRow]) -> None:
    """Keeps decisions about records of one org, all or none."""
    org_id, sobject = place
    with bridge.session(actor.workspace_id) as session:
        org = orgs.org_row(session, org_id)
        for row in made:
            rows.keep_decision(session, row, org_id=org_id, sobject=sobject)
            audit.record(
                session,
                actor,
                "duplicates.decide",
                subject_kind="org",
                subject_id=org_id,
                subject_name=org.name,
                after={
                    "object": sobject,
                    "decision": row.decision,
                    "survivor": row.survivor_id,
                    "ids": row.record_ids,
                },
            )


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
        tuple(int(one.get("side") or 0) for one in members),
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
