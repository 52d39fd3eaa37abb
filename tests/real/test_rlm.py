"""A real product catalogue, its prices and its billing: three SFDMU plans, compared row by row.

One source org holds all three sets (a product is in each of them and is placed once). The target
gets the catalogue, then the prices, then the billing, each by its own plan.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.bootstrap import Orgbridge
from core.services import plans
from core.services.launching import LaunchRequest, launch
from orgsim.schema.condensed import condensed_document
from tests.org.engine import Pair, check_identity, connect
from tests.org.pairs import create, live
from tests.orgs import PROJECT, PracticeOrgs
from tests.real.natural import Store, differences

SETS = ("pcm", "pricing", "billing")
#: rates of the set's own CurrencyType.csv
CURRENCIES = {
    "USD": 1, "AUD": 1.430143, "CAD": 1.408989, "CHF": 0.813755, "EUR": 0.876364, "GBP": 0.74772,
    "JPY": 163.08664,
}  # fmt: skip
#: rows of the three sets that the source org takes, by how the files were made
ROWS = 4_720


def sets_of(fixtures: Path) -> dict[str, Path]:
    """The folders of the sets."""
    return {name: fixtures / "B_datasets" / f"rlm_qb_en-US_qb-{name}" for name in SETS}


def entries(export: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(object, entry) of an SFDMU plan, excluded ones left out."""
    document = json.loads(export.read_text(encoding="utf-8-sig"))
    for part in document.get("objectSets") or [document]:
        for entry in part["objects"]:
            if not entry.get("excluded"):
                yield entry["query"].split(" FROM ")[1].split()[0], entry


def keys_of(exports: Sequence[Path]) -> dict[str, list[str]]:
    """Natural key of every object that the plans name."""
    keys: dict[str, list[str]] = {}
    for export in exports:
        for name, entry in entries(export):
            keys.setdefault(name, entry["externalId"].split(";"))
    return keys


def written_by(exports: Sequence[Path]) -> set[str]:
    """Objects that some plan moves; an entry without an operation is Readonly."""
    return {
        name
        for export in exports
        for name, entry in entries(export)
        if entry.get("operation", "Readonly") != "Readonly"
    }


def schema_file(fixtures: Path, folder: Path) -> Path:
    """The 254 objects of the recorded org, what its dump lacks, and seven currencies."""
    document = condensed_document(fixtures / "A_api_responses" / "rlm_schema" / "260-schema.json")
    document["org"].update(features=["multi_currency"], currencies=CURRENCIES)
    more = yaml.safe_load((Path(__file__).parent / "schemas" / "rlm_more.yaml").read_text())
    for name, entry in more["objects"].items():
        document["objects"][name]["fields"].update(entry["fields"])
    path = folder / "schema.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def merged(sets: Mapping[str, Path], folder: Path) -> Path:
    """One folder of the three, objects in an order that fits all: products name billing policies.

    Two products of the price list are in no catalogue, and so without a name: their number is it.
    """
    folder.mkdir()
    order: dict[str, dict[str, Any]] = {}
    for name in ("billing", "pcm", "pricing"):
        for file in sorted(sets[name].glob("*.csv")):
            target = folder / file.name
            if not target.exists() and file.stem != "Product2":
                target.symlink_to(file)
        for sobject, entry in entries(sets[name] / "export.json"):
            if (name, sobject) != ("billing", "Product2"):
                order.setdefault(sobject, entry)
    (folder / "export.json").write_text(json.dumps({"objects": list(order.values())}))
    billed = rows_of(sets["billing"] / "Product2.csv")
    policies = {row["StockKeepingUnit"]: row["BillingPolicy.Name"] for row in billed}
    products = list(rows_of(sets["pcm"] / "Product2.csv"))
    known = {row["StockKeepingUnit"] for row in products}
    products += [{"StockKeepingUnit": sku, "Name": sku} for sku in sorted(policies.keys() - known)]
    with (folder / "Product2.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*products[0], "BillingPolicy.Name"], restval="")
        writer.writeheader()
        for row in products:
            policy = policies.get(row["StockKeepingUnit"], "")
            writer.writerow({**row, "BillingPolicy.Name": policy})
    return folder


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


@pytest.fixture
def catalogue(
    bridge: Orgbridge, practice_org: PracticeOrgs, fixtures_dir: Path, tmp_path: Path
) -> Pair:
    """Both orgs with the 254 objects; the source filled from the CSVs of all sets."""
    schema = schema_file(fixtures_dir, tmp_path)
    folder = merged(sets_of(fixtures_dir), tmp_path / "all")
    made = subprocess.run(
        [sys.executable, "-m", "orgsim", "load", "--home", str(tmp_path / "old"), "--name", "Old",
         "--schema", str(schema), "--folder", str(folder)],
        cwd=PROJECT, check=True, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    said = json.loads(made.stdout.strip().splitlines()[-1])
    assert said["refused"] == {}
    assert sum(said["rows"].values()) == ROWS
    source = practice_org(name="Old", home=tmp_path / "old")
    target = practice_org(name="New", schema=schema)
    pair = connect(bridge, source, target)
    # the billing plan only reads legal entities: they are there before it runs
    for row in live(source, "LegalEntity"):
        create(target, "LegalEntity", {"Name": row["Name"], "CompanyName": row["Name"]})
    return pair


def moved(pair: Pair, folder: Path) -> dict[str, Any]:
    """Imports the set's own plan, runs it to its end."""
    file = plans.ForeignFile(
        content=(folder / "export.json").read_bytes(),
        file_name=str(folder / "export.json"),
        source="legacy",
        target="new",
    )
    kept = plans.import_file(pair.bridge, pair.actor, file)
    name = launch(pair.bridge, pair.actor, kept.plan_id, LaunchRequest(), enqueue=False)
    pair.carry(name)
    document = pair.document(name)
    check_identity(document)
    return document


@pytest.mark.timeout(600)
def test_catalogue_prices_and_billing_arrive_by_their_own_plans(
    catalogue: Pair, fixtures_dir: Path
) -> None:
    sets = sets_of(fixtures_dir)

    for name in SETS:
        document = moved(catalogue, sets[name])
        bad = {
            (entry["as"], word): entry[word]
            for entry in document["objects"]
            for word in ("blocked", "failed", "not_processed", "lookups_left_blank")
            if entry[word]
        }
        assert bad == {}, catalogue.failures(document["run_id"])[:5]

    exports = [folder / "export.json" for folder in sets.values()]
    keys = keys_of(exports)
    old, new = Store(catalogue.source, keys), Store(catalogue.target, keys)
    found = differences(old, new, written=written_by(exports), blocked={})
    assert found == [], "\n".join(found[:20])
