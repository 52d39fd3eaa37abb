"""What the orgs of the campaign consist of: objects with awkward fields, and lookups in circles.

A plan takes some of the objects and some of their lookups, so that one schema holds every graph:
chains, self lookups, cycles of two and three objects, junctions, details and polymorphic lookups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: unique, case-sensitive external id of every object
KEY = "Key__c"
#: rows with this code are refused by a validation rule of the target
REFUSED = "REFUSE"
#: what automation makes of a value is listed apart: set by a hook on every save
STAMPED = "Stamped__c"


@dataclass(frozen=True, slots=True)
class Lookup:
    """A reference field and the objects it may point at."""

    field: str
    to: tuple[str, ...]
    required: bool = False
    #: rows go with their parent
    cascade: bool = False
    #: set on insert only
    once: bool = False
    #: the org refuses circles
    tree: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """One object as the generator and the oracle see it."""

    name: str
    prefix: str
    #: plain fields and the kind of their values
    fields: dict[str, str]
    lookups: tuple[Lookup, ...] = ()
    #: field whose value names the row to a reader
    label: str = "Name"
    #: written on insert only
    once: tuple[str, ...] = ()
    #: has Region__c, Code__c and State__c
    custom: bool = False

    def lookup(self, field: str) -> Lookup:
        """The reference field of that name."""
        return next(one for one in self.lookups if one.field == field)


_CUSTOM = {
    "Name": "name",
    "Region__c": "region",
    "Code__c": "code",
    "Text__c": "long",
    "Number__c": "number",
    "Date__c": "date",
    "Moment__c": "moment",
    "Flag__c": "flag",
    "Pick__c": "multi",
    "Once__c": "text",
    "State__c": "state",
}


def _custom(name: str, prefix: str, *lookups: Lookup) -> Shape:
    return Shape(name, prefix, dict(_CUSTOM), lookups, once=("Once__c",), custom=True)


SHAPES: dict[str, Shape] = {
    one.name: one
    for one in (
        Shape(
            "Account",
            "001",
            {"Name": "name", "Phone": "phone", "Description": "long"},
            (
                Lookup("ParentId", ("Account",), tree=True),
                Lookup("Alpha__c", ("Alpha__c",)),
            ),
        ),
        Shape(
            "Contact",
            "003",
            {"LastName": "name", "FirstName": "text", "Email": "email", "Title": "text"},
            (
                Lookup("AccountId", ("Account",)),
                Lookup("ReportsToId", ("Contact",)),
            ),
            label="LastName",
        ),
        Shape(
            "Task",
            "00T",
            {"Subject": "name", "Description": "long"},
            (
                Lookup("WhoId", ("Contact",), cascade=True),
                Lookup("WhatId", ("Account", "Alpha__c", "Beta__c"), cascade=True),
            ),
            label="Subject",
        ),
        _custom(
            "Alpha__c",
            "a0A",
            Lookup("Beta__c", ("Beta__c",)),
            Lookup("Gamma__c", ("Gamma__c",)),
            Lookup("Parent__c", ("Alpha__c",)),
        ),
        _custom(
            "Beta__c",
            "a0B",
            Lookup("Alpha__c", ("Alpha__c",)),
            Lookup("Gamma__c", ("Gamma__c",)),
            Lookup("Parent__c", ("Beta__c",)),
        ),
        _custom(
            "Gamma__c",
            "a0C",
            Lookup("Alpha__c", ("Alpha__c",)),
            Lookup("Beta__c", ("Beta__c",)),
            Lookup("Account__c", ("Account",)),
        ),
        _custom(
            "Line__c",
            "a0D",
            Lookup("Alpha__c", ("Alpha__c",), required=True, cascade=True, once=True),
            Lookup("Need__c", ("Beta__c",), required=True),
        ),
    )
}
#: picks of objects that make sense together, with the cycles that they allow
GRAPHS: tuple[tuple[str, ...], ...] = (
    ("Account",),
    ("Account",),
    ("Contact",),
    ("Alpha__c",),
    ("Alpha__c",),
    ("Account", "Contact"),
    ("Account", "Contact"),
    ("Contact", "Task"),
    ("Alpha__c", "Beta__c"),
    ("Alpha__c", "Beta__c"),
    ("Alpha__c", "Beta__c"),
    ("Account", "Contact", "Task"),
    ("Alpha__c", "Beta__c", "Gamma__c"),
    ("Alpha__c", "Beta__c", "Line__c"),
    ("Account", "Alpha__c", "Gamma__c"),
    ("Account", "Alpha__c", "Beta__c", "Contact", "Task"),
)


def schema_text() -> str:
    """The schema file of both orgs."""
    lines = [
        "standard: [Account, Contact, Task]",
        "org:",
        "  features: [hard_delete]",
        "  users:",
        "    - {username: ann@campaign.example, first: Ann, last: Lee,"
        " profile: System Administrator}",
        "objects:",
    ]
    for shape in SHAPES.values():
        lines += _custom_object(shape) if shape.custom else _standard_object(shape)
    return "\n".join(lines) + "\n"


_KEY_FIELD = (
    f"      {KEY}:"
    " {type: text, length: 40, external_id: true, unique: true, case_sensitive: true}"
)
_KEPT = {
    "Account": "Name, Phone, Description, ParentId, OwnerId",
    "Contact": "Name, FirstName, LastName, Email, Title, AccountId, ReportsToId, OwnerId",
    "Task": "Subject, Description, WhoId, WhatId, OwnerId",
}
_WHAT = (
    "      WhatId: {type: reference, label: Related To ID, to: [Account, Alpha__c, Beta__c],"
    " relationshipName: What, children: Tasks, on_delete: cascade}"
)
_TYPES = {
    "region": "{type: text, length: 20}",
    "code": "{type: text, length: 40}",
    "long": "{type: long_textarea, length: 32000}",
    "number": "{type: number, precision: 18, scale: 4}",
    "date": "date",
    "moment": "datetime",
    "flag": "checkbox",
    "multi": "{type: multipicklist, values: [red, green, blue], restricted: true}",
    "state": "{type: picklist, values: [Draft, Active], restricted: true}",
    "text": "{type: text, length: 255, create_only: true}",
}


def _standard_object(shape: Shape) -> Iterable[str]:
    yield f"  {shape.name}:"
    yield f"    keep: [{_KEPT[shape.name]}]"
    yield "    fields:"
    yield _KEY_FIELD
    if shape.name == "Account":
        yield "      Alpha__c: {type: lookup, to: Alpha__c, children: Accounts__r}"
    if shape.name == "Task":
        yield _WHAT


def _custom_object(shape: Shape) -> Iterable[str]:
    yield f"  {shape.name}:"
    yield f"    label: {shape.name[:-3]}"
    yield f"    prefix: {shape.prefix}"
    if shape.name == "Line__c":
        yield "    owner: []"
    yield "    validation_rules:"
    yield (
        f"      Never: {{formula: 'Code__c = \"{REFUSED}\"', message: This code is refused,"
        " field: Code__c}"
    )
    if shape.name == "Gamma__c":  # a formula at every save costs: one object is enough
        yield "    hooks:"
        yield f"      - {{on: [insert, update], set: {{{STAMPED}: '\"by automation\"'}}}}"
    yield "    fields:"
    yield _KEY_FIELD
    yield f"      {STAMPED}: {{type: text, length: 40}}"
    for name, kind in shape.fields.items():
        if name != "Name":
            yield f"      {name}: {_TYPES[kind]}"
    for one in shape.lookups:
        yield _lookup_field(shape, one)


def _lookup_field(shape: Shape, one: Lookup) -> str:
    kind = "master_detail" if one.required and one.cascade else "lookup"
    children = f"{shape.name[:-3]}{one.field[:-3]}s__r"
    extra = ", required: true" if one.required and not one.cascade else ""
    return f"      {one.field}: {{type: {kind}, to: {one.to[0]}, children: {children}{extra}}}"
