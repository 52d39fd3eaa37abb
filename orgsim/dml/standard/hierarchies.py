"""CIRCULAR_DEPENDENCY: a parent chain that comes back to its start (Account, Campaign)."""

from __future__ import annotations

import polars as pl

from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.store.columns import quoted

#: Chains longer than this are refused. Source: Account hierarchy, 500 levels; we stop earlier.
_LEVELS = 100


def check(staged: Staged) -> None:
    """Refuses updates that close a circle of ParentId."""
    if staged.inserting or "ParentId" not in staged.given:
        return
    moved = staged.frame.select(ROW, "Id", "ParentId").drop_nulls("ParentId")
    table = quoted(staged.sobject.name)
    sql = f"""
      WITH RECURSIVE now AS (
        SELECT t.Id, coalesce(m.ParentId, t.ParentId) AS ParentId
        FROM {table} t LEFT JOIN "@moved" m ON m.Id = t.Id
      ), chain AS (
        SELECT Id AS start, ParentId AS place, 1 AS level FROM "@moved"
        UNION ALL
        SELECT c.start, n.ParentId, c.level + 1 FROM chain c JOIN now n ON n.Id = c.place
        WHERE c.place <> c.start AND n.ParentId IS NOT NULL AND c.level < {_LEVELS}
      )
      SELECT DISTINCT start FROM chain WHERE place = start
    """
    with staged.transaction.lent(**{"@moved": moved}):
        circles = [row[0] for row in staged.transaction.cursor.execute(sql).fetchall()]
    text = "attempt to create a cycle in the hierarchy"
    staged.refuse_where(
        pl.col("Id").is_in(circles), Refusal("CIRCULAR_DEPENDENCY", text, ("ParentId",))
    )
