"""The one composition root that this process serves: the app's lifespan holds it for the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import BugError

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

_held: Orgbridge | None = None


def hold(bridge: Orgbridge | None) -> None:
    """Make ``bridge`` the one that routes and pages use; None lets go of it."""
    global _held  # noqa: PLW0603 - one server, one root; pages have no other way to reach it
    _held = bridge


def held() -> Orgbridge | None:
    """The root that is held, or None while the server starts or stops."""
    return _held


def bridge() -> Orgbridge:
    """The root that is held.

    Raises:
        BugError: nothing is held, so the server is starting or stopping.
    """
    if _held is None:
        raise BugError(
            "The server is starting or stopping.",
            state="Nothing was done.",
            next_step="Reload the page in a few seconds.",
        )
    return _held
