"""What is read of a run that is over, kept while nothing can change it: many clicks, one read.

Of a run that has ended only retries and undos of it change anything: which of its rows arrived
since. Their states are part of what an answer is kept by; while one of them moves, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.domain.states import FINISHED_RUNS, RunState
from core.services import proof, run_reads
from pages.parts import visit

T = TypeVar("T")
#: a bound for what a mark does not tell, such as an admin's retention
KEPT = "60s"
MANY = 200


def mark(view: run_reads.RunView) -> str:
    """What an answer about the run is kept by; "" while it can change."""
    row = view.row
    states = {row.status, *(RunState(one.status) for one in view.relatives)}
    if not states <= FINISHED_RUNS:
        return ""
    relatives = ",".join(f"{one.name}={one.status}" for one in view.relatives)
    return f"{row.workspace_id} {row.name} {row.status} {row.finished_at} {relatives}"


def rows_to_retry(view: run_reads.RunView) -> int:
    """How many rows a retry of everything would read again."""
    return _read(view, _rows_to_retry, run_reads.rows_to_retry)


def failure_groups(view: run_reads.RunView) -> tuple[run_reads.FailureGroup, ...]:
    """Why rows failed, the largest group first."""
    return _read(view, _failure_groups, run_reads.failure_groups)


def proved(view: run_reads.RunView) -> proof.Proof:
    """The proof of the run."""
    return _read(view, _proved, proof.shown)


def _read(
    view: run_reads.RunView, kept: Callable[..., T], afresh: Callable[[Orgbridge, Actor, str], T]
) -> T:
    here, by = (visit.bridge(), visit.actor(), view.row.name), mark(view)
    return kept(*here, mark=by) if by else afresh(*here)


@st.cache_data(ttl=KEPT, max_entries=MANY, show_spinner=False)
def _rows_to_retry(_bridge: Orgbridge, _actor: Actor, name: str, *, mark: str) -> int:
    return run_reads.rows_to_retry(_bridge, _actor, name)


@st.cache_resource(ttl=KEPT, max_entries=MANY, show_spinner=False)  # frozen: nobody changes it
def _failure_groups(
    _bridge: Orgbridge, _actor: Actor, name: str, *, mark: str
) -> tuple[run_reads.FailureGroup, ...]:
    return run_reads.failure_groups(_bridge, _actor, name)


@st.cache_resource(ttl=KEPT, max_entries=MANY, show_spinner=False)  # frozen: nobody changes it
def _proved(_bridge: Orgbridge, _actor: Actor, name: str, *, mark: str) -> proof.Proof:
    return proof.shown(_bridge, _actor, name)
