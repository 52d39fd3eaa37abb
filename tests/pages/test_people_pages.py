"""API keys on their page, and the workspace switch in the sidebar."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.services import api_keys, people, workspaces
from pages.parts import api_reference, state

from .conftest import FRAME, Opened


def test_keys_are_listed_with_their_state_and_without_their_text(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    """Making and revoking one is walked in tests/browser: dialogs need a browser."""
    made = api_keys.make(bridge, actor, name="nightly", role=Role.ANALYST)
    gone = api_keys.make(bridge, actor, name="old", role=Role.VIEWER)
    api_keys.revoke(bridge, actor, gone.id)

    page = opened("admin/api_keys.py")

    assert not page.exception
    listed = page.dataframe[0]
    shown = listed.value.set_index("name")
    assert list(shown["state"]["nightly"]) == ["Valid"]
    assert list(shown["state"]["old"]) == ["Revoked"]
    text = made.text.reveal()
    assert shown["key"]["nightly"].startswith(text[:10]) and text not in listed.value.to_csv()


def test_an_analyst_is_offered_no_greater_role_and_no_endless_key(opened: Opened) -> None:
    page = opened("admin/api_keys.py", role=Role.ANALYST)
    page.button(key="keys.make").click().run()

    assert page.segmented_control(key="key.role").options == ["Viewer", "Analyst"]
    assert "Until it is revoked" not in page.selectbox(key="key.life").options


def test_the_switch_shows_for_two_workspaces_and_changes_what_is_seen(
    bridge: Orgbridge, admin: people.Visitor
) -> None:
    """Role and rows are those of the other workspace from the next click on."""
    operator = Actor(bridge.workspace_id(), None, "terminal:x", Role.ADMIN, "terminal")
    other = workspaces.create(bridge, operator, name="europe")
    there = Actor(other, None, "terminal:x", Role.ADMIN, "terminal")
    signed = people.sign_in(
        bridge, email=admin.email, password="a short sentence, easy to remember", origin="t"
    )

    def opened() -> AppTest:
        app = AppTest.from_file(str(FRAME), default_timeout=90)
        app.session_state[state.TOKEN] = signed.token
        return app.run()

    alone = opened()
    workspaces.join(bridge, there, email=admin.email, role=Role.VIEWER)
    page = opened()
    (switch,) = page.sidebar.selectbox
    options, label = switch.options, switch.value.name
    switch.select_index(options.index("europe")).run()

    assert not alone.sidebar.selectbox
    assert (options, label) == (["europe", "main"], "main")
    assert not page.exception
    now = people.who(bridge, signed.token)
    assert now is not None and (now.actor.workspace_id, now.actor.role) == (other, Role.VIEWER)
    (moved,) = page.sidebar.selectbox
    assert moved.value.name == "europe"


def test_what_a_key_opens_is_told_address_by_address(opened: Opened) -> None:
    page = opened("admin/api_keys.py", role=Role.ANALYST)

    assert not page.exception and not page.error
    paths = next(one.value for one in page.dataframe if "path" in one.value.columns)
    for kind in ("record_counts", "duplicates", "export_logs"):
        assert f"/api/v1/operations/{kind}" in paths["path"].to_list()
    assert page.code[0].value == api_reference.command("get", "/api/v1/operations")
    schema = {"required": ["org"], "properties": {"org": {"type": "string"}}}
    told = api_reference.command("post", "/api/v1/operations/duplicates", schema=schema)
    assert """-d '{"org": "<org>"}' "$ORGBRIDGE/api/v1/operations/duplicates\"""" in told
