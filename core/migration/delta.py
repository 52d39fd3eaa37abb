"""Delta runs: only what may have changed since the last run of the same version (rule 1.5).

    changed since the last watermark        rows commit late: from ten minutes before it
    stayed behind in the last run           blocked, failed, or left with a blank lookup
    children of rows that are new to the plan   their lookup had nowhere to lead
    deleted in the source meanwhile         counted and named; nothing is deleted in the target

Everything is read when there is no such run, when formulas of the source or record types changed
since, or when too many rows would have to be named: a comparison by hash still writes differences
only.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from core.domain.plan import ObjectMapping
from core.domain.soql import in_list
from core.migration.context import RunContext
from core.migration.idmap import NONE
from core.migration.match import Match, Matches
from core.migration.spec import ID, MODSTAMP, Step
from core.spool import page_name

#: how late a row may become visible after its SystemModstamp
LATE = dt.timedelta(minutes=10)
#: rows named in queries; beyond, the object is read as a whole
NAMED_MAX = 10_000
#: ids of one IN list: 18 characters each, far below the 100,000 characters of a query
IDS_IN_QUERY = 400
#: ids of deleted rows that a run keeps
SHOWN_IDS = 200
_DELETED = "IsDeleted"


@dataclass(frozen=True, slots=True)
class Since:
    """The run that a delta follows."""

    #: its watermark; None reads everything
    watermark: dt.datetime | None = None
    #: source ids that stayed behind in it, by mapping
    behind: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: nothing but the rows of `behind` is read
    only_behind: bool = False

    @property
    def start(self) -> str:
        """The beginning of the window as a literal of SOQL."""
        at = (self.watermark or dt.datetime.min.replace(tzinfo=dt.UTC)) - LATE
        return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}Z"


def conditions(
    run: RunContext, step: Step, since: Since, *, mappings: Sequence[ObjectMapping]
) -> tuple[str, ...] | None:
    """Conditions of which each reads a part of the rows; they may overlap. None: all rows."""
    if since.only_behind:
        return tuple(_in(ID, since.behind.get(step.name, ())))
    if since.watermark is None or MODSTAMP not in step.source.fields:
        return None
    behind = list(since.behind.get(step.name, ()))
    named = list(_children(run, step, mappings))
    if len(behind) > NAMED_MAX or any(len(ids) > NAMED_MAX for _, ids in named):
        return None
    changed = f"{MODSTAMP} >= {since.start}"
    listed = [(ID, behind), *named]
    return (changed, *(text for path, ids in listed for text in _in(path, ids)))


def note_new(run: RunContext, step: Step, matches: Matches) -> None:
    """Keeps which rows are new to the plan, for the children that this run reads later."""
    name = page_name(_folder(step.name), 1)
    if name in run.spool.names(_folder(step.name)):
        return
    new = np.isin(matches.states, (Match.FRESH, Match.KEYED, Match.ADOPTED))
    run.spool.write(name, pl.DataFrame({ID: run.ids.decode(matches.sources[new])}))


def deleted(run: RunContext, step: Step, since: Since) -> list[str]:
    """Source ids of rows that were deleted since, and that the ledger has a target for.

    Cost: one query.
    """
    known = {MODSTAMP, _DELETED} <= set(step.source.fields)
    if since.watermark is None or not known or step.operation.is_delete:
        return []
    soql = (
        f"SELECT {ID} FROM {step.source.name}"
        f" WHERE {_DELETED} = true AND {MODSTAMP} >= {since.start}"
    )
    found: list[str] = []
    for page in run.source.query_frames(soql, all_rows=True):
        ids = page.get_column(ID)
        linked = run.maps[step.name].look_up(run.ids.encode(ids)) != NONE
        found += ids.filter(pl.Series(linked)).to_list()
    return found


def drift(changed: int, gone: Sequence[str]) -> dict[str, object]:
    """What a step's cursor keeps of rows that moved under the run: counts, and some ids."""
    return {"drift": changed, "deleted": len(gone), "deleted_ids": list(gone[:SHOWN_IDS])}


def sentence(step: Step, gone: Sequence[str]) -> str:
    """What people are told of rows that were deleted in the source."""
    shown = ", ".join(gone[:3]) + ("…" if len(gone) > 3 else "")
    return (
        f"{step.told}: {len(gone)} rows were deleted in the source since the last run ({shown}); "
        "their records in the target stay"
    )


def formulas(steps: Sequence[Step]) -> str:
    """Tells what a row's values depend on besides the row and the plan: formulas of the source
    that are read, record types of both sides. Equal as long as none of them changed."""
    parts = []
    for step in steps:
        for entry in step.source.fields.values():
            if entry.calculated:
                parts.append(f"{step.name}.{entry.name}={entry.calculated_formula}")
        for side in (step.source, step.target):
            for kind in side.record_types:
                parts.append(f"{step.name}:{kind.developer_name}={kind.record_type_id}")
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:32]


def _children(
    run: RunContext, step: Step, mappings: Sequence[ObjectMapping]
) -> Iterator[tuple[str, list[str]]]:
    """Lookups of the source to rows that became new to the plan in this run, with their ids."""
    paths = {k.source: set(k.parents) - {step.name} for k in step.lookups}
    for path in step.mapping.scope.within if step.mapping.scope else ():
        allowed = {name.lower() for name in step.source.fields[path].reference_to}
        parents = {m.name for m in mappings if m.source.lower() in allowed}
        paths.setdefault(path, set()).update(parents)
    for path, parents in paths.items():
        plain = path in step.source.fields and step.source.fields[path].filterable
        new = [run.spool.read(n) for p in sorted(parents) for n in run.spool.names(_folder(p))]
        if plain and new:
            yield path, pl.concat(new).get_column(ID).unique(maintain_order=True).to_list()


def _in(path: str, ids: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(ids), IDS_IN_QUERY):
        yield f"{path} IN {in_list(ids[start : start + IDS_IN_QUERY])}"


def _folder(name: str) -> str:
    return f"new/{name}"
