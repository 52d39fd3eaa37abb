"""Proof: every value as it was sent against what stands in the target (rules 6.2, 6.3).

    chunk's page ⋈ its accepted rows ─▶ sent ─┐
    target read back ─────────────────────────┴─▶ per field: equal, or a class of difference

Lookups that waited are compared in the pass that filled them. A row that reads back otherwise than
sent is remembered by the hash of what was found, so that the next run does not take the target's
own automation for a person. Differences lie on the spool (``diff/…``); the run keeps the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import polars as pl

from core.db.run_state import ChunkRow, StepRow
from core.domain.canonical import canonical
from core.domain.normalise import Difference, comparable, difference_expr
from core.domain.object_book import object_book
from core.domain.states import ChunkState
from core.migration.before import spelt, target_rows
from core.migration.context import RunContext
from core.migration.outcomes import ROW
from core.migration.prepare import (
    BLANK,
    ENGINE_COLUMNS,
    HASH,
    SOURCE,
    may_wait,
    row_hash,
)
from core.migration.spec import ID, MODSTAMP, Step
from core.spool import RunSpool

LAST_BY = "LastModifiedById"
#: accepted rows of one mapping up to which the target is read by id
_BY_ID_UP_TO = 10_000
_DIFF_SCHEMA = dict.fromkeys(
    (SOURCE, "target_id", "field", "sent", "found", "difference"), pl.String
)


def verify(
    run: RunContext, step: Step, phases: list[StepRow], standing: Standing
) -> dict[str, Any]:
    """Compares everything that a run sent of one mapping; the counts for the run's proof.

    Args:
        phases: the mapping's steps that sent something.
        standing: the rows of the target as they are now.

    Returns:
        ``{"rows", "missing", "values", "differences": {class: n}, "fields": {field: {class: n}},
        "compared": {field: values}, "lookups": {field: filled}, "sums": {field: {"sent",
        "found"}}}``; sums are of number fields, decimals as text. A row that is gone is a
        difference of its Id.
    """
    run.spool.delete(f"diff/{step.name}")
    counted: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    lookups: Counter[str] = Counter({lookup.field.name: 0 for lookup in step.lookups})
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    fields: dict[str, Counter[str]] = {}
    # a row that a later pass filled in was loaded once: it is counted as one row
    loads = {phase.id for phase in phases if phase.phase == "load"}
    waited = any(p.phase == "second_pass" and p.totals["second_pass"] for p in phases)
    for number, chunk in enumerate(settled_chunks(run, phases), 1):
        run.pulse.check()
        sent = sent_rows(run.spool, chunk)
        if sent.is_empty() or chunk.operation in ("delete", "hard_delete"):
            continue
        both = _side_by_side(sent, standing.rows(sent.get_column("target_id")))
        differences = _differences(run, step, both, waited=waited)
        missing = both.filter(pl.col("#there").is_null())
        if chunk.step_id in loads:
            counted["rows"] += both.height
            counted["missing"] += missing.height
        compared.update(_values(both))
        lookups.update(_filled(step, both))
        _add_sums(sums, step, both)
        for name, kind, n in differences.group_by("field", "difference").len().iter_rows():
            fields.setdefault(name, Counter())[kind] += n
        if chunk.step_id in loads:
            differences = pl.concat([differences, _gone(missing)])
        if differences.height:
            run.spool.write(f"diff/{step.name}/{number:06d}", differences)
        _remember(run, step, both)
    kinds = sum(fields.values(), Counter({Difference.LOST.value: counted["missing"]}))
    return {
        **{name: counted[name] for name in ("rows", "missing")},
        "values": compared.total(),
        "differences": {kind.value: kinds[kind.value] for kind in Difference},
        "fields": {name: dict(counts) for name, counts in sorted(fields.items())},
        "compared": dict(compared),
        "lookups": dict(lookups),
        "sums": {
            name: {"sent": f"{sent:f}", "found": f"{there:f}"}
            for name, (sent, there) in sums.items()
        },
    }


def read_back(run: RunContext, step: Step, phase: StepRow) -> None:
    """Remembers what stands in the rows that a pass wrote, without comparing it (rule 3.2)."""
    standing = Standing(run, step, [phase])
    for chunk in settled_chunks(run, [phase]):
        run.pulse.check()
        sent = sent_rows(run.spool, chunk)
        if sent.is_empty():
            continue
        _remember(run, step, _side_by_side(sent, standing.rows(sent.get_column("target_id"))))


def settled_chunks(run: RunContext, phases: list[StepRow]) -> list[ChunkRow]:
    """Chunks of which it is known what became of each row."""
    chunks = [chunk for phase in phases for chunk in run.store.chunks(phase.id)]
    return [c for c in chunks if c.state is ChunkState.DONE and "done" in c.outcome]


def _side_by_side(sent: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    return sent.join(found, left_on="target_id", right_on=ID, how="left", suffix="#now")


class Standing:
    """Rows of the target that a mapping wrote, by id while they are few, else read at once, as
    pages in the order of ids."""

    def __init__(self, run: RunContext, step: Step, phases: list[StepRow]) -> None:
        self._run = run
        self._step = step
        known = step.target.fields
        extra = [n for n in (MODSTAMP, LAST_BY) if n in known]
        final = [n for n in step.mapping.final_fields if n in known]
        self._columns = list(dict.fromkeys((*step.columns, *final, *extra)))
        self._pages: list[tuple[str, str, str]] | None = None
        rows = sum(int(c.outcome.get("ok", 0)) for c in settled_chunks(run, phases))
        if rows > _BY_ID_UP_TO:
            self._pages = list(self._read())

    def rows(self, ids: pl.Series) -> pl.DataFrame:
        """The rows of these ids with `#there`; rows that are gone are left out."""
        if self._pages is None:
            found = target_rows(self._run.target, self._step, ids, self._columns)
        else:
            low, high = str(ids.min()), str(ids.max())
            parts = [
                self._run.spool.read(name).filter(pl.col(ID).is_in(ids.implode()))
                for name, first, last in self._pages
                if first <= high and last >= low
            ]
            empty = pl.DataFrame(schema=dict.fromkeys((ID, *self._columns), pl.String))
            found = pl.concat([empty, *parts])
        return found.with_columns(pl.lit(value=True).alias("#there"))

    def _read(self) -> Iterator[tuple[str, str, str]]:
        columns = [ID, *(n for n in self._columns if n != ID)]
        soql = f"SELECT {', '.join(columns)} FROM {self._step.target.name}"
        frames = self._run.target.query_frames(soql, beat=self._run.pulse.check)
        for number, frame in enumerate(frames, 1):
            self._run.pulse.check()
            name = f"found/{self._step.name}/{number:06d}"
            self._run.spool.write(name, frame.select(columns))
            yield name, str(frame.get_column(ID).min()), str(frame.get_column(ID).max())


def sent_rows(spool: RunSpool, chunk: ChunkRow) -> pl.DataFrame:
    """Rows of a chunk that the org accepted, as sent, with their target ids."""
    done = spool.read(str(chunk.outcome["done"]))
    page = spool.read(chunk.page).with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW))
    dropped = [n for n in page.columns if n in ENGINE_COLUMNS and n not in (SOURCE, HASH)]
    page = page.drop([*dropped, *(n for n in (ID,) if n in page.columns)])
    return page.join(done.select(ROW, "target_id"), on=ROW, how="inner").drop(ROW)


def _sent_columns(both: pl.DataFrame) -> list[str]:
    return [n for n in both.columns if f"{n}#now" in both.columns]


def _values(both: pl.DataFrame) -> dict[str, int]:
    names = _sent_columns(both)
    return both.select(pl.col(names).count()).row(0, named=True) if names else {}


def _filled(step: Step, both: pl.DataFrame) -> dict[str, int]:
    """Lookups that were sent with an id."""
    names = {lookup.field.name for lookup in step.lookups} & set(_sent_columns(both))
    return (
        both.select(pl.col(n).ne(BLANK).sum() for n in sorted(names)).row(0, named=True)
        if names
        else {}
    )


def _add_sums(sums: dict[str, tuple[Decimal, Decimal]], step: Step, both: pl.DataFrame) -> None:
    """Adds a chunk's totals of number fields: as sent, and as they stand in the same rows."""
    final = set(step.mapping.final_fields)
    for name in _sent_columns(both):
        field = step.target.fields[name]
        if not field.is_number or name in final:
            continue
        exact = pl.Decimal(38, 0 if field.type in ("int", "long") else field.scale)
        values = both.filter(pl.col("#there") & pl.col(name).is_not_null()).select(
            sent=_sent_value(name), found=pl.col(f"{name}#now"), other=_reads_otherwise(name)
        )
        sent = _sum(values.select(comparable(field, pl.col("sent"))), exact)
        others = values.filter("other")
        moved = (
            _sum(others.select(comparable(field, pl.col(n))), exact) for n in ("found", "sent")
        )
        found = sent + next(moved) - next(moved)
        before = sums.get(name, (Decimal(), Decimal()))
        sums[name] = (before[0] + sent, before[1] + found)


def _sum(numbers: pl.DataFrame, exact: pl.Decimal) -> Decimal:
    total = numbers.to_series().cast(exact, strict=False).sum()
    return Decimal(str(total or 0))


def _gone(missing: pl.DataFrame) -> pl.DataFrame:
    """Rows that were accepted and are not there any more."""
    return missing.select(
        SOURCE,
        "target_id",
        field=pl.lit(ID),
        sent=pl.col("target_id"),
        found=pl.lit(None, pl.String),
        difference=pl.lit(Difference.LOST.value),
    )


def _differences(run: RunContext, step: Step, both: pl.DataFrame, *, waited: bool) -> pl.DataFrame:
    waits = {
        lookup.field.name
        for lookup in step.lookups
        if waited and (may_wait(lookup) or (run.is_canary and lookup.parents))
    }
    later = waits | set(step.mapping.final_fields)
    keys = {name.lower() for name in step.mapping.key.target}
    lookups = {lookup.field.name for lookup in step.lookups}
    derived = {name.lower() for name in object_book().entry(step.target.name).derived}
    user = run.translator.running_user
    by_others = pl.col(LAST_BY) != user if LAST_BY in both.columns else pl.lit(value=False)
    there = both.filter(pl.col("#there"))
    parts = [pl.DataFrame(schema=_DIFF_SCHEMA)]
    for name in _sent_columns(there):
        field = step.target.fields[name]
        asked = pl.col(name).is_not_null() & ((pl.col(name) != BLANK) | (name not in later))
        # nearly every value reads back as it was sent: only the others are looked at by type
        one = there.select(
            SOURCE,
            "target_id",
            sent=_sent_value(name),
            found=pl.col(f"{name}#now"),
            changed_since=by_others,
            asked=asked & _reads_otherwise(name),
        ).filter(pl.col("asked"))
        if field.is_number:  # REST says 10.0 where 10 was sent
            spelt_out = (canonical(field, pl.col(side)) for side in ("sent", "found"))
            one = one.filter(next(spelt_out).ne_missing(next(spelt_out)))
        if one.is_empty():
            continue
        classed = one.with_columns(
            field=pl.lit(name), before=pl.lit(None, pl.String), source_now=pl.col("sent")
        ).with_columns(
            difference=difference_expr(
                field,
                is_derived=name.lower() in derived,
                is_protected=name.lower() in keys or name in lookups - {"OwnerId"},
            )
        )
        parts.append(classed.filter(pl.col("difference").is_not_null()).select(*_DIFF_SCHEMA))
    return pl.concat(parts)


def _sent_value(name: str) -> pl.Expr:
    return pl.when(pl.col(name) != BLANK).then(pl.col(name))


def _reads_otherwise(name: str) -> pl.Expr:
    """The text that stands there is another one than was sent; blank is blank however it came."""
    now = pl.col(f"{name}#now")
    return _sent_value(name).fill_null("").ne_missing(now.fill_null(""))


def _remember(run: RunContext, step: Step, both: pl.DataFrame) -> None:
    """Hashes of rows that read back otherwise than sent go into the ledger.

    A row whose every column stands there as it was sent has the hash that was sent: it is not
    computed again.
    """
    there = both.filter(pl.col("#there"))
    if there.is_empty() or not step.columns:
        return
    now = there.select(pl.col(f"{n}#now" if f"{n}#now" in both.columns else n).alias(n)
                       for n in step.columns)  # fmt: skip
    found = spelt(step, now)
    other = _unlike(step, there, found)
    if not other.any():
        return
    hashes = row_hash(step, found.filter(other)).alias("found_hash")
    rows = there.filter(other).select(HASH, source_id=pl.col(SOURCE)).with_columns(hashes)
    changed = rows.filter(pl.col("found_hash").ne_missing(pl.col(HASH)))
    if changed.height:
        with run.store.commit() as commit:
            commit.note_found(run.link_sets[step.name], changed.select("source_id", "found_hash"))


def _unlike(step: Step, there: pl.DataFrame, found: pl.DataFrame) -> pl.Series:
    """Rows of which some column was not sent, or stands there otherwise."""
    if any(f"{name}#now" not in there.columns for name in step.columns):
        return pl.Series([True], dtype=pl.Boolean).new_from_index(0, there.height)
    sent = there.select(_sent_value(name).alias(name) for name in step.columns)
    texts = found.rename({name: f"{name}#now" for name in step.columns}).hstack(sent)
    return texts.select(other=pl.any_horizontal(_reads_otherwise(n) for n in step.columns))["other"]
