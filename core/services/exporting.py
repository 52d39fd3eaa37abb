"""Records out of an org as CSV, streamed to whoever asks; nothing is stored.

The operation ``export_records`` writes the same bytes to a file that is kept; here they go straight
into a download or a terminal's file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from pydantic import ValidationError

from core.access import audit, roles
from core.domain.roles import Role
from core.domain.soql import parse_select
from core.errors import OrgbridgeError, UserError
from core.operations import export_records
from core.operations.carrying import BridgeContext
from core.operations.export_records import ExportParameters

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor


__all__ = ["ExportParameters", "Outlook", "export", "outlook", "request"]


def request(**given: object) -> ExportParameters:
    """What to export, of texts and marks as a form or a link gives them.

    Raises:
        UserError: neither object nor query.
    """
    try:
        return ExportParameters.model_validate(given)
    except ValidationError as wrong:
        raise UserError("Name an object or a query.", next_step="Such as Account.") from wrong


def export(bridge: Orgbridge, actor: Actor, asked: ExportParameters) -> Iterator[bytes]:
    """The rows as CSV, header first, page by page.

    The org is asked before the first piece is given, so that a wrong name raises here.

    Raises:
        UserError: no such field. RefusedError: the org does not take the query.
    """
    roles.require(actor, Role.ANALYST, to="export records")
    org = BridgeContext.reading(bridge, actor.workspace_id).org(asked.org)
    soql = export_records.query(org.client, asked)
    frames = export_records.pages(org.client, soql, all_rows=asked.all_rows)
    first = next(frames)
    with bridge.session(actor.workspace_id) as session:
        audit.record(
            session,
            actor,
            "records.export",
            subject_kind="org",
            subject_id=org.id,
            subject_name=org.name,
            after={"soql": soql, "for_people": asked.for_people},
        )
    pieces = export_records.pieces(chain([first], frames), for_people=asked.for_people)
    return (content for content, _ in pieces)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an export would write."""

    soql: str
    #: None where the query cannot be counted beforehand
    rows: int | None


def outlook(bridge: Orgbridge, actor: Actor, asked: ExportParameters) -> Outlook:
    """The query that an export would send, and how many rows it has; raises as `export` does.

    Cost: one count.
    """
    roles.require(actor, Role.ANALYST, to="export records")
    client = BridgeContext.reading(bridge, actor.workspace_id).org(asked.org).client
    soql = export_records.query(client, asked)
    try:
        parts = parse_select(soql)
    except UserError:
        # functions, groupings, subqueries: the org understands them, we need not
        return Outlook(soql, None)
    condition = f" WHERE {parts.where}" if parts.where else ""
    counting = f"SELECT COUNT() FROM {parts.sobject}{condition}"  # noqa: S608 taken apart by our own parser
    (found,) = client.counts([counting], all_rows=asked.all_rows)
    if isinstance(found, OrgbridgeError):
        raise found
    return Outlook(soql, min(found, parts.limit) if parts.limit is not None else found)
