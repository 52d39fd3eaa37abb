"""The one CSV button: the file is made on the click, in another thread, never during a rerun."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.csv import people_lines
from pages.parts import visit


def button(
    name: str,
    make: Callable[[], bytes],
    *,
    key: str,
    label: str = "CSV",
    **options: Any,
) -> None:
    """A download button; ``make`` gives the whole file and runs after the click only."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M")
    st.download_button(
        label,
        data=visit.kept(make),
        file_name=f"{name}-{stamp}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        key=key,
        help=options.pop("help", "Everything that the filter matches, as CSV"),
        **options,
    )


def page(name: str, make: Callable[[], bytes], *, key: str, label: str, help: str) -> None:
    """A download button for a report that a browser opens; made on the click as well."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M")
    st.download_button(
        label,
        data=visit.kept(make),
        file_name=f"{name}-{stamp}.html",
        mime="text/html",
        on_click="ignore",
        icon=":material/print:",
        key=key,
        help=help,
    )


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A CSV file: UTF-8 with byte order mark, one header, formulas defused, columns in this order.

    >>> rows = [["=1+1", -5], [["Late", "Off"], float("nan")]]
    >>> csv_bytes(["a", "b"], rows).decode("utf-8-sig").splitlines()
    ['a,b', "'=1+1,-5", 'Late; Off,']
    """
    lines = ([_cell(value) for value in row] for row in rows)
    return codecs.BOM_UTF8 + people_lines([columns]) + people_lines(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):  # pills of a table
        return "; ".join(str(each) for each in value)
    if isinstance(value, float) and math.isnan(value):  # what a frame makes of a missing number
        return ""
    if isinstance(value, datetime):
        return "" if pd.isna(value) else value.astimezone(UTC).isoformat()
    return str(value)
