"""What one can take home from a run, each made on the click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.services import proof, run_files, run_reads, running
from pages.parts import export, run_live, run_story, visit
from pages.parts.boxes import escaped

#: objects that are listed one under the other; more are chosen from a list
LISTED_MAX = 12


def draw(view: run_reads.RunView) -> None:
    """Files of the whole run, then of each object."""
    name = view.row.name
    who = visit.bridge(), visit.actor()
    whole, single = st.columns(2, gap="medium")
    with whole, st.container(border=True):
        st.subheader("The whole run", anchor=False)
        _line(
            "Failed rows",
            "sent values and reason",
            lambda: b"".join(running.failures_csv(*who, name)),
            file=f"failed-rows-{name}",
            key="failed",
        )
        _line(
            "Id map",
            "source id and target id of every row",
            lambda: b"".join(run_files.id_map_csv(*who, name)),
            file=f"id-map-{name}",
            key="ids",
        )
        _line(
            "Differences",
            "values that read otherwise than sent",
            lambda: b"".join(proof.differences_csv(*who, name, proof.DifferenceFilter())),
            file=f"differences-{name}",
            key="diff",
        )
        _line(
            "Log",
            "every event in order",
            lambda: run_story.csv_of(name),
            file=f"log-{name}",
            key="log",
        )
    with single, st.container(border=True):
        st.subheader("Rows as sent, by object", anchor=False)
        written = [step for step in view.steps if step.phase == "load" and step.written]
        if not written:
            st.caption("Nothing was written.")
        if len(written) > LISTED_MAX:
            written = [_chosen(written)]
        for step in written:
            _line(
                run_live.told_name(step),
                f"{step.written:,} rows",
                partial(_sent, *who, name, step.mapping_name),
                file=f"sent-{step.mapping_name}-{name}",
                key=f"sent.{step.mapping_name}",
            )


def _chosen(written: Sequence[run_reads.StepLine]) -> run_reads.StepLine:
    """One object out of many."""
    by_name = {run_live.told_name(step): step for step in written}
    name = st.selectbox("Object", list(by_name), key="run.files.object")
    return by_name.get(name or "", written[0])


def _line(title: str, told: str, make: Callable[[], bytes], *, file: str, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        st.markdown(f"**{escaped(title)}** :gray[{escaped(told)}]", width="stretch")
        export.button(file, make, key=f"run.files.{key}", help="Made when you click, as CSV")


def _sent(bridge: Orgbridge, actor: Actor, name: str, mapping: str) -> bytes:
    return b"".join(run_files.sent_csv(bridge, actor, name, mapping=mapping))
