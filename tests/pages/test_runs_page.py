"""The list of runs: filters with counts, what its table shortens, and its file, which is whole."""

from __future__ import annotations

import csv
import io

import pytest
from sqlalchemy import text

from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.services import run_reads
from pages.parts import palette, run_list

from .conftest import Opened
from .planted_run import planned

LONG = "customers-products-and-invoices-of-1121-abcde"
_PLANTED = """
    INSERT INTO data_migration (id, data_schedule_id, status, mode, plan_id, source_org_id,
      target_org_id, requested_by, started_at, finished_at, created_at)
    SELECT gen_random_uuid(), made.name, made.status, 'full', p.id, p.source_org_id,
      p.target_org_id, 'mira@acme.example', now() - interval '1 min', now(), made.at
    FROM migration_plan p, (VALUES (:long, 'Partial', now()), ('a-1121-b', 'Failed', now()),
      ('a-1120-c', 'Partial', now() - interval '1 day')) made (name, status, at)"""


@pytest.fixture
def three(bridge: Orgbridge, actor: Actor) -> str:
    """Two runs of today and one of yesterday; the name of the longest."""
    planned(bridge, actor)
    with bridge.session(actor.workspace_id) as session:
        session.execute(text(_PLANTED), {"long": LONG})
    return LONG


def test_states_are_offered_with_how_many_runs_they_have(three: str, opened: Opened) -> None:
    app = opened("migrate/runs.py", status="partial")

    (states,) = app.pills
    assert states.options == ["Running 0", "Succeeded 0", "Partial 2", "Failed 1"]
    assert app.dataframe[0].value["status"].tolist() == [["Partial"], ["Partial"]]


def test_a_choice_of_states_stands_in_the_address(three: str, opened: Opened) -> None:
    app = opened("migrate/runs.py")

    app.pills[0].select("Failed").run()
    chosen = app.query_params["status"]
    app.pills[0].unselect("Failed").run()

    assert chosen == "Failed"
    assert "status" not in app.query_params
    assert len(app.dataframe[0].value) == 3


def test_a_long_name_keeps_the_end_that_tells_it_from_others(three: str, opened: Opened) -> None:
    app = opened("migrate/runs.py")

    shown = app.dataframe[0].value["run"].tolist()

    assert any(name.endswith("…1121-abcde") for name in shown)
    assert "a-1121-b" in shown


def test_the_file_of_runs_holds_names_and_times_in_full(
    bridge: Orgbridge, actor: Actor, three: str
) -> None:
    found = run_reads.listed(bridge, actor, run_reads.RunFilter(text=three))

    (line,) = csv.DictReader(io.StringIO(run_list.csv_of(found.rows).decode("utf-8-sig")))

    assert (line["run"], line["status"]) == (three, "Partial")
    assert line["requested_by"] == "mira@acme.example"
    assert line["finished_at"].endswith("+00:00")
    assert line["seconds"] == "60.0"


def test_a_run_that_found_nothing_to_do_is_done(
    bridge: Orgbridge, actor: Actor, three: str, opened: Opened
) -> None:
    with bridge.session(actor.workspace_id) as session:
        session.execute(text("DELETE FROM run_step"))
        session.execute(text("UPDATE data_migration SET status = 'Succeeded'"))

    shown = opened("migrate/runs.py").dataframe[0].value

    assert shown[["rows", "done"]].to_numpy().tolist() == [[0, 100.0]] * 3


def test_a_plan_named_like_markup_is_drawn_as_it_is_typed() -> None:
    """Plotly makes bold letters and links of tags in a hover."""
    assert palette.plain("<a href='x'>R&D</a>") == "&lt;a href='x'&gt;R&amp;D&lt;/a&gt;"
