"""``ledger``: which target record each source record became, between two orgs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.output import note, say, show_table

app = typer.Typer(no_args_is_help=True, add_completion=False)
Source = Annotated[str, typer.Argument(help="Name of the source org.")]
Target = Annotated[str, typer.Argument(help="Name of the target org.")]


@app.callback()
def _ledger() -> None:
    """Links between the records of two orgs: list, take home, bring back, rebase."""


@app.command("list")
def list_ledgers() -> None:
    """Every pair of orgs and mapping that has links."""
    from core.services import ledgers
    from terminal.session import opened

    with opened() as (bridge, actor):
        found = ledgers.ledgers(bridge, actor)
    rows = [(each.source, each.target, each.mapping, each.links, each.settled_at) for each in found]
    show_table(("Source", "Target", "Mapping", "Links", "Last run"), rows, empty="No links yet.")


@app.command()
def export(
    source: Source,
    target: Target,
    csv: Annotated[str, typer.Option(help="File to write; - is standard output.")] = "-",
) -> None:
    """Write the links between two orgs to a CSV file."""
    from core.services import ledgers
    from terminal.operations import written
    from terminal.session import opened

    with opened() as (bridge, actor):
        size = written(csv, ledgers.export(bridge, actor, source=source, target=target))
    note(f"{size:,} bytes written.")


@app.command("import")
def import_ledger(
    source: Source,
    target: Target,
    file: Annotated[Path, typer.Argument(help="CSV as `ledger export` writes it.")],
) -> None:
    """Add the links of a CSV file: all of them or none."""
    from core.services import ledgers
    from terminal.session import opened

    with opened() as (bridge, actor):
        added = ledgers.bring(bridge, actor, _content(file), source=source, target=target)
    say(f"{added:,} links added.")


@app.command()
def rebase(
    source: Source,
    target: Target,
    former_source: Annotated[
        str, typer.Option(help="Org (name or Organization Id) that the source replaces.")
    ] = "",
    former_target: Annotated[
        str, typer.Option(help="Org (name or Organization Id) that the target replaces.")
    ] = "",
) -> None:
    """Give a copy of an org (a refreshed sandbox) the links of the org that it replaces."""
    from core.services import ledgers
    from terminal.session import opened

    with opened() as (bridge, actor):
        copied = ledgers.rebase(
            bridge,
            actor,
            source=source,
            target=target,
            former_source=former_source,
            former_target=former_target,
        )
    say(f"{copied:,} links copied; the next run compares each of these records before it writes.")


def _content(file: Path) -> bytes:
    from core.errors import UserError

    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error
