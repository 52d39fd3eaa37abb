"""One page of source rows becomes what is to be done: insert, update, unchanged, skipped, blocked
and why.

    page ─▶ rules ─▶ target columns ─┐
    lookups ─▶ target ids ───────────┼─▶ hash of the row as it would be sent
    matches ─────────────────────────┘        └─▶ buckets

Frames of rows to send carry engine columns beside the target's: ``#source`` ``#target`` ``#hash``.
In them a null means "leave alone", `BLANK` means "make it empty": the two that CSV and JSON spell
differently.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from core.db.retries import UNKNOWN_FATE
from core.db.run_state import Failure
from core.domain.csv import unsendable_in_bulk
from core.domain.hashing import field_hashes, row_hashes
from core.domain.plan import Blanks, OnTargetMissing, Operation
from core.migration.as_read import CELLS, digests, lookup_values
from core.migration.foreseen import refusals
from core.migration.idmap import IdCodes
from core.migration.lookups import Translated, Translator
from core.migration.match import Match, Matches
from core.migration.persons import left_alone, person_book
from core.migration.spec import ID, Lookup, Step
from core.migration.transform import StepRules

SOURCE = "#source"
TARGET = "#target"
HASH = "#hash"
#: the target row was written to by somebody after our last run
TOUCHED = "#touched"
#: hash of what was sent last; null where it is not known
LAST = "#last"
#: hash of the row as it was last read back, where the target's automation had changed it
FOUND = "#found"
#: digest by which the row is known as unchanged when it is read again; null where it tells nothing
READ = "#read"
#: of a row with lookups that wait: those whose parent never comes are emptied
CLEARS = "#clears"
ENGINE_COLUMNS = (SOURCE, TARGET, HASH, TOUCHED, LAST, FOUND, READ)
AMBIGUOUS = "LOOKUP_AMBIGUOUS"
NA_SENTENCE = (
    "A value is the text #N/A, which empties a field in a bulk job, the only way for rows without "
    "a key: give the object a key."
)
UNKNOWN_SENTENCE = (
    "An earlier run sent this row, and the org could not tell any more whether it was written: it "
    "is not sent twice. If the target does not have it, retry it by its id or its group."
)
#: the parent changed after reading began: drift, not loss (rule 1.1)
PARENT_LATE = "PARENT_CHANGED_WHILE_READING"
#: marks what a field held, or was sent with, before
WAS = "#was"
#: a cell that empties the field; cannot occur in data, which has no NUL
BLANK = "\x00"

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Prepared:
    """What is to be done with the rows of one or more pages."""

    inserts: list[pl.DataFrame] = field(default_factory=list)
    updates: list[pl.DataFrame] = field(default_factory=list)
    deletes: list[pl.DataFrame] = field(default_factory=list)
    #: links that need no write: LINK_SCHEMA
    links: list[pl.DataFrame] = field(default_factory=list)
    #: rows with lookups that wait: engine columns but #target, `CLEARS`, the source's ids by target
    #: field
    waiting: list[pl.DataFrame] = field(default_factory=list)
    #: rows whose parent was known ahead of its turn, likewise, with the id that was used (`WAS`)
    rechecks: list[pl.DataFrame] = field(default_factory=list)
    #: digests of rows that are as sent, of which the ledger has none or another: source_id,
    #: read_hash
    reads: list[pl.DataFrame] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    #: ids in text that lead to no record that was moved, by field (rule 5.2)
    ids_left: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """Rows to be sent."""
        return sum(f.height for f in (*self.inserts, *self.updates, *self.deletes))


def row_hash(step: Step, frame: pl.DataFrame) -> pl.Series:
    """Hash of the row as it would be sent, Int64, stable for ever (rule 3.3).

    Lookups that may wait are added as hashes of their own, so that the second pass can add them
    later and the sum is that of a row in which they never waited.
    """
    later = [lookup.field.name for lookup in step.lookups if may_wait(lookup)]
    total = row_hashes(frame, [name for name in step.columns if name not in later])
    for name in later:
        total = total + lookup_hash(name, frame.get_column(name))
    return total.alias(HASH)


def lookup_hash(name: str, ids: pl.Series) -> pl.Series:
    """What a lookup that may wait adds to its row's hash; 0 while blank."""
    column = pl.concat_str(pl.lit(name.lower() + "="), pl.col("ids"))
    texts = ids.to_frame("ids").select(column.alias("ids"))
    return field_hashes(texts, ["ids"]).to_series().fill_null(0)


def prepare(
    step: Step,
    page: pl.DataFrame,
    matches: Matches,
    *,
    rules: StepRules,
    translator: Translator,
    ids: IdCodes,
    foresee: bool = False,
) -> Prepared:
    """Buckets of one page.

    Args:
        foresee: rows with values that the target would refuse are blocked (a dry run asks nobody).
    """
    work = _Page(step, page, matches, ids)
    work.totals["read_rows"] = page.height
    work.block_matches()
    if step.operation.is_delete:
        return work.deletes()
    if step.operation is Operation.PRESERVE:
        return work.preserved()
    work.skip_by_operation()
    work.apply(rules)
    work.rewrite_ids(rules, translator)
    for lookup in step.lookups:
        work.look_up(lookup, translator)
    return work.buckets(foresee=foresee)


class _Page:
    """The rows of one page on their way into buckets."""

    def __init__(self, step: Step, page: pl.DataFrame, matches: Matches, ids: IdCodes) -> None:
        self.step = step
        self.page = page
        self.matches = matches
        self.ids = ids
        self.open: Mask = np.ones(page.height, dtype=np.bool_)
        self.totals: Counter[str] = Counter()
        self.ids_left: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.columns: dict[str, pl.Series] = {}
        self.waits: dict[str, pl.Series] = {}
        #: lookups that were translated before their parents' turn, by the ledger
        self.ahead: dict[str, pl.Series] = {}
        #: of `waits`, lookups that wait in a canary only
        self.postponed: list[str] = []
        self.sources = page.get_column(ID)
        self.links: list[pl.DataFrame] = []
        self.rechecks: list[pl.DataFrame] = []
        #: rows with a lookup that leads nowhere, or not yet
        self.unsure: Mask = np.zeros(page.height, dtype=np.bool_)

    def block(self, mask: Mask, code: str, message: str, *, fields: tuple[str, ...] = ()) -> None:
        """Takes open rows out, with a reason each."""
        hit = mask & self.open
        if hit.any():
            for source_id in self.sources.filter(pl.Series(hit)):
                self.failures.append(Failure("blocked", code, message, source_id, fields=fields))
            self.totals["blocked"] += int(hit.sum())
            self.open &= ~hit

    def skip(self, mask: Mask) -> None:
        """Takes open rows out by operation or choice."""
        hit = mask & self.open
        self.totals["skipped"] += int(hit.sum())
        self.open &= ~hit

    def block_matches(self) -> None:
        """Repeated and blank keys, targets that are gone."""
        states = self.matches.states
        self.skip(states == Match.NOT_SURVIVOR)
        keys = self.step.mapping.key.target
        what = " + ".join(keys)
        self.block(
            states == Match.REPEATED_SOURCE,
            "KEY_REPEATS_IN_SOURCE",
            f"Several source rows have this value of {what}; none of them was sent.",
            fields=keys,
        )
        self.block(
            states == Match.REPEATED_TARGET,
            "KEY_REPEATS_IN_TARGET",
            f"Several target rows have this value of {what}; it is not clear which one is meant.",
            fields=keys,
        )
        self.block(states == Match.BLANK_KEY, "KEY_BLANK", f"The key {what} is blank.", fields=keys)
        self.block(states == Match.UNKNOWN, UNKNOWN_FATE, UNKNOWN_SENTENCE)
        gone = states == Match.GONE
        policy = self.step.mapping.on_target_missing
        if policy is OnTargetMissing.REPORT:
            self.block(
                gone, "TARGET_MISSING", "The target record that was written earlier is gone."
            )
        elif policy is OnTargetMissing.SKIP:
            self.skip(gone)
        else:
            states[gone] = Match.FRESH

    def found(self) -> Mask:
        """Rows that have a record in the target."""
        states = self.matches.states
        found: Mask = np.isin(states, (Match.LINKED, Match.KEYED, Match.ADOPTED))
        return found

    def skip_by_operation(self) -> None:
        """Rule 2.7; a matched row that is skipped still gets its link."""
        found = self.found()
        if self.step.operation is Operation.INSERT:
            self._link_matched(self.open & (self.matches.states == Match.KEYED))
            self.skip(found)
        elif self.step.operation is Operation.UPDATE:
            self.skip(~found)

    def apply(self, rules: StepRules) -> None:
        """Target columns by the rules; rows in which one fails are blocked."""
        made = rules.apply(self.page)
        for row, name, code, message in made.failures.iter_rows():
            mask = np.zeros(self.page.height, dtype=np.bool_)
            mask[row] = True
            self.block(mask, code, message, fields=(name,))
        for name in self.step.rules:
            self.columns[name] = made.frame.get_column(name)

    def rewrite_ids(self, rules: StepRules, translator: Translator) -> None:
        """Ids inside text become those of the target, where their record was moved (rule 5.2)."""
        for name in rules.ids_columns:
            made = translator.rewritten(self.columns[name])
            self.columns[name] = made.texts
            self.ids_left[name] += made.left

    def look_up(self, lookup: Lookup, translator: Translator) -> None:
        """One lookup column, by its policy."""
        name = lookup.field.name
        values = lookup_values(lookup, self.page)
        waits = may_wait(lookup)
        found = translator.translate(self.step, lookup, values, last=not waits)
        self.unsure |= found.unresolved | found.ambiguous
        if not waits:
            found = self._postponed(lookup, translator, found, values)
        found = self._ambiguous(lookup, found)
        column, open_ids = found.ids, found.unresolved & self.open
        if open_ids.any() and waits:
            self.waits[name] = pl.select(
                pl.when(pl.Series(found.unresolved)).then(values)
            ).to_series()
        elif open_ids.any():
            column = self._missing(lookup, translator, found)
        if lookup.deferred and column.null_count() < len(column):
            self.ahead[name] = values
        self.columns[name] = column

    def _ambiguous(self, lookup: Lookup, found: Translated) -> Translated:
        """Several records of the target match: the row is held back, or the lookup left blank."""
        if not found.ambiguous.any():
            return found
        name = lookup.field.name
        message = f"Several records of the target match {name}."
        if lookup.policy.ambiguous == "reject":
            self.block(found.ambiguous, AMBIGUOUS, message, fields=(name,))
        else:
            self._leave_blank(found.ambiguous, AMBIGUOUS, message, name)
        return replace(found, unresolved=found.unresolved & ~found.ambiguous)

    def _postponed(
        self, lookup: Lookup, translator: Translator, found: Translated, values: pl.Series
    ) -> Translated:
        """Of a canary: what names a row that is loaded later waits for it (rule 8.2)."""
        coming = translator.still_to_come(lookup, values) & found.unresolved
        if not coming.any():
            return found
        self.waits[lookup.field.name] = pl.select(
            pl.when(pl.Series(coming)).then(values)
        ).to_series()
        self.postponed.append(lookup.field.name)
        return replace(found, unresolved=found.unresolved & ~coming)

    def _missing(self, lookup: Lookup, translator: Translator, found: Translated) -> pl.Series:
        name, column, missing = lookup.field.name, found.ids, found.unresolved
        stand_in = translator.fallback(lookup)
        if stand_in is not None:
            return pl.select(
                pl.when(pl.Series(missing)).then(pl.lit(stand_in)).otherwise(column)
            ).to_series()
        message = f"The record that {name} names has no counterpart in the target."
        if lookup.policy.missing == "reject":
            if found.late is not None and found.late.any():
                self.block(found.late, PARENT_LATE, late_message(name), fields=(name,))
            self.block(missing, "LOOKUP_UNRESOLVED", message, fields=(name,))
            return column
        self._leave_blank(missing, "LOOKUP_UNRESOLVED", message, name)
        return column

    def _leave_blank(self, mask: Mask, code: str, message: str, name: str) -> None:
        """Counts and names rows that go without one of their lookups."""
        left = mask & self.open
        self.totals["lookups_left_blank"] += int(left.sum())
        for source_id in self.sources.filter(pl.Series(left)):
            self.failures.append(Failure("left_blank", code, message, source_id, fields=(name,)))

    def preserved(self) -> Prepared:
        """Writes nothing; matched rows are linked, so that children find them."""
        found = self.open & self.found()
        self._link_matched(found & (self.matches.states == Match.KEYED))
        self.totals["unchanged"] += int(found.sum())
        self.skip(self.open & ~found)
        return self._prepared()

    def deletes(self) -> Prepared:
        """Matched rows leave the target; unmatched ones have nothing to leave."""
        self.skip(~self.found())
        made = self._prepared()
        rows = self._engine_columns(self.open)
        if rows.height:
            made.deletes.append(rows.with_columns(Id=pl.col(TARGET)))
        return made

    def _foresee(self, frame: pl.DataFrame, rows: Mask, *, inserting: bool) -> None:
        """Takes rows out whose values would be refused, with the platform's code."""
        places = np.flatnonzero(rows & self.open)
        if not len(places):
            return
        found = refusals(self.step, frame[places], inserting=inserting)
        for row, name, code, message in found.iter_rows():
            mask = np.zeros(self.page.height, dtype=np.bool_)
            mask[places[row]] = True
            self.block(mask, code, message, fields=(name,))

    def buckets(self, *, foresee: bool) -> Prepared:
        """Insert, update or unchanged."""
        columns = list(self.step.columns)
        frame = pl.DataFrame({name: self.columns[name] for name in columns})
        frame = frame.with_columns(pl.when(pl.all() != "").then(pl.all()).name.keep())
        hashes = row_hash(self.step, frame)
        found = self.found()
        same = found & self.matches.hashed & (hashes.to_numpy() == self.matches.hashes)
        self._note_ahead(hashes)
        unchanged = self.open & same
        self.totals["unchanged"] += int(unchanged.sum())
        self.open &= ~unchanged
        reads = self._reads(hashes)
        if self.step.inserts_by_bulk_only:
            says_na = says_null_mark(frame).to_numpy() & ~found
            self.block(says_na, "TEXT_MEANS_NULL", NA_SENTENCE)
        if foresee:
            self._foresee(frame, ~found, inserting=True)
            self._foresee(frame, found, inserting=False)
        made = self._prepared()
        self._note_reads(made, reads, unchanged)
        frame = frame.with_columns(hashes.alias(HASH), reads.alias(READ))
        fresh, known = self.open & ~found, self.open & found
        if fresh.any():
            rows = _sendable(self.step, self._whole(frame, fresh))
            made.inserts.append(self._fitting(rows, pl.Series(fresh)))
        if known.any():
            ours = pl.Series(self.matches.ours[known])
            rows = _sendable_update(self.step, self._whole(frame, known), ours)
            rows = self._but_waiting(rows, pl.Series(known))
            made.updates.append(self._fitting(rows, pl.Series(known)))
        self._note_waiting(made, hashes, unchanged)
        return made

    def _reads(self, hashes: pl.Series) -> pl.Series:
        """Digests by which the rows are known when they are read again (`as_read.digests`)."""
        if CELLS not in self.page.columns:
            return pl.Series([None], dtype=pl.Int64).new_from_index(0, self.page.height)
        made = digests(self.page.get_column(CELLS), hashes, self.step, self.columns)
        return pl.select(pl.when(~pl.Series(self.unsure)).then(made)).to_series()

    def _note_reads(self, made: Prepared, reads: pl.Series, unchanged: Mask) -> None:
        """Rows that had to be worked out although they are as sent get a digest."""
        new = unchanged & (reads.fill_null(0).to_numpy() != self.matches.reads)
        new &= reads.is_not_null().to_numpy()
        if new.any():
            frame = pl.DataFrame({"source_id": self.sources, "read_hash": reads})
            made.reads.append(frame.filter(pl.Series(new)))

    def _whole(self, frame: pl.DataFrame, mask: Mask) -> pl.DataFrame:
        """The target's columns of some rows beside the engine's; hashes are those of the frame."""
        return self._engine_columns(mask).drop(HASH).hstack(frame.filter(pl.Series(mask)))

    def _but_waiting(self, rows: pl.DataFrame, chosen: pl.Series) -> pl.DataFrame:
        """Without the cells of lookups that wait: what leads somewhere now is not emptied only to
        be filled again, and stays should nobody come to fill it."""
        waits = {name: ids.filter(chosen).is_not_null() for name, ids in self.waits.items()}
        return rows.with_columns(
            pl.when(~waits[name]).then(pl.col(name)).alias(name)
            for name in rows.columns
            if name in waits
        )

    def _fitting(self, rows: pl.DataFrame, chosen: pl.Series) -> pl.DataFrame:
        """Without fields that the row's kind of account does not have (rule 3.6)."""
        source, target = self.step.source, self.step.target
        if person_book(target, source) is None:
            return rows
        return left_alone(rows, self.page.filter(chosen), target=target, source=source)

    def _note_ahead(self, hashes: pl.Series) -> None:
        """A parent that is made anew in its turn gets another id: looked at in the second pass."""
        if not self.ahead:
            return
        used = {name + WAS: self.columns[name] for name in self.ahead}
        rows = pl.DataFrame({SOURCE: self.sources, HASH: hashes, **self.ahead, **used})
        rows = rows.filter(
            pl.Series(self.open) & pl.any_horizontal(pl.col(list(used)).is_not_null())
        )
        if rows.height:
            self.rechecks.append(rows)

    def _note_waiting(self, made: Prepared, hashes: pl.Series, unchanged: Mask) -> None:
        """A row that is as it was sent may have waited in vain then: its parent may come now. Of
        such a row the load asks not whether others changed it, so the second pass has to."""
        if not self.waits:
            return
        waits: Mask = self.open | unchanged
        asked = pl.DataFrame(self.waits).select(pl.any_horizontal(pl.all().is_not_null()))
        waits &= asked.to_series().to_numpy()
        if not waits.any():
            return
        chosen = pl.Series(waits)
        asks = pl.col(TOUCHED) & pl.Series(unchanged[waits])
        waiting = self._engine_columns(waits).with_columns(hashes.filter(chosen).alias(HASH))
        ours = pl.Series(CLEARS, self.matches.ours[waits])
        clears = _clears(self.step, ours) & pl.Series((self.open & self.found())[waits])
        waiting = waiting.select(
            SOURCE, HASH, LAST, FOUND, asks.alias(TOUCHED), clears.alias(CLEARS)
        )
        waiting = waiting.hstack(pl.DataFrame(self.waits).filter(chosen))
        if self.postponed:  # their hash has no place for a lookup that comes later: none is kept
            whole = pl.all_horizontal(pl.col(self.postponed).is_null())
            waiting = waiting.with_columns(pl.when(whole).then(HASH).alias(HASH))
        made.waiting.append(waiting)

    def _engine_columns(self, mask: Mask) -> pl.DataFrame:
        """What the engine knows of the rows of a mask; ``#hash`` is the last one that was sent."""
        rows = self.matches.where(mask)
        hashes = pl.Series(rows.hashes)
        return pl.DataFrame(
            {
                SOURCE: self.sources.filter(pl.Series(mask)),
                TARGET: self.ids.decode(rows.targets),
                HASH: hashes,
                TOUCHED: pl.Series(rows.touched),
                FOUND: pl.Series(rows.founds),
                LAST: pl.select(pl.when(pl.Series(rows.hashed)).then(hashes)).to_series(),
            }
        )

    def _link_matched(self, mask: Mask) -> None:
        if mask.any():
            linked = self._engine_columns(mask).select(
                source_id=pl.col(SOURCE),
                target_id=pl.col(TARGET),
                origin=pl.lit("matched"),
                sent_hash=pl.lit(None, pl.Int64),
            )
            self.links.append(linked)

    def _prepared(self) -> Prepared:
        return Prepared(
            links=self.links,
            rechecks=self.rechecks,
            failures=self.failures,
            totals=self.totals,
            ids_left=self.ids_left,
        )


def late_message(name: str) -> str:
    """What is said of a row whose parent is newer than the run."""
    return (
        f"The record that {name} names was written after this run began to read; the next run "
        "brings both."
    )


def says_null_mark(rows: pl.DataFrame) -> pl.Series:
    """Per row whether a cell to be sent is the very text that means null in a bulk CSV."""
    return unsendable_in_bulk(rows.drop(ENGINE_COLUMNS, strict=False))


def may_wait(lookup: Lookup) -> bool:
    """Its parent may come later than the row: the second pass fills it in."""
    return (lookup.deferred or lookup.own) and lookup.field.nillable and lookup.field.updateable


def _sendable(step: Step, rows: pl.DataFrame) -> pl.DataFrame:
    """Insert columns; blanks are sent as null where the field may be null (rule 3.1)."""
    kept = [name for name in step.columns if name in step.insert_fields]
    blanks = [
        pl.col(name).fill_null(BLANK)
        for name in kept
        if step.target.fields[name].nillable and step.mapping.blanks is not Blanks.KEEP
    ]
    return rows.select(*ENGINE_COLUMNS, *kept).with_columns(blanks)


def _clears(step: Step, ours: pl.Series) -> pl.Expr:
    """Whether a blank empties a field of a row: by policy, or because we made the row."""
    policy = step.mapping.blanks
    return pl.lit(policy is Blanks.CLEAR) if policy is not Blanks.DEFAULT else pl.lit(ours)


def _sendable_update(step: Step, rows: pl.DataFrame, ours: pl.Series) -> pl.DataFrame:
    """Update columns with Id; a blank clears a field by policy, or on a row that we made."""
    kept = [name for name in step.columns if name in step.update_fields]
    clears = _clears(step, ours)
    blanks = [
        pl.when(pl.col(name).is_null() & clears)
        .then(pl.lit(BLANK))
        .otherwise(pl.col(name))
        .alias(name)
        for name in kept
        if step.target.fields[name].nillable
    ]
    return rows.select(*ENGINE_COLUMNS, *kept).with_columns(blanks).with_columns(Id=pl.col(TARGET))
