"""What a field of the target takes: its picklist, or the list of countries or states behind it.

An org with state and country lists describes the code field as a picklist (BillingCountryCode) and
leaves the text field (BillingCountry) a text that is checked against the same list's labels.
Source: "Let Users Select States and Countries from Picklists", Salesforce Help.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.domain.describe import Field, SObject


@dataclass(frozen=True, slots=True)
class ListedValue:
    """One value that may be written."""

    value: str
    label: str


def listed_values(target: SObject, name: str) -> tuple[ListedValue, ...]:
    """The active values of a field, in the list's order; empty when anything may be written."""
    field = target.fields.get(name)
    if field is None:
        return ()
    if field.picklist_values:
        return _active(field)
    code = target.fields.get(f"{field.name}Code")
    if code is not None and code.picklist_values and _is_place(field):
        return tuple(
            ListedValue(entry.label, entry.label) for entry in _active(code) if entry.label
        )
    return ()


def likely_values(values: Iterable[str], listed: Iterable[ListedValue]) -> dict[str, str]:
    """The listed value that a source value means beyond doubt, by value or label in any case.

    Values that the list has as they are need no entry and get none.

    >>> likely_values(["germany", "DE", "Mars"], [ListedValue("DE", "Germany")])
    {'germany': 'DE'}
    """
    known = list(listed)
    exact = {entry.value for entry in known}
    by_word: dict[str, set[str]] = {}
    for entry in known:
        for word in {_word(entry.value), _word(entry.label)}:
            by_word.setdefault(word, set()).add(entry.value)
    found: dict[str, str] = {}
    for value in values:
        meant = by_word.get(_word(value), set())
        if value not in exact and len(meant) == 1:
            found[value] = next(iter(meant))
    return found


def _active(field: Field) -> tuple[ListedValue, ...]:
    return tuple(
        ListedValue(entry.value, entry.label or entry.value)
        for entry in field.picklist_values
        if entry.active
    )


def _is_place(field: Field) -> bool:
    return field.name.endswith(("Country", "State"))


def _word(text: str) -> str:
    return " ".join(text.split()).casefold()
