"""Writing DuckDB SQL safely: quoted names and constants."""

from __future__ import annotations

from datetime import date, datetime


def name(identifier: str) -> str:
    """Return ``identifier`` as a quoted SQL name."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return ``value`` as an SQL text constant."""
    return "'" + value.replace("'", "''") + "'"


def day(value: date) -> str:
    """Return ``value`` as an SQL date constant."""
    return f"DATE '{value.isoformat()}'"


def moment(value: datetime) -> str:
    """Return an aware ``value`` as the UTC timestamp that the store keeps."""
    return f"TIMESTAMP '{value.strftime('%Y-%m-%d %H:%M:%S.%f')}'"
