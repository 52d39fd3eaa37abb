"""Which rows go first in a canary, and what share of everything they are (rule 8.2).

    n % of every root ──down over master-detail──▶ their details
                      ──up over lookups that cannot wait, and those of keys──▶ the parents they need

A root is a mapping that is nobody's detail. The choice depends on ids only, so that it is the same
however often it is made. Lookups that may be blank wait for the second pass where they name a row
that this run has yet to load. Rows that are taken along for others are not followed further down:
one parent with many details would make everything a canary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from core.domain.plan import ObjectMapping
from core.migration.context import RunContext
from core.migration.extract import source_folder
from core.migration.idmap import Codes
from core.migration.match import Matches
from core.migration.spec import ID, Lookup, Step

Mask = npt.NDArray[np.bool_]

#: odd, about 2**64 / golden ratio: spreads codes that lie close together (Knuth 6.4)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(slots=True)
class _Object:
    """The rows of one mapping, in the order of the spool."""

    step: Step
    codes: Codes
    #: parents' codes by the lookup's source path
    parents: dict[str, Codes]
    chosen: Mask
    roots: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """The rows of a mapping that a pass loads: the canary's, or all the others."""

    #: begins the names of pages and places of this pass: ``c`` or nothing
    mark: str
    chosen: Codes
    is_canary: bool

    def narrow(self, matches: Matches) -> None:
        """Takes the rows of the other turn out of a match: their generation never comes."""
        canary = np.isin(matches.sources, self.chosen)
        matches.depths[canary != self.is_canary] = -1


def turn_of(run: RunContext, step: Step, *, is_canary: bool) -> Turn:
    """A mapping's part of a canary that was chosen before."""
    ids = run.spool.read(_page(step)).get_column(ID)
    return Turn("c" if is_canary else "", run.ids.encode(ids), is_canary)


def choose(
    run: RunContext, steps: Sequence[Step], *, percent: int, roots: Sequence[str] = ()
) -> dict[str, object]:
    """Chooses the rows of a canary and keeps their ids on the spool; figures for people.

    Args:
        steps: mappings whose rows all lie on the spool.
        roots: names of the mappings to draw from; empty for all that are nobody's detail.
    Returns:
        ``{"asked_percent", "rows", "chosen", "percent", "objects": {name: {"rows", "chosen",
        "percent", "roots"}}}``.
    """
    objects = {step.name: _read(run, step) for step in steps}
    for entry in objects.values():
        if entry.step.name in roots if roots else not _masters(entry.step, objects):
            _draw(entry, percent)
    _go_down(objects)
    _go_up(objects)
    for entry in objects.values():
        ids = run.ids.decode(entry.codes[entry.chosen])
        run.spool.write(_page(entry.step), pl.DataFrame({ID: ids}, schema={ID: pl.String}))
    figures = {name: _figures(entry) for name, entry in objects.items()}
    rows = sum(len(entry.codes) for entry in objects.values())
    chosen = sum(int(entry.chosen.sum()) for entry in objects.values())
    return {
        "asked_percent": percent,
        "rows": rows,
        "chosen": chosen,
        "percent": _share(chosen, rows),
        "objects": figures,
    }


def sentence(figures: Mapping[str, Any]) -> str:
    """The real share in words."""
    return (
        f"The canary takes {figures['chosen']:,} of {figures['rows']:,} rows"
        f" ({figures['percent']} %; {figures['asked_percent']} % of the roots)."
    )


def _page(step: Step) -> str:
    return f"canary/{step.name}"


def _read(run: RunContext, step: Step) -> _Object:
    paths = list(dict.fromkeys(lookup.source for lookup in step.lookups if lookup.parents))
    columns = [ID, *(path for path in paths if path != ID)]
    frames = list(run.spool.pages(source_folder(step), columns))
    empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    rows = pl.concat(frames) if frames else empty
    codes = run.ids.encode(rows.get_column(ID))
    parents = {path: run.ids.encode(rows.get_column(path)) for path in paths}
    return _Object(step, codes, parents, np.zeros(len(codes), dtype=np.bool_))


def _draw(entry: _Object, percent: int) -> None:
    n = len(entry.codes)
    wanted = min(n, -(-n * percent // 100))
    spread = entry.codes.astype(np.uint64) * _SPREAD
    entry.chosen[np.argsort(spread, kind="stable")[:wanted]] = True
    entry.roots = wanted


def _masters(step: Step, objects: dict[str, _Object]) -> list[Lookup]:
    """Lookups to a master that is another mapping of the run."""
    return [
        lookup
        for lookup in step.lookups
        if lookup.field.is_master_detail
        and any(name in objects and name != step.name for name in lookup.parents)
    ]


def _go_down(objects: dict[str, _Object]) -> None:
    grows = True
    while grows:
        grows = False
        for entry in objects.values():
            for lookup in _masters(entry.step, objects):
                of = np.isin(entry.parents[lookup.source], _chosen(objects, lookup))
                grows |= _add(entry, of)


def _go_up(objects: dict[str, _Object]) -> None:
    grows = True
    while grows:
        grows = False
        for entry in objects.values():
            if entry.step.operation.is_delete:  # a child leaves without its parents
                continue
            for lookup in entry.step.lookups:
                if not _is_needed(entry.step.mapping, lookup):
                    continue
                wanted = entry.parents.get(lookup.source, np.empty(0, np.int64))
                for name in lookup.parents:
                    parent = objects.get(name)
                    if parent is not None and not parent.step.operation.is_delete:
                        named = np.isin(parent.codes, wanted[entry.chosen])
                        grows |= _add(parent, named)


def _is_needed(mapping: ObjectMapping, lookup: Lookup) -> bool:
    """The row cannot arrive, or not be recognised, without this parent."""
    may_be_later = lookup.field.nillable and lookup.field.updateable
    relation = lookup.field.relationship_name or ""
    paths = [path.lower() for path in (*mapping.key.source, *mapping.key.target)]
    in_key = any(
        path == lookup.source.lower() or (relation and path.startswith(relation.lower() + "."))
        for path in paths
    )
    return not may_be_later or in_key


def _chosen(objects: dict[str, _Object], lookup: Lookup) -> Codes:
    parts = [objects[n].codes[objects[n].chosen] for n in lookup.parents if n in objects]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _add(entry: _Object, rows: Mask) -> bool:
    new = rows & ~entry.chosen
    entry.chosen |= new
    return bool(new.any())


def _figures(entry: _Object) -> dict[str, object]:
    rows, chosen = len(entry.codes), int(entry.chosen.sum())
    return {
        "rows": rows,
        "chosen": chosen,
        "percent": _share(chosen, rows),
        "roots": entry.roots,
    }


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0
