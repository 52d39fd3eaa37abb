"""A file that is made on the click, in a thread without the browser's cookies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import streamlit as st
from sqlalchemy import event

from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError
from core.services import people
from pages.parts import state, visit

from .conftest import Opened, Signed


def elsewhere(act: Callable[[], Actor]) -> Actor | Exception:
    """What comes of it in another thread."""
    found: list[Actor | Exception] = []

    def run() -> None:
        try:
            found.append(act())
        except NotAllowedError as refused:
            found.append(refused)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture
def token(token_of: Signed) -> str:
    """The session of a viewer whose page is drawn."""
    shown = token_of(Role.VIEWER)
    st.session_state[state.TOKEN] = shown
    return shown


def test_a_file_is_made_as_the_visitor_who_clicked(token: str) -> None:
    made = visit.kept(visit.actor)

    found = elsewhere(made)

    assert isinstance(found, Actor)
    assert found.role is Role.VIEWER


def test_a_session_that_ended_meanwhile_gets_no_file(token: str, bridge: Orgbridge) -> None:
    made = visit.kept(visit.actor)
    people.sign_out(bridge, token)

    assert isinstance(elsewhere(made), NotAllowedError)


ASKS_OFTEN = """
import streamlit as st
from pages.parts import visit

st.session_state["met"] = [visit.actor().role for _ in range(5)]
"""


@contextmanager
def looked_up(bridge: Orgbridge) -> Iterator[list[str]]:
    """Statements that look a session up, as they are sent."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM user_session" in statement:
            sent.append(statement)

    event.listen(bridge.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(bridge.engine, "before_cursor_execute", note)


def test_a_visitor_is_looked_up_once_in_every_run_of_a_script(
    bridge: Orgbridge, drawn: Opened
) -> None:
    app = drawn(ASKS_OFTEN)

    with looked_up(bridge) as first:
        app.run()
    with looked_up(bridge) as second:
        app.run()

    assert app.session_state["met"] == [Role.ADMIN] * 5
    assert (len(first), len(second)) == (1, 1)


def test_a_session_that_ends_ends_with_the_next_run_of_a_script(
    bridge: Orgbridge, drawn: Opened
) -> None:
    """However soon that comes."""
    app = drawn(ASKS_OFTEN)
    del app.session_state["met"]

    people.sign_out(bridge, app.session_state[state.TOKEN])
    app.run()

    assert "met" not in app.session_state
    assert [each.value for each in app.subheader] == ["You are signed out"]
