"""Rows of a case: awkward values, twins, self lookups, circles; and what the target holds before.

Rows are put into the orgs as they are, with ids made here, so that filling an org costs one call.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from benchmarks.campaign.cases import Case
from benchmarks.campaign.shapes import KEY, REFUSED, SHAPES, Lookup, Shape
from orgsim.store.ids import make_ids

Row = dict[str, Any]
Rows = dict[str, list[Row]]

TEXTS = (
    None,
    None,
    'say "hello", twice: ""',
    "a,b;c\tand a tab",
    "two\nlines",
    "three\r\nlines\r\n of Windows",
    "Zoë 😀 李 ünï",
    "שלום עולם",
    "0012",
    "1e5",
    "=SUM(A1)",
    "null",
    "O'Neil \\ back\\slash",
    "100% & <b>bold</b> &amp;",
    "'; DROP TABLE x; --",
    "#N/A is not empty",
    "#N/A",
    "long " * 900 + "end",
)
_NUMBERS = (None, 0.0, -0.0001, 12345678901.1234, 0.1, -3.5, 99999999999.9999, 1.0)
_DATES = (None, "2026-03-29", "1899-12-31", "2024-02-29", "9999-12-31")
_MOMENTS = (
    None,
    "2026-03-29 01:30:00",
    "2026-10-25 00:59:59",
    "1970-01-01 00:00:00",
    "2026-06-30 23:59:59",
)
_MULTI = (None, "red", "red;blue", "red;green;blue")
_FEW = {"phone": (None, "+1 (555) 0100", "007"), "state": ("Draft", "Draft", "Active")}


@dataclass(slots=True)
class Ids:
    """Numbers for ids of one stage; no number comes twice."""

    next_number: int = 1

    def make(self, prefix: str, pod: str, count: int) -> list[str]:
        """So many new ids of an object in an org."""
        first = self.next_number
        self.next_number += count
        return [str(one) for one in make_ids(prefix, pod, first=first, count=count)]


def source_rows(case: Case, dice: random.Random, *, ids: Ids, pod: str) -> Rows:
    """Rows of every object of the case, with lookups among them."""
    made: Rows = {}
    for name in case.objects:
        shape = SHAPES[name]
        made[name] = [
            {"Id": one, **_values(case, dice, shape, number)}
            for number, one in enumerate(ids.make(shape.prefix, pod, case.rows[name]))
        ]
    for name in case.objects:
        for field in case.lookups[name]:
            _point(dice, made, name, SHAPES[name].lookup(field))
    if case.twins:
        _twin(dice, case, made, ids=ids, pod=pod)
    return made


def _values(case: Case, dice: random.Random, shape: Shape, number: int) -> Row:
    row: Row = {
        field: _value(dice, kind, number, f"{shape.name[:2]} {case.seed % 9973}")
        for field, kind in shape.fields.items()
    }
    if shape.name == "Task":
        row |= {"Status": "Not Started", "Priority": "Normal"}
    if shape.name == "Contact":
        row["Name"] = f"{row['FirstName'] or ''} {row['LastName']}".strip()
    if case.key == "same":
        row[KEY] = f"S {number} é"
    if case.refused and shape.custom and dice.random() < 0.2:
        row["Code__c"] = REFUSED
        if case.key == "composite":  # all refused rows share a code: their keys differ all the same
            row["Region__c"] = f"R{number}"
    return row


def _value(dice: random.Random, kind: str, number: int, tag: str) -> Any:
    if kind == "name":
        return f"{tag} {number}"
    if kind == "code":
        return dice.choice((f"{number:04d}", f"C,{number}", f'"{number}"'))
    if kind == "region":
        return dice.choice(("EU", "US", f"R{number}", None)) if number % 5 else f"only {number}"
    if kind == "long":
        return dice.choice(TEXTS)
    if kind == "text":
        return _short(dice.choice(TEXTS))
    if kind == "email":
        return dice.choice((None, f"p{number}@example.com", f"Ö.{number}@Example.COM"))
    if kind == "flag":
        return dice.random() < 0.5
    table = {"number": _NUMBERS, "date": _DATES, "moment": _MOMENTS, "multi": _MULTI, **_FEW}
    return dice.choice(table[kind])


def _short(text: str | None) -> str | None:
    """One line of at most 40 characters, without a blank at its end."""
    return None if text is None else text.replace("\r", "").replace("\n", " ")[:39].strip()


def _point(dice: random.Random, made: Rows, name: str, lookup: Lookup) -> None:
    """Fills a lookup: chains mostly, circles now and then, blanks where it may be blank."""
    parents = [parent for parent in lookup.to if parent in made]
    own = name in parents
    for at, row in enumerate(made[name]):
        if not lookup.required and dice.random() < 0.3:
            row[lookup.field] = None
            continue
        chosen = made[dice.choice(parents)]
        if own and at and (lookup.tree or dice.random() < 0.7):
            row[lookup.field] = chosen[dice.randrange(at)]["Id"]
        else:
            row[lookup.field] = dice.choice(
                [None, *chosen] if own and not lookup.tree else [None] if own else chosen
            )
            row[lookup.field] = (row[lookup.field] or {}).get("Id")
        if own and row[lookup.field] == row["Id"]:
            row[lookup.field] = None


def _twin(dice: random.Random, case: Case, made: Rows, *, ids: Ids, pod: str) -> None:
    """Rows that are equal to others in every cell; nobody points at them."""
    for name in case.objects:
        chosen = [dice.choice(made[name]) for _ in range(dice.randrange(4))]
        new = ids.make(SHAPES[name].prefix, pod, len(chosen))
        made[name] += [{**row, "Id": one} for row, one in zip(chosen, new, strict=True)]


def key_of(case: Case, row: Row) -> str | None:
    """What identifies a source row's copy in the target; None without a key."""
    if case.key == "stamp":
        return str(row["Id"])
    if case.key == "value":
        return f"EU-{row['Id']}"
    if case.key == "same":
        return str(row[KEY])
    if case.key == "composite":
        return f"{row.get('Region__c') or ''}|{row.get('Code__c') or ''}"
    return None


def target_rows(case: Case, dice: random.Random, source: Rows, *, ids: Ids, pod: str) -> Rows:
    """What the target holds before: some copies with other values, some rows of its own."""
    made: Rows = {name: [] for name in case.objects}
    copy_of: dict[str, str] = {}
    for name in case.objects:
        shape = SHAPES[name]
        chosen = [row for row in source[name] if dice.random() < case.there]
        own = dice.randrange(3)
        new = ids.make(shape.prefix, pod, len(chosen) + own)
        for row, one in zip(chosen, new, strict=False):
            copy_of[row["Id"]] = one
            made[name].append(_other(case, dice, shape, row, new_id=one))
        for number, one in enumerate(new[len(chosen) :]):
            row = {"Id": one, **_values(case, dice, shape, 900 + number)}
            row |= {KEY: f"own {one}"}
            if shape.custom:
                row |= {"Region__c": f"own {number}", "Code__c": one}
            made[name].append(row)
    _tie(case, dice, made)
    return made


def _other(case: Case, dice: random.Random, shape: Shape, row: Row, *, new_id: str) -> Row:
    """A copy as it may stand in the target: some fields older, some the same."""
    made = {"Id": new_id, **_values(case, dice, shape, 500)}
    for field in shape.fields:
        if dice.random() < 0.6:
            made[field] = row[field]
    if case.key in ("stamp", "value", "same"):
        made[KEY] = key_of(case, row)
    if case.key == "composite":
        made |= {"Region__c": row["Region__c"], "Code__c": row["Code__c"]}
    elif shape.custom and made["Code__c"] == REFUSED:
        made["Code__c"] = "old"
    return made


def _tie(case: Case, dice: random.Random, made: Rows) -> None:
    """Required lookups need parents: rows without one are taken out; others point now and then."""
    for name in case.objects:
        for field in case.lookups[name]:
            lookup = SHAPES[name].lookup(field)
            parents = [row for parent in lookup.to for row in made.get(parent, ())]
            own = {row["Id"] for row in parents if str(row.get(KEY)).startswith("own ")}
            for row in made[name]:
                # rows of the target's own hold on to such rows only: what is deleted stays theirs
                mine = str(row.get(KEY)).startswith("own ")
                allowed = [p for p in parents if p["Id"] in own] if mine else parents
                if lookup.tree:
                    continue
                if allowed and (lookup.required or dice.random() < 0.5):
                    row[field] = dice.choice(allowed)["Id"]
                elif lookup.required:
                    row[field] = None
                if row.get(field) == row["Id"]:
                    row[field] = None
        required = [f for f in case.lookups[name] if SHAPES[name].lookup(f).required]
        made[name] = [row for row in made[name] if all(row.get(f) for f in required)]
