"""What one does about missing rows: list them, all of them as a file, a run of just those."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st

from core.services import missing, orgs, plans
from pages import registry
from pages.parts import boxes, confirm, count_parts, export, visit, words
from pages.parts.boxes import escaped

REASONS = {
    "failed": "Refused by the target",
    "blocked": "Held back",
    "not_processed": "Not processed",
    "never_sent": "Never sent",
    "deleted_since": "Deleted in the target since",
    "filtered": "Left out by the filter",
}


def buttons(plan: str, row: Mapping[str, Any], *, is_told: bool) -> bool:
    """Acts on the missing rows of one object; True when they are to be listed."""
    name = row["name"]
    wanted = False
    with st.container(horizontal=True):
        if not is_told:
            some = row["missing"] or count_parts.hides_some(row)
            told = escaped(count_parts.label(row))
            # rows of others hide as many that were deleted: only the ids tell
            wanted = st.button(
                f"List the missing rows of {told}" if some else f"Look for missing rows of {told}",
                key="counts.explain",
            )
        if is_told:
            here = (visit.bridge(), visit.actor())
            export.button(
                f"missing-{name}",
                lambda: b"".join(missing.rows_csv(*here, plan=plan, mapping=name)),
                key="counts.missing.csv",
                help="Every missing row with its reason, as it is now",
            )
            if st.button(
                "Migrate missing rows…", icon=":material/rocket_launch:", key="counts.launch"
            ):
                launch_dialog(plan, name, told=count_parts.label(row))
    return wanted


def to_list(plan: str, name: str, listed: Collection[str]) -> list[str]:
    """Mappings whose missing rows the next count lists: this one, and those that it listed."""
    document = plans.plan(visit.bridge(), visit.actor(), name=plan).plan
    wanted = {name, *listed}
    return [one.name for one in document.objects if one.name in wanted]


@st.dialog("Migrate missing rows", icon=":material/rocket_launch:")
def launch_dialog(plan: str, mapping: str, *, told: str) -> None:
    """A run of the missing rows of one object, for the reasons that are chosen.

    Args:
        told: the object as people know it.
    """
    target_name = plans.plan(visit.bridge(), visit.actor(), name=plan).plan.target
    cards = orgs.orgs(visit.bridge(), visit.actor())
    target = next((one for one in cards if one.name == target_name), None)
    if target is None:
        boxes.empty("The target is not connected", "Connect it under Orgs first.")
        return
    st.markdown(
        f"Rows of **{escaped(told)}** that are not in "
        f"{words.org_badge(target.name, target.environment)}, by reason:"
    )
    chosen = st.multiselect(
        "Missing because",
        list(REASONS),
        default=[str(one) for one in missing.MENDABLE],
        format_func=REASONS.__getitem__,
        key="counts.launch.reasons",
    )
    ready, named, why = bool(chosen), "", ""
    if target.protected:
        ready &= confirm.typed(target.name, key="counts.launch.org", what="the org's name")
        named = target.name if ready else ""
        why = st.text_input("Why", key="counts.launch.why", autocomplete="off") or ""
    if not confirm.buttons("Launch", key="counts.launch.do", ready=ready):
        return
    made: list[str] = []
    here = (visit.bridge(), visit.actor())

    def act() -> None:
        reasons = [missing.Reason(one) for one in chosen]
        name = missing.launch(
            *here, plan=plan, mapping=mapping, reasons=reasons, confirm=named, reason=why
        )
        made.append(name)

    if boxes.acted(act):
        registry.go("run", run=made[0])
