"""Which source rows the target has already: by the ledger first, then by the key; one array per
fact.

    narrow columns of the spool ──┐
    links of the mapping ─────────┼─▶ Matches: per source row its state, target, last hash, depth
    target's Id, stamp, key ──────┘

Arrays are in the order of the spool's pages, so a page's part is a slice. About 50 bytes a row stay
in memory; the key columns themselves do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import polars as pl

from core.migration.adopt import adopt, later_rows
from core.migration.columns import NEVER
from core.migration.extract import source_folder
from core.migration.held import held_rows, winners
from core.migration.idmap import NONE, Codes, IdCodes, IdMap, Places
from core.migration.links import Said, baselines
from core.migration.lookups import Translator
from core.migration.narrow import CODE, OWN, gathered, narrow_columns
from core.migration.spec import Step
from core.salesforce.client import OrgClient
from core.spool import RunSpool

#: generations of a self lookup that are loaded one after the other; deeper ones wait for the second
#: pass
DEPTH_MAX = 40

#: rows that are looked at at once: what is made of them on the way is small beside what stays
_AT_ONCE = 100_000


class Match(IntEnum):
    """What is known of one source row."""

    FRESH = 0  # the target has no such record
    LINKED = 1  # the ledger says which one, and it is there
    KEYED = 2  # found by its key
    REPEATED_SOURCE = 3  # its key repeats in the source
    REPEATED_TARGET = 4  # its key repeats in the target
    BLANK_KEY = 5  # its key is blank altogether
    GONE = 6  # the ledger says which one, and it is gone
    ADOPTED = 8  # made by the platform, found by its natural key
    NOT_SURVIVOR = 7  # another row of its group of equal keys was chosen
    UNKNOWN = 9  # an earlier run sent it, and nobody knows whether it was written


@dataclass(slots=True)
class Matches:
    """Facts per source row, in the order of the spool."""

    sources: Codes
    targets: Codes
    #: hash of what was last sent; valid where `hashed`
    hashes: npt.NDArray[np.int64]
    hashed: npt.NDArray[np.bool_]
    #: hash of the row as it was last read back, where that differs from what was sent; else 0
    founds: npt.NDArray[np.int64]
    #: digest of the row as it was read when it was sent (`core.migration.as_read`); 0 without
    reads: npt.NDArray[np.int64]
    #: Match
    states: npt.NDArray[np.uint8]
    #: inserted by us, by the ledger
    ours: npt.NDArray[np.bool_]
    #: somebody wrote to the target row after our last run
    touched: npt.NDArray[np.bool_]
    #: generation by self lookups; 0 has no parent in this mapping
    depths: npt.NDArray[np.int16]

    def part(self, start: int, stop: int) -> Matches:
        """The rows of one page."""
        return Matches(
            *(getattr(self, name)[start:stop] for name in self.__dataclass_fields__),
        )

    def where(self, mask: npt.NDArray[np.bool_]) -> Matches:
        """The rows of a mask, copied."""
        return Matches(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))


def match(
    step: Step,
    *,
    spool: RunSpool,
    target: OrgClient,
    ids: IdCodes,
    said: Said,
    translator: Translator | None = None,
) -> Matches:
    """Matches every extracted row of a mapping.

    Cost: one read of the target's Id, SystemModstamp and key columns when there are links or a key.
    Memory: about 100 bytes a row while the links are looked at, of which half stay.
    """
    narrow = gathered(step, spool.pages(source_folder(step), narrow_columns(step)), ids)
    matches = match_rows(step, narrow, said, target=target, ids=ids, translator=translator)
    matches.depths = depths(step, narrow) + later_rows(step, narrow)
    return matches


def match_rows(
    step: Step,
    narrow: pl.DataFrame,
    said: Said | None,
    *,
    target: OrgClient,
    ids: IdCodes,
    translator: Translator | None = None,
) -> Matches:
    """Matches some source rows of a mapping, all of one generation.

    Args:
        narrow: `gathered` of them.
        said: the ledger's links, of which it holds none afterwards; None asks by key and natural
            key only.
    """
    matches = fresh(narrow.get_column(CODE).to_numpy())
    bases = _take_links(matches, said) if said is not None and said.height else None
    linked = matches.states == Match.LINKED
    keyed = not step.mapping.key.is_ledger
    if narrow.height and (linked.any() or keyed):
        unknown = keyed and not linked.all()
        found = held_rows(step, narrow, matches.targets, target=target, ids=ids, keyed=unknown)
        if bases is not None:
            _probe(matches, found, bases)
        _follow_merges(step, matches, target, ids)
        if keyed:
            _match_keys(step, matches, narrow, found, ids=ids)
    if translator is not None:
        adopt(step, matches, narrow, target=target, ids=ids, translator=translator)
    return matches


def fresh(sources: Codes) -> Matches:
    """Rows of which the target knows nothing."""
    n = len(sources)
    return Matches(
        sources=sources,
        targets=np.full(n, NONE),
        hashes=np.zeros(n, dtype=np.int64),
        hashed=np.zeros(n, dtype=np.bool_),
        founds=np.zeros(n, dtype=np.int64),
        reads=np.zeros(n, dtype=np.int64),
        states=np.zeros(n, dtype=np.uint8),
        ours=np.zeros(n, dtype=np.bool_),
        touched=np.zeros(n, dtype=np.bool_),
        depths=np.zeros(n, dtype=np.int16),
    )


def _take_links(matches: Matches, said: Said) -> npt.NDArray[np.uint32]:
    """Fills in what the ledger says, of which nothing else stays; `baselines` of the rows."""
    links = said.give_up()
    places = Places(links.get_column("source").to_numpy())
    bases = np.full(len(matches.sources), NEVER, dtype=np.uint32)
    for start in range(0, len(bases), _AT_ONCE):
        rows = matches.part(start, start + _AT_ONCE)
        at = places.look_up(rows.sources)
        linked = at != NONE
        taken = pl.Series(at[linked])
        its = pl.DataFrame([column.gather(taken) for column in links.iter_columns()])
        rows.targets[linked] = its.get_column("target").to_numpy()
        sent = its.get_column("sent_hash")
        rows.hashes[linked] = sent.fill_null(0).to_numpy()
        rows.hashed[linked] = sent.is_not_null().to_numpy() & said.same_scheme
        for kept, name in ((rows.founds, "found_hash"), (rows.reads, "read_hash")):
            if its.get_column(name).null_count() < its.height:  # zeros take no memory unless set
                kept[linked] = its.get_column(name).fill_null(0).to_numpy()
        rows.ours[linked] = (its.get_column("origin") == "inserted").to_numpy()
        rows.states[linked] = Match.LINKED
        bases[start : start + _AT_ONCE][linked] = baselines(its).to_numpy()
    return bases


def _probe(matches: Matches, found: pl.DataFrame, bases: npt.NDArray[np.uint32]) -> None:
    """Marks linked rows whose target is gone, or was written to after our last run.

    Args:
        bases: `baselines` of the rows.
    """
    places = Places(found.get_column("code").to_numpy())
    stamps = found.get_column("stamp")
    for start in range(0, len(bases), _AT_ONCE):
        rows = matches.part(start, start + _AT_ONCE)
        linked = rows.states == Match.LINKED
        at = places.look_up(rows.targets)
        rows.states[linked & (at == NONE)] = Match.GONE
        there = linked & (at != NONE)
        # SystemModstamp has whole seconds: a write in the second of the baseline may have come
        # after it
        base = pl.Series(bases[start : start + _AT_ONCE][there])
        touched = stamps.gather(pl.Series(at[there])) >= base
        rows.touched[there] = touched.fill_null(value=False).to_numpy()


def _follow_merges(step: Step, matches: Matches, target: OrgClient, ids: IdCodes) -> None:
    """A target that was merged away is followed to the record that won (rule 2.4)."""
    gone = np.flatnonzero(matches.states == Match.GONE)
    if not len(gone):
        return
    lost = ids.decode(matches.targets[gone]).unique().to_list()
    pairs = list(winners(step.target, lost, target=target))
    if not pairs:
        return
    map_of = IdMap()
    map_of.add(
        ids.encode(pl.Series([loser for loser, _ in pairs])),
        ids.encode(pl.Series([winner for _, winner in pairs])),
    )
    won = map_of.look_up(matches.targets[gone])
    followed = gone[won != NONE]
    matches.targets[followed] = won[won != NONE]
    matches.states[followed] = Match.LINKED
    matches.touched[followed] = True
    matches.hashed[followed] = False


def _match_keys(
    step: Step, matches: Matches, narrow: pl.DataFrame, found: pl.DataFrame, *, ids: IdCodes
) -> None:
    """Finds rows without a link by their key; repeated keys block every row of their group."""
    keys = narrow.select("key", "blank")
    blank = keys.get_column("blank").to_numpy()
    repeated = _repeated(keys.get_column("key").to_numpy()) & ~blank
    unlinked = matches.states == Match.FRESH
    matches.states[unlinked & blank] = Match.BLANK_KEY
    open_rows = np.flatnonzero(unlinked & ~blank)
    if len(open_rows) and found.height:
        n, codes = _held(keys.select(pl.col("key").gather(open_rows)), found)
        one = open_rows[n == 1]
        matches.states[one] = Match.KEYED
        matches.targets[one] = codes[n == 1]
        matches.states[open_rows[n > 1]] = Match.REPEATED_TARGET
    if repeated.any():
        chosen = ids.encode(pl.Series(step.mapping.duplicates.survivors, dtype=pl.String))
        alone, beside = _survivors(keys, pl.Series(np.isin(matches.sources, chosen)))
        matches.states[repeated & ~alone] = Match.REPEATED_SOURCE
        matches.states[repeated & beside] = Match.NOT_SURVIVOR


def _repeated(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Rows whose key another row has, too; sorting takes a fifth of the memory of grouping."""
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.isin(keys, twice) if len(twice) else np.zeros(len(keys), dtype=np.bool_)


def _held(keys: pl.DataFrame, found: pl.DataFrame) -> tuple[npt.NDArray[np.int64], Codes]:
    """For keys of source rows how many rows of the target have them, and the first of these."""
    held = (
        found.filter(~pl.col("blank"))
        .group_by("key")
        .agg(pl.col("code").first(), pl.len().cast(pl.Int64).alias("n"))
    )
    hits = keys.join(held, on="key", how="left", maintain_order="left")
    n = hits.get_column("n").fill_null(0).to_numpy()
    return n, hits.get_column("code").fill_null(int(NONE)).to_numpy()


def _survivors(
    keys: pl.DataFrame, chosen: pl.Series
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Rows that stand alone for their group of equal keys, and the others of such groups (2.3)."""
    stands = keys.select("key").with_columns(chosen=chosen)
    single = stands.select(pl.col("chosen").sum().over("key") == 1).to_series()
    return (single & chosen).to_numpy(), (single & ~chosen).to_numpy()


def depths(step: Step, narrow: pl.DataFrame) -> npt.NDArray[np.int16]:
    """Generation of each row by its self lookups: a row comes after all its parents.

    Rows on a circle, below one, or deeper than `DEPTH_MAX` form one last generation: what they
    point to in it waits for the second pass.
    """
    n = narrow.height
    own = [lookup for lookup in step.lookups if lookup.own and not lookup.deferred]
    if not own or not n:
        return np.zeros(n, dtype=np.int16)
    places = Places(narrow.get_column(CODE).to_numpy())
    parents = [places.look_up(narrow.get_column(OWN + k.source).to_numpy()) for k in own]
    generation = np.full(n, -1, dtype=np.int16)
    for level in range(DEPTH_MAX):
        ready = generation < 0
        for parent in parents:
            ready &= (parent == NONE) | (generation[parent] >= 0)
        if not ready.any():
            break
        generation[ready] = level
    generation[generation < 0] = generation.max() + 1
    return generation
