"""What a connection knows besides rows: the org's clock and the running user, for formulas."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb

from orgsim.soql import sql


def prepare(db: duckdb.DuckDBPyConnection, now: datetime, user_id: str) -> None:
    """Set the variables ``sim_now`` and ``sim_user`` of a connection; ``now`` is aware."""
    db.execute(f"SET VARIABLE sim_now = {sql.moment(now.astimezone(UTC))}")
    db.execute(f"SET VARIABLE sim_user = {sql.text(user_id)}")
