"""One org's session: one token for all callers, renewed once however many find it expired."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from core.errors import SessionLostError
from core.salesforce.credentials import Credentials, TokenGrant
from core.secret import Secret

log = logging.getLogger(__name__)

#: asks the token endpoint for a new access token
Renew = Callable[[Credentials], TokenGrant]
#: told of new credentials, to store them
OnToken = Callable[[Credentials], None]
#: a lock across processes that yields the credentials as last stored (None: nothing newer known).
#: With rotating refresh tokens two processes that redeem the same one would both lose the org.
Guard = Callable[[], AbstractContextManager[Credentials | None]]


def unguarded() -> AbstractContextManager[Credentials | None]:
    """No lock beyond this process."""
    return nullcontext(None)


class Session:
    """Holds the credentials in use. Thread-safe."""

    def __init__(
        self,
        credentials: Credentials,
        renew: Renew,
        *,
        on_token: OnToken | None = None,
        guard: Guard = unguarded,
    ) -> None:
        self._credentials = credentials
        self._renew = renew
        self._on_token = on_token
        self._guard = guard
        self._lock = threading.Lock()
        #: the refusal that ended the session for good, with the token it is about
        self._ended: tuple[Secret, SessionLostError] | None = None

    @property
    def credentials(self) -> Credentials:
        """The credentials in use now."""
        return self._credentials

    @property
    def token(self) -> Secret:
        """The access token in use now."""
        return self._credentials.access_token

    def renew(self, expired: Secret) -> Secret:
        """A token that is not ``expired``: asked for once, every other caller waits and shares it.

        Raises:
            SessionLostError: the org refused, or nothing is stored that could renew; every later
                caller with the same token gets the same refusal without asking again.
        """
        with self._lock:
            if self.token != expired:
                return self.token
            if self._ended is not None and self._ended[0] == expired:
                raise self._ended[1]
            try:
                self._adopt_new_token(expired)
            except SessionLostError as exc:
                self._ended = (expired, exc)
                raise
            return self.token

    def _adopt_new_token(self, expired: Secret) -> None:
        with self._guard() as stored:
            if stored is not None:
                self._credentials = stored
            if self.token != expired:
                log.info("session renewed by another process")
                return
            if not self._credentials.renewable:
                raise SessionLostError(
                    "The org's session has ended, and no refresh token is stored.",
                    state="Nothing of this request was applied.",
                    next_step="Reconnect the org.",
                )
            self._credentials = self._credentials.with_tokens(self._renew(self._credentials))
            if self._on_token is not None:
                self._on_token(self._credentials)
        log.info("session renewed", extra={"flow": str(self._credentials.flow)})
