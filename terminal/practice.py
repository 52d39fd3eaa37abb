"""``practice``: the two local practice orgs."""

from __future__ import annotations

import typer

from terminal.output import note, say, show_table

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _practice() -> None:
    """Local simulated orgs to learn and rehearse with."""


@app.command()
def up() -> None:
    """Start both practice orgs and register them (again, when they were changed)."""
    from core.services import orgs as registered
    from core.services import practice
    from terminal.session import opened

    with opened() as (bridge, actor):
        orgs = practice.up(bridge, actor, tell=note)
        for org in orgs:
            card = registered.org_named(bridge, actor, org.name)
            if card.describing.state != "done":
                note(f"Reading the objects of {org.name}")
                registered.refresh_metadata(bridge, actor, card.id)
    rows = [(org.name, org.organization_id, org.url) for org in orgs]
    show_table(("Org", "Organization id", "URL"), rows, empty="")


@app.command()
def reset() -> None:
    """Give both practice orgs their first records back; links between them are forgotten."""
    from core.services import practice
    from terminal.session import opened

    with opened() as (bridge, actor):
        orgs = practice.reset(bridge, actor, tell=note)
    say(f"{' and '.join(org.name for org in orgs)} hold their first records again.")


@app.command()
def down() -> None:
    """Stop both practice orgs; their records stay."""
    from core.services import practice
    from terminal.session import opened

    with opened() as (bridge, actor):
        count = practice.down(bridge, actor)
    say(f"{count} practice orgs stopped." if count else "No practice org was running.")
