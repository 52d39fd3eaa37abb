"""Two practice orgs for a benchmark: a source full of Accounts and Contacts, and an empty target.

Filling an org takes longer than most measurements, so homes are kept under ``ORGBRIDGE_BENCH``
(default ``~/.cache/orgbridge-bench``) per number of rows and copied for each use. A third of the
rows are Accounts (with a parent Account), the others Contacts (with Account and a superior).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.practice_org import PROJECT, Client, cpu_seconds

HOME = Path(os.environ.get("ORGBRIDGE_BENCH", Path.home() / ".cache" / "orgbridge-bench"))
#: rows of one ingest job while the source is filled
JOB_ROWS = 50_000
SCHEMA = """
standard: [Account, Contact]
objects:
  Account:
    keep: [Name, Phone, Website, Industry, Description, BillingStreet, BillingCity, AnnualRevenue,
           NumberOfEmployees, ParentId, OwnerId]
    fields: &extra
      Code__c: {type: text, length: 20, external_id: true, unique: true, case_sensitive: true}
      Score__c: {type: number, precision: 16, scale: 2}
      Since__c: date
      Seen__c: datetime
      Active__c: checkbox
      Stage__c: {type: picklist, values: [New, Open, Done], restricted: true}
      Note__c: {type: text, length: 255}
  Contact:
    keep: [Name, FirstName, LastName, Email, Phone, Title, Description, Birthdate, MailingCity,
           AccountId, ReportsToId, OwnerId]
    fields: *extra
"""
#: columns as they are copied: what both objects have, and what each has of its own
_SHARED = ("Code__c", "Score__c", "Since__c", "Seen__c", "Active__c", "Stage__c", "Note__c")
FIELDS = {
    "Account": ("Name", "Phone", "Website", "Industry", "Description", "BillingStreet",
                "BillingCity", "AnnualRevenue", "NumberOfEmployees", *_SHARED),
    "Contact": ("FirstName", "LastName", "Email", "Phone", "Title", "Description", "Birthdate",
                "MailingCity", *_SHARED),
}  # fmt: skip
LOOKUPS = {"Account": ("ParentId",), "Contact": ("AccountId", "ReportsToId")}
_AWKWARD = (
    'He said "no", twice', "two\nlines, one comma", "tab\there; semi", "Ærøskøbing 🚢",
    "שלום עולם", "'=1+1", "NULL", "007", "naïve — café", "plain text of usual length",
)  # fmt: skip


def as_installed(home: Path) -> dict[str, str]:
    """The environment of our terminal with this data folder: as on a machine on which it has run
    before, its modules are compiled and kept, whatever the shell says that measures."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "ORGBRIDGE_HOME": str(home), "PYTHONPYCACHEPREFIX": str(HOME / "bytecode")}


@dataclass(frozen=True, slots=True)
class OrgUnderTest:
    """One running practice org."""

    client: Client
    #: url, access_token, pid … as the org said them
    ready: dict[str, Any]

    @property
    def calls(self) -> int:
        """API calls that the org has counted."""
        return int(self.client.call("GET", "/_sim/limits").json()["calls"])

    @property
    def cpu_s(self) -> float:
        """Its own processor time so far."""
        return cpu_seconds(int(self.ready["pid"]))


@contextmanager
def pair(
    rows: int, *, number: int = 0, **options: float
) -> Iterator[tuple[OrgUnderTest, OrgUnderTest]]:
    """A filled source and an empty target, both fresh; they end with the block.

    Args:
        number: pairs of different numbers are different orgs; copies of one home are one org.
        options: of both orgs while they serve, such as ``bulk_queue_delay_s``.
    """
    given = {"bulk_queue_delay_s": 0, "bulk_batch_delay_s": 0, **options}
    kept = {"source": _filled(rows, number), "target": _empty(number)}
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=HOME)))
        for role, home in kept.items():
            shutil.copytree(home, work / role)
        source, target = (stack.enter_context(serving(work / r)) for r in ("source", "target"))
        for org in (source, target):
            org.client.call("POST", "/_sim/options", given)
        yield source, target


def change_some(source: OrgUnderTest, rows: int, *, percent: int = 1) -> int:
    """Gives every hundredth row another phone number; how many rows that are."""
    changed = 0
    for sobject, number in sizes(rows).items():
        numbers = range(0, number, 100 // percent)
        frame = pl.DataFrame({"Code__c": [code(sobject, n) for n in numbers]}).with_columns(
            Phone=pl.lit("+47 555 0000")
        )
        upsert(source.client, sobject, frame)
        changed += frame.height
    return changed


def sizes(rows: int) -> dict[str, int]:
    """Rows of each object."""
    return {"Account": rows // 3, "Contact": rows - rows // 3}


def code(sobject: str, number: int) -> str:
    """The key of a row."""
    return f"{sobject[0]}-{number:08d}"


def _filled(rows: int, number: int) -> Path:
    home = HOME / f"source-{rows}{f'-{number}' if number else ''}"
    if not (home / "filled").exists():
        shutil.rmtree(home, ignore_errors=True)
        _fill(home, rows)
    return home


def _empty(number: int) -> Path:
    home = HOME / f"target{f'-{number}' if number else ''}"
    if not (home / "filled").exists():
        shutil.rmtree(home, ignore_errors=True)
        with serving(home):
            pass
        (home / "filled").touch()
    return home


def _fill(home: Path, rows: int) -> None:
    with serving(home) as org:
        org.client.call("POST", "/_sim/options", {"bulk_queue_delay_s": 0, "bulk_batch_delay_s": 0})
        for sobject, number in sizes(rows).items():
            roots = max(number // 10, 1)
            for start, stop in ((0, roots), (roots, number)):
                for first in range(start, stop, JOB_ROWS):
                    part = range(first, min(first + JOB_ROWS, stop))
                    upsert(org.client, sobject, _rows(sobject, part, roots, sizes(rows)))
    (home / "filled").touch()


def _rows(sobject: str, part: range, roots: int, counts: dict[str, int]) -> pl.DataFrame:
    frame = pl.DataFrame({"n": pl.int_range(part.start, part.stop, eager=True)})
    own = "Parent.Code__c" if sobject == "Account" else "ReportsTo.Code__c"
    made = [_column(sobject, name).alias(name) for name in FIELDS[sobject]]
    if part.start >= roots:
        made.append(_codes(sobject, pl.col("n") % roots).alias(own))
    if sobject == "Contact":
        accounts = pl.col("n") * 7 % counts["Account"]
        made.append(_codes("Account", accounts).alias("Account.Code__c"))
    return frame.select(made)


def _column(sobject: str, name: str) -> pl.Expr:
    """The cells of a column by the row's number ``n``; a text where no other kind is asked for."""
    n = pl.col("n")
    special = _special(sobject, name)
    cells = special if special is not None else pl.format("{} {}", _turn(n, _AWKWARD), n)
    if name in ("Name", "LastName", "Code__c", "Active__c"):
        return cells
    return pl.when(n % 11 != 3).then(cells)


def _special(sobject: str, name: str) -> pl.Expr | None:
    n = pl.col("n")
    day = pl.format("{}-{}", _digits(n % 12 + 1, 2), _digits(n % 28 + 1, 2))
    made = {
        "Code__c": _codes(sobject, n), "Name": pl.format("Company {} & Sons", n),
        "LastName": pl.format("Ng-{}", n), "FirstName": pl.format("Ann {}", n % 977),
        "Phone": pl.format("+47 {}", _digits(n, 8)),
        "Email": pl.format("p{}@sample.example", n),
        "Website": pl.format("https://www.example.com/{}?a=1&b=2", n),
        "Title": pl.lit("Chief, of Staff"),
        "Industry": _turn(n, ("Banking", "Energy", "Food & Beverage")),
        "BillingStreet": pl.format("Street {}\nFloor {}", n % 500, n % 9),
        "BillingCity": pl.lit("Århus"), "MailingCity": pl.lit("São Paulo"),
        "AnnualRevenue": (n % 10**7 * 13).cast(pl.String),
        "NumberOfEmployees": (n % 5000).cast(pl.String),
        "Score__c": pl.format("{}.25", n % 99999 - 500),
        "Since__c": pl.format("20{}-{}", _digits(n % 24, 2), day),
        "Birthdate": pl.format("19{}-{}", _digits(n % 60 + 40, 2), day),
        "Seen__c": pl.format("2025-{}T{}:00:00.000Z", day, _digits(n % 24, 2)),
        "Active__c": _turn(n, ("false", "true")), "Stage__c": _turn(n, ("New", "Open", "Done")),
    }  # fmt: skip
    return made.get(name)


def _codes(sobject: str, numbers: pl.Expr) -> pl.Expr:
    return pl.format(f"{sobject[0]}-{{}}", _digits(numbers, 8))


def _digits(numbers: pl.Expr, width: int) -> pl.Expr:
    return numbers.cast(pl.String).str.zfill(width)


def _turn(numbers: pl.Expr, texts: Sequence[str]) -> pl.Expr:
    """One of the texts after the other."""
    return pl.lit(pl.Series(texts)).gather(numbers % len(texts))


def upsert(client: Client, sobject: str, frame: pl.DataFrame) -> None:
    job = client.call(
        "POST",
        "/jobs/ingest",
        {"object": sobject, "operation": "upsert", "externalIdFieldName": "Code__c"},
    ).json()
    path = f"/jobs/ingest/{job['id']}"
    client.call("PUT", f"{path}/batches", frame.write_csv().encode())
    client.call("PATCH", path, {"state": "UploadComplete"})
    done = client.wait(path)
    assert done["numberRecordsFailed"] == 0, client.call("GET", f"{path}/failedResults").data[:500]


@contextmanager
def serving(home: Path) -> Iterator[OrgUnderTest]:
    home.mkdir(parents=True, exist_ok=True)
    schema = home / "schema.yaml"
    if not schema.exists():
        schema.write_text(SCHEMA)
    process = subprocess.Popen(
        [sys.executable, "-m", "orgsim", "serve", "--home", str(home), "--schema", str(schema)],
        cwd=PROJECT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield OrgUnderTest(Client(ready), ready)
    finally:
        process.terminate()
        process.wait()
