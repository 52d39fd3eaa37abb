"""What speaks against a launch, heaviest first, each with the way to its mend."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import streamlit as st

from core.domain.findings import Finding, Fix, Severity
from core.services import orgs, plans, preflight
from pages import registry
from pages.parts import boxes, export, figures, state, visit, words
from pages.parts.boxes import escaped

FIX_WORDS = {
    Fix.FIELD: "Map it",
    Fix.LOOKUP: "Set policy",
    Fix.KEY: "Choose key",
    Fix.FILTER: "Change filter",
    Fix.LOAD: "Load options",
    Fix.OBJECTS: "Objects",
    Fix.ORG: "Open org",
    Fix.DATA: "Show rows",
    Fix.RUN: "Show runs",
}
IN_PLAN = frozenset({Fix.FIELD, Fix.LOOKUP, Fix.KEY, Fix.FILTER, Fix.LOAD, Fix.OBJECTS, Fix.DATA})
#: weights whose words take an s
MANY = frozenset({Severity.BLOCKER, Severity.WARNING, Severity.NOTE})
#: weights that are folded away
LIGHT = frozenset({Severity.NOTE, Severity.PASSED})
#: finding of a test row that does not come out as written: both the row and the rule may be wrong
ROW_TEST = "row_test"
#: dialogs of the editor by what is mended in them
DIALOGS = {
    Fix.KEY: "key",
    Fix.FILTER: "settings",
    Fix.LOAD: "settings",
    Fix.OBJECTS: "objects",
}


@st.cache_data(ttl="5m", max_entries=64, show_spinner=False)
def _cached(asked: tuple[Any, ...], plan_id: str) -> tuple[preflight.Report, dt.datetime]:
    """One check per revision of the plan and state of its orgs, and when it ran; ``asked`` is part
    of the key."""
    return preflight.check(visit.bridge(), visit.actor(), UUID(plan_id)), visit.now()


def report(row: plans.PlanRow) -> tuple[preflight.Report, dt.datetime]:
    """The check's result and its time; asked of the orgs again when the plan or what is registered
    of its orgs changed, or the person says so."""
    turn = st.session_state.get(state.CHECK_TURN, 0)
    return _cached((str(visit.actor().workspace_id), row.revision, turn, _orgs(row)), str(row.id))


def _orgs(row: plans.PlanRow) -> tuple[tuple[Any, ...], ...]:
    """What people change of the plan's orgs: their name, whether they take writes, who signs in."""
    return tuple(
        (card.name, card.read_only, card.organization_id, card.instance_url, card.username)
        for card in orgs.sources(visit.bridge(), visit.actor())
        if card.id in (row.source_org_id, row.target_org_id)
    )


def draw(row: plans.PlanRow, found: preflight.Report, *, ran_at: dt.datetime) -> None:
    """The card."""
    heavy = [f for f in found.findings if f.severity not in LIGHT]
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(f"**Pre-flight checks** :gray[ran {figures.ago(ran_at)}]", width="stretch")
        st.markdown(" ".join(counts(found.findings)), width="content")
        if st.button("Run again", type="tertiary", icon=":material/refresh:", key="launch.again"):
            st.session_state[state.CHECK_TURN] = st.session_state.get(state.CHECK_TURN, 0) + 1
            st.rerun()
    if not heavy:
        boxes.empty("Nothing speaks against it", "All checks passed.", icon=":material/task_alt:")
    for number, finding in enumerate(heavy):
        line(row, finding, key=f"launch.fix.{number}")
    light(row, found.findings, key="launch")
    export.button("launch-checks", lambda: csv_of(found.findings), key="launch.checks.csv")


def _dialog(finding: Finding) -> str | None:
    """The editor's dialog in which a finding is mended; owners have a map of their own."""
    if finding.code == ROW_TEST:
        return "tests"
    if finding.fix is Fix.LOOKUP and (finding.field or "").lower() == "ownerid":
        return "owners"
    return DIALOGS.get(finding.fix) if finding.fix else None


def light(row: plans.PlanRow, findings: Sequence[Finding], *, key: str) -> None:
    """What is worth knowing and what passed, folded away."""
    notes = [f for f in findings if f.severity is Severity.NOTE]
    passed = [f for f in findings if f.severity is Severity.PASSED]
    if notes:
        told = figures.plural(len(notes), "note")
        with st.expander(told, type="compact", key=f"{key}.notes"):
            for number, finding in enumerate(notes):
                line(row, finding, key=f"{key}.note.{number}")
    if passed:
        told = f"{len(passed)} passed checks"
        with st.expander(told, type="compact", key=f"{key}.passed"):
            for finding in passed:
                st.caption(f":green[:material/check_circle:] {_told(finding)}")


def counts(findings: Sequence[Finding]) -> list[str]:
    """Badges: how many of each weight."""
    shown = []
    for severity in Severity:
        number = sum(finding.severity is severity for finding in findings)
        if number:
            kind = words.word(words.SEVERITIES, severity)
            many = "s" if number > 1 and severity in MANY else ""
            shown.append(
                f":{kind.color}-badge[:material/{kind.icon}: {number} {kind.label.lower()}{many}]"
            )
    return shown


def line(row: plans.PlanRow, finding: Finding, *, key: str) -> None:
    """One finding: weight, sentence, effect in rows, and the way to its mend."""
    kind = words.word(words.SEVERITIES, finding.severity)
    sampled = " of those looked at" if finding.is_sampled else ""
    told = f"{figures.count(finding.rows)} rows"
    is_told = finding.rows is None or told in finding.sentence
    effect = "" if is_told else f" :gray[— {told}{sampled}]"
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        sentence = _told(finding, strong=True)
        st.markdown(f":{kind.color}[:material/{kind.icon}:] {sentence}{effect}", width="stretch")
        if finding.sample_ids:
            _samples(finding, key=key)
        if finding.fix in (None, Fix.DATA):
            return
        if st.button(
            "Open tests" if finding.code == ROW_TEST else FIX_WORDS[finding.fix],
            type="tertiary",
            icon=":material/arrow_forward:",
            icon_position="right",
            key=key,
        ):
            to_fix(row, finding)


def _told(finding: Finding, *, strong: bool = False) -> str:
    """A finding's sentence, after its place where it does not name it itself."""
    said = finding.sentence.lower()
    if all(part in said for part in finding.place.lower().split(".")):
        return escaped(finding.sentence)
    place = f"**{escaped(finding.place)}**" if strong else escaped(finding.place)
    return f"{place}: {escaped(finding.sentence)}"


def _samples(finding: Finding, *, key: str) -> None:
    """Some of the rows that are meant, by their ids."""
    with st.popover("Rows", type="tertiary", icon=":material/list:", key=f"{key}.rows"):
        st.caption(f"{len(finding.sample_ids)} of {figures.count(finding.rows)} rows, by source id")
        st.code("\n".join(finding.sample_ids), language=None)


def to_fix(row: plans.PlanRow, finding: Finding) -> None:
    """Open the place where a finding is mended."""
    if finding.fix in IN_PLAN:
        show_in_plan(row, finding)
    elif finding.fix is Fix.ORG:
        registry.go("orgs")
    else:
        registry.go("runs")


def show_in_plan(row: plans.PlanRow, finding: Finding) -> None:
    """Open the editor at the object and field that are meant, with the dialog that mends it."""
    where = {
        "object": finding.mapping,
        "field": finding.field if finding.fix in (Fix.FIELD, Fix.LOOKUP) else None,
        "open": _dialog(finding),
    }
    st.session_state[state.OBJECT_TURN] = st.session_state.get(state.OBJECT_TURN, 0) + 1
    for held in ("choice.show", "q", state.FOCUS):
        st.session_state.pop(held, None)
    registry.go("plans", plan=str(row.id), **{name: text for name, text in where.items() if text})


def csv_of(findings: Sequence[Finding]) -> bytes:
    """All findings as CSV."""
    return export.csv_bytes(
        ["severity", "code", "mapping", "field", "rows", "sentence"],
        ([f.severity.value, f.code, f.mapping, f.field, f.rows, f.sentence] for f in findings),
    )
