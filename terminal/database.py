"""``db``: the schema, and a copy of everything for the cupboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.output import say

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _db() -> None:
    """The database's schema."""


@app.command()
def upgrade() -> None:
    """Bring the schema up to what this version needs (a start does it too)."""
    from core.db.schema import HEAD_REVISION
    from terminal.session import opened

    with opened():
        say(f"The schema is at revision {HEAD_REVISION}.")


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="A new file, for pg_restore.")]) -> None:
    """Copy the whole database into one file (the key is kept apart)."""
    from core.services.backup import write_backup
    from terminal.session import opened

    with opened() as (bridge, actor):
        size = write_backup(bridge, actor, file=file)
    say(f"{file} holds the database ({size:,} bytes). Keep the key elsewhere.")
