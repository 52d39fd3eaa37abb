"""Runs schema revisions on one guarded connection: one upgrader at a time, no endless wait.

Two processes that start together both come here: the second waits on the advisory lock, then finds
nothing to do. Each revision is a transaction of its own.
"""

from __future__ import annotations

from sqlalchemy import Connection, create_engine, pool, text

from alembic import context
from core.db.models import Base
from core.db.schema import compares_object, renders_type

#: any constant of our own; every upgrader of this product uses the same one
UPGRADE_LOCK = 7_614_301
#: seconds to wait for another upgrader, then for one table lock, then for one statement
UPGRADER_WAIT_S, LOCK_WAIT_S, STATEMENT_S = 120, 10, 900


def run_guarded(connection: Connection) -> None:
    """Take the upgrade lock, run the revisions asked for, let the lock go."""
    connection.execute(text(f"SET lock_timeout = '{UPGRADER_WAIT_S}s'"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": UPGRADE_LOCK})
    try:
        connection.execute(text(f"SET lock_timeout = '{LOCK_WAIT_S}s'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_S}s'"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            compare_type=True,
            render_item=renders_type,
            include_object=compares_object,
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": UPGRADE_LOCK})
        connection.execute(text("RESET lock_timeout"))
        connection.execute(text("RESET statement_timeout"))
        connection.commit()


def own_connection() -> Connection:
    """A connection for `alembic` on the command line: owner role, DATABASE_URL."""
    from core.config import load_settings
    from core.db.engine import database_url

    given_url = load_settings().database_url
    if given_url is None:
        raise SystemExit("Set DATABASE_URL to the database that alembic should work on.")
    return create_engine(database_url(given_url), poolclass=pool.NullPool).connect()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run_guarded(given)
else:
    with own_connection() as opened:
        run_guarded(opened)
