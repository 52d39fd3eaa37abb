"""Reads one row without leaving the cursor's result open.

DuckDB 2.0 refuses the next statement of a cursor (registering a frame is one) while a result has
rows left; ``fetchone`` leaves it so.
"""

from __future__ import annotations

from typing import Any

import duckdb


def first_row(answered: duckdb.DuckDBPyConnection) -> tuple[Any, ...] | None:
    """The first row of what was just executed, or None; the result is used up."""
    rows = answered.fetchall()
    return rows[0] if rows else None
