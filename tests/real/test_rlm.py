"""A real product catalogue (28 objects) by its own SFDMU plan, compared record by record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from core.bootstrap import Orgbridge
from core.services import plans
from core.services.launching import LaunchRequest, launch
from orgsim.schema.condensed import condensed_document
from tests.org.engine import Pair, check_identity, connect
from tests.orgs import PROJECT, PracticeOrgs
from tests.real.natural import Store, differences

CURRENCIES = {"USD": 1, "EUR": 0.9, "GBP": 0.8, "CAD": 1.3, "AUD": 1.5, "JPY": 150}


def keys_of(export: Path) -> dict[str, list[str]]:
    """Natural key of every object that an SFDMU plan writes.

    An entry without an operation is Readonly: its rows are only matched.
    """
    document = json.loads(export.read_text(encoding="utf-8-sig"))
    keys = {}
    for entry in document["objects"]:
        name = entry["query"].split(" FROM ")[1].split()[0]
        if not entry.get("excluded") and "operation" in entry:
            keys[name] = entry["externalId"].split(";")
    return keys


@pytest.fixture
def catalogue(
    bridge: Orgbridge, practice_org: PracticeOrgs, fixtures_dir: Path, tmp_path: Path
) -> Pair:
    """Both orgs with the 254 objects of the recorded org; the source filled from the CSVs."""
    dump = fixtures_dir / "A_api_responses" / "rlm_schema" / "260-schema.json"
    document = condensed_document(dump)
    document["org"].update(features=["multi_currency"], currencies=CURRENCIES)
    more = yaml.safe_load((Path(__file__).parent / "schemas" / "rlm_more.yaml").read_text())
    for name, entry in more["objects"].items():
        document["objects"][name]["fields"].update(entry["fields"])
    schema = tmp_path / "schema.yaml"
    schema.write_text(yaml.safe_dump(document), encoding="utf-8")
    folder = fixtures_dir / "B_datasets" / "rlm_qb_en-US_qb-pcm"
    home = tmp_path / "source"
    made = subprocess.run(
        [sys.executable, "-m", "orgsim", "load", "--home", str(home), "--name", "Old",
         "--schema", str(schema), "--folder", str(folder)],
        cwd=PROJECT, check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    said = json.loads(made.stdout.strip().splitlines()[-1])
    assert said["refused"] == {}
    assert sum(said["rows"].values()) == 1359
    source = practice_org(name="Old", home=home)
    target = practice_org(name="New", schema=schema)
    return connect(bridge, source, target)


@pytest.mark.timeout(300)
def test_the_catalogue_arrives_by_its_own_plan(catalogue: Pair, fixtures_dir: Path) -> None:
    folder = fixtures_dir / "B_datasets" / "rlm_qb_en-US_qb-pcm"
    file = plans.ForeignFile(
        content=(folder / "export.json").read_bytes(),
        file_name=str(folder / "export.json"),
        source="legacy",
        target="new",
    )
    kept = plans.import_file(catalogue.bridge, catalogue.actor, file)
    name = launch(catalogue.bridge, catalogue.actor, kept.plan_id, LaunchRequest(), enqueue=False)
    catalogue.carry(name)
    document = catalogue.document(name)

    check_identity(document)
    blocked = {e["source"]: e["blocked"] for e in document["objects"] if e["blocked"]}
    failed = {e["source"]: e["failed"] for e in document["objects"] if e["failed"]}
    assert failed == {}, catalogue.failures(name)[:5]
    keys = keys_of(folder / "export.json")
    found = differences(
        Store(catalogue.source, keys), Store(catalogue.target, keys), blocked=blocked
    )
    assert found == []
