"""``keys``: the keys that encrypt stored tokens and secrets."""

from __future__ import annotations

import typer

from terminal.output import say

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _keys() -> None:
    """Keys of the stored secrets."""


@app.command()
def rotate() -> None:
    """Make a new key, encrypt every stored secret with it, drop the older ones."""
    from core.services import key_rotation
    from terminal.session import opened

    with opened() as (bridge, actor):
        count = key_rotation.rotate(bridge, actor)
    say(f"{count} stored secrets are encrypted with the newest key.")


@app.command()
def new() -> None:
    """Print a fresh key, for ORGBRIDGE_KEY; nothing is stored or changed."""
    from core.services import key_rotation

    say(key_rotation.new_key())
