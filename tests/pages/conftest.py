"""What page tests share: a person with a role, and the frame run as that person."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.api import process
from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.services import people
from pages.parts import state

FRAME = Path(__file__).resolve().parents[2] / "pages" / "frame.py"
PASSWORD = "a short sentence, easy to remember"
Signed = Callable[[Role], str]
Opened = Callable[..., AppTest]


def edited(app: AppTest, key: str, **edits: Any) -> AppTest:
    """What the browser sends for edits of the table with this key, callbacks included."""
    (table,) = [each for each in app.data_editor if each.key == key]
    told = app._tree.get_widget_states()
    whole = {"edited_rows": {}, "added_rows": [], "deleted_rows": [], **edits}
    told.widgets.add(id=table.proto.id, string_value=json.dumps(whole))
    return app._run(told)


@pytest.fixture(autouse=True)
def served(bridge: Orgbridge, components_looked_up_once: None) -> Iterator[None]:
    """The process holds the test's own product; nothing cached outlives the test."""
    process.hold(bridge)
    yield
    process.hold(None)
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def admin(bridge: Orgbridge) -> people.Visitor:
    """The first admin, signed in."""
    code = people.issue_setup_code(bridge)
    assert code is not None
    signed = people.create_first_admin(
        bridge,
        code=code,
        name="Mira Koch",
        email="mira@acme.example",
        password=PASSWORD,
        origin="127.0.0.1",
    )
    visitor = people.who(bridge, signed.token)
    assert visitor is not None
    return visitor


@pytest.fixture
def token_of(bridge: Orgbridge, admin: people.Visitor) -> Signed:
    """Token of a person with a role; each call makes another person."""

    def make(role: Role) -> str:
        email = f"{role.name.lower()}@acme.example"
        made = people.invite(bridge, admin.actor, name=role.name.title(), email=email, role=role)
        signed = people.accept_invitation(
            bridge,
            token=made.token,
            name=role.name.title(),
            password=PASSWORD,
            origin="127.0.0.1",
        )
        return signed.token

    return make


@pytest.fixture
def actor(admin: people.Visitor) -> Actor:
    """On whose behalf a test prepares things."""
    return admin.actor


@pytest.fixture
def opened(token_of: Signed) -> Opened:
    """Open a page as a person of a role; runs the frame once."""

    def run(file: str = "", *, role: Role = Role.ADMIN, **params: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(FRAME), default_timeout=90)
        app.session_state[state.TOKEN] = token_of(role)
        for name, text in params.items():
            app.query_params[name] = text
        if file:
            app.switch_page(file)
        return app.run()

    return run


@pytest.fixture
def drawn(token_of: Signed) -> Opened:
    """Run a piece of page code as a person of a role: dialogs stay open between clicks so."""

    def run(script: str, *, role: Role = Role.ADMIN) -> AppTest:
        app = AppTest.from_string(script, default_timeout=90)
        app.session_state[state.TOKEN] = token_of(role)
        return app.run()

    return run
