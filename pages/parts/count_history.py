"""How the counts of one object went over time: a line per org, a point per count."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from core.services import operations
from pages.parts import figures, palette, visit

KIND = "record_counts"
#: counts that the line goes back
POINTS = 30
#: fewer rows between the lowest and the highest point than this are a flat line
FLAT = 4


def draw(plan: str, name: str) -> None:
    """The line of one object of a plan; nothing before the second count."""
    points = [
        (entry.finished_at, row["source"], row["target"])
        for entry in operations.entries(visit.bridge(), visit.actor(), KIND, limit=200)
        if entry.parameters.get("plan") == plan and entry.finished_at is not None
        for row in entry.result.get("objects", ())
        if row["name"] == name
    ][:POINTS]
    if len(points) < 2:
        return
    times = [at for at, _, _ in points]
    first, last = points[-1], points[0]
    st.caption(
        f"Last {len(points)} counts since {figures.when(first[0])}; the target is now "
        + distance(last[1], last[2])
    )
    shades = palette.shades()
    figure = go.Figure()
    figure.add_scatter(
        x=times, y=[one[1] for one in points], name="Source", line={"color": shades["gray"]}
    )
    figure.add_scatter(
        x=times,
        y=[one[2] for one in points],
        name="Target",
        line={"color": shades["blue"]},
        mode="lines+markers",
    )
    figure.update_layout(hovermode="x unified")
    levels = [number for _, *both in points for number in both if number is not None]
    if levels and max(levels) - min(levels) < FLAT:
        # ticks between whole rows would repeat themselves
        figure.update_yaxes(range=[min(levels) - 2, max(levels) + 2], dtick=2)
    figure.update_yaxes(tickformat=",d")
    palette.draw(
        figure, key=f"counts.history.{name}", alt=f"Counts of {name} over time", height=180
    )


def distance(source: int | None, target: int | None) -> str:
    """How far the target is from the source, in words."""
    if source is None or target is None:
        return "unknown: an org did not count"
    drift = target - source
    if not drift:
        return "level with the source"
    rows = "row" if abs(drift) == 1 else "rows"
    return f"{abs(drift):,} {rows} {'behind' if drift < 0 else 'ahead of'} the source"
