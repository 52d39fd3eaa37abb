"""What the object book does to a mapping: fields written once, fields that exclude each other, what
locks a record, rows that the platform makes by itself.

Takes a mapping in which every field is said, answers with the mapping as it must run and a sentence
per change. What the plan says itself always wins: a field it sets under ``finally``, a ``write`` it
chose, a filter that names the same field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.domain.describe import SObject
from core.domain.object_book import BookEntry, object_book
from core.domain.plan import ConstantRule, ObjectMapping, Operation, RuleBase, Write
from core.domain.soql import checked_filter, quoted


@dataclass(frozen=True, slots=True)
class BookNote:
    """One thing that the book changed, and why."""

    mapping: str
    field: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class ByTheBook:
    """A mapping after the book."""

    mapping: ObjectMapping
    notes: tuple[BookNote, ...] = ()


def by_the_book(mapping: ObjectMapping, source: SObject, target: SObject) -> ByTheBook:
    """The mapping as it must run.

    Args:
        mapping: with every field said (auto-map done).
    """
    entry = object_book().entry(target.name)
    writes = mapping.operation in (Operation.INSERT, Operation.UPDATE, Operation.UPSERT)
    changed, notes = mapping, list[BookNote]()
    steps = (_once_only, _not_together, _activated_last) if writes else ()
    for step in steps:
        done = step(changed, entry)
        changed = done.mapping
        notes.extend(done.notes)
    done = _own_rows_only(changed, entry, source, target)
    return ByTheBook(done.mapping, (*notes, *done.notes))


def _once_only(mapping: ObjectMapping, entry: BookEntry) -> ByTheBook:
    """Fields that no update may carry, whatever the describe says."""
    known = {name.lower(): reason for name, reason in entry.create_only.items()}
    fields: dict[str, RuleBase] = dict(mapping.fields)
    notes = []
    for name, rule in mapping.applied_fields.items():
        if name.lower() in known and rule.write is Write.ALWAYS:
            fields[name] = rule.model_copy(update={"write": Write.INSERT_ONLY})
            sentence = f"{name} is written on insert only: {known[name.lower()]}."
            notes.append(BookNote(mapping.name, name, sentence))
    return ByTheBook(mapping.model_copy(update={"fields": fields}), tuple(notes))


def _not_together(mapping: ObjectMapping, entry: BookEntry) -> ByTheBook:
    """Of fields that exclude each other on insert, the lesser ones are left out.

    Where either may be filled, row by row (a member is a contact or a lead), all of them stay.
    """
    fields: dict[str, RuleBase] = dict(mapping.fields)
    notes = []
    for group in entry.one_of:
        present = [name for name in fields if name.lower() in {f.lower() for f in group.fields}]
        keeps = any(name.lower() == group.keep.lower() for name in present)
        if group.when_true or group.either or not keeps:
            continue
        for name in present:
            if name.lower() != group.keep.lower():
                del fields[name]
                sentence = f"{name} is left out beside {group.keep}: {group.reason}."
                notes.append(BookNote(mapping.name, name, sentence))
    return ByTheBook(mapping.model_copy(update={"fields": fields}), tuple(notes))


def _activated_last(mapping: ObjectMapping, entry: BookEntry) -> ByTheBook:
    """Records are inserted with the first value; the mapped one follows after their children."""
    fields: dict[str, RuleBase] = dict(mapping.fields)
    final: dict[str, RuleBase] = dict(mapping.final_fields)
    notes = []
    for activation in entry.activations:
        name = next((n for n in fields if n.lower() == activation.field.lower()), None)
        if name is None or name.lower() in {n.lower() for n in final}:
            continue
        final[name] = fields[name]
        fields[name] = ConstantRule(constant=activation.first, write=Write.INSERT_ONLY)
        sentence = (
            f"{name} is inserted as {activation.first} and set after all children: "
            f"{activation.reason}."
        )
        notes.append(BookNote(mapping.name, name, sentence))
    update = {"fields": fields, "final_fields": final}
    return ByTheBook(mapping.model_copy(update=update), tuple(notes))


def _own_rows_only(
    mapping: ObjectMapping, entry: BookEntry, source: SObject, target: SObject
) -> ByTheBook:
    """Leaves out rows that the platform makes by itself when others are loaded; a target that does
    not know the field (no person accounts) makes none."""
    named = {path.lower() for path in _filtered_fields(mapping.where)}
    conditions, notes = [], []
    for rows in entry.only_where:
        known = rows.field in source.fields and rows.field in target.fields
        if not known or rows.field.lower() in named:
            continue
        field = source.fields[rows.field]
        if not field.filterable:
            continue
        value = rows.value if field.type == "boolean" else quoted(rows.value)
        conditions.append(f"{field.name} = {value}")
        sentence = f"Only rows with {field.name} = {rows.value} are moved: {rows.reason}."
        notes.append(BookNote(mapping.name, field.name, sentence))
    if not conditions:
        return ByTheBook(mapping)
    given = [f"({mapping.where})"] if mapping.where else []
    where = " AND ".join([*given, *conditions])
    return ByTheBook(mapping.model_copy(update={"where": where}), tuple(notes))


def _filtered_fields(where: str | None) -> Iterator[str]:
    if where:
        yield from checked_filter(where).fields
