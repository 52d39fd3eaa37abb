"""What a run keeps of its rows on the spool, for people: the rows as sent, the id map, the source
values of rows that were held back.

Read-only, page by page; what retention has deleted is said to be gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from core.access import roles
from core.db import runs
from core.db.run_state import RunStore
from core.domain.csv import people_csv
from core.domain.roles import Actor, Role
from core.domain.states import ChunkState
from core.migration.outcomes import NA
from core.migration.prepare import BLANK, HASH, SOURCE
from core.migration.run import NOBODY
from core.migration.spec import ID
from core.migration.verify import sent_rows
from core.spool import RunSpool

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

#: pages of a mapping that are opened to show source values of single rows
PAGES_LOOKED_AT = 8
#: columns of a sent page that are not the target's
_NO_FIELDS = frozenset({SOURCE, HASH, "target_id"})


def source_values(
    bridge: Orgbridge, actor: Actor, name: str, *, mapping: str, ids: Sequence[str]
) -> dict[str, Mapping[str, str | None]]:
    """Source rows by id as they were read; rows beyond the first pages, or gone, are left out."""
    roles.require(actor, Role.VIEWER)
    spool = _spool(bridge, actor, name)
    found: dict[str, Mapping[str, str | None]] = {}
    for page in spool.names(f"src/{mapping}")[:PAGES_LOOKED_AT]:
        rows = spool.read(page).filter(pl.col(ID).is_in(list(ids)))
        found.update({str(row[ID]): row for row in rows.iter_rows(named=True)})
        if len(found) == len(ids):
            break
    return found


def sent_csv(bridge: Orgbridge, actor: Actor, name: str, *, mapping: str) -> Iterable[bytes]:
    """Every row of a mapping that the org took, as sent, with both ids.

    Columns: Source id, Target id, Pass, Operation, then the fields in the order in which they were
    met; a field that a chunk did not carry is blank in its rows, an emptied one ``#N/A``.

    Cost: opens every page twice (columns first); memory is one chunk.
    """
    fields: dict[str, None] = {}
    for _, _, frame in _sent(bridge, actor, name, mapping):
        fields.update(dict.fromkeys(n for n in frame.columns if n not in _NO_FIELDS))
    schema = dict.fromkeys(("Source id", "Target id", "Pass", "Operation", *fields), pl.String)
    empty = pl.DataFrame(schema=schema)
    yield people_csv(empty)
    header = len(people_csv(empty, bom=False))
    for phase, operation, frame in _sent(bridge, actor, name, mapping):
        rows = frame.select(
            pl.col(SOURCE).alias("Source id"),
            pl.col("target_id").alias("Target id"),
            pl.lit(phase).alias("Pass"),
            pl.lit(operation).alias("Operation"),
            *(_cell(field, frame).alias(field) for field in fields),
        )
        yield people_csv(rows, bom=False)[header:]


def _cell(field: str, frame: pl.DataFrame) -> pl.Expr:
    if field not in frame.columns:
        return pl.lit(None, pl.String)
    return pl.when(pl.col(field) == BLANK).then(pl.lit(NA)).otherwise(pl.col(field))


def id_map_csv(bridge: Orgbridge, actor: Actor, name: str) -> Iterable[bytes]:
    """Source id and target id of every row that the org took, of all mappings."""
    schema = dict.fromkeys(("Object", "Source id", "Target id"), pl.String)
    yield people_csv(pl.DataFrame(schema=schema))
    header = len(people_csv(pl.DataFrame(schema=schema), bom=False))
    with bridge.session(actor.workspace_id) as session:
        row = runs.run_named(session, name)
        mappings = list(dict.fromkeys(s["mapping_name"] for s in runs.steps(session, row.id)))
    for mapping in mappings:
        for phase, _, frame in _sent(bridge, actor, name, mapping):
            if phase == "load" and frame.height:
                named = frame.select(
                    pl.lit(mapping).alias("Object"),
                    pl.col(SOURCE).alias("Source id"),
                    pl.col("target_id").alias("Target id"),
                )
                yield people_csv(named, bom=False)[header:]


def _sent(
    bridge: Orgbridge, actor: Actor, name: str, mapping: str
) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Phase, operation and accepted rows of every settled chunk of a mapping."""
    roles.require(actor, Role.VIEWER)
    spool = _spool(bridge, actor, name)
    with bridge.session(actor.workspace_id) as session:
        run_id = runs.run_named(session, name).id
    store = RunStore(
        bridge.owner_session, workspace_id=actor.workspace_id, run_id=run_id, token=NOBODY
    )
    for step in store.steps():
        if step.mapping_name != mapping:
            continue
        for chunk in store.chunks(step.id):
            if chunk.state is ChunkState.DONE and "done" in chunk.outcome:
                yield step.phase, chunk.operation, sent_rows(spool, chunk)


def _spool(bridge: Orgbridge, actor: Actor, name: str) -> RunSpool:
    with bridge.session(actor.workspace_id) as session:
        row = runs.run_named(session, name)
        return bridge.spool.run(row.id, runs.wrapped_key(session, row.id))
