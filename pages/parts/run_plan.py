"""What a run carries out: every object of its plan, and every field with the rule that fills it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.names import object_name
from core.services import run_reads
from pages import registry
from pages.parts import boxes, export, figures, plan_rules, tables, visit, words
from pages.parts.boxes import escaped

OBJECT_COLUMNS = {
    "wave": st.column_config.NumberColumn("Wave", width=40),
    "object": st.column_config.TextColumn("Object", width=98),
    "operation": words.pills("Operation", words.OPERATIONS.values(), width=76),
    "match": st.column_config.TextColumn("Match on", width=140),
    "fields": tables.rows_column("Fields", width=46),
}
FIELD_COLUMNS = {
    "field": st.column_config.TextColumn("Field", width=135),
    "rule": st.column_config.TextColumn("Rule", width=90),
    "of": st.column_config.TextColumn("From", width=155),
    "written": st.column_config.TextColumn("Written", width=155),
}
MISSING_PARENT = {
    "reject": "row held back without it",
    "blank": "left blank without it",
    "running_user": "else who connected the org",
}
CSV = ("object", "source", "target", "operation", "match_on", "filter", *FIELD_COLUMNS)


def draw(view: run_reads.RunView) -> None:
    """The objects left, the fields of the chosen one right."""
    row = view.row
    found = run_reads.mappings(visit.bridge(), visit.actor(), row.name)
    if not found:
        boxes.empty(
            "Not settled yet" if row.finished_at is None else "Not kept",
            "Every object and field stands here once a worker has compared the plan with both orgs."
            if row.finished_at is None
            else "The run ended before a worker compared its plan with both orgs.",
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.caption(
            f"v{row.plan_version} of the plan with all that both orgs add to it, as this run "
            "carries it out. Later changes of the plan do not change it.",
            width="stretch",
        )
        if row.living_plan_id and st.button(
            "Open plan", icon=":material/conversion_path:", key="run.plan.open"
        ):
            registry.go("plans", plan=str(row.living_plan_id))
        export.button(
            f"plan-{row.name}", lambda: csv_of(found), key="run.plan.csv", help="Every field as CSV"
        )
    left, right = st.columns([0.45, 0.55], gap="medium")
    with left:
        chosen = tables.show(
            objects_frame(found),
            OBJECT_COLUMNS,
            key="run.plan.objects",
            alt="Objects of this run's plan in the order of loading",
            on_select="rerun",
            selection_mode="single-row-required",
        )
    with right:
        _fields(found[min(tables.picked(chosen) or 0, len(found) - 1)])


def _fields(one: run_reads.CarriedMapping) -> None:
    where = one.document.get("where")
    told = f" where {escaped(where)}" if where else ""
    st.caption(f"{escaped(one.source_object)}{told} {figures.ARROW} {escaped(one.target_object)}")
    data = tables.frame(list(fields_of(one)), list(FIELD_COLUMNS))
    tables.show(
        data,
        FIELD_COLUMNS,
        key=f"run.plan.fields.{one.name}",
        alt=f"Fields of {one.name} with the rules that fill them",
    )


def objects_frame(found: Sequence[run_reads.CarriedMapping]) -> pd.DataFrame:
    """One row per object."""
    return tables.frame(
        [
            {
                "wave": int(one.document.get("wave", 0)) + 1,
                "object": object_name(one.name, one.target_object),
                "operation": [words.word(words.OPERATIONS, one.document.get("operation")).label],
                "match": match_words(one.document),
                "fields": sum(1 for _ in fields_of(one)),
            }
            for one in found
        ],
        list(OBJECT_COLUMNS),
    )


def match_words(document: Mapping[str, Any]) -> str:
    """The key: Email · Name + City__c · Id → Legacy_Id__c · records moved before."""
    key = document.get("key") or {}
    source, target = list(key.get("source") or ()), list(key.get("target") or ())
    if not target:
        return words.MOVED_BEFORE
    told = " + ".join(target)
    of = key.get("value") or " + ".join(source)
    return told if of == told else f"{of} {figures.ARROW} {told}"


def fields_of(one: run_reads.CarriedMapping) -> Iterator[dict[str, str]]:
    """A line per field that is written, by name: plain fields, then lookups."""
    for name, rule in sorted(one.document.get("rules", {}).items()):
        kind = plan_rules.kind_of(rule)
        of = rule.get("constant") if kind == "constant" else rule.get("expression")
        yield {
            "field": name,
            "rule": plan_rules.KINDS[kind],
            "of": str(of if of is not None else rule.get("from", figures.MISSING)),
            "written": plan_rules.WRITES[str(rule.get("write", "always"))],
        }
    for name, lookup in sorted(one.document.get("lookups", {}).items()):
        through = f" through {', '.join(lookup['parents'])}" if lookup.get("parents") else ""
        yield {
            "field": name,
            "rule": "Lookup",
            "of": f"{lookup.get('from')}{through}",
            "written": MISSING_PARENT.get(str(lookup.get("missing")), f"else {lookup['missing']}"),
        }


def csv_of(found: Sequence[run_reads.CarriedMapping]) -> bytes:
    """Every field of every object as a file."""
    return export.csv_bytes(
        CSV,
        (
            [
                *(one.name, one.source_object, one.target_object, one.document.get("operation")),
                *(match_words(one.document), one.document.get("where"), *line.values()),
            ]
            for one in found
            for line in fields_of(one)
        ),
    )
