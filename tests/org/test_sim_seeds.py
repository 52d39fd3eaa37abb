"""The shipped practice pair, and data sets of other tools loaded into practice orgs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.orgs import PROJECT, PracticeOrg, PracticeOrgs

PAIR_OBJECTS = ("Account", "Contact", "Product2", "Opportunity", "Case", "Asset", "Task",
                "Invoice__c", "Invoice_Line__c")  # fmt: skip


@pytest.fixture(scope="module")
def legacy(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """Northwind Legacy."""
    return module_practice_org(seed="northwind-legacy", name="Northwind Legacy")


@pytest.fixture(scope="module")
def new(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """Northwind New."""
    return module_practice_org(seed="northwind-new", name="Northwind New")


def writable(org: PracticeOrg, sobject: str) -> set[str]:
    """Return the names of the fields that can be set on insert."""
    described = org.json("GET", f"sobjects/{sobject}/describe")
    return {field["name"] for field in described["fields"] if field["createable"]}


def load(home: Path, *arguments: str) -> dict[str, Any]:
    """Run ``python -m orgsim load`` and return what it says."""
    said = subprocess.run(
        [sys.executable, "-m", "orgsim", "load", "--home", str(home), *arguments],
        cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return found


def test_the_old_org_has_4200_rows_in_nine_objects(legacy: PracticeOrg) -> None:
    """The counts and the 66 writable fields that the first walk promises."""
    counts = {name: legacy.count(f"SELECT COUNT() FROM {name}") for name in PAIR_OBJECTS}

    assert sum(counts.values()) == 4_200
    assert min(counts.values()) > 0
    assert sum(len(writable(legacy, name)) for name in PAIR_OBJECTS) == 66


def test_the_old_org_is_flawed_on_purpose(legacy: PracticeOrg) -> None:
    """What a first migration has to find: early closes, an unknown tier, an owner who left."""
    early = [
        row for row in legacy.rows("Opportunity")
        if row["Contract_Begin__c"] and row["CloseDate"] < row["Contract_Begin__c"]
    ]  # fmt: skip
    emails = [row["Email"].lower() for row in legacy.rows("Contact")]

    assert len(early) == 23
    assert legacy.count("SELECT COUNT() FROM Account WHERE Cust_Tier__c = 'Platinum'") > 0
    assert legacy.count("SELECT COUNT() FROM Account WHERE Owner.IsActive = false") > 0
    assert legacy.count("SELECT COUNT() FROM Account WHERE Parent.Parent.Name != null") > 0
    assert legacy.count("SELECT COUNT() FROM Contact WHERE AccountId = null") > 0
    assert len(set(emails)) == len(emails) == 900


def test_the_new_org_refuses_what_the_walk_says(legacy: PracticeOrg, new: PracticeOrg) -> None:
    """One required field, one missing picklist value, one rule, one contact that is there twice."""
    described = new.json("GET", "sobjects/Account/describe")
    fields = {field["name"]: field for field in described["fields"]}
    tiers = {entry["value"] for entry in fields["Tier__c"]["picklistValues"]}
    refused = new.request("POST", "sobjects/Opportunity", {
        "Name": "O", "StageName": "Prospecting", "CloseDate": "2024-01-01",
        "Contract_Start_Date__c": "2024-02-01"}).json()  # fmt: skip

    assert not fields["Segment__c"]["nillable"]
    assert (fields["Tier__c"]["restrictedPicklist"], tiers) == (True, {"Gold", "Silver", "Bronze"})
    assert refused[0]["errorCode"] == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    assert refused[0]["message"] == "Close date before contract start"
    there = new.query("SELECT Email FROM Contact")
    assert len(there) == 1
    assert legacy.count(f"SELECT COUNT() FROM Contact WHERE Email = '{there[0]['Email']}'") == 1
    for name in PAIR_OBJECTS:
        assert "Legacy_Id__c" in writable(new, name)


def test_the_pair_is_up_within_ten_seconds_and_the_same_each_time(
    practice_org: PracticeOrgs, legacy: PracticeOrg
) -> None:
    """Two orgs, ready to be asked; the seed's rows do not change from one making to the next."""
    began = time.monotonic()
    again = practice_org(seed="northwind-legacy")
    practice_org(seed="northwind-new")
    seconds = time.monotonic() - began

    assert seconds < 10
    columns = ("Name", "BillingCity", "Cust_Tier__c", "Phone")
    before = sorted(tuple(row[name] for name in columns) for row in legacy.rows("Account"))
    after = sorted(tuple(row[name] for name in columns) for row in again.rows("Account"))
    assert before == after
    assert again.organization_id != legacy.organization_id


def test_a_killed_org_has_everything_that_was_committed(practice_org: PracticeOrgs) -> None:
    """kill -9 right after an answer loses nothing, tokens included."""
    org = practice_org(seed="northwind-new")
    made = org.json("POST", "sobjects/Product2", {"Name": "Kept"})["id"]
    token = org.access_token
    org.kill()
    org.start()

    assert org.access_token == token
    assert org.json("GET", f"sobjects/Product2/{made}")["Name"] == "Kept"


def test_cumulusci_data_sets_are_loaded(
    tmp_path: Path, fixtures_dir: Path, practice_org: PracticeOrgs
) -> None:
    """An SQL dump with its mapping: rows, lookups, and what this org has no place for."""
    data = fixtures_dir / "B_datasets" / "npsp_1k"
    said = load(
        tmp_path / "home", "--cumulusci", str(data / "test_data.sql"), str(data / "mapping.yml")
    )
    org = practice_org(home=tmp_path / "home")

    assert said["rows"]["Account"] == 1_223
    assert said["rows"]["Contact"] == 1_024
    assert said["refused"] == {}
    assert "Address__c" in said["left_out"]
    assert org.count("SELECT COUNT() FROM Contact WHERE Account.Name != null") == 1_024


def test_tree_files_are_loaded_with_their_references(
    tmp_path: Path, fixtures_dir: Path, practice_org: PracticeOrgs
) -> None:
    """Plans, nested children, references to itself."""
    data = fixtures_dir / "B_datasets" / "sf_plugin_data"
    for plan in ("self-referencing/Account-plan.json", "accounts-contacts-tree.json"):
        assert load(tmp_path / "home", "--tree", str(data / plan))["unresolved"] == {}
    org = practice_org(home=tmp_path / "home")

    assert org.count("SELECT COUNT() FROM Account") == 14
    assert org.count("SELECT COUNT() FROM Account WHERE ParentId != null") > 0
    assert org.count("SELECT COUNT() FROM Contact WHERE AccountId != null") == 2


def test_sfdmu_folders_are_loaded_by_their_keys(
    tmp_path: Path, fixtures_dir: Path, practice_org: PracticeOrgs
) -> None:
    """Relationship columns and composite keys, into an org with the condensed schema."""
    responses = fixtures_dir / "A_api_responses" / "rlm_schema" / "260-schema.json"
    data = fixtures_dir / "B_datasets" / "rlm_qb_en-US_qb-pcm"
    said = load(tmp_path / "home", "--schema", str(responses), "--folder", str(data))
    org = practice_org(home=tmp_path / "home")

    assert (said["refused"], said["unresolved"]) == ({}, {})
    assert said["rows"]["Product2"] == 314
    assert said["rows"]["AttributeCategoryAttribute"] == 34
    linked = "SELECT COUNT() FROM AttributePicklistValue WHERE Picklist.Name != null"
    assert org.count(linked) == 87
    assert org.count("SELECT COUNT() FROM AttributeCategoryAttribute"
                     " WHERE AttributeDefinition.Code != null") == 34  # fmt: skip


def test_plain_csv_folders_are_loaded_by_their_old_ids(
    tmp_path: Path, fixtures_dir: Path, practice_org: PracticeOrgs
) -> None:
    """An export with all columns: old ids become new ones, system columns are left out."""
    said = load(
        tmp_path / "home", "--folder", str(fixtures_dir / "B_datasets" / "devedition_export")
    )
    org = practice_org(home=tmp_path / "home")

    assert said["rows"]["Account"] == 12
    assert said["rows"]["Contact"] == 20
    assert org.count("SELECT COUNT() FROM Contact WHERE Account.Name != null") == 20
    assert org.count("SELECT COUNT() FROM Opportunity WHERE AccountId != null") > 0
