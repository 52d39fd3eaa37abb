"""Validation of a plan in its editor: findings in a drawer, and at the fields they are about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.domain.findings import Finding, Severity
from core.domain.plan import ObjectMapping
from core.errors import OrgbridgeError
from core.services import editor, preflight
from core.services.previews import Preview
from pages.parts import boxes, figures, launch_checks, state, words

#: weights that are shown at a field
_SHOWN = (Severity.BLOCKER, Severity.WARNING)
#: about the object as a whole, although a field is named to open the editor at
_OF_OBJECT = frozenset({"unreviewed"})


def validate(view: editor.EditorView) -> None:
    """Ask the orgs, keep what was said of fields for the table, and show everything."""
    try:
        with boxes.asking(f"Checking the plan against {words.named_orgs(view.row)}…", height=60):
            found, ran_at = launch_checks.report(view.row)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    _keep(view, found)
    drawer(view, found, ran_at=ran_at)


@st.dialog("Validation", position="right", width=620, icon=":material/fact_check:")
def drawer(view: editor.EditorView, found: preflight.Report, *, ran_at: dt.datetime) -> None:
    """The findings, blockers first, each with the way to its mend; test rows are among them."""
    heavy = [each for each in found.findings if each.severity not in launch_checks.LIGHT]
    told = f":gray[ran {figures.ago(ran_at)}]"
    st.markdown(" ".join([*launch_checks.counts(found.findings), told]))
    if not heavy:
        boxes.empty("Nothing speaks against it", "All checks passed.", icon=":material/task_alt:")
    for number, finding in enumerate(heavy):
        launch_checks.line(view.row, finding, key=f"plan.fix.{number}")
    launch_checks.light(view.row, found.findings, key="plan")


def issues(view: editor.EditorView, mapping: str) -> dict[str, str]:
    """What the last validation and the preview said of fields whose rule is still the same.

    Keys are target fields in small letters; of both, the validation saw more rows.
    """
    return _held(view, mapping, state.SEEN) | _held(view, mapping, state.ISSUES)


def keep_seen(view: editor.EditorView, mapping: str, found: Preview) -> bool:
    """Keep what the preview saw in real rows; whether the table shows something else by now."""
    entry = view.plan.mapping(mapping)
    by = {
        field.lower(): [
            f"{told}: {rows:,} of {found.looked_at:,} rows looked at",
            _rule(entry, field.lower()),
        ]
        for field, (told, rows) in found.issues.items()
    }
    shown = issues(view, mapping)
    st.session_state[state.SEEN] = {"plan": str(view.row.id), "by": {mapping: by}}
    return issues(view, mapping) != shown


def _held(view: editor.EditorView, mapping: str, key: str) -> dict[str, str]:
    held = st.session_state.get(key)
    if held is None or held["plan"] != str(view.row.id):
        return {}
    entry = view.plan.mapping(mapping)
    said: Mapping[str, list[str]] = held["by"].get(mapping, {})
    return {field: told for field, (told, rule) in said.items() if _rule(entry, field) == rule}


def _keep(view: editor.EditorView, found: preflight.Report) -> None:
    by: dict[str, dict[str, list[str]]] = {}
    for finding in found.findings:
        if finding.severity not in _SHOWN or finding.code in _OF_OBJECT:
            continue
        if finding.mapping and finding.field:
            entry = view.plan.mapping(finding.mapping)
            field = finding.field.lower()
            told = [_short(finding), _rule(entry, field)]
            by.setdefault(finding.mapping, {}).setdefault(field, told)
    kept: dict[str, Any] = {"plan": str(view.row.id), "by": by}
    st.session_state[state.ISSUES] = kept


def _short(finding: Finding) -> str:
    """The sentence without what the row of the table says already."""
    rows = "" if finding.rows is None else f" ({finding.rows:,} rows)"
    return finding.sentence.rstrip(".") + ("" if rows in finding.sentence else rows)


def _rule(entry: ObjectMapping, field: str) -> str:
    """A field's rule and policy as text, to see whether it was changed since."""
    rule = next((rule for name, rule in entry.fields.items() if name.lower() == field), None)
    said = "" if rule is None else rule.model_dump_json(exclude={"review"})
    return f"{said}{entry.lookup(field).model_dump_json()}{field in map(str.lower, entry.skip)}"
