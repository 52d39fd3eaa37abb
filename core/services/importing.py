"""From files to a plan: which object a table becomes, its key, its fields and its lookups, guessed.

The plan is one like any other: its source is the file set, it is reviewed in the editor, checked,
rehearsed, launched, verified and undone. A later delivery takes the place of the set that the plan
reads from, and rows with known keys are updated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.access import roles
from core.db import orgs as org_rows
from core.domain import automap
from core.domain.csv import people_csv
from core.domain.describe import Field, SObject
from core.domain.plan import plan_from_document
from core.domain.roles import Role
from core.errors import UserError
from core.files.tables import Link, TableSpec
from core.services import files, plans

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor
    from core.salesforce.client import OrgClient
    from core.salesforce.source import RowSource

#: suggestions below are left to the editor
SURE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTarget:
    """What becomes of one table."""

    table: str
    target: str
    operation: str = "upsert"
    #: column and target field by which records are recognised; "" recognises by the ledger
    key_column: str = ""
    key_field: str = ""


def targets(
    bridge: Orgbridge, actor: Actor, row: files.FileSetRow, *, target: str
) -> tuple[TableTarget, ...]:
    """A target object and key for every table whose name tells one; the others have none.

    Args:
        target: registered name of the target org.
    """
    roles.require(actor, Role.VIEWER)
    client = _client(bridge, actor, target)
    known = {one.name.lower(): one.name for one in client.describe_global() if one.createable}
    known |= {
        one.label.lower(): one.name
        for one in client.describe_global()
        if one.createable and one.label.lower() not in known
    }
    return tuple(
        _target_of(table, client, _object_named(table.object, known)) for table in files.tables(row)
    )


def plan_of(
    bridge: Orgbridge,
    actor: Actor,
    row: files.FileSetRow,
    *,
    target: str,
    name: str,
    tables: Sequence[TableTarget],
) -> UUID:
    """A new plan that reads the tables; its id.

    Raises:
        UserError: no table is chosen, an object or key field is not there, the name is taken, or
            the files were not read yet. Nothing was saved.
    """
    roles.require(actor, Role.ANALYST, to="make plans")
    chosen = [one for one in tables if one.target]
    if not chosen:
        raise UserError(
            "No table has a target object.",
            state="Nothing was saved.",
            next_step="Choose an object for at least one table.",
        )
    source = bridge.row_source(actor.workspace_id, row.registered_org_id)
    client = _client(bridge, actor, target)
    specs = {spec.object: spec for spec in files.tables(row)}
    for one in chosen:
        if one.table not in specs:
            raise UserError(f"The files hold no table {one.table}.", state="Nothing was saved.")
    becomes = {one.table.lower(): one.target for one in chosen}
    objects = [
        _mapping(one, specs[one.table], becomes=becomes, sides=_sides(one, source, client))
        for one in chosen
    ]
    document = {"orgbridge": 1, "name": name, "source": row.name, "target": target}
    return plans.create(bridge, actor, plan_from_document({**document, "objects": objects}))


def deliver(bridge: Orgbridge, actor: Actor, row: files.FileSetRow, *, plan: str) -> UUID:
    """Lets a plan read from this set from now on; its earlier versions keep theirs. The plan's id.

    Raises:
        UserError: a table that the plan reads is not in the set.
    """
    roles.require(actor, Role.ANALYST, to="change plans")
    view = plans.plan(bridge, actor, name=plan)
    known = {table.object.lower() for table in files.tables(row)}
    missing = [one.source for one in view.plan.objects if one.source.lower() not in known]
    if missing:
        raise UserError(
            f"The files {row.name} hold no table {missing[0]}, which {plan} reads.",
            state="The plan is unchanged.",
            next_step="Name the table so, or the file, and upload again.",
        )
    changed = view.plan.model_copy(update={"source": row.name})
    plans.save(bridge, actor, view.row.id, document=changed, revision=view.row.revision)
    return view.row.id


def template_csv(bridge: Orgbridge, actor: Actor, *, org: str, sobject: str) -> bytes:
    """A CSV with a header of all fields of an object that an insert may carry, and no rows."""
    import polars as pl

    roles.require(actor, Role.VIEWER)
    described = _client(bridge, actor, org).describe(sobject)
    names = [
        one.name
        for one in described.fields.values()
        if one.createable and one.type not in ("base64", "address", "location")
    ]
    return people_csv(pl.DataFrame(schema=dict.fromkeys(names, pl.String)))


def _client(bridge: Orgbridge, actor: Actor, name: str) -> OrgClient:
    with bridge.session(actor.workspace_id) as session:
        found = org_rows.org_named(session, name)
    if found is None or found.environment == "files":
        raise UserError(
            f"There is no org {name!r} in this workspace.",
            next_step="Connect it under this name first.",
        )
    return bridge.org_client(actor.workspace_id, found.id)


def _object_named(table: str, known: Mapping[str, str]) -> str:
    """The object that a table's name means: itself, singular or plural, with spaces or without."""
    low = table.lower()
    forms = [low, low.removesuffix("s"), f"{low}__c", low.removesuffix("s") + "__c"]
    if low.endswith("ies"):
        forms.append(low.removesuffix("ies") + "y")
    forms += [form.replace("_", " ") for form in forms] + [form.replace("_", "") for form in forms]
    return next((known[form] for form in forms if form in known), "")


def _target_of(table: TableSpec, client: OrgClient, target: str) -> TableTarget:
    if not target or len(table.key) != 1:
        return TableTarget(table=table.object, target=target, operation="insert")
    described = client.describe(target)
    keys = [f for f in described.fields.values() if f.external_id or (f.unique and f.createable)]
    same = [f for f in keys if f.name.lower() == table.key[0].lower()]
    wanted = _flat(table.key[0])
    alike = same or [f for f in keys if wanted in (_flat(f.name), _flat(f.label))] or keys
    if len(alike) != 1:
        return TableTarget(table=table.object, target=target, operation="insert")
    return TableTarget(
        table=table.object, target=target, key_column=table.key[0], key_field=alike[0].name
    )


def _flat(name: str) -> str:
    return name.lower().removesuffix("__c").replace("_", "").replace(" ", "")


def _sides(one: TableTarget, source: RowSource, client: OrgClient) -> tuple[SObject, SObject]:
    target = client.describe(one.target)
    if one.key_field and one.key_field not in target.fields:
        raise UserError(
            f"{one.target} has no field {one.key_field[:80]!r}.", state="Nothing was saved."
        )
    return source.describe(one.table), target


def _mapping(
    one: TableTarget,
    spec: TableSpec,
    *,
    becomes: Mapping[str, str],
    sides: tuple[SObject, SObject],
) -> dict[str, Any]:
    source, target = sides
    fields: dict[str, Any] = {}
    lookups: dict[str, Any] = {}
    for link in spec.links:
        parent = becomes.get(link.object.lower(), link.object)
        lookup = _lookup_for(link, target, parent)
        if lookup is None:
            continue
        fields[lookup.name] = link.field
        if link.object.lower() not in becomes:
            lookups[lookup.name] = {"match": {"source": link.by, "target": link.by}}
    for found in automap.suggest(source, target, taken=list(fields)):
        described = target.fields[found.target]
        if found.confidence >= SURE and not described.is_reference and described.is_writeable:
            fields[found.target] = found.rule.model_dump(
                mode="json", exclude_defaults=True, by_alias=True
            )
    entry: dict[str, Any] = {
        "as": one.table.lower(),
        "source": one.table,
        "target": one.target,
        "operation": one.operation,
        "auto_map": False,
        "fields": fields,
        "lookups": lookups,
    }
    if one.key_column and one.key_field:
        entry["key"] = {"source": [one.key_column], "target": [one.key_field]}
    return entry


def _lookup_for(link: Link, target: SObject, parent: str) -> Field | None:
    """The target's lookup that a link fills: the only one to that object, or the one named so."""
    fitting = [
        field
        for field in target.references
        if field.is_writeable and parent.lower() in {name.lower() for name in field.reference_to}
    ]
    if len(fitting) == 1:
        return fitting[0]
    column = _flat(link.column)
    return next(
        (f for f in fitting if column.startswith(_flat(f.name).removesuffix("id")[:6])), None
    ) or (fitting[0] if fitting else None)
