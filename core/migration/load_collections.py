"""One chunk through sObject Collections (up to 200 rows) or one composite graph (up to 500, all or
nothing): one request, one answer.

    planned ─▶ MARK AS SENT ─▶ send ─▶ answer
                    └── found in this state later: the org is asked which rows it has, the others
                    are sent

Rows sent twice do no harm here, because only rows that are known by id, or by a key that the org
itself holds to be unique, travel this way (`chunks.may_use_collections`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson
import polars as pl

from core.db.run_state import ChunkRow
from core.domain.describe import Field
from core.domain.states import ChunkState
from core.errors import LostError
from core.migration.context import RunContext
from core.migration.outcomes import ACCEPTED_SCHEMA, ROW, Outcomes, Refusal
from core.migration.prepare import BLANK, ENGINE_COLUMNS
from core.migration.spec import Step
from core.salesforce.records import Graph, GraphNode, RowOutcome, RowRefusal, WriteOptions

#: keys of one question: a URL holds about 12,000 characters
KEYS_A_QUERY = 100
#: sendings of one chunk whose answers were lost
_ATTEMPTS = 5
#: a record that a delete finds gone was deleted by the sending whose answer was lost
_GONE = frozenset({"ENTITY_IS_DELETED", "NOT_FOUND", "INVALID_CROSS_REFERENCE_KEY"})


def load_by_collections(
    run: RunContext, step: Step, chunk: ChunkRow, page: pl.DataFrame
) -> Outcomes:
    """What became of every row of the chunk.

    Raises:
        LostError: the answer was lost again and again.
    """
    asked_before = chunk.state is ChunkState.LOST
    for attempt in range(_ATTEMPTS):
        run.pulse.check()
        known = _already_there(run, step, chunk, page) if asked_before else {}
        with run.store.commit() as commit:
            commit.chunk(chunk.id, ChunkState.LOST)
        try:
            return _send(run, step, chunk, page, known, again=asked_before)
        except LostError:
            asked_before = True
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _send(
    run: RunContext,
    step: Step,
    chunk: ChunkRow,
    page: pl.DataFrame,
    known: dict[int, str],
    *,
    again: bool,
) -> Outcomes:
    rows = [row for row in range(page.height) if row not in known]
    records = json_records(step, page)
    outcomes = _call(run, step, chunk, [records[row] for row in rows]) if rows else []
    accepted = dict(known)
    refused: list[Refusal] = []
    for row, outcome in zip(rows, outcomes, strict=True):
        if outcome.success:
            accepted[row] = outcome.record_id or str(records[row].get("Id", ""))
        elif again and chunk.operation == "delete" and _is_gone(outcome):
            accepted[row] = str(records[row]["Id"])
        else:
            why = outcome.errors[0]
            refused.append(Refusal(row, why.code, why.message, why.fields))
    frame = pl.DataFrame(
        {ROW: list(accepted), "target_id": list(accepted.values())}, schema=ACCEPTED_SCHEMA
    )
    return Outcomes(frame, refused, [])


def _is_gone(outcome: RowOutcome) -> bool:
    return any(error.code in _GONE for error in outcome.errors)


def _call(
    run: RunContext, step: Step, chunk: ChunkRow, records: list[dict[str, Any]]
) -> list[RowOutcome]:
    org, name, load = run.target, step.target.name, step.mapping.load
    options = WriteOptions(
        duplicate_rules=load.duplicate_rules, assignment_rules=load.assignment_rules
    )
    if chunk.operation == "undelete":
        return org.undelete([str(record["Id"]) for record in records])
    if chunk.api == "graph":
        return _graph(run, step, chunk, records, options)
    together = load.all_or_none
    if chunk.operation == "update":
        return org.update_records(name, records, all_or_none=together, options=options)
    if chunk.operation == "delete":
        ids = [str(record["Id"]) for record in records]
        return org.delete_records(name, ids, all_or_none=together, options=options)
    if chunk.operation == "upsert":
        key = step.stamped_key or ""
        return org.upsert_records(
            name, records, key_field=key, all_or_none=together, options=options
        )
    return org.create_records(name, records, all_or_none=together, options=options)


def _graph(
    run: RunContext,
    step: Step,
    chunk: ChunkRow,
    records: list[dict[str, Any]],
    options: WriteOptions,
) -> list[RowOutcome]:
    """The rows as nodes of one graph: each refused one takes the others along."""
    nodes = tuple(_node(step, chunk.operation, n, record) for n, record in enumerate(records))
    (said,) = run.target.composite_graph([Graph("rows", nodes)], options=options)
    rolled_back = RowRefusal("PROCESSING_HALTED", "Another row of the graph was refused.")
    victim = RowOutcome(None, success=False, created=False, errors=(rolled_back,))
    if not said.success:
        said_of = {node.reference_id: said.nodes.get(node.reference_id, victim) for node in nodes}
        # a row that was taken back together with the refused one reads as a success
        return [
            victim if said_of[n.reference_id].success else said_of[n.reference_id] for n in nodes
        ]
    return [said.nodes[node.reference_id] for node in nodes]


def _node(step: Step, operation: str, number: int, record: dict[str, Any]) -> GraphNode:
    url, name = f"sobjects/{step.target.name}", f"row{number}"
    if operation == "insert":
        return GraphNode(reference_id=name, method="POST", url=url, body=record)
    if operation == "upsert":
        key = step.stamped_key or ""
        url = f"{url}/{key}/{quote(str(record[key]), safe='')}"
        body = {field: value for field, value in record.items() if field != key}
        return GraphNode(reference_id=name, method="PATCH", url=url, body=body)
    url = f"{url}/{record['Id']}"
    if operation == "delete":
        return GraphNode(reference_id=name, method="DELETE", url=url)
    body = {field: value for field, value in record.items() if field != "Id"}
    return GraphNode(reference_id=name, method="PATCH", url=url, body=body)


def _already_there(
    run: RunContext, step: Step, chunk: ChunkRow, page: pl.DataFrame
) -> dict[int, str]:
    """Rows that the org wrote in a sending whose answer was lost: made ones by their unique key,
    those that came back from the recycle bin by their id."""
    if chunk.operation == "undelete":
        ids = page.get_column("Id").to_list()
        live = run.target.retrieve(step.target.name, ids, ["Id"])
        return {row: one for row, one in enumerate(ids) if one in live}
    key = step.stamped_key
    if chunk.operation != "insert" or key is None:
        return {}
    return rows_by_key(run, step, key, page)


def rows_by_key(run: RunContext, step: Step, key: str, page: pl.DataFrame) -> dict[int, str]:
    """Rows of a page that the target holds by their key, with the ids they have there."""
    wanted = {value: row for row, value in enumerate(page.get_column(key)) if value is not None}
    values = list(wanted)
    columns = "Id" if key == "Id" else f"Id, {key}"
    found: dict[int, str] = {}
    for start in range(0, len(values), KEYS_A_QUERY):
        asked = values[start : start + KEYS_A_QUERY]
        listed = ",".join(literal(step.target.fields[key], value) for value in asked)
        soql = f"SELECT {columns} FROM {step.target.name} WHERE {key} IN ({listed})"
        for frame in run.target.query_frames(soql, api="rest"):
            for record_id, value in frame.select("Id", pl.col(key).alias("#key")).iter_rows():
                if value in wanted:
                    found[wanted[value]] = record_id
    return found


def literal(field: Field, value: str) -> str:
    """A value as SOQL writes it."""
    if field.is_number or field.type in ("date", "datetime", "boolean"):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def json_records(step: Step, page: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON objects: null cells left out, `BLANK` as null, values by the field's type."""
    names = [name for name in page.columns if name not in ENGINE_COLUMNS and name != ROW]
    kinds = [step.target.fields[name] for name in names]
    return [
        {
            name: _json_value(kind, value)
            for name, kind, value in zip(names, kinds, row, strict=True)
            if value is not None
        }
        for row in page.select(names).iter_rows()
    ]


def _json_value(field: Field, value: str) -> Any:
    if value == BLANK:
        return None
    if field.type == "boolean":
        return value.strip().lower() in ("true", "1")
    if field.is_number and _is_json_number(value):
        # the digits as they are: a float would lose the last ones of 18
        return orjson.Fragment(value.strip())
    return value


def _is_json_number(value: str) -> bool:
    try:
        return isinstance(orjson.loads(value), int | float)
    except orjson.JSONDecodeError:
        return False
