"""How to run: mode, start, limits, what is kept; the card at the right of a launch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import streamlit as st

from core.domain.plan import Plan
from core.services import launching, plans
from pages.parts import boxes, choice, figures, launch_loads

MODES = {
    "dry-run": "Dry run",
    "trial": "Trial",
    "canary": "Canary",
    "full": "Full",
    "delta": "Delta",
}
MODE_HELP = (
    "Dry run: reads the source, applies the rules, checks against the target; writes nothing. "
    "Trial: at most 200 rows of each object are sent so that the org itself takes them back. "
    "Canary: a share of the records with their parents, then it waits for you. "
    "Full: everything. Delta: what changed in the source since the last run."
)
MODE_WORDS = {
    "dry-run": "Reads and checks; nothing is written anywhere.",
    "trial": "The org checks at most 200 rows per object and takes them back. Triggers that run "
    "after a save may not have run, and automatic numbers may be used up.",
    "delta": "What changed in the source since the last full or delta run, and what failed then.",
    "full": "Every row in scope.",
}
STARTS = {"now": "Now", "at": "At a time", "repeat": "Repeat"}
#: rule 8.3: an org does not tell whether it sends e-mail, so a person has to
EMAIL_ANSWERS = {
    "off": "Switched off in the target (Setup, Deliverability)",
    "masked": "On, but this plan masks the addresses",
    "wanted": "On, and messages to real people are all right",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the card says."""

    request: launching.LaunchRequest
    #: now, at or repeat
    start: str

    @property
    def writes(self) -> bool:
        """Something is sent to the target that it keeps or has to take back."""
        return self.request.mode != "dry-run"


def how_to_run(row: plans.PlanRow, plan: Plan) -> Chosen:
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
        percent = _canary() if mode == "canary" else launching.CANARY_PERCENT
        if mode in MODE_WORDS:
            st.caption(MODE_WORDS[mode])
        start, start_at = _start()
        writes = mode != "dry-run"
        batch, api, stop_at = _limits(row, plan, writes=writes)
        keep_undo = st.toggle(
            "Keep undo data (before-images)",
            value=True,
            key="launch.undo",
            disabled=not writes,
        )
        verify = st.toggle(
            "Compare every field afterwards",
            value=True,
            key="launch.verify",
            disabled=not writes or mode == "trial",
        )
        email = _email() if writes else ""
    request = launching.LaunchRequest(
        mode=mode,
        canary_percent=percent,
        start_at=start_at,
        batch=batch,
        api=api,
        loads=launch_loads.chosen(str(row.id)) if writes else {},
        stop_at_failed_percent=stop_at,
        keep_undo=keep_undo,
        verify=verify,
        email_answer=email,
    )
    return Chosen(request, start)


def _canary() -> int:
    percent = st.slider(
        "Canary share per object (%)",
        min_value=1,
        max_value=50,
        value=launching.CANARY_PERCENT,
        key="launch.canary",
        help="Of the records that nothing else belongs to; parents and details come with them, so "
        "that the real share of an object may be larger. The run tells it.",
    )
    st.caption(":material/pause_circle: Stops after the canary and waits for your go-ahead.")
    return int(percent)


def _start() -> tuple[str, datetime | None]:
    """When it starts; a time is the visitor's own and travels as UTC."""
    start = choice.segmented(
        "Start",
        list(STARTS),
        default="now",
        format_func=STARTS.__getitem__,
        key="start",
        width="stretch",
    )
    if start != "at":
        return start, None
    here = figures.zone()
    now = datetime.now(UTC).astimezone(here).replace(second=0, microsecond=0)
    given = st.datetime_input(
        f"Start at ({here})",
        value=(now + timedelta(hours=1)).replace(tzinfo=None),
        key="launch.at",
        step=timedelta(minutes=5),
    )
    if given is None:
        return start, None
    moment = given.replace(tzinfo=here).astimezone(UTC)
    if moment < datetime.now(UTC):
        boxes.remark("This time has passed: it would start at once.", icon="alarm")
    return start, moment


def _limits(
    row: plans.PlanRow, plan: Plan, *, writes: bool
) -> tuple[int | None, str | None, int | None]:
    """Batch size, API and the share of failed rows at which the run stops and asks."""
    if not writes:
        return None, None, None
    left, right = st.columns(2)
    batch = left.number_input(
        "Batch size",
        min_value=1,
        max_value=10_000,
        value=None,
        placeholder="by API",
        key="launch.batch",
        help="Rows of one request or job, for every object without a setting of its own",
    )
    api = right.selectbox(
        "API",
        list(launch_loads.APIS),
        format_func=launch_loads.APIS.__getitem__,
        key="launch.api",
        help="By cost: few rows go by collections, many by Bulk 2.0",
    )
    stop_at = left.number_input(
        "Stop at errors (%)",
        min_value=1,
        max_value=100,
        value=None,
        placeholder="never",
        key="launch.stop",
        help="When more than this share of the rows that were settled so far failed, nothing more "
        "is sent and the run waits for your decision",
    )
    with right:
        st.space("small")
        own = len(launch_loads.chosen(str(row.id)))
        label = f"Per object ({own})…" if own else "Per object…"
        if st.button(label, icon=":material/tune:", key="launch.loads", width="stretch"):
            launch_loads.dialog(str(row.id), plan)
    own_api = None if api == "auto" else api
    return (
        None if batch is None else int(batch),
        own_api,
        None if stop_at is None else int(stop_at),
    )


def _email() -> str:
    """The answer that nobody can read from an org; it is kept with the run and who gave it."""
    answer = st.selectbox(
        "E-mail from the target",
        list(EMAIL_ANSWERS),
        index=None,
        format_func=EMAIL_ANSWERS.__getitem__,
        placeholder="Who might get a message? Please answer",
        key="launch.email",
        help="Flows, triggers and assignment rules may write to the people whose records are "
        "loaded. No API tells whether the org lets messages out.",
    )
    return answer or ""
