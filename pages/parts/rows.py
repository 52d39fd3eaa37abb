"""The rows that head every page: title with state and actions, then the org pair with facts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from pages.parts.boxes import escaped


@contextmanager
def head(title: str, *, badge: str = "", purpose: str = "") -> Iterator[None]:
    """Title left with its state; what is drawn inside the block stands right of it.

    ``badge`` is markdown of ours, ``title`` may come from people and is escaped.
    """
    with st.container(horizontal=True, vertical_alignment="center", wrap=False):
        text = f"{escaped(title)}  {badge}" if badge else escaped(title)
        st.title(text, anchor=False, width="stretch")
        yield
    if purpose:
        st.caption(purpose)


def facts(pair: str, *parts: str) -> None:
    """The second row: org badges (markdown of ours), then facts in gray."""
    told = " · ".join(part for part in parts if part)
    st.markdown(f"{pair}  :gray[{told}]" if told else pair)
