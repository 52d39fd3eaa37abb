"""Asking an org by SOQL over REST: rows, pages, children, counts.

Large sets go through ``bulk.query_frames``; ``choose_api`` says which and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import orjson

from core.errors import OrgbridgeError, RefusedError, TransientError
from core.salesforce import faults, frames
from core.salesforce.wire import Answer, Request, Wire

#: URI and headers together: about 16 kB before HTTP 414 / 431 (REST API guide), token included
MAX_QUERY_URL_CHARS = 12_000
#: subrequests of one /composite/batch call (REST API guide, Batch)
BATCH_SUBREQUESTS = 25
#: rows of the largest page (REST API guide, Query Options Header)
REST_PAGE_ROWS = 2_000

_LITERAL = re.compile(r"'(?:\\.|[^'\\])*'")
_SELECT = re.compile(r"^\s*SELECT\s+(.*?)\s+FROM\s+([\w.]+)", re.I | re.S)
_NOT_IN_BULK = re.compile(
    r"\b(GROUP\s+BY|OFFSET|TYPEOF|HAVING)\b|\b(COUNT|COUNT_DISTINCT|SUM|AVG|MIN|MAX)\s*\("
    r"|\(\s*SELECT\b[^)]*\)\s*(,|FROM)|\bFIELDS\s*\(",
    re.I,
)


@dataclass(frozen=True, slots=True)
class RestApi:
    """Paths of one API version."""

    version: str
    #: ``queryAll`` also reads deleted and archived rows, ``tooling/query`` metadata
    query_resource: str = "query"

    def path(self, tail: str) -> str:
        """``/services/data/vXX.0/`` + tail."""
        return f"/services/data/v{self.version}/{tail}"


def rows(
    wire: Wire, api: RestApi, soql: str, *, all_rows: bool = False
) -> Iterator[dict[str, Any]]:
    """Rows of a query, page after page, ``attributes`` stripped; child rows are complete lists.

    Cost: one call per page (≤ 2,000 rows) and per further page of children.
    """
    for page in _pages(wire, first_page(wire, api, soql, all_rows=all_rows), exact=False):
        for record in page:
            yield _plain(wire, record)


def frame_columns(soql: str) -> list[str]:
    """Column names of a query's rows: the select list as written, aliases where given.

    Empty for ``FIELDS(…)``, whose columns only the answer tells. Child subqueries have no column.
    """
    found = _SELECT.match(soql)
    if found is None or re.search(r"\bFIELDS\s*\(", found.group(1), re.I):
        return []
    names, unnamed = [], 0
    for item in _split_list(found.group(1)):
        if item.startswith("("):
            continue
        words = item.split()
        if "(" in item:
            tail = item[item.rindex(")") + 1 :].strip()
            names.append(tail or f"expr{unnamed}")
            unnamed += not tail
        else:
            names.append(words[-1])
    return names


def from_object(soql: str) -> str:
    """The object a query reads from, as written."""
    found = _SELECT.match(soql)
    return found.group(2) if found else ""


def scope_of(soql: str) -> str:
    """Where a query reads and which rows, spaces and parentheses aside: a hint, no proof."""
    found = _SELECT.match(soql)
    tail = soql[found.start(2) :] if found else soql
    return " ".join(re.sub(r"[()]", " ", tail).split())


def is_bulk_fit(soql: str) -> bool:
    """Whether the query has only what Bulk API 2.0 queries take."""
    if from_object(soql) in NOT_BULK_QUERYABLE:
        return False
    return not _NOT_IN_BULK.search(_LITERAL.sub("''", soql))


def rest_frames(wire: Wire, first: Mapping[str, Any], soql: str) -> Iterator[Any]:
    """Frames of a query whose first page is at hand (``first_page(..., exact=True)``)."""
    columns = frame_columns(soql)
    for page in _pages(wire, first, exact=True):
        if page:
            yield frames.rest_frame(page, columns)


def first_page(
    wire: Wire, api: RestApi, soql: str, *, all_rows: bool = False, exact: bool = False
) -> Any:
    """The parsed first page. ``exact`` keeps numbers as text.

    A query too long for a URL goes as the only part of a composite batch, whose URLs have no limit.
    """
    resource = "queryAll" if all_rows else api.query_resource
    url = api.path(f"{resource}?q={quote(soql, safe='')}")
    facts = {"sobject": from_object(soql)}
    if len(url) <= MAX_QUERY_URL_CHARS:
        return _page(wire, url, exact=exact, facts=facts)
    document = {"batchRequests": [{"method": "GET", "url": url.removeprefix("/services/data/")}]}
    request = Request(
        method="POST",
        path=api.path("composite/batch"),
        headers={"Content-Type": "application/json"},
        body=orjson.dumps(document),
        facts=facts,
    )
    answer = wire.fetch(request, _exact_json if exact else Answer.json)
    part = answer["results"][0]
    if int(part["statusCode"]) >= 300:
        code, message, extra = faults.error_parts(orjson.dumps(part["result"]))
        raise faults.classify(
            int(part["statusCode"]), code, message, written=False, **facts, **extra
        )
    return part["result"]


def count(wire: Wire, api: RestApi, soql: str) -> int:
    """``totalSize`` of a ``SELECT COUNT() FROM …``; exact, as visible to the user."""
    return int(first_page(wire, api, soql)["totalSize"])


def counts(
    wire: Wire,
    api: RestApi,
    soqls: Sequence[str],
    *,
    all_rows: bool = False,
    threads: int = 4,
) -> list[int | OrgbridgeError]:
    """Counts of many ``SELECT COUNT()`` queries, in order; an error stands where one was refused.

    Cost: one HTTP request per 25 queries (the org charges each query), in parallel. A batch that
    the org could not finish in time is halved, down to single queries.
    """
    api = replace(api, query_resource="queryAll" if all_rows else "query")
    parts = [soqls[at : at + BATCH_SUBREQUESTS] for at in range(0, len(soqls), BATCH_SUBREQUESTS)]
    if len(parts) <= 1:
        return _batch_counts(wire, api, soqls) if soqls else []
    with ThreadPoolExecutor(max_workers=min(threads, len(parts))) as pool:
        done = pool.map(lambda part: _batch_counts(wire, api, part), parts)
        return [value for part in done for value in part]


def _batch_counts(wire: Wire, api: RestApi, soqls: Sequence[str]) -> list[int | OrgbridgeError]:
    document = {
        "batchRequests": [
            {
                "method": "GET",
                "url": f"v{api.version}/{api.query_resource}?q={quote(soql, safe='')}",
            }
            for soql in soqls
        ]
    }
    try:
        results = wire.post_json(api.path("composite/batch"), document)["results"]
    except (TransientError, RefusedError) as exc:
        if len(soqls) == 1 or faults.ends_everything(exc):
            return [exc] * len(soqls)
        middle = len(soqls) // 2
        return _batch_counts(wire, api, soqls[:middle]) + _batch_counts(wire, api, soqls[middle:])
    return [_one_count(part, soql) for part, soql in zip(results, soqls, strict=True)]


def _one_count(part: Mapping[str, Any], soql: str) -> int | OrgbridgeError:
    status = int(part["statusCode"])
    if status < 300:
        return int(part["result"]["totalSize"])
    code, message, extra = faults.error_parts(orjson.dumps(part["result"]))
    return faults.classify(status, code, message, written=False, sobject=from_object(soql), **extra)


def _pages(wire: Wire, page: Mapping[str, Any], *, exact: bool) -> Iterator[list[Any]]:
    while True:
        yield page["records"]
        if page["done"]:
            return
        page = _page(wire, page["nextRecordsUrl"], exact=exact, facts={})


def _page(wire: Wire, path: str, *, exact: bool, facts: Mapping[str, Any]) -> Any:
    request = Request(
        method="GET",
        path=path,
        headers={"Sforce-Query-Options": f"batchSize={REST_PAGE_ROWS}"},
        facts=facts,
    )
    return wire.fetch(request, _exact_json if exact else Answer.json)


def _exact_json(answer: Answer) -> Any:
    try:
        return frames.EXACT_JSON.decode(answer.body.decode())
    except ValueError as exc:
        raise faults.answer_lost("it is not JSON", written=False) from exc


def _plain(wire: Wire, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _plain_value(wire, value) for name, value in record.items() if name != "attributes"
    }


def _plain_value(wire: Wire, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "records" in value and "done" in value:
        pages = _pages(wire, value, exact=False)
        return [_plain(wire, child) for page in pages for child in page]
    if "attributes" in value:
        return _plain(wire, value)
    return value


def _split_list(text: str) -> list[str]:
    """A select list at its top-level commas."""
    items, depth, current = [], 0, ""
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            items.append(current.strip())
            current = ""
        else:
            current += char
    return [*items, current.strip()]


#: Bulk API 2.0 refuses these (airbyte source-salesforce keeps the list, API 62); REST reads them
NOT_BULK_QUERYABLE = frozenset(
    {
        "AcceptedEventRelation",
        "AccountFeed",
        "AssetFeed",
        "AttachedContentNote",
        "Attachment",
        "CaseStatus",
        "CaseTeamMember",
        "CaseTeamRole",
        "CaseTeamTemplate",
        "CaseTeamTemplateMember",
        "CaseTeamTemplateRecord",
        "ContractStatus",
        "DeclinedEventRelation",
        "EventWhoRelation",
        "FieldSecurityClassification",
        "KnowledgeArticle",
        "KnowledgeArticleVersion",
        "KnowledgeArticleVersionHistory",
        "KnowledgeArticleViewStat",
        "KnowledgeArticleVoteStat",
        "OrderStatus",
        "PartnerRole",
        "RecentlyViewed",
        "ServiceAppointmentStatus",
        "SolutionStatus",
        "TaskPriority",
        "TaskStatus",
        "TaskWhoRelation",
        "UndecidedEventRelation",
        "UserRecordAccess",
        "WorkOrderLineItemStatus",
        "WorkOrderStatus",
    }
)
