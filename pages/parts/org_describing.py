"""How far the reading of an org's objects is: one line on its card, a bar on its page."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import streamlit as st

from core.services import orgs
from core.services.orgs import DescribeState, Progress
from pages.parts import figures, visit
from pages.parts.boxes import code, escaped

TICK = "1s"


def words(card: orgs.OrgCard) -> str:
    """How far it is, or when it was last read."""
    progress = card.describing
    if progress.state is DescribeState.WAITING:
        return "metadata waits for a worker"
    if progress.state is DescribeState.RUNNING:
        return f"reading metadata: {_through(progress)}"
    if progress.state is DescribeState.FAILED:
        return "metadata could not be read"
    return f"metadata read {figures.ago(card.described_at)}"


def line(card: orgs.OrgCard) -> None:
    """The last line of a card; moves while the org is read."""

    def draw(now: orgs.OrgCard) -> None:
        st.markdown(
            f"`{figures.short_id(now.organization_id)}` "
            f":gray[API {escaped(now.api_version or '?')} · {escaped(words(now))}]"
        )

    watched(card, draw, key=f"orgs.describing.{card.id}")


def watched(card: orgs.OrgCard, draw: Callable[[orgs.OrgCard], object], *, key: str) -> None:
    """Draw with the org as it is now, again every second while it is read; then the whole page."""
    is_moving = card.describing.state.is_moving

    @st.fragment(run_every=TICK if is_moving else None, key=key)
    def part() -> None:
        now = _again(card.id) if is_moving else card
        if now.describing.state.is_moving != is_moving:
            st.rerun()
        draw(now)

    part()


def bar(progress: Progress) -> None:
    """Progress while it is read, and which objects the org refused to describe."""
    if progress.state is DescribeState.WAITING:
        st.progress(0.0, text="Reading metadata: waits for a worker")
    elif progress.state is DescribeState.RUNNING:
        through = progress.done + len(progress.faults)
        share = min(1.0, through / progress.total) if progress.total else 0.0
        st.progress(share, text=f"Reading metadata: {_through(progress)}")
    elif progress.state is DescribeState.FAILED:
        st.error(
            "What was read before stays. Refresh the metadata to go on.",
            title=f"The metadata could not be read: {escaped(progress.reason)}",
            icon=":material/error:",
        )
    if progress.faults:
        _faults(progress)


def _faults(progress: Progress) -> None:
    told = figures.plural(len(progress.faults), "object")
    with st.expander(f"{told} could not be described", icon=":material/warning:"):
        for name, reason in sorted(progress.faults.items()):
            st.markdown(f"{code(name)} {escaped(reason)}")


def _through(progress: Progress) -> str:
    if not progress.total:
        return "listing the objects"
    through = progress.done + len(progress.faults)
    return f"{figures.count(through)} of {figures.plural(progress.total, 'object')}"


def _again(org_id: UUID) -> orgs.OrgCard:
    return orgs.org(visit.bridge(), visit.actor(), org_id)
