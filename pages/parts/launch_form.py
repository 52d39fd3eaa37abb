"""How to run, and the last look before it: mode, limits; the dialog that confirms a launch."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import streamlit as st

from core.domain.findings import Severity
from core.errors import OrgbridgeError
from core.services import launching, orgs, plans, preflight
from pages import registry
from pages.parts import boxes, choice, confirm, figures, launch_steps, state, visit, words

MODES = {"dry-run": "Dry run", "trial": "Trial", "full": "Full", "delta": "Delta"}
MODE_HELP = (
    "Dry run: reads the source, applies the rules, checks against the target; writes nothing. "
    "Trial: a few rows of each object with all their parents are written. "
    "Full: everything. Delta: what changed in the source since the last run."
)
LAUNCH_WORDS = {
    "dry-run": "Start dry run",
    "trial": "Launch trial…",
    "full": "Launch full…",
    "delta": "Launch delta…",
}


def how_to_run() -> launching.LaunchRequest:
    """The card of options."""
    with st.container(border=True):
        st.markdown("**How to run**")
        mode = choice.segmented(
            "Mode",
            list(MODES),
            default="dry-run",
            format_func=MODES.__getitem__,
            key="mode",
            width="stretch",
            help=MODE_HELP,
        )
        keep_undo = st.toggle(
            "Keep undo data (before-images)",
            value=True,
            key="launch.undo",
            disabled=mode == "dry-run",
        )
    return launching.LaunchRequest(mode=mode, keep_undo=keep_undo)


def ready(
    row: plans.PlanRow,
    target: orgs.OrgCard,
    *,
    request: launching.LaunchRequest,
    found: preflight.Report,
) -> None:
    """What will happen in four lines, and the button that does it."""
    st.markdown("**Ready to launch?**")
    rows = sum(found.preflight.rows.values())
    writes = request.mode != "dry-run"
    st.table(
        {
            "Writes to": words.org_badge(target.name, target.environment) if writes else "nothing",
            "Rows in scope": figures.count(rows)
            if request.mode != "trial"
            else "a few of each object",
            "Objects": figures.count(len(found.preflight.rows)),
            "Undo": "Yes" if request.keep_undo and writes else "—",
        },
        border="horizontal",
    )
    blockers = sum(f.severity is Severity.BLOCKER for f in found.findings)
    if st.button(
        LAUNCH_WORDS[request.mode],
        type="primary",
        icon=":material/rocket_launch:",
        width="stretch",
        shortcut="Mod+Enter",
        disabled=bool(blockers) and writes,
        key="launch.act",
    ):
        if writes:
            confirm_dialog(row, target, request=request, found=found)
        else:
            start(row, request)
    if blockers:
        told = f"Fix {blockers} blocker{'s' if blockers > 1 else ''} first"
        st.caption(f":red[:material/cancel:] {told}{'' if writes else '; a dry run is possible'}.")


@st.dialog("Launch?", width="medium", icon=":material/rocket_launch:")
def confirm_dialog(
    row: plans.PlanRow,
    target: orgs.OrgCard,
    *,
    request: launching.LaunchRequest,
    found: preflight.Report,
) -> None:
    """Facts; for a protected org the typed name and a reason."""
    st.markdown(
        f"This writes up to **{figures.count(sum(found.preflight.rows.values()))} rows** into "
        f"{words.org_badge(target.name, target.environment)}."
    )
    deletes = launch_steps.deletes_rows(row)
    needs_name = target.protected or target.environment == "production" or deletes
    is_ready, reason = True, ""
    if needs_name:
        is_ready = confirm.typed(target.name, key="launch.name", what="the target org name")
        reason = st.text_input(
            "Reason (goes into the audit trail)",
            key="launch.reason",
            live=True,
            placeholder="CHG-1042",
        )
        is_ready = is_ready and bool((reason or "").strip())
    label = LAUNCH_WORDS[request.mode].rstrip("…")
    if confirm.buttons(
        label, key="launch.confirm", ready=is_ready, icon=":material/rocket_launch:"
    ):
        start(row, request, confirmed=target.name if needs_name else "", reason=reason or "")


def start(
    row: plans.PlanRow, request: launching.LaunchRequest, *, confirmed: str = "", reason: str = ""
) -> None:
    """Launch once per click, however often the browser sends it, and open the run."""
    key = st.session_state.setdefault(state.LAUNCH_KEY, str(uuid4()))
    try:
        name = launching.launch(
            visit.bridge(),
            visit.actor(),
            row.id,
            replace(request, confirm=confirmed, reason=reason),
            idempotency_key=key,
        )
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    st.session_state.pop(state.LAUNCH_KEY, None)
    registry.go("run", run=name)
