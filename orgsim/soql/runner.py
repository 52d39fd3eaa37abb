"""Running a plan: the pages of a query with their subqueries, as the REST API answers them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from orgsim.schema.model import Schema
from orgsim.soql.compiler import Reading, compile_query
from orgsim.soql.cursors import CursorFiles, Origin
from orgsim.soql.errors import QueryError
from orgsim.soql.plan import Child, Plan, PlanKind
from orgsim.soql.records import Record, Shape
from orgsim.soql.rendering import rest_columns
from orgsim.store.rows import first_row

#: Rows of one answer. Source: REST API Developer Guide, "Query Options Header".
PAGE_ROWS_MAX = 2000
PAGE_ROWS_MIN = 200
#: Wide rows make shorter pages; how much an org cuts is not documented (assumed).
PAGE_VALUES_MAX = 100_000

Row: TypeAlias = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Where an answer begins: its origin, the cursor that holds the rest, and the first row."""

    origin: Origin
    cursor_id: str | None
    start: int


@dataclass(frozen=True, slots=True)
class Runner:
    """Answers queries of one org on one connection to its store."""

    db: duckdb.DuckDBPyConnection
    schema: Schema
    cursors: CursorFiles
    full: Schema | None = None

    def query(
        self, text: str, *, version: str, now: datetime, all_rows: bool, page_rows: int
    ) -> Record:
        """Return the first answer to a query.

        Raises:
            QueryError: The query is refused.
        """
        plan = compile_query(text, Reading(self.schema, now, all_rows, self.full))
        if plan.kind is PlanKind.COUNT:
            return {"totalSize": self._count(plan), "done": True, "records": []}
        origin = Origin(
            text, version, all_rows, now.isoformat(), (), 0, _page_rows(plan, page_rows)
        )
        if plan.kind is PlanKind.GROUPED:
            return self._grouped(plan, origin)
        return self._first(plan, origin, self.db.sql(plan.select(rest_columns(plan))))

    def more(self, locator: str, *, version: str) -> Record:
        """Return the answer at a locator (the tail of a nextRecordsUrl).

        Raises:
            QueryError: INVALID_QUERY_LOCATOR.
        """
        cursor_id, _, start = locator.rpartition("-")
        if not start.isdigit():
            raise QueryError("INVALID_QUERY_LOCATOR", "invalid query locator")
        origin = replace(self.cursors.origin(cursor_id), version=version)
        if int(start) >= origin.total:
            raise QueryError("INVALID_QUERY_LOCATOR", "invalid query locator")
        plan = self._plan(origin)
        rows = self.cursors.rows(cursor_id, int(start), origin.page_rows)
        return self._answer(plan, Page(origin, cursor_id, int(start)), rows)

    def _plan(self, origin: Origin) -> Plan:
        now = datetime.fromisoformat(origin.now)
        plan = compile_query(origin.text, Reading(self.schema, now, origin.all_rows, self.full))
        for index in origin.children:
            plan = plan.children[index].plan
        return plan

    def _count(self, plan: Plan) -> int:
        row = first_row(self.db.execute(f"SELECT count(*) FROM ({plan.select(['1'])})"))
        return int(row[0]) if row else 0

    def _grouped(self, plan: Plan, origin: Origin) -> Record:
        rows = self.db.execute(plan.select(rest_columns(plan))).fetchmany(PAGE_ROWS_MAX + 1)
        if len(rows) > PAGE_ROWS_MAX:
            raise QueryError(
                "EXCEEDED_ID_LIMIT",
                "Aggregate query does not support queryMore(), use LIMIT to restrict the results to"
                " a single batch",
            )
        records = Shape(plan, origin.version).records(rows)
        return {"totalSize": len(records), "done": True, "records": records}

    def _first(self, plan: Plan, origin: Origin, relation: duckdb.DuckDBPyRelation) -> Record:
        """Answer the first page of a relation and keep the rest, if any, in a cursor."""
        reader = relation.to_arrow_reader(origin.page_rows)
        head, rest = _head(reader, origin.page_rows)
        count = sum(batch.num_rows for batch in head)
        if rest is None and not (plan.children and count > 1):
            rows = _rows(head)
            return self._answer(plan, Page(replace(origin, total=count), None, 0), rows)
        cursor_id, total = self.cursors.keep(chain(head, rest or ()), reader.schema)
        origin = replace(origin, total=total)
        self.cursors.describe(cursor_id, origin)
        rows = self.cursors.rows(cursor_id, 0, origin.page_rows)
        return self._answer(plan, Page(origin, cursor_id, 0), rows)

    def _answer(self, plan: Plan, page: Page, rows: Sequence[Row]) -> Record:
        origin = page.origin
        records = Shape(plan, origin.version).records(rows)
        ids = [row[0] for row in rows]
        used = (
            self._hang_children(plan, origin, records=records, ids=ids)
            if plan.children
            else len(records)
        )
        end = page.start + used
        answer: Record = {"totalSize": origin.total, "done": end >= origin.total}
        if end < origin.total:
            answer["nextRecordsUrl"] = (
                f"/services/data/v{origin.version}/query/{page.cursor_id}-{end}"
            )
        answer["records"] = records[:used]
        return answer

    # -- subqueries --------------------------------------------------------------------------------

    def _hang_children(
        self, plan: Plan, origin: Origin, *, records: list[Record], ids: list[str]
    ) -> int:
        """Put the subqueries' answers into ``records``; return how many records fit the page.

        Rows of subqueries count towards the page, so that a page of parents with many children is
        short, but never empty.
        """
        found = [self._children_of(child, ids) for child in plan.children]
        used, room = 0, origin.page_rows
        for record, row_id in zip(records, ids, strict=True):
            sizes = [min(len(rows.get(row_id, ())), origin.page_rows) for rows in found]
            room -= 1 + sum(sizes)
            if used and room < 0:
                break
            used += 1
            for index, child in enumerate(plan.children):
                inner = replace(origin, children=(*origin.children, index), total=0)
                rows = found[index].get(row_id, [])
                record[child.relationship_name] = self._nested(
                    child, inner, parent_id=row_id, rows=rows
                )
        return used

    def _children_of(self, child: Child, ids: list[str]) -> dict[str, list[Row]]:
        columns = rest_columns(child.plan)
        statement = child.plan.select_of_parents(columns, child.link_sql)
        by_parent: dict[str, list[Row]] = defaultdict(list)
        for row in self.db.execute(statement, [ids]).fetchall():
            by_parent[row[-1]].append(row[:-1])
        return by_parent

    def _nested(
        self, child: Child, origin: Origin, *, parent_id: str, rows: list[Row]
    ) -> Record | None:
        """Return the answer of one parent's subquery; a subquery without rows is null."""
        if not rows:
            return None
        origin = replace(origin, total=len(rows))
        if len(rows) <= origin.page_rows and not child.plan.children:
            return self._answer(child.plan, Page(origin, None, 0), rows)
        statement = child.plan.select_of_parents(rest_columns(child.plan), child.link_sql)
        table = self.db.sql(statement, params=[[parent_id]]).to_arrow_table()
        table = table.select(range(table.num_columns - 1))
        cursor_id, _ = self.cursors.keep(iter(table.to_batches()), table.schema)
        self.cursors.describe(cursor_id, origin)
        return self._answer(child.plan, Page(origin, cursor_id, 0), rows[: origin.page_rows])


def _page_rows(plan: Plan, asked: int) -> int:
    rows = min(max(asked, PAGE_ROWS_MIN), PAGE_ROWS_MAX)
    return max(PAGE_ROWS_MIN, min(rows, PAGE_VALUES_MAX // max(1, len(plan.columns))))


def _head(
    reader: pa.RecordBatchReader, rows: int
) -> tuple[list[pa.RecordBatch], Iterator[pa.RecordBatch] | None]:
    """Return batches of more than ``rows`` rows and the rest, or all batches and None."""
    head: list[pa.RecordBatch] = []
    count = 0
    for batch in reader:
        head.append(batch)
        count += batch.num_rows
        if count > rows:
            return head, iter(reader)
    return head, None


def _rows(batches: list[pa.RecordBatch]) -> list[Row]:
    return [
        row
        for batch in batches
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    ]
