"""One cluster of likely duplicates: side by side, values chosen, decided."""

from __future__ import annotations

import streamlit as st

from core.domain.roles import Role
from core.services import duplicates
from core.services.duplicates import Board, Cluster, Comparison
from pages.parts import boxes, duplicate_compare, duplicate_parts, visit
from pages.parts.boxes import escaped

#: how old what an org said of a cluster may be: each click on the page would ask anew
FRESH_S = 60
#: of what stands in for the records while an org is asked
ASKING_HEIGHT = 320


def draw(cluster: Cluster, board: Board) -> None:
    """Side by side, with the decision."""
    st.markdown(f"**{escaped(duplicate_parts.title(cluster))}**  {duplicate_parts.why(cluster)}")
    survivor, values = duplicate_compare.side_by_side(
        cluster, _told(cluster, board), orgs=board.orgs if len(board.places) > 1 else ()
    )
    st.caption(_meaning(board))

    def act(decision: str, chosen: str | None) -> None:
        here = (visit.bridge(), visit.actor(), board.places[0])
        if decision == "open" and cluster.decision is not None:
            boxes.acted(duplicates.reopen, *here, key=cluster.decision.cluster_key)
            return
        duplicates.decide(
            *here,
            record_ids=cluster.record_ids,
            decision=decision,  # type: ignore[arg-type]  # one of the three buttons
            survivor_id=chosen,
            values=values if decision == "keep" else None,
            elsewhere=board.elsewhere(cluster),
        )

    if visit.may(Role.ANALYST):
        duplicate_parts.decision_buttons(cluster, survivor, act)


def _meaning(board: Board) -> str:
    if len(board.places) == 1:
        return (
            "Nothing is merged in the org from this page. The next run leaves the others out and "
            "hangs their children on the survivor."
        )
    first, second = (escaped(name) for name in board.orgs)
    return (
        f"Nothing is merged in an org from this page. Where a record of {second} survives, a run "
        f"from {first} to {second} does not send the other and hangs its children on it; "
        f"likewise the other way round."
    )


def _told(cluster: Cluster, board: Board) -> Comparison:
    """The records as they are now; where an org does not answer, as the search read them."""
    found: list[Comparison] = []
    workspace = str(visit.actor().workspace_id)
    with boxes.asking(f"Reading the records in {' and '.join(board.orgs)}…", height=ASKING_HEIGHT):
        if boxes.acted(lambda: found.append(_compared(workspace, cluster, board.places))):
            return found[0]
    st.caption("Below stands what the search read of them.")
    lines = []
    for name in board.fields:
        values = tuple(one.get(name) for one in cluster.members)
        lines.append((name, values, len({str(value) for value in values}) > 1))
    return Comparison(cluster.record_ids, tuple(lines))


@st.cache_data(
    ttl=FRESH_S,
    max_entries=200,
    show_spinner=False,
    hash_funcs={Cluster: lambda one: one.key},
)
def _compared(workspace: str, cluster: Cluster, places: tuple[duplicates.Place, ...]) -> Comparison:
    """The workspace is part of the key: nothing of one is shown in another."""
    return duplicates.compared(visit.bridge(), visit.actor(), places, cluster=cluster)
