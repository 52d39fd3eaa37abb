"""Composite, batch and graph: many subrequests in one, each through the same router.

    /composite        ≤ 25 parts, references between them, optionally all or none
    /composite/batch  ≤ 25 independent parts, each counted as a call
    /composite/graph  ≤ 75 graphs and 500 nodes, each graph all or none

A part that rolls back the others answers as itself; the others answer PROCESSING_HALTED.
Source: REST API Developer Guide, "Composite Resources".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orgsim.wire.errors import ApiError
from orgsim.wire.references import BadReferenceError, filled, names_in
from orgsim.wire.router import Call, Reply, Router, Rule, sub_call

COMPOSITE_PARTS_MAX = 25
COMPOSITE_QUERIES_MAX = 5
BATCH_PARTS_MAX = 25
GRAPHS_MAX = 75
NODES_MAX = 500
#: graphs that failed after which the rest is not tried
FAILED_GRAPHS_MAX = 14

HALTED = "PROCESSING_HALTED"
ROLLED_BACK = (
    "The transaction was rolled back since another operation in the same transaction failed."
)


class RollbackError(Exception):
    """Leaves a transaction without a commit; carries what is answered."""

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        super().__init__("rolled back")
        self.answers = answers


@dataclass(frozen=True, slots=True)
class Part:
    """One subrequest as the caller wrote it."""

    method: str
    url: str
    reference: str
    body: Any
    headers: Mapping[str, str]


def rules(router: Callable[[], Router]) -> list[Rule]:
    """The composite resources; `router` gives the router that answers the parts."""
    return [
        Rule("POST", "composite", lambda call: _composite(call, router())),
        Rule("POST", "composite/batch", lambda call: _batch(call, router())),
        Rule("POST", "composite/graph", lambda call: _graphs(call, router())),
    ]


def _composite(call: Call, router: Router) -> Reply:
    document = _object(call.json())
    parts = [_part(entry) for entry in document.get("compositeRequest") or ()]
    _check_parts(parts)
    if document.get("allOrNone"):
        answers = _all_or_none(call, router, parts)
    else:
        answers = _in_order(call, router, parts)
    return Reply(body={"compositeResponse": answers})


def _check_parts(parts: Sequence[Part]) -> None:
    if not 1 <= len(parts) <= COMPOSITE_PARTS_MAX:
        raise ApiError(
            400,
            "INVALID_INPUT" if parts else "INVALID_FIELD",
            f"The composite request may contain 1 to {COMPOSITE_PARTS_MAX} subrequests.",
        )
    if len({part.reference for part in parts}) != len(parts):
        raise ApiError(400, "INVALID_INPUT", "Duplicate ReferenceId provided")
    heavy = [p for p in parts if "/query" in p.url.lower() or "composite/sobjects" in p.url.lower()]
    if len(heavy) > COMPOSITE_QUERIES_MAX:
        raise ApiError(
            400,
            "INVALID_INPUT",
            f"Up to {COMPOSITE_QUERIES_MAX} subrequests can be query or sObject collection "
            "operations.",
        )


def _all_or_none(call: Call, router: Router, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """One transaction over all parts; the first failure undoes every one."""
    try:
        with call.org.store.write():
            answers = _in_order(call, router, parts)
            if any(_failed(answer) for answer in answers):
                raise RollbackError(answers)
            return answers
    except RollbackError as rollback:
        return [_halted(answer) for answer in rollback.answers]


def _in_order(call: Call, router: Router, parts: Sequence[Part]) -> list[dict[str, Any]]:
    bodies: dict[str, Any] = {}
    failed: set[str] = set()
    answers = []
    for part in parts:
        answer = _one(call, router, part, bodies=bodies, failed=failed)
        if _failed(answer):
            failed.add(part.reference)
        bodies[part.reference] = answer["body"]
        answers.append(answer)
    return answers


def _one(
    call: Call, router: Router, part: Part, *, bodies: Mapping[str, Any], failed: set[str]
) -> dict[str, Any]:
    needs = names_in(part.url) | names_in(part.body)
    if needs & failed:
        named = sorted(needs & failed)[0]
        message = f"Invalid reference specified. No value for {named} found"
        return _answer(part, 400, [{"errorCode": HALTED, "message": message}])
    try:
        url, body = filled(part.url, bodies), filled(part.body, bodies)
        asked = sub_call(call, method=part.method, url=url, body=body, headers=part.headers)
        reply = router.answer(asked)
    except BadReferenceError as error:
        return _answer(part, 400, [{"errorCode": HALTED, "message": str(error)}])
    except ApiError as error:
        return _answer(part, error.status, error.body)
    return _answer(part, reply.status, reply.body, headers=dict(reply.headers))


def _batch(call: Call, router: Router) -> Reply:
    document = _object(call.json())
    entries = document.get("batchRequests") or ()
    if not 1 <= len(entries) <= BATCH_PARTS_MAX:
        raise ApiError(
            400, "INVALID_INPUT", f"The batch may contain 1 to {BATCH_PARTS_MAX} requests."
        )
    results: list[dict[str, Any]] = []
    stopped = False
    for entry in entries:
        if stopped:
            halted = {"errorCode": "BATCH_PROCESSING_HALTED", "message": "Batch processing halted"}
            results.append({"statusCode": 412, "result": [halted]})
            continue
        reply = _batch_part(call, router, entry)
        results.append({"statusCode": reply.status, "result": reply.body})
        stopped = bool(document.get("haltOnError")) and reply.status >= 400
    failed = any(result["statusCode"] >= 400 for result in results)
    return Reply(body={"hasErrors": failed, "results": results})


def _batch_part(call: Call, router: Router, entry: Mapping[str, Any]) -> Reply:
    try:
        asked = sub_call(
            call,
            method=str(entry.get("method", "GET")),
            url=str(entry.get("url", "")),
            body=entry.get("richInput"),
            headers={},
        )
        return router.answer(asked)
    except ApiError as error:
        return Reply(error.status, error.body)


def _graphs(call: Call, router: Router) -> Reply:
    document = _object(call.json())
    graphs = document.get("graphs") or ()
    nodes = sum(len(graph.get("compositeRequest") or ()) for graph in graphs)
    if not 1 <= len(graphs) <= GRAPHS_MAX or nodes > NODES_MAX:
        raise ApiError(
            400,
            "INVALID_INPUT",
            f"A payload may contain up to {GRAPHS_MAX} graphs and {NODES_MAX} nodes.",
        )
    answers: list[dict[str, Any]] = []
    failures = 0
    for graph in graphs:
        parts = [_part(entry) for entry in graph.get("compositeRequest") or ()]
        if failures > FAILED_GRAPHS_MAX:
            halted = {"errorCode": HALTED, "message": "Too many graphs failed"}
            made = [_answer(part, 400, [halted]) for part in parts]
        else:
            made = _all_or_none(call, router, parts)
        success = not any(_failed(answer) for answer in made)
        failures += not success
        answers.append(
            {
                "graphId": graph.get("graphId"),
                "graphResponse": {"compositeResponse": made},
                "isSuccessful": success,
            }
        )
    return Reply(body={"graphs": answers})


def _part(entry: Any) -> Part:
    try:
        return Part(
            method=str(entry["method"]).upper(),
            url=str(entry["url"]),
            reference=str(entry["referenceId"]),
            body=entry.get("body"),
            headers=entry.get("httpHeaders") or {},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ApiError(
            400, "INVALID_INPUT", "A subrequest needs method, url and referenceId."
        ) from error


def _object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ApiError(400, "JSON_PARSER_ERROR", "The request body must be a JSON object")
    return document


def _answer(
    part: Part, status: int, body: Any, *, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {
        "body": body,
        "httpHeaders": dict(headers or {}),
        "httpStatusCode": status,
        "referenceId": part.reference,
    }


def _failed(answer: Mapping[str, Any]) -> bool:
    """A refused part, or a collection in which a row was refused."""
    body = answer["body"]
    if int(answer["httpStatusCode"]) >= 400:
        return True
    return isinstance(body, list) and any(
        isinstance(row, dict) and row.get("success") is False for row in body
    )


def _halted(answer: dict[str, Any]) -> dict[str, Any]:
    """What a part of a rolled back transaction answers: itself if it failed, else halted."""
    if _failed(answer):
        return answer
    return {
        **answer,
        "body": [{"errorCode": HALTED, "message": ROLLED_BACK}],
        "httpHeaders": {},
        "httpStatusCode": 400,
    }
