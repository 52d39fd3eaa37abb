"""The client against a practice org over real HTTP: every verb once."""

from __future__ import annotations

import polars as pl
import pytest

from core.domain.csv import bulk_csv
from core.errors import RefusedError
from core.salesforce.bulk import JobSpec, JobState, ResultKind, split_error
from core.salesforce.client import OrgClient
from core.salesforce.credentials import Credentials
from core.salesforce.identity import Environment
from core.salesforce.records import Graph, GraphNode
from core.salesforce.retry import PollPolicy
from core.secret import Secret
from tests.orgs import PracticeOrg, PracticeOrgs, module_practice_org

__all__ = ["module_practice_org"]

AWKWARD = ['Zoë "Q" 🚀', "line 1\nline 2", " ,;\t", "=1+1", "O'Brien \\", "null"]


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    return module_practice_org(name="Client Org", seed="northwind-legacy")


@pytest.fixture(scope="module")
def client(org: PracticeOrg) -> OrgClient:
    return OrgClient(
        Credentials(instance_url=org.url, access_token=Secret(org.access_token)),
        poll=PollPolicy(first_delay_s=0.02),
    )


def test_the_org_says_who_it_is(client: OrgClient, org: PracticeOrg) -> None:
    found = client.identity

    assert found.organization_id == org.organization_id
    assert (found.name, found.environment) == ("Client Org", Environment.PRACTICE)
    assert found.is_practice and found.username and found.user_id


def test_describes_are_read_in_parallel_and_kept(client: OrgClient) -> None:
    names = [one.name for one in client.describe_global() if one.queryable]
    described = {one.name: one for one in client.describe_many(names)}
    calls = client.usage.calls_made

    again = [client.describe(name) for name in names]

    assert set(described) == set(names)
    assert described["Account"].fields["name"].type == "string"
    assert len(again) == len(names)
    assert client.usage.calls_made == calls


def test_the_org_charges_what_the_meter_shows(client: OrgClient) -> None:
    client.count("SELECT COUNT() FROM Account")
    before = client.usage.used or 0
    client.count("SELECT COUNT() FROM Account")

    assert (client.usage.used or 0) == before + 1
    assert client.limits()["DailyApiRequests"]["Max"] == client.usage.allowed


def test_counts_of_a_batch_equal_single_counts(client: OrgClient) -> None:
    names = ["Account", "Contact", "Opportunity", "Case"]
    soqls = [f"SELECT COUNT() FROM {name}" for name in names]

    counted = client.counts([*soqls, "SELECT COUNT() FROM Nope__c"])

    assert counted[:4] == [client.count(soql) for soql in soqls]
    assert isinstance(counted[4], RefusedError)


def test_rest_and_bulk_give_the_same_frames(client: OrgClient) -> None:
    soql = (
        "SELECT Id, LastName, Email, CreatedDate, IsDeleted, Account.Name, Owner.Name FROM Contact"
    )

    rest = pl.concat(client.query_frames(soql, api="rest")).sort("Id")
    bulk = pl.concat(client.query_frames(soql, api="bulk", page_rows=250)).sort("Id")

    assert rest.columns[-2:] == ["Account.Name", "Owner.Name"]
    assert rest.height == client.count("SELECT COUNT() FROM Contact")
    assert rest.equals(bulk)


def test_a_job_takes_awkward_text_and_gives_it_back(client: OrgClient) -> None:
    sent = pl.DataFrame({"Name": [f"{n}{text}" for n, text in enumerate(AWKWARD)] + [None]})
    content = bulk_csv(sent.with_columns(pl.lit("x").alias("BillingCity")))

    job_id = client.bulk.create_job(JobSpec(sobject="Account", operation="insert"))
    client.bulk.upload(job_id, content)
    client.bulk.close(job_id)
    status = client.bulk.wait(job_id)
    made = pl.concat(client.bulk.results(job_id, ResultKind.SUCCESSFUL))
    failed = pl.concat(client.bulk.results(job_id, ResultKind.FAILED))
    client.bulk.delete(job_id)

    assert status.state is JobState.JOB_COMPLETE
    assert (status.records_processed, status.records_failed) == (7, 1)
    assert split_error(failed["sf__Error"][0])[0] == "REQUIRED_FIELD_MISSING"
    kept = client.retrieve("Account", made["sf__Id"].to_list(), ["Name"])
    # the platform trims what it saves; the results repeat what was sent
    sent_names = [name.strip() for name in made["Name"].to_list()]
    assert sorted(row["Name"] for row in kept.values()) == sorted(sent_names)
    assert any("line 1\nline 2" in row["Name"].replace("\r\n", "\n") for row in kept.values())


def test_a_job_is_aborted_and_found_among_the_open_ones(client: OrgClient) -> None:
    job_id = client.bulk.create_job(JobSpec(sobject="Account", operation="insert"))

    assert job_id in {job.job_id for job in client.bulk.open_jobs(sobject="Account")}
    assert client.bulk.abort(job_id).state is JobState.ABORTED
    assert client.bulk.abort(job_id).state is JobState.ABORTED


def test_records_are_made_changed_and_deleted_in_order(client: OrgClient) -> None:
    made = client.create_records(
        "Account", [{"Name": "one"}, {"BillingCity": "x"}, {"Name": "two"}]
    )
    ids = [str(outcome.record_id) for outcome in made if outcome.success]

    changed = client.update_records("Account", [{"Id": ids[0], "Name": "uno"}])
    kept = client.retrieve("Account", ids, ["Name"])
    gone = client.delete_records("Account", ids)

    assert [outcome.success for outcome in made] == [True, False, True]
    assert made[1].errors[0].code == "REQUIRED_FIELD_MISSING"
    assert changed[0].success and not changed[0].created
    assert [row["Name"] for row in kept.values()] == ["uno", "two"]
    assert all(outcome.success for outcome in gone)
    assert client.retrieve("Account", ids, ["Name"]) == {}


def test_deleted_records_come_back_and_the_org_tells_its_time(client: OrgClient) -> None:
    (made,) = client.create_records("Account", [{"Name": "phoenix"}])
    record_id = str(made.record_id)
    client.delete_records("Account", [record_id])

    (back,) = client.undelete([record_id])

    assert back.success and back.record_id == record_id
    assert client.retrieve("Account", [record_id], ["Name"])[record_id]["Name"] == "phoenix"
    assert client.server_time().tzinfo is not None


def test_a_graph_is_written_wholly_or_not_at_all(client: OrgClient) -> None:
    parent = GraphNode(reference_id="a", method="POST", url="sobjects/Account", body={"Name": "g"})
    child = {"LastName": "g", "AccountId": "@{a.id}"}
    good = Graph(
        "g1",
        (parent, GraphNode(reference_id="c", method="POST", url="sobjects/Contact", body=child)),
    )
    bad = Graph(
        "g2", (parent, GraphNode(reference_id="c", method="POST", url="sobjects/Contact", body={}))
    )
    before = client.count("SELECT COUNT() FROM Account")

    first, second = client.composite_graph([good, bad])

    assert first.success and first.nodes["c"].created
    assert not second.success and second.nodes["c"].errors
    assert client.count("SELECT COUNT() FROM Account") == before + 1


def test_what_the_org_refuses_comes_as_a_sentence(client: OrgClient) -> None:
    with pytest.raises(RefusedError, match="No such column 'Foo'"):
        list(client.query("SELECT Foo FROM Account"))
    with pytest.raises(RefusedError, match="no object Nope__c") as refused:
        client.describe("Nope__c")
    assert refused.value.fact("status") == 404
