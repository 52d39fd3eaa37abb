"""Rows that older versions left behind are put right by the revision that came after them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from uuid_utils.compat import uuid7

from core import bootstrap
from core.config import Settings
from core.db import schema
from core.db.engine import database_url
from core.db.models import MigrationPlan, PlanVersion, RegisteredOrg
from core.domain.names import NAME_MAX_CHARS
from core.domain.roles import Actor, Role
from core.jobs import queue
from core.secret import Secret
from core.services import plans
from tests.conftest import TEST_KEY
from tests.db.planting import plant, workspace

EmptyDatabase = Callable[[], AbstractContextManager[str]]
LONG = "A plan whose name tells everything that anybody might ever want to know of it " * 4
ORG = "An org that was named as thoroughly as the plan that reads it was named before " * 4
PRIORITIES = (
    "SELECT args ->> 'run_id' AS run, priority FROM procrastinate_jobs ORDER BY priority DESC"
)


def old_rows(session: Session, workspace_id: Any) -> dict[str, Any]:
    """One plan with its version and source org, and another that differs in its last word."""
    rows = plant(session, workspace_id)
    plan_id, org_id = rows["migration_plan"]["id"], rows["registered_org"]["id"]
    entry = [{"source": "Account"}]
    document = {"orgbridge": 1, "name": LONG, "source": ORG, "target": "new", "objects": entry}
    session.execute(sa.update(RegisteredOrg).where(RegisteredOrg.id == org_id).values(name=ORG))
    session.execute(
        sa.update(MigrationPlan)
        .where(MigrationPlan.id == plan_id)
        .values(name=LONG, draft=document, source_org_id=org_id)
    )
    version = {"plan_id": plan_id, "number": 7, "document": document, "digest": "0" * 64}
    more = {"cut_for": "launch", "created_by": "ada", "workspace_id": workspace_id}
    session.add(PlanVersion(**version, **more))
    other = document | {"name": f"{LONG}two"}
    same = {"workspace_id": workspace_id, "created_by": "ada", "updated_by": "ada"}
    session.add(MigrationPlan(name=other["name"], draft=other, **same))
    return {"plan": plan_id, "org": org_id}


def test_a_plan_with_a_name_of_any_length_opens_after_the_upgrade(
    empty_database: EmptyDatabase, tmp_path: Path
) -> None:
    """With its versions, its org and beside one that was named almost alike."""
    with empty_database() as url:
        engine = sa.create_engine(database_url(url), poolclass=NullPool)
        schema.upgrade(engine)
        with Session(engine) as session:
            workspace_id = workspace(session, "A")
            ids = old_rows(session, workspace_id)
            session.commit()
        schema.downgrade(engine, to="0007")  # where such rows were made

        with bootstrap.build(Settings(url, tmp_path, key=Secret(TEST_KEY))) as bridge:
            actor = Actor(workspace_id, None, "ada", Role.ADMIN)
            found = [plans.plan(bridge, actor, row.id) for row in plans.plans(bridge, actor)[:2]]
            opened = plans.plan(bridge, actor, ids["plan"])
            cut = plans.version_plan(bridge, actor, ids["plan"], number=7)
            with bridge.owner_session() as session:
                org = session.get_one(RegisteredOrg, ids["org"]).name
                with pytest.raises(sa.exc.DBAPIError, match="its rows are history"):
                    session.execute(sa.update(PlanVersion).values(number=8))

    assert opened.row.name == opened.plan.name == cut.name
    assert opened.plan.name.startswith(LONG[:150])
    assert len(opened.plan.name) <= NAME_MAX_CHARS
    assert opened.plan.source == cut.source == org
    assert len({each.row.name for each in found}) == 2


def test_a_run_that_was_queued_for_later_lets_earlier_ones_pass(
    empty_database: EmptyDatabase,
) -> None:
    """Queued by a version that gave all runs one priority; one that is due stays as it is."""
    now = dt.datetime.now(dt.UTC)
    later = now + dt.timedelta(hours=6)
    runs = {name: uuid7() for name in ("tonight", "due", "now")}
    with empty_database() as url:
        engine = sa.create_engine(database_url(url), poolclass=NullPool)
        schema.upgrade(engine, to="0007")
        with Session(engine) as session:
            for name, at in (
                ("tonight", later),
                ("due", now - dt.timedelta(minutes=1)),
                ("now", None),
            ):
                job = {"workspace_id": uuid7(), "run_id": runs[name], "target": "00D"}
                queue.defer_run(session, **job, start_at=at)
            session.execute(sa.text("UPDATE procrastinate_jobs SET priority = 0"))
            session.commit()

        schema.upgrade(engine)

        with engine.connect() as connection:
            told = {row.run: row.priority for row in connection.execute(sa.text(PRIORITIES))}

    assert told.pop(str(runs["tonight"])) == -(int(later.timestamp()) // 60)
    assert set(told.values()) == {0}
