"""Rows of one workspace cannot be read, changed, counted or planted from another, by any model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.orm import Session

from core.bootstrap import Orgbridge
from core.db.models import ALL_LOGS, Base
from tests.db.planting import plant, workspace

#: read before a workspace is known; every other table is behind the wall
EXEMPT = {
    "workspace",
    "app_user",
    "user_session",
    "api_key",
    "oauth_state",
    "sign_in_attempt",
    "vault_canary",
    "alembic_version",
}
EXEMPT_PREFIX = "procrastinate_"
WALLED = [table for table in Base.metadata.sorted_tables if table.name not in EXEMPT]
#: the database refuses these to everybody, whatever the workspace
APPEND_ONLY = {"audit_log", "plan_version"}


@pytest.fixture(scope="module")
def towns(request: pytest.FixtureRequest) -> Iterator[tuple[Orgbridge, UUID, UUID, dict[str, Any]]]:
    """A product with two workspaces, a row in every table of each; B's rows by table."""
    from core import bootstrap
    from core.config import Settings
    from core.secret import Secret
    from tests.conftest import TEMPLATE, TEST_KEY

    server = request.getfixturevalue("test_server")
    with (
        server.database(TEMPLATE) as url,
        bootstrap.build(
            Settings(database_url=url, home=server.home / "walls", key=Secret(TEST_KEY))
        ) as bridge,
    ):
        with bridge.owner_session() as session:
            a, b = workspace(session, "A"), workspace(session, "B")
            plant(session, a)
            rows = plant(session, b)
        yield bridge, a, b, rows


@pytest.mark.parametrize("inside", ["another workspace", "no workspace"])
def test_no_row_of_b_is_seen_or_touched(
    towns: tuple[Orgbridge, UUID, UUID, dict[str, Any]], inside: str
) -> None:
    """Through every model, on a connection that saw B before."""
    bridge, a, b, rows = towns
    with bridge.session(b) as session:
        assert all(session.scalar(sa.select(sa.func.count()).select_from(t)) for t in WALLED)

    for table in WALLED:
        key = _key(table, rows[table.name])
        with _session(bridge, a if inside == "another workspace" else None) as session:
            seen = session.execute(sa.select(table).where(key)).all()
            counted = session.scalar(
                sa.select(sa.func.count()).select_from(table).where(table.c.workspace_id == b)
            )
            assert (seen, counted) == ([], 0), table.name
        if table.name in APPEND_ONLY:
            continue
        for statement in (
            sa.update(table).where(key).values(workspace_id=a),
            sa.delete(table).where(key),
        ):
            with _session(bridge, a if inside == "another workspace" else None) as session:
                assert session.execute(statement).rowcount == 0, table.name

    with bridge.session(b) as session:
        left = {t.name: session.scalar(sa.select(sa.func.count()).select_from(t)) for t in WALLED}
    assert set(left.values()) == {1}, left


def test_nothing_is_planted_into_b(towns: tuple[Orgbridge, UUID, UUID, dict[str, Any]]) -> None:
    """An insert that names B's workspace is refused, and so is moving an own row there."""
    bridge, a, b, rows = towns

    for table in WALLED:
        values = dict(rows[table.name])
        statement = sa.insert(table).values(
            {c.name: values[c.name] for c in table.columns if c.identity is None}
        )
        with pytest.raises(ProgrammingError, match="row-level security"), bridge.session(a) as s:
            s.execute(statement)
        if table.name in APPEND_ONLY:
            continue
        move = sa.update(table).values(workspace_id=b)
        with pytest.raises(DBAPIError, match="row-level security"), bridge.session(a) as session:
            session.execute(move)


def test_view_over_all_logs_has_the_same_wall(
    towns: tuple[Orgbridge, UUID, UUID, dict[str, Any]],
) -> None:
    """The view runs with the reader's rights; every log table has an arm in it."""
    bridge, a, _, _ = towns
    logs = {
        table.name.removesuffix("_log")
        for table in Base.metadata.sorted_tables
        if table.name.endswith("_log")
    }
    with bridge.session(a) as session:
        kinds = session.execute(sa.select(ALL_LOGS.c.kind, ALL_LOGS.c.workspace_id)).all()
    with Session(bridge.engine) as session:
        without = session.execute(sa.select(ALL_LOGS.c.id)).all()

    assert sorted(kind for kind, _ in kinds) == sorted(logs)
    assert {workspace_id for _, workspace_id in kinds} == {a}
    assert without == []


def test_wall_is_up_on_every_table_but_the_listed(
    towns: tuple[Orgbridge, UUID, UUID, dict[str, Any]],
) -> None:
    """A new table without row-level security fails here."""
    bridge = towns[0]
    with bridge.owner_session() as session:
        open_tables = session.scalars(
            sa.text(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relrowsecurity"
                " AND relnamespace = 'public'::regnamespace"
            )
        ).all()

    assert {name for name in open_tables if not name.startswith(EXEMPT_PREFIX)} == EXEMPT


def test_app_role_owns_nothing_and_cannot_climb(
    towns: tuple[Orgbridge, UUID, UUID, dict[str, Any]],
) -> None:
    """The app's role has no way around the policies."""
    bridge = towns[0]
    with Session(bridge.engine) as session:
        role = session.execute(
            sa.text(
                "SELECT rolsuper, rolbypassrls, rolcreaterole, current_user FROM pg_roles"
                " WHERE rolname = current_user"
            )
        ).one()
        owned = session.scalar(
            sa.text("SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole")
        )
        for statement in (
            "ALTER TABLE registered_org DISABLE ROW LEVEL SECURITY",
            "DROP POLICY registered_org_workspace ON registered_org",
            "CREATE TABLE mine (id int)",
            "UPDATE alembic_version SET version_num = 'x'",
            "TRUNCATE registered_org",
        ):
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
                session.execute(sa.text(statement))
            session.rollback()

    assert tuple(role) == (False, False, False, "orgbridge_app")
    assert owned == 0


def test_failed_transaction_leaves_no_workspace_behind(
    towns: tuple[Orgbridge, UUID, UUID, dict[str, Any]],
) -> None:
    """The same pooled connection, after a rollback and after a commit, is in no workspace."""
    bridge, _, b, _ = towns
    with pytest.raises(RuntimeError, match="on purpose"), bridge.session(b):
        raise RuntimeError("on purpose")

    for _ in range(3):
        with Session(bridge.engine) as session:
            inside = session.scalar(sa.text("SELECT current_setting('app.workspace_id', true)"))
        assert not inside


@contextmanager
def _session(bridge: Orgbridge, workspace_id: UUID | None) -> Iterator[Session]:
    if workspace_id is not None:
        with bridge.session(workspace_id) as session:
            yield session
    else:
        with Session(bridge.engine) as session, session.begin():
            yield session


def _key(table: sa.Table, row: dict[str, Any]) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == row[column.name] for column in table.primary_key.columns))
