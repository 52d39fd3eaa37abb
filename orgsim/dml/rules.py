"""Validation rules and duplicate rules.

validation_rules: {Name: {formula, message, field, active}}
duplicate_rules:  {Name: {match: [fields], action: block|alert, message, match_rule, active}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from orgsim.dml.formulas import truths
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.store.columns import quoted

_TEXTS = frozenset({"string", "email", "phone", "url", "picklist", "combobox"})


def check_validation(staged: Staged) -> None:
    """FIELD_CUSTOM_VALIDATION_EXCEPTION for rows for which a rule's formula is true."""
    rules: Mapping[str, Any] = staged.sobject.rules.get("validation_rules") or {}
    active = {name: one for name, one in rules.items() if one.get("active", True)}
    staged.drop_refused()
    for name, rows in truths(
        staged, {name: one["formula"] for name, one in active.items()}
    ).items():
        staged.refusals.all(rows, validation_refusal(active[name]))


def validation_refusal(rule: Mapping[str, Any]) -> Refusal:
    """The refusal a validation rule words."""
    fields = (str(rule["field"]),) if rule.get("field") else ()
    return Refusal("FIELD_CUSTOM_VALIDATION_EXCEPTION", str(rule["message"]), fields)


def check_duplicates(staged: Staged) -> None:
    """DUPLICATES_DETECTED for rows that equal a stored row in all fields of a duplicate rule."""
    rules: Mapping[str, Any] = staged.sobject.rules.get("duplicate_rules") or {}
    for name, rule in rules.items():
        alerts = rule.get("action", "alert") != "block"
        if not rule.get("active", True) or (alerts and staged.save.options.allow_duplicates):
            continue
        names = [one for one in rule["match"] if staged.sobject.field(one)]
        if staged.inserting or staged.given & set(names):
            staged.ensure(names)
            _refuse_matches(staged, name, rule, names)


def _refuse_matches(
    staged: Staged, rule_name: str, rule: Mapping[str, Any], names: list[str]
) -> None:
    own = pl.col("Id") if staged.has("Id") else pl.lit(None, dtype=pl.String)
    offered = staged.frame.select(ROW, own.alias("own"), *names).drop_nulls(names)
    joined = " AND ".join(_equal(staged, one) for one in names)
    sql = (
        f'SELECT c."@row", list(t.Id) FROM "@offered" c JOIN {quoted(staged.sobject.name)} t ON '
        f"{joined} WHERE NOT t.IsDeleted AND (c.own IS NULL OR c.own <> t.Id) GROUP BY 1"
    )
    with staged.transaction.lent(**{"@offered": offered}):
        found = staged.transaction.cursor.execute(sql).fetchall()
    for row, ids in found:
        staged.refusals.add(row, _detected(staged.sobject.name, rule_name, rule, ids))


def _equal(staged: Staged, name: str) -> str:
    left, right = f"t.{quoted(name)}", f"c.{quoted(name)}"
    if staged.sobject.fields[name].type in _TEXTS:
        return f"lower(trim({left})) = lower(trim({right}))"
    return f"{left} = {right}"


def _detected(sobject: str, name: str, rule: Mapping[str, Any], ids: list[str]) -> Refusal:
    message = str(rule.get("message") or "Use one of these records?")
    records = [
        {
            "additionalInformation": [],
            "fieldDiffs": [],
            "matchConfidence": 100.0,
            "record": {
                "attributes": {
                    "type": sobject,
                    "url": f"/services/data/v62.0/sobjects/{sobject}/{one}",
                },
                "Id": one,
            },
        }
        for one in sorted(ids)
    ]
    match = {
        "entityType": sobject, "errors": [], "matchEngine": "ExactMatchEngine",
        "matchRecords": records, "rule": str(rule.get("match_rule") or f"{name}_Match"),
        "size": len(records), "success": True,
    }  # fmt: skip
    result = {
        "allowSave": rule.get("action", "alert") != "block", "duplicateRule": name,
        "duplicateRuleEntityType": sobject, "errorMessage": message, "matchResults": [match],
    }  # fmt: skip
    return Refusal("DUPLICATES_DETECTED", message, (), {"duplicateResult": result})
