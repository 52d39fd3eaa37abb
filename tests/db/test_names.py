"""Whatever people name has a limit that is told before anything is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.bootstrap import Orgbridge
from core.domain.names import NAME_MAX_CHARS
from core.domain.roles import Actor, Role
from core.errors import UserError
from core.secret import Secret
from core.services import api_keys, notices, people, schedules, settings
from core.services.notices import RuleRequest
from core.services.schedules import ScheduleRequest

HOOK = Secret("json://hooks.example.org/orgbridge")
Make = Callable[[Orgbridge, Actor, str], object]
MADE: dict[str, Make] = {
    "A rule": lambda bridge, actor, name: notices.add_rule(
        bridge,
        actor,
        RuleRequest(name=name, events=("run_failed",), channel="webhook", address=HOOK),
    ),
    "A person": lambda bridge, actor, name: people.invite(
        bridge, actor, name=name, email="eve@acme.example", role=Role.VIEWER
    ),
    "A schedule": lambda bridge, actor, name: schedules.create(
        bridge, actor, ScheduleRequest(name, "0 2 * * *", operation="record_counts")
    ),
    "A key": lambda bridge, actor, name: api_keys.make(bridge, actor, name=name, role=Role.VIEWER),
}


@pytest.fixture
def mira(bridge: Orgbridge) -> Actor:
    code = people.issue_setup_code(bridge) or ""
    signed = people.create_first_admin(
        bridge, code=code, name="Mira", email="mira@acme.example",
        password="a short sentence, easy to remember", origin="127.0.0.1",
    )  # fmt: skip
    visitor = people.who(bridge, signed.token)
    assert visitor is not None
    return visitor.actor


@pytest.mark.parametrize("of", MADE)
def test_a_name_that_is_too_long_is_refused(bridge: Orgbridge, mira: Actor, of: str) -> None:
    with pytest.raises(UserError, match=f"{of}'s name has at most {NAME_MAX_CHARS} characters"):
        MADE[of](bridge, mira, "x" * (NAME_MAX_CHARS + 1))


def test_a_setting_and_a_rule_are_refused_in_words_of_the_page(
    bridge: Orgbridge, mira: Actor
) -> None:
    with pytest.raises(UserError, match="Rows above which a launch needs approval: -5"):
        settings.change_settings(bridge, mira, approval_above_rows=-5)
    silent = RuleRequest(name="a", events=(), channel="webhook", address=HOOK)
    with pytest.raises(UserError, match="waits for nothing"):
        notices.add_rule(bridge, mira, silent)
