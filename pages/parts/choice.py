"""A row of choices whose value stands in the address by its own name, not by its label.

``bind="query-params"`` writes the label into the address (seen on Streamlit 1.67); labels carry
counts, so a link would lose its meaning with the next edit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
