"""Where a campaign plays: two practice orgs, one database and the product, all long-lived.

Between cases the orgs are emptied and the ledger forgotten; nothing is started anew. Org clients
do not wait for real: a poll or a pause before a request goes again takes a twentieth of a second.
"""

from __future__ import annotations

import datetime as dt
import gc
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from benchmarks.campaign.data import Ids
from benchmarks.campaign.shapes import SHAPES, schema_text
from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.embedded import EmbeddedServer, ensure_server
from core.domain.roles import Actor, Role
from core.secret import Secret
from core.services import orgs
from core.services.connecting import ConnectRequest
from tests.orgs import PracticeOrg, wait_for

#: a Fernet key that only campaigns use
_KEY = "Y2FtcGFpZ24ta2V5LWNhbXBhaWduLWtleS1jYW1wYWk="
#: the longest wait of an org client in a campaign
WAIT_MAX_S = 0.05


@dataclass
class AppClock:
    """The product's clock, which a case may move."""

    offset_s: float = 0.0

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.offset_s)


@dataclass
class Stage:
    """Both orgs, the product between them, and the way to the database behind its back."""

    bridge: Orgbridge
    settings: Settings
    actor: Actor
    source: PracticeOrg
    target: PracticeOrg
    clock: AppClock
    admin_url: str
    ids: Ids = field(default_factory=Ids)

    @property
    def orgs(self) -> tuple[PracticeOrg, PracticeOrg]:
        """Source and target."""
        return self.source, self.target

    def org(self, role: str) -> PracticeOrg:
        """The org in that role: source or target."""
        return self.source if role == "source" else self.target

    def dump(self, role: str, objects: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
        """All stored rows of some objects, deleted ones too."""
        found: dict[str, list[dict[str, Any]]] = self.org(role).json(
            "GET", f"/_sim/dump?objects={','.join(objects)}"
        )
        return found

    def fill(self, role: str, rows: dict[str, list[dict[str, Any]]]) -> None:
        """Puts rows in as they are."""
        made = {}
        for name, given in rows.items():
            columns = dict.fromkeys(key for row in given for key in row)
            made[name] = [{key: row.get(key) for key in columns} for row in given]
        self.org(role).json("POST", "/_sim/load", made)

    def reset(self) -> None:
        """Both orgs empty, no ledger, no pages, clocks right, sessions of ours alive."""
        self.clock.offset_s = 0.0
        for org in self.orgs:
            org.json("POST", "/_sim/reset", {"objects": list(SHAPES)})
        with self.bridge.owner_session() as session:
            session.execute(text("DELETE FROM record_link"))
            session.execute(text("DELETE FROM link_set"))
            session.execute(
                text("UPDATE registered_org SET status = 'connected' WHERE status <> 'connected'")
            )
            session.execute(
                text("UPDATE data_migration SET lock_organization_id = NULL, lease_until = NULL")
            )
        shutil.rmtree(self.settings.home / "spool", ignore_errors=True)

    def reconnect(self) -> None:
        """As a person who connects the orgs again: clients that lost their session are dropped."""
        with self.bridge.session(self.actor.workspace_id) as session:
            found = session.execute(text("SELECT id FROM registered_org")).scalars().all()
        for org_id in found:
            self.bridge.forget_org(self.actor.workspace_id, org_id)

    def await_database(self) -> None:
        """Waits until the database takes connections: a killed one recovers first."""

        def takes_one() -> bool:
            try:
                psycopg.connect(self.admin_url, connect_timeout=5).close()
            except psycopg.Error:
                return False
            return True

        wait_for(takes_one, 120)

    def cut_database(self) -> int:
        """Ends every connection to the database but this one; how many."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
        return int(row[0]) if row else 0


def quick_sleep(seconds: float) -> None:
    """Waits as long as asked, but at most a twentieth of a second."""
    time.sleep(min(seconds, WAIT_MAX_S))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def stage(home: Path | None = None, *, given: Settings | None = None) -> Iterator[Stage]:
    """Sets the stage and clears it away.

    Args:
        given: settings with a migrated database; else an embedded server of our own.
    """
    folder = home or Path(tempfile.mkdtemp(prefix="orgbridge-campaign-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # root's server runs as another account, which must get in
    running: list[PracticeOrg] = []
    server = None if given else _database(folder / "db")
    try:
        settings = given or Settings(None, folder / "home", key=Secret(_KEY))
        if server is not None:
            settings = Settings(server.urls.owner, settings.home, key=settings.key)
        clock = AppClock()
        with bootstrap.build(settings, clock=clock, sleep=quick_sleep) as bridge:
            for name in ("Legacy", "New"):
                running.append(start_org(folder / name.lower(), name))
            on = _connected(bridge, settings, running, clock)
            gc.collect()
            gc.freeze()  # what is imported by now stays: going through it again costs a tenth
            yield on
    finally:
        gc.unfreeze()
        for org in running:
            org.kill()
        if server is not None:
            server.close()
        shutil.rmtree(folder, ignore_errors=True)


def _database(home: Path) -> EmbeddedServer:
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)
    server = ensure_server(home)
    url = server.urls_of("postgres").superuser.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        # a campaign kills processes, not the machine
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return server


def start_org(folder: Path, name: str) -> PracticeOrg:
    """A practice org on a port that it keeps when it is killed and started again."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = folder / "schema.yaml"
    schema.write_text(schema_text(), encoding="utf-8")
    port = ["--port", str(free_port())]
    org = PracticeOrg(folder, ["--name", name, "--schema", str(schema), *port])
    org.start()
    org.options(bulk_queue_delay_s=0, bulk_batch_delay_s=0, bulk_batch_rows=5)
    return org


def _connected(
    bridge: Orgbridge, settings: Settings, running: list[PracticeOrg], clock: AppClock
) -> Stage:
    actor = Actor(bridge.workspace_id(), None, "terminal:campaign", Role.ADMIN)
    for name, org in zip(("legacy", "new"), running, strict=True):
        said = json.loads((org.home / "ready.json").read_text())
        request = ConnectRequest(
            name=name,
            kind="client_credentials",
            instance_url=org.url,
            client_id=said["client_id"],
            client_secret=Secret(said["client_secret"]),
        )
        orgs.connect(bridge, actor, request)
    source, target = running
    url = (settings.database_url or "").replace("+psycopg", "")
    return Stage(bridge, settings, actor, source, target, clock, url)


def pid() -> int:
    """Of this process; where a slice writes which it is."""
    return os.getpid()
