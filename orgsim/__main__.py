"""``python -m orgsim serve``: a practice org of its own."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from orgsim.loading import DataSet, load, report
from orgsim.server import ServeSettings, serve

_SCHEMA_HELP = "YAML, a describe, a condensed dump, or a folder; again to lay one over another"


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and serves."""
    parser = argparse.ArgumentParser(prog="orgsim", description="A simulated Salesforce org.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("serve", help="run an org until it is told to stop")
    one.add_argument("--home", type=Path, required=True, help="folder of the org")
    one.add_argument("--name", default="Practice Org", help="name of a new org")
    one.add_argument("--host", default="127.0.0.1")
    one.add_argument("--port", type=int, default=0, help="0: any free port")
    source = one.add_mutually_exclusive_group()
    source.add_argument("--schema", type=Path, action="append", default=[], help=_SCHEMA_HELP)
    source.add_argument("--seed", help="a shipped org, such as northwind-legacy")
    one.add_argument("--tls", action="store_true", help="HTTPS with a self-signed certificate")
    _add_load(commands.add_parser("load", help="put a data set into an org that is not running"))
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    if given.command == "load":
        settings = ServeSettings(home=given.home, name=given.name, schema=tuple(given.schema))
        pair = tuple(given.cumulusci) if given.cumulusci else None
        report(load(settings, DataSet(cumulusci=pair, tree=given.tree, folder=given.folder)))
        return
    serve(ServeSettings(home=given.home, name=given.name, host=given.host, port=given.port,
                        schema=tuple(given.schema), seed=given.seed, tls=given.tls))  # fmt: skip


def _add_load(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, required=True, help="folder of the org")
    parser.add_argument("--name", default="Practice Org", help="name of a new org")
    parser.add_argument("--schema", type=Path, action="append", default=[], help=_SCHEMA_HELP)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--cumulusci", type=Path, nargs=2, metavar=("SQL", "MAPPING"))
    data.add_argument("--tree", type=Path, help="plan or file of sf data import tree")
    data.add_argument("--folder", type=Path, help="folder of CSV files")


if __name__ == "__main__":
    main()
