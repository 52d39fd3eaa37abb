"""``logs``: what was launched and changed, as CSV."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from terminal.output import note

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _logs() -> None:
    """Logs of every operation, and the audit trail."""


@app.command()
def export(
    csv: Annotated[str, typer.Option(help="File to write; - is standard output.")] = "-",
    kind: Annotated[
        list[str] | None, typer.Option(help="Such as record_count; may be given again.")
    ] = None,
    status: Annotated[list[str] | None, typer.Option(help="Such as failed.")] = None,
    text: Annotated[str, typer.Option(help="What the message contains.")] = "",
    run: Annotated[str, typer.Option(help="Name of a run.")] = "",
    since: Annotated[str, typer.Option(help="From this day or moment on, in UTC.")] = "",
    until: Annotated[str, typer.Option(help="Before this day or moment.")] = "",
    audit: Annotated[bool, typer.Option("--audit", help="The audit trail instead.")] = False,
) -> None:
    """Write every entry that the filter matches, newest first."""
    from core.services import audit as trail
    from core.services import logs
    from terminal.operations import written
    from terminal.session import opened

    begin, end = _moment(since), _moment(until)
    with opened() as (bridge, actor):
        if audit:
            wanted = trail.TrailFilter(text=text, since=begin, until=end)
            size = written(csv, trail.trail_csv(bridge, actor, wanted))
        else:
            chosen = logs.LogFilter(
                kinds=tuple(kind or ()),
                statuses=tuple(status or ()),
                text=text,
                run=run,
                since=begin,
                until=end,
            )
            size = written(csv, logs.logs_csv(bridge, actor, chosen))
    note(f"{size:,} bytes written.")


def _moment(word: str) -> datetime | None:
    from core.errors import UserError

    if not word:
        return None
    try:
        found = datetime.fromisoformat(word)
    except ValueError as wrong:
        raise UserError(
            f"{word[:40]!r} is no day and no moment.", next_step="Such as 2026-11-21T08:00."
        ) from wrong
    return found if found.tzinfo else found.replace(tzinfo=UTC)
