"""The notifications page: empty, with rules and deliveries, never with an address."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from core import notices as delivery
from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.notices import Notice, NoticeEvent
from core.notices.senders import NullSender
from core.secret import Secret
from core.services import notices
from core.services.notices import RuleRequest
from pages.parts import notice_rules

#: Apprise 2.2 imports imghdr where Python still has it
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

Opened = Callable[..., AppTest]
PAGE = "admin/notifications.py"


def test_every_event_and_channel_has_words() -> None:
    """A new one has to be told to people in their words."""
    assert set(notice_rules.EVENTS) == set(NoticeEvent) - {NoticeEvent.TEST}
    assert set(notice_rules.CHANNEL_WORDS) == set(notices.CHANNELS) == set(notice_rules.EXAMPLES)


def test_an_empty_page_says_what_a_rule_is_for(opened: Opened) -> None:
    page = opened(PAGE)

    assert not page.exception and not page.error
    assert any("Nobody is told anything yet" in box.value for box in page.markdown)


def test_rules_and_deliveries_are_listed_without_addresses(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    request = RuleRequest(
        name="Team channel",
        events=(str(NoticeEvent.RUN_FAILED),),
        channel="webhook",
        address=Secret("json://user:planted-password@hooks.invalid:9"),
    )
    notices.add_rule(bridge, actor, request)
    with bridge.session(actor.workspace_id) as session:
        notice = Notice(event=NoticeEvent.RUN_FAILED, subject="R-1", title="Failed: R-1", body="x")
        delivery.tell(session, notice)
    delivery.deliver(bridge, sender=NullSender())

    page = opened(PAGE)

    assert not page.exception and not page.error
    rules, log = (each.value for each in page.dataframe)
    assert rules["name"].tolist() == ["Team channel"]
    assert rules["when"].tolist() == ["A run failed"]
    assert log["title"].tolist() == ["Failed: R-1"]
    assert "planted-password" not in str(page.main)


def test_the_dialog_asks_for_everything_a_rule_has(opened: Opened) -> None:
    """AppTest closes a dialog with its next run, so that saving is tested at the service."""
    page = opened(PAGE)
    page.button(key="notices.new").click().run()

    assert not page.exception and not page.error
    here = "notices.rule.new"
    assert page.text_input(key=f"{here}.name").value == ""
    assert page.multiselect(key=f"{here}.events").options == list(notice_rules.EVENTS.values())
    assert page.selectbox(key=f"{here}.channel").options[0] == "E-mail"
    assert page.selectbox(key=f"{here}.plan").options == ["Every one"]
    assert (
        page.text_input(key=f"{here}.address").proto.type
        == page.text_input(key=f"{here}.address").proto.PASSWORD
    )
    assert page.toggle(key=f"{here}.on").value
