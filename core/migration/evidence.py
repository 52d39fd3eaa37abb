"""What a proof stands on beside the rows themselves: how many rows the target held before and after
the run, and with whose eyes both orgs were read (rule 1.3).

Cost: one request per 25 objects for a count, one or two per org for its user.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from core.errors import DailyLimitError, OrgbridgeError, SessionLostError
from core.migration.context import RunContext
from core.salesforce.identity import OrgIdentity, UserPermissions


class _Reader(Protocol):
    """A side of a run."""

    @property
    def identity(self) -> OrgIdentity:
        """Who reads."""

    def user_permissions(self) -> UserPermissions:
        """What the reader may see."""


def target_counts(run: RunContext, objects: Iterable[str]) -> dict[str, int | None]:
    """Live rows of each target object as its user sees them; None where the org would not say.

    Raises:
        SessionLostError, DailyLimitError: nothing else could be asked either.
    """
    names = sorted(set(objects))
    counted = run.target.counts([f"SELECT COUNT() FROM {name}" for name in names])
    found: dict[str, int | None] = {}
    for name, number in zip(names, counted, strict=True):
        if isinstance(number, SessionLostError | DailyLimitError):
            raise number
        found[name] = number if isinstance(number, int) else None
    return found


def readers(run: RunContext) -> dict[str, dict[str, Any]]:
    """``{"source": {"user", "sees_all"}, "target": …}``; sees_all is None where it is not known."""
    return {"source": _reader(run.source), "target": _reader(run.target)}


def _reader(org: _Reader) -> dict[str, Any]:
    try:
        sees_all = org.user_permissions().view_all_data
    except (SessionLostError, DailyLimitError):
        raise
    except OrgbridgeError:
        sees_all = None
    return {"user": org.identity.username, "sees_all": sees_all}
