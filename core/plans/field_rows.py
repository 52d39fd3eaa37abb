"""The editor's table: one row per target field that is filled, skipped or open, in fixed order.

    required and unmapped ─▶ mapped, in the describe's order ─▶ skipped ─▶ source fields nobody uses

Rows are derived from the document and two describes each time; nothing of them is stored. A field
that no write may carry (formula, auto-number, compound parent) is not a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.domain.describe import COMPOUND_TYPES, Field, SObject
from core.domain.plan import (
    ConstantRule,
    ConvertRule,
    CopyRule,
    ExpressionRule,
    IdsRule,
    MaskRule,
    ObjectMapping,
    ReviewState,
    RuleBase,
    ValueMapRule,
)

EXPRESSION_SHOWN_MAX = 40
_TYPE_WORDS = {
    "string": "Text",
    "textarea": "Text area",
    "reference": "Lookup",
    "double": "Number",
    "int": "Integer",
    "boolean": "Checkbox",
    "datetime": "Date and time",
    "multipicklist": "Multi-select picklist",
    "id": "Id",
    "url": "URL",
    "encryptedstring": "Encrypted text",
}


class FieldState(StrEnum):
    """What an analyst sees of a row."""

    REVIEWED = "Reviewed"  # a person approved or wrote the rule
    AUTO = "Auto"  # suggested, nobody looked yet
    QUESTION = "Question"  # applied, and somebody asked
    REJECTED = "Rejected"  # a suggestion that somebody refused
    UNMAPPED = "Unmapped"  # nothing fills it
    SKIPPED = "Skipped"  # left alone on purpose


_STATE_OF = {
    ReviewState.APPROVED: FieldState.REVIEWED,
    ReviewState.SUGGESTED: FieldState.AUTO,
    ReviewState.NEEDS_CLARIFICATION: FieldState.QUESTION,
    ReviewState.REJECTED: FieldState.REJECTED,
}


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One row of the editor's table."""

    #: stable id of the row: the target field, or ``source:NAME`` for a source field nobody uses
    key: str
    #: API name or path of the source field; None for constants, expressions and open target fields
    source: str | None
    source_label: str
    source_type: str
    target: str | None
    target_label: str
    target_type: str
    #: what fills it, in few words: Copy · Value map, 3 values · upper(Name)
    rule_words: str
    #: 0–1, None where no suggestion was made
    confidence: float | None
    reasons: tuple[str, ...]
    state: FieldState
    #: an insert without it is refused
    is_required: bool
    #: the worst that preflight says of it, or ''
    issue: str = ""

    @property
    def is_open(self) -> bool:
        """Somebody has to decide something here."""
        blocking = self.state in (FieldState.AUTO, FieldState.QUESTION)
        return blocking or (self.is_required and self.state is FieldState.UNMAPPED)


@dataclass(frozen=True, slots=True)
class MappingProgress:
    """How far one object mapping is."""

    mapped: int
    #: mapped, skipped and required-unmapped fields: what the share is of
    fields: int
    required_unmapped: int
    to_review: int
    with_issues: int

    @property
    def mapped_share(self) -> float:
        """0–1; an object without fields counts as done."""
        return self.mapped / self.fields if self.fields else 1.0


def field_rows(
    mapping: ObjectMapping,
    source: SObject,
    target: SObject,
    *,
    issues: Mapping[str, str] | None = None,
) -> tuple[FieldRow, ...]:
    """All rows of one object mapping, in a stable order.

    Args:
        issues: a sentence by lower-case target field.
    """
    build = _Rows(mapping, source=source, target=target, issues=issues or {})
    return (*build.required(), *build.mapped(), *build.skipped(), *build.unused_sources())


def progress(rows: Iterable[FieldRow]) -> MappingProgress:
    """Counts over the rows of one object mapping."""
    listed = [row for row in rows if row.target is not None]
    mapped = [row for row in listed if row.rule_words and row.state is not FieldState.REJECTED]
    open_required = [r for r in listed if r.is_required and r.state is FieldState.UNMAPPED]
    return MappingProgress(
        mapped=len(mapped),
        fields=len(mapped) + len(open_required),
        required_unmapped=len(open_required),
        to_review=sum(row.is_open for row in listed),
        with_issues=sum(bool(row.issue) for row in listed),
    )


def type_words(field: Field) -> str:
    """A field's type as Setup words it: Text(255), Lookup(Account), Currency(16, 2).

    >>> type_words(Field(name="Amount", type="currency", precision=18, scale=2))
    'Currency(16, 2)'
    """
    word = _TYPE_WORDS.get(field.type, field.type.capitalize())
    if field.is_reference:
        named = ", ".join(field.reference_to[:2]) + ("…" if len(field.reference_to) > 2 else "")
        return f"{word}({named})"
    if field.is_text and field.type not in ("picklist", "multipicklist"):
        return f"{word}({field.length})"
    if field.type in ("double", "currency", "percent"):
        return f"{word}({field.precision - field.scale}, {field.scale})"
    return word


def rule_words(rule: RuleBase) -> str:  # one sentence a kind of rule
    """A rule in few words for a table cell."""
    match rule:
        case ValueMapRule():
            return f"Value map · {len(rule.values)} values"
        case ConstantRule():
            return "Blank" if rule.constant is None else f"Constant · {rule.constant}"
        case MaskRule():
            return f"Mask · {rule.mask.value}"
        case ConvertRule():
            return f"Convert · {rule.convert.value.replace('_', ' ')}"
        case IdsRule():
            return "Rewrite ids"
        case ExpressionRule():
            text = " ".join(rule.expression.split())
            cut = text[: EXPRESSION_SHOWN_MAX - 1] + "…"
            return text if len(text) <= EXPRESSION_SHOWN_MAX else cut
        case _:
            return "Copy"


class _Rows:
    """Builds the groups of rows over one pair of describes."""

    def __init__(
        self,
        mapping: ObjectMapping,
        *,
        source: SObject,
        target: SObject,
        issues: Mapping[str, str],
    ) -> None:
        self._mapping = mapping
        self._source = source
        self._target = target
        self._issues = issues
        self._rules = {name.lower(): rule for name, rule in mapping.fields.items()}
        self._spelt = {name.lower(): name for name in mapping.fields}
        self._skipped = {name.lower() for name in mapping.skip}
        self._key = {name.lower() for name in mapping.key.target if mapping.key.value}

    def required(self) -> Iterator[FieldRow]:
        for field in self._target.required_fields:
            name = field.name.lower()
            if name not in self._rules and name not in self._skipped | self._key:
                yield self._row(field, None, FieldState.UNMAPPED)

    def mapped(self) -> Iterator[FieldRow]:
        known = {field.name.lower(): None for field in self._target.fields.values()}
        gone = [name for name in self._rules if name not in known]
        for name in (*known, *gone):
            if name in self._rules:
                rule = self._rules[name]
                field = self._target_field(name)
                yield self._row(field, rule, _STATE_OF[rule.review])

    def skipped(self) -> Iterator[FieldRow]:
        for name in self._mapping.skip:
            yield self._row(self._target_field(name), None, FieldState.SKIPPED)

    def unused_sources(self) -> Iterator[FieldRow]:
        used = {_source_of(rule).lower() for rule in self._mapping.fields.values()}
        used |= {path.lower() for path in self._mapping.key.source}
        for field in self._source.fields.values():
            if field.name.lower() in used or not _holds_data(field):
                continue
            yield FieldRow(
                key=f"source:{field.name}",
                source=field.name,
                source_label=field.label,
                source_type=type_words(field),
                target=None,
                target_label="",
                target_type="",
                rule_words="",
                confidence=None,
                reasons=(),
                state=FieldState.UNMAPPED,
                is_required=False,
            )

    def _row(self, field: Field, rule: RuleBase | None, state: FieldState) -> FieldRow:
        path = _source_of(rule) if rule else ""
        source = self._source.fields.get(path)
        return FieldRow(
            key=field.name,
            source=path or None,
            source_label=source.label if source else path,
            source_type=type_words(source) if source else "",
            target=field.name,
            target_label=field.label,
            target_type=type_words(field),
            rule_words=rule_words(rule) if rule else "",
            confidence=rule.confidence if rule else None,
            reasons=rule.reasons if rule else (),
            state=state,
            is_required=field.required_on_create,
            issue=self._issues.get(field.name.lower(), ""),
        )

    def _target_field(self, name: str) -> Field:
        """The described field, or its name alone when the target does not have it."""
        found = self._target.fields.get(name)
        if found is not None:
            return found
        return Field(name=self._spelt.get(name, name), type="missing", label="not in the target")


def _source_of(rule: RuleBase) -> str:
    match rule:
        case CopyRule() | ValueMapRule() | MaskRule() | ConvertRule() | IdsRule():
            return rule.source
        case _:
            return ""


def _holds_data(field: Field) -> bool:
    """A field whose values somebody may want to move."""
    return (
        field.type not in COMPOUND_TYPES
        and field.type not in ("id", "base64")
        and (field.is_writeable or field.calculated or field.auto_number)
        and not field.deprecated_and_hidden
    )
