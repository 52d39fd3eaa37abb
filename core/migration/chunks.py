"""Cutting what was prepared into chunks: one request or one bulk job each, their rows on the spool
first.

Which API (by cost, unless the plan says): updates, deletes and inserts whose key the org itself
holds to be unique go by collections while they are few, by graphs where all or nothing is asked;
everything else goes by Bulk 2.0, where a lost answer is found again by the job's id. Keyless
inserts therefore never go by collections (rule 2.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from core.db.run_state import NewChunk
from core.domain.plan import Api, Operation
from core.migration.prepare import Prepared, says_null_mark
from core.migration.spec import Step
from core.spool import RunSpool

#: rows up to which collections are sooner than a job (Salesforce's own advice: 2,000)
COLLECTIONS_UP_TO = 2_000
COLLECTION_ROWS = 200
#: rows of one round of requests, three at once, and the seconds that it takes at the least: that
#: much of one generation goes by requests in any case, more where a job takes longer (seen: a job
#: of few rows takes 3 to 20 s in an org, a fraction of one in a practice org)
ROUND_ROWS, ROUND_S = 600, 0.5
#: nodes of one graph (REST API guide, Composite Graph)
GRAPH_ROWS = 500
#: rows of one job: full internal batches of 10,000 (Bulk API 2.0, Limits)
BULK_ROWS = 20_000
#: rows of a job after rows met a lock (rule 3.11)
GENTLE_ROWS = 10_000
#: bytes of a frame whose CSV surely stays under the limit of one job
BULK_BYTES = 80_000_000


def plan_chunks(
    step: Step,
    prepared: Prepared,
    spool: RunSpool,
    *,
    name: str,
    is_gentle: bool = False,
    by_requests: int = COLLECTIONS_UP_TO,
) -> list[NewChunk]:
    """Writes the pages of all chunks and returns what the database must know of them.

    Args:
        name: stem of the pages; the same rows under the same name replace themselves.
        is_gentle: rows met a lock: smaller jobs, in which rows of one parent stay together.
        by_requests: new rows up to which requests are sooner than a job (`sooner_by_requests`).
    """
    chunks = []
    cut_up = gentle if is_gentle else cut
    for operation, rows in _by_operation(step, prepared):
        groups = _by_api(step, rows, operation, by_requests=by_requests)
        parts = ((api, part) for api, group in groups for part in cut_up(step, group, api))
        for number, (api, part) in enumerate(parts):
            page = f"load/{step.name}/{name}-{operation}-{number:05d}"
            spool.write(page, part)
            chunks.append(NewChunk(api=api, operation=operation, rows=part.height, page=page))
    return chunks


def requests_for(step: Step, prepared: Prepared, *, by_requests: int) -> dict[str, dict[str, int]]:
    """Chunks by operation and API that the rows would travel in: the choice by cost."""
    found = {}
    for operation, rows in _by_operation(step, prepared):
        groups = _by_api(step, rows, operation, by_requests=by_requests)
        found[operation] = {api: sum(1 for _ in cut(step, group, api)) for api, group in groups}
    return found


def estimate(step: Step, rows: int) -> tuple[str, int]:
    """API and number of requests or jobs that so many rows would take, all of them new."""
    operation = "upsert" if step.upserts_by_key else "insert"
    if step.operation in (Operation.DELETE, Operation.HARD_DELETE, Operation.UPDATE):
        operation = step.operation.value
    api = api_for(step, operation, rows)
    return api, -(-rows // _limit(step, api))


def sooner_by_requests(new_rows: int, *, job_s: float | None) -> int:
    """New rows of one generation up to which requests are sooner than a job.

    A choice, once committed, stays with its chunks: a run that is resumed may choose otherwise for
    what it has not planned yet.

    Args:
        new_rows: of the whole mapping; few enough go by requests whatever their generations.
        job_s: the quickest of the last jobs of the org; None where none was seen.
    """
    if new_rows <= COLLECTIONS_UP_TO:
        return COLLECTIONS_UP_TO
    rounds = int((job_s or 0.0) / ROUND_S)
    return min(max(rounds, 1) * ROUND_ROWS, COLLECTIONS_UP_TO)


def api_for(step: Step, operation: str, rows: int, *, by_requests: int = COLLECTIONS_UP_TO) -> str:
    """The API by which rows of that operation travel.

    Args:
        by_requests: new rows up to which requests are sooner than a job.
    """
    wanted = step.mapping.load.api
    if wanted is Api.BULK or operation == "hard_delete":
        return "bulk"
    if not may_use_collections(step, operation):
        return "bulk"
    load = step.mapping.load
    # a graph holds more rows that live or fall together than a collection
    if wanted is Api.GRAPH or (wanted is Api.AUTO and load.all_or_none):
        return "graph"
    if wanted is Api.COLLECTIONS or load.all_or_none or load.duplicate_rules == "allow":
        return "collections"
    most = by_requests if operation in ("insert", "upsert") else COLLECTIONS_UP_TO
    return "collections" if rows <= most else "bulk"


def may_use_collections(step: Step, operation: str) -> bool:
    """A lost answer can be settled: the rows are known by id, or by a key that cannot repeat."""
    return operation != "insert" or not step.inserts_by_bulk_only


def _limit(step: Step, api: str) -> int:
    """Rows of one request or job at the most."""
    limit = {"collections": COLLECTION_ROWS, "graph": GRAPH_ROWS}.get(api, BULK_ROWS)
    return min(step.mapping.load.batch or limit, limit)


def _by_operation(step: Step, prepared: Prepared) -> Iterator[tuple[str, pl.DataFrame]]:
    delete = "hard_delete" if step.operation is Operation.HARD_DELETE else "delete"
    insert = "upsert" if step.upserts_by_key else "insert"
    for operation, frames in (
        (insert, prepared.inserts),
        ("update", prepared.updates),
        (delete, prepared.deletes),
    ):
        if frames:
            # frames of an undo may carry other fields each; what one does not name is left alone
            yield operation, frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal")


def _by_api(
    step: Step, rows: pl.DataFrame, operation: str, *, by_requests: int
) -> list[tuple[str, pl.DataFrame]]:
    """Rows by the way they travel; those that say `#N/A` as text go by collections, since in a bulk
    CSV it would empty the field."""
    api = api_for(step, operation, rows.height, by_requests=by_requests)
    if api != "bulk" or operation == "hard_delete" or not may_use_collections(step, operation):
        return [(api, rows)]
    says_na = says_null_mark(rows)
    if not says_na.any():
        return [("bulk", rows)]
    return [("bulk", rows.filter(~says_na)), ("collections", rows.filter(says_na))]


def gentle(step: Step, rows: pl.DataFrame, api: str) -> Iterator[pl.DataFrame]:
    """Rows in smaller pieces, sorted by the parent that they lock, cut where the parent changes.

    A parent with more rows than one piece takes is the only one that is split.
    """
    size = min(_limit(step, api), GENTLE_ROWS)
    parent = locking_parent(step, rows.columns)
    if parent is None:
        for start in range(0, rows.height, size):
            yield rows.slice(start, size)
        return
    rows = rows.sort(parent, nulls_last=True)
    groups = rows.select(pl.col(parent).rle_id().alias("g")).group_by("g", maintain_order=True)
    start = held = 0
    for n in groups.len().get_column("len"):
        if held and held + n > size:
            yield rows.slice(start, held)
            start, held = start + held, 0
        held += n
        while held > size:
            yield rows.slice(start, size)
            start, held = start + size, held - size
    if held:
        yield rows.slice(start, held)


def locking_parent(step: Step, columns: Sequence[str]) -> str | None:
    """The lookup whose parent a write locks: the master first, else the first one that is sent."""
    named = [lookup.field for lookup in step.lookups if lookup.field.name in columns]
    masters = [field for field in named if field.is_master_detail or field.cascade_delete]
    return next((field.name for field in (*masters, *named)), None)


def cut(step: Step, rows: pl.DataFrame, api: str) -> Iterator[pl.DataFrame]:
    """Rows in pieces that one request or one job takes."""
    size = _limit(step, api)
    if api == "bulk":
        fit = int(BULK_BYTES / max(rows.estimated_size() / max(rows.height, 1), 1))
        size = max(min(size, fit), 1)
    for start in range(0, rows.height, size):
        yield rows.slice(start, size)
