"""What people decided about duplicates, as a run follows it.

    source rows that lose ─▶ are not sent; their links lead to the survivor's record
    survivor's row        ─▶ has the values that were chosen of the others
    links to a target record that lost there ─▶ lead to the one that survives
    source rows that lose to a target record  ─▶ are not sent; their links lead to it

Children find their parent by the links, so those of a loser hang on the survivor afterwards.
Nothing is merged or deleted in an org. A loser whose survivor is not read in this run is sent as
ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import polars as pl

from core.db import duplicates
from core.migration.context import RunContext
from core.migration.idmap import NONE
from core.migration.match import Match, Matches
from core.migration.spec import ID, Step

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Survivors:
    """Decisions that concern one mapping; ids of 18 characters."""

    #: losing source record → the one that survives
    source: Mapping[str, str] = field(default_factory=dict)
    #: likewise in the target
    target: Mapping[str, str] = field(default_factory=dict)
    #: surviving source record → field → the record whose value it takes
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: losing source record → the target record that survives in its place
    across: Mapping[str, str] = field(default_factory=dict)


def decided(
    session: Session, step: Step, *, source_org: UUID | None, target_org: UUID | None
) -> Survivors:
    """The decisions on both objects of a mapping."""
    here = _kept(session, source_org, step.source.name)
    there = _kept(session, target_org, step.target.name)
    values = {row.survivor_id: row.values for row in here if row.survivor_id and row.values}
    across = _across(here, (target_org, step.target.name)) | _across(
        there, (source_org, step.source.name), survivor_is_here=True
    )
    return Survivors(_losers(here), _losers(there), values, across)


def stand_aside(run: RunContext, matches: Matches, chosen: Survivors) -> None:
    """Takes losing source rows out of what is sent."""
    if chosen.across:
        there = run.ids.encode(pl.Series(list(chosen.across), dtype=pl.String))
        matches.states[np.isin(matches.sources, there)] = Match.NOT_SURVIVOR
    if not chosen.source:
        return
    losers = run.ids.encode(pl.Series(list(chosen.source), dtype=pl.String))
    winners = run.ids.encode(pl.Series(list(chosen.source.values()), dtype=pl.String))
    losing = losers[np.isin(winners, matches.sources)]
    matches.states[np.isin(matches.sources, losing)] = Match.NOT_SURVIVOR


def redirect(run: RunContext, step: Step, chosen: Survivors) -> int:
    """Lets the links of losers lead to their survivors' records; how many were changed."""
    known = run.maps[step.name]
    changed = [
        *_losing_sources(run, step, chosen),
        *_losing_targets(run, step, chosen),
        *_lost_across(run, step, chosen),
    ]
    if not changed:
        return 0
    frame = pl.DataFrame(changed, schema=["source_id", "target_id"], orient="row")
    codes = run.ids.encode(frame["source_id"]), run.ids.encode(frame["target_id"])
    known.add(*codes)
    if run.writes:
        links = frame.with_columns(origin=pl.lit("matched"), sent_hash=pl.lit(None, dtype=pl.Int64))
        with run.store.commit() as commit:
            commit.links(run.link_sets[step.name], links)
            commit.event(
                f"{step.told}: {len(changed)} duplicates lead to their survivors", step=step.name
            )
    return len(changed)


def with_values(run: RunContext, step: Step, page: pl.DataFrame, chosen: Survivors) -> pl.DataFrame:
    """The page with the values that were chosen for its survivors.

    Cost: one call per 200 records whose values are taken, on pages that hold such a survivor.
    """
    here = {one: chosen.values[one] for one in page.get_column(ID) if one in chosen.values}
    wanted = {name for fields in here.values() for name in fields if name in page.columns}
    if not wanted:
        return page
    donors = sorted({donor for fields in here.values() for donor in fields.values()})
    listed = ", ".join(f"'{one}'" for one in donors)
    soql = (
        f"SELECT {ID}, {', '.join(sorted(wanted))} FROM {step.source.name} WHERE {ID} IN ({listed})"
    )
    frames = list(run.source.query_frames(soql))
    if not frames:
        return page
    taken = {row[ID]: row for frame in frames for row in frame.iter_rows(named=True)}
    changed = page
    for name in sorted(wanted):
        new = {
            one: taken[fields[name]][name]
            for one, fields in here.items()
            if name in fields and fields[name] in taken
        }
        mask = pl.col(ID).is_in(list(new))
        value = pl.col(ID).replace_strict(new, default=None, return_dtype=pl.String)
        changed = changed.with_columns(pl.when(mask).then(value).otherwise(name).alias(name))
    return changed


def _kept(session: Session, org_id: UUID | None, sobject: str) -> list[duplicates.DecisionRow]:
    if org_id is None:
        return []
    found = duplicates.decisions(session, org_id=org_id, sobject=sobject)
    return [row for row in found.values() if row.decision == "keep" and row.survivor_id]


def _losers(rows: list[duplicates.DecisionRow]) -> dict[str, str]:
    """Loser → survivor; where a survivor lost elsewhere, the last of the chain."""
    direct = {
        one: str(row.survivor_id)
        for row in rows
        if row.elsewhere is None
        for one in row.record_ids
        if one != row.survivor_id
    }
    found = {}
    for loser, survivor in direct.items():
        seen = {loser}
        last = survivor
        while last in direct and last not in seen:
            seen.add(last)
            last = direct[last]
        if last != loser:
            found[loser] = last
    return found


def _across(
    rows: list[duplicates.DecisionRow],
    other: tuple[UUID | None, str],
    *,
    survivor_is_here: bool = False,
) -> dict[str, str]:
    """Source record → target record, of decisions that were kept with one of both orgs.

    Args:
        other: the org that the decisions are not kept with, and its object.
        survivor_is_here: they are kept with the target; else with the source.
    """
    found: dict[str, str] = {}
    for row in rows:
        there = row.elsewhere
        if there is None or (there.org_id, there.sobject.lower()) != (other[0], other[1].lower()):
            continue
        here = set(row.record_ids) - set(there.record_ids)
        losers, survivors = (
            (there.record_ids, here) if survivor_is_here else (here, there.record_ids)
        )
        if row.survivor_id in survivors:
            found |= dict.fromkeys(losers, str(row.survivor_id))
    return found


def _losing_sources(run: RunContext, step: Step, chosen: Survivors) -> list[tuple[str, str]]:
    if not chosen.source:
        return []
    losers = pl.Series(list(chosen.source), dtype=pl.String)
    winners = pl.Series(list(chosen.source.values()), dtype=pl.String)
    known = run.maps[step.name]
    now = known.look_up(run.ids.encode(losers))
    wanted = known.look_up(run.ids.encode(winners))
    moved = (wanted != NONE) & (now != wanted)
    targets = run.ids.decode(wanted[moved])
    return list(zip(losers.filter(pl.Series(moved)), targets, strict=True))


def _losing_targets(run: RunContext, step: Step, chosen: Survivors) -> list[tuple[str, str]]:
    if not chosen.target:
        return []
    sources, targets = run.maps[step.name].pairs()
    losers = run.ids.encode(pl.Series(list(chosen.target), dtype=pl.String))
    hit = np.isin(targets, losers)
    lost = run.ids.decode(targets[hit])
    kept = [chosen.target[one] for one in lost]
    return list(zip(run.ids.decode(sources[hit]), kept, strict=True))


def _lost_across(run: RunContext, step: Step, chosen: Survivors) -> list[tuple[str, str]]:
    if not chosen.across:
        return []
    losers = list(chosen.across)
    codes = run.ids.encode(pl.Series(losers, dtype=pl.String))
    wanted = run.ids.encode(pl.Series(list(chosen.across.values()), dtype=pl.String))
    moved = run.maps[step.name].look_up(codes) != wanted
    return [(one, chosen.across[one]) for one, is_new in zip(losers, moved, strict=True) if is_new]
