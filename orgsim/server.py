"""Starts a practice org: opens it, listens, announces itself, stops on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from orgsim.dml.save import Save
from orgsim.org import Org
from orgsim.schema import sources
from orgsim.wire.app import make_app
from orgsim.wire.certificate import certificate_files


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What ``serve`` is asked for."""

    home: Path
    name: str
    host: str = "127.0.0.1"
    port: int = 0
    schema: tuple[Path, ...] = ()
    seed: str | None = None
    tls: bool = False
    options: Mapping[str, Any] | None = None


def open_org(settings: ServeSettings) -> Org:
    """The org of the home folder, made from the schema or seed when the folder is new."""
    first_load = None
    if settings.seed is not None:
        from orgsim.seeds.catalogue import seed
        from orgsim.seeds.place import place

        chosen = seed(settings.seed)

        def first_load(save: Save) -> None:
            place(save, chosen.tables())

        given = chosen.document
    else:
        given = sources.given_documents(settings.schema)
    org = Org.open(settings.home, name=settings.name, given=lambda: given, first_load=first_load)
    org.options.update(settings.options or {})
    return org


def serve(settings: ServeSettings) -> None:
    """Runs until SIGTERM or SIGINT; prints one JSON line and writes ``ready.json`` when it
    listens."""
    org = open_org(settings)
    listening = listening_socket(settings.host, settings.port)
    port = listening.getsockname()[1]
    org.url = f"{'https' if settings.tls else 'http'}://{settings.host}:{port}"
    org.bulk.start()
    try:
        asyncio.run(_run(org, settings, listening))
    finally:
        org.bulk.stop()
        with contextlib.suppress(FileNotFoundError):
            (settings.home / "ready.json").unlink()
        org.close()


def listening_socket(host: str, port: int) -> socket.socket:
    """A listening socket whose connections send what is written at once.

    asyncio says so only to sockets that name their protocol, which those of ``create_server`` do
    not; every answer in two writes would wait 40 ms for the peer's acknowledgement. Accepted
    connections inherit the option (seen on Linux 6).
    """
    listening = socket.create_server((host, port))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


async def _run(org: Org, settings: ServeSettings, listening: socket.socket) -> None:
    key, certificate = certificate_files(settings.home) if settings.tls else (None, None)
    config = uvicorn.Config(
        make_app(org), http="h11", lifespan="off", log_level="warning", access_log=False,
        timeout_keep_alive=75, h11_max_incomplete_event_size=64_000, server_header=False,
        ssl_keyfile=key, ssl_certfile=certificate,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    if server.started:
        _announce(org, settings.home)
    await serving


def _announce(org: Org, home: Path) -> None:
    one = org.identity
    line = json.dumps({
        "url": org.url, "organization_id": one.organization_id, "access_token": one.access_token,
        "user_id": one.user_id, "client_id": one.client_id, "client_secret": one.client_secret,
        "pid": os.getpid(), "name": one.name,
    })  # fmt: skip
    partial = home / "ready.json.part"
    partial.write_text(line, encoding="utf-8")
    partial.replace(home / "ready.json")
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
