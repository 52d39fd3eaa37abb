"""Who looks at this page: the visitor behind the session cookie, looked up again on every run.

The gate has checked the cookie before the page could open; looking again here ends a revoked
session on the person's next click, although their WebSocket is still open.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.api import process
from core.api.cookies import SESSION_COOKIE
from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError
from core.services import people
from pages.parts import state

T = TypeVar("T")
#: the session token of whoever asked for a file, while it is made
_LENT: ContextVar[str] = ContextVar("lent", default="")
#: an answer counts for one run of a script, and for no longer than this within a long one
_SEEN_FOR_S = 2.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """Who was found, for which run of a script and which token."""

    #: Streamlit 1.67 makes a new one for every run: clicks, fragments and callbacks alike
    run: object
    token: str
    visitor: people.Visitor
    until: float


_SEEN: ContextVar[_Seen | None] = ContextVar("seen", default=None)


def bridge() -> Orgbridge:
    """The composition root that this server runs on."""
    return process.bridge()


def token() -> str:
    """The session token that the browser sent; "" for none.

    Where no browser is, what `remember` kept in the session state counts, which nobody outside can
    write: page tests have none, and a callback may end after its window was closed.
    """
    if _LENT.get():
        return _LENT.get()
    shown = st.context.cookies.get(SESSION_COOKIE)
    return shown if isinstance(shown, str) else str(st.session_state.get(state.TOKEN, ""))


def remember() -> None:
    """Keep the token for what the person just did: a closed window takes its cookies along."""
    st.session_state[state.TOKEN] = token()


def kept(act: Callable[[], T]) -> Callable[[], T]:
    """The act as this visitor, for a thread of its own: a file that is made on the click.

    There the browser's cookies are out of reach (Streamlit 1.67 makes such files outside the
    script's context); the session is looked up again all the same, so that one that has ended
    gets nothing.
    """
    shown = token()

    def acted() -> T:
        mark = _LENT.set(shown)
        try:
            return act()
        finally:
            _LENT.reset(mark)

    return acted


def visitor() -> people.Visitor | None:
    """The person, or None when the session has ended; looked up once in a run of a script."""
    shown = token()
    if not shown:
        return None
    running = None if _LENT.get() else get_script_run_ctx(suppress_warning=True)
    run = None if running is None else running.parallel_coordinator
    seen, now_s = _SEEN.get(), time.monotonic()
    if run is not None and seen is not None and seen.run is run:
        if seen.token == shown and now_s < seen.until:
            return seen.visitor
    found = people.who(bridge(), shown)
    if found is not None and run is not None:
        _SEEN.set(_Seen(run, shown, found, now_s + _SEEN_FOR_S))
    return found


def actor() -> Actor:
    """On whose behalf the page acts; stops the run when the session has just ended."""
    here = visitor()
    if here is None and _LENT.get():
        raise NotAllowedError("Your session has ended.", next_step="Sign in again.")
    if here is None:
        draw_signed_out()
        st.stop()
    return here.actor


def shows_dialog() -> bool:
    """Whether this run has opened a dialog, which a rerun would close again."""
    running = get_script_run_ctx(suppress_warning=True)
    return running is not None and running.has_dialog_opened


def now() -> dt.datetime:
    """The product's clock: aware, UTC."""
    return bridge().clock()


def may(role: Role) -> bool:
    """Whether the visitor has at least this role; services check again."""
    return actor().role >= role


def draw_signed_out() -> None:
    """Say that the session has ended, with the way back in."""
    with st.container(border=True, width=440):
        st.subheader("You are signed out", anchor=False)
        st.caption("Your session has ended. Running migrations go on without you.")
        # A plain link stays in this tab; st.link_button would open a second one.
        st.html('<a href="/login">Sign in again</a>')
