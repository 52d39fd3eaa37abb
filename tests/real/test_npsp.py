"""The Nonprofit Success Pack's sample data through the whole path, compared record by record."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.bootstrap import Orgbridge
from tests.org.engine import line
from tests.orgs import PracticeOrgs
from tests.real.moving import RealSet, compare, loaded_set, moved

OBJECTS = (
    "Account", "Address__c", "Contact", "Campaign", "npe03__Recurring_Donation__c", "Opportunity",
    "OpportunityContactRole", "Partial_Soft_Credit__c", "npe01__OppPayment__c",
    "General_Accounting_Unit__c", "Allocation__c", "npe4__Relationship__c", "CampaignMember",
)  # fmt: skip
ROWS = {"npsp_1k": 17_283, "npsp_dev_org": 3_226}
#: objects whose Name the target numbers by itself
NUMBERED = (
    "Address__c", "npe01__OppPayment__c", "Partial_Soft_Credit__c", "Allocation__c",
    "npe4__Relationship__c",
)  # fmt: skip
#: dates that the package itself computes, so that the object book leaves them out
COMPUTED = {"npe03__Last_Payment_Date__c", "npe03__Next_Payment_Date__c"}
SCHEMA = Path(__file__).parent / "schemas" / "npsp.yaml"


@pytest.fixture(params=sorted(ROWS))
def npsp(
    request: pytest.FixtureRequest,
    bridge: Orgbridge,
    practice_org: PracticeOrgs,
    fixtures_dir: Path,
    tmp_path: Path,
) -> RealSet:
    folder = fixtures_dir / "B_datasets" / str(request.param)
    data = ["--cumulusci", str(folder / "test_data.sql"), str(folder / "mapping.yml")]
    real = loaded_set(
        bridge, practice_org, schema=SCHEMA, objects=OBJECTS, data=data, home=tmp_path
    )
    assert real.loaded["refused"] == {}
    assert sum(real.loaded["rows"].values()) == ROWS[str(request.param)]
    return real


@pytest.mark.timeout(300)
def test_all_rows_arrive_once_with_every_field(npsp: RealSet) -> None:
    document = moved(npsp)

    blocked = {entry["as"]: entry["blocked"] for entry in document["objects"] if entry["blocked"]}
    assert blocked == {}
    assert document["status"] == "Succeeded", npsp.pair.failures(document["run_id"])[:5]
    own = {name: {"Name"} for name in NUMBERED}
    difference = compare(npsp, ignore={**own, "npe03__Recurring_Donation__c": COMPUTED})
    assert difference.is_clean, str(difference)

    again = moved(npsp)
    for name in OBJECTS:
        entry = line(again, name.lower())
        assert entry["unchanged"] == entry["read"], entry
