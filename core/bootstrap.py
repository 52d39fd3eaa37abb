"""The one composition root: builds everything a front door or a worker needs from `Settings`.

    Settings ─▶ database (embedded or DATABASE_URL) ─▶ schema at its revision ─▶ engines, vault
             ─▶ Orgbridge: sessions per workspace, org clients, spool, clock

Nothing else opens an engine. `build` is a context manager: leaving it closes every pool and lets go
of the embedded server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from core.config import Settings
from core.db import schema
from core.db.embedded import EmbeddedServer, ensure_server
from core.db.engine import app_engine, check_server, database_url, owner_engine
from core.errors import NotFoundError
from core.salesforce.retry import OF_A_RUN, Patience

if TYPE_CHECKING:
    from core.access.connections import Identity
    from core.access.oidc import Speaker
    from core.access.secrets import Vault
    from core.salesforce.client import OrgClient
    from core.salesforce.source import RowSource
    from core.spool import Spool

MAIN_WORKSPACE = "main"

Clock = Callable[[], datetime]
Sleep = Callable[[float], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Database:
    """Engines on one database, and the embedded server that carries it, if it is ours."""

    owner: Engine
    app: Engine
    server: EmbeddedServer | None


class Orgbridge:
    """What the product consists of in this process; front doors and workers hold one."""

    def __init__(
        self,
        settings: Settings,
        database: _Database,
        *,
        clock: Clock,
        sleep: Sleep,
        patience: Patience = OF_A_RUN,
    ) -> None:
        self.settings = settings
        self.patience = patience
        self.clock = clock
        self.sleep = sleep
        self._database = database
        self._clients: dict[tuple[UUID, UUID], tuple[Identity, OrgClient]] = {}
        self._files: dict[tuple[UUID, UUID], RowSource] = {}
        self._mutex = threading.Lock()
        self._vault: Vault | None = None
        self._spool: Spool | None = None

    @property
    def engine(self) -> Engine:
        """Engine of the app's role: row-level security holds."""
        return self._database.app

    @property
    def owner_engine(self) -> Engine:
        """Engine of the tables' owner: migrations, retention, backups, copies of the ledger."""
        return self._database.owner

    @property
    def vault(self) -> Vault:
        """Encrypts and decrypts stored secrets."""
        with self._mutex:
            if self._vault is None:
                from core.access.secrets import open_vault

                with self.owner_session() as session:
                    self._vault = open_vault(self.settings, session)
            return self._vault

    @property
    def spool(self) -> Spool:
        """Encrypted page files of extracted rows and before-images."""
        vault = self.vault
        with self._mutex:
            if self._spool is None:
                from core.spool import open_spool

                place = self.settings.spool_url or str(self.settings.home / "spool")
                self._spool = open_spool(place, vault)
            return self._spool

    @cached_property
    def speakers(self) -> Mapping[str, Speaker]:
        """Identity providers for single sign-on by name, in the operator's order.

        Raises:
            ConfigError: the file that names them is not as it must be.
        """
        path = self.settings.oidc_file or self.settings.home / "oidc.yaml"
        if not path.is_file():
            return {}
        from core.access.oidc import Speaker
        from core.access.providers import read_providers

        return {each.name: Speaker(each) for each in read_providers(path)}

    @contextmanager
    def session(self, workspace_id: UUID) -> Iterator[Session]:
        """One transaction on the rows of one workspace; commits, or rolls back on an error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.execute(
                text("SELECT set_config('app.workspace_id', :id, true)"), {"id": str(workspace_id)}
            )
            yield session

    @contextmanager
    def owner_session(self) -> Iterator[Session]:
        """One transaction of the tables' owner, who sees every workspace."""
        with Session(self.owner_engine, expire_on_commit=False) as session, session.begin():
            yield session

    def workspace_id(self, name: str = MAIN_WORKSPACE) -> UUID:
        """The workspace of that name.

        Raises:
            NotFoundError: there is none.
        """
        with self.owner_session() as session:
            found: UUID | None = session.scalar(
                text("SELECT id FROM workspace WHERE name = :name"), {"name": name}
            )
        if found is None:
            raise NotFoundError(
                f"There is no workspace {name!r}.", next_step="Leave it out to use main."
            )
        return found

    def org_client(self, workspace_id: UUID, org_id: UUID) -> OrgClient:
        """The client of one registered org, shared by all threads of this process.

        Refreshed tokens are stored as they come. `forget_org` drops it when credentials change
        here; another one is opened when some process let another user or org in meanwhile.

        Raises:
            NotFoundError: no such org in that workspace.
        """
        from core.access.connections import identity_of, open_client

        key = (workspace_id, org_id)
        identity = identity_of(self, workspace_id, org_id)
        with self._mutex:
            known = self._clients.get(key)
        if known is not None and known[0] == identity:
            return known[1]
        opened = open_client(self, workspace_id, org_id)
        with self._mutex:
            present = self._clients.get(key)
            if present is None or present[0] != identity:
                self._clients[key] = present = (identity, opened)
            return present[1]

    def row_source(self, workspace_id: UUID, org_id: UUID) -> RowSource:
        """What rows are read from: the client of an org, or a set of files.

        Raises:
            NotFoundError: no such org or set in that workspace.
        """
        from core.access.connections import open_files

        key = (workspace_id, org_id)
        with self._mutex:
            known = self._files.get(key)
            is_org = key in self._clients
        if known is not None:
            return known
        files = None if is_org else open_files(self, workspace_id, org_id)
        if files is None:
            return self.org_client(workspace_id, org_id)
        with self._mutex:
            return self._files.setdefault(key, files)

    def forget_org(self, workspace_id: UUID, org_id: UUID) -> None:
        """Drop the cached client: its credentials changed or the org was removed."""
        with self._mutex:
            self._clients.pop((workspace_id, org_id), None)
            self._files.pop((workspace_id, org_id), None)

    def unknown_revision(self) -> str | None:
        """The database's revision if a newer version raised it to one that this process does not
        know; None otherwise, also while the database does not answer."""
        try:
            with self.owner_engine.connect() as connection:
                found = schema.revision(connection)
        except SQLAlchemyError:
            return None
        return found if schema.is_newer(found) else None

    def database_answers(self) -> bool:
        """True when the database answers a query in time; never raises."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SET LOCAL statement_timeout = '2s'"))
                return bool(connection.scalar(text("SELECT 1")) == 1)
        except SQLAlchemyError:
            return False


@contextmanager
def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    sleep: Sleep = time.sleep,
    patience: Patience = OF_A_RUN,
    meanwhile: Callable[[], object] = lambda: None,
) -> Iterator[Orgbridge]:
    """Everything, ready to use: database up, schema at its revision, workspace ``main`` there.

    Args:
        clock: the product's time; tests move it.
        sleep: waits of org clients between two looks at a job and before a request goes again.
        patience: how long orgs are waited for that do not answer.
        meanwhile: what the caller has to do anyway; done while the embedded server starts.
    Raises:
        ConfigError: database, role, schema or key is not as it must be; the message says how to
            mend it. Nothing is left running.
    """
    server = _server(settings, meanwhile)
    try:
        with _opened(settings, server) as database:
            bridge = Orgbridge(
                settings, database, clock=clock or utc_now, sleep=sleep, patience=patience
            )
            _ = bridge.speakers
            _ = bridge.vault  # a wrong or missing key is found out now, not at the first secret
            yield bridge
    finally:
        if server is not None:
            server.close()


def _server(settings: Settings, meanwhile: Callable[[], object]) -> EmbeddedServer | None:
    """The embedded server, held, if it is ours; it starts while the caller does something else."""
    if settings.database_url is not None:
        meanwhile()
        return None
    with ThreadPoolExecutor(1, thread_name_prefix="database") as pool:
        starting = pool.submit(ensure_server, settings.home)
        with ExitStack() as when_it_fails:
            when_it_fails.callback(lambda: starting.result().close())
            meanwhile()
            when_it_fails.pop_all()
        return starting.result()


def utc_now() -> datetime:
    """The clock of the product: aware, UTC."""
    return datetime.now(UTC)


@contextmanager
def _opened(settings: Settings, server: EmbeddedServer | None) -> Iterator[_Database]:
    url = database_url(settings.database_url or (server.urls.owner if server else ""))
    check_server(url)
    revive = server.ensure if server else None
    database = _Database(owner_engine(url, revive=revive), app_engine(url, revive=revive), server)
    try:
        _raise_schema(database.owner)
        yield database
    finally:
        database.owner.dispose()
        database.app.dispose()


def _raise_schema(owner: Engine) -> None:
    """Bring the schema up when it is behind; one query when it is not."""
    with owner.connect() as connection:
        found = schema.revision(connection)
    if schema.is_newer(found):
        raise schema.too_new(found)
    if found != schema.HEAD_REVISION:
        log.info("schema is brought up", extra={"found": found, "wanted": schema.HEAD_REVISION})
        schema.upgrade(owner)
    with owner.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO workspace (id, name) VALUES (:id, :name) ON CONFLICT (name) DO NOTHING"
            ),
            {"id": uuid7(), "name": MAIN_WORKSPACE},
        )
