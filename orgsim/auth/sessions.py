"""Access tokens: issued, found, expired, revoked. Kept in the store, so a restart forgets none."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orgsim.store import Store

_TABLE = """
CREATE TABLE IF NOT EXISTS "@session"
  (token VARCHAR, user_id VARCHAR, issued TIMESTAMP, expires TIMESTAMP)
"""

#: Session length of an org unless its administrator changed it. Source: "Session Settings", 2
#: hours.
SESSION_HOURS = 2


@dataclass(frozen=True, slots=True)
class Session:
    """One access token; ``expires`` is None for the administrator's lasting one."""

    token: str
    user_id: str
    issued: datetime
    expires: datetime | None


class Sessions:
    """The org's access tokens. Tokens begin with the 15-character organization id and ``!``."""

    def __init__(self, store: Store, organization_id: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._organization_id = organization_id
        self._now = now
        self._lock = threading.Lock()
        store.ddl(_TABLE)
        with store.read() as cursor:
            rows = cursor.execute(
                'SELECT token, user_id, issued, expires FROM "@session"'
            ).fetchall()
        self._known = {
            token: Session(token, user_id, _aware(issued), _aware(expires) if expires else None)
            for token, user_id, issued, expires in rows
        }

    def issue(self, user_id: str, *, lasting: bool = False, hours: float = SESSION_HOURS) -> str:
        """A new access token for the user."""
        now = self._now()
        token = f"{self._organization_id[:15]}!AQEAQ{secrets.token_urlsafe(60)}"
        expires = None if lasting else now + timedelta(hours=hours)
        with self._store.write() as transaction:
            transaction.cursor.execute(
                'INSERT INTO "@session" VALUES (?, ?, ?, ?)',
                [token, user_id, _naive(now), _naive(expires) if expires else None],
            )
        with self._lock:
            self._known[token] = Session(token, user_id, now, expires)
        return token

    def find(self, token: str) -> Session | None:
        """The live session of a token, or None."""
        session = self._known.get(token)
        if session is None or (session.expires is not None and session.expires <= self._now()):
            return None
        return session

    def revoke(self, token: str) -> bool:
        """Ends one session; False when there was none."""
        with self._lock:
            found = self._known.pop(token, None)
        with self._store.write() as transaction:
            transaction.cursor.execute('DELETE FROM "@session" WHERE token = ?', [token])
        return found is not None

    def expire_all(self, *, lasting: bool = False) -> int:
        """Ends every session, the lasting ones only when asked; returns how many."""
        ended = [one.token for one in list(self._known.values()) if one.expires or lasting]
        for token in ended:
            self.revoke(token)
        return len(ended)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
