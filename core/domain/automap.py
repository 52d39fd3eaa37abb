"""Which source field fills which target field: exact matches for runs, ranked guesses for people.

    completed()   the mapping with fields of the same API name, else the same label: what a run uses
    candidates()  per source field the likeliest target fields, with confidence and reasons
    suggest()     one target field each, the surest first: what the editor proposes

In the order of their weight: API name, label, name without namespace and signs, words, description,
type, picklist and sample values. Never onto a field that nobody may write, nor onto an
incompatible one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.domain.describe import COMPOUND_TYPES, NUMBER_TYPES, TEXT_TYPES, Field, SObject
from core.domain.field_names import (
    Words,
    bare_name,
    context_words,
    is_same_label,
    name_words,
    names_field,
    similarity,
    weighed,
)
from core.domain.object_book import object_book
from core.domain.plan import CopyRule, ObjectMapping, ReviewState
from core.domain.rules import USER_OBJECTS
from core.domain.samples import share_fitting

SUGGEST_MIN = 0.6
CANDIDATE_MIN = 0.3
CANDIDATES_MAX = 5
#: of text into a date, a number or a flag
TEXT_FIT = 0.5

#: set by the org; written only where the plan names them (rule 3.9)
AUDIT_FIELDS = frozenset(
    "createddate createdbyid lastmodifieddate lastmodifiedbyid systemmodstamp isdeleted "
    "lastactivitydate lastvieweddate lastreferenceddate masterrecordid id".split()
)
_NEVER_TYPES = COMPOUND_TYPES | {"id", "base64", "anytype", "complexvalue"}
_DATES = frozenset({"date", "datetime"})
_CHOICES = frozenset({"picklist", "multipicklist", "combobox"})


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A source field for a target field."""

    source: str
    target: str
    #: 0–1
    confidence: float
    #: why, for people: ``same API name``, ``words 0.91``
    reasons: tuple[str, ...]

    @property
    def rule(self) -> CopyRule:
        """As a rule of the plan, to be reviewed."""
        return CopyRule(
            source=self.source,
            review=ReviewState.SUGGESTED,
            confidence=self.confidence,
            reasons=self.reasons,
        )


def completed(
    mapping: ObjectMapping,
    source: SObject,
    target: SObject,
    *,
    in_plan: Collection[str] | None = None,
    users: bool = True,
) -> ObjectMapping:
    """The mapping with a copy for every target field that has its equal in the source.

    Equal is the API name, else the label where it is the only one. Given rules, skipped fields,
    rejected suggestions, audit fields and fields that the object book warns of stay as they are;
    so do fields whose values would have to be turned into something else (text into a number).

    Args:
        in_plan: target objects of the plan; lookups that lead to none of them, nor to users and
            record types, are left out unless they have a policy. None: all lookups are taken.
        users: whether the plan says how users are found; without, lookups to them are left out.
    """
    if not mapping.auto_map or mapping.operation.is_delete:
        return mapping
    known = {name.lower() for name in (*mapping.fields, *mapping.skip)}
    policies = {name.lower() for name in mapping.lookups}
    labels = _single_labels(source)
    added: dict[str, CopyRule] = {}
    known_objects = None if in_plan is None else _known(in_plan, source, target, users=users)
    for field in target.fields.values():
        lowered = field.name.lower()
        if lowered in known or not is_offered(field, target.name):
            continue
        if lowered not in policies and not _leads_somewhere(field, known_objects):
            continue
        found = source.fields.get(field.name) or labels.get(field.label.strip().lower())
        if found is not None and _fits(found, field):
            added[field.name] = CopyRule(source=found.name)
    return mapping.model_copy(update={"fields": {**added, **mapping.fields}})


def suggest(
    source: SObject,
    target: SObject,
    *,
    samples: Mapping[str, Sequence[str]] | None = None,
    remembered: Mapping[str, str] | None = None,
    taken: Collection[str] = (),
) -> tuple[Suggestion, ...]:
    """At most one source field per target field, and one target field per source field.

    Args:
        samples: some values of source fields, by API name.
        remembered: target → source field of matches that people approved for this org before.
        taken: target fields that already have a rule.
    Returns:
        The surest first.
    """
    barred = {name.lower() for name in taken}
    ranked = [
        _remembered(suggestion, remembered or {})
        for found in candidates(source, target, samples=samples).values()
        for suggestion in found
        if suggestion.target.lower() not in barred
    ]
    chosen: dict[str, Suggestion] = {}
    used: set[str] = set()
    for suggestion in sorted(ranked, key=_by_weight):
        is_free = suggestion.target not in chosen and suggestion.source not in used
        if is_free and suggestion.confidence >= SUGGEST_MIN:
            chosen[suggestion.target] = suggestion
            used.add(suggestion.source)
    return tuple(sorted(chosen.values(), key=_by_weight))


def candidates(
    source: SObject,
    target: SObject,
    *,
    samples: Mapping[str, Sequence[str]] | None = None,
    only: Collection[str] | None = None,
) -> dict[str, tuple[Suggestion, ...]]:
    """Per source field the likeliest target fields, best first; empty where none is likely."""
    offered = [field for field in target.fields.values() if is_offered(field, target.name)]
    context = context_words(source.fields.values(), target.name)
    own = frozenset(name_words(target.name))
    words = {f.name: weighed(f, own, object_name=target.name) for f in offered}
    scorer = _Scorer(target, context, words, samples or {})
    wanted = [f for f in source.fields.values() if only is None or f.name in only]
    return {field.name: scorer.ranked(field, offered) for field in wanted}


def is_offered(field: Field, sobject: str) -> bool:
    """Whether auto-map may put something into the field."""
    return (
        field.is_writeable
        and not field.calculated
        and not field.auto_number
        and not field.deprecated_and_hidden
        and field.type not in _NEVER_TYPES
        and field.name.lower() not in AUDIT_FIELDS
        and field.name not in object_book().entry(sobject).never_send
        and not object_book().entry(sobject).is_derived(field.name)
    )


def compatibility(source: Field, target: Field) -> float:
    """0–1: how well values of one type go into the other; 0 means never."""
    one, other = source.type, target.type
    if target.is_reference or source.is_reference:
        return _reference_compatibility(source, target)
    if one == other:
        return 1.0
    if one in COMPOUND_TYPES or other in _NEVER_TYPES:
        return 0.0
    if one == "id":
        return 0.7 if other in ("string", "textarea") else 0.0
    for family in (NUMBER_TYPES, _DATES, _CHOICES):
        if one in family and other in family:
            return 0.9
    if other in TEXT_TYPES:
        is_free_text = other in ("string", "textarea", "combobox", "encryptedstring")
        if one in TEXT_TYPES:
            return 0.95 if is_free_text or one == "string" or one in _CHOICES else 0.6
        return 0.7 if is_free_text else 0.0
    # text that may hold numbers, dates or flags: only what its values say decides
    return TEXT_FIT if one in ("string", "textarea", "picklist", "combobox") else 0.0


def _reference_compatibility(source: Field, target: Field) -> float:
    if source.is_reference and target.is_reference:
        one = {name.lower() for name in source.reference_to}
        other = {name.lower() for name in target.reference_to}
        return 1.0 if one & other else 0.3
    if target.is_reference:
        names_record_type = "recordtype" in {name.lower() for name in target.reference_to}
        is_name = source.type in ("string", "picklist")
        return (0.8 if names_record_type else 0.4) if is_name else 0.0
    return 0.5 if target.type in ("string", "textarea") else 0.0


@dataclass(frozen=True, slots=True)
class _Scorer:
    """Scores source fields against the offered fields of one target."""

    target: SObject
    context: frozenset[str]
    words: Mapping[str, Words]
    samples: Mapping[str, Sequence[str]]

    def ranked(self, source: Field, offered: Iterable[Field]) -> tuple[Suggestion, ...]:
        found = (self._scored(source, field) for field in offered)
        likely = [s for s in found if s is not None and s.confidence >= CANDIDATE_MIN]
        return tuple(sorted(likely, key=_by_weight)[:CANDIDATES_MAX])

    def _scored(self, source: Field, target: Field) -> Suggestion | None:
        fit = compatibility(source, target)
        if fit == 0:
            return None
        exact = _exact(source, target)
        if exact is not None:
            score, reason = exact
            sure = score * (0.9 + 0.1 * fit)
            if fit == TEXT_FIT and not target.is_text:
                # the names agree, but only values can show that text is a date or a number
                doubts = list(self._by_values(source, target))
                sure += sum(min(points, 0.0) for points, _ in doubts)
                return self._suggestion(
                    source, target, score=sure, reasons=(reason, *(why for _, why in doubts))
                )
            return self._suggestion(source, target, score=sure, reasons=(reason,))
        if names_field(source.inline_help_text, self.target, target):
            reasons_named = ("named in its description",)
            return self._suggestion(source, target, score=0.9 + 0.05 * fit, reasons=reasons_named)
        likeness = similarity(weighed(source, self.context), self.words[target.name])
        reasons = [f"words {likeness:.2f}"]
        score = 0.9 * likeness * (0.6 + 0.4 * fit)
        for points, reason in (*self._by_kind(source, target), *self._by_values(source, target)):
            score += points
            reasons.append(reason)
        return self._suggestion(source, target, score=min(score, 0.92), reasons=tuple(reasons))

    def _by_kind(self, source: Field, target: Field) -> Iterable[tuple[float, str]]:
        if source.is_reference and target.is_reference:
            shared = set(source.reference_to) & set(target.reference_to) - {"User", "Group"}
            if len(shared) == 1 and not target.polymorphic:
                yield 0.15, f"both refer to {next(iter(shared))}"
        elif source.type == target.type and source.type not in ("string", "textarea"):
            yield 0.04, f"both {source.type}"
        if target.required_on_create:
            yield 0.03, "required"

    def _by_values(self, source: Field, target: Field) -> Iterable[tuple[float, str]]:
        ours, theirs = source.active_values, target.active_values
        if ours and theirs:
            share = len(ours & theirs) / len(ours)
            if share >= 0.5:
                # two values alike may be chance (Yes, No), three hardly
                yield (
                    (0.5 if len(ours & theirs) > 2 else 0.1) * share,
                    f"picklist values {share:.0%} alike",
                )
            elif target.restricted_picklist:
                yield -0.1, "its picklist has other values"
        values = self.samples.get(source.name, ())
        if values and not source.is_reference:
            share = share_fitting(values, target)
            points = 0.1 * share if share >= 0.8 else -0.4 * (1 - share)
            yield points, f"sample values {share:.0%} fit"
        elif compatibility(source, target) == TEXT_FIT and not target.is_text:
            yield -0.35, "nothing shows that its text fits"

    def _suggestion(
        self, source: Field, target: Field, *, score: float, reasons: tuple[str, ...]
    ) -> Suggestion:
        return Suggestion(source.name, target.name, round(max(0.0, min(1.0, score)), 3), reasons)


def _exact(source: Field, target: Field) -> tuple[float, str] | None:
    if source.name.lower() == target.name.lower():
        return 1.0, "same API name"
    if bare_name(source.name) == bare_name(target.name):
        return 0.97, "same name without namespace and signs"
    if is_same_label(source, target):
        return 0.95, "same label"
    return None


def _remembered(suggestion: Suggestion, remembered: Mapping[str, str]) -> Suggestion:
    if remembered.get(suggestion.target) != suggestion.source:
        return suggestion
    reasons = ("approved before", *suggestion.reasons)
    return Suggestion(suggestion.source, suggestion.target, 0.99, reasons)


def _by_weight(suggestion: Suggestion) -> tuple[float, str, str]:
    return (-suggestion.confidence, suggestion.target, suggestion.source)


def _single_labels(source: SObject) -> dict[str, Field]:
    """Source fields by label, where only one has it."""
    found: dict[str, Field | None] = {}
    for field in source.fields.values():
        label = field.label.strip().lower()
        found[label] = None if label in found else field
    return {label: field for label, field in found.items() if field is not None}


def _fits(source: Field, target: Field) -> bool:
    """Values go over as they are; whether a lookup leads somewhere is another question."""
    if source.is_reference or target.is_reference:
        return source.is_reference and target.is_reference
    if {source.type, target.type} == _DATES:
        return False  # which day a time falls on depends on a time zone that nobody named
    return compatibility(source, target) > TEXT_FIT


def _known(
    in_plan: Collection[str], source: SObject, target: SObject, *, users: bool
) -> frozenset[str]:
    """Objects, in small letters, that lookups may lead to."""
    known = {name.lower() for name in in_plan} | (USER_OBJECTS if users else frozenset())
    if all(any(not kind.master for kind in side.record_types) for side in (source, target)):
        known |= {"recordtype"}
    return frozenset(known)


def _leads_somewhere(field: Field, known: frozenset[str] | None) -> bool:
    if known is None or not field.is_reference:
        return True
    return bool({name.lower() for name in field.reference_to} & known)
