"""Days that a person picks, as moments: from the first day's midnight to the last day's end."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pages.parts import figures


def day_start(day: date, *, days_later: int = 0) -> datetime:
    """Midnight of a day in the visitor's zone, as UTC."""
    local = datetime.combine(day + timedelta(days=days_later), time(), tzinfo=figures.zone())
    return local.astimezone(UTC)


def bounds(span: Any) -> tuple[datetime | None, datetime | None]:
    """Both ends of what ``st.date_input`` gave; a half-picked span has no end yet.

    An address may name them the wrong way round.
    """
    picked = tuple(sorted(span)) if isinstance(span, tuple) else (span,)
    since = day_start(picked[0]) if picked else None
    until = day_start(picked[-1], days_later=1) if len(picked) == 2 else None
    return since, until
