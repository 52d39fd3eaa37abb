"""What differs between two fields, property by property, and what it does to data moved across."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from core.domain.describe import Field


class Severity(IntEnum):
    """What a difference does to data moved from source to target; larger is worse."""

    NONE = 0
    NOTE = 1  # nothing to the data
    CHANGE = 2  # values arrive otherwise than they were
    REFUSAL = 3  # some rows would be refused
    LOSS = 4  # values have nowhere to go


class Verdict(StrEnum):
    """What deploying would take."""

    SAFE = "safe"  # add the field
    WIDEN = "widen"  # more length or digits
    ADD_VALUE = "add_value"  # picklist values are added
    RELAX = "relax"  # a rule of the target is loosened
    BY_HAND = "by_hand"  # a person has to decide
    LEAVE = "leave"  # nothing to do


@dataclass(frozen=True, slots=True)
class PropertyDifference:
    """One property of a field that differs, in words and with its effect."""

    name: str
    source: str
    target: str
    severity: Severity
    effect: str
    verdict: Verdict = Verdict.LEAVE


def compare_field(source: Field, target: Field) -> tuple[PropertyDifference, ...]:
    """What differs between two fields, in the order of the checks."""
    found: list[PropertyDifference] = []
    for check in _CHECKS:
        found.extend(check(source, target))
    return tuple(found)


def summary(field: Field) -> str:
    """A field in a few words: ``Text(80)``, ``Number(16,2)``, ``Picklist · 4 values``.

    >>> summary(Field(name="A__c", type="string", length=80, nillable=False))
    'Text(80) · required'
    """
    word = _WORDS.get(field.type, field.type.capitalize())
    if field.calculated:
        word = f"Formula ({word})"
    elif _is_choice(field):
        word += f" · {len(field.active_values)} values"
    elif field.is_number:
        whole = _whole_digits(field)
        word += f"({whole},{field.scale})" if field.scale else f"({whole})"
    elif field.is_reference:
        word += f"({', '.join(field.reference_to[:2])}{'…' if len(field.reference_to) > 2 else ''})"
    elif field.is_text and field.length:
        word += f"({field.length})"
    marks = {"required": field.required_on_create, "unique": field.unique}
    return " · ".join([word, *(name for name, held in marks.items() if held)])


_WORDS = {
    "string": "Text",
    "textarea": "Text area",
    "double": "Number",
    "int": "Number",
    "boolean": "Checkbox",
    "reference": "Lookup",
    "multipicklist": "Multi-select",
    "datetime": "Date/time",
    "id": "Id",
    "url": "URL",
}


def missing_values(mine: Field, theirs: Field) -> tuple[str, ...]:
    """Active picklist values of the source's field that the target's field has not, in order."""
    if not (_is_choice(mine) and _is_choice(theirs)):
        return ()
    known = theirs.active_values
    return tuple(value for value in _order(mine) if value not in known)


def _type(mine: Field, theirs: Field) -> Iterable[PropertyDifference]:
    if mine.type == theirs.type:
        return
    fits = theirs.type in _FITS.get(mine.type, frozenset())
    yield PropertyDifference(
        "type",
        mine.type,
        theirs.type,
        Severity.NOTE if fits else Severity.REFUSAL,
        "Values fit as they are." if fits else "Values of one type may not be values of the other.",
        Verdict.LEAVE if fits else Verdict.BY_HAND,
    )


def _length(mine: Field, theirs: Field) -> Iterable[PropertyDifference]:
    if not (mine.is_text and theirs.is_text) or mine.length == theirs.length or not theirs.length:
        return
    shorter = theirs.length < mine.length
    yield PropertyDifference(
        "length",
        str(mine.length),
        str(theirs.length),
        Severity.REFUSAL if shorter and not _is_choice(mine) else Severity.NOTE,
        f"Texts longer than {theirs.length} characters are refused." if shorter else "More room.",
        Verdict.WIDEN if shorter and theirs.custom else Verdict.LEAVE,
    )


def _digits(mine: Field, theirs: Field) -> Iterable[PropertyDifference]:
    if not (mine.is_number and theirs.is_number):
        return
    if theirs.scale != mine.scale:
        fewer = theirs.scale < mine.scale
        yield PropertyDifference(
            "scale",
            str(mine.scale),
            str(theirs.scale),
            Severity.CHANGE if fewer else Severity.NOTE,
            "Decimals are rounded." if fewer else "More decimals.",
            Verdict.WIDEN if fewer and theirs.custom else Verdict.LEAVE,
        )
    whole, room = _whole_digits(mine), _whole_digits(theirs)
    if whole != room:
        yield PropertyDifference(
            "digits before the point",
            str(whole),
            str(room),
            Severity.REFUSAL if room < whole else Severity.NOTE,
            "Larger numbers are refused." if room < whole else "More room.",
            Verdict.WIDEN if room < whole and theirs.custom else Verdict.LEAVE,
        )


def _rules(mine: Field, theirs: Field) -> Iterable[PropertyDifference]:
    if mine.required_on_create != theirs.required_on_create:
        needs = theirs.required_on_create
        yield PropertyDifference(
            "required",
            _yes(mine.required_on_create),
            _yes(theirs.required_on_create),
            Severity.REFUSAL if needs else Severity.NOTE,
            "Rows without a value are refused." if needs else "Blank is allowed.",
            Verdict.RELAX if needs and theirs.custom else Verdict.LEAVE,
        )
    if mine.unique != theirs.unique:
        yield PropertyDifference(
            "unique",
            _yes(mine.unique),
            _yes(theirs.unique),
            Severity.REFUSAL if theirs.unique else Severity.NOTE,
            "Repeated values are refused." if theirs.unique else "Repeated values are accepted.",
            Verdict.RELAX if theirs.unique and theirs.custom else Verdict.LEAVE,
        )
    if mine.external_id != theirs.external_id:
        yield _note("external id", (_yes(mine.external_id), _yes(theirs.external_id)), "Keys only.")
    if mine.is_writeable and not theirs.is_writeable:
        yield PropertyDifference(
            "writeable",
            "yes",
            "no",
            Severity.LOSS,
            "Nothing can be written: it is derived there, or hidden by permission.",
            Verdict.BY_HAND,
        )


def _picklist(mine: Field, theirs: Field) -> Iterable[PropertyDifference]:
    if not (_is_choice(mine) and _is_choice(theirs)):
        return
    missing = missing_values(mine, theirs)
    if missing:
        restricted = theirs.restricted_picklist
        yield PropertyDifference(
            "picklist values",
            f"{len(mine.active_values)} values",
            f"lacks {listed(missing)}",
            Severity.REFUSAL if restricted else Severity.CHANGE,
            "Rows that hold them are refused."
            if restricted
            else "Rows that hold them are accepted with a value that nobody can choose.",
            Verdict.ADD_VALUE,
        )
    elif theirs.active_values - mine.active_values:
        more = sorted(theirs.active_values - mine.active_values)
        yield _note("picklist values", ("", f"has also {listed(more)}"), "More to choose from.")
    elif _order(mine) != _order(theirs):
        yield _note("picklist order", (listed(_order(mine)), listed(_order(theirs))), "Looks only.")
    if mine.restricted_picklist != theirs.restricted_picklist:
        both = _yes(mine.restricted_picklist), _yes(theirs.restricted_picklist)
        yield _note("restricted", both, "Which values are accepted.")


def _lookups(mine: Field, theirs: Field) -> Iterable[PropertyDifference]:
    if not (mine.is_reference and theirs.is_reference):
        return
    lost = [name for name in mine.reference_to if name not in theirs.reference_to]
    if lost or set(mine.reference_to) != set(theirs.reference_to):
        yield PropertyDifference(
            "looks up",
            ", ".join(mine.reference_to),
            ", ".join(theirs.reference_to),
            Severity.REFUSAL if lost else Severity.NOTE,
            f"References to {listed(lost)} are refused." if lost else "More objects allowed.",
            Verdict.BY_HAND if lost else Verdict.LEAVE,
        )
    if mine.is_master_detail != theirs.is_master_detail:
        yield PropertyDifference(
            "master-detail",
            _yes(mine.is_master_detail),
            _yes(theirs.is_master_detail),
            Severity.CHANGE,
            "Deleting a parent takes its children on one side only.",
            Verdict.BY_HAND,
        )


def _texts(mine: Field, theirs: Field) -> Iterable[PropertyDifference]:
    for name, left, right, effect in (
        ("formula", mine.calculated_formula, theirs.calculated_formula, "Derived otherwise."),
        ("default", mine.default_value, theirs.default_value, "Blank rows are filled otherwise."),
        ("help text", mine.inline_help_text, theirs.inline_help_text, "Words only."),
        ("label", mine.label, theirs.label, "Words only."),
    ):
        if (left or "") != (right or ""):
            yield _note(name, (str(left or ""), str(right or "")), effect)


_CHECKS = (_type, _length, _digits, _rules, _picklist, _lookups, _texts)
REQUIRED_ONLY_THERE = PropertyDifference(
    "required",
    "",
    "yes",
    Severity.REFUSAL,
    "Every new row needs a value that the source does not have: map a constant.",
    Verdict.BY_HAND,
)
_TEXTS = frozenset({"string", "textarea", "phone", "email", "url", "picklist", "combobox"})
#: what a value of the first type is accepted as without change
_FITS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"textarea"}),
    "picklist": frozenset({"string", "textarea", "combobox", "multipicklist"}),
    "combobox": frozenset({"string", "textarea"}),
    "multipicklist": frozenset({"textarea"}),
    "phone": frozenset({"string", "textarea"}),
    "email": frozenset({"string", "textarea"}),
    "url": frozenset({"string", "textarea"}),
    "int": frozenset({"double", "currency", "long", "percent", "string", "textarea"}),
    "double": frozenset({"currency", "percent", "string", "textarea"}),
    "currency": frozenset({"double", "string", "textarea"}),
    "percent": frozenset({"double", "string", "textarea"}),
    "date": frozenset({"string", "textarea"}),
    "datetime": frozenset({"string", "textarea"}),
    "boolean": frozenset({"string"}),
}


def _order(field: Field) -> list[str]:
    return [entry.value for entry in field.picklist_values if entry.active]


def _is_choice(field: Field) -> bool:
    return field.type in {"picklist", "multipicklist"}


def _whole_digits(field: Field) -> int:
    return field.digits if field.type in {"int", "long"} else field.precision - field.scale


def listed(values: Sequence[str], most: int = 5) -> str:
    """The first few values in words."""
    shown = ", ".join(values[:most])
    return f"{shown} and {len(values) - most} more" if len(values) > most else shown


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _note(name: str, sides: tuple[str, str], effect: str) -> PropertyDifference:
    return PropertyDifference(name, *sides, Severity.NOTE, effect)
