"""Chart colours per theme, and the one shape that all our figures have."""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go
import streamlit as st

#: the shades of .streamlit/config.toml: traces of plotly.graph_objects do not take the theme's
_LIGHT = {
    "blue": "#0b5cad",
    "green": "#12805c",
    "orange": "#c2570c",
    "red": "#c23934",
    "violet": "#6d4bc3",
    "gray": "#66758a",
    "yellow": "#a86403",
    "grid": "#e3e8ef",
    "text": "#56657a",
    "blue_area": "rgba(11,92,173,.10)",
}
_DARK = {
    "blue": "#6cb0f2",
    "green": "#3fbf8f",
    "orange": "#f19a53",
    "red": "#f0706a",
    "violet": "#a98df0",
    "gray": "#93a3b8",
    "yellow": "#e5bd4f",
    "grid": "#243142",
    "text": "#a6b4c6",
    "blue_area": "rgba(108,176,242,.12)",
}


def plain(text: str) -> str:
    """Text of others for a label or a hover: plotly draws tags, which then are shown as typed.

    >>> plain("<b>R&D</b>")
    '&lt;b&gt;R&amp;D&lt;/b&gt;'
    """
    return html.escape(text, quote=False)


def shades() -> dict[str, str]:
    """Colour codes by name for the theme that the visitor sees."""
    return _DARK if st.context.theme.type == "dark" else _LIGHT


def draw(figure: go.Figure, *, key: str, alt: str, height: int = 260, **options: Any) -> Any:
    """Draw a figure as all are: no tool bar, tight margins, legend on top, read out by ``alt``."""
    return place(shaped(figure, height=height), key=key, alt=alt, **options)


def shaped(figure: go.Figure, *, height: int) -> go.Figure:
    """The figure in the look that all have; what `place` draws any number of times."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        hovermode=figure.layout.hovermode or "x unified",
        uirevision="keep",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure.update_yaxes(gridcolor=shades()["grid"], zeroline=False)


def place(figure: go.Figure, *, key: str, alt: str, **options: Any) -> Any:
    """Draw a figure that was shaped before."""
    return st.plotly_chart(
        figure, key=key, alt=alt, config={"displayModeBar": False}, width="stretch", **options
    )
