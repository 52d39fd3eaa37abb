"""``operations``: every operation by one command, made from its declaration."""

from __future__ import annotations

from typing import Annotated

import typer

from terminal.exits import Exit
from terminal.output import note, say, show_json, show_table
from terminal.values import named_values

app = typer.Typer(no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.callback()
def _operations() -> None:
    """What can be launched; the short commands are the same operations."""


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All operations with their parameters."""
    from core.services import operations
    from terminal.session import opened

    with opened() as (_, actor):
        cards = operations.offered(actor)
    if as_json:
        show_json([{"kind": c.kind, "title": c.title, "schema": dict(c.schema)} for c in cards])
        return
    show_table(
        ("Operation", "Parameters", "What it is for"),
        [(c.kind, ", ".join(c.schema["properties"]), c.purpose) for c in cards],
        empty="None.",
    )


@app.command()
def launch(
    kind: Annotated[str, typer.Argument(help="Such as record_counts.")],
    parameters: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter; lists by commas."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Launch an operation and wait for its end."""
    from core.services import operations
    from terminal.session import opened

    with opened() as (bridge, actor):
        given = operations.parsed(kind, named_values(parameters or ()))
        entry = operations.launch(bridge, actor, kind, given=given)
    if as_json:
        names = ("id", "status", "message", "parameters", "result")
        show_json({name: getattr(entry, name) for name in names})
    else:
        note(f"{entry.id}")
        say(f"{entry.status}: {entry.message}")
    return Exit.LEFT_ROWS if entry.status == "partial" else Exit.OK


@app.command()
def files(as_json: Json = False) -> None:
    """Files that operations wrote, such as on a schedule."""
    from core.services import operations
    from terminal.session import opened

    with opened() as (bridge, actor):
        found = operations.kept(bridge, actor)
    names = ("id", "file_name", "kind", "rows", "bytes", "created_by", "created_at")
    if as_json:
        show_json([{name: getattr(row, name) for name in names} for row in found])
        return
    lines = [tuple(getattr(row, name) for name in names) for row in found]
    head = ("Id", "File", "Operation", "Rows", "Bytes", "By", "When")
    show_table(head, lines, empty="No files.")


@app.command()
def file(
    launch_id: Annotated[str, typer.Argument(metavar="ID", help="As `operations files` tells.")],
    csv: Annotated[str, typer.Option(help="File to write; - is standard output.")] = "-",
) -> None:
    """Fetch the file that an operation wrote."""
    from uuid import UUID

    from core.errors import UserError
    from core.services import operations
    from terminal.operations import written
    from terminal.session import opened

    try:
        log_id = UUID(launch_id)
    except ValueError as wrong:
        raise UserError(f"{launch_id[:60]!r} is no id of a launch.") from wrong
    with opened() as (bridge, actor):
        _, pieces = operations.written(bridge, actor, log_id)
        size = written(csv, pieces)
    note(f"{size:,} bytes written.")
