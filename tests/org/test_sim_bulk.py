"""Bulk API 2.0 of the practice org: states, files, refusals, and what survives a kill."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.orgs import PracticeOrg, PracticeOrgs, RefusedError, wait_for

SCHEMA = """
standard: [Account, Contact]
objects:
  Account:
    fields:
      Code__c: {type: text, length: 20, external_id: true, unique: true, case_sensitive: true}
      Tier__c: {type: picklist, values: [Gold, Silver], restricted: true}
  Contact:
    fields:
      Code__c: {type: text, length: 20, external_id: true, unique: true, case_sensitive: true}
"""


@pytest.fixture(scope="module")
def shared(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """One org for the module."""
    return module_practice_org(schema=SCHEMA)


@pytest.fixture
def org(shared: PracticeOrg) -> PracticeOrg:
    """The org with external ids, as good as empty."""
    shared.begin_afresh("Account", "Contact")
    return shared


def rows_of(org: PracticeOrg, job: dict[str, Any], kind: str) -> list[dict[str, str]]:
    """Return one result file of a job."""
    answer = org.request("GET", f"jobs/ingest/{job['id']}/{kind}")
    assert answer.status == 200
    assert (
        answer.headers["Content-Type"] == "text/csv"
    )  # no charset: clients must not guess latin-1
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8"), newline="")))


def opened(org: PracticeOrg, **job: Any) -> str:
    """Create an ingest job of accounts; return its path."""
    made = org.json("POST", "jobs/ingest", {"object": "Account", "operation": "insert", **job})
    return f"jobs/ingest/{made['id']}"


def refusal(org: PracticeOrg, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Return status and errorCode of a refused request."""
    with pytest.raises(RefusedError) as refused:
        org.json(method, path, body)
    return refused.value.status, refused.value.body[0]["errorCode"]


def test_a_job_goes_through_its_states(org: PracticeOrg) -> None:
    """The JSON forms of creation, closing and reading differ as documented."""
    created = org.json("POST", "jobs/ingest", {
        "object": "account", "operation": "upsert", "externalIdFieldName": "code__c"})  # fmt: skip
    path = f"jobs/ingest/{created['id']}"
    upload = org.request("PUT", f"{path}/batches", b"Name,Code__c\nA,1\n")
    closed = org.json("PATCH", path, {"state": "UploadComplete"})
    done = org.finished(path)

    assert (created["state"], created["object"], created["id"][:3]) == ("Open", "Account", "750")
    assert created["apiVersion"] == 62.0
    assert created["contentUrl"] == f"services/data/v62.0/{path}/batches"
    assert (upload.status, upload.data) == (201, b"")
    assert closed["state"] == "UploadComplete"
    assert "numberRecordsProcessed" not in closed
    assert (done["state"], done["jobType"]) == ("JobComplete", "V2Ingest")
    assert (done["numberRecordsProcessed"], done["numberRecordsFailed"]) == (1, 0)
    assert done["externalIdFieldName"] == "Code__c"


def test_rows_succeed_and_fail_one_by_one(org: PracticeOrg) -> None:
    """JobComplete does not mean that rows succeeded; failed rows count as processed."""
    job = org.bulk("Account", "insert", b"Name,Tier__c\nA,Gold\n,Gold\nC,Iron\nD,\n")

    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (4, 2)
    good = rows_of(org, job, "successfulResults")
    bad = {row["Tier__c"]: row for row in rows_of(org, job, "failedResults")}
    assert sorted(row["Name"] for row in good) == ["A", "D"]
    assert all(row["sf__Created"] == "true" and len(row["sf__Id"]) == 18 for row in good)
    assert bad["Gold"]["sf__Error"] == (
        "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"
    )
    assert bad["Iron"]["sf__Error"].startswith("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:")
    assert bad["Iron"]["sf__Id"] == ""
    assert rows_of(org, job, "unprocessedrecords") == []


def test_results_are_not_in_input_order(org: PracticeOrg) -> None:
    """A client that joins results by position fails here rather than in an org."""
    names = [f"N{number:04d}" for number in range(300)]

    job = org.bulk("Account", "insert", ("Name\n" + "\n".join(names) + "\n").encode())

    found = [row["Name"] for row in rows_of(org, job, "successfulResults")]
    assert sorted(found) == names
    assert found != names


def test_unknown_column_fails_the_job_and_leaves_all_rows(org: PracticeOrg) -> None:
    """Nothing is written and every row is in the third file."""
    job = org.bulk("Account", "insert", b"Name,Nope__c\nA,1\nB,2\n")

    assert job["state"] == "Failed"
    assert job["errorMessage"] == "InvalidBatch : Field name not found : Nope__c"
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (0, 0)
    assert rows_of(org, job, "unprocessedrecords") == [
        {"Name": "A", "Nope__c": "1"}, {"Name": "B", "Nope__c": "2"}]  # fmt: skip
    assert org.rows("Account") == []


@pytest.mark.parametrize(
    ("declared", "data", "setting"),
    [("LF", b"Name\r\nA\r\n", "LF"), ("CRLF", b"Name\nA\n", "CRLF")],
)
def test_wrong_line_ending_fails_the_job(
    org: PracticeOrg, declared: str, data: bytes, setting: str
) -> None:
    """The declared line ending must be the file's."""
    job = org.bulk("Account", "insert", data, lineEnding=declared)

    assert job["state"] == "Failed"
    assert job["errorMessage"] == ("ClientInputError : LineEnding is invalid on user data. Current"
                                   f" LineEnding setting is {setting}")  # fmt: skip
    assert org.rows("Account") == []


@pytest.mark.parametrize(
    ("name", "sign"),
    [("COMMA", ","), ("TAB", "\t"), ("SEMICOLON", ";"), ("PIPE", "|"), ("CARET", "^"),
     ("BACKQUOTE", "`")],
)  # fmt: skip
def test_every_delimiter_is_read_and_written(org: PracticeOrg, name: str, sign: str) -> None:
    """Results come in the job's own delimiter and line ending, fully quoted."""
    data = f'Name{sign}Site\r\n"A ""q"" {sign} b"{sign}x\r\n'.encode()

    job = org.bulk("Account", "insert", data, columnDelimiter=name, lineEnding="CRLF")
    body = org.request("GET", f"jobs/ingest/{job['id']}/successfulResults").data.decode()

    assert org.rows("Account")[0]["Name"] == f'A "q" {sign} b'
    head, row = body.split("\r\n")[:2]
    assert head == sign.join(('"sf__Id"', '"sf__Created"', '"Name"', '"Site"'))
    assert row.endswith(f'"true"{sign}"A ""q"" {sign} b"{sign}"x"')


def test_cells_mean_what_bulk_means(org: PracticeOrg) -> None:
    """Empty leaves a field alone, #N/A clears it, quoted newlines and emoji arrive whole."""
    csv_in = 'Name,Description,Site\n"Ünï 🐟","line 1\nline 2",here\n'.encode()
    org.bulk("Account", "insert", csv_in)
    row = org.rows("Account")[0]
    update = f"Id,Description,Site\n{row['Id']},,#N/A\n".encode()
    job = org.bulk("Account", "update", update)

    after = org.rows("Account")[0]
    assert job["numberRecordsFailed"] == 0
    assert (row["Name"], row["Description"]) == ("Ünï 🐟", "line 1\nline 2")
    assert (after["Description"], after["Site"]) == ("line 1\nline 2", None)
    assert rows_of(org, job, "successfulResults")[0]["sf__Created"] == "false"


def test_parents_are_found_by_their_external_id(org: PracticeOrg) -> None:
    """Relationship columns; a parent that does not exist fails the row, not the job."""
    org.bulk("Account", "insert", b"Name,Code__c\nA,a1\n")
    job = org.bulk("Contact", "insert", b"LastName,Account.Code__c\nX,a1\nY,none\n")

    account = org.rows("Account")[0]["Id"]
    assert [(r["LastName"], r["AccountId"]) for r in org.rows("Contact")] == [("X", account)]
    failed = rows_of(org, job, "failedResults")
    assert failed[0]["LastName"] == "Y"
    assert failed[0]["sf__Error"].startswith(
        "INVALID_FIELD:Foreign key external ID: none not found"
    )


def test_upsert_by_external_id_creates_and_updates(org: PracticeOrg) -> None:
    """sf__Created tells which; one key twice in a transaction refuses every row that carries it."""
    org.bulk("Account", "insert", b"Name,Code__c\nOld,k1\n")
    job = org.bulk("Account", "upsert", b"Name,Code__c\nNew,k1\nFresh,k2\nP,k3\nQ,k3\n",
                   externalIdFieldName="Code__c")  # fmt: skip

    created = {row["Code__c"]: row["sf__Created"] for row in rows_of(org, job, "successfulResults")}
    assert created == {"k1": "false", "k2": "true"}
    errors = {row["sf__Error"].split(":")[0] for row in rows_of(org, job, "failedResults")}
    assert errors == {"DUPLICATE_VALUE"}
    assert job["numberRecordsFailed"] == 2
    assert sorted(row["Name"] for row in org.rows("Account")) == ["Fresh", "New"]


def test_delete_takes_ids_only(org: PracticeOrg) -> None:
    """Deleted rows go to the recycle bin; hard delete needs a permission that nobody has."""
    org.bulk("Account", "insert", b"Name\nA\nB\n")
    ids = [row["Id"] for row in org.rows("Account")]
    job = org.bulk("Account", "delete", f"Id\n{ids[0]}\n".encode())
    wide = org.bulk("Account", "delete", f"Id,Name\n{ids[1]},B\n".encode())
    hard = {"object": "Account", "operation": "hardDelete"}

    assert job["numberRecordsFailed"] == 0
    assert [row["IsDeleted"] for row in org.rows("Account") if row["Id"] == ids[0]] == [True]
    assert wide["state"] == "Failed"
    assert refusal(org, "POST", "jobs/ingest", hard) == (400, "FEATURENOTENABLED")


def test_jobs_are_refused_when_they_make_no_sense(org: PracticeOrg) -> None:
    """Wrong creations by code."""
    make = "jobs/ingest"
    assert (
        refusal(org, "POST", make, {"object": "Nope", "operation": "insert"})[1] == "INVALIDENTITY"
    )
    assert refusal(org, "POST", make, {"object": "Account", "operation": "x"})[1] == "INVALIDJOB"
    no_key = {"object": "Account", "operation": "upsert"}
    assert refusal(org, "POST", make, no_key)[1] == "INVALIDJOB"
    wrong_key = {**no_key, "externalIdFieldName": "Site"}
    assert refusal(org, "POST", make, wrong_key)[1] == "INVALIDJOB"
    assert refusal(org, "GET", "jobs/ingest/750000000000000AAA") == (404, "NOT_FOUND")


def test_a_job_keeps_to_its_order_of_steps(org: PracticeOrg) -> None:
    """One upload, results only at the end, no way back."""
    path = opened(org)
    org.request("PUT", f"{path}/batches", b"Name\nA\n")

    again = org.request("PUT", f"{path}/batches", b"Name\nB\n")
    assert (again.status, b"Found multiple contents for job" in again.data) == (400, True)
    assert refusal(org, "GET", f"{path}/successfulResults") == (400, "INVALIDJOBSTATE")
    org.json("PATCH", path, {"state": "Aborted"})
    assert refusal(org, "PATCH", path, {"state": "UploadComplete"}) == (400, "INVALIDJOBSTATE")
    assert org.request("PUT", f"{path}/batches", b"Name\nB\n").status == 400
    deleted = org.request("DELETE", path)
    assert (deleted.status, deleted.data) == (204, b"")
    assert refusal(org, "GET", path) == (404, "NOT_FOUND")
    assert org.rows("Account") == []


def test_multipart_creation_starts_at_once(org: PracticeOrg) -> None:
    """Job and data in one request; the state is UploadComplete in the answer."""
    body = (
        b'--X\r\nContent-Disposition: form-data; name="job"\r\n'
        b"Content-Type: application/json\r\n\r\n"
        b'{"object":"Account","contentType":"CSV","operation":"insert"}\r\n'
        b'--X\r\nContent-Disposition: form-data; name="content"; filename="c.csv"\r\n'
        b"Content-Type: text/csv\r\n\r\nName\nM1\nM2\n\r\n--X--\r\n"
    )
    answer = org.request("POST", "jobs/ingest", body,
                         headers={"Content-Type": 'multipart/form-data; boundary="X"'})  # fmt: skip
    made = answer.json()
    done = org.finished(f"jobs/ingest/{made['id']}")

    assert (answer.status, made["state"]) == (200, "UploadComplete")
    assert done["numberRecordsProcessed"] == 2


def test_jobs_are_listed(org: PracticeOrg) -> None:
    """Both sorts of jobs have lists of their own."""
    org.bulk("Account", "insert", b"Name\nA\n")
    org.json("POST", "jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"})

    ingest = org.json("GET", "jobs/ingest")
    queries = org.json("GET", "jobs/query")
    assert (ingest["done"], ingest["nextRecordsUrl"]) == (True, None)
    assert {job["jobType"] for job in ingest["records"]} == {"V2Ingest"}
    assert {job["jobType"] for job in queries["records"]} == {"V2Query"}


def test_query_jobs_page_their_results(org: PracticeOrg) -> None:
    """The header repeats on every page; the last locator is the word null."""
    org.bulk(
        "Account", "insert", ("Name,Site\n" + "".join(f"paged{n},\n" for n in range(250))).encode()
    )
    made = org.json("POST", "jobs/query", {
        "operation": "query",
        "query": "SELECT Name, Site, Owner.Name, CreatedDate, IsDeleted FROM Account"
                 " WHERE Name LIKE 'paged%'"})  # fmt: skip
    path = f"jobs/query/{made['id']}"
    done = org.finished(path)

    found, locator = [], ""
    pages = 0
    while locator != "null":
        url = f"{path}/results?maxRecords=100" + (f"&locator={locator}" if locator else "")
        answer = org.request("GET", url)
        page = list(csv.DictReader(io.StringIO(answer.data.decode())))
        assert int(answer.headers["Sforce-NumberOfRecords"]) == len(page)
        found += page
        locator = answer.headers["Sforce-Locator"]
        pages += 1
    assert (made["state"], done["numberRecordsProcessed"], pages) == ("UploadComplete", 250, 3)
    assert sorted(row["Name"] for row in found) == sorted(f"paged{n}" for n in range(250))
    assert found[0]["Owner.Name"] == "Practice Administrator"
    assert found[0]["Site"] == ""
    assert found[0]["IsDeleted"] == "false"
    assert found[0]["CreatedDate"].endswith(".000Z")  # REST says +0000


def test_query_all_jobs_see_deleted_rows_and_empty_results_have_a_header(org: PracticeOrg) -> None:
    """queryAll includes the recycle bin; nothing found is a header line."""
    org.bulk("Account", "insert", b"Name\nbinned\n")
    org.bulk("Account", "delete", f"Id\n{org.rows('Account')[0]['Id']}\n".encode())
    bodies = {}
    for operation in ("query", "queryAll"):
        made = org.json("POST", "jobs/query", {
            "operation": operation,
            "query": "SELECT Name FROM Account WHERE Name = 'binned'"})  # fmt: skip
        org.finished(f"jobs/query/{made['id']}")
        bodies[operation] = org.request("GET", f"jobs/query/{made['id']}/results").data

    assert bodies == {"query": b'"Name"\n', "queryAll": b'"Name"\n"binned"\n'}


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT COUNT() FROM Account", "FEATURENOTENABLED"),
        ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "FEATURENOTENABLED"),
        ("SELECT BillingAddress FROM Account", "FEATURENOTENABLED"),
        ("SELECT Id FROM Account LIMIT 1 OFFSET 1", "API_ERROR"),
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM", "MALFORMED_QUERY"),
    ],
)
def test_queries_that_bulk_cannot_carry_are_refused(org: PracticeOrg, soql: str, code: str) -> None:
    """The client falls back to REST on these."""
    body = {"operation": "query", "query": soql}
    assert refusal(org, "POST", "jobs/query", body) == (400, code)


def test_a_killed_job_goes_on_and_writes_nothing_twice(org: PracticeOrg) -> None:
    """kill -9 between batches: what is committed stays, the rest follows after the restart."""
    org.options(bulk_batch_rows=200, bulk_batch_delay_s=0.1)
    path = opened(org)
    names = [f"N{number:05d}" for number in range(2_000)]
    org.request("PUT", f"{path}/batches", ("Name\n" + "\n".join(names) + "\n").encode())
    org.json("PATCH", path, {"state": "UploadComplete"})
    wait_for(lambda: org.json("GET", path)["numberRecordsProcessed"] >= 400)

    org.kill()
    org.start()
    done = org.finished(path)

    assert (done["state"], done["numberRecordsProcessed"]) == ("JobComplete", 2_000)
    assert sorted(row["Name"] for row in org.rows("Account")) == names
    results = rows_of(org, done, "successfulResults")
    assert sorted(row["Name"] for row in results) == names
    assert {row["sf__Id"] for row in results} == {row["Id"] for row in org.rows("Account")}


def test_abort_keeps_what_was_committed(org: PracticeOrg) -> None:
    """Committed batches stay, the others are unprocessed."""
    org.options(bulk_batch_rows=100, bulk_batch_delay_s=0.1)
    path = opened(org)
    data = "Name\n" + "".join(f"N{number}\n" for number in range(3_000))
    org.request("PUT", f"{path}/batches", data.encode())
    org.json("PATCH", path, {"state": "UploadComplete"})
    wait_for(lambda: org.json("GET", path)["numberRecordsProcessed"] >= 100)
    org.json("PATCH", path, {"state": "Aborted"})

    job = org.finished(path)
    wait_for(lambda: _settled(org, job))
    written = len(org.rows("Account"))
    assert job["state"] == "Aborted"
    assert 100 <= written < 3_000
    assert len(rows_of(org, job, "successfulResults")) == written
    assert len(rows_of(org, job, "unprocessedrecords")) == 3_000 - written


def _settled(org: PracticeOrg, job: dict[str, Any]) -> bool:
    """A batch that was running when the job was aborted still ends."""
    before = len(org.rows("Account"))
    org.json("GET", f"jobs/ingest/{job['id']}")
    return len(org.rows("Account")) == before == len(rows_of(org, job, "successfulResults"))


def test_planted_faults_fail_and_stall_jobs(org: PracticeOrg) -> None:
    """A job that fails half-way keeps its outcomes; a stalled one waits until the fault is gone."""
    org.options(bulk_batch_rows=100)
    org.plant({"kind": "bulk", "object": "Account", "after_rows": 200,
               "error_message": "TooManyLockFailure : too many lock failures"})  # fmt: skip
    data = ("Name\n" + "".join(f"N{number}\n" for number in range(500))).encode()
    failed = org.bulk("Account", "insert", data)
    org.plant({"kind": "bulk", "stall": True})
    path = opened(org)
    org.request("PUT", f"{path}/batches", b"Name\nlate\n")
    org.json("PATCH", path, {"state": "UploadComplete"})
    wait_for(lambda: org.json("GET", path)["state"] == "InProgress")
    org.clear_faults()
    late = org.finished(path)

    assert (failed["state"], failed["numberRecordsProcessed"]) == ("Failed", 200)
    assert failed["errorMessage"].startswith("TooManyLockFailure")
    assert len(rows_of(org, failed, "successfulResults")) == 200
    assert len(rows_of(org, failed, "unprocessedrecords")) == 300
    assert late["state"] == "JobComplete"
