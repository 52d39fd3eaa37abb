"""Reads every formula of a schema once: one outside the subset is refused before rows come."""

from __future__ import annotations

from collections.abc import Iterator

from orgsim.dml.formulas import compiled
from orgsim.formula import FormulaError
from orgsim.schema.model import Schema, SObject
from orgsim.schema.yaml_file import SchemaFileError


def check_formulas(schema: Schema) -> None:
    """Compiles rules, hooks, assignment rules and formula fields.

    Raises:
        SchemaFileError: one cannot be compiled; the message names its place.
    """
    for sobject in schema.sobjects.values():
        for place, text in _formulas(sobject):
            try:
                compiled(text, sobject, schema)
            except FormulaError as error:
                raise SchemaFileError(f"{sobject.name}, {place}: {error}") from error


def _formulas(sobject: SObject) -> Iterator[tuple[str, str]]:
    for name, rule in (sobject.rules.get("validation_rules") or {}).items():
        yield f"validation rule {name}", str(rule["formula"])
    for name, rule in (sobject.rules.get("assignment_rules") or {}).items():
        if rule.get("where"):
            yield f"assignment rule {name}", str(rule["where"])
    for number, hook in enumerate(sobject.rules.get("hooks") or (), 1):
        values = {**(hook.get("set") or {}), **((hook.get("create") or {}).get("fields") or {})}
        for name, text in values.items():
            yield f"hook {number}, {name}", str(text)
        if hook.get("when"):
            yield f"hook {number}, when", str(hook["when"])
    for field in sobject.fields.values():
        # A recorded describe may hold any formula; only what a schema file says is checked.
        if field.formula and "childRelationships" not in sobject.attributes:
            yield f"field {field.name}", field.formula
