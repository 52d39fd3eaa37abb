"""Bulk jobs under a bad line: nothing read twice, nothing closed twice, nothing garbled."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from core.errors import LostError, RefusedError, StalledJobError, TransientError
from core.salesforce import bulk
from core.salesforce.bulk import JobSpec, JobState, ResultKind, split_error
from core.salesforce.client import OrgClient
from core.salesforce.credentials import Credentials
from core.salesforce.retry import PollPolicy
from core.secret import Secret
from tests.org.scripted_org import Reply, ScriptedOrg, Seen

JOB = "7505f000000001AAA"
CSV = {"Content-Type": "text/csv"}


def job(state: str, **more: object) -> Reply:
    return Reply(body={"id": JOB, "state": state, "object": "Account", **more})


@pytest.fixture
def client(org: ScriptedOrg, waits: list[float]) -> OrgClient:
    held = Credentials(instance_url=org.url, access_token=Secret("t"), api_version="67.0")
    return OrgClient(held, sleep=waits.append)


def test_a_job_goes_from_creation_to_results(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("POST", "/jobs/ingest$", job("Open"))
    org.on("PUT", "/batches$", Reply(201))
    org.on("PATCH", f"/jobs/ingest/{JOB}$", job("UploadComplete"))
    done = job("JobComplete", numberRecordsProcessed=2, numberRecordsFailed=1)
    org.on("GET", f"/jobs/ingest/{JOB}$", job("InProgress"), done)
    good = '"sf__Id","sf__Created",Name\n"001A","true","Zoë, ""the\nsecond"""\n'
    org.on("GET", "/successfulResults", Reply(200, good.encode(), CSV))
    org.on("GET", "/unprocessedrecords", Reply(200, b"Name\n", CSV))
    org.on("DELETE", f"/jobs/ingest/{JOB}$", Reply(204))

    job_id = client.bulk.create_job(JobSpec(sobject="Account", operation="insert"))
    client.bulk.upload(job_id, "Name\nZoë\n".encode())
    client.bulk.close(job_id)
    status = client.bulk.wait(job_id)
    rows = pl.concat(client.bulk.results(job_id, ResultKind.SUCCESSFUL))
    client.bulk.delete(job_id)

    assert (status.records_processed, status.records_failed) == (2, 1)
    assert rows.rows() == [("001A", "true", 'Zoë, "the\nsecond"')]
    assert list(client.bulk.results(job_id, ResultKind.UNPROCESSED)) == []
    (put,) = org.requests("/batches")
    assert put.body == "Name\nZoë\n".encode()
    assert put.headers["content-type"] == "text/csv; charset=UTF-8"


def test_polling_starts_soon_and_grows_seldom(
    org: ScriptedOrg, client: OrgClient, waits: list[float]
) -> None:
    """A job's end is noticed at most a third of its time too late, a longer one's a 25th."""
    states = [job("InProgress")] * 100 + [job("JobComplete")]
    org.on("GET", f"/jobs/ingest/{JOB}$", *states)

    client.bulk.wait(JOB)

    assert waits[0] == pytest.approx(0.1)
    assert max(waits) == 5.0
    assert waits == sorted(waits)
    waited = [sum(waits[:number]) for number in range(len(waits))]
    assert all(wait <= 0.1 + so_far / 3 for wait, so_far in zip(waits, waited, strict=True))
    assert all(w <= max(0.4, so_far / 25) + 1e-9 for w, so_far in zip(waits, waited, strict=True))


def test_a_job_that_leaves_the_queue_is_looked_at_closely_again(
    org: ScriptedOrg, client: OrgClient, waits: list[float]
) -> None:
    """How long it was queued says nothing of how long it takes."""
    states = [job("UploadComplete")] * 90 + [job("InProgress")] * 3 + [job("JobComplete")]
    org.on("GET", f"/jobs/ingest/{JOB}$", *states)

    client.bulk.wait(JOB)

    assert waits[89] == 5.0
    assert waits[90:] == pytest.approx([0.1, 0.13, 0.169])
    before = [sum(waits[:number]) for number in range(90)]
    assert sum(so_far < 10 for so_far in before) <= 16, "looked at seldom while it is queued"


def test_how_long_the_quickest_of_the_last_jobs_took_is_known(
    org: ScriptedOrg, client: OrgClient, waits: list[float]
) -> None:
    """It tells whether a few rows are sooner there by requests; a job that had ended before anybody
    looked tells nothing."""
    org.on("GET", f"/jobs/ingest/{JOB}$", job("JobComplete"))
    client.bulk.wait(JOB)
    assert client.usage.quickest_job_s is None

    def waited(looks: int) -> float:
        states = [job("InProgress")] * looks + [job("JobComplete")]
        org.on("GET", f"/jobs/ingest/{JOB}$", *states)
        waits.clear()
        client.bulk.wait(JOB)
        return sum(waits)

    longest, shortest = waited(9), waited(2)
    assert client.usage.quickest_job_s == pytest.approx(shortest)
    others = [waited(5) for _ in range(7)]
    assert client.usage.quickest_job_s == pytest.approx(shortest)
    assert waited(5) == pytest.approx(client.usage.quickest_job_s), "the short one is too long ago"
    assert shortest < others[0] < longest


def test_waiting_ends_at_the_given_time_while_the_job_goes_on(org: ScriptedOrg) -> None:
    ticks = iter(datetime(2026, 11, 21, 5, minute, tzinfo=UTC) for minute in range(60))
    held = Credentials(instance_url=org.url, access_token=Secret("t"), api_version="67.0")
    client = OrgClient(held, sleep=lambda _: None, clock=lambda: next(ticks))
    org.on("GET", f"/jobs/ingest/{JOB}$", job("InProgress"))

    until = datetime(2026, 11, 21, 5, 5, tzinfo=UTC)

    assert client.bulk.wait(JOB, until=until).state is JobState.IN_PROGRESS


def test_a_poll_may_interrupt_the_waiting(org: ScriptedOrg, client: OrgClient) -> None:
    class Cancelled(Exception):
        pass

    def stop(_: object) -> None:
        raise Cancelled

    org.on("GET", f"/jobs/ingest/{JOB}$", job("InProgress"))

    with pytest.raises(Cancelled):
        client.bulk.wait(JOB, on_poll=stop)


def test_a_lost_close_is_settled_by_looking_at_the_job(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("PATCH", f"/jobs/ingest/{JOB}$", Reply(drop=True))
    org.on("GET", f"/jobs/ingest/{JOB}$", job("UploadComplete"))

    client.bulk.close(JOB)

    assert len(org.requests(JOB, "PATCH")) == 1


def test_a_close_that_did_not_arrive_is_sent_again(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("PATCH", f"/jobs/ingest/{JOB}$", Reply(drop=True), job("UploadComplete"))
    org.on("GET", f"/jobs/ingest/{JOB}$", job("Open"))

    client.bulk.close(JOB)

    assert len(org.requests(JOB, "PATCH")) == 2


def test_a_job_that_ends_while_it_is_aborted_is_left_as_it_ended(
    org: ScriptedOrg, client: OrgClient
) -> None:
    refusal = [{"errorCode": "INVALIDJOBSTATE", "message": "Job already completed"}]
    org.on("PATCH", f"/jobs/ingest/{JOB}$", Reply(400, refusal))
    org.on("GET", f"/jobs/ingest/{JOB}$", job("InProgress"), job("JobComplete"))

    assert client.bulk.abort(JOB).state is JobState.JOB_COMPLETE


def test_a_lost_upload_is_said_to_be_lost(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("PUT", "/batches$", Reply(drop=True))

    with pytest.raises(LostError) as caught:
        client.bulk.upload(JOB, b"Name\nx\n")
    assert caught.value.fact("job_id") == JOB
    assert len(org.requests("/batches")) == 1


def test_an_upload_may_be_a_stream(org: ScriptedOrg, client: OrgClient) -> None:
    """Chunked bodies have no length: the scripted org reads none, so only the sending is shown."""
    org.on("PUT", "/batches$", Reply(201, headers={"Connection": "close"}))

    client.bulk.upload(JOB, iter([b"Name\n", b"x\n"]))

    assert org.requests("/batches")[0].headers["transfer-encoding"] == "chunked"


def test_results_that_break_off_are_read_on_without_a_row_twice(
    org: ScriptedOrg, client: OrgClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BLOCK_BYTES", 1000)
    body = b"sf__Id,sf__Error\n" + b"".join(
        b'"%018d","A:line\none:--"\n' % number for number in range(500)
    )
    cut = Reply(200, body, CSV, cut=len(body) // 2)
    later = Reply(200, body, CSV, cut=len(body) - 7)
    org.on("GET", "/failedResults", cut, Reply(drop=True), later, Reply(200, body, CSV))

    rows = pl.concat(client.bulk.results(JOB, ResultKind.FAILED))

    assert rows["sf__Id"].to_list() == [f"{number:018d}" for number in range(500)]
    assert len(org.requests("/failedResults")) == 4


def test_results_that_never_come_end_with_an_error(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("GET", "/failedResults", Reply(drop=True))

    with pytest.raises(TransientError):
        list(client.bulk.results(JOB, ResultKind.FAILED))


def query_org(org: ScriptedOrg, *pages: tuple[bytes, str]) -> None:
    org.on("POST", "/jobs/query$", job("UploadComplete"))
    org.on("GET", f"/jobs/query/{JOB}$", job("InProgress"), job("JobComplete"))
    by_locator = dict(zip(["", *(locator for _, locator in pages)], pages, strict=False))

    def answer(seen: Seen) -> Reply:
        locator = seen.path.partition("&locator=")[2]
        content, following = by_locator[locator]
        return Reply(200, content, {**CSV, "Sforce-Locator": following})

    org.on("GET", f"/jobs/query/{JOB}/results", answer)
    org.on("DELETE", f"/jobs/query/{JOB}$", Reply(204))


def test_query_pages_follow_the_locator_to_its_end(org: ScriptedOrg, client: OrgClient) -> None:
    query_org(
        org, (b'"ID","ACCOUNT.NAME"\n"1","a"\n', "abc"), (b'"ID","ACCOUNT.NAME"\n"2",""\n', "null")
    )

    frames = list(client.query_frames("SELECT Id, Account.Name FROM Contact", api="bulk"))

    assert [frame.columns for frame in frames] == [["Id", "Account.Name"]] * 2
    assert pl.concat(frames).rows() == [("1", "a"), ("2", None)]
    assert len(org.requests(JOB, "DELETE")) == 1


def test_nul_bytes_and_foreign_letters_survive_a_missing_charset(
    org: ScriptedOrg, client: OrgClient
) -> None:
    query_org(org, ("Id,Name\n1,Zo\x00ë 🚀\n".encode(), "null"))

    (frame,) = client.query_frames("SELECT Id, Name FROM Account", api="bulk")

    assert frame.rows() == [("1", "Zoë 🚀")]


def test_a_query_without_rows_gives_no_frames(org: ScriptedOrg, client: OrgClient) -> None:
    query_org(org, (b"Id\n", "null"))

    assert list(client.query_frames("SELECT Id FROM Account", api="bulk")) == []


def rest_page(total: int) -> Reply:
    record = {
        "attributes": {"type": "Contact"},
        "Id": "1",
        "Amount": 12345678901234567.89,
        "Done": True,
        "CreatedDate": "2026-01-01T00:00:00.000+0000",
        "Account": {"attributes": {}, "Name": "a"},
        "Owner": None,
    }
    text = {"totalSize": total, "done": True, "records": [record]}
    return Reply(body=text)


SOQL = "SELECT Id, Amount, Done, createddate, Account.Name, Owner.Name FROM Contact"


def test_small_sets_come_over_rest_in_the_shape_of_bulk(
    org: ScriptedOrg, client: OrgClient
) -> None:
    exact = (
        b'{"totalSize":1,"done":true,"records":[{"attributes":{},"Id":"1","Amount":123456789012345678.9,'
        b'"Done":false,"CreatedDate":"2026-01-01T00:00:00.000+0000","Account":{"attributes":{},"Name":"a"},"Owner":null}]}'
    )
    org.on("GET", "/query", Reply(body=exact))

    (frame,) = client.query_frames(SOQL)

    assert frame.columns == ["Id", "Amount", "Done", "createddate", "Account.Name", "Owner.Name"]
    assert frame.rows() == [
        ("1", "123456789012345678.9", "false", "2026-01-01T00:00:00.000Z", "a", None)
    ]


def test_large_sets_go_as_a_job(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("GET", r"/query\?", rest_page(10_000))
    query_org(org, (b"a,b,c,d,e,f\n1,2,3,4,5,6\n", "null"))

    (frame,) = client.query_frames(SOQL)

    assert frame["Owner.Name"].to_list() == ["6"]


def test_what_was_counted_as_large_goes_as_a_job_at_once(
    org: ScriptedOrg, client: OrgClient
) -> None:
    """The first page of a REST query would be read and thrown away."""
    counted = {"results": [{"statusCode": 200, "result": {"totalSize": 10_000, "done": True}}]}
    org.on("POST", "/composite/batch", Reply(body=counted))
    query_org(org, (b"a,b,c,d,e,f\n1,2,3,4,5,6\n", "null"))

    client.counts(["SELECT COUNT() FROM Contact WHERE Name != null"])
    (frame,) = client.query_frames(f"{SOQL} WHERE (Name != null)")

    assert frame["Owner.Name"].to_list() == ["6"]
    assert not org.requests(r"/query\?")


def test_what_bulk_refuses_is_read_over_rest(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("GET", r"/query\?", rest_page(10_000))
    refusal = "Entity 'Contact' is not supported by the Bulk API."
    org.on("POST", "/jobs/query$", Reply(400, [{"errorCode": "INVALIDENTITY", "message": refusal}]))

    (frame,) = client.query_frames(SOQL)

    assert frame.height == 1


def test_a_failed_query_job_says_why(org: ScriptedOrg, client: OrgClient) -> None:
    org.on("POST", "/jobs/query$", job("UploadComplete"))
    org.on("GET", f"/jobs/query/{JOB}$", job("Failed", errorMessage="QUERY_TIMEOUT: too long"))

    with pytest.raises(RefusedError, match="QUERY_TIMEOUT: too long"):
        list(client.query_frames("SELECT Id FROM Account", api="bulk"))


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        (
            "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --",
            ("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", ("Name",)),
        ),
        (
            "DUPLICATE_VALUE:duplicate: on id: 001:--",
            ("DUPLICATE_VALUE", "duplicate: on id: 001", ()),
        ),
        ("X:m:A B --", ("X", "m", ("A", "B"))),
        ("odd", ("odd", "", ())),
    ],
)
def test_an_error_cell_is_taken_apart(cell: str, parts: tuple[str, str, tuple[str, ...]]) -> None:
    assert split_error(cell) == parts


def test_a_job_that_stands_still_is_not_waited_for_for_ever(
    org: ScriptedOrg, waits: list[float]
) -> None:
    """The limit is more than the platform itself tries a batch: 20 times 5 minutes."""
    held = Credentials(instance_url=org.url, access_token=Secret("t"), api_version="67.0")
    client = OrgClient(held, sleep=waits.append, poll=PollPolicy(patience_s=100))
    moving = [job("InProgress", numberRecordsProcessed=n) for n in range(1, 4)]
    org.on("GET", f"/jobs/ingest/{JOB}$", *moving)

    with pytest.raises(StalledJobError, match="at 3 records processed") as said:
        client.bulk.wait(JOB)

    assert said.value.fact("job_id") == JOB
    assert 100 <= sum(waits[2:]) <= 105
    assert PollPolicy().patience_s > 20 * 5 * 60
    assert org.requests(JOB, "PATCH") == []


def test_waiting_for_a_query_is_interrupted_between_two_looks(
    org: ScriptedOrg, client: OrgClient
) -> None:
    class Cancelled(Exception):
        pass

    def stop() -> None:
        raise Cancelled

    org.on("POST", "/jobs/query$", job("UploadComplete"))
    org.on("GET", f"/jobs/query/{JOB}$", job("InProgress"))

    with pytest.raises(Cancelled):
        list(client.query_frames("SELECT Id FROM Contact", api="bulk", beat=stop))
