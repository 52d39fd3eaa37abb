"""Logs and audit trail as links and as words: days in the address, acts as people say them."""

from __future__ import annotations

import ast
import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.db.models import RecordCountLog
from core.domain.roles import Actor
from pages.parts import audit_words, days

Opened = Callable[..., AppTest]
#: a domain and two places in a plan
NO_ACTS = {"database.com", "key.target", "key.value"}
CORE = Path(__file__).resolve().parents[2] / "core"


def recorded() -> set[str]:
    """Every act that the product may record: texts of its core that are written like one."""
    kinds = {name.partition(".")[0] for name in audit_words.ACTIONS}
    texts = (
        node.value
        for file in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    named = {text for text in texts if re.fullmatch(r"[a-z]+\.[a-z_]+", text)}
    named = {text for text in named if not text.endswith(".id")} - NO_ACTS
    return {text for text in named if text.partition(".")[0] in kinds}


def test_every_act_of_the_trail_has_words() -> None:
    found = recorded()
    assert {"org.connected", "plan.edit", "run.launch"} <= found

    assert sorted(found - set(audit_words.ACTIONS)) == []
    # nothing is told in the same words as another act, or a filter could not tell them apart
    assert len(set(audit_words.ACTIONS.values())) == len(audit_words.ACTIONS)


def test_an_act_without_words_is_written_from_its_name() -> None:
    assert audit_words.action("operation.record_counts") == "Started record counts"
    assert audit_words.action("thing.was_done") == "Thing was done"
    assert audit_words.subject("notification_rule", "") == "notification rule"


def test_the_trail_is_told_in_words_and_its_filter_too(opened: Opened) -> None:
    page = opened("observe/audit.py")

    assert not page.exception and not page.error
    assert "Invited a person" in page.dataframe[0].value["action"].to_list()
    assert "Made the first administrator" in page.selectbox(key="action").options
    page.selectbox(key="action").set_value("person.first_admin").run()
    assert page.dataframe[0].value["action"].to_list() == ["Made the first administrator"]


def test_acts_among_the_logs_are_told_in_words(opened: Opened) -> None:
    told = opened("observe/logs.py").dataframe[0].value

    of_trail = told[told["kind"] == "Audit"]["message"].to_list()
    assert "Invited a person" in of_trail
    assert not any("." in one for one in of_trail)


def test_an_entry_is_told_whole_as_data(drawn: Opened) -> None:
    """Ids and moments as text, not as a programming language writes them."""
    dialog = drawn(
        "from core.services import logs\n"
        "from pages.parts import log_parts, visit\n"
        "here = (visit.bridge(), visit.actor())\n"
        "log_parts.drawer(logs.logs(*here, logs.LogFilter(kinds=('audit',))).rows[0])"
    )

    assert not dialog.exception and not dialog.error
    told = json.loads(dialog.json[0].value)
    assert dt.datetime.fromisoformat(told["at"]).tzinfo is not None
    assert str(UUID(told["id"])) == told["id"]


def test_days_of_an_address_narrow_the_logs(
    opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    with bridge.session(actor.workspace_id) as session:
        for back in (2, 200):
            at = bridge.clock() - dt.timedelta(days=back)
            session.add(RecordCountLog(created_at=at, status="succeeded", message=f"{back} old"))
    day = (bridge.clock() - dt.timedelta(days=200)).date()
    span = [str(day - dt.timedelta(days=1)), str(day + dt.timedelta(days=1))]

    page = opened("observe/logs.py", log_days=span)

    assert not page.exception and not page.error
    assert page.dataframe[0].value["message"].to_list() == ["200 old"]


@pytest.mark.parametrize("span", [["0001-01-01", "9999-12-31"], ["x", ""], ["2026-01-31"]])
@pytest.mark.parametrize("file", ["observe/logs.py", "observe/audit.py"])
def test_days_of_no_calendar_are_put_back(opened: Opened, file: str, span: list[str]) -> None:
    name = "log_days" if "logs" in file else "audit_days"

    page = opened(file, **{name: span})

    assert not page.exception and not page.error


def test_a_span_the_wrong_way_round_is_turned() -> None:
    first, last = dt.date(2026, 3, 1), dt.date(2026, 3, 9)

    assert days.bounds((last, first)) == days.bounds((first, last))


def test_charts_of_the_logs_stand_as_one_row(
    opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    with bridge.session(actor.workspace_id) as session:
        for back in range(4):
            at = bridge.clock() - dt.timedelta(days=back)
            done = at + dt.timedelta(seconds=3)
            session.add(RecordCountLog(created_at=at, finished_at=done, status="succeeded"))

    page = opened("observe/logs.py")

    heights = {json.loads(one.proto.spec)["layout"]["height"] for one in page.get("plotly_chart")}
    assert len(page.get("plotly_chart")) == 2
    assert len(heights) == 1
