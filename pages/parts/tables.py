"""Tables that look alike: heights, columns, what a row click means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import figures

ROW_HEIGHT = 32
HEADER_HEIGHT = 36
#: beyond this many rows a table scrolls instead of growing
CONTENT_ROWS = 15
#: rows of one page of a long list; the rest stays in the database
PAGE_ROWS = 200

number = st.column_config.NumberColumn


def rows_column(label: str, **options: Any) -> Any:
    """Column of whole numbers, thousands separated, right-aligned."""
    return number(label, format="localized", **options)


def share_column(label: str, **options: Any) -> Any:
    """Column of bars for shares 0–100."""
    return st.column_config.ProgressColumn(
        label, min_value=0, max_value=100, format="%d%%", **options
    )


def time_column(label: str, **options: Any) -> Any:
    """Column of moments in the visitor's zone."""
    return st.column_config.DatetimeColumn(
        label, format="D MMM YYYY, HH:mm:ss", timezone=st.context.timezone or "UTC", **options
    )


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a frame with exactly these columns, also when there are none."""
    return pd.DataFrame(list(rows), columns=list(columns))


def height(rows: int) -> Any:
    """As high as the rows need, up to a limit."""
    return "content" if rows <= CONTENT_ROWS else HEADER_HEIGHT + CONTENT_ROWS * ROW_HEIGHT


def show(data: Any, columns: Mapping[str, Any], *, key: str, alt: str, **options: Any) -> Any:
    """Draw a table: no index, our row height, ``alt`` text; sends listed columns only.

    Args:
        data: a frame, or the Styler of one, whose columns are all sent.
    """
    is_plain = isinstance(data, pd.DataFrame)
    options.setdefault("height", height(len(data if is_plain else data.data)))
    options.setdefault("placeholder", figures.MISSING)
    return st.dataframe(
        data[[name for name in columns if name in data.columns]] if is_plain else data,
        column_config=dict(columns),
        hide_index=True,
        row_height=ROW_HEIGHT,
        key=key,
        alt=alt,
        **options,
    )


def picked(chosen: Any) -> int | None:
    """Position of the selected row of a table drawn with a selection, or None."""
    rows = chosen.selection.rows if chosen is not None else []
    return rows[0] if rows else None


def page_of(total: int, *, key: str, page_rows: int = PAGE_ROWS) -> int:
    """Draw the pager when there is more than one page; the page's number, from 1."""
    pages = max(1, -(-total // page_rows))
    if pages == 1:
        return 1
    return int(st.pagination(pages, key=key))
