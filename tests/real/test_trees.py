"""Sample trees and an export of a Developer Edition org, moved and compared record by record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from core.bootstrap import Orgbridge
from tests.orgs import PracticeOrgs
from tests.real.moving import compare, loaded_set, moved

SCHEMA = Path(__file__).parent / "schemas" / "trees.yaml"


@dataclass(frozen=True)
class Sample:
    """A data set, the objects it fills and what of it stays behind by right."""

    path: str
    objects: tuple[str, ...]
    option: str = "--tree"
    #: rows that the loading itself refuses: a key that repeats inside the set
    refused: int = 0
    #: objects whose Name the target numbers by itself
    numbered: tuple[str, ...] = ()


#: fields that each org keeps by itself: numbers, closing times, the state of Data.com's cleaning
KEPT = {
    "Account": {"CleanStatus"},
    "Contact": {"CleanStatus"},
    "Lead": {"CleanStatus"},
    "Case": {"CaseNumber", "ClosedDate"},
}
SAMPLES = {
    "resort": Sample(
        "coral_cloud/data-plan.json",
        ("Experience__c", "Contact", "Guest_Review__c", "Case"),
        refused=1,
        numbered=("Guest_Review__c",),
    ),
    "self reference": Sample("sf_plugin_data/self-referencing/Account-plan.json", ("Account",)),
    "missing self reference": Sample(
        "sf_plugin_data/missingSelfRef/Account-plan.json", ("Account",)
    ),
    "missing reference": Sample(
        "sf_plugin_data/missingRef/Account-Opportunity-plan.json", ("Account", "Opportunity")
    ),
    "more than 200": Sample("sf_plugin_data/moreThan200/Account-plan.json", ("Account",)),
    "shared child": Sample(
        "sf_plugin_data/commonChild/Account-Opportunity-Task-Case-plan.json",
        ("Account", "Opportunity", "Case", "Task"),
    ),
    "recipes": Sample("apex_recipes/data-plan.json", ("Account", "Contact", "Opportunity")),
    "junction": Sample(
        "apex_recipes/data-plan2.json",
        ("Campaign", "Junction_Demo_1__c", "Junction_Demo_2__c", "Junction__c"),
        numbered=("Junction_Demo_1__c", "Junction_Demo_2__c", "Junction__c"),
    ),
    "contacts of several accounts": Sample(
        "sf_plugin_data/junction/Account-AccountContactRelation-Contact-plan.json",
        ("Account", "Contact", "AccountContactRelation"),
    ),
    "deep": Sample("sf_plugin_data/deep/accounts-contacts-plan.json", ("Account", "Contact")),
    "developer edition": Sample(
        "devedition_export",
        ("Account", "Contact", "Lead", "Opportunity", "Case"),
        option="--folder",
        refused=1,
    ),
}


@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_sample_arrives_once_with_every_field(
    name: str,
    bridge: Orgbridge,
    practice_org: PracticeOrgs,
    fixtures_dir: Path,
    tmp_path: Path,
) -> None:
    sample = SAMPLES[name]
    data = [sample.option, str(fixtures_dir / "B_datasets" / sample.path)]
    real = loaded_set(
        bridge, practice_org, schema=SCHEMA, objects=sample.objects, data=data, home=tmp_path
    )
    assert sum(real.loaded["refused"].values()) == sample.refused, real.loaded["refused"]
    assert sum(real.loaded["rows"].values()) > 0

    document = moved(real)

    blocked = {entry["as"]: entry["blocked"] for entry in document["objects"] if entry["blocked"]}
    assert blocked == {}
    assert document["status"] == "Succeeded", real.pair.failures(document["run_id"])[:5]
    own = {**KEPT, **{each: {"Name"} for each in sample.numbered}}
    difference = compare(real, ignore=own)
    assert difference.is_clean, str(difference)
