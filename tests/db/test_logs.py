"""One list over every log, paged by index; errors grouped by what is the same about them."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
import sqlalchemy as sa

from core.access import audit
from core.bootstrap import Orgbridge
from core.db.models import (
    ALL_LOGS,
    DataMigration,
    ErrorLog,
    RecordCountLog,
    RegisteredOrg,
    RowFailure,
    RunStep,
)
from core.domain.roles import Actor, Role
from core.errors import NotFoundError, UserError
from core.services import logs
from core.services.logs import LogFilter
from tests.db.planting import plant, workspace

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def here(bridge: Orgbridge) -> tuple[Actor, dict[str, Any]]:
    """A viewer of a workspace with a row in every log, beside another one with the same."""
    with bridge.owner_session() as session:
        plant(session, workspace(session, "B"))
        workspace_id = workspace(session, "A")
        rows = plant(session, workspace_id)
    return Actor(workspace_id, None, "vi", Role.ANALYST), rows


def add_counts(bridge: Orgbridge, actor: Actor, *entries: dict[str, Any]) -> None:
    with bridge.session(actor.workspace_id) as session:
        session.add_all(RecordCountLog(**entry) for entry in entries)


def test_every_kind_is_listed_once_for_its_workspace(
    bridge: Orgbridge, here: tuple[Actor, dict[str, Any]]
) -> None:
    actor, rows = here

    page = logs.logs(bridge, actor, LogFilter())

    assert sorted(row.kind for row in page.rows) == sorted(logs.KINDS)
    assert (page.total, page.is_at_least) == (len(logs.KINDS), False)
    run = rows["data_migration"]["data_schedule_id"]
    org = rows["registered_org"]["name"]
    counted = next(row for row in page.rows if row.kind == "record_count")
    assert (counted.run_name, counted.source_org, counted.target_org) == (run, org, org)
    for row in page.rows:
        found = logs.entry(bridge, actor, row.kind, entry_id=row.id)
        assert found["workspace_id"] == actor.workspace_id
    with pytest.raises(NotFoundError):
        logs.entry(bridge, actor, "pg_shadow", entry_id=row.id)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (LogFilter(kinds=("record_count",)), ["c", "b", "a", ""]),
        (LogFilter(kinds=("record_count",), statuses=("failed",)), ["b"]),
        (LogFilter(who="ada"), ["c", "a"]),
        (LogFilter(text="50%"), ["c"]),
        (LogFilter(run="count-a"), ["a"]),
        (LogFilter(kinds=("record_count",), since=NOW - dt.timedelta(hours=30)), ["b", "a", ""]),
        (LogFilter(kinds=("record_count",), until=NOW - dt.timedelta(hours=30)), ["c"]),
        (LogFilter(kinds=("error",), who="ada"), []),
    ],
)
def test_filters_narrow_the_list(
    bridge: Orgbridge,
    here: tuple[Actor, dict[str, Any]],
    chosen: LogFilter,
    expected: list[str],
) -> None:
    actor, _ = here
    add_counts(
        bridge,
        actor,
        {"data_schedule_id": "count-a", "requested_by": "ada", "message": "a"},
        {"data_schedule_id": "count-b", "requested_by": "bo", "message": "b", "status": "failed"},
        {
            "data_schedule_id": "count-c",
            "requested_by": "ada",
            "message": "c 50% off",
            "created_at": NOW - dt.timedelta(hours=40),
        },
    )

    found = logs.logs(bridge, actor, chosen).rows

    assert sorted(row.message[:1] for row in found) == sorted(expected)


def test_a_word_is_found_in_names_of_acts_and_in_messages(
    bridge: Orgbridge, here: tuple[Actor, dict[str, Any]]
) -> None:
    """Acts are asked for by their names; another workspace's are not found."""
    actor, _ = here
    add_counts(bridge, actor, {"message": "Launched it"}, {"message": "something else"})
    with bridge.session(actor.workspace_id) as session:
        for action in ("run.launch", "run.Launch", "run.cancel"):
            audit.record(session, actor, action, subject_kind="run")
    before = bridge.clock() - dt.timedelta(minutes=5)

    found = logs.logs(bridge, actor, LogFilter(text="LAUNCH", since=before))
    none = logs.logs(bridge, actor, LogFilter(text="no such word"))

    assert sorted(row.message for row in found.rows) == ["Launched it", "run.Launch", "run.launch"]
    assert (found.total, none.total) == (3, 0)


@pytest.mark.parametrize("text", ["", "hyperLINK"])
def test_pages_do_not_overlap_and_csv_has_everything(
    bridge: Orgbridge, here: tuple[Actor, dict[str, Any]], text: str
) -> None:
    """Newest first; cells that a spreadsheet would run are defused."""
    actor, _ = here
    add_counts(
        bridge,
        actor,
        *(
            {
                "data_schedule_id": f"count-{n}",
                "message": f'=HYPERLINK("{n}")',
                "created_at": NOW - dt.timedelta(minutes=n),
                "status": "succeeded",
            }
            for n in range(25)
        ),
    )
    chosen = LogFilter(kinds=("record_count",), statuses=("succeeded",), text=text)

    pages = [logs.logs(bridge, actor, chosen, page=n, page_rows=10) for n in (1, 2, 3, 4)]
    content = b"".join(logs.logs_csv(bridge, actor, chosen)).decode("utf-8-sig")

    listed = [row.data_schedule_id for page in pages for row in page.rows]
    assert listed == [f"count-{n}" for n in range(25)]
    assert {page.total for page in pages} == {25}
    table = list(csv.DictReader(io.StringIO(content)))
    assert [row["run"] for row in table] == listed
    assert table[3]["message"] == '\'=HYPERLINK("3")'
    assert sum(day.entries for day in logs.per_day(bridge, actor, chosen)[0]) == 25


def test_newest_page_is_merged_by_index(bridge: Orgbridge, here: tuple[Actor, Any]) -> None:
    """No arm of the view is read whole, however many entries there are."""
    actor, _ = here
    with bridge.owner_session() as session:
        session.execute(
            sa.text(
                "INSERT INTO record_count_log (id, workspace_id, created_at)"
                " SELECT gen_random_uuid(), :id, now() - n * interval '1 minute'"
                " FROM generate_series(1, 20000) n"
            ),
            {"id": actor.workspace_id},
        )
    with bridge.owner_engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))
    newest = (
        sa.select(ALL_LOGS)
        .where(ALL_LOGS.c.workspace_id == actor.workspace_id)
        .order_by(ALL_LOGS.c.created_at.desc())
        .limit(200)
    )
    text = str(newest.compile(bridge.engine, compile_kwargs={"literal_binds": True}))

    with bridge.session(actor.workspace_id) as session:
        plan = "\n".join(session.scalars(sa.text(f"EXPLAIN {text}")))

    assert "Merge Append" in plan
    assert "Seq Scan on record_count_log" not in plan


def test_same_failures_are_one_group_across_runs(
    bridge: Orgbridge, here: tuple[Actor, dict[str, Any]]
) -> None:
    """Row failures and errors side by side, with what people noted of them."""
    actor, _ = here
    with bridge.session(actor.workspace_id) as session:
        session.execute(sa.delete(RowFailure))
        session.execute(sa.delete(ErrorLog))
        for number in range(3):
            run = DataMigration(data_schedule_id=f"run-{number}", requested_by="x")
            session.add(run)
            session.flush()
            step = RunStep(
                run_id=run.id,
                mapping_name="account",
                source_object="Account",
                target_object="Account",
                operation="insert",
                phase="load",
            )
            session.add(step)
            session.flush()
            for _ in range(2):
                session.add(
                    RowFailure(
                        run_id=run.id,
                        step_id=step.id,
                        kind="failed",
                        code="REQUIRED_FIELD_MISSING",
                        message="Name",
                        fingerprint="f1",
                        fields=[],
                    )
                )
        session.add(ErrorLog(kind="BugError", boundary="page", fingerprint="f2", message="oops"))

    groups = logs.error_groups(bridge, actor)
    logs.note_error(bridge, actor, "f1", state="known", note="  Fill Name. ")
    logs.note_error(bridge, actor, "f1", state="fixed", note="Filled.")
    with pytest.raises(NotFoundError):
        logs.note_error(bridge, actor, "f3", state="known")
    with pytest.raises(UserError):
        logs.note_error(bridge, actor, "f1", state="odd")

    assert [(g.fingerprint, g.origin, g.count, g.runs, g.objects) for g in groups] == [
        ("f1", "row", 6, 3, ("Account",)),
        ("f2", "page", 1, 0, ()),
    ]
    rows = logs.failed_rows(bridge, actor, "f1")
    assert {(row.run, row.sobject, row.is_resolved) for row in rows} == {
        (f"run-{n}", "Account", False) for n in range(3)
    }
    assert (len(rows), logs.failed_rows(bridge, actor, "f2")) == (6, ())
    (noted,) = logs.error_groups(bridge, actor, state="fixed")
    assert (noted.fingerprint, noted.note) == ("f1", "Filled.")
    assert [g.fingerprint for g in logs.error_groups(bridge, actor, state="open")] == ["f2"]
    assert logs.error_groups(bridge, actor, days=0) == ()


def test_removed_org_leaves_its_entries(
    bridge: Orgbridge, here: tuple[Actor, dict[str, Any]]
) -> None:
    actor, _ = here
    with bridge.session(actor.workspace_id) as session:
        session.execute(sa.delete(RegisteredOrg))

    page = logs.logs(bridge, actor, LogFilter())

    assert page.total == len(logs.KINDS)
    assert {row.source_org for row in page.rows} == {None}
