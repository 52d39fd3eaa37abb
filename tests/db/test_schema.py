"""The schema: made by revisions alone, equal to the models, up and down."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from core import bootstrap
from core.config import Settings
from core.db import schema
from core.db.engine import database_url
from core.errors import ConfigError
from core.secret import Secret
from tests.conftest import TEST_KEY

PROJECT = Path(__file__).resolve().parents[2]
EmptyDatabase = Callable[[], AbstractContextManager[str]]


def engine_of(url: str) -> Engine:
    return create_engine(database_url(url), poolclass=NullPool)


def test_head_equals_models(empty_database: EmptyDatabase) -> None:
    """What autogenerate would still change is nothing."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from core.db.models import Base

    with empty_database() as url:
        engine = engine_of(url)
        schema.upgrade(engine)
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={"compare_type": True, "include_object": schema.compares_object},
            )
            left = compare_metadata(context, Base.metadata)

    assert left == []


def test_check_constraints_equal_models(empty_database: EmptyDatabase) -> None:
    """Autogenerate does not compare check constraints, so their names are compared here."""
    from sqlalchemy import CheckConstraint

    from core.db.models import Base

    wanted = {
        str(each.name)
        for table in Base.metadata.sorted_tables
        for each in table.constraints
        if isinstance(each, CheckConstraint)
    }
    with empty_database() as url:
        engine = engine_of(url)
        schema.upgrade(engine)
        with engine.connect() as connection:
            found = connection.scalars(
                text(
                    "SELECT conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
                    " WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
                    " AND NOT starts_with(relname, 'procrastinate_')"
                )
            )
            assert set(found) == wanted


def test_every_revision_goes_up_and_down(empty_database: EmptyDatabase) -> None:
    """One step at a time up, all the way down to nothing, and up again."""
    from alembic.script import ScriptDirectory

    steps = [
        each.revision
        for each in ScriptDirectory.from_config(schema.alembic_config()).walk_revisions()
    ][::-1]
    with empty_database() as url:
        engine = engine_of(url)
        for step in steps:
            schema.upgrade(engine, to=step)
            with engine.connect() as connection:
                assert schema.revision(connection) == step
        for step in reversed(["base", *steps[:-1]]):
            schema.downgrade(engine, to=step)
        with engine.connect() as connection:
            names = inspect(connection).get_table_names()
            objects = connection.scalars(
                text(
                    "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                    " UNION ALL SELECT typname FROM pg_type WHERE typtype IN ('e', 'c')"
                    " AND typnamespace = 'public'::regnamespace AND typname <> 'alembic_version'"
                )
            ).all()
            views = inspect(connection).get_view_names()
        schema.upgrade(engine)

    assert (names, objects, views) == (["alembic_version"], [], [])


def test_head_constant_is_the_newest_revision() -> None:
    """Starts compare with the constant, so that they need not import alembic."""
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory.from_config(schema.alembic_config()).get_current_head()

    assert newest == schema.HEAD_REVISION


def test_revisions_after_the_baseline_only_add() -> None:
    """Older workers go on beside a newer schema until they are replaced (docs/scaling.md)."""
    taking = {"drop_table", "drop_column", "drop_constraint", "rename_table", "alter_column"}
    offenders = []
    for path in sorted((PROJECT / "alembic" / "versions").glob("[0-9]*.py"))[1:]:
        (up,) = [
            node
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
        ]
        for node in ast.walk(up):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in taking:
                offenders.append(f"{path.name}:{node.lineno} {node.func.attr}")
            if node.func.attr == "add_column" and any(
                _needs_a_value(each) for each in ast.walk(node) if isinstance(each, ast.Call)
            ):
                offenders.append(f"{path.name}:{node.lineno} a column that old code cannot fill")

    assert offenders == []


def _needs_a_value(call: ast.Call) -> bool:
    """A new column that is never null and has no default: an older version's INSERT would fail."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "Column":
        return False
    given = {word.arg: word.value for word in call.keywords}
    never_null = getattr(given.get("nullable"), "value", True) is False
    return never_null and "server_default" not in given


def test_a_revision_that_is_not_known_is_newer_and_refused(
    empty_database: EmptyDatabase, tmp_path: Path
) -> None:
    with empty_database() as url:
        engine = engine_of(url)
        schema.upgrade(engine, to="0002")
        assert not schema.is_newer("0002")
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

        with (
            pytest.raises(ConfigError, match=r"revision 9999.*does not know"),
            bootstrap.build(Settings(url, tmp_path, key=Secret(TEST_KEY))),
        ):
            pytest.fail("it was opened")


def test_a_revision_that_came_with_newer_files_is_newer_to_what_runs_already(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An upgrade in place: the files are there, the process began before them."""
    monkeypatch.setattr(schema, "HEAD_REVISION", "0002")

    told = {each: schema.is_newer(each) for each in (None, "0001", "0002", "0003", "9999")}

    assert told == {None: False, "0001": False, "0002": False, "0003": True, "9999": True}


def test_job_queue_schema_is_the_installed_packages() -> None:
    """A newer procrastinate brings SQL of its own: that needs a revision."""
    import procrastinate.schema

    frozen = PROJECT / "alembic" / "sql" / "procrastinate-3.10.0.sql"

    assert frozen.read_text() == procrastinate.schema.SchemaManager.get_schema()


def test_nothing_but_alembic_changes_the_schema() -> None:
    """No create_all, drop_all or DDL statement in the product's code."""
    ddl = re.compile(r"^\s*(CREATE|ALTER|DROP)\s+(TABLE|INDEX|VIEW|POLICY|TYPE)\b", re.I)
    offenders = []
    for path in [*(PROJECT / "core").rglob("*.py"), *(PROJECT / "pages").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("create_all", "drop_all"):
                offenders.append(f"{path}:{node.lineno}")
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                # temporary tables are no schema: they end with their transaction
                if ddl.match(node.value) and " TEMP" not in node.value.upper():
                    offenders.append(f"{path}:{node.lineno}")

    assert offenders == []


def test_two_upgraders_at_once_make_one_schema(empty_database: EmptyDatabase) -> None:
    """The second waits on the advisory lock and finds nothing to do."""
    with empty_database() as url:
        upgrade = (
            "import sys, sqlalchemy as sa; from core.db import schema;"
            " from core.db.engine import database_url;"
            " schema.upgrade(sa.create_engine(database_url(sys.argv[1])))"
        )
        started = [
            subprocess.Popen([sys.executable, "-c", upgrade, url], cwd=PROJECT) for _ in range(3)
        ]
        ended = [each.wait(timeout=60) for each in started]
        with engine_of(url).connect() as connection:
            revision = schema.revision(connection)

    assert (ended, revision) == ([0, 0, 0], schema.HEAD_REVISION)


def test_refused_upgrade_says_why_and_leaves_nothing_behind(empty_database: EmptyDatabase) -> None:
    """Our sentence, not a stack of driver errors; the revision's transaction is rolled back."""
    with empty_database() as url:
        engine = engine_of(url)
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE app_user (id int)"))
            connection.commit()

        with pytest.raises(ConfigError, match="already exists"):
            schema.upgrade(engine)

        with engine.connect() as connection:
            assert schema.revision(connection) is None
            assert inspect(connection).get_table_names() == ["app_user"]
