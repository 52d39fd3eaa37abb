"""What a row costs on disk: in the ledger (PostgreSQL) and on the spool.

    python -m benchmarks.footprint [LINKS] [ROWS]        default 1,000,000 links, 12,000 rows

Ledger: links are written 10,000 a transaction, as chunks are, then all once more with other hashes,
as a run does that updates every row. Spool: two runs of Account and Contact (15 and 16 fields, a
third of the cells awkward), first into an empty target, then with every row changed, so that
before-images are kept.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import polars as pl
from sqlalchemy import text

from benchmarks.org_pair import change_some, pair
from benchmarks.workers import Bench, bench_without_workers, launched, register
from core.db import ledger, runs
from core.migration import run as engine

CHUNK = 10_000


def main(arguments: list[str]) -> int:
    """Measures and prints."""
    links = int(arguments[0]) if arguments else 1_000_000
    rows = int(arguments[1]) if len(arguments) > 1 else 12_000
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)
        bench = stack.enter_context(bench_without_workers(folder))
        _ledger(bench, links)
        _spool(bench, rows)
    return 0


def _ledger(bench: Bench, links: int) -> None:
    workspace = bench.actor.workspace_id
    for write, what in ((ledger.add_links, "first written"), (ledger.write_links, "all updated")):
        before = _wal(bench)
        for start in range(0, links, CHUNK):
            with bench.bridge.owner_session() as session:
                known = ledger.link_set(session, workspace, org_pair="a:b", mapping="account")
                chunk = _links(range(start, min(start + CHUNK, links)), what)
                write(session, chunk, set_id=known.id, workspace_id=workspace, run_id=uuid4())
        wal = _wal(bench) - before
        with bench.bridge.owner_session() as session:
            total, index = session.execute(
                text("SELECT pg_total_relation_size('record_link'), pg_indexes_size('record_link')")
            ).one()
        print(
            f"ledger, {links:,} links {what}: {total / links:.0f} bytes a row"
            f" ({index / links:.0f} of them index), WAL {wal / links:.0f} bytes a row"
        )


def _links(numbers: range, what: str) -> pl.DataFrame:
    code = pl.col("n").cast(pl.String).str.zfill(10)
    return pl.select(n=pl.int_range(numbers.start, numbers.stop, dtype=pl.Int64)).select(
        source_id=pl.format("0018d{}AAA", code),
        target_id=pl.format("001Hr{}IAA", code),
        origin=pl.lit("inserted"),
        sent_hash=pl.col("n").hash(len(what)).reinterpret(signed=True),
        read_hash=pl.col("n").hash(len(what) + 100).reinterpret(signed=True),
    )


def _wal(bench: Bench) -> int:
    with bench.bridge.owner_session() as session:
        return int(session.scalar(text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")) or 0)


def _spool(bench: Bench, rows: int) -> None:
    with pair(rows) as two:
        register(bench, [two])
        for what in ("into an empty target", "every row changed"):
            name = launched(bench, 0, enqueue=False)
            with bench.bridge.session(bench.actor.workspace_id) as session:
                row = runs.run_named(session, name)
            engine.carry(bench.bridge, bench.actor.workspace_id, row.id)
            used: Counter[str] = Counter()
            root = Path(bench.bridge.settings.spool_url or "") / str(row.id)
            for page in root.rglob("*.page"):
                used[page.relative_to(root).parts[0]] += page.stat().st_size
            parts = ", ".join(f"{kind} {size / rows:.0f}" for kind, size in used.most_common())
            print(f"spool, {rows:,} rows {what}: {used.total() / rows:.0f} bytes a row ({parts})")
            change_some(two[0], rows, percent=100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
