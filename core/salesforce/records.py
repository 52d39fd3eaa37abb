"""Writing a few records at a time: sObject Collections, composite graphs, reading rows by id.

Collections answer in request order, one outcome a record, and cost one call whatever their size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import orjson

from core.errors import BugError, LostError, OrgbridgeError
from core.salesforce import faults
from core.salesforce.queries import RestApi
from core.salesforce.wire import Answer, Request, Wire

#: records of one collections call (REST API guide, sObject Collections)
COLLECTION_RECORDS = 200
#: ids of one POST retrieve (the same page)
RETRIEVE_IDS = 2_000


@dataclass(frozen=True, slots=True)
class RowRefusal:
    """Why an org refused one record."""

    code: str
    message: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of one record, at the place it had in the request."""

    #: the org's id; for a failed insert None
    record_id: str | None
    success: bool
    #: whether an upsert (or insert) made a new record
    created: bool
    errors: tuple[RowRefusal, ...] = ()


class DuplicateRules(StrEnum):
    """How the org's duplicate rules treat a write."""

    BLOCK = "block"  # alert rules refuse as well
    ALLOW = "allow"  # alert rules let the record pass; block rules refuse all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """What goes with every write, also when it is sent again after a renewed session."""

    duplicate_rules: str = DuplicateRules.BLOCK
    #: ``off``, ``default`` (the org's active rule) or the id of a rule
    assignment_rules: str = "off"

    def headers(self) -> dict[str, str]:
        """The request headers of these options.

        Without ``Sforce-Auto-Assign`` active assignment rules RUN and replace owners in silence.
        """
        rule = {"off": "FALSE", "default": "TRUE"}.get(self.assignment_rules, self.assignment_rules)
        headers = {"Sforce-Auto-Assign": rule, "Sforce-Mru": "updateMru=false"}
        if self.duplicate_rules == DuplicateRules.ALLOW:
            headers["Sforce-Duplicate-Rule-Header"] = (
                "allowSave=true; includeRecordDetails=false; runAsCurrentUser=true"
            )
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """One request inside a graph; ``url`` is relative to the API version (``sobjects/Account``)."""

    reference_id: str
    method: str
    url: str
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """Requests that succeed or fail together."""

    graph_id: str
    nodes: tuple[GraphNode, ...]


@dataclass(frozen=True, slots=True)
class GraphOutcome:
    """What became of a graph: node outcomes by reference id."""

    graph_id: str
    success: bool
    nodes: Mapping[str, RowOutcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    tail: str
    sobject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collections:
    """Writes and reads of up to 200 (reads 2,000) records in one call each."""

    wire: Wire
    api: RestApi

    def create(
        self,
        sobject: str,
        records: Sequence[Mapping[str, Any]],
        *,
        all_or_none: bool,
        options: WriteOptions,
    ) -> list[RowOutcome]:
        """Insert; a record is a mapping of field names to JSON values."""
        call = _Call("POST", "composite/sobjects", sobject)
        return self._write(call, records, all_or_none=all_or_none, options=options)

    def update(
        self,
        sobject: str,
        records: Sequence[Mapping[str, Any]],
        *,
        all_or_none: bool,
        options: WriteOptions,
    ) -> list[RowOutcome]:
        """Update; every record carries its ``Id``."""
        named = [
            {("id" if name.lower() == "id" else name): value for name, value in record.items()}
            for record in records
        ]
        call = _Call("PATCH", "composite/sobjects", sobject)
        return self._write(call, named, all_or_none=all_or_none, options=options)

    def upsert(
        self,
        sobject: str,
        key_field: str,
        records: Sequence[Mapping[str, Any]],
        *,
        all_or_none: bool,
        options: WriteOptions,
    ) -> list[RowOutcome]:
        """Insert or update by an external id; a blank key would insert, so it is refused here."""
        for position, record in enumerate(records):
            if record.get(key_field) in (None, ""):
                raise BugError(
                    f"Record {position} has no value for the upsert key {key_field}.",
                    state="Nothing was sent.",
                    sobject=sobject,
                )
        tail = f"composite/sobjects/{quote(sobject)}/{quote(key_field)}"
        call = _Call("PATCH", tail, sobject)
        return self._write(call, records, all_or_none=all_or_none, options=options)

    def delete(
        self, sobject: str, ids: Sequence[str], *, all_or_none: bool, options: WriteOptions
    ) -> list[RowOutcome]:
        """Delete by id (to the recycle bin)."""
        _check_size(len(ids), COLLECTION_RECORDS, sobject)
        if not ids:
            return []
        query = f"?ids={','.join(ids)}&allOrNone={'true' if all_or_none else 'false'}"
        request = Request(
            method="DELETE",
            path=self.api.path("composite/sobjects" + query),
            headers=options.headers(),
            write=True,
            facts={"sobject": sobject},
        )
        call = _Call("DELETE", "", sobject)
        return _outcomes(self.wire.send(request), len(ids), call)

    def retrieve(
        self, sobject: str, ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """Rows by the id they were asked by; ids that no longer exist are left out."""
        _check_size(len(ids), RETRIEVE_IDS, sobject)
        if not ids:
            return {}
        found = self.wire.post_json(
            self.api.path(f"composite/sobjects/{quote(sobject)}"),
            {"ids": list(ids), "fields": list(fields)},
            sobject=sobject,
        )
        return {
            asked: {name: value for name, value in row.items() if name != "attributes"}
            for asked, row in zip(ids, found, strict=True)
            if row is not None
        }

    def graphs(self, graphs: Sequence[Graph], *, options: WriteOptions) -> list[GraphOutcome]:
        """Write graphs, each of them wholly or not at all; ≤ 75 graphs and 500 nodes a call."""
        document = {
            "graphs": [
                {
                    "graphId": graph.graph_id,
                    "compositeRequest": [self._node(node) for node in graph.nodes],
                }
                for graph in graphs
            ]
        }
        answer = self.wire.send(
            self._request(_Call("POST", "composite/graph", ""), document, options)
        )
        return [_graph_outcome(item) for item in _json_of_write(answer, "")["graphs"]]

    def _node(self, node: GraphNode) -> dict[str, Any]:
        document: dict[str, Any] = {
            "method": node.method,
            "url": self.api.path(node.url),
            "referenceId": node.reference_id,
        }
        if node.body is not None:
            document["body"] = node.body
        return document

    def _write(
        self,
        call: _Call,
        records: Sequence[Mapping[str, Any]],
        *,
        all_or_none: bool,
        options: WriteOptions,
    ) -> list[RowOutcome]:
        if not records:
            return []
        _check_size(len(records), COLLECTION_RECORDS, call.sobject)
        document = {"allOrNone": all_or_none, "records": _typed(call.sobject, records)}
        answer = self.wire.send(self._request(call, document, options))
        return _outcomes(answer, len(records), call)

    def _request(self, call: _Call, document: Any, options: WriteOptions) -> Request:
        return Request(
            method=call.method,
            path=self.api.path(call.tail),
            headers={**options.headers(), "Content-Type": "application/json"},
            body=orjson.dumps(document),
            write=True,
            facts={"sobject": call.sobject},
        )


def _typed(sobject: str, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    attributes = {"type": sobject}
    return [{"attributes": attributes, **record} for record in records]


def _check_size(size: int, limit: int, sobject: str) -> None:
    if size > limit:
        raise BugError(f"{size} records in one call; {limit} is the limit.", sobject=sobject)


def _outcomes(answer: Answer, expected: int, call: _Call) -> list[RowOutcome]:
    items = _json_of_write(answer, call.sobject)
    if not isinstance(items, list) or len(items) != expected:
        raise LostError(
            f"The org answered a write of {expected} records with another number of outcomes.",
            state="Which records were written is not known.",
            next_step="Compare with the org before anything is sent again.",
            sobject=call.sobject,
        )
    return [_outcome(item, created_by_default=call.method == "POST") for item in items]


def _json_of_write(answer: Answer, sobject: str) -> Any:
    try:
        return answer.json()
    except OrgbridgeError as exc:
        raise faults.answer_lost("it was not JSON", written=True, sobject=sobject) from exc


def _outcome(item: Mapping[str, Any], *, created_by_default: bool) -> RowOutcome:
    success = bool(item.get("success"))
    refusals = tuple(
        RowRefusal(
            str(error.get("statusCode") or error.get("errorCode") or ""),
            str(error.get("message") or ""),
            tuple(map(str, error.get("fields") or ())),
        )
        for error in item.get("errors") or ()
    )
    created = bool(item.get("created", created_by_default)) and success
    return RowOutcome(item.get("id"), success, created, refusals)


def _graph_outcome(item: Mapping[str, Any]) -> GraphOutcome:
    nodes = {}
    for part in item["graphResponse"]["compositeResponse"]:
        status, body = int(part["httpStatusCode"]), part.get("body")
        nodes[str(part["referenceId"])] = _node_outcome(status, body)
    return GraphOutcome(str(item["graphId"]), bool(item["isSuccessful"]), nodes)


def _node_outcome(status: int, body: Any) -> RowOutcome:
    if status < 300:
        made = body if isinstance(body, dict) else {}
        return RowOutcome(made.get("id"), True, bool(made.get("created", status == 201)))
    errors = body if isinstance(body, list) else [body or {}]
    return _outcome({"success": False, "errors": errors}, created_by_default=False)
