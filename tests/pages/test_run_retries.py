"""What the page of a run says of rows and lookups that came later, and offers to bring."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.services import proof, retrying, run_reads, running
from pages.parts import figures, run_list, run_tabs

from .conftest import Opened
from .planted_run import RUN, plant


@pytest.fixture
def finished(bridge: Orgbridge, actor: Actor) -> str:
    """A run of ten rows, three of which were refused."""
    plant(bridge, actor, "Partial")
    return RUN


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


_AGAIN = """INSERT INTO data_migration (id, data_schedule_id, status, mode, plan_id, source_org_id,
     target_org_id, requested_by, created_at, started_at, finished_at, options)
   SELECT gen_random_uuid(), 'all-again', :status, :mode, plan_id, source_org_id, target_org_id,
     'mira@acme.example', now() + interval '1 min', now(), now(), CAST(:options AS jsonb)
   FROM data_migration"""


@pytest.mark.parametrize(
    ("mode", "status", "options", "is_made_good"),
    [
        ("full", "Succeeded", "{}", True),
        ("full", "Partial", "{}", False),
        ("full", "Succeeded", '{"only": ["account"]}', False),
        ("canary", "Succeeded", "{}", False),
        ("dry-run", "Succeeded", "{}", False),
    ],
)
def test_a_later_run_of_the_whole_plan_that_left_nothing_behind_makes_good_what_failed(
    bridge: Orgbridge,
    actor: Actor,
    finished: str,
    opened: Opened,
    mode: str,
    status: str,
    options: str,
    is_made_good: bool,
) -> None:
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_AGAIN), {"mode": mode, "status": status, "options": options})

    app = opened("migrate/run.py", run=finished)

    told = {each.label: each.delta for each in app.metric}
    buttons = [button.label for button in app.button]
    badge = run_tabs.titles_of(run_reads.shown(bridge, actor, finished))["errors"]
    assert (told["Failed rows"] == "none is open") is is_made_good
    assert ("Nothing was left behind in all-again" in buttons) is is_made_good
    assert ("run.retry" in {button.key for button in app.button}) is not is_made_good
    assert badge == ("Errors" if is_made_good else "Errors :red-badge[3]")
