"""The query resources of the REST API: query, queryAll and the pages that follow."""

from __future__ import annotations

import re

from orgsim.metadata.rows import readable
from orgsim.soql.cursors import CursorFiles
from orgsim.soql.errors import QueryError
from orgsim.soql.records import Record
from orgsim.soql.runner import PAGE_ROWS_MAX, Runner
from orgsim.soql.session import prepare
from orgsim.wire.errors import ApiError
from orgsim.wire.router import Call, Reply, Rule

_BATCH_SIZE = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)


def run_query(call: Call, text: str, *, all_rows: bool, tooling: bool = False) -> Record:
    """Return the first answer to a query of ``call``'s user; ``tooling`` prefers metadata objects.

    Raises:
        ApiError: 400 with Salesforce's code and sentence.
    """
    try:
        with call.org.store.read() as cursor:
            prepare(cursor, call.org.clock.now(), call.session.user_id)
            with readable(call.org, cursor, text, call.schema, tooling=tooling) as schema:
                runner = Runner(
                    cursor, schema, CursorFiles(call.org.home / "cursors"), call.org.schema
                )
                return runner.query(
                    text, version=call.version, now=call.org.clock.now(), all_rows=all_rows,
                    page_rows=_page_rows(call),
                )  # fmt: skip
    except QueryError as refusal:
        raise ApiError(400, refusal.code, refusal.message) from refusal


def _query(call: Call) -> Reply:
    return Reply(body=run_query(call, _text(call), all_rows=False))


def _query_all(call: Call) -> Reply:
    return Reply(body=run_query(call, _text(call), all_rows=True))


def _more(call: Call) -> Reply:
    try:
        with call.org.store.read() as cursor:
            prepare(cursor, call.org.clock.now(), call.session.user_id)
            runner = Runner(
                cursor, call.schema, CursorFiles(call.org.home / "cursors"), call.org.schema
            )
            return Reply(body=runner.more(call.parameters["locator"], version=call.version))
    except QueryError as refusal:
        raise ApiError(400, refusal.code, refusal.message) from refusal


def _text(call: Call) -> str:
    text = call.query.get("q")
    if text is None:
        raise ApiError(400, "MALFORMED_QUERY", "A query string has to be specified")
    return text


def _page_rows(call: Call) -> int:
    found = _BATCH_SIZE.search(call.headers.get("sforce-query-options", ""))
    return int(found[1]) if found else PAGE_ROWS_MAX


RULES = (
    Rule("GET", "/query", _query),
    Rule("GET", "/queryAll", _query_all),
    # The pages of a queryAll are fetched below /query too (REST API Developer Guide, "QueryAll").
    Rule("GET", "/query/{locator}", _more),
    Rule("GET", "/queryAll/{locator}", _more),
)
