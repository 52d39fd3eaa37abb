"""What an admin does to a notification rule: make, change, test, remove."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.secret import Secret
from core.services import notices, orgs, plans
from core.services.notices import CHANNELS, NoticeEvent, RuleRequest, RuleRow
from pages.parts import boxes, confirm, state, visit
from pages.parts.boxes import escaped

#: what a rule can wait for, in people's words; "test" is what the button sends
EVENTS = {
    NoticeEvent.RUN_FINISHED: "A run ended",
    NoticeEvent.RUN_FAILED: "A run failed",
    NoticeEvent.RUN_PARTIAL: "A run ended with rows left behind",
    NoticeEvent.DECISION_WAITING: "A canary or trial waits for a decision",
    NoticeEvent.APPROVAL_ASKED: "An approval is asked for",
    NoticeEvent.SCHEDULE_LATE: "A schedule was late or could not launch",
    NoticeEvent.SESSION_EXPIRED: "An org's session was lost",
    NoticeEvent.API_BUDGET: "API calls of an org run low",
}
CHANNEL_WORDS = {
    "email": "E-mail",
    "slack": "Slack",
    "teams": "Microsoft Teams",
    "webhook": "Webhook",
    "chat": "Other chat",
    "on_call": "On call",
}
EXAMPLES = {
    "email": "mailtos://user:password@smtp.example.org?to=team@example.org",
    "slack": "slack://TokenA/TokenB/TokenC/#channel",
    "teams": "workflows://host:443/workflow/signature",
    "webhook": "jsons://hooks.example.org/orgbridge",
    "chat": "discord://WebhookID/WebhookToken",
    "on_call": "pagerduty://IntegrationKey@ApiKey",
}
EVERY = "Every one"


@st.dialog("Notification rule", width="medium", icon=":material/notifications:")
def rule_dialog(known: RuleRow | None = None) -> None:
    """Ask for a rule as a whole; an address is never shown again, an empty one keeps it."""
    here = f"notices.rule.{known.id if known else 'new'}"
    name = st.text_input(
        "Name", value=known.name if known else "", autocomplete="off", key=f"{here}.name"
    )
    events = st.multiselect(
        "When",
        list(EVENTS),
        default=[NoticeEvent(each) for each in known.events] if known else [],
        format_func=lambda event: EVENTS[event],
        key=f"{here}.events",
    )
    plan_id, org_id = _scope(known, here)
    thresholds = _thresholds(known, events, here)
    channel, address = _address(known, here)
    enabled = st.toggle("On", value=known.enabled if known else True, key=f"{here}.on")
    if not confirm.buttons("Save rule", key="notices.rule"):
        return
    request = RuleRequest(
        name=name or "",
        events=tuple(str(event) for event in events),
        channel=channel,
        address=Secret(address),
        plan_id=plan_id,
        org_id=org_id,
        thresholds=thresholds,
        enabled=enabled,
    )
    if boxes.acted(_save, request, known):
        st.session_state[state.TOAST] = f"{request.name} is saved."
        st.rerun()


def card(rule: RuleRow) -> None:
    """One rule: what it waits for, and what can be done with it."""
    with st.container(border=True):
        words = ", ".join(EVENTS[NoticeEvent(each)] for each in rule.events)
        st.markdown(f"**{escaped(rule.name)}** :gray[{escaped(words)}]")
        with st.container(horizontal=True):
            if st.button("Change…", icon=":material/edit:", key=f"notices.change.{rule.id}"):
                rule_dialog(rule)
            if st.button("Send test", icon=":material/send:", key=f"notices.test.{rule.id}") and (
                boxes.acted(notices.send_test, visit.bridge(), visit.actor(), rule.id)
            ):
                st.session_state[state.TOAST] = "The test message was delivered."
                st.rerun()
            if st.button("Remove…", icon=":material/delete:", key=f"notices.remove.{rule.id}"):
                _remove(rule)


@st.dialog("Remove rule", icon=":material/delete:")
def _remove(rule: RuleRow) -> None:
    st.markdown(f"**{escaped(rule.name)}** tells nobody any more. What it sent stays listed.")
    if confirm.buttons("Remove rule", key="notices.removal") and boxes.acted(
        notices.remove_rule, visit.bridge(), visit.actor(), rule.id
    ):
        st.session_state[state.TOAST] = f"{rule.name} was removed."
        st.rerun()


def _save(request: RuleRequest, known: RuleRow | None) -> None:
    if known is None:
        notices.add_rule(visit.bridge(), visit.actor(), request)
    else:
        notices.change_rule(visit.bridge(), visit.actor(), known.id, request=request)


def _scope(known: RuleRow | None, here: str) -> tuple[Any, Any]:
    """Which plan and org the rule is about; None for every one."""
    of_plans = {row.id: row.name for row in plans.plans(visit.bridge(), visit.actor())}
    of_orgs = {card.id: card.name for card in orgs.orgs(visit.bridge(), visit.actor())}
    left, right = st.columns(2)
    with left:
        plan_id = _one_of(f"{here}.plan", of_plans, known.plan_id if known else None)
    with right:
        org_id = _one_of(f"{here}.org", of_orgs, known.registered_org_id if known else None)
    return plan_id, org_id


def _one_of(key: str, names: dict[Any, str], present: Any) -> Any:
    choices = [None, *names]
    index = choices.index(present) if present in choices else 0
    return st.selectbox(
        "Plan" if key.endswith(".plan") else "Org",
        choices,
        index=index,
        format_func=lambda one: EVERY if one is None else names[one],
        key=key,
    )


def _thresholds(known: RuleRow | None, events: list[NoticeEvent], here: str) -> dict[str, float]:
    """Percentages that the chosen events know; 0 asks for none."""
    asked = {
        "failed_percent": ("Rows left behind, at least (%)", NoticeEvent.RUN_PARTIAL),
        "api_used_percent": ("API calls used, at least (%)", NoticeEvent.API_BUDGET),
    }
    given: dict[str, float] = {}
    for name, (label, event) in asked.items():
        if event in events:
            present = float(known.thresholds.get(name, 0.0)) if known else 0.0
            least = st.number_input(label, 0.0, 100.0, present, step=1.0, key=f"{here}.{name}")
            given |= {name: float(least)} if least else {}
    return given


def _address(known: RuleRow | None, here: str) -> tuple[str, str]:
    """Channel and address; the stored address is not shown, it may hold a password."""
    present = list(CHANNELS).index(known.channel) if known else 0
    channel = st.selectbox(
        "To",
        list(CHANNELS),
        index=present,
        format_func=lambda one: CHANNEL_WORDS[one],
        key=f"{here}.channel",
    )
    address = st.text_input(
        "Address",
        type="password",
        autocomplete="off",
        # A password box does not commit when its own eye button takes the focus (seen on 1.67).
        live=True,
        key=f"{here}.address",
        placeholder="unchanged" if known else EXAMPLES[channel],
        help=f"An Apprise URL, such as {EXAMPLES[channel]}. It is stored encrypted.",
    )
    return channel, address or ""
