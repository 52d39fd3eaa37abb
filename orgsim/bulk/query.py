"""Carrying out a query job: the rows of a SOQL query as pages of CSV."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import polars as pl
import pyarrow as pa

from orgsim.bulk.csv_file import CsvForm
from orgsim.bulk.files import JobFiles
from orgsim.soql import ast
from orgsim.soql.compiler import Reading, compile_query
from orgsim.soql.errors import QueryError
from orgsim.soql.parser import parse
from orgsim.soql.plan import Plan, PlanKind
from orgsim.soql.rendering import csv_sql

#: Objects that the Bulk API does not query. Source: airbyte-source-salesforce, its list for
#: version 62.0.
NOT_BULK_QUERYABLE = frozenset({
    "AcceptedEventRelation", "Attachment", "AttachedContentNote", "CaseStatus", "ContractStatus",
    "DeclinedEventRelation", "EventWhoRelation", "FieldSecurityClassification", "KnowledgeArticle",
    "OrderStatus", "PartnerRole", "RecentlyViewed", "SolutionStatus", "TaskPriority", "TaskStatus",
    "TaskWhoRelation", "UndecidedEventRelation", "WorkOrderStatus", "UserRecordAccess",
    "CaseTeamMember", "AccountFeed", "AssetFeed",
})  # fmt: skip
#: Rows of a page when the caller does not say.
PAGE_ROWS = 50_000
_COMPOUND = {"address", "location", "base64"}
_PIECE_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ResultPage:
    """One page of results; ``locator`` is None on the last one."""

    body: Iterator[bytes]
    rows: int
    locator: str | None


def bulk_plan(text: str, reading: Reading) -> Plan:
    """Return the plan of a query that the Bulk API takes.

    Raises:
        QueryError: Refused by SOQL, or by the Bulk API alone.
    """
    plan = compile_query(text, reading)
    query = parse(text)
    if plan.sobject.name in NOT_BULK_QUERYABLE:
        sentence = f"Entity '{plan.sobject.name}' is not supported by the Bulk API."
        raise QueryError("INVALIDENTITY", sentence)
    if plan.kind is not PlanKind.ROWS or query.group_by:
        raise QueryError("FEATURENOTENABLED", "Aggregate Queries are not supported in Bulk Query")
    if plan.children:
        raise QueryError(
            "FEATURENOTENABLED", "Relationship Queries are not supported in Bulk Query"
        )
    if plan.offset is not None:
        raise QueryError("API_ERROR", "OFFSET is not supported in Bulk Query")
    if any(
        isinstance(item, ast.Function) and item.name.upper() == "FIELDS" for item in query.select
    ):
        raise QueryError("FEATURENOTENABLED", "FIELDS function is not supported in Bulk Query")
    if any(column.field.type in _COMPOUND for column in plan.columns):
        raise QueryError("FEATURENOTENABLED", "Selecting compound data not supported in Bulk Query")
    return plan


def run_query(db: duckdb.DuckDBPyConnection, plan: Plan, files: JobFiles) -> int:
    """Write the rows of a query to the job's file, batch by batch; return their number."""
    selected = [f"{csv_sql(column)} AS c{number}" for number, column in enumerate(plan.columns)]
    reader = db.sql(plan.select(selected)).to_arrow_reader(_PIECE_ROWS)
    names = [".".join(column.names) for column in plan.columns]
    schema = pa.schema([(name, pa.string()) for name in names])
    files.folder.mkdir(parents=True, exist_ok=True)
    partial = files.folder / "query.part"
    rows = 0
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema) as out:
        for batch in reader:
            out.write_batch(pa.RecordBatch.from_arrays(
                [column.cast(pa.string()) for column in batch.columns], schema=schema))  # fmt: skip
            rows += batch.num_rows
    partial.rename(files.query_rows)
    return rows


def result_page(files: JobFiles, form: CsvForm, *, locator: str | None, rows: int) -> ResultPage:
    """Return one page of the results of a finished job.

    Raises:
        QueryError: The locator is not one of ours.
    """
    with pa.memory_map(str(files.query_rows)) as source:
        table = pa.ipc.open_file(source).read_all()
    start = 0 if locator is None else _offset(locator)
    if start > table.num_rows:
        raise QueryError("INVALID_QUERY_LOCATOR", "invalid query locator")
    frame = pl.DataFrame(table.slice(start, rows))
    end = start + frame.height
    return ResultPage(
        body=_pieces(frame, form), rows=frame.height,
        locator=_locator(end) if end < table.num_rows else None,
    )  # fmt: skip


def _pieces(frame: pl.DataFrame, form: CsvForm) -> Iterator[bytes]:
    yield form.write(frame.clear(), header=True)
    for piece in frame.iter_slices(_PIECE_ROWS):
        yield form.write(piece, header=False)


def _locator(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode().rstrip("=")


def _offset(locator: str) -> int:
    try:
        padded = locator + "=" * (-len(locator) % 4)
        return int(base64.urlsafe_b64decode(padded.encode()).decode())
    except (ValueError, binascii.Error) as problem:
        raise QueryError("INVALID_QUERY_LOCATOR", "invalid query locator") from problem
