"""One schema against the other: what the describes alone say of the rules as they will be applied.

No org is asked. Every finding names the mapping and the target field; what the real data makes of
it is counted by the other checks.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.domain.describe import Field
from core.domain.findings import Finding, Fix, Severity
from core.domain.plan import Api, CopyRule, Operation, RuleBase, ValueMapRule
from core.migration.preflight.inputs import PreflightInput
from core.migration.resolve import Resolved
from core.migration.spec import Step

#: operations that may insert
_INSERTS = (Operation.INSERT, Operation.UPSERT)
_UPDATES = (Operation.UPDATE, Operation.UPSERT)


def schema_findings(given: PreflightInput, resolved: Resolved) -> Iterator[Finding]:
    """All checks of this module over all mappings."""
    for mapping, field, sentence in resolved.order.wrong_defers:
        yield Finding(
            Severity.BLOCKER,
            "wrong_defer",
            f"{sentence}.",
            mapping=mapping,
            field=field,
            fix=Fix.LOOKUP,
        )
    for step in resolved.steps:
        if step.operation.is_delete or step.operation is Operation.PRESERVE:
            continue
        yield from _required(step)
        yield from _writeable(step)
        for name, rule in step.rules.items():
            if isinstance(rule, CopyRule | ValueMapRule):
                yield from _value_fits(step, step.target.fields[name], rule)
        yield from _record_types(step)
        yield from _keyless(step)
        yield from _review(step)


def _required(step: Step) -> Iterator[Finding]:
    if step.operation not in _INSERTS:
        return
    written = {name.lower() for name in step.columns}
    for field in step.target.required_fields:
        if field.name.lower() not in written:
            yield _finding(
                step,
                field,
                "required_unmapped",
                weight=Severity.BLOCKER,
                sentence=f"{step.target.name}.{field.name} is required and nothing fills it: "
                "every insert would be refused.",
            )


def _writeable(step: Step) -> Iterator[Finding]:
    for name in step.columns:
        field = step.target.fields[name]
        if field.calculated or field.auto_number or not field.is_writeable:
            what = "is calculated" if field.calculated else "cannot be written by the user"
            yield _finding(
                step,
                field,
                "not_writeable",
                weight=Severity.BLOCKER,
                sentence=f"{step.target.name}.{name} {what}; skip it or map another field.",
            )
        elif not field.updateable and step.operation in _UPDATES:
            yield _finding(
                step,
                field,
                "create_only",
                weight=Severity.NOTE,
                sentence=f"{step.target.name}.{name} can be set on insert only: rows that exist "
                "keep theirs.",
            )
        elif not field.createable and step.operation in _INSERTS:
            yield _finding(
                step,
                field,
                "update_only",
                weight=Severity.NOTE,
                sentence=f"{step.target.name}.{name} can be set on update only: it is filled "
                "after the insert.",
            )


def _value_fits(step: Step, target: Field, rule: RuleBase) -> Iterator[Finding]:
    path = getattr(rule, "source", "")
    if path not in step.source.fields:
        if "." not in path:
            yield _finding(
                step,
                target,
                "source_missing",
                weight=Severity.BLOCKER,
                sentence=f"{step.source.name} has no field {path}, or the connected user may "
                "not see it.",
            )
        return
    source = step.source.fields[path]
    yield from _types(step, source, target)
    if source.is_text and target.is_text and source.length > target.length > 0:
        yield _finding(
            step,
            target,
            "shorter",
            weight=Severity.WARNING,
            sentence=f"{target.name} holds {target.length} characters, {source.name} up to "
            f"{source.length}: longer values are refused.",
        )
    if source.is_number and target.is_number and _whole_digits(source) > _whole_digits(target):
        yield _finding(
            step,
            target,
            "fewer_digits",
            weight=Severity.WARNING,
            sentence=f"{target.name} holds {_whole_digits(target)} digits before the point, "
            f"{source.name} {_whole_digits(source)}: larger values are refused.",
        )
    if source.is_number and target.is_number and source.scale > target.scale:
        yield _finding(
            step,
            target,
            "scale",
            weight=Severity.WARNING,
            sentence=f"{target.name} keeps {target.scale} decimals, {source.name} {source.scale}: "
            "the org rounds.",
        )


def _types(step: Step, source: Field, target: Field) -> Iterator[Finding]:
    if source.type == target.type or target.is_text:
        return
    if source.is_number and target.is_number:
        return
    if {source.type, target.type} == {"date", "datetime"}:
        yield _finding(
            step,
            target,
            "date_and_time",
            weight=Severity.WARNING,
            sentence=f"{source.name} is a {source.type}, {target.name} a {target.type}: choose a "
            "rule that says in which time zone.",
        )
        return
    if source.is_text:
        yield _finding(
            step,
            target,
            "text_into_type",
            weight=Severity.WARNING,
            sentence=f"{source.name} is text, {target.name} a {target.type}: values that are none "
            "fail their row.",
        )
        return
    yield _finding(
        step,
        target,
        "type_mismatch",
        weight=Severity.BLOCKER,
        sentence=f"{source.name} ({source.type}) cannot be copied into {target.name} "
        f"({target.type}).",
    )


def _whole_digits(field: Field) -> int:
    """Digits before the point that the field holds."""
    return field.digits if field.type == "int" else field.precision - field.scale


def _record_types(step: Step) -> Iterator[Finding]:
    types = [entry for entry in step.target.record_types if not entry.master and entry.active]
    if not types or "RecordTypeId" not in step.target.fields:
        return
    if any(lookup.is_record_type for lookup in step.lookups):
        return
    default = next((entry.name for entry in step.target.record_types if entry.default), "its own")
    yield Finding(
        Severity.WARNING,
        "record_type_unmapped",
        f"{step.target.name} has {len(types)} record types in the target and RecordTypeId is not "
        f"mapped: every new row gets the connected user's default ({default}).",
        mapping=step.name,
        field="RecordTypeId",
        fix=Fix.LOOKUP,
    )


def _keyless(step: Step) -> Iterator[Finding]:
    """Rule 2.5: rows without a key go by Bulk only, unless somebody accepted it in writing."""
    load = step.mapping.load
    if step.operation not in _INSERTS or step.stamped_key is not None or load.accept_keyless:
        return
    asked = []
    if load.api in (Api.COLLECTIONS, Api.GRAPH):
        asked.append(f"api: {load.api.value}")
    if load.all_or_none:
        asked.append("all_or_none")
    if load.duplicate_rules == "allow":
        asked.append("duplicate_rules: allow")
    if asked:
        yield Finding(
            Severity.BLOCKER,
            "keyless_by_call",
            f"{step.target.name} has no key to recognise its new rows by, and {', '.join(asked)} "
            "sends them where a lost answer cannot be settled. Add the migration key, or accept "
            "it in writing (load.accept_keyless).",
            mapping=step.name,
            fix=Fix.KEY,
        )


def _review(step: Step) -> Iterator[Finding]:
    open_rules = [name for name, rule in step.rules.items() if rule.review == "suggested"]
    questions = [name for name, rule in step.rules.items() if rule.review == "needs_clarification"]
    more = f" and {len(open_rules) - 4} more" if len(open_rules) > 4 else ""
    if open_rules:
        fields = "field of" if len(open_rules) == 1 else "fields of"
        were = "was" if len(open_rules) == 1 else "were"
        yield Finding(
            Severity.WARNING,
            "unreviewed",
            f"{len(open_rules)} suggested {fields} {step.target.name} {were} not reviewed: "
            f"{', '.join(open_rules[:4])}{more}.",
            mapping=step.name,
            field=open_rules[0],
            fix=Fix.FIELD,
        )
    for name in questions:
        yield _finding(
            step,
            step.target.fields[name],
            "question_open",
            weight=Severity.WARNING,
            sentence=f"Somebody asked a question about {step.target.name}.{name}: it is open.",
        )


def _finding(step: Step, field: Field, code: str, *, weight: Severity, sentence: str) -> Finding:
    return Finding(weight, code, sentence, mapping=step.name, field=field.name, fix=Fix.FIELD)
