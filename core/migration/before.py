"""Before an update: the target rows as they are, kept for undo, and compared with what would be
sent.

rows to update ─▶ read the target ─┬─▶ before-image on the spool
                                   ├─▶ cells that are equal already are not sent; none left:
                                   unchanged ├─▶ `write: if_blank` cells whose target is filled are
                                   not sent └─▶ changed by somebody since our last run:
                                   `on_target_change`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from core.db.run_state import Failure
from core.domain.canonical import canonical
from core.domain.normalise import equal_expr
from core.domain.plan import OnTargetChange, Write
from core.migration.context import RunContext
from core.migration.idmap import Codes
from core.migration.prepare import (
    BLANK,
    FOUND,
    HASH,
    LAST,
    READ,
    SOURCE,
    TARGET,
    TOUCHED,
    Prepared,
    row_hash,
)
from core.migration.spec import ID, Step
from core.salesforce.client import OrgClient
from core.salesforce.frames import rest_frame

#: rows up to which the target is read by id (one call per 2,000): more than are prepared together,
#: since an object of which every row changes would be read whole for each part of it otherwise
_BY_ID_UP_TO = 50_000
_IDS_A_CALL = 2_000


def keep_before(run: RunContext, step: Step, held: Prepared, *, name: str) -> None:
    """Replaces the updates of what was prepared by those that are needed and allowed."""
    rows = pl.concat(held.updates)
    fields = [n for n in rows.columns if n in step.target.fields and n != ID]
    read = sorted({*fields, *step.columns})
    found = target_rows(run.target, step, rows.get_column(TARGET), read)
    there = rows.join(
        found, left_on=TARGET, right_on=ID, how="left", suffix="#now", maintain_order="left"
    )
    there = _blank_if_filled(step, there, fields)
    changed = there.with_columns(_unless_equal(step, n) for n in fields)
    differs = pl.any_horizontal(pl.col(fields).is_not_null()) if fields else pl.lit(value=False)
    needed = changed.select(differs.alias("d")).to_series()
    changed = with_country(changed, there, fields)
    held.totals["unchanged"] += int((~needed).sum())
    _link(held, changed.filter(~needed))
    changed = changed.filter(needed)
    changed = _conflicts(step, held, changed)
    held.updates = [changed.select(rows.columns)] if changed.height else []
    if changed.height:
        image = found.filter(pl.col(ID).is_in(changed.get_column(TARGET).implode()))
        run.spool.write(f"before/{step.name}/{name}", image)


def with_country(changed: pl.DataFrame, sent: pl.DataFrame, fields: Sequence[str]) -> pl.DataFrame:
    """Puts the country back beside every state that goes out, though it is as it was (rule 3.5): an
    org with lists checks the state against the country of the same request.

    Args:
        sent: the rows as they would be sent whole, in the same order.
    """
    made = []
    for state in fields:
        for part, whole in (("StateCode", "CountryCode"), ("State", "Country")):
            country = state.removesuffix(part) + whole
            if state.endswith(part) and country in fields:
                kept = pl.coalesce(pl.col(country), sent.get_column(country))
                goes = pl.when(pl.col(state).is_not_null()).then(kept).otherwise(pl.col(country))
                made.append(goes.alias(country))
    return changed.with_columns(made)


def keep_fields(
    run: RunContext, step: Step, rows: pl.DataFrame, *, name: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keeps for undo what records hold that a later pass is about to change.

    Records that this run made itself need none: undo deletes them. Cost: one read of the fields of
    those that were there before.

    Returns:
        The rows to send, without the cells that the target holds already; and the rows of which it
        holds every cell, so that nothing is sent of them.
    """
    fields = [n for n in rows.columns if n in step.target.fields and n != ID]
    made = pl.Series(np.isin(run.ids.encode(rows.get_column(TARGET)), _made(run, step)))
    known = rows.filter(~made)
    if not fields or not known.height:
        return rows, rows.clear()
    found = target_rows(run.target, step, known.get_column(TARGET), fields)
    there = known.join(
        found, left_on=TARGET, right_on=ID, how="left", suffix="#now", maintain_order="left"
    )
    changed = there.with_columns(_unless_equal(step, n) for n in fields)
    needed = changed.select(pl.any_horizontal(pl.col(fields).is_not_null())).to_series()
    changed = with_country(changed, there, fields).filter(needed)
    image = found.filter(pl.col(ID).is_in(changed.get_column(TARGET).implode()))
    run.spool.write(f"before/{step.name}/{name}", image)
    return pl.concat([rows.filter(made), changed.select(rows.columns)]), known.filter(~needed)


def _made(run: RunContext, step: Step) -> Codes:
    """Codes of the records of a mapping that this run inserted."""
    loads = [s for s in run.store.steps() if s.mapping_name == step.name and s.phase == "load"]
    parts = [
        run.ids.encode(run.spool.read(str(chunk.outcome["done"]), ["target_id"])["target_id"])
        for load in loads
        for chunk in run.store.chunks(load.id)
        if chunk.operation in ("insert", "upsert") and "done" in chunk.outcome
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def target_rows(org: OrgClient, step: Step, ids: pl.Series, fields: Sequence[str]) -> pl.DataFrame:
    """Target rows by id as text, with Id; rows that are gone are left out."""
    columns = [ID, *(n for n in fields if n != ID)]
    parts = list(_frames(org, step, ids.unique(), columns))
    empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.concat([empty, *parts]).unique(subset=ID)


def _frames(
    org: OrgClient, step: Step, ids: pl.Series, columns: list[str]
) -> Iterator[pl.DataFrame]:
    if len(ids) <= _BY_ID_UP_TO:
        for start in range(0, len(ids), _IDS_A_CALL):
            asked = ids[start : start + _IDS_A_CALL].to_list()
            got = org.retrieve(step.target.name, asked, columns)
            if got:
                yield rest_frame(list(got.values()), columns)
        return
    wanted = ids.implode()
    for frame in org.query_frames(f"SELECT {', '.join(columns)} FROM {step.target.name}"):
        yield frame.select(columns).filter(pl.col(ID).is_in(wanted))


def _now(step: Step, name: str, frame: pl.DataFrame) -> pl.Expr:
    """The target's present value of a field beside the rows to send."""
    return pl.col(f"{name}#now" if f"{name}#now" in frame.columns else name)


def _blank_if_filled(step: Step, rows: pl.DataFrame, fields: Sequence[str]) -> pl.DataFrame:
    kept = [n for n in fields if n in step.rules and step.rules[n].write is Write.IF_BLANK]
    return rows.with_columns(
        pl.when(_now(step, n, rows).is_null()).then(pl.col(n)).alias(n) for n in kept
    )


def _unless_equal(step: Step, name: str) -> pl.Expr:
    field = step.target.fields[name]
    sent = pl.when(pl.col(name) != BLANK).then(pl.col(name))
    same = equal_expr(field, sent, pl.col(f"{name}#now"))
    return pl.when(~same).then(pl.col(name)).alias(name)


def _link(held: Prepared, equal: pl.DataFrame) -> None:
    if equal.height:
        held.links.append(as_if_sent(equal))


def as_if_sent(equal: pl.DataFrame) -> pl.DataFrame:
    """Links of rows that need no write, with the hash of what would have been sent."""
    return equal.select(
        source_id=pl.col(SOURCE),
        target_id=pl.col(TARGET),
        origin=pl.lit("matched"),
        sent_hash=pl.col(HASH),
        read_hash=pl.col(READ),
    )


def _conflicts(step: Step, held: Prepared, rows: pl.DataFrame) -> pl.DataFrame:
    """Takes out rows in which somebody changed what we wrote (rule 3.2)."""
    policy = step.mapping.on_target_change
    if policy is OnTargetChange.OVERWRITE or not rows.height:
        return rows
    present = rows.select(_now(step, n, rows).alias(n) for n in step.columns)
    conflict = others_changed(step, rows, present)
    if not conflict.any():
        return rows
    _wait_no_more(held, rows.filter(conflict).get_column(SOURCE))
    if policy is OnTargetChange.KEEP:
        held.totals["skipped"] += int(conflict.sum())
        return rows.filter(~conflict)
    held.totals["blocked"] += int(conflict.sum())
    for source_id, target_id in rows.filter(conflict).select(SOURCE, TARGET).iter_rows():
        held.failures.append(
            Failure(
                "blocked",
                "TARGET_CHANGED",
                "Somebody changed this record in the target after it was last sent.",
                source_id,
                target_id,
            )
        )
    return rows.filter(~conflict)


def others_changed(step: Step, rows: pl.DataFrame, present: pl.DataFrame) -> pl.Series:
    """Per row whether somebody changed in the target what we wrote (rule 3.2).

    Args:
        rows: with the engine's columns.
        present: the columns of the step as the target holds them now, row by row.
    """
    hashes = row_hash(step, spelt(step, present))
    known = (hashes == rows.get_column(LAST)) | (hashes == rows.get_column(FOUND))
    return rows.get_column(TOUCHED) & ~known.fill_null(value=False)


def _wait_no_more(held: Prepared, sources: pl.Series) -> None:
    """Rows that are left to others get no lookup later either."""
    stays = ~pl.col(SOURCE).is_in(sources.implode())
    held.waiting = [page.filter(stays) for page in held.waiting]
    held.rechecks = [page.filter(stays) for page in held.rechecks]


def spelt(step: Step, rows: pl.DataFrame) -> pl.DataFrame:
    """Target values in the spelling in which rules give them, so that hashes can be compared."""
    return rows.select(canonical(step.target.fields[n], pl.col(n)).alias(n) for n in rows.columns)
