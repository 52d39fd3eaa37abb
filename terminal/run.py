"""``run``: launch a plan and carry it to its end in this process."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from terminal.exits import Exit
from terminal.output import note, show_json
from terminal.progress import figures, following, status_of
from terminal.values import EMAIL

app = typer.Typer(add_completion=False)


@app.command()
def run(  # the options of a launch
    name: Annotated[str, typer.Argument(help="Name of the plan.")],
    version: Annotated[int | None, typer.Option(help="A version; else the draft.")] = None,
    mode: Annotated[str, typer.Option(help="full, delta, dry-run, trial or canary.")] = "full",
    canary: Annotated[int | None, typer.Option(help="Percent of a canary.")] = None,
    only: Annotated[str, typer.Option(help="Mappings, with commas.")] = "",
    api: Annotated[str | None, typer.Option(help="auto, bulk, collections or graph.")] = None,
    batch: Annotated[int | None, typer.Option(help="Rows of one request or job.")] = None,
    stop_at: Annotated[int | None, typer.Option(help="Percent of failed rows to stop at.")] = None,
    confirm: Annotated[str, typer.Option(help="The target's name, where it is asked for.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")] = "",
    email: Annotated[str, typer.Option(help=EMAIL)] = "",
    *,
    verify: Annotated[bool, typer.Option(help="Compare every value that was sent.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Run a plan and wait for its end."""
    from terminal.session import opened

    with opened(service="launching") as (bridge, actor):
        from core.services import launching, plans

        request = launching.LaunchRequest(
            mode="canary" if canary is not None and mode == "full" else mode,
            canary_percent=canary or launching.CANARY_PERCENT,
            only=tuple(part.strip() for part in only.split(",") if part.strip()),
            version=version,
            api=api,
            batch=batch,
            stop_at_failed_percent=stop_at,
            confirm=confirm,
            reason=reason,
            email_answer=email,
            verify=verify,
        )
        view = plans.plan(bridge, actor, name=name)
        made = launching.launch(bridge, actor, view.row.id, request, enqueue=False)
        return carried(bridge, actor, made, as_json=as_json)


def carried(bridge: object, actor: object, name: str, *, as_json: bool) -> int:
    """Carries a run here, tells its progress, shows its figures; the exit status."""
    from core.errors import OrgbridgeError
    from core.services import running

    gc.freeze()  # what was imported stays: no collection need walk it
    told: list[str] = []
    try:
        with following(bridge, actor, name) as told, interruptible() as stop:
            running.carry_here(bridge, actor, name, stop=stop)  # type: ignore[arg-type]
    except OrgbridgeError as error:
        if as_json:  # a script reads what became of the run also where it was stopped
            show_json(running.document(bridge, actor, name))  # type: ignore[arg-type]
        if error.fact("code") == running.OTHER_RUN_WRITES:
            note(f"{name} is kept: `runs resume {name}` carries it, `runs cancel {name}` drops it.")
        if str(error) not in told:
            raise
        logging.getLogger(__name__).info("run stopped", exc_info=error)
        return Exit.FAILED  # the run's story has told why
    document = running.document(bridge, actor, name)  # type: ignore[arg-type]
    if as_json:
        show_json(document)
    else:
        figures(document)
    return status_of(document, interrupted=stop() is not None)


class _Stop:
    """What Ctrl-C or SIGTERM asked for."""

    def __init__(self) -> None:
        self.wish: str | None = None

    def __call__(self) -> str | None:
        return self.wish


@contextmanager
def interruptible() -> Iterator[_Stop]:
    """The first Ctrl-C pauses the run at the next safe place, a SIGTERM leaves it to others; the
    second ends the process."""
    stop = _Stop()
    before: dict[int, Any] = {}

    def ask(number: int, frame: object) -> None:
        stop.wish = "pause" if number == signal.SIGINT else "yield"
        signal.signal(number, before[number])

    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


__all__ = ["Exit", "app", "carried"]
