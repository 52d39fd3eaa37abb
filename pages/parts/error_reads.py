"""What the page of errors reads over all runs, kept for seconds: every click draws the same again.

The groups are counted over all failures of 30 days; a click on one of them changes none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.services import logs
from pages.parts import visit

KEPT = "10s"
MANY = 100


def groups() -> Sequence[logs.ErrorGroup]:
    """Kinds of errors, the most frequent first."""
    return _groups(*_here(), workspace=_workspace())


def days() -> Mapping[str, Sequence[int]]:
    """How often each happened a day."""
    return _days(*_here(), workspace=_workspace())


def failed_rows(group: logs.ErrorGroup) -> Sequence[logs.FailedRow]:
    """The newest records of one kind."""
    return _failed_rows(*_here(), group.fingerprint, str(group.last_seen), workspace=_workspace())


def forget() -> None:
    """After a person's note: the next draw tells it."""
    _groups.clear()


def _here() -> tuple[Orgbridge, Actor]:
    return visit.bridge(), visit.actor()


def _workspace() -> str:
    """Part of every key: one workspace's answer is not another's."""
    return str(visit.actor().workspace_id)


@st.cache_data(ttl=KEPT, max_entries=MANY, show_spinner=False)
def _groups(_bridge: Orgbridge, _actor: Actor, *, workspace: str) -> Sequence[logs.ErrorGroup]:
    return logs.error_groups(_bridge, _actor)


@st.cache_data(ttl=KEPT, max_entries=MANY, show_spinner=False)
def _days(_bridge: Orgbridge, _actor: Actor, *, workspace: str) -> Mapping[str, Sequence[int]]:
    return logs.error_days(_bridge, _actor)


@st.cache_data(ttl=KEPT, max_entries=MANY, show_spinner=False)
def _failed_rows(
    _bridge: Orgbridge, _actor: Actor, fingerprint: str, last_seen: str, *, workspace: str
) -> Sequence[logs.FailedRow]:
    return logs.failed_rows(_bridge, _actor, fingerprint)
