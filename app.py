"""Front door for browsers: the pages behind the gate, the HTTP routes, what lives as long.

    streamlit run app.py
    python app.py            follows ORGBRIDGE_HOST and ORGBRIDGE_PORT

    start ──▶ database, schema ──▶ worker child, scheduler ──▶ pages answer
    stop  ──▶ scheduler, worker child ──▶ database let go

Everything is built by core.bootstrap; this file only starts and stops it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from core import bootstrap, config, log, practice
from core.api import door, downloads, oidc, process, rest
from core.api.gate import Gate
from core.bootstrap import Orgbridge
from core.config import Settings
from core.jobs import schedule, worker
from core.salesforce.retry import OF_A_PERSON
from core.services import people
from pages.parts import kept_input
from pages.parts import palette as _warm  # noqa: F401 - two first sessions would race to import plotly
from pages.parts.boxes import on_script_error

FRAME = Path(__file__).resolve().parent / "pages" / "frame.py"
#: how often garbage in cycles is collected, in place of after every script (.streamlit/config.toml)
TIDY_S = 20
settings = config.load_settings()
config.trust_proxies(settings)  # before uvicorn reads it
story = logging.getLogger("app")
kept_input.install()


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Hold the database, the worker and the scheduler while the server runs."""
    log.configure(settings, process="app")
    with ExitStack() as held:
        built = bootstrap.build(settings, patience=OF_A_PERSON)
        bridge = await asyncio.to_thread(held.enter_context, built)
        held.enter_context(_at_hand(bridge))
        await asyncio.to_thread(held.enter_context, _workers(bridge, settings))
        await asyncio.to_thread(_greet, bridge)
        gc.freeze()  # what start-up made stays; no collection need walk it
        tidying = asyncio.create_task(_tidy())
        yield
        tidying.cancel()
    story.info("app has let go of everything")


async def _tidy() -> None:
    """Collect what scripts left in cycles: frames and figures are large, and few enough objects
    that Python by itself would come late."""
    while True:
        await asyncio.sleep(TIDY_S)
        gc.collect()


@contextmanager
def _at_hand(bridge: Orgbridge) -> Iterator[None]:
    process.hold(bridge)
    try:
        yield
    finally:
        process.hold(None)


@contextmanager
def _workers(bridge: Orgbridge, settings: Settings) -> Iterator[None]:
    with ExitStack() as held:
        if settings.worker_in_app:
            held.callback(worker.start_child(settings).stop)
        held.callback(schedule.start(bridge).stop)
        held.callback(practice.watch(settings.home).stop)  # brings a killed practice org back
        yield


def _greet(bridge: Orgbridge) -> None:
    """While nobody exists, print the one-time code that makes the first admin."""
    code = people.issue_setup_code(bridge)
    if code is not None:
        sys.stderr.write(
            f"\n  Orgbridge has no admin yet. Open the page below and enter this one-time code:\n"
            f"\n      {code}\n\n"
        )
        sys.stderr.flush()


app = st.App(
    FRAME,
    routes=[*rest.routes(), *downloads.routes(), *oidc.routes(), *door.routes()],
    lifespan=lifespan,
    middleware=[Middleware(Gate, is_signed_in=door.is_signed_in)],
    on_script_error=on_script_error,
    exception_handlers={Exception: door.on_failure},
)

if __name__ == "__main__":
    app.run(config={"server.address": settings.host, "server.port": settings.port})
