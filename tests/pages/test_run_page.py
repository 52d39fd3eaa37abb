"""The page of one run: every tab draws, and each role finds what it may do."""

from __future__ import annotations

import datetime as dt

import orjson
import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.services import orgs, plans, run_reads
from pages.parts import run_live, run_plan, run_tabs

from .conftest import Opened
from .planted_run import PLAN, RUN, plant


@pytest.fixture
def finished(bridge: Orgbridge, actor: Actor) -> str:
    """A run of ten rows, three of which were refused."""
    plant(bridge, actor, "Partial")
    return RUN


def test_every_tab_draws_and_says_what_the_run_stored(finished: str, opened: Opened) -> None:
    app = opened("migrate/run.py", run=finished)
    told: dict[str, str] = {}
    for tab in run_tabs.TABS:
        app.query_params["tab"] = tab
        app.run()
        assert not app.exception, tab
        assert not app.error, tab
        told[tab] = "\n".join(str(part.value) for part in (*app.markdown, *app.caption))
        told[tab] = told[tab].replace("\u2060", "")  # keeps addresses from becoming links

    assert "REQUIRED_FIELD_MISSING" in told["errors"].replace("\\", "")
    assert "As visible to kim@new.example in New" in told["proof"]
    assert "it took 2 of 10 rows" in told["canary"]
    assert "Id map" in told["files"]


CARRIED = {
    "operation": "upsert", "wave": 1, "where": "Type != 'Competitor'",
    "key": {"source": ["Id"], "target": ["Legacy_Id__c"], "value": None},
    "rules": {
        "Name": {"from": "Name"}, "Segment__c": {"constant": "Wholesale", "write": "insert_only"},
        "Code__c": {"expression": "upper(Name)"}, "Rating": {"from": "R", "values": {"a": "b"}},
    },
    "lookups": {
        "ParentId": {"from": "ParentId", "parents": ["account"], "missing": "reject",
                     "later": True},
        "OwnerId": {"from": "OwnerId", "parents": [], "missing": "005000000000001AAA",
                    "later": False},
    },
}  # fmt: skip
_CARRIED = """INSERT INTO object_mapping (id, data_migration_id, mapping_name, source_object,
      target_object, field_mappings)
    SELECT gen_random_uuid(), id, 'account', 'Account', 'Account', CAST(:document AS jsonb)
    FROM data_migration"""


def test_the_plan_of_a_run_says_every_field_and_its_rule(
    bridge: Orgbridge, actor: Actor, finished: str, opened: Opened
) -> None:
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_CARRIED), {"document": orjson.dumps(CARRIED).decode()})

    app = opened("migrate/run.py", run=finished, tab="plan")

    objects, fields = (each.value for each in app.dataframe[1:3])
    assert objects["match"].tolist() == ["Id → Legacy_Id__c"]
    assert objects["fields"].tolist() == [6]
    assert fields[["field", "rule", "of"]].to_numpy().tolist() == [
        ["Code__c", "Expression", "upper(Name)"],
        ["Name", "Copy", "Name"],
        ["Rating", "Value map", "R"],
        ["Segment__c", "Constant", "Wholesale"],
        ["OwnerId", "Lookup", "OwnerId"],
        ["ParentId", "Lookup", "ParentId through account"],
    ]
    assert fields["written"].tolist()[3] == "On insert only"
    assert any("Competitor" in str(each.value) for each in app.caption)
    lines = run_plan.csv_of(run_reads.mappings(bridge, actor, finished)).decode().splitlines()
    assert len(lines) == 7


def test_the_plan_of_a_run_that_no_worker_took_says_when_it_comes(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    plant(bridge, actor, "Pending")
    with bridge.session(actor.workspace_id) as session:
        session.execute(text("UPDATE data_migration SET started_at = NULL, finished_at = NULL"))

    app = opened("migrate/run.py", run=RUN, tab="plan")

    assert any("Not settled yet" in str(each.value) for each in app.markdown)


def test_fields_that_read_otherwise_head_the_proof_of_an_object(
    finished: str, opened: Opened
) -> None:
    app = opened("migrate/run.py", run=finished, tab="proof")

    fields = app.dataframe[3].value

    assert fields["field"].tolist() == ["Name", "Code__c", "ParentId", "Total__c"]
    assert fields["other"].tolist() == [2, 0, 0, 0]


def test_a_viewer_finds_no_button_that_changes_anything(finished: str, opened: Opened) -> None:
    seen = opened("migrate/run.py", role=Role.VIEWER, run=finished)
    mayact = opened("migrate/run.py", role=Role.ANALYST, run=finished)

    changing = {"run.retry", "run.undo", "run.again", "run.group.retry"}
    assert not changing & {str(button.key) for button in seen.button}
    assert changing <= {str(button.key) for button in mayact.button}


def test_a_run_that_waits_shows_its_figures_and_both_answers(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    plant(bridge, actor, "Waiting for decision")

    app = opened("migrate/run.py", role=Role.ANALYST, run=RUN)

    told = "\n".join(str(part.value) for part in (*app.markdown, *app.caption))
    assert "The canary of 2 rows is loaded (20.0 % of all rows)" in told
    assert "8 wait" in told
    keys = {str(button.key) for button in app.button}
    assert {"run.decide.go", "run.decide.stop", "run.cancel"} <= keys
    assert not {"run.retry", "run.undo"} & keys


def test_the_preview_of_an_undo_is_told_from_an_undo_on_both_pages(
    bridge: Orgbridge, actor: Actor, finished: str, opened: Opened
) -> None:
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_PREVIEW))

    earlier = opened("migrate/run.py", run=finished)
    later = opened("migrate/run.py", role=Role.ANALYST, run="undo-1")

    assert "Undo previewed in undo-1" in [button.label for button in earlier.button]
    assert f"Preview of taking back {finished}" in [button.label for button in later.button]
    assert "Would be taken back" in [metric.label for metric in later.metric]
    told = "\n".join(str(part.value) for part in (*later.markdown, *later.caption))
    assert "Nothing was sent." in told and "undo preview" in told
    assert "Would be deleted" in later.dataframe[0].value.columns


_PREVIEW = """INSERT INTO data_migration (id, data_schedule_id, status, mode, plan_id,
     source_org_id, target_org_id, requested_by, started_at, finished_at, options, buckets,
     parent_run_id)
   SELECT gen_random_uuid(), 'undo-1', 'Succeeded', 'undo', plan_id, source_org_id, target_org_id,
     'mira@acme.example', now(), now(), '{"preview": true}', '{"account": {"delete": 7}}', id
   FROM data_migration"""


def test_rows_that_wait_their_turn_count_as_planned(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    """A run that moves, then the same one cancelled: neither reads as done."""
    plant(bridge, actor, "Running")
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_HALF_WAY))

    moving = opened("migrate/run.py", role=Role.VIEWER, run=RUN, tab="objects")
    (line,) = moving.dataframe[0].value.to_dict("records")
    with bridge.session(actor.workspace_id) as session:
        session.execute(text("UPDATE data_migration SET status = 'Cancelled'"))
    over = opened("migrate/run.py", role=Role.ANALYST, run=RUN, tab="settings")

    assert (line["status"], line["rows"], line["done"]) == (["Running"], 40, 25.0)
    assert line["speed"] is not None
    assert line["left"].endswith("s")
    assert over.dataframe[0].value["status"].tolist() == [["Cancelled"]]
    progress = over.get("progress")[0]
    assert "10 of 40 rows" in progress.proto.text


_HALF_WAY = """UPDATE run_step SET status = 'running', finished_at = NULL,
    cursor = '{"sizes": [25, 15]}'"""


def test_a_run_that_stopped_counts_no_time_after_its_end(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    """Its object was under way when it was cancelled."""
    plant(bridge, actor, "Cancelled")
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_HALF_WAY))
        session.execute(text(_LONG_AGO))

    app = opened("migrate/run.py", run=RUN)

    assert app.dataframe[0].value["took"].tolist() == ["20 s"]


_LONG_AGO = """WITH moved AS (UPDATE data_migration SET started_at = now() - interval '3 hours',
      finished_at = now() - interval '3 hours' + interval '30 s')
    UPDATE run_step SET started_at = now() - interval '3 hours' + interval '10 s'"""


@pytest.mark.parametrize("status", ["Paused", "Waiting for decision"])
def test_a_run_that_waits_foretells_nothing(
    bridge: Orgbridge, actor: Actor, opened: Opened, status: str
) -> None:
    """Its pace would fall, and the time left would grow, for as long as nobody comes."""
    plant(bridge, actor, status)
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_HALF_WAY))
        session.execute(text("UPDATE data_migration SET finished_at = NULL"))

    app = opened("migrate/run.py", run=RUN)

    (line,) = app.dataframe[0].value.to_dict("records")
    assert (line["status"], line["left"]) == (["Paused"], "—")
    assert line["speed"] is None
    assert {"Throughput": "—"}.items() <= {each.label: each.value for each in app.metric}.items()


def test_a_run_that_waited_is_as_quick_as_while_it_was_carried(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    """It waited an hour for a decision; what is left goes by the minute that it took before."""
    plant(bridge, actor, "Running")
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_HALF_WAY))
        session.execute(text(_WAITED_AN_HOUR))

    view = run_reads.shown(bridge, actor, RUN)
    app = opened("migrate/run.py", run=RUN)

    assert view.waited_s == 3600
    assert view.seconds_left is not None and view.seconds_left < 300
    (elapsed,) = [each for each in app.metric if each.label == "Elapsed"]
    assert elapsed.proto.help == "Of it 1h 00m nobody carried it"
    assert elapsed.delta.startswith("finish ≈")


_WAITED_AN_HOUR = """UPDATE data_migration SET started_at = now() - interval '61 min',
    finished_at = NULL, summary = summary || '{"waited_s": 3600}'"""


@pytest.mark.parametrize(("asked", "said"), [("pause", "Pausing"), ("cancel", "Cancelling")])
def test_what_a_person_asked_for_is_said_before_the_worker_stops(
    bridge: Orgbridge, actor: Actor, opened: Opened, asked: str, said: str
) -> None:
    plant(bridge, actor, "Running")
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_HALF_WAY))
        session.execute(text("UPDATE data_migration SET requested_state = :w"), {"w": asked})

    app = opened("migrate/run.py", role=Role.ANALYST, run=RUN)

    assert f" {said}]" in app.title[0].value
    assert "run.pause" not in [str(button.key) for button in app.button]


def test_a_queued_run_offers_no_pause_and_can_be_cancelled(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    """Nobody carries it yet: there is nobody to ask."""
    plant(bridge, actor, "Pending")

    queued = opened("migrate/run.py", role=Role.ANALYST, run=RUN)

    keys = {str(button.key) for button in queued.button}
    assert "run.cancel" in keys
    assert "run.pause" not in keys


def test_a_silence_between_rows_is_drawn_as_none() -> None:
    """A line from before a wait to after it would tell of rows that never were."""
    at = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    minutes = (0, 1, 31, 32)
    ticks = [run_reads.Tick(at + dt.timedelta(minutes=n), 10, 0) for n in minutes]

    told = [((tick.at - at).total_seconds(), tick.rows) for tick in run_live.with_silence(ticks)]

    assert told == [
        (0, 10), (32, 0), (60, 10), (92, 0), (1828, 0), (1860, 10), (1892, 0), (1920, 10)
    ]  # fmt: skip


def test_a_run_that_found_nothing_says_so_and_not_that_it_broke_off(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    plant(bridge, actor, "Succeeded")
    with bridge.session(actor.workspace_id) as session:
        session.execute(text("DELETE FROM row_failure"))
        session.execute(text("UPDATE run_step SET read_rows = 0, inserted = 0, failed = 0"))

    app = opened("migrate/run.py", run=RUN)

    told = "\n".join(str(part.value) for part in (*app.markdown, *app.caption))
    assert "No row to send" in told
    assert "before the first row" not in told


@pytest.mark.parametrize("asked", ["nobody-1121-knows", ""])
def test_an_address_without_a_run_leads_back_to_the_list(opened: Opened, asked: str) -> None:
    app = opened("migrate/run.py", run=asked)

    assert [title.value for title in app.title] == ["Run"]
    assert "run.none" in [str(button.key) for button in app.button]
    assert not app.error


_FORMER = (
    """UPDATE run_step SET read_rows = 1200, inserted = 1197""",
    """INSERT INTO data_migration (id, data_schedule_id, status, mode, plan_id, source_org_id,
         target_org_id, requested_by, created_at, started_at, finished_at, summary)
       SELECT gen_random_uuid(), 'former', 'Succeeded', mode, plan_id, source_org_id, target_org_id,
         requested_by, now() - interval '2 hours', now() - interval '62 min',
         now() - interval '1 hour', '{"waited_s": 60, "api_calls": {"source": 0, "target": 40}}'
       FROM data_migration""",
    """INSERT INTO run_step (id, run_id, mapping_name, source_object, target_object, operation,
         phase, status, read_rows, inserted)
       SELECT gen_random_uuid(), id, 'account', 'Account', 'Account', 'upsert', 'load', 'succeeded',
         600, 600 FROM data_migration WHERE data_schedule_id = 'former'""",
    "UPDATE registered_org SET api_used = 100, api_allowed = 1000, usage_at = now() - :ago",
)


def test_a_run_stands_beside_the_former_one_and_the_calls_left(
    finished: str, bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    with bridge.session(actor.workspace_id) as session:
        for statement in _FORMER:
            session.execute(text(statement), {"ago": dt.timedelta(hours=3)})

    told = {each.label: each.delta for each in opened("migrate/run.py", run=finished).metric}

    assert told["Throughput"] == "↑ 100 % vs last run"
    assert told["API calls"] == "851 left today"  # 100 that the target told, 9 and 40 of runs since
    used = {each.name: each.api_used for each in orgs.orgs(bridge, actor)}
    assert used == {"Legacy": 102, "New": 149}
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_FORMER[-1]), {"ago": dt.timedelta(hours=25)})
    assert {each.api_used for each in orgs.orgs(bridge, actor)} == {2, 49}


def test_the_list_of_plans_tells_of_the_last_run(
    finished: str, bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    plans.create(bridge, actor, parse_plan(PLAN.replace("Moved", "Never run")))

    listed = opened("prepare/plans.py").dataframe[0].value.set_index("name")

    assert listed["last"].map(list).to_dict() == {"Moved": ["Partial"], "Never run": []}
    assert listed["ran"]["Never run"] == "—"


def test_the_first_run_of_a_plan_is_compared_with_none(finished: str, opened: Opened) -> None:
    told = {each.label: each.delta for each in opened("migrate/run.py", run=finished).metric}

    assert told["Throughput"] == "average"


_EVENTS = """INSERT INTO run_event (id, run_id, level, message)
    SELECT lpad(to_hex(n), 32, '0')::uuid, m.id, 'info', 'line ' || n
    FROM data_migration m, generate_series(1, 501) n"""


@pytest.mark.parametrize(("status", "first", "last"), [("Running", 501, 2), ("Partial", 2, 501)])
def test_the_log_of_a_long_run_shows_its_newest_lines_and_those_first_while_it_moves(
    bridge: Orgbridge, actor: Actor, opened: Opened, status: str, first: int, last: int
) -> None:
    plant(bridge, actor, status)
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_EVENTS))

    app = opened("migrate/run.py", run=RUN, tab="log")

    shown = app.dataframe[-1].value["message"].tolist()
    assert (shown[0], shown[-1]) == (f"line {first}", f"line {last}")
    assert any("newest 500 lines; the CSV holds all" in str(each.value) for each in app.caption)


def test_a_run_whose_rows_are_all_settled_foretells_no_end(
    bridge: Orgbridge, actor: Actor, opened: Opened
) -> None:
    """The comparison that follows takes a time of its own."""
    plant(bridge, actor, "Running")

    view = run_reads.shown(bridge, actor, RUN)
    app = opened("migrate/run.py", run=RUN)

    assert (view.totals.done, view.totals.planned) == (10, 10)
    assert view.seconds_left is None
    assert "left" not in app.get("progress")[0].proto.text


def test_a_run_of_a_deleted_plan_offers_nothing_that_needs_it(
    finished: str, opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    """Its figures, its errors and its undo stay; nothing leads to a plan that is gone."""
    needing = {"run.again", "run.retry", "run.group.plan", "run.group.retry", "run.plan.open"}
    app = opened("migrate/run.py", run=finished)
    assert {"run.again", "run.retry", "run.group.plan"} <= _buttons(app)
    (row,) = plans.plans(bridge, actor)
    plans.remove(bridge, actor, row.id, confirm=row.name)

    after = _buttons(app)

    assert not after & needing
    assert "run.undo" in after


def _buttons(app: AppTest) -> set[str]:
    """Keys of the buttons on two tabs of a run."""
    found: set[str] = set()
    for tab in ("errors", "plan"):
        app.query_params["tab"] = tab
        app.run()
        assert not app.exception
        found |= {button.key for button in app.button if button.key}
    return found


def test_tabs_are_one_element_whichever_is_open(finished: str, opened: Opened) -> None:
    """A click names the element that it was made on: were it another after each change of the
    address, every second click would be lost."""
    app = opened("migrate/run.py", run=finished)
    elements = set()
    for tab in run_tabs.TABS:
        app.query_params["tab"] = tab
        app.run()
        (tabs,) = app.get("tab_container")
        elements.add(tabs.proto.id)
        assert app.session_state["tabs.tab"] == tab

    assert len(elements) == 1
