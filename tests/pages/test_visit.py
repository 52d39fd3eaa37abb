"""A file that is made on the click, in a thread without the browser's cookies."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import streamlit as st

from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError
from core.services import people
from pages.parts import state, visit

from .conftest import Signed


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
