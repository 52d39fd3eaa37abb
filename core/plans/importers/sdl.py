r"""Data Loader's ``.sdl`` mapping as a plan of one object.

A line says ``source column = target field``; several fields may stand on the right, a quoted left
side is a constant, ``Relationship:ExternalId`` on the right finds the parent by that field. It
does not name its object: that is given, or read off the file's name; so is the operation.
Source: Data Loader Guide, "Mapping file format"; Java properties for the escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core.errors import UserError
from core.plans.importers.report import Imported, Report, imported, not_this

TOOL = "Data Loader"

_API_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*\Z")
_CONSTANT = re.compile(r'"(.*)"\Z', re.DOTALL)
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
#: objects whose name a file's name often holds
_KNOWN_OBJECTS = (
    "OpportunityLineItem",
    "CampaignMember",
    "Opportunity",
    "Attachment",
    "Campaign",
    "Product2",
    "Account",
    "Contact",
    "Contract",
    "Asset",
    "Event",
    "Order",
    "Case",
    "Lead",
    "Task",
)
_UPSERT_WORDS = ("upsert", "update", "insert", "delete")


def read_sdl(
    text: str,
    *,
    source: str,
    target: str,
    name: str,
    sobject: str | None = None,
    key: str | None = None,
) -> Imported:
    """The plan of a mapping file.

    Args:
        name: of the plan; the object is looked for in it when `sobject` is None.
        sobject: the object on both sides.
        key: the target field by which rows are recognised; the ledger if None.
    Raises:
        UserError: no line maps anything, or the object cannot be told.
    """
    report = Report()
    entries = list(_entries(text))
    if not entries:
        raise not_this(TOOL, "no line reads `source column = target field`")
    wanted = sobject or _object_in(name)
    if wanted is None:
        raise UserError(
            "A Data Loader mapping does not name its object.",
            state="Nothing was saved.",
            next_step="Name the object, or put its API name into the file's name.",
        )
    rules = _Rules(report)
    for entry in entries:
        rules.add(*entry)
    if not rules.fields and not rules.lookups:
        raise not_this(
            TOOL,
            "no line can be carried over (" + "; ".join(n.sentence for n in report.notes[:3]) + ")",
        )
    mapping: dict[str, Any] = {
        "source": wanted,
        "operation": _operation_in(name, report),
        "key": key or "ledger",
        "auto_map": False,
        "fields": rules.fields,
        "lookups": rules.lookups,
    }
    if key is None:
        report.add("key", "The file names no key: rows are recognised by the ledger.")
    plan = {
        "orgbridge": 1,
        "name": name,
        "source": source,
        "target": target,
        "objects": [mapping],
    }
    return imported(plan, report, tool=TOOL)


class _Rules:
    """Collects the rules of the lines; `report` what is left behind."""

    def __init__(self, report: Report) -> None:
        self.fields: dict[str, Any] = {}
        self.lookups: dict[str, Any] = {}
        self._report = report

    def add(self, line: int, left: str, right: str) -> None:
        place = f"line {line}"
        if not right:
            self._report.add(place, f"'{left[:60]}' is mapped to nothing.")
        for goal in (part.strip() for part in right.split(",") if part.strip()):
            self._rule(place, left, goal)

    def _rule(self, place: str, left: str, goal: str) -> None:
        constant = _CONSTANT.match(left)
        if goal.lower() == "id":
            self._report.add(
                place, f"'{left[:60]}' → Id is left out: ids of the target come from the key."
            )
        elif ":" in goal or "." in goal:
            self._lookup(place, left, goal)
        elif not _API_NAME.match(goal):
            self._report.add(place, f"'{goal[:60]}' is no field name and was left out.")
        elif any(goal.lower() == known.lower() for known in self.fields):
            self._report.add(place, f"{goal} is mapped twice; the first line counts.")
        elif constant is not None:
            self.fields[goal] = {"constant": constant.group(1)}
        elif _API_NAME.match(left):
            self.fields[goal] = left
        else:
            self._report.add(
                place, f"The column '{left[:60]}' is no field of an org and was left out."
            )

    def _lookup(self, place: str, left: str, goal: str) -> None:
        """``Account:Oracle_Id__c`` or ``Parent__r.Code__c``, also ``Contact:Who.Email``."""
        head, _, key = goal.replace(":", ".").rpartition(".")
        polymorphic, _, relationship = head.rpartition(".")
        if not all(_API_NAME.match(part) for part in (relationship, key, left)):
            self._report.add(place, f"'{left[:40]}' → '{goal[:60]}' was left out.")
            return
        custom = relationship.lower().endswith("__r")
        field_name = f"{relationship[:-3]}__c" if custom else f"{relationship}Id"
        policy: dict[str, Any] = {"from": left, "match": {"source": left, "target": key}}
        if polymorphic:
            policy["object"] = polymorphic
        self.lookups[field_name] = policy
        self._report.add(place, f"{goal} became the lookup {field_name}, matched by {key}.")


def _entries(text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, key, value) of Java properties, escapes undone."""
    lines = text.removeprefix("\ufeff").splitlines()
    at = 0
    while at < len(lines):
        number, line = at + 1, lines[at].lstrip()
        at += 1
        if not line or line[0] in "#!":
            continue
        while _goes_on(line) and at < len(lines):
            line = line[:-1] + lines[at].lstrip()
            at += 1
        left, sign, right = _split(line)
        if sign:
            yield number, _plain(left).strip(), _plain(right).strip()


def _goes_on(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _split(line: str) -> tuple[str, str, str]:
    """At the first = that is neither escaped nor inside the quotes of a constant."""
    quoted = escaped = False
    for at, letter in enumerate(line):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter == "=" and not quoted:
            return line[:at], "=", line[at + 1 :]
    return line, "", ""


def _plain(text: str) -> str:
    def undo(found: re.Match[str]) -> str:
        code = found.group(1)
        if len(code) == 5:
            return chr(int(code[1:], 16))
        return _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", undo, text, flags=re.DOTALL)


def _object_in(name: str) -> str | None:
    lowered = name.lower()
    return next((known for known in _KNOWN_OBJECTS if known.lower() in lowered), None)


def _operation_in(name: str, report: Report) -> str:
    found = next((word for word in _UPSERT_WORDS if word in name.lower()), None)
    if found is None or found == "delete":
        report.add("operation", "The file names no operation: upsert is taken.")
        return "upsert"
    report.add("operation", f"The operation {found} is read off the file's name.")
    return found
