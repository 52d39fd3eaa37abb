"""Everything of a run that moves: progress, five figures, the table of objects, throughput.

One fragment redraws it every two seconds while the run can change; the page around it stays still.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.bootstrap import Orgbridge
from core.domain import unfilled
from core.domain.names import object_name
from core.domain.roles import Actor
from core.domain.states import FINISHED_RUNS, RunState, StepState
from core.services import run_reads
from pages.parts import boxes, figures, palette, tables, visit, words
from pages.parts.boxes import escaped

TICK = "2s"
#: table column of lookups that stayed blank, there where one did
BLANK = "blank"
#: while it waits for a person
SLOW_TICK = "10s"
#: by what a person asked of a run that is carried
ASKED = {"pause": RunState.PAUSING, "cancel": RunState.CANCELLING}
#: the least time that a chart of a run spans
SHORT_CHART = timedelta(seconds=20)
#: an org counts the calls of a rolling day
DAY = timedelta(days=1)
#: a wait that is told beside how long a run took
WAIT_TOLD_S = 10
#: how the passes after the load are told apart
PASSES = {
    "extract": " (read)",
    "second_pass": " (2nd pass)",
    "finally": " (finally)",
    "verify": " (verify)",
    "undo": " (undo)",
}
COLUMNS = {
    "object": st.column_config.TextColumn("Object", width=160),
    "status": words.pills("Status", words.STATUSES.values(), width=90),
    "done": tables.share_column("Progress", width=80),
    "written": tables.rows_column("Written", width=62),
    "failed": tables.rows_column("Failed", width=50),
    "rows": tables.rows_column("Rows", width=65),
    "took": st.column_config.TextColumn("Took", width=70),
}
#: beside the others where lookups stayed blank, which make a step partial without a failed row
WITH_BLANKS = {
    "object": st.column_config.TextColumn("Object", width=122),
    "done": tables.share_column("Progress", width=62),
    "written": tables.rows_column("Written", width=58),
    BLANK: tables.rows_column("Blank", width=46, help="Lookups left blank on rows that arrived"),
    "rows": tables.rows_column("Rows", width=56),
    "left": st.column_config.TextColumn("Left", width=52),
}
#: while it moves: how fast, and how long still, in place of how long it took
MOVING_COLUMNS = {
    **{name: column for name, column in COLUMNS.items() if name != "took"},
    "object": st.column_config.TextColumn("Object", width=145),
    "done": tables.share_column("Progress", width=70),
    "speed": tables.rows_column("Rows/s", width=50),
    "left": st.column_config.TextColumn("Left", width=60),
}


def shown_status(row: run_reads.RunRow) -> RunState:
    """The run's state; between a click on pause or cancel and the stop it says so at once."""
    if row.status in (RunState.CHECKING, RunState.RUNNING):
        return ASKED.get(row.requested_state or "", row.status)
    return row.status


def moves(row: run_reads.RunRow) -> bool:
    """Whether its figures can change by themselves within seconds."""
    return row.status not in FINISHED_RUNS and row.status not in run_reads.WAITING


def draw(first: run_reads.RunView) -> None:
    """Draw the live part; polls only while the run can move, and redraws the page when its state
    is another one."""
    row = first.row
    known, is_over = row.status, row.status in FINISHED_RUNS
    asked, workspace, fresh = shown_status(row), str(row.workspace_id), [True]
    tick = None if known in FINISHED_RUNS else SLOW_TICK if known in run_reads.WAITING else TICK

    @st.fragment(run_every=tick, key="run.live")
    def part() -> None:
        here = (visit.bridge(), visit.actor())
        # Drawn with the page, it stands on the page's own read: the one that is kept for all who
        # look may be older, and would ask for the page again and again.
        view = first if fresh or is_over else now(*here, row.name, workspace=workspace)
        fresh.clear()
        if shown_status(view.row) is not asked:
            st.rerun()
        _progress(view)
        _figures(view)
        _unfilled(view)
        steps = shown_steps(view)
        if not steps:
            if not is_over:
                st.caption("Objects and throughput appear when the first rows are read.")
            return
        left, right = st.columns([0.6, 0.4], gap="medium")
        with left:
            columns = columns_of(row, steps)
            tables.show(
                steps_frame(steps, list(columns), of=view.row),
                columns,
                key=f"run.steps.{'over' if is_over else 'moving'}",
                alt="Progress of every object of this run",
            )
        with right:
            look = (str(st.context.theme.type), str(st.context.timezone), known.value)
            figure = _throughput(*here, row.name, (workspace, *look))
            if figure is None and not is_over:
                st.caption("Throughput appears with the first rows.")
            elif figure is not None:
                told = "Rows written and failed per second"
                palette.place(figure, key="run.throughput", alt=told)

    part()


@st.cache_data(ttl="1s", max_entries=100, show_spinner=False)
def now(_bridge: Orgbridge, _actor: Actor, name: str, *, workspace: str) -> run_reads.RunView:
    """The run as it stands, read once a second however many people look at it.

    ``workspace`` is part of the cache's key: a name alone must not answer across workspaces.
    """
    return run_reads.shown(_bridge, _actor, name)


def columns_of(row: run_reads.RunRow, steps: Sequence[run_reads.StepLine] = ()) -> dict[str, Any]:
    """Columns of the table of objects; an undo takes rows back or keeps them as they are, and
    lookups that stayed blank have a column where there are any."""
    columns = COLUMNS if row.status in FINISHED_RUNS else MOVING_COLUMNS
    if any(step.lookups_left_blank for step in steps):
        beside = list(columns).index("failed") + 1
        order = [*list(columns)[:beside], BLANK, *list(columns)[beside:]]
        columns = {name: WITH_BLANKS.get(name) or columns[name] for name in order}
    if row.mode != "undo":
        return columns
    taken = "To undo" if row.options.get("preview") else "Undone"
    return {
        **columns,
        "written": tables.rows_column(taken, width=62),
        "failed": tables.rows_column("Kept", width=50),
    }


def steps_frame(
    steps: Sequence[run_reads.StepLine], columns: Sequence[str], *, of: run_reads.RunRow
) -> pd.DataFrame:
    """One row per object and pass."""
    waits = of.status in run_reads.WAITING
    lines = [
        {
            "object": told_name(step),
            "status": [words.word(words.STATUSES, status_of(step, of.status)).label],
            "done": share_done(step),
            "written": step.written,
            "failed": step.not_ok,
            BLANK: step.lookups_left_blank,
            "rows": planned(step),
            "took": figures.duration(took_s(step, until=of.finished_at)),
            "speed": None if waits else speed(step),
            "left": figures.MISSING if waits and step.finished_at is None else left(step),
        }
        for step in steps
    ]
    return tables.frame([{name: line[name] for name in columns} for line in lines], list(columns))


def planned(step: run_reads.StepLine) -> int | None:
    """Rows that the step is about; of a later pass it is known only once it has ended."""
    if step.planned or step.phase in ("load", "undo"):
        return step.planned
    return step.written or None


def told_name(step: run_reads.StepLine) -> str:
    """The object, and which pass over it."""
    name = object_name(step.mapping_name, step.target_object)
    return name + PASSES.get(step.phase, "")


def shown_steps(view: run_reads.RunView) -> list[run_reads.StepLine]:
    """Steps that were or will be carried: what a finished run never came to is left out."""
    is_over = view.row.status in FINISHED_RUNS
    return [step for step in view.steps if not (is_over and step.status == StepState.PENDING)]


def status_of(step: run_reads.StepLine, of: RunState) -> str:
    """A step that ended with rows that are not ok is partial, never green; one that its run left in
    the middle is what became of the run, or waits as it does."""
    if step.status == StepState.RUNNING:
        if of in FINISHED_RUNS:
            return of.value
        if of in run_reads.WAITING:
            return StepState.PAUSED
    is_partial = step.status == StepState.SUCCEEDED and (step.not_ok or step.lookups_left_blank)
    return StepState.PARTIAL if is_partial else step.status


def share_done(step: run_reads.StepLine) -> float:
    """How much of a step is settled, 0–100; a step that ended without a row is done."""
    if step.finished_at is not None:
        return 100.0
    return figures.share(step.done, step.planned)


def took_s(step: run_reads.StepLine, *, until: datetime | None = None) -> float | None:
    """Seconds that a step took, or has taken so far; ``until`` is when its run ended."""
    if step.started_at is None:
        return None
    end = step.finished_at or until or datetime.now(UTC)
    return max(0.0, (end - step.started_at).total_seconds())


def speed(step: run_reads.StepLine) -> int | None:
    """Rows settled per second since the step began; None when it does not move."""
    took = took_s(step)
    return round(step.done / took) if step.finished_at is None and took and step.done else None


def left(step: run_reads.StepLine) -> str:
    """How long a step still takes at its pace so far; "done" when it ended."""
    if step.finished_at is not None:
        return "done"
    took = took_s(step)
    if not took or not step.done:
        return figures.MISSING
    return figures.duration(max(0, step.planned - step.done) * took / step.done)


def _progress(view: run_reads.RunView) -> None:
    row = view.row
    if not view.totals.planned:
        is_over = row.status in FINISHED_RUNS
        st.progress(0.0, f"No row was read{'' if is_over else ' yet'}")
        return
    told = [
        f"**{figures.percent(view.totals.done, view.totals.planned)}**",
        f"{figures.count(view.totals.done)} of {figures.count(view.totals.planned)} rows",
    ]
    if shown_status(row) is RunState.RUNNING:
        told.append(_wave(view.steps))
        if view.seconds_left is not None:
            told.append(f"about {figures.duration(view.seconds_left)} left")
    st.progress(
        min(1.0, figures.share(view.totals.done, view.totals.planned) / 100), " · ".join(told)
    )


def _wave(steps: Sequence[run_reads.StepLine]) -> str:
    """Which wave is being loaded."""
    loads = [step for step in steps if step.phase == "load"]
    waves = sorted({step.wave for step in loads})
    open_ones = [step.wave for step in loads if step.finished_at is None]
    if not open_ones:
        return "last passes"
    return f"wave {waves.index(min(open_ones)) + 1} of {len(waves)}"


def _figures(view: run_reads.RunView) -> None:
    row = view.row
    written, failed, speed, calls, elapsed = st.columns(5)
    plain: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off", "border": True}
    written.metric(
        _written_word(row),
        figures.count(view.totals.written),
        f"{figures.percent(view.totals.written, view.totals.planned)} of plan",
        **plain,
    )
    failed.metric(
        "Left alone" if row.mode == "undo" else "Failed rows",
        figures.count(view.totals.failed),
        _failed_beside(view),
        delta_color="inverse" if view.still_failed else "off",
        delta_arrow="off",
        border=True,
    )
    waits, compared = row.status in run_reads.WAITING, versus(view)
    speed.metric(
        "Throughput",
        figures.MISSING if waits else f"{figures.count(view.rows_per_s)} rows/s",
        "waits" if waits else compared or "average",
        delta_color="green" if compared.startswith("↑") and not waits else "off",
        delta_arrow="off",
        border=True,
    )
    is_counted = bool(view.row.summary.get("api_calls"))
    calls.metric(
        "API calls",
        figures.count(view.api_calls) if is_counted else figures.MISSING,
        _calls_told(view, is_counted=is_counted),
        help="Calls left are those of the org that has fewer, source or target"
        if view.calls_left is not None
        else None,
        **plain,
    )
    waited = f"Of it {figures.duration(view.waited_s)} nobody carried it"
    elapsed.metric(
        "Elapsed",
        figures.duration(view.seconds),
        _ends(view),
        help=waited if view.waited_s >= WAIT_TOLD_S else None,
        **plain,
    )


def _failed_beside(view: run_reads.RunView) -> str:
    """The share of rows that failed, or what of them has arrived since."""
    if view.made_good_by and view.arrived_later < view.totals.failed:
        return "none is open"  # arrived, or out of the plan's scope by now
    if view.arrived_later:
        part = "all" if not view.still_failed else figures.count(view.arrived_later)
        return f"{part} arrived later"
    return f"{figures.percent(view.totals.failed, view.totals.done)} of rows"


def _unfilled(view: run_reads.RunView) -> None:
    """Why a run without failed rows is partial all the same."""
    totals = view.totals
    told = unfilled.told(totals.lookups_left_blank, totals.last_fields_left)
    if not told:
        return
    by_object = ", ".join(
        f"{escaped(told_name(step))} {figures.count(missing)}"
        for step in view.steps
        if (missing := unfilled_of(step))
    )
    said, later = f"{told[:1].upper()}{told[1:]} ({by_object}).", filled_words(view)
    if not view.still_unfilled:
        boxes.remark(f"{said} {later}".rstrip(), icon="check_circle", color="green")
        return
    why = "The rows arrived, so none of them counts as failed; Errors says why."
    boxes.remark(" ".join(part for part in (said, why, later) if part), icon="link_off")


def filled_words(view: run_reads.RunView) -> str:
    """How much of what the run left out was filled in since, and by which runs."""
    if view.made_good_by:
        return f"The later run {boxes.code(view.made_good_by)} left nothing behind."
    found = view.filled_later
    if not found:
        return ""
    runs = ", ".join(boxes.code(one.run) for one in found)
    values = sum(one.values for one in found)
    part = f"{figures.count(values)} of them" if view.still_unfilled else "All of them"
    return f"{part} {'was' if values == 1 else 'were'} filled in by {runs} since."


def unfilled_of(step: run_reads.StepLine) -> int:
    """What a step left without a value on rows that arrived."""
    last = step.failed + step.not_processed if step.phase == "finally" else 0
    return step.lookups_left_blank + last


def versus(view: run_reads.RunView) -> str:
    """Throughput beside that of the former run of the same plan and mode; "" without one."""
    former = view.former_rows_per_s
    if not former or not view.totals.done:
        return ""
    change = round(100 * (view.rows_per_s - former) / former)
    if not change:
        return "as in the last run"
    return f"{'↑' if change > 0 else '↓'} {abs(change)} % vs last run"


def _calls_told(view: run_reads.RunView, *, is_counted: bool) -> str:
    """How many calls are left; of a run of another day, which calls were counted."""
    ended = view.row.finished_at
    is_today = ended is None or visit.now() - ended < DAY
    if is_today and view.calls_left is not None:
        return f"{figures.count(view.calls_left)} left today"
    return "source and target" if is_counted else "none yet"


def _written_word(row: run_reads.RunRow) -> str:
    if row.mode == "undo":
        return "Would be taken back" if row.options.get("preview") else "Rows taken back"
    return "Would be written" if row.mode == "dry-run" else "Rows written"


def _ends(view: run_reads.RunView) -> str:
    row = view.row
    if row.finished_at is not None:
        return f"finished {figures.when(row.finished_at)}"
    if view.seconds_left is not None and shown_status(row) is RunState.RUNNING:
        end = visit.now() + timedelta(seconds=view.seconds_left)
        return f"finish ≈ {figures.ahead(end)}"
    return "not started" if row.started_at is None else f"since {figures.when(row.started_at)}"


@st.cache_resource(ttl="10s", max_entries=100, show_spinner=False)
def _throughput(
    _bridge: Orgbridge, _actor: Actor, name: str, look: tuple[str, ...]
) -> go.Figure | None:
    """Rows and failures per second, made every ten seconds for all who look; never changed.

    ``look`` is what the figure depends on beside the run: workspace, theme, time zone, state.
    """
    ticks = run_reads.throughput(_bridge, _actor, name)
    if not ticks:
        return None
    shades, ticks = palette.shades(), with_silence(ticks)
    at = [tick.at.astimezone(figures.zone()) for tick in ticks]
    figure = go.Figure()
    figure.add_scatter(
        x=at,
        y=[tick.rows for tick in ticks],
        name="rows/s",
        mode="lines" if len(at) > 1 else "markers",
        fill="tozeroy",
        line={"color": shades["blue"], "width": 2},
        fillcolor=shades["blue_area"],
    )
    figure.add_bar(
        x=at,
        y=[tick.failed for tick in ticks],
        name="failed/s",
        marker_color=shades["red"],
        width=None if len(at) > 1 else 1_000,  # milliseconds: one bar alone would be a hair
    )
    figure.update_layout(title={"text": "Throughput", "font": {"size": 13}, "x": 0})
    figure.update_yaxes(rangemode="tozero")
    if at[-1] - at[0] < SHORT_CHART:  # it would be ticked by milliseconds
        figure.update_xaxes(range=[at[0] - SHORT_CHART / 2, at[0] + SHORT_CHART])
    return palette.shaped(figure, height=300)


def with_silence(ticks: Sequence[run_reads.Tick]) -> list[run_reads.Tick]:
    """Ticks with a zero at both ends of every stretch in which nothing was settled.

    A line from before a wait to after it would tell of rows that never were.
    """
    step = max(timedelta(seconds=1), (ticks[-1].at - ticks[0].at) / run_reads.TICKS)
    told = [ticks[0]]
    for before, after in pairwise(ticks):
        if after.at - before.at > 1.5 * step:
            told.append(run_reads.Tick(before.at + step, 0, 0))
        if after.at - before.at > 2.5 * step:
            told.append(run_reads.Tick(after.at - step, 0, 0))
        told.append(after)
    return told
