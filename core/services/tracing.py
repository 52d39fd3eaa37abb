"""Where did this record go, or where did it come from: by an id of either org, its key or its name.

An id is looked up in the ledger and among the failures; no org is asked. Anything else is taken for
a key or a name: the orgs of the plans are asked for records that hold it in the key field of a
mapping or in the name field of its objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import roles
from core.db import orgs as org_rows
from core.db import plans as plan_rows
from core.db import traces
from core.db.traces import LinkLine, SetbackLine
from core.domain.describe import Field
from core.domain.ids import is_id, to18
from core.domain.plan import plan_from_document
from core.domain.roles import Actor, Role
from core.domain.soql import quoted
from core.errors import OrgbridgeError, SessionLostError, TransientError, UserError

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

__all__ = ["LinkLine", "SetbackLine", "Trace", "trace"]

#: fields of orgs that are asked for a key
QUESTIONS_MAX = 40
#: records that may hold one key before it is too common to be followed
RECORDS_MAX = 20


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of a record."""

    asked: str
    #: ids that stand for it: itself, or those found by key or name
    record_ids: tuple[str, ...]
    links: tuple[LinkLine, ...]
    setbacks: tuple[SetbackLine, ...]
    #: by Organization Id
    org_names: dict[str, str]
    #: places that were asked: "Account.Legacy_Id__c in New"
    looked_in: tuple[str, ...] = ()
    #: why a place could not be asked
    unasked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Question:
    """One field of one org."""

    org_id: UUID
    org: str
    sobject: str
    #: a key field; blank for the name field, which the describe knows
    field: str = ""


def trace(bridge: Orgbridge, actor: Actor, asked: str) -> Trace:
    """Everything known of one record.

    Cost: two reads; for a key or a name besides one query per key field and name field of the
    plans' mappings, at most QUESTIONS_MAX.

    Raises:
        UserError: nothing was asked for.
    """
    roles.require(actor, Role.VIEWER)
    wanted = asked.strip()
    if not wanted:
        raise UserError("Nothing to look for.", next_step="Give an id, or the value of a key.")
    if is_id(wanted):
        return _known(bridge, actor, wanted, [to18(wanted)])
    found: list[str] = []
    looked, unasked = [], []
    away: set[UUID] = set()
    for question in _questions(bridge, actor):
        if question.org_id in away:
            continue
        try:
            field, holders = _holders(bridge, actor, question, wanted)
        except (TransientError, SessionLostError) as problem:
            away.add(question.org_id)  # each further question would be waited for as long
            unasked.append(f"{question.org}: {problem.happened}")
            continue
        except OrgbridgeError as problem:
            unasked.append(f"{question.sobject} in {question.org}: {problem.happened}")
            continue
        found += holders
        if field:
            looked.append(f"{question.sobject}.{field} in {question.org}")
    known = _known(bridge, actor, wanted, list(dict.fromkeys(found)))
    return Trace(
        known.asked,
        known.record_ids,
        known.links,
        known.setbacks,
        known.org_names,
        tuple(dict.fromkeys(looked)),
        tuple(dict.fromkeys(unasked)),
    )


def _known(bridge: Orgbridge, actor: Actor, asked: str, ids: list[str]) -> Trace:
    with bridge.session(actor.workspace_id) as session:
        links = traces.links(session, ids)
        # a failure names the source's id; the ledger may know it by the target's
        setbacks = traces.setbacks(session, [*ids, *(link.source_id for link in links)])
        names = {org.org_id: org.name for org in org_rows.org_rows(session) if org.org_id}
    return Trace(asked, tuple(ids), tuple(links), tuple(setbacks), names)


def _questions(bridge: Orgbridge, actor: Actor) -> list[_Question]:
    """Key fields of all plans, then names of their objects, each once; Id is no key to be asked
    for."""
    with bridge.session(actor.workspace_id) as session:
        names = {org.id: org.name for org in org_rows.org_rows(session)}
        drafts = [
            plan_rows.plan_draft(session, plan_id=row.id) for row in plan_rows.live_plans(session)
        ]
    asked: dict[_Question, None] = {}
    for draft in drafts:
        for question in _of_plan(draft, names):
            asked.setdefault(question)
    return sorted(asked, key=lambda question: not question.field)[:QUESTIONS_MAX]


def _of_plan(draft: plan_rows.PlanDraft, names: dict[UUID, str]) -> Iterator[_Question]:
    sides = (draft.row.target_org_id, draft.row.source_org_id)
    for mapping in plan_from_document(draft.document).objects:
        keys = (mapping.key.target, mapping.key.source)
        objects = (mapping.target, mapping.source)
        for org_id, fields, sobject in zip(sides, keys, objects, strict=True):
            if org_id not in names:
                continue
            if len(fields) == 1 and fields[0].lower() != "id":
                yield _Question(org_id, names[org_id], sobject, fields[0])
            yield _Question(org_id, names[org_id], sobject)


def _holders(
    bridge: Orgbridge, actor: Actor, question: _Question, wanted: str
) -> tuple[str, list[str]]:
    """The field that was asked and the ids that hold the value; no field where none can hold it."""
    client = bridge.org_client(actor.workspace_id, question.org_id)
    described = client.describe(question.sobject)
    named = (each.name for each in described.fields.values() if each.name_field)
    name = question.field or next(named, "")
    field = described.fields.get(name)
    if field is None:
        literal: str | None = quoted(wanted) if "." in name else None
    else:
        literal = _literal(field, wanted)
    if literal is None:
        return "", []
    soql = (
        f"SELECT Id FROM {described.name} WHERE {name} = {literal}"  # noqa: S608 quoted
        f" LIMIT {RECORDS_MAX}"
    )
    return name, [to18(str(row["Id"])) for row in client.query(soql)]


def _literal(field: Field, key: str) -> str | None:
    """The value as the field's type is compared; None where it cannot be such a value."""
    if field.is_number:
        plain = key.replace(".", "", 1).removeprefix("-")
        return key if plain.isascii() and plain.isdigit() else None
    if field.type in ("boolean", "date", "datetime", "time"):
        return None
    return quoted(key)
