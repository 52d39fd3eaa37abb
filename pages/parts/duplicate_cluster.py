"""One cluster of likely duplicates: side by side, values chosen, decided."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from core.domain.roles import Role
from core.services import duplicates
from pages.parts import duplicate_compare, duplicate_parts, visit
from pages.parts.boxes import escaped


def draw(cluster: duplicates.Cluster, place: tuple[UUID, str]) -> None:
    """Side by side, with the decision."""
    st.markdown(f"**{escaped(duplicate_parts.title(cluster))}**  {duplicate_parts.why(cluster)}")
    found = duplicates.compared(visit.bridge(), visit.actor(), place, record_ids=cluster.record_ids)
    survivor, values = duplicate_compare.side_by_side(cluster, found)
    st.caption(
        "Nothing is merged in the org from this page. The next run leaves the others out and hangs "
        "their children on the survivor."
    )

    def act(decision: str, chosen: str | None) -> None:
        duplicates.decide(
            visit.bridge(),
            visit.actor(),
            place,
            record_ids=cluster.record_ids,
            decision=decision,  # type: ignore[arg-type]  # one of the three buttons
            survivor_id=chosen,
            values=values if decision == "keep" else None,
        )

    if visit.may(Role.ANALYST):
        duplicate_parts.decision_buttons(cluster, survivor, act)
