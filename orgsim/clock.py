"""The org's clock: real time plus an offset that tests may move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Aware UTC; never standing still unless frozen."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._frozen: datetime | None = None

    def now(self) -> datetime:
        """The org's present time."""
        if self._frozen is not None:
            return self._frozen
        return datetime.now(UTC) + self._offset

    def move(self, seconds: float) -> None:
        """Moves the clock (and a frozen time) by so many seconds."""
        if self._frozen is not None:
            self._frozen += timedelta(seconds=seconds)
        self._offset += timedelta(seconds=seconds)

    def freeze(self, moment: datetime | None) -> None:
        """Stops the clock at an aware moment; None lets it run again."""
        self._frozen = moment

    def reset(self) -> None:
        """Back to the machine's time."""
        self._offset, self._frozen = timedelta(), None
