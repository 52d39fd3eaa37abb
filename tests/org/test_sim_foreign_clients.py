"""Clients that we did not write believe the practice org: simple-salesforce and jsforce."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound

from tests.orgs import PracticeOrg, PracticeOrgs

NODE = Path(__file__).parent / "node"
SCHEMA = """
standard: [Account, Contact]
objects:
  Account:
    fields:
      Code__c: {type: text, length: 20, external_id: true, unique: true, case_sensitive: true}
"""


class LoopbackAdapter(HTTPAdapter):
    """Speaks plain HTTP where the client insists on https, on loopback only."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Send the request with its scheme exchanged."""
        request.url = request.url.replace("https://127.0.0.1", "http://127.0.0.1", 1)
        return super().send(request, *args, **kwargs)


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """An org with accounts and contacts."""
    return module_practice_org(schema=SCHEMA)


@pytest.fixture
def salesforce(org: PracticeOrg) -> Iterator[Salesforce]:
    """simple-salesforce, given a token."""
    org.begin_afresh("Account", "Contact")
    with requests.Session() as session:
        session.mount("https://127.0.0.1", LoopbackAdapter())
        host = org.url.removeprefix("http://")
        yield Salesforce(
            instance=host, session_id=org.access_token, session=session, version="62.0"
        )


def test_simple_salesforce_reads_and_writes_records(
    salesforce: Salesforce, org: PracticeOrg
) -> None:
    """REST: describe, CRUD, upsert by external id, query with pages, refusals."""
    account = salesforce.Account
    made = account.create({"Name": "First", "Code__c": "s-1"})
    assert account.update(made["id"], {"Site": "Oslo"}) == 204
    assert account.upsert("Code__c/s-1", {"Name": "Changed"}) == 200
    assert account.upsert("Code__c/s-2", {"Name": "Second"}) == 201

    assert account.get_by_custom_id("Code__c", "s-1")["Name"] == "Changed"
    assert {field["name"] for field in account.describe()["fields"]} >= {
        "Name",
        "Code__c",
        "OwnerId",
    }
    found = salesforce.query_all(
        "SELECT Id, Name, Owner.Name FROM Account WHERE Code__c LIKE 's-%' ORDER BY Name"
    )
    assert [row["Name"] for row in found["records"]] == ["Changed", "Second"]
    assert account.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        account.get(made["id"])
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_FIELD"):
        salesforce.query("SELECT Nope FROM Account")
    assert salesforce.limits()["DailyApiRequests"]["Remaining"] > 0
    assert [row["IsDeleted"] for row in org.rows("Account")] == [True, False]


def test_simple_salesforce_loads_and_extracts_in_bulk(
    salesforce: Salesforce, org: PracticeOrg, tmp_path: Path
) -> None:
    """Bulk 2.0: insert, query, delete, each through its own job."""
    contacts = [
        {"LastName": f"N{number}", "Email": f"n{number}@x.example"} for number in range(700)
    ]
    outcome = salesforce.bulk2.Contact.insert(records=contacts)
    totals = [(job["numberRecordsTotal"], job["numberRecordsFailed"]) for job in outcome]
    pages = list(
        salesforce.bulk2.Contact.query(
            "SELECT Id, LastName FROM Contact WHERE LastName LIKE 'N%'", max_records=300
        )
    )
    ids = [{"Id": row["Id"]} for row in org.rows("Contact")]
    gone = salesforce.bulk2.Contact.delete(records=ids[:10])
    job_id = outcome[0]["job_id"]
    failed = salesforce.bulk2.Contact.get_failed_records(job_id)

    assert totals == [(700, 0)]
    assert sum(page.count("\n") for page in pages) == 700 + len(pages)
    assert gone[0]["numberRecordsFailed"] == 0
    assert failed.splitlines()[0].startswith('"sf__Id","sf__Error"')
    assert sum(row["IsDeleted"] for row in org.rows("Contact")) == 10


@pytest.fixture(scope="session")
def jsforce_folder() -> Path:
    """The folder with jsforce installed; installs it under CI, skips elsewhere without it."""
    required = os.environ.get("CI") == "true"
    if shutil.which("node") is None or shutil.which("npm") is None:
        if required:
            pytest.fail("node and npm are needed for the jsforce test")
        pytest.skip("node is not on this machine")
    if not (NODE / "node_modules" / "jsforce").is_dir():
        if not required:
            pytest.skip(f"jsforce is not installed: run `npm ci` in {NODE}")
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=NODE, check=True)
    return NODE


def test_jsforce_believes_the_org(org: PracticeOrg, jsforce_folder: Path) -> None:
    """Identity, describe, collections, upsert, query, Bulk 2.0 both ways, through a node script."""
    org.begin_afresh("Account", "Contact")
    given = json.dumps({"url": org.url, "token": org.access_token})

    said = subprocess.run(
        ["node", "jsforce_check.mjs", given], cwd=jsforce_folder, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    seen = json.loads(said.stdout)

    assert seen["identity"]["organization"] == org.organization_id
    assert {"Account", "Contact", "User"} <= set(seen["sobjects"])
    assert seen["nameField"]["nillable"] is False
    assert [result["success"] for result in seen["created"]] == [True, True, False]
    assert seen["created"][2]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert seen["retrieved"] == "js one"
    assert seen["updated"]["success"]
    assert seen["upserted"]["created"]
    assert seen["queried"]["names"] == ["js first", "js two", "js upserted"]
    assert seen["queried"]["contacts"] is None
    assert seen["refusal"] == "INVALID_FIELD"
    assert seen["loaded"] == {
        "good": 2500, "bad": 1, "unprocessed": 0,
        "error": "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --",
    }  # fmt: skip
    assert seen["extracted"]["keys"] == ["Id", "LastName", "Email"]
    # by Bulk API 1.0, as older clients read
    assert seen["extractedByOne"] == {"count": 2500, "keys": ["Id", "LastName"]}
    assert seen["removed"] == [True, True]
