"""A row of choices whose value stands in the address by its own name, not by its label.

``bind="query-params"`` writes the label into the address (seen on Streamlit 1.67); labels carry
counts, so a link would lose its meaning with the next edit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st


def segmented(
    label: str,
    options: Sequence[str],
    *,
    key: str,
    default: str,
    format_func: Callable[[Any], str],
    **look: Any,
) -> str:
    """The chosen option; ``key`` is its name in the address, absent while it is the default."""
    held = f"choice.{key}"
    if st.session_state.get(held) not in options:
        asked = st.query_params.get(key)
        st.session_state[held] = asked if asked in options else default
    chosen = str(
        st.segmented_control(
            label, options, required=True, format_func=format_func, key=held, **look
        )
    )
    if chosen != st.query_params.get(key, default):
        if chosen == default:
            del st.query_params[key]
        else:
            st.query_params[key] = chosen
    return chosen


def pills(
    label: str,
    options: Sequence[str],
    *,
    key: str,
    default: Sequence[str],
    format_func: Callable[[Any], str],
    **look: Any,
) -> list[str]:
    """The chosen options, in their order; ``key`` names them in the address, in any case of
    letters, and is absent while they are the default."""
    held = f"choice.{key}"
    if held not in st.session_state:
        asked = {text.lower() for text in st.query_params.get_all(key)}
        st.session_state[held] = [one for one in options if one.lower() in asked] or list(default)
    picked = st.pills(
        label, options, selection_mode="multi", format_func=format_func, key=held, **look
    )
    chosen = [one for one in options if one in picked]
    if set(chosen) == set(default):
        st.query_params.pop(key, None)
    elif chosen != st.query_params.get_all(key):
        st.query_params[key] = chosen
    return chosen


def tabs(titles: Mapping[str, str], *, key: str) -> tuple[str, Any]:
    """Tabs by name; the open one's name and its container, the others are not computed.

    ``key`` is its name in the address, absent while the first tab is open. Titles may carry counts:
    a tab stays open when its title changes.
    """
    first = next(iter(titles))
    asked = st.query_params.get(key, first)
    current = asked if asked in titles else first
    held, last = f"tabs.{key}.{'|'.join(titles.values())}", f"tabs.{key}"
    # No `default`: it is part of the element's identity (seen on Streamlit 1.67), and a tab that is
    # clicked while the default moves with the address is lost. A new address is set as a value.
    if held not in st.session_state or st.session_state.get(last) != asked:
        st.session_state[held] = titles[current]
    drawn = st.tabs(list(titles.values()), key=held, on_change="rerun")
    found = zip(titles, drawn, strict=True)
    opened, place = next((each for each in found if each[1].open), (current, drawn[0]))
    st.session_state[last] = opened
    if opened != asked:
        if opened == first:
            st.query_params.pop(key, None)
        else:
            st.query_params[key] = opened
    return opened, place
