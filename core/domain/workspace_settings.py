"""Settings of a workspace: their defaults, their bounds, how stored ones are read.

Stored is only what differs from the defaults, so that a better default of a later release holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import UserError

#: run logs stay at least this long, whatever is set (retention rule of the data model)
RUN_LOG_DAYS_MIN = 365


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """What a workspace's admin decides."""

    #: a launch into a protected org waits for another person with the role approver
    approval_needed: bool = True
    #: a launch into a protected org asks for the org's typed name
    typed_confirmation: bool = True
    #: more rows than this need an approval into any org; 0 = no such limit
    approval_above_rows: int = 0
    #: no launch writes more rows than this into a protected org; 0 = no such limit
    max_rows: int = 0
    #: a run stops asking the org when this share of its daily calls is used
    api_budget_percent: int = 90
    #: zone of schedules and of times in notices
    time_zone: str = "UTC"
    #: days after which rows marked as temporary go
    temporary_days: int = 30
    #: days that extracted rows and before-images stay (undo works as long)
    before_image_days: int = 30
    #: days that runs and their logs stay
    run_log_days: int = 730
    #: days that delivered notifications stay listed
    notification_days: int = 90
    #: days that signed-out sessions and old attempts stay listed
    session_days: int = 30


#: smallest and greatest value of each number
_BOUNDS = {
    "approval_above_rows": (0, 10**9),
    "max_rows": (0, 10**9),
    "api_budget_percent": (1, 100),
    "temporary_days": (1, 3_650),
    "before_image_days": (1, 3_650),
    "run_log_days": (RUN_LOG_DAYS_MIN, 36_500),
    "notification_days": (1, 3_650),
    "session_days": (1, 3_650),
}


#: what the pages call them
_TOLD = {
    "approval_above_rows": "Rows above which a launch needs approval",
    "max_rows": "Most rows of one launch",
    "api_budget_percent": "Share of the daily API calls",
    "temporary_days": "Days of temporary data",
    "before_image_days": "Days of before-images",
    "run_log_days": "Days of runs and their logs",
    "notification_days": "Days of delivered notifications",
    "session_days": "Days of ended sessions",
}


def read_settings(stored: Mapping[str, Any]) -> WorkspaceSettings:
    """Stored values over defaults; a name that an older release stored is passed over."""
    return WorkspaceSettings(**{name: stored[name] for name in _FIELDS if name in stored})


def checked(name: str, value: bool | int | str) -> bool | int | str:
    """A setting's value if it may be stored.

    Raises:
        UserError: says what is wrong and what is accepted.
    """
    field = _FIELDS.get(name)
    if field is None:
        raise UserError(f"There is no setting “{name}”.")
    wanted: type = type(field.default)
    if type(value) is not wanted:
        raise UserError(f"The setting {name} takes {_WORDS[wanted]}.")
    low, high = _BOUNDS.get(name, (0, 0))
    if isinstance(value, int) and high and not low <= value <= high:
        raise UserError(
            f"{_TOLD.get(name, name)}: {value} is out of bounds.",
            state="Nothing was changed.",
            next_step=f"Choose a number from {low} to {high}.",
        )
    if name == "time_zone":
        _check_zone(str(value))
    return value


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UserError(
            f"“{name}” is not a time zone.", next_step="Write one such as Europe/Vienna."
        ) from None


_FIELDS = {field.name: field for field in dataclasses.fields(WorkspaceSettings)}
_WORDS = {bool: "yes or no", int: "a whole number", str: "a text"}
