"""Any operation is scheduled from the Schedules page, with or without a plan, and changed there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.services import schedules
from pages.parts import schedule_form

Opened = Callable[..., AppTest]
DRAWER = """
from core.services import schedules
from pages.parts import schedule_form, visit
found = schedules.schedules(visit.bridge(), visit.actor())
schedule_form.drawer((), found[0] if found else None)
"""


def test_an_operation_is_scheduled_without_a_plan_and_changed(
    opened: Opened, drawn: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    page = opened("migrate/schedules.py", role=Role.ANALYST)
    assert page.button(key="schedules.new").label == "New schedule…"

    form = drawn(DRAWER)
    form.selectbox(key="drawer.s.what").set_value("duplicates").run()
    key = "op.duplicates.again"
    form.text_input(key=f"{key}.name").set_value("Twins, nightly")
    form.text_input(key=f"{key}.org").set_value("Legacy")
    form.text_input(key=f"{key}.object").set_value("Contact")
    form.text_input(key=f"{key}.cron").set_value("61 2 * * *")
    form = next(one for one in form.button if one.label == "Save schedule").click().run()
    assert not form.exception
    assert len(form.error) == 1
    assert schedules.schedules(bridge, actor) == ()

    form.text_input(key=f"{key}.cron").set_value("15 3 * * 1-5")
    form = next(one for one in form.button if one.label == "Save schedule").click().run()
    assert not form.exception
    (made,) = schedules.schedules(bridge, actor)
    assert (made.row.operation, made.row.plan_id, made.row.cron) == (
        "duplicates", None, "15 3 * * 1-5",
    )  # fmt: skip
    assert made.row.options["org"] == "Legacy"

    form = drawn(DRAWER, role=Role.APPROVER)
    assert not form.selectbox or form.selectbox[0].key != "drawer.s.what"
    form.text_input(key=f"{key}.object").set_value("Lead")
    form = next(one for one in form.button if one.label == "Save schedule").click().run()
    assert not form.exception and not form.error
    (changed,) = schedules.schedules(bridge, actor)
    assert (changed.row.id, changed.row.options["object"]) == (made.row.id, "Lead")
    listed = opened("migrate/schedules.py", role=Role.VIEWER).dataframe[0].value
    assert listed["what"].to_list() == ["Duplicates · Legacy"]


def test_the_list_shows_what_became_of_the_last_firings(
    opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    made = schedules.create(
        bridge,
        actor,
        schedules.ScheduleRequest(
            "Twins", "0 3 * * *", operation="duplicates", options={"org": "Legacy", "object": "A"}
        ),
    )
    with bridge.session(actor.workspace_id) as session:
        for days, outcome in enumerate(("refused", "skipped", "launched", "launched")):
            due = bridge.clock() - dt.timedelta(days=days)
            statement = "INSERT INTO schedule_firing (schedule_id, due_at, fired_at, outcome)"
            values = " VALUES (:schedule, :due, :due, :outcome)"
            given = {"schedule": made, "due": due, "outcome": outcome}
            session.execute(text(statement + values), given)

    listed = opened("migrate/schedules.py", role=Role.VIEWER).dataframe[0].value

    assert listed["last"].to_list() == [["Refused"]]
    assert [list(each) for each in listed["strip"]] == [[0] * 26 + [4, 4, 0, 1]]


def test_a_time_that_the_clocks_moved_says_so() -> None:
    """02:30 does not exist on that day; on the days around it nothing is to be said."""
    after = dt.datetime(2027, 3, 26, 12, tzinfo=dt.UTC)
    times = schedules.preview("30 2 * * *", "Europe/Berlin", after=after)

    assert [schedule_form.next_words(each, "Europe/Berlin") for each in times[:3]] == [
        "Sat 27 Mar 2027 02:30 (Europe/Berlin)",
        "Sun 28 Mar 2027 03:30 (Europe/Berlin) · the clocks change that night",
        "Mon 29 Mar 2027 02:30 (Europe/Berlin)",
    ]
