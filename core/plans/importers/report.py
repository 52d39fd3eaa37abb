"""What an import could and could not carry over, a sentence per item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.domain.plan import Plan, plan_from_document
from core.errors import UserError


@dataclass(frozen=True, slots=True)
class Note:
    """Something of the file that the plan does not say, or says differently."""

    #: place in the file: ``objects[3].mockFields``, ``line 12``
    place: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Imported:
    """A plan made of another tool's file, and what was left behind."""

    plan: Plan
    #: ``SFDMU``, ``Data Loader``, ``CumulusCI``, ``Orgbridge``
    tool: str
    notes: tuple[Note, ...] = ()


@dataclass(slots=True)
class Report:
    """Collects notes while a file is read; the same sentence for one place comes once."""

    notes: list[Note] = field(default_factory=list)

    def add(self, place: str, sentence: str) -> None:
        """Write down one item."""
        note = Note(place, sentence)
        if note not in self.notes:
            self.notes.append(note)

    def unknown(self, place: str, keys: Any, known: frozenset[str]) -> None:
        """Write down every key that the importer has no use for."""
        for key in keys:
            if key not in known and not str(key).startswith(("$", "_")):
                self.add(f"{place}.{key}", f"'{key}' has no counterpart and was left out.")


def imported(document: dict[str, Any], report: Report, *, tool: str) -> Imported:
    """The plan of a document that an importer built.

    Raises:
        UserError: what the file says makes no plan; the message names the places in the plan.
    """
    try:
        plan = plan_from_document(document)
    except UserError as error:
        raise UserError(
            f"The {tool} file was read, but what it says makes no plan. {error.happened}",
            state="Nothing was saved.",
            next_step="Mend the file at these places, or write the plan by hand.",
            **error.facts,
        ) from error
    return Imported(plan, tool, tuple(report.notes))


def not_this(tool: str, what: str, next_step: str = "") -> UserError:
    """The error for a file that is not what the importer reads."""
    return UserError(
        f"This is no {tool} file: {what}.", state="Nothing was saved.", next_step=next_step
    )


def free_name(wanted: str, taken: set[str]) -> str:
    """A mapping name that is not taken yet, remembered as taken.

    >>> taken = {"account"}
    >>> free_name("account", taken), free_name("contact", taken)
    ('account_2', 'contact')
    """
    name, number = wanted, 1
    while name.lower() in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name.lower())
    return name
