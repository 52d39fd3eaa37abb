"""``python -m orgsim load``: puts a data set into an org that is not being served.

Prints one JSON line: rows by sobject, refusals by reason, what was left out. Rows are saved by the
org's own rules, as its administrator.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orgsim.seeds.csv_folder import csv_tables
from orgsim.seeds.cumulusci import cumulusci_tables
from orgsim.seeds.place import Placed, place
from orgsim.seeds.sf_tree import tree_tables
from orgsim.seeds.tables import Table
from orgsim.server import ServeSettings, open_org


@dataclass(frozen=True, slots=True)
class DataSet:
    """Where the rows are; exactly one of the three is given."""

    #: SQL dump and mapping of CumulusCI
    cumulusci: tuple[Path, Path] | None = None
    #: plan or file of ``sf data import tree``
    tree: Path | None = None
    #: folder of CSV files, with SFDMU's export.json or without
    folder: Path | None = None

    def tables(self) -> Iterable[Table]:
        """The rows, one table a sobject."""
        if self.cumulusci is not None:
            return cumulusci_tables(*self.cumulusci)
        if self.tree is not None:
            return tree_tables(self.tree)
        return csv_tables(self.folder or Path())


def load(settings: ServeSettings, data: DataSet) -> Placed:
    """Opens the org (made when the folder is new), places the rows and closes it."""
    org = open_org(settings)
    try:
        return place(org.save(user_id=org.identity.user_id), data.tables())
    finally:
        org.close()


def report(placed: Placed) -> None:
    """Prints what became of the rows."""
    line = {
        "rows": dict(placed.rows),
        "refused": dict(placed.refused),
        "left_out": sorted(placed.left_out),
        "unresolved": dict(placed.unresolved),
    }
    sys.stdout.write(json.dumps(line) + "\n")
