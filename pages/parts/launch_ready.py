"""The last look before a launch, and the dialog that confirms it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import streamlit as st

from core.domain.findings import Severity
from core.errors import OrgbridgeError
from core.services import approvals, launching, orgs, plans, preflight, undoing
from core.services.launch_outlook import Outlook
from pages import registry
from pages.parts import boxes, confirm, figures, launch_form, schedule_form, state, visit, words
from pages.parts.boxes import escaped
from pages.parts.launch_form import Chosen
from pages.parts.launch_steps import Steps

LAUNCH_WORDS = {
    "dry-run": "Start dry run",
    "trial": "Launch trial…",
    "canary": "Launch canary…",
    "full": "Launch full…",
    "delta": "Launch delta…",
}
ASK = "Ask for approval…"


def draw(
    row: plans.PlanRow,
    target: orgs.OrgCard,
    *,
    chosen: Chosen,
    steps: Steps,
    found: preflight.Report,
) -> None:
    """What will happen in a few lines, and the button that does it."""
    st.markdown("**Ready to launch?**")
    st.table(_facts(target, chosen, steps), border="horizontal")
    approval = _approval(target, chosen, steps)
    if approval:
        boxes.remark(escaped(approval), icon="approval", color="violet")
    against = _against(found, chosen, steps)
    if st.button(
        _label(chosen, approval),
        type="primary",
        icon=":material/rocket_launch:",
        width="stretch",
        shortcut="Mod+Enter",
        disabled=bool(against) and chosen.writes,
        key="launch.act",
    ):
        _act(row, target, chosen=chosen, steps=steps, approval=approval)
    if against:
        rest = "" if chosen.writes else "; a dry run is possible"
        st.caption(f":red[:material/cancel:] {against}{rest}.")


def _label(chosen: Chosen, approval: str | None) -> str:
    if chosen.start == "repeat":
        return "Schedule…"
    return ASK if approval else LAUNCH_WORDS[chosen.request.mode]


def _facts(target: orgs.OrgCard, chosen: Chosen, steps: Steps) -> dict[str, str]:
    """Where it writes and how much, as far as it is known."""
    mode = chosen.request.mode
    rows = figures.count(steps.rows if steps.is_counted else None)
    shown = {
        "trial": "at most 200 of each object",
        "canary": f"about {chosen.request.canary_percent} % of {rows}, then it waits",
        "delta": f"what changed, of {rows}",
    }
    facts = {
        "Writes to": words.org_badge(target.name, target.environment)
        if chosen.writes
        else "nothing",
        "Rows": shown.get(mode, rows),
        "Objects": figures.count(len(steps.names)),
    }
    if chosen.writes:
        facts["Takes"] = takes(steps.outlook, _rows_to_carry(chosen, steps))
        facts["New / updated / deleted"] = changes(steps.outlook, steps.names)
        facts["Undo"] = "Yes" if chosen.request.keep_undo and mode != "trial" else "—"
    return facts


def _rows_to_carry(chosen: Chosen, steps: Steps) -> float | None:
    """Rows that the mode is going to look at; None where only the orgs know."""
    if not steps.is_counted:
        return None
    shares = {"full": 100, "canary": chosen.request.canary_percent}
    share = shares.get(chosen.request.mode)
    return None if share is None else steps.rows * share / 100


def takes(outlook: Outlook | None, rows: float | None) -> str:
    """How long it is going to take, by the pace of the last whole run of the plan.

    >>> takes(None, 100.0), takes(None, None)
    ('a first full run tells', '—')
    """
    if rows is None:
        return figures.MISSING
    if outlook is None or not outlook.rows_per_s:
        return "a first full run tells"
    return f"about {figures.duration(rows / outlook.rows_per_s)}, at the pace of {outlook.paced_by}"


def changes(outlook: Outlook | None, names: Sequence[str]) -> str:
    """The buckets of the last run that sorted the rows, or that none did."""
    if outlook is None:
        return "a dry run tells"
    total = outlook.total(names)
    told = " / ".join(figures.count(n) for n in (total.inserts, total.updates, total.deletes))
    return f"{told}, before the last edit" if outlook.is_older_than_plan else told


def _approval(target: orgs.OrgCard, chosen: Chosen, steps: Steps) -> str | None:
    """Why another person has to agree, or None."""
    if not chosen.writes or chosen.start == "repeat":
        return None
    return approvals.needed(
        visit.bridge(), visit.actor(), target_org_id=target.id, rows_to_write=lambda: steps.rows
    )


def _against(found: preflight.Report, chosen: Chosen, steps: Steps) -> str:
    """What keeps the button closed, in one sentence; blockers of unticked objects do not."""
    if not steps.names:
        return "Tick at least one object"
    blockers = [
        each
        for each in found.findings
        if each.severity is Severity.BLOCKER
        and (each.mapping is None or each.mapping in steps.names)
    ]
    if blockers:
        objects = sorted({escaped(steps.written[f.mapping]) for f in blockers if f.mapping})
        untick = f", or untick {', '.join(objects[:3])}" if objects and len(steps.names) > 1 else ""
        return f"Fix {figures.plural(len(blockers), 'blocker')} first{untick}"
    if chosen.writes and not chosen.request.email_answer:
        return "Answer the question about e-mail"
    return ""


def _act(
    row: plans.PlanRow,
    target: orgs.OrgCard,
    *,
    chosen: Chosen,
    steps: Steps,
    approval: str | None,
) -> None:
    request = replace(chosen.request, only=steps.only)
    if chosen.start == "repeat":
        schedule_form.drawer([row], launch=request)
    elif chosen.writes:
        title = (
            "Launch into production?" if target.environment == "production" else "Launch this run?"
        )
        dialog = st.dialog(
            "Ask for approval" if approval else title, width="medium", icon=":material/warning:"
        )
        dialog(_confirm)(row, target, request=request, steps=steps, approval=approval)
    else:
        start(row, request)


def _confirm(
    row: plans.PlanRow,
    target: orgs.OrgCard,
    *,
    request: launching.LaunchRequest,
    steps: Steps,
    approval: str | None,
) -> None:
    """Facts; for a protected org and for deletes the typed name and a reason."""
    badge = words.org_badge(target.name, target.environment)
    st.markdown(f"{_sentence(request, steps)} {badge} `{target.organization_id}`.")
    st.table(_confirm_facts(request, steps), border="horizontal")
    plan = plans.plan(visit.bridge(), visit.actor(), row.id).plan
    kept = undoing.kept_objects(visit.bridge(), visit.actor(), plan, target_org_id=target.id)
    for sentence in undoing.irreversible(plan, steps.only, kept=kept):
        boxes.remark(escaped(sentence), icon="history_off")
    if approval:
        st.caption(f":material/approval: {escaped(approval)} The run starts when they approve.")
    needs_name = target.protected or target.environment == "production" or steps.deletes
    is_ready, reason = True, ""
    if needs_name:
        is_ready = confirm.typed(target.name, key="launch.name", what="the target org name")
    if needs_name or approval:
        reason = st.text_input(
            "Reason (goes into the audit trail)",
            key="launch.reason",
            live=True,
            placeholder="CHG-1042",
        )
        is_ready = is_ready and bool((reason or "").strip())
    label = ASK if approval else LAUNCH_WORDS[request.mode]
    if confirm.buttons(
        label.rstrip("…"), key="launch.confirm", ready=is_ready, icon=":material/rocket_launch:"
    ):
        start(row, request, confirmed=target.name if needs_name else "", reason=reason or "")


def _sentence(request: launching.LaunchRequest, steps: Steps) -> str:
    if request.mode == "trial":
        return "This sends at most **200 rows of each object** and has them taken back in"
    return f"This writes up to **{figures.count(steps.rows)} rows** into"


def _confirm_facts(request: launching.LaunchRequest, steps: Steps) -> dict[str, str]:
    """What is known of the effect, and what cannot be taken back."""
    facts: dict[str, str] = {}
    if request.mode != "trial":
        if steps.outlook is not None:
            total = steps.outlook.total(steps.names)
            kept = " (before-images kept)" if request.keep_undo else ""
            facts["Creates"] = figures.count(total.inserts)
            facts["Updates"] = figures.count(total.updates) + (kept if total.updates else "")
            facts["Deletes"] = figures.count(total.deletes)
        else:
            facts["Creates / updates"] = "not known: no dry run of this plan yet"
    if request.mode == "canary":
        facts["First"] = f"about {request.canary_percent} % of each object, then it waits for you"
    if steps.deletes:
        facts["Deletes rows of"] = escaped(", ".join(steps.written[n] for n in steps.deletes))
    if request.start_at is not None:
        facts["Starts"] = figures.absolute(request.start_at)
    if request.stop_at_failed_percent is not None:
        facts["Stops"] = f"when more than {request.stop_at_failed_percent} % of rows fail"
    facts["E-mail"] = launch_form.EMAIL_ANSWERS.get(request.email_answer, figures.MISSING)
    if request.mode == "trial":
        facts["Not undone by the org"] = "automatic numbers; what triggers did outside the org"
    return facts


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
