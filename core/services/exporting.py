"""Records out of an org as CSV, streamed: an object, a query, or a filter; nothing is stored.

For people the bytes carry a byte order mark and cells that a spreadsheet would run are guarded; for
machines they are exactly what the org holds. Memory is one page, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from core.access import audit, roles
from core.domain.csv import people_csv
from core.domain.roles import Role
from core.domain.soql import checked_filter, parse_select
from core.errors import OrgbridgeError, UserError
from core.operations.carrying import BridgeContext
from core.salesforce import queries
from core.salesforce.source import RowSource

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor

#: rows in memory at a time
PAGE_ROWS = 20_000
#: these field types have no text of their own in a CSV
_NOT_EXPORTED = frozenset({"address", "location", "base64"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export."""

    org: str
    #: an object, or a query of one's own
    sobject: str = ""
    soql: str = ""
    #: fields of the object; empty: all that hold text or numbers
    fields: tuple[str, ...] = ()
    where: str = ""
    #: deleted and archived rows too
    all_rows: bool = False
    #: guard cells against running in a spreadsheet, and mark the encoding
    for_people: bool = True


def export(bridge: Orgbridge, actor: Actor, request: ExportRequest) -> Iterator[bytes]:
    """The rows as CSV, header first, page by page.

    The org is asked before the first piece is given, so that a wrong name raises here.

    Raises:
        UserError: neither object nor query, or no such field.
        RefusedError: the org does not take the query.
    """
    roles.require(actor, Role.ANALYST, to="export records")
    org = BridgeContext.reading(bridge, actor.workspace_id).org(request.org)
    soql = _soql(org.client, request)
    frames = org.client.query_frames(soql, all_rows=request.all_rows, page_rows=PAGE_ROWS)
    first = next(frames, None)
    with bridge.session(actor.workspace_id) as session:
        audit.record(
            session,
            actor,
            "records.export",
            subject_kind="org",
            subject_id=org.id,
            subject_name=org.name,
            after={"soql": soql, "for_people": request.for_people},
        )
    if first is None:
        columns = queries.frame_columns(soql)
        first = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return _pieces(first, frames, for_people=request.for_people)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an export would write."""

    soql: str
    #: None where the query cannot be counted beforehand
    rows: int | None


def outlook(bridge: Orgbridge, actor: Actor, request: ExportRequest) -> Outlook:
    """The query that an export would send, and how many rows it has; raises as `export` does.

    Cost: one count.
    """
    roles.require(actor, Role.ANALYST, to="export records")
    client = BridgeContext.reading(bridge, actor.workspace_id).org(request.org).client
    soql = _soql(client, request)
    try:
        parts = parse_select(soql)
    except UserError:
        # functions, groupings, subqueries: the org understands them, we need not
        return Outlook(soql, None)
    condition = f" WHERE {parts.where}" if parts.where else ""
    counting = f"SELECT COUNT() FROM {parts.sobject}{condition}"  # noqa: S608 taken apart by our own parser
    (found,) = client.counts([counting], all_rows=request.all_rows)
    if isinstance(found, OrgbridgeError):
        raise found
    return Outlook(soql, min(found, parts.limit) if parts.limit is not None else found)


def _pieces(
    first: pl.DataFrame, frames: Iterator[pl.DataFrame], *, for_people: bool
) -> Iterator[bytes]:
    yield _csv(first, for_people=for_people, bom=True)
    for frame in frames:
        content = _csv(frame, for_people=for_people, bom=False)
        header = _csv(frame.clear(), for_people=for_people, bom=False)
        yield content[len(header) :]


def _csv(frame: pl.DataFrame, *, for_people: bool, bom: bool) -> bytes:
    if for_people:
        return people_csv(frame, bom=bom)
    return frame.write_csv(line_terminator="\n").encode()


def _soql(client: RowSource, request: ExportRequest) -> str:
    if request.soql.strip():
        return request.soql.strip().removesuffix(";")
    if not request.sobject:
        raise UserError("Name an object or a query.", next_step="Such as Account.")
    described = client.describe(request.sobject)
    unknown = [name for name in request.fields if "." not in name and name not in described.fields]
    if unknown:
        raise UserError(
            f"{described.name} has no field {unknown[0]!r}.",
            next_step="Refresh the org's metadata, or name another field.",
        )
    names = request.fields or tuple(
        field.name for field in described.fields.values() if field.type not in _NOT_EXPORTED
    )
    condition = ""
    if request.where.strip():
        condition = f" WHERE {checked_filter(request.where, sobject=described).text}"
    return f"SELECT {', '.join(names)} FROM {described.name}{condition}"  # noqa: S608 described names
