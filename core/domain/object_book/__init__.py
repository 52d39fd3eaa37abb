"""The object book: what is known of particular standard objects, as reviewed data.

``object_book()`` reads ``book.yaml`` once; ``entry(name)`` answers for any object, with an empty
entry where nothing is known. The book says what the platform does; plans may override its order.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

from core.errors import BugError


@dataclass(frozen=True, slots=True)
class Condition:
    """Rows whose field holds the value (as text, without regard to case)."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class ImplicitOrder:
    """An object that loads first although no lookup says so."""

    object: str
    reason: str


@dataclass(frozen=True, slots=True)
class FirstRows:
    """Rows of an object that load before its other rows."""

    #: path from the source row, such as Pricebook2.IsStandard
    field: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class MadeRows:
    """Rows that the platform makes by itself when `caused_by` is loaded (rule 3.8)."""

    caused_by: str
    key: tuple[str, ...]
    reason: str
    #: only these rows of the object are made
    where: Condition | None = None
    #: no row is made where the causing row says this
    unless: Condition | None = None


@dataclass(frozen=True, slots=True)
class ExistingRows:
    """Rows that every org has: matched by key, never inserted."""

    where: Condition
    key: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """Fields of which only one may be sent on insert."""

    fields: tuple[str, ...]
    keep: str
    reason: str
    #: they exclude each other only where the first is true
    when_true: bool = False
    #: each row fills one of them, not always the same: all may be mapped
    either: bool = False


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Fields of which one must be sent although the describe does not say so."""

    any_of: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class NeverUpdate:
    """A condition under which the org ignores or refuses a field on update."""

    field: str
    when: str
    effect: str
    #: whether a difference after the run is a loss
    compare: bool = True


@dataclass(frozen=True, slots=True)
class Activation:
    """A field that locks the record: set after all children are loaded (rule 3.7)."""

    field: str
    #: value to insert with
    first: str
    reason: str
    undoable: bool = True


@dataclass(frozen=True, slots=True)
class OnlyWhere:
    """Rows to move; the others are made by the platform."""

    field: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class PersonAccounts:
    """How accounts that are persons differ (rule 3.6)."""

    record_type_flag: str
    contact_field: str
    reason: str
    never_send: Mapping[str, str]
    business_never_send: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BookEntry:
    """All that the book says of one object; every part may be empty."""

    object: str
    after: tuple[ImplicitOrder, ...] = ()
    first_rows: FirstRows | None = None
    natural_key: tuple[str, ...] = ()
    made_rows: tuple[MadeRows, ...] = ()
    existing_rows: tuple[ExistingRows, ...] = ()
    #: field → reason
    derived: Mapping[str, str] = field(default_factory=dict)
    create_only: Mapping[str, str] = field(default_factory=dict)
    never_send: Mapping[str, str] = field(default_factory=dict)
    one_of: tuple[OneOf, ...] = ()
    required: tuple[AnyOf, ...] = ()
    activations: tuple[Activation, ...] = ()
    children_of: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    only_where: tuple[OnlyWhere, ...] = ()
    never_update: tuple[NeverUpdate, ...] = ()
    person: PersonAccounts | None = None
    undoable: bool = True

    def is_derived(self, name: str) -> bool:
        """Whether the platform computes the field from others."""
        return name.lower() in {known.lower() for known in self.derived}


@dataclass(frozen=True, slots=True)
class MadeParent:
    """A parent that a package makes for a child that comes without one."""

    child: str
    parent: str
    through: str
    package: str
    key: tuple[str, ...]
    where: Condition
    reason: str


@dataclass(frozen=True, slots=True)
class ObjectBook:
    """The whole book."""

    entries: Mapping[str, BookEntry]
    made_parents: tuple[MadeParent, ...]
    #: (pattern in small letters, reason)
    never_copied: tuple[tuple[str, str], ...]

    def entry(self, name: str) -> BookEntry:
        """What is known of the object; an empty entry if nothing is."""
        return self.entries.get(name.lower()) or BookEntry(object=name)

    def reason_never_copied(self, name: str) -> str | None:
        """Why rows of the object are not copied as data; None if they may be."""
        lowered = name.lower()
        for pattern, reason in self.never_copied:
            if fnmatch.fnmatchcase(lowered, pattern):
                return reason
        return None


@cache
def object_book() -> ObjectBook:
    """The shipped book, read once per process."""
    text = resources.files(__package__).joinpath("book.yaml").read_text(encoding="utf-8")
    return parse_book(text)


def parse_book(text: str) -> ObjectBook:
    """The book of a YAML text.

    Raises:
        BugError: an entry has a key that this module does not know.
    """
    # libyaml reads the book in a tenth of the time; a build without it has the loader in Python
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe loaders
    return ObjectBook(
        entries={name.lower(): _entry(name, said) for name, said in document["objects"].items()},
        made_parents=tuple(_made_parent(said) for said in document.get("made_parents", ())),
        never_copied=tuple(
            (pattern.lower(), said["reason"])
            for said in document.get("never_copied", ())
            for pattern in said["objects"]
        ),
    )


_KNOWN_KEYS = frozenset(
    "after first_rows natural_key made_rows existing_rows derived create_only never_send one_of "
    "required finally children_of locks only_where never_update person undoable".split()
)


def _entry(name: str, said: Mapping[str, Any]) -> BookEntry:
    unknown = said.keys() - _KNOWN_KEYS
    if unknown:
        raise BugError(f"The object book says '{', '.join(sorted(unknown))}' of {name}.")
    first_rows, person = said.get("first_rows"), said.get("person")
    return BookEntry(
        object=name,
        after=tuple(ImplicitOrder(**entry) for entry in said.get("after", ())),
        first_rows=FirstRows(**first_rows) if first_rows else None,
        natural_key=tuple(said.get("natural_key", ())),
        made_rows=tuple(_made_rows(entry) for entry in said.get("made_rows", ())),
        existing_rows=tuple(_existing(entry) for entry in said.get("existing_rows", ())),
        derived=said.get("derived", {}),
        create_only=said.get("create_only", {}),
        never_send=said.get("never_send", {}),
        one_of=tuple(OneOf(**_tuples(entry, "fields")) for entry in said.get("one_of", ())),
        required=tuple(AnyOf(**_tuples(entry, "any_of")) for entry in said.get("required", ())),
        activations=tuple(Activation(**entry) for entry in said.get("finally", ())),
        children_of=tuple(said.get("children_of", ())),
        locks=tuple(said.get("locks", ())),
        only_where=tuple(OnlyWhere(**entry) for entry in said.get("only_where", ())),
        never_update=tuple(NeverUpdate(**entry) for entry in said.get("never_update", ())),
        person=PersonAccounts(**person) if person else None,
        undoable=said.get("undoable", True),
    )


def _made_rows(said: Mapping[str, Any]) -> MadeRows:
    return MadeRows(**{**_tuples(said, "key"), **_conditions(said, "where", "unless")})


def _existing(said: Mapping[str, Any]) -> ExistingRows:
    return ExistingRows(**{**_tuples(said, "key"), **_conditions(said, "where")})


def _made_parent(said: Mapping[str, Any]) -> MadeParent:
    return MadeParent(**{**_tuples(said, "key"), **_conditions(said, "where")})


def _tuples(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**said, name: tuple(said[name])}


def _conditions(said: Mapping[str, Any], *names: str) -> dict[str, Condition]:
    return {name: Condition(**said[name]) for name in names if name in said}
