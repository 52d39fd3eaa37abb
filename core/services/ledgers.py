"""The ledger between two orgs as a whole: listed, taken home, brought back, rebased onto a copy.

Which target record a source record became is known to the ledger of an org pair alone. A copy of an
org (a refreshed sandbox) has another Organization Id and keeps its record ids: `rebase` gives it
the links of the org that it replaces. Links that come in so carry no hashes, so that the next run
compares each row itself before it skips or writes it.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from core.access import audit, roles
from core.db import ledger_pairs
from core.db import orgs as registry
from core.db.orgs import OrgRow
from core.domain import ids
from core.domain.roles import Actor, Role
from core.errors import ConflictError, NotFoundError, UserError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge

COLUMNS = ("mapping", "source_id", "target_id", "origin")
ORIGINS = ("inserted", "updated", "matched", "adopted")
#: of a file that is brought in: a million links take 60 MB
FILE_BYTES = 400_000_000


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One mapping's links between two orgs; an org that is no longer registered shows its id."""

    source: str
    target: str
    mapping: str
    links: int
    settled_at: dt.datetime | None


def ledgers(bridge: Orgbridge, actor: Actor) -> tuple[LedgerLine, ...]:
    """Every mapping that has links, with their number."""
    roles.require(actor, Role.VIEWER, to="see ledgers")
    with bridge.session(actor.workspace_id) as session:
        found = ledger_pairs.link_sets(session)
        names = {row.org_id: row.name for row in registry.org_rows(session, with_files=True)}
    return tuple(_line(each, names) for each in found)


def export(bridge: Orgbridge, actor: Actor, *, source: str, target: str) -> Iterator[bytes]:
    """The links between two orgs as CSV (`COLUMNS`), streamed, byte-exact for `bring`.

    Raises:
        NotFoundError: no such org.
    """
    roles.require(actor, Role.ANALYST, to="export a ledger")
    with bridge.session(actor.workspace_id) as session:
        pair = _pair(_org(session, source), _org(session, target))
    return _csv(bridge, actor, pair)


def bring(bridge: Orgbridge, actor: Actor, content: bytes, *, source: str, target: str) -> int:
    """Add the links of a CSV (`COLUMNS`) to the ledger of two orgs, all or none; how many are new.

    Raises:
        UserError: the file is not such a CSV, or a line holds no valid id or origin.
        ConflictError: a record is linked otherwise already, or a run between the orgs is under way.
    """
    roles.require(actor, Role.ADMIN, to="import a ledger")
    links = _read(content)
    with bridge.session(actor.workspace_id) as session:
        sides = _org(session, source), _org(session, target)
        _check_idle(session, sides)
        pair = _pair(*sides)
        other = ledger_pairs.contradictions(session, pair, links.to_dict(as_series=False))
        if other:
            mapping, source_id, kept = other[0]
            raise ConflictError(
                f"{source_id} of {mapping} is linked to {kept} already; the file says otherwise.",
                state="Nothing was imported.",
                next_step="Take that line out of the file, or import into an empty ledger.",
            )
        added = ledger_pairs.bring(session, pair, links.to_dict(as_series=False))
        _note(session, actor, "ledger.import", sides=sides, links=added)
    return added


def rebase(
    bridge: Orgbridge,
    actor: Actor,
    *,
    source: str,
    target: str,
    former_source: str = "",
    former_target: str = "",
) -> int:
    """Give two orgs the links of the orgs that they replace; how many were copied.

    Args:
        former_source, former_target: Organization Id or name; empty: the one that stood behind the
            connection before, where it was replaced, else the same org.
    Raises:
        UserError: neither side was replaced. ConflictError: a run between the orgs is under way.
    """
    roles.require(actor, Role.ADMIN, to="rebase a ledger")
    with bridge.session(actor.workspace_id) as session:
        sides = _org(session, source), _org(session, target)
        _check_idle(session, sides)
        pair = _pair(*sides)
        former = ":".join(
            _former(session, side, given)
            for side, given in zip(sides, (former_source, former_target), strict=True)
        )
        if former == pair:
            raise UserError(
                f"Neither {sides[0].name} nor {sides[1].name} replaced another org.",
                next_step="Name the org whose links to take with --former-source or"
                " --former-target.",
            )
        copied = ledger_pairs.carry_over(session, former=former, pair=pair)
        for side in sides:
            if side.ledger_suspended_at is not None:
                registry.change_org(session, side.id, {"ledger_suspended_at": None})
        _note(session, actor, "ledger.rebase", sides=sides, links=copied, former=former)
    return copied


def _line(each: ledger_pairs.LinkSetLine, names: dict[str | None, str]) -> LedgerLine:
    source, _, target = each.org_pair.partition(":")
    return LedgerLine(
        names.get(source, source),
        names.get(target, target),
        each.mapping,
        each.links,
        each.settled_at,
    )


def _csv(bridge: Orgbridge, actor: Actor, pair: str) -> Iterator[bytes]:
    yield (",".join(COLUMNS) + "\n").encode()
    with bridge.session(actor.workspace_id) as session:
        for page in ledger_pairs.pages(session, pair):
            frame = pl.DataFrame([dict(row) for row in page], schema=dict.fromkeys(COLUMNS, str))
            yield frame.write_csv(include_header=False).encode()


def _read(content: bytes) -> pl.DataFrame:
    if len(content) > FILE_BYTES:
        raise UserError("The file is too large.", next_step="Import it in parts.")
    try:
        frame = pl.read_csv(io.BytesIO(content), infer_schema=False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as wrong:
        raise UserError("The file is no CSV.", next_step=_SHAPE) from wrong
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise UserError(f"The file has no column {missing[0]}.", next_step=_SHAPE)
    links = frame.select(
        "mapping",
        ids.to18_expr(pl.col("source_id")).alias("source_id"),
        ids.to18_expr(pl.col("target_id")).alias("target_id"),
        "origin",
    )
    _check_lines(links)
    return links


def _check_lines(links: pl.DataFrame) -> None:
    blank = pl.col("mapping").fill_null("").str.strip_chars() == ""
    no_id = ~(ids.is_id_expr(pl.col("source_id")) & ids.is_id_expr(pl.col("target_id"))).fill_null(
        value=False
    )
    no_origin = ~pl.col("origin").is_in(ORIGINS).fill_null(value=False)
    twice = pl.struct("mapping", "source_id").is_duplicated()
    checks = (
        (blank, "names no mapping"),
        (no_id, "holds no valid record id"),
        (no_origin, f"has an origin other than {', '.join(ORIGINS)}"),
        (twice, "links a record that another line links too"),
    )
    for bad, what in checks:
        places = links.select(bad.arg_true()).to_series()
        if places.len():
            # the header is line 1
            raise UserError(
                f"Line {places[0] + 2:,} {what}.",
                state="Nothing was imported.",
                next_step="Mend the file and import it again.",
            )


_SHAPE = f"It begins with the line {','.join(COLUMNS)}, as `ledger export` writes it."


def _org(session: Session, name: str) -> OrgRow:
    found = registry.org_named(session, name)
    if found is None or found.org_id is None:
        raise NotFoundError(f"There is no org named {name!r}.", next_step="See `orgs list`.")
    return found


def _former(session: Session, side: OrgRow, given: str) -> str:
    if not given:
        return side.previous_org_id or str(side.org_id)
    if ids.is_id(given):
        return ids.to18(given)
    return str(_org(session, given).org_id)


def _pair(source: OrgRow, target: OrgRow) -> str:
    return f"{source.org_id}:{target.org_id}"


def _check_idle(session: Session, sides: tuple[OrgRow, OrgRow]) -> None:
    runs = sorted({run for side in sides for run in registry.users_of(session, side.id).runs})
    if runs:
        raise ConflictError(
            f"{runs[0]} has not ended and uses this ledger.",
            state="The ledger was not touched.",
            next_step="Wait for the run, or cancel it.",
        )


def _note(
    session: Session,
    actor: Actor,
    action: str,
    *,
    sides: tuple[OrgRow, OrgRow],
    links: int,
    former: str = "",
) -> None:
    source, target = sides
    audit.record_on(
        session,
        actor,
        action,
        on=audit.Subject("org", target.id, target.name),
        after={"source": source.name, "links": links, "former": former},
    )
