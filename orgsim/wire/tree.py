"""Trees: up to 200 new records of up to five levels in one call, all or nothing.

Source: REST API Developer Guide, "Composite sObject Tree".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from orgsim.wire.errors import ApiError
from orgsim.wire.router import Call, Reply, Router, Rule, sub_call

RECORDS_MAX = 200
LEVELS_MAX = 5
TYPES_MAX = 5


class TreeRefusedError(Exception):
    """Undoes the whole tree; carries the answers of the refused records."""

    def __init__(self, refused: list[dict[str, Any]]) -> None:
        super().__init__("tree refused")
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Node:
    """One record of a tree; its parent's id arrives before its own insert."""

    sobject: str
    reference: str
    values: Mapping[str, Any]
    #: reference of the parent and the field that holds its id; None for a root
    parent: tuple[str, str] | None
    level: int


def rules(router: Any) -> list[Rule]:
    """The tree resource; `router` gives the router that creates the records."""
    return [Rule("POST", "composite/tree/{sobject}", lambda call: _create(call, router()))]


def _create(call: Call, router: Router) -> Reply:
    nodes = list(_nodes(call))
    _check(nodes)
    try:
        with call.org.store.write():
            made = _insert_all(call, router, nodes)
    except TreeRefusedError as error:
        return Reply(400, {"hasErrors": True, "results": error.refused})
    results = [{"referenceId": node.reference, "id": made[node.reference]} for node in nodes]
    return Reply(201, {"hasErrors": False, "results": results})


def _insert_all(call: Call, router: Router, nodes: list[Node]) -> dict[str, str]:
    """Ids by reference, level by level, one collection per object.

    Raises:
        TreeRefusedError: a record was refused.
    """
    made: dict[str, str] = {}
    for level in range(1, LEVELS_MAX + 1):
        for sobject in dict.fromkeys(node.sobject for node in nodes if node.level == level):
            group = [n for n in nodes if n.level == level and n.sobject == sobject]
            made.update(_insert(call, router, group=group, made=made))
    return made


def _insert(
    call: Call, router: Router, *, group: list[Node], made: Mapping[str, str]
) -> dict[str, str]:
    records = []
    for node in group:
        link = {node.parent[1]: made[node.parent[0]]} if node.parent else {}
        records.append({"attributes": {"type": node.sobject}, **node.values, **link})
    asked = sub_call(
        call,
        method="POST",
        url=f"{call.base}/composite/sobjects",
        body={"allOrNone": True, "records": records},
        headers={},
    )
    reply = router.answer(asked)
    if reply.status != 200:
        raise ApiError(reply.status, "JSON_PARSER_ERROR", orjson.dumps(reply.body).decode())
    refused = [
        {"referenceId": node.reference, "errors": answer["errors"]}
        for node, answer in zip(group, reply.body, strict=True)
        if not answer["success"]
        and answer["errors"][0]["statusCode"] != "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    ]
    if refused:
        raise TreeRefusedError(refused)
    return {node.reference: answer["id"] for node, answer in zip(group, reply.body, strict=True)}


def _nodes(call: Call) -> Iterator[Node]:
    document = call.json()
    records = document.get("records") if isinstance(document, dict) else None
    if not isinstance(records, list):
        raise ApiError(400, "JSON_PARSER_ERROR", "The body must hold a list of records")
    for record in records:
        yield from _walk(call, record, parent=None, level=1)


def _walk(
    call: Call, record: Mapping[str, Any], *, parent: tuple[str, str] | None, level: int
) -> Iterator[Node]:
    attributes = record.get("attributes") or {}
    sobject = call.schema.sobject(str(attributes.get("type", "")))
    reference = attributes.get("referenceId")
    if sobject is None or not reference:
        raise ApiError(400, "INVALID_INPUT", "Each record needs attributes type and referenceId.")
    values = {k: v for k, v in record.items() if k != "attributes" and not _is_children(v)}
    yield Node(sobject.name, str(reference), values, parent, level)
    for name, value in record.items():
        if _is_children(value):
            child = sobject.child(name)
            if child is None:
                raise ApiError(
                    400, "INVALID_FIELD", f"No such relationship '{name}' on {sobject.name}"
                )
            for inner in value["records"]:
                link = (str(reference), child.field)
                yield from _walk(call, inner, parent=link, level=level + 1)


def _is_children(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("records"), list)


def _check(nodes: list[Node]) -> None:
    references = [node.reference for node in nodes]
    if not 1 <= len(nodes) <= RECORDS_MAX:
        raise ApiError(400, "INVALID_INPUT", f"A tree holds 1 to {RECORDS_MAX} records.")
    if max(node.level for node in nodes) > LEVELS_MAX:
        raise ApiError(400, "INVALID_INPUT", f"A tree has up to {LEVELS_MAX} levels.")
    if len({node.sobject for node in nodes}) > TYPES_MAX:
        raise ApiError(400, "INVALID_INPUT", f"A tree has up to {TYPES_MAX} types.")
    if len(set(references)) != len(references):
        raise ApiError(400, "DUPLICATE_VALUE", "Duplicate ReferenceId provided")
