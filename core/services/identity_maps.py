"""Who stands for whom: owners and record types of the source and of the target, with a plan's map.

    owner_map(plan) ─▶ every user and queue that owns rows in scope, with rows and the one found
    record_type_map(plan, mapping) ─▶ every record type in use, likewise
    with_owners(…) · with_record_types(…) ─▶ the plan with the map, as one saved edit

Only owners of rows in scope are listed: an org has thousands of users and few of them own anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.access import roles
from core.domain.describe import RecordType, SObject
from core.domain.plan import LookupPolicy, MatchFields, ObjectMapping, Plan
from core.domain.roles import Role
from core.errors import OrgbridgeError, UserError
from core.plans import editing
from core.plans.editing import FieldPlace
from core.plans.identity_matching import (
    FoundBy,
    OrgUser,
    UserMatch,
    match_queues,
    match_record_types,
    match_users,
    username_map,
)
from core.services import editor, plans

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor
    from core.salesforce.client import OrgClient
    from core.salesforce.source import RowSource

__all__ = ["FoundBy", "OrgUser", "UserMatch"]

#: owners of one object that are told apart; Salesforce answers a grouping with at most 2,000 rows
OWNERS_MAX = 2_000
#: users of the target that can be chosen
USERS_MAX = 10_000
#: ids in one condition; keeps the query below 20,000 characters
IDS_AT_ONCE = 500
QUEUE_PREFIX = "00G"
RECORD_TYPE = "RecordTypeId"


@dataclass(frozen=True, slots=True)
class OwnerLine:
    """One owner of rows in scope."""

    match: UserMatch
    rows: int
    is_queue: bool


@dataclass(frozen=True, slots=True)
class OwnerMap:
    """The owners of a plan's rows and who can take their place."""

    #: those without one in the target first, then by rows
    lines: tuple[OwnerLine, ...]
    users: tuple[OrgUser, ...]
    queues: tuple[OrgUser, ...]
    policy: LookupPolicy
    #: mappings whose owner field has a policy of its own, which goes before the plan's
    exceptions: tuple[str, ...]
    #: objects whose owners could not be read, with the org's words
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordTypeLine:
    """One record type of the source."""

    developer_name: str
    label: str
    #: rows in scope that have it
    rows: int
    #: developer name in the target; None when none was found
    target: str | None


@dataclass(frozen=True, slots=True)
class RecordTypeMap:
    """The record types of one object mapping."""

    lines: tuple[RecordTypeLine, ...]
    choices: tuple[RecordType, ...]
    policy: LookupPolicy


def owner_map(bridge: Orgbridge, actor: Actor, plan_id: UUID) -> OwnerMap:
    """Every user and queue that owns rows in scope.

    Cost: one grouping query per object with an owner, one query per 500 owners, one of the target's
    users, one of each org's queues.

    Raises:
        UserError: an org of the plan is not connected.
    """
    roles.require(actor, Role.VIEWER)
    view = plans.plan(bridge, actor, plan_id)
    source, target = _clients(bridge, actor, view)
    rows, problems = _owned_rows(source, view.plan)
    policy = view.plan.users or LookupPolicy()
    users, queues = _users(target), _queues(target)
    ours = {user.user_id: user for user in _users(source, ids=_of_users(rows))}
    our_queues = {queue.user_id: queue for queue in _queues(source) if queue.user_id in rows}
    found = [
        *_lines(match_users(ours.values(), users, chosen=policy.map), rows, is_queue=False),
        *_lines(match_queues(our_queues.values(), queues, chosen=policy.map), rows, is_queue=True),
    ]
    return OwnerMap(
        lines=tuple(sorted(found, key=lambda line: (line.match.target is not None, -line.rows))),
        users=users,
        queues=queues,
        policy=policy,
        exceptions=tuple(_exceptions(view.plan)),
        problems=tuple(problems),
    )


def with_owners(plan: Plan, *, chosen: Mapping[str, str | None], missing: str) -> Plan:
    """The plan with that user map.

    Args:
        chosen: username (developer name of a queue) in the target by that in the source.
        missing: what becomes of rows of other owners: reject, running_user, an id of the target.
    """
    kept = {
        name: other
        for name, other in chosen.items()
        if other is not None and other.lower() != name.lower()
    }
    before = plan.users or LookupPolicy()
    policy = LookupPolicy(
        missing=missing,
        match=MatchFields(source="Username", target="Username"),
        ambiguous=before.ambiguous,
        map=kept,
    )
    return plan.model_copy(update={"users": policy})


def chosen_of(lines: Iterable[OwnerLine]) -> dict[str, str]:
    """What a map of these lines says: entries for owners who are called otherwise in the target."""
    return username_map(line.match for line in lines)


def record_type_map(
    bridge: Orgbridge, actor: Actor, plan_id: UUID, *, mapping: str
) -> RecordTypeMap:
    """The record types of one object mapping with their rows; no lines where the source has none.

    Cost: one grouping query.
    """
    roles.require(actor, Role.VIEWER)
    view = plans.plan(bridge, actor, plan_id)
    both = editor.sides(bridge, actor, plan_id, mapping=mapping)
    entry = view.plan.mapping(mapping)
    source, _ = _clients(bridge, actor, view)
    policy = entry.lookup(RECORD_TYPE)
    choices = tuple(each for each in both.target.record_types if not each.master and each.active)
    named = match_record_types(both.source.record_types, choices, chosen=policy.map)
    rows = _rows_by(source, both.source, entry, RECORD_TYPE) if named else {}
    lines = tuple(
        RecordTypeLine(
            developer_name=each.developer_name,
            label=each.name or each.developer_name,
            rows=rows.get(each.record_type_id, 0),
            target=named[each.developer_name],
        )
        for each in both.source.record_types
        if not each.master
    )
    return RecordTypeMap(lines, choices, policy)


def with_record_types(
    plan: Plan, *, mapping: str, chosen: Mapping[str, str | None], missing: str
) -> Plan:
    """The plan with that record type map; record types called alike need no entry."""
    policy = plan.mapping(mapping).lookup(RECORD_TYPE)
    kept = {name: other for name, other in chosen.items() if other != name}
    changed = policy.model_copy(update={"map": kept, "missing": missing})
    return editing.set_lookup(plan, FieldPlace(mapping, RECORD_TYPE), changed)


def _clients(bridge: Orgbridge, actor: Actor, view: plans.PlanView) -> tuple[RowSource, OrgClient]:
    ids = (view.row.source_org_id, view.row.target_org_id)
    if ids[0] is None or ids[1] is None:
        name = view.plan.source if ids[0] is None else view.plan.target
        raise UserError(
            f"The org {name} is not connected.", next_step="Connect it under Orgs with this name."
        )
    workspace = actor.workspace_id
    return bridge.row_source(workspace, ids[0]), bridge.org_client(workspace, ids[1])


def _owned_rows(source: RowSource, plan: Plan) -> tuple[dict[str, int], list[str]]:
    """Rows in scope by owner id, over all objects that have owners."""
    rows: dict[str, int] = {}
    problems: list[str] = []
    for entry in plan.objects:
        try:
            described = source.describe(entry.source)
            if "OwnerId" not in described.fields:
                continue
            for owner, count in _rows_by(source, described, entry, "OwnerId").items():
                rows[owner] = rows.get(owner, 0) + count
        except OrgbridgeError as problem:
            problems.append(f"{entry.source}: {problem.happened}")
    return rows, problems


def _rows_by(
    source: RowSource, described: SObject, entry: ObjectMapping, field: str
) -> dict[str, int]:
    if field not in described.fields:
        return {}
    where = f" WHERE {entry.where}" if entry.where else ""
    soql = (
        f"SELECT {field}, COUNT(Id) n FROM {described.name}{where} "  # noqa: S608 names of the describe; the org reads the filter
        f"GROUP BY {field} ORDER BY COUNT(Id) DESC LIMIT {OWNERS_MAX}"
    )
    return {str(row[field]): int(row["n"]) for row in source.query(soql) if row[field]}


def _users(client: RowSource, *, ids: Sequence[str] | None = None) -> tuple[OrgUser, ...]:
    """Users of an org: those of the ids, or all up to a limit."""
    described = client.describe("User")
    columns = ["Id", "Username", "Name", "Email", "IsActive"]
    if "FederationIdentifier" in described.fields:
        columns.append("FederationIdentifier")
    base = f"SELECT {', '.join(columns)} FROM User"  # noqa: S608 names written here
    if ids is None:
        asked = [f"{base} ORDER BY Username LIMIT {USERS_MAX}"]
    else:
        parts = [ids[at : at + IDS_AT_ONCE] for at in range(0, len(ids), IDS_AT_ONCE)]
        asked = [f"{base} WHERE Id IN ({_quoted(part)}) ORDER BY Username" for part in parts]
    return tuple(_user(row) for soql in asked for row in client.query(soql))


def _user(row: Mapping[str, Any]) -> OrgUser:
    return OrgUser(
        user_id=str(row["Id"]),
        username=str(row["Username"]),
        name=str(row.get("Name") or ""),
        email=str(row.get("Email") or ""),
        federation_id=str(row.get("FederationIdentifier") or ""),
        is_active=bool(row.get("IsActive", True)),
    )


def _queues(client: RowSource) -> tuple[OrgUser, ...]:
    """Queues of an org; none where it has no groups that the user may see."""
    soql = "SELECT Id, DeveloperName, Name FROM Group WHERE Type = 'Queue' ORDER BY DeveloperName"
    try:
        rows = list(client.query(soql))
    except OrgbridgeError:
        return ()
    return tuple(
        OrgUser(str(row["Id"]), str(row["DeveloperName"]), str(row.get("Name") or ""))
        for row in rows
    )


def _of_users(rows: Mapping[str, int]) -> list[str]:
    return [owner for owner in rows if not owner.startswith(QUEUE_PREFIX)]


def _quoted(ids: Sequence[str]) -> str:
    return ", ".join(f"'{each}'" for each in ids)


def _lines(
    matches: Iterable[UserMatch], rows: Mapping[str, int], *, is_queue: bool
) -> Iterable[OwnerLine]:
    for match in matches:
        yield OwnerLine(match, rows.get(match.source.user_id, 0), is_queue)


def _exceptions(plan: Plan) -> Iterable[str]:
    for entry in plan.objects:
        if any(name.lower() == "ownerid" for name in entry.lookups):
            yield entry.name
