"""Processes of tests, forked from one that has everything imported: a start takes a tenth of a
second instead of one, most of it imports.

There is one such server in a process, so that all who need it share this context. Whatever a fork
runs must be importable from the project's folder.
"""

from __future__ import annotations

import multiprocessing

PRELOADED = (
    "core.access.connections",
    "core.bootstrap",
    "core.migration.run",
    "orgsim.__main__",
    "tests.orgs",
    # what uvicorn imports when it begins to serve
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.auto",
)
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(list(PRELOADED))
