"""Which source rows the target has already: by the ledger first, then by the key; one array per
fact.

    narrow columns of the spool ──┐
    links of the mapping ─────────┼─▶ Matches: per source row its state, target, last hash, depth
    target's Id, stamp, key ──────┘

Arrays are in the order of the spool's pages, so a page's part is a slice. About 30 bytes a row stay
in memory; the key columns themselves do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import polars as pl

from core.db.ledger import LinkSetRow
from core.domain.describe import SObject
from core.migration.adopt import adopt, later_rows, row_paths
from core.migration.extract import source_folder
from core.migration.idmap import NONE, Codes, IdCodes, IdMap
from core.migration.keys import KEY_VALUE, key_columns
from core.migration.lookups import Translator
from core.migration.spec import ID, MODSTAMP, Step
from core.salesforce.client import OrgClient
from core.spool import RunSpool

#: links up to which targets are probed by id, not by reading the whole object
PROBE_BY_ID = 4_000
#: ids of one retrieve call
RETRIEVE_IDS = 2_000
#: generations of a self lookup that are loaded one after the other; deeper ones wait for the second
#: pass
DEPTH_MAX = 40


class Match(IntEnum):
    """What is known of one source row."""

    FRESH = 0  # the target has no such record
    LINKED = 1  # the ledger says which one, and it is there
    KEYED = 2  # found by its key
    REPEATED_SOURCE = 3  # its key repeats in the source
    REPEATED_TARGET = 4  # its key repeats in the target
    BLANK_KEY = 5  # its key is blank altogether
    GONE = 6  # the ledger says which one, and it is gone


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


def match(  # the seven things a match is made of
    step: Step,
    *,
    spool: RunSpool,
    target: OrgClient,
    ids: IdCodes,
    links: pl.DataFrame,
    link_set: LinkSetRow,
    hash_scheme: str,
    translator: Translator | None = None,
) -> Matches:
    """Matches every extracted row of a mapping.

    Cost: one read of the target's Id, SystemModstamp and key columns when there are links or a key.
    """
    narrow = _narrow(step, spool)
    sources = ids.encode(narrow.get_column(ID))
    matches = fresh(sources)
    matches.depths = depths(step, narrow, ids, sources) + later_rows(step, narrow)
    linked = _take_links(matches, links, ids, same_scheme=link_set.hash_scheme == hash_scheme)
    keyed = not step.mapping.key.is_ledger
    if linked.any() or keyed:
        found = _targets(step, target, matches.targets[linked], ids, keyed=keyed)
        _probe(matches, linked, found, links, link_set, ids)
        _follow_merges(step, matches, target, ids)
        if keyed:
            _match_keys(step, matches, narrow, found)
    if translator is not None:
        adopt(step, matches, narrow, target=target, ids=ids, translator=translator)
    return matches


def _narrow(step: Step, spool: RunSpool) -> pl.DataFrame:
    wanted = [ID, *step.mapping.key.source, *(k.source for k in step.lookups if k.own)]
    if step.mapping.key.value is not None:
        wanted.append(KEY_VALUE)
    wanted.extend(row_paths(step.target, step.source))
    columns = list(dict.fromkeys(wanted))
    frames = list(spool.pages(source_folder(step), columns))
    empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.concat(frames, rechunk=True) if frames else empty


def fresh(sources: Codes) -> Matches:
    """Rows of which the target knows nothing."""
    n = len(sources)
    return Matches(
        sources=sources,
        targets=np.full(n, NONE),
        hashes=np.zeros(n, dtype=np.int64),
        hashed=np.zeros(n, dtype=np.bool_),
        founds=np.zeros(n, dtype=np.int64),
        states=np.zeros(n, dtype=np.uint8),
        ours=np.zeros(n, dtype=np.bool_),
        touched=np.zeros(n, dtype=np.bool_),
        depths=np.zeros(n, dtype=np.int16),
    )


def _take_links(
    matches: Matches, links: pl.DataFrame, ids: IdCodes, *, same_scheme: bool
) -> npt.NDArray[np.bool_]:
    """Fills in what the ledger says; the mask of rows that have a link."""
    if links.is_empty():
        return np.zeros(len(matches.sources), dtype=np.bool_)
    places = IdMap()
    places.add(ids.encode(links.get_column("source_id")), np.arange(links.height))
    at = places.look_up(matches.sources)
    linked: npt.NDArray[np.bool_] = at != NONE
    of = at[linked]
    matches.targets[linked] = ids.encode(links.get_column("target_id"))[of]
    hashes = links.get_column("sent_hash")
    matches.hashes[linked] = hashes.fill_null(0).to_numpy()[of]
    matches.hashed[linked] = hashes.is_not_null().to_numpy()[of] & same_scheme
    matches.founds[linked] = links.get_column("found_hash").fill_null(0).to_numpy()[of]
    matches.ours[linked] = (links.get_column("origin") == "inserted").to_numpy()[of]
    matches.states[linked] = Match.LINKED
    return linked


def _targets(
    step: Step, target: OrgClient, linked: Codes, ids: IdCodes, *, keyed: bool
) -> pl.DataFrame:
    """Target rows as ``code`` (Int64), ``stamp`` and, when keyed, canonical key columns."""
    stamp = [MODSTAMP] if MODSTAMP in step.target.fields else []
    if not keyed and len(linked) <= PROBE_BY_ID:
        rows: Iterator[pl.DataFrame] = _by_id(step.target, target, ids.decode(linked), [ID, *stamp])
    else:
        paths = list(step.mapping.key.target) if keyed else []
        columns = list(dict.fromkeys([ID, *stamp, *paths]))
        soql = f"SELECT {', '.join(columns)} FROM {step.target.name}"
        if len(paths) == 1 and not len(linked) and _filters(step.target, paths[0]):
            soql += f" WHERE {paths[0]} != null"
        rows = target.query_frames(soql)
    schema = {"code": pl.Int64, "stamp": pl.String, "key": pl.UInt64, "blank": pl.Boolean}
    parts = [pl.DataFrame(schema=schema)]
    for frame in rows:
        stamps = frame.get_column(MODSTAMP).str.slice(0, 23) if stamp else pl.lit(None, pl.String)
        made = pl.DataFrame({"code": ids.encode(frame.get_column(ID))}).with_columns(stamp=stamps)
        if keyed:
            made = made.hstack(frame.select(key_columns(step, side="target")))
        else:
            made = made.with_columns(key=pl.lit(0, pl.UInt64), blank=pl.lit(value=True))
        parts.append(made.select(*schema))
    return pl.concat(parts)


def _filters(sobject: SObject, path: str) -> bool:
    return path in sobject.fields and sobject.fields[path].filterable


def _by_id(
    sobject: SObject, org: OrgClient, wanted: pl.Series, columns: list[str]
) -> Iterator[pl.DataFrame]:
    unique = wanted.unique().to_list()
    for start in range(0, len(unique), RETRIEVE_IDS):
        got = org.retrieve(sobject.name, unique[start : start + RETRIEVE_IDS], columns)
        rows = [[row.get(name) for name in columns] for row in got.values()]
        if rows:
            yield pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def _probe(
    matches: Matches,
    linked: npt.NDArray[np.bool_],
    found: pl.DataFrame,
    links: pl.DataFrame,
    link_set: LinkSetRow,
    ids: IdCodes,
) -> None:
    """Marks linked rows whose target is gone, or was written to after our last run."""
    if not linked.any():
        return
    places = IdMap()
    places.add(found.get_column("code").to_numpy(), np.arange(found.height))
    at = places.look_up(matches.targets)
    gone = linked & (at == NONE)
    matches.states[gone] = Match.GONE
    there = linked & (at != NONE)
    # read back when it was verified, else the end of the run that wrote it (rule 3.2)
    baselines = links.select(
        pl.col("target_modstamp").fill_null(link_set.settled_at or "9999")
    ).to_series()
    back = IdMap()
    back.add(ids.encode(links.get_column("source_id")), np.arange(links.height))
    base = baselines.gather(pl.Series(back.look_up(matches.sources[there])))
    stamps = found.get_column("stamp").gather(pl.Series(at[there]))
    # SystemModstamp has whole seconds: a write in the second of the baseline may have come after it
    touched = stamps.str.slice(0, 19) >= base.str.slice(0, 19)
    matches.touched[there] = touched.fill_null(value=False).to_numpy()


def _follow_merges(step: Step, matches: Matches, target: OrgClient, ids: IdCodes) -> None:
    """A target that was merged away is followed to the record that won (rule 2.4)."""
    gone = np.flatnonzero(matches.states == Match.GONE)
    if not len(gone) or "MasterRecordId" not in step.target.fields:
        return
    winners = IdMap()
    lost = ids.decode(matches.targets[gone]).unique().to_list()
    for start in range(0, len(lost), 200):
        listed = "','".join(lost[start : start + 200])
        soql = (
            f"SELECT Id, MasterRecordId FROM {step.target.name}"
            f" WHERE Id IN ('{listed}') AND MasterRecordId != null"
        )
        rows = list(target.query(soql, all_rows=True))
        if rows:
            winners.add(
                ids.encode(pl.Series([row["Id"] for row in rows])),
                ids.encode(pl.Series([row["MasterRecordId"] for row in rows])),
            )
    won = winners.look_up(matches.targets[gone])
    followed = gone[won != NONE]
    matches.targets[followed] = won[won != NONE]
    matches.states[followed] = Match.LINKED
    matches.touched[followed] = True
    matches.hashed[followed] = False


def _match_keys(step: Step, matches: Matches, narrow: pl.DataFrame, found: pl.DataFrame) -> None:
    """Finds rows without a link by their key; repeated keys block every row of their group."""
    keys = narrow.select(key_columns(step, side="source"))
    blank = keys.get_column("blank").to_numpy()
    counts = keys.select(pl.len().over("key")).to_series().to_numpy()
    survivors = set(step.mapping.duplicates.survivors)
    stands = narrow.get_column(ID).is_in(list(survivors)).to_numpy() if survivors else False
    repeated = (counts > 1) & ~blank & ~np.asarray(stands)
    unlinked = matches.states == Match.FRESH
    matches.states[unlinked & blank] = Match.BLANK_KEY
    held = (
        found.filter(~pl.col("blank"))
        .group_by("key")
        .agg(pl.col("code").first(), pl.len().alias("n"))
    )
    hits = keys.select("key").join(held, on="key", how="left", maintain_order="left")
    n = hits.get_column("n").fill_null(0).to_numpy()
    codes = hits.get_column("code").fill_null(int(NONE)).to_numpy()
    open_rows = unlinked & ~blank
    one = open_rows & (n == 1)
    matches.states[one] = Match.KEYED
    matches.targets[one] = codes[one]
    matches.states[open_rows & (n > 1)] = Match.REPEATED_TARGET
    matches.states[repeated] = Match.REPEATED_SOURCE


def depths(step: Step, narrow: pl.DataFrame, ids: IdCodes, sources: Codes) -> npt.NDArray[np.int16]:
    """Generation of each row by its self lookups: a row comes after all its parents.

    Rows on a circle, below one, or deeper than `DEPTH_MAX` form one last generation: what they
    point to in it waits for the second pass.
    """
    n = len(sources)
    own = [lookup for lookup in step.lookups if lookup.own and not lookup.deferred]
    if not own or not n:
        return np.zeros(n, dtype=np.int16)
    places = IdMap()
    places.add(sources, np.arange(n))
    parents = [places.look_up(ids.encode(narrow.get_column(lookup.source))) for lookup in own]
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
