"""The schema's revision: which one is there, which one the code needs, and the way up.

`revision` and `HEAD_REVISION` cost one query, so that a start with nothing to do never imports
alembic (0.3 s). The revisions are in `alembic/versions`; nothing else ever changes the schema.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.errors import ConfigError

if TYPE_CHECKING:
    from alembic.config import Config

#: the newest revision; a test holds it to alembic's own answer
HEAD_REVISION = "0009"

#: procrastinate brings its own tables and names them with this prefix
FOREIGN_TABLES = "procrastinate_"

#: alembic keeps its context in module globals; processes are kept apart by the advisory lock
_ONE_AT_A_TIME = threading.Lock()
_PROJECT = Path(__file__).resolve().parents[2]
#: the revisions, each file named by its number, which grows
VERSIONS = _PROJECT / "alembic" / "versions"


def revision(connection: Connection) -> str | None:
    """Revision of the database, or None for an empty one."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def is_newer(found: str | None) -> bool:
    """True when a database is at a revision that this version does not know.

    Newer versions of the product only add within one version number: what this one knows is still
    there, so work that began goes on; new work is for a process that knows the whole of it.
    """
    if found in (None, HEAD_REVISION):
        return False
    # the folder may hold revisions that came after this process began: an upgrade in place
    known = {path.name.split("_", 1)[0] for path in VERSIONS.glob("[0-9]*.py")}
    return found not in {each for each in known if each <= HEAD_REVISION}


def too_new(found: str | None) -> ConfigError:
    """What a process says that does not know the database's revision."""
    return ConfigError(
        f"The database is at revision {found}, which this version of Orgbridge does not know"
        f" (it knows up to {HEAD_REVISION}).",
        state="Nothing was changed.",
        next_step="Install the newer version on this machine too, then start again.",
    )


def upgrade(engine: Engine, *, to: str = "head") -> None:
    """Bring the schema up to `to`; the engine must be the owner's. Does nothing when it is there.

    Raises:
        ConfigError: the database refused (rights, a lock held too long); the schema is at the last
            revision that finished, because each revision is one transaction.
    """
    from alembic import command  # 0.3 s that most starts need not spend

    _run(engine, lambda config: command.upgrade(config, to))


def downgrade(engine: Engine, *, to: str) -> None:
    """Take the schema down to `to` ('base' for nothing); loses the data of what it drops."""
    from alembic import command

    _run(engine, lambda config: command.downgrade(config, to))


def alembic_config() -> Config:
    """Alembic's configuration for this project, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_PROJECT / "alembic").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def renders_type(kind: str, item: Any, context: Any) -> str | bool:
    """Alembic hook: our own column types are written as the plain ones beneath them."""
    from core.db.models.base import UtcDateTime  # the models cost a start 0.15 s

    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.TIMESTAMP(timezone=True)"
    return False


def compares_object(item: Any, name: str | None, kind: str, *_rest: Any) -> bool:
    """Alembic hook: leave the job queue's own tables out of the comparison."""
    return not (kind == "table" and (name or "").startswith(FOREIGN_TABLES))


def _run(engine: Engine, act: Any) -> None:
    config = alembic_config()
    try:
        with _ONE_AT_A_TIME, engine.connect() as connection:
            config.attributes["connection"] = connection
            act(config)
    except DBAPIError as error:
        raise ConfigError(
            f"The database refused a change of its schema: {_first_line(error.orig)}.",
            state="The schema is at the last revision that finished; no data was lost.",
            next_step="Give the owner in DATABASE_URL the missing right, or try again if a lock was"
            " held, then start once more.",
        ) from error
    except SQLAlchemyError as error:
        raise ConfigError(
            f"The schema could not be changed: {_first_line(error)}.",
            state="The schema is at the last revision that finished.",
            next_step="Look at the server's log and start again.",
        ) from error


def _first_line(error: object) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no reason"
