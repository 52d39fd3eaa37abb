"""The Errors page full: what failed in which run, and what people note of it."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.db.models import DataMigration, RowFailure, RunStep
from core.domain.roles import Actor, Role
from core.services import logs

Opened = Callable[..., AppTest]


def plant_failures(bridge: Orgbridge, actor: Actor, rows: int) -> None:
    """Rows of one run that were refused with a hostile sentence."""
    with bridge.session(actor.workspace_id) as session:
        run = DataMigration(data_schedule_id="sales-1", requested_by="x")
        session.add(run)
        session.flush()
        names = {"mapping_name": "contact", "source_object": "Lead", "target_object": "Contact"}
        step = RunStep(run_id=run.id, operation="insert", phase="load", **names)
        session.add(step)
        session.flush()
        told = {"kind": "failed", "code": "TOO_BAD", "message": "<b>no</b> [x](javascript:1)"}
        session.add_all(
            RowFailure(
                run_id=run.id, step_id=step.id, source_id=f"00Q{n}", fingerprint="f", fields=[],
                **told,
            )
            for n in range(rows)
        )  # fmt: skip


def test_a_kind_of_error_shows_its_records_and_keeps_a_note(
    opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    plant_failures(bridge, actor, 30)
    page = opened("observe/errors.py", role=Role.ANALYST)
    assert not page.exception and not page.error
    groups, records = (one.value for one in page.dataframe)
    assert groups["count"].to_list() == [30]
    assert len(records) == logs.SAMPLE_ROWS
    assert set(records["run"]) == {"sales-1"}
    assert page.button(key="errors.run.sales-1").label == "Open run sales-1"

    page.selectbox[0].set_value("known")
    page.text_area[0].set_value("**Ask** the admin")
    next(one for one in page.button if one.label == "Save note").click().run()

    assert not page.exception and not page.error
    assert page.dataframe[0].value["state"].to_list() == [["Known"]]  # kept answers were forgotten
    (noted,) = logs.error_groups(bridge, actor)
    assert (noted.state, noted.note) == ("known", "**Ask** the admin")
    read_only = opened("observe/errors.py", role=Role.VIEWER)
    assert not read_only.text_area
