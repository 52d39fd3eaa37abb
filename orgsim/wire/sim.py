"""The test API: what a real org does not have. Open to loopback callers, never under Salesforce's
paths.

    GET    /_sim/org                 identity: url, organization_id, access_token, client_id …
    GET    /_sim/dump?objects=A,B     rows of several objects at once, by object
    POST   /_sim/load                {object: [rows]} put in as they are; no rules run
    POST   /_sim/reset               all records go but setup; jobs, faults, a moved clock too
    GET    /_sim/rows/{object}       all rows as stored (deleted ones too), JSON; ?format=csv for
    CSV
    GET|POST /_sim/clock             {"now"}; POST {"move_s": 3600} or {"freeze":
    "2026-01-01T00:00:00Z"|null}
    GET|POST /_sim/options           options of the org; POST merges
    GET|POST /_sim/limits            {"calls", "allowed", "storage_mb"}; POST sets
    GET|POST /_sim/apps              OAuth apps; POST adds one: client_id, secret, public_key (PEM),
    run_as, redirects, rotate
    POST   /_sim/expire              ends every session; {"lasting": true} the lasting ones too
    POST   /_sim/edit                {"user": id|username, "update": {object: [rows]}, "delete":
    [ids],
                                      "insert": {object: [rows]}, "merge": {"winner": id, "losers":
                                      [ids]}, "archive": {object: [ids]}}
    GET|POST|DELETE /_sim/faults     see orgsim/faults/book.py
    GET|DELETE /_sim/delays          see orgsim/faults/latency.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orgsim import dml, upkeep
from orgsim.dml.merge import merge
from orgsim.dml.outcomes import Outcomes
from orgsim.dml.save import Save
from orgsim.store.columns import quoted
from orgsim.store.rows import first_row
from orgsim.wire.cells import frame_of

if TYPE_CHECKING:
    from orgsim.org import Org

_Handler = Callable[["Org", Request, Any], Any]


def _org(org: Org, request: Request, body: Any) -> Any:
    one = org.identity
    return {
        "url": org.url, "name": one.name, "organization_id": one.organization_id,
        "access_token": one.access_token, "user_id": one.user_id, "client_id": one.client_id,
        "client_secret": one.client_secret,
    }  # fmt: skip


def _rows(org: Org, request: Request, body: Any) -> Any:
    sobject = org.schema.sobject(request.path_params["sobject"])
    if sobject is None:
        return Response("no such object", 404)
    with org.store.read() as cursor:
        found = cursor.sql(f"SELECT * FROM {quoted(sobject.name)} ORDER BY Id").to_arrow_table()
    if request.query_params.get("format") == "csv":
        return Response(pl.DataFrame(found).write_csv(), media_type="text/csv; charset=utf-8")
    return found.to_pylist()


def _dump(org: Org, request: Request, body: Any) -> Any:
    found = {}
    with org.store.read() as cursor:
        for name in request.query_params["objects"].split(","):
            table = quoted(org.schema.sobjects[name].name)
            found[name] = cursor.sql(f"SELECT * FROM {table} ORDER BY Id").to_arrow_table()
    return {name: table.to_pylist() for name, table in found.items()}


def _load(org: Org, request: Request, body: Any) -> Any:
    """Rows of all objects in one commit, as they are."""
    save = org.save(user_id=org.identity.user_id)
    with org.store.write():
        for name, rows in body.items():
            if rows:
                dml.load(save, name, pl.DataFrame(rows, infer_schema_length=None))
    return {name: len(rows) for name, rows in body.items()}


def _reset(org: Org, request: Request, body: Any) -> Any:
    upkeep.empty(org, (body or {}).get("objects"))
    return {"now": org.clock.now().isoformat()}


def _clock(org: Org, request: Request, body: Any) -> Any:
    if body:
        org.clock.move(float(body.get("move_s", 0)))
        if "freeze" in body:
            given = body["freeze"]
            org.clock.freeze(datetime.fromisoformat(given) if given else None)
        upkeep.sweep(org)
    return {"now": org.clock.now().isoformat()}


def _options(org: Org, request: Request, body: Any) -> Any:
    org.options.update(body or {})
    return org.options


def _limits(org: Org, request: Request, body: Any) -> Any:
    for name in ("calls", "allowed", "storage_mb"):
        if body and name in body:
            setattr(org.usage, name, int(body[name]))
    return {"calls": org.usage.calls, "allowed": org.usage.allowed,
            "storage_mb": org.usage.storage_mb}  # fmt: skip


def _expire(org: Org, request: Request, body: Any) -> Any:
    return {"ended": org.sessions.expire_all(lasting=bool((body or {}).get("lasting")))}


def _apps(org: Org, request: Request, body: Any) -> Any:
    """Consumer keys of the org's apps; POST {"client_id", …} adds one (see auth/grants.py)."""
    if body:
        entry = {key: value for key, value in body.items() if key != "client_id"}
        org.grants.register_app(str(body["client_id"]), entry)
    return sorted(org.grants.apps())


def _edit(org: Org, request: Request, body: Any) -> Any:
    """Another person at work: the rows say so in LastModifiedById."""
    save = org.save(user_id=_user(org, body.get("user")))
    made: list[Any] = []
    for verb in ("insert", "update"):
        for name, records in (body.get(verb) or {}).items():
            made += _said(_written(save, verb, name, records))
    for name, ids in (body.get("archive") or {}).items():
        made += _archived(save, name, ids)
    if body.get("delete"):
        made += _said(dml.delete(save, body["delete"]))
    if body.get("undelete"):
        made += _said(dml.undelete(save, body["undelete"]))
    if body.get("merge"):
        wanted = body["merge"]
        merge(save, winner=wanted["winner"], losers=wanted["losers"])
        made.append({"success": True, "id": wanted["winner"]})
    return made


def _archived(save: Save, name: str, ids: list[str]) -> list[dict[str, Any]]:
    """Old activities, as the platform's nightly job leaves them: only queryAll finds them."""
    table = quoted(save.full.sobjects[name].name)
    with save.store.write() as transaction:
        for record_id in ids:
            transaction.cursor.execute(
                f'UPDATE {table} SET "IsArchived" = true WHERE "Id" = $1', [record_id]
            )
    return [{"success": True, "id": record_id} for record_id in ids]


def _written(save: Save, verb: str, name: str, records: list[Mapping[str, Any]]) -> Outcomes:
    sobject = save.full.sobjects[name]
    work = dml.insert if verb == "insert" else dml.update
    return work(save, sobject.name, frame_of(records, sobject))


def _said(outcomes: Outcomes) -> list[dict[str, Any]]:
    return outcomes.frame.to_dicts()


def _user(org: Org, given: str | None) -> str:
    """The user by id or username; without one, any other than the administrator who can log in."""
    with org.store.read() as cursor:
        row = first_row(
            cursor.execute(
                'SELECT Id FROM "User" WHERE ($1 IS NULL AND Id <> $2 AND IsActive) OR Id = $1 '
                "OR lower(Username) = lower($1) ORDER BY Id LIMIT 1",
                [given, org.identity.user_id],
            )
        )
    return str(row[0]) if row else org.identity.user_id


def _route(path: str, handler: _Handler, *methods: str) -> Route:
    async def answer(request: Request) -> Response:
        raw = await request.body()
        org: Org = request.state.org
        made = await run_in_threadpool(handler, org, request, orjson.loads(raw) if raw else None)
        if isinstance(made, Response):
            return made
        return Response(orjson.dumps(made, default=str), media_type="application/json")

    return Route(f"/_sim/{path}", answer, methods=list(methods))


ROUTES = [
    _route("org", _org, "GET"),
    _route("apps", _apps, "GET", "POST"),
    _route("rows/{sobject}", _rows, "GET"),
    _route("dump", _dump, "GET"),
    _route("load", _load, "POST"),
    _route("reset", _reset, "POST"),
    _route("clock", _clock, "GET", "POST"),
    _route("options", _options, "GET", "POST"),
    _route("limits", _limits, "GET", "POST"),
    _route("expire", _expire, "POST"),
    _route("edit", _edit, "POST"),
]
