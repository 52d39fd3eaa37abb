"""The page of one run: every tab draws, and each role finds what it may do."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.services import orgs, plans, proof, retrying, run_reads, running
from pages.parts import figures, run_list, run_live, run_plan, run_tabs
from tests.org.scripted_data import ScriptedData

from .conftest import Opened

RUN = "moved-1121-abcde"
PLAN = "{orgbridge: 1, name: Moved, source: Legacy, target: New, objects: [{source: Account}]}"
SUMMARY: dict[str, Any] = {
    "proof": {
        "account": {
            "rows": 7, "missing": 0,
            "compared": {"Code__c": 7, "Name": 7, "ParentId": 7, "Total__c": 7},
            "fields": {"Name": {"automation": 2}}, "lookups": {"ParentId": 5},
            "sums": {"Total__c": {"sent": "10.50", "found": "10.50"}},
        }
    },
    "readers": {"target": {"user": "kim@new.example", "sees_all": False}},
    "rows_before": {"Account": 1}, "rows_after": {"Account": 8},
    "api_calls": {"source": 2, "target": 9},
    "canary": {"asked_percent": 5, "rows": 10, "chosen": 2, "percent": 20.0,
               "objects": {"account": {"rows": 10, "chosen": 2, "percent": 20.0, "roots": 2}}},
    "preflight": {"findings": [{"severity": "warning", "mapping": "account", "field": None,
                                "sentence": "A rule is active.", "rows": 3}]},
}  # fmt: skip
_PLANTED = (
    """INSERT INTO data_migration (id, data_schedule_id, status, mode, plan_id, source_org_id,
         target_org_id, requested_by, started_at, finished_at, summary, buckets)
       SELECT gen_random_uuid(), :run, :status, 'canary', p.id, p.source_org_id, p.target_org_id,
         'mira@acme.example', now() - interval '1 min', now(), CAST(:summary AS jsonb),
         '{"account": {"insert": 10}}' FROM migration_plan p""",
    """INSERT INTO run_step (id, run_id, mapping_name, source_object, target_object, operation,
         phase, status, read_rows, inserted, failed, started_at, finished_at)
       SELECT gen_random_uuid(), id, 'account', 'Account', 'Account', 'upsert', 'load', 'partial',
         10, 7, 3, now() - interval '1 min', now() FROM data_migration""",
    """INSERT INTO row_failure (id, run_id, step_id, source_id, kind, code, message, fields, sent,
         fingerprint)
       SELECT gen_random_uuid(), run_id, id, '00100000000000' || n || 'AAA', 'failed',
         'REQUIRED_FIELD_MISSING', 'Name is blank', '{Name}', '{"Phone": "1"}', 'f'
       FROM run_step, generate_series(1, 3) n""",
)


@pytest.fixture
def finished(bridge: Orgbridge, actor: Actor) -> str:
    """A run of ten rows, three of which were refused."""
    _plant(bridge, actor, "Partial")
    return RUN


def _plant(bridge: Orgbridge, actor: Actor, status: str) -> None:
    orgs = [ScriptedData(f"00D00000000000{number}EAA") for number in (1, 2)]
    for name, org in zip(("Legacy", "New"), orgs, strict=True):
        org.register(bridge, actor, name)
    for org in orgs:
        org.http.stop()  # a page asks no org; both have stood, so no address is given out twice
    plans.create(bridge, actor, parse_plan(PLAN))
    wanted = {"run": RUN, "status": status, "summary": orjson.dumps(SUMMARY).decode()}
    with bridge.session(actor.workspace_id) as session:
        for statement in _PLANTED:
            session.execute(text(statement), wanted)


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
    _plant(bridge, actor, "Pending")
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
    _plant(bridge, actor, "Waiting for decision")

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
    _plant(bridge, actor, "Running")
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
    _plant(bridge, actor, "Cancelled")
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
    _plant(bridge, actor, status)
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
    _plant(bridge, actor, "Running")
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
    _plant(bridge, actor, "Running")
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
    _plant(bridge, actor, "Pending")

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
    _plant(bridge, actor, "Succeeded")
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


def test_what_a_retry_brought_is_seen_although_the_run_is_over(
    bridge: Orgbridge, actor: Actor, finished: str, opened: Opened
) -> None:
    """Answers about a run that is over are kept; a retry of it makes them new."""
    before = opened("migrate/run.py", run=finished)
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_RETRIED))
        session.execute(text(_RESOLVED))

    after = before.run()

    assert "Retry 1 row…" in [button.label for button in after.button]
    assert any("arrived in a later run" in str(each.value) for each in after.markdown)
    assert {each.label: each.delta for each in after.metric}["Failed rows"] == "2 arrived later"
    view = run_reads.shown(bridge, actor, finished)
    assert run_tabs.titles_of(view)["errors"] == "Errors :red-badge[1]"


def test_rows_that_a_retry_brought_altogether_count_as_errors_no_more(
    bridge: Orgbridge, actor: Actor, finished: str, opened: Opened
) -> None:
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_RETRIED))
        session.execute(text(_RESOLVED.replace("LIMIT 2", "LIMIT 3")))

    told = {each.label: each.delta for each in opened("migrate/run.py", run=finished).metric}

    assert told["Failed rows"] == "all arrived later"
    assert run_tabs.titles_of(run_reads.shown(bridge, actor, finished))["errors"] == "Errors"


_RETRIED = """INSERT INTO data_migration (id, data_schedule_id, status, mode, plan_id,
     source_org_id, target_org_id, requested_by, started_at, finished_at, parent_run_id)
   SELECT gen_random_uuid(), 'again-1', 'Succeeded', 'retry', plan_id, source_org_id,
     target_org_id, 'mira@acme.example', now(), now(), id FROM data_migration"""
_RESOLVED = """UPDATE row_failure SET resolved_by_run =
     (SELECT id FROM data_migration WHERE data_schedule_id = 'again-1')
   WHERE source_id IN (SELECT source_id FROM row_failure ORDER BY source_id LIMIT 2)"""


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


_BLANK = (
    "UPDATE run_step SET inserted = 10, failed = 0",
    "DELETE FROM row_failure",
    """INSERT INTO run_step (id, run_id, mapping_name, source_object, target_object, operation,
         phase, status, lookups_left_blank, failed, started_at, finished_at)
       SELECT gen_random_uuid(), m.id, 'account', 'Account', 'Account', 'upsert', phase,
         'succeeded', blank, refused, now(), now() FROM data_migration m,
         (VALUES ('second_pass', 2, 0), ('finally', 0, 1)) its (phase, blank, refused)""",
    """INSERT INTO row_failure (id, run_id, step_id, source_id, kind, code, message, fields, sent,
         fingerprint)
       SELECT gen_random_uuid(), s.run_id, s.id, '00100000000000' || n || 'AAA', kind, code,
         why, ARRAY[field], '{}', code
       FROM run_step s JOIN (VALUES
         ('second_pass', 1, 'left_blank', 'LOOKUP_UNRESOLVED', 'The parent did not arrive.',
          'ParentId'),
         ('second_pass', 2, 'left_blank', 'LOOKUP_UNRESOLVED', 'The parent did not arrive.',
          'ParentId'),
         ('finally', 3, 'failed', 'SOME_RULE', 'Not so.', 'Status__c')
       ) its (phase, n, kind, code, why, field) ON its.phase = s.phase""",
)


def test_a_retry_offers_to_fill_the_blank_lookups_of_rows_that_arrived(
    bridge: Orgbridge, actor: Actor, finished: str, opened: Opened
) -> None:
    failed = sum(retrying.rows_left(bridge, actor, finished).values())
    with bridge.session(actor.workspace_id) as session:
        session.execute(
            text(
                "INSERT INTO row_failure (id, run_id, step_id, source_id, kind, code, message,"
                " fields, sent, fingerprint) SELECT gen_random_uuid(), s.run_id, s.id,"
                " '00300000000000' || n || 'AAA', 'left_blank', 'LOOKUP_UNRESOLVED', 'It stayed.',"
                " ARRAY['AccountId'], '{}', 'blank' FROM generate_series(1, 2) n,"
                " (SELECT id, run_id FROM run_step LIMIT 1) s"
            )
        )
    app = opened("migrate/run.py", run=finished)

    app.button(key="run.retry").click().run()
    beside = app.checkbox(key="run.retry.blanks")
    act = app.button(key="run.retry.go.act").label

    assert failed
    assert (beside.label, beside.value) == ("Fill in blank lookups of 2 rows that arrived", True)
    assert act == f"Retry {figures.plural(failed + 2, 'row')}"


def test_a_run_that_is_partial_without_a_failed_row_says_what_stayed_blank_and_why(
    bridge: Orgbridge, actor: Actor, finished: str, opened: Opened
) -> None:
    """On its page, in the list, in the proof and for the terminal: the same figures."""
    with bridge.session(actor.workspace_id) as session:
        for statement in _BLANK:
            session.execute(text(statement))
    why = "Account.ParentId 2: the parent did not arrive"

    app = opened("migrate/run.py", run=finished)
    steps = app.dataframe[0].value
    told = "\n".join(str(each.value) for each in app.markdown).replace("\\", "")
    listed = run_list.frame(run_reads.listed(bridge, actor, run_reads.RunFilter()).rows)
    claims = {check.title: check.sentence for check in proof.shown(bridge, actor, finished).checks}
    why_of = running.document(bridge, actor, finished)["unfilled"]

    assert "2 lookups left blank, last fields of 1 row not filled in (" in told
    assert "Account (2nd pass) 2" in told
    assert "2 lookups left blank, the rows arrived" in told
    by_name = steps.set_index("object")[["failed", "blank"]].T.to_dict("list")
    assert by_name == {
        "Account": [0, 0], "Account (2nd pass)": [0, 2], "Account (finally)": [1, 0]
    }  # fmt: skip
    assert [pill for (pill,) in steps["status"]] == ["Partial"] * 3
    assert listed[["failed", "blank"]].to_numpy().tolist() == [[0, 3]]
    assert why in claims["Lookups resolved"]
    assert "Account.Status__c 1: not so" in claims["Last fields filled in"]
    assert [(line["where"], line["phase"], line["rows"]) for line in why_of] == [
        ("Account.ParentId", "second_pass", 2),
        ("Account.Status__c", "finally", 1),
    ]


_NEW = "jsonb_build_object('id',gen_random_uuid(),'parent_run_id',id,'data_schedule_id','later')"
_FILLED = (
    f"INSERT INTO data_migration SELECT (jsonb_populate_record(m, {_NEW})).* FROM data_migration m",
    """UPDATE row_failure SET resolved_by_run = r.id FROM data_migration r
       WHERE r.data_schedule_id = 'later' AND source_id LIKE :which""",
)


@pytest.mark.parametrize(
    ("which", "says", "badge"),
    [("%1AAA", "1 of them was", " :orange-badge[2]"), ("%", "All of them were", "")],
)
def test_a_run_says_what_a_retry_filled_in_since(
    bridge: Orgbridge,
    actor: Actor,
    finished: str,
    opened: Opened,
    which: str,
    says: str,
    badge: str,
) -> None:
    with bridge.session(actor.workspace_id) as session:
        for statement in (*_BLANK, *_FILLED):
            session.execute(text(statement), {"which": which} if ":which" in statement else {})

    app = opened("migrate/run.py", run=finished)
    told = "\n".join(str(each.value) for each in app.markdown)

    assert "2 lookups left blank" in told and f"{says} filled in by `later` since." in told
    view = run_reads.shown(bridge, actor, finished)
    assert f"Errors{badge}" in run_tabs.titles_of(view).values()
    assert view.arrived_later == 0, "a last field that came later is no row that came later"
    assert any(button.label.endswith(" later") for button in app.button), "the way there"


_EVENTS = """INSERT INTO run_event (id, run_id, level, message)
    SELECT lpad(to_hex(n), 32, '0')::uuid, m.id, 'info', 'line ' || n
    FROM data_migration m, generate_series(1, 501) n"""


@pytest.mark.parametrize(("status", "first", "last"), [("Running", 501, 2), ("Partial", 2, 501)])
def test_the_log_of_a_long_run_shows_its_newest_lines_and_those_first_while_it_moves(
    bridge: Orgbridge, actor: Actor, opened: Opened, status: str, first: int, last: int
) -> None:
    _plant(bridge, actor, status)
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
    _plant(bridge, actor, "Running")

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
