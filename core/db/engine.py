"""Engines on our PostgreSQL: one as the owner of the tables, one as the app, which policies bind.

The login owns the tables and is for migrations, retention and bulk copies of the ledger. The app's
engine says ``SET ROLE orgbridge_app`` on every new connection, so row-level security holds for all
it does. `check_server` refuses a login or app role for which policies would not hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
import psycopg
from psycopg import sql
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from core.db.embedded.layout import APP_ROLE
from core.errors import ConfigError, UserError

POSTGRES_MIN = 150000  # server_version_num of 15: policies and MERGE as we use them
CONNECT_TIMEOUT_S = 10
#: a machine that is gone without a word is noticed after a minute, by us and by the server, which
#: then drops its locks; systems wait for two hours
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
#: the same as the server's settings; on a Unix socket it takes none of it to heart
SERVER_KEEPALIVE = {f"tcp_{name}": seconds for name, seconds in KEEPALIVE.items()}
#: concurrent sessions of one process: pages and API threads of the app, or one worker's
POOL_SIZE = 10
POOL_OVERFLOW = 30
#: pauses before the embedded server is looked after and asked again
REVIVE_PAUSES_S = (0.0, 0.1, 0.5)


def database_url(text: str) -> URL:
    """A SQLAlchemy URL for psycopg out of what people write (``postgres://``, ``postgresql://``).

    Raises:
        ConfigError: it is no PostgreSQL URL; the message never repeats the password.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigError(
            "DATABASE_URL is not a URL.",
            next_step="Write postgresql://USER:PASSWORD@HOST:5432/DATABASE.",
        ) from None
    backend = url.drivername.split("+", 1)[0]
    if backend not in ("postgres", "postgresql"):
        raise ConfigError(
            f"DATABASE_URL names {backend}; Orgbridge runs on PostgreSQL only.",
            next_step="Write postgresql://USER:PASSWORD@HOST:5432/DATABASE.",
        )
    return url.set(drivername="postgresql+psycopg")


def owner_engine(url: URL, *, revive: Callable[[], None] | None = None) -> Engine:
    """Engine of the login that owns the tables; small pool.

    Args:
        revive: called once when the server does not answer, before a second try (the embedded
            server may have been killed).
    """
    return _engine(url, revive=revive, pool_size=2, max_overflow=8, role=None)


def app_engine(url: URL, *, revive: Callable[[], None] | None = None) -> Engine:
    """Engine of the app: each connection acts as `APP_ROLE`, for which policies hold."""
    return _engine(
        url, revive=revive, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW, role=APP_ROLE
    )


def check_server(url: URL) -> None:
    """Make sure that the server is fit: version, roles; create the app's role when we may.

    Raises:
        ConfigError: unreachable, too old, or a role for which row-level security would not hold;
            the message holds the SQL that mends it.
    """
    with _connected(url) as connection:
        version = connection.info.server_version
        if version < POSTGRES_MIN:
            raise ConfigError(
                f"The PostgreSQL at {_place(url)} is version {version // 10000}.",
                next_step="Orgbridge needs 15 or newer.",
            )
        login = _role(connection, connection.info.user)
        if login.bypasses:
            raise _bypassing(url, login.name)
        app = _role(connection, APP_ROLE)
        if not app.exists:
            _create_app_role(connection, url, login)
        elif app.bypasses:
            raise ConfigError(
                f"The role {APP_ROLE} bypasses row-level security.",
                next_step=f"As a superuser: ALTER ROLE {APP_ROLE} NOSUPERUSER NOBYPASSRLS;",
            )
        elif not app.is_ours:
            raise ConfigError(
                f"The login {login.name} may not act as {APP_ROLE}.",
                next_step=f'As a superuser: GRANT {APP_ROLE} TO "{login.name}";',
            )


class _Role:
    """What matters of a role for row-level security."""

    def __init__(self, row: tuple[Any, ...] | None) -> None:
        self.exists = row is not None
        self.name, self.bypasses, self.creates_roles, self.is_ours = row or (
            "",
            False,
            False,
            False,
        )


def _role(connection: psycopg.Connection[tuple[Any, ...]], name: str) -> _Role:
    statement = """
        SELECT rolname, rolsuper OR rolbypassrls, rolcreaterole, pg_has_role(current_user, oid, %s)
        FROM pg_roles WHERE rolname = %s"""
    # Up to 15 a member may always SET ROLE; from 16 on that is a right of its own.
    right = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    return _Role(connection.execute(statement, [right, name]).fetchone())


def _create_app_role(
    connection: psycopg.Connection[tuple[Any, ...]], url: URL, login: _Role
) -> None:
    if not login.creates_roles:
        raise ConfigError(
            f"The PostgreSQL at {_place(url)} has no role {APP_ROLE}, and {login.name} may not"
            " create it.",
            next_step=f"As a superuser: CREATE ROLE {APP_ROLE} NOLOGIN;"
            f' GRANT {APP_ROLE} TO "{login.name}";',
        )
    try:
        connection.execute(f"CREATE ROLE {APP_ROLE} NOLOGIN".encode())
    except psycopg.errors.DuplicateObject:
        connection.rollback()  # another process of ours was faster
    # From 16 on a role's creator may grant it to itself; before, creating it was enough to grant.
    grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(APP_ROLE), sql.Identifier(login.name))
    connection.execute(grant)
    connection.commit()


def _bypassing(url: URL, login: str) -> ConfigError:
    database = url.database or login
    return ConfigError(
        f"The login {login} of DATABASE_URL is a superuser or has BYPASSRLS: the walls between"
        " workspaces would not hold.",
        state="Nothing was changed.",
        next_step="As a superuser: CREATE ROLE orgbridge LOGIN PASSWORD '…';"
        f" CREATE ROLE {APP_ROLE} NOLOGIN; GRANT {APP_ROLE} TO orgbridge;"
        f' ALTER DATABASE "{database}" OWNER TO orgbridge; and name that login in DATABASE_URL.',
    )


def _engine(
    url: URL,
    *,
    revive: Callable[[], None] | None,
    pool_size: int,
    max_overflow: int,
    role: str | None,
) -> Engine:
    engine = create_engine(
        url,
        pool_pre_ping=True,
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        pool_size=pool_size,
        max_overflow=max_overflow,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "orgbridge",
            **KEEPALIVE,
        },
    )
    if revive is not None:
        _reconnect_through(engine, revive)
    event.listen(engine, "connect", _set_up(role))
    event.listen(engine, "handle_error", _say_unstorable)
    return engine


def _say_unstorable(context: ExceptionContext) -> None:
    """PostgreSQL's text and JSON have no NUL: whoever typed or sent one is told so."""
    problem = context.original_exception
    has_nul = isinstance(problem, psycopg.DataError) and "NUL" in str(problem)
    if has_nul or isinstance(problem, psycopg.errors.UntranslatableCharacter):
        raise UserError(
            "The text holds a character that cannot be stored (NUL).",
            state="Nothing was saved.",
            next_step="Take it out and try again.",
        ) from problem


def _dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def _set_up(role: str | None) -> Callable[[DBAPIConnection, ConnectionPoolEntry], None]:
    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute("; ".join(f"SET {name} = {n}" for name, n in SERVER_KEEPALIVE.items()))
        if role is not None:
            cursor.execute(f"SET ROLE {role}")
        cursor.close()
        connection.commit()  # outside the first transaction, so that its rollback keeps the role

    return on_connect


def _reconnect_through(engine: Engine, revive: Callable[[], None]) -> None:
    def do_connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        # A server killed this moment still takes a connection, only to drop it.
        for pause_s in REVIVE_PAUSES_S:
            try:
                return dialect.connect(*arguments, **options)
            except psycopg.OperationalError:
                time.sleep(pause_s)
                revive()
        return dialect.connect(*arguments, **options)

    event.listen(engine, "do_connect", do_connect)


def _connected(url: URL) -> psycopg.Connection[tuple[Any, ...]]:
    target = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return psycopg.connect(target, connect_timeout=CONNECT_TIMEOUT_S)
    except psycopg.OperationalError as error:
        raise ConfigError(
            f"The PostgreSQL at {_place(url)} does not let us in: {_reason(error)}",
            next_step="Check host, port, login and database name in DATABASE_URL.",
        ) from None  # libpq's text may hold the connection string


def _place(url: URL) -> str:
    return (
        f"{url.host or url.query.get('host', 'localhost')}:{url.port or 5432}/{url.database or ''}"
    )


def _reason(error: psycopg.OperationalError) -> str:
    return str(error).strip().splitlines()[-1].rpartition("failed: ")[2] or "no reason given"
