"""``workspaces``: teams that share one installation and see nothing of each other."""

from __future__ import annotations

from typing import Annotated

import typer

from terminal.output import say, show_table

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _workspaces() -> None:
    """Workspaces of this installation; `--workspace NAME` before a command acts in one."""


@app.command("list")
def list_workspaces() -> None:
    """Every workspace."""
    from core.services import workspaces
    from terminal.session import opened

    with opened() as (bridge, actor):
        found = workspaces.workspaces(bridge, actor)
    rows = [(each.name, "yes" if each.is_current else "no", each.id) for each in found]
    show_table(("Workspace", "Current", "Id"), rows, empty="None.")


@app.command()
def add(name: Annotated[str, typer.Argument(help="Name of the new workspace.")]) -> None:
    """Make a workspace."""
    from core.services import workspaces
    from terminal.session import opened

    with opened() as (bridge, actor):
        workspaces.create(bridge, actor, name=name)
    say(f"Invite its first admin: cli.py --workspace {name!r} people invite E-MAIL --role admin")


@app.command()
def join(
    email: Annotated[str, typer.Argument(help="Somebody who has an account already.")],
    role: Annotated[str, typer.Option(help="viewer, analyst, approver or admin.")] = "analyst",
) -> None:
    """Make somebody with an account a member of the workspace named by --workspace."""
    from core.services import workspaces
    from terminal.people import role_named
    from terminal.session import opened

    with opened() as (bridge, actor):
        workspaces.join(bridge, actor, email=email, role=role_named(role))
    say(f"{email} is a member.")
