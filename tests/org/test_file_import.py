"""CSV files become records of a practice org: kept, read, planned, loaded, undone."""

from __future__ import annotations

import io
import signal
import zipfile
from typing import Any

import pytest

from core.bootstrap import Orgbridge
from core.config import Settings
from core.db import runs
from core.domain.roles import Actor, Role
from core.domain.states import RunState
from core.errors import ConflictError
from core.secret import Secret
from core.services import files, importing, operations, orgs, run_files, run_reads
from core.services.connecting import ConnectRequest
from core.services.files import Upload
from core.services.importing import TableTarget
from core.services.launching import LaunchRequest, launch, undo
from tests.org.engine import SCHEMA, Pair, check_identity, line
from tests.org.engine_worker import start_worker
from tests.orgs import PracticeOrgs, wait_for

CUSTOMERS = (
    "Code;Name;Straße;Umsatz;Since\r\n"
    "C-1;Müller & Söhne;Weg 1;1.234,50;31.12.2025\r\n"
    'C-2;"Zwei\nZeilen";;7,00;01.02.2026\r\n'
    'C-3;=HYPERLINK("http://x");Gasse;;\r\n'
)
PEOPLE = (
    "Number,LastName,Customer Code,E-Mail\n"
    "P1,Ng,C-1,ng@example.org\n"
    "P2,\u05d0\u05d1,C-2,b@example.org\n"
    "P3,Nobody,C-9,c@example.org\n"
)


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Pair:
    """One org is enough: the source is files."""
    org = practice_org(name="New", schema=SCHEMA)
    actor = Actor(bridge.workspace_id(), None, "terminal:test", Role.ADMIN)
    request = ConnectRequest(
        name="new", kind="access_token", instance_url=org.url, access_token=Secret(org.access_token)
    )
    orgs.connect(bridge, actor, request)
    return Pair(bridge, actor, org, org)


def live(pair: Pair, sobject: str) -> list[dict[str, Any]]:
    return [row for row in pair.target.rows(sobject) if not row["IsDeleted"]]


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in members.items():
            pack.writestr(name.replace("__", "."), content)
    return out.getvalue()


def keep(
    pair: Pair, name: str, content: bytes, file_name: str = "delivery.zip"
) -> files.FileSetRow:
    row = files.keep(pair.bridge, pair.actor, name=name, uploads=[Upload(file_name, [content])])
    given = [spec.model_dump() for spec in files.tables(row)]
    for spec in given:
        if spec["object"] == "People":
            spec["links"] = [{"column": "Customer_Code", "object": "Account", "by": "Code"}]
    files.describe_tables(pair.bridge, pair.actor, row.id, given)
    operations.launch(pair.bridge, pair.actor, "read_files", given={"files": name})
    return files.file_set(pair.bridge, pair.actor, name)


def key_of_the_failed_lookup(pair: Pair, name: str) -> str | None:
    """As the page and the CSV of a failure show it: what the file says, beside the internal id."""
    (found,) = run_reads.failure_groups(pair.bridge, pair.actor, name)
    group = found.line
    (failed,) = run_reads.failures(pair.bridge, pair.actor, name, group=group)
    assert failed.source_id is not None
    read = run_files.source_values(
        pair.bridge, pair.actor, name, mapping=group.mapping_name, ids=[failed.source_id]
    )
    return read[failed.source_id]["Customer_Code"]


def test_a_zip_of_related_files_is_loaded_looked_up_and_undone(pair: Pair) -> None:
    pack = zipped(Account__csv=CUSTOMERS.encode("cp1252"), People__csv=PEOPLE.encode())
    row = keep(pair, "customers", pack)
    found = {
        one.table: one for one in importing.targets(pair.bridge, pair.actor, row, target="new")
    }
    assert (found["Account"].target, found["Account"].key_field) == ("Account", "Legacy_Id__c")
    people = TableTarget(
        table="People", target="Contact", key_column="Number", key_field="Legacy_Id__c"
    )
    plan_id = importing.plan_of(
        pair.bridge, pair.actor, row, target="new", name="import", tables=[found["Account"], people]
    )

    name = launch(pair.bridge, pair.actor, plan_id, LaunchRequest(), enqueue=False)
    pair.carry(name)
    document = pair.document(name)

    check_identity(document)
    assert line(document, "account")["inserted"] == 3
    assert (line(document, "people")["inserted"], line(document, "people")["blocked"]) == (2, 1)
    assert key_of_the_failed_lookup(pair, name) == "C-9"
    accounts = {one["Legacy_Id__c"]: one for one in live(pair, "Account")}
    contacts = {one["Legacy_Id__c"]: one for one in live(pair, "Contact")}
    assert accounts["C-1"]["Name"] == "Müller & Söhne"
    assert accounts["C-2"]["Name"] == "Zwei\nZeilen"
    assert accounts["C-3"]["Name"] == '=HYPERLINK("http://x")'
    assert contacts["P2"]["AccountId"] == accounts["C-2"]["Id"]
    assert contacts["P2"]["LastName"] == "\u05d0\u05d1"
    assert pair.summary(document)["proof"]["account"]["differences"]["lost"] == 0

    changed = zipped(
        Account__csv=CUSTOMERS.replace("Gasse", "Gasse 2").encode("cp1252"),
        People__csv=PEOPLE.encode(),
    )
    later = keep(pair, "customers 2", changed)
    importing.deliver(pair.bridge, pair.actor, later, plan="import")
    again = launch(pair.bridge, pair.actor, plan_id, LaunchRequest(), enqueue=False)
    pair.carry(again)
    figures = line(pair.document(again), "account")
    assert (figures["inserted"], figures["unchanged"] + figures["updated"]) == (0, 3)
    assert len(live(pair, "Account")) == 3

    with pytest.raises(ConflictError, match="reads from the files"):
        files.remove(pair.bridge, pair.actor, "customers 2")
    for run in (again, name):
        undone = undo(pair.bridge, pair.actor, run, enqueue=False)
        pair.carry(undone)
    assert live(pair, "Account") == []


def test_a_run_from_files_that_is_killed_goes_on_to_the_same_end(
    pair: Pair, settings: Settings
) -> None:
    """Killed twice with chunks on their way; every record arrives once, with its lookup."""
    customers = "Code;Name\r\n" + "".join(f"C-{n};Customer {n}\r\n" for n in range(40))
    people = "Number,LastName,Customer Code\n" + "".join(
        f"P{n},Person {n},C-{n % 40}\n" for n in range(60)
    )
    row = keep(pair, "many", zipped(Account__csv=customers.encode(), People__csv=people.encode()))
    found = {
        one.table: one for one in importing.targets(pair.bridge, pair.actor, row, target="new")
    }
    given = TableTarget(
        table="People", target="Contact", key_column="Number", key_field="Legacy_Id__c"
    )
    plan_id = importing.plan_of(
        pair.bridge, pair.actor, row, target="new", name="many", tables=[found["Account"], given]
    )
    pair.target.options(bulk_queue_delay_s=0.1)
    request = LaunchRequest(batch=7, api="bulk")
    name = launch(pair.bridge, pair.actor, plan_id, request, enqueue=False)
    codes = []
    for chunks in (2, 8):
        worker = start_worker(settings, pair.actor.workspace_id, pair.row(name).id)
        wait_for(lambda n=chunks, w=worker: settled(pair, name) >= n or not w.is_alive(), 120)
        worker.kill()
        worker.join()
        codes.append(worker.exitcode)
        pair.expire_lease(name)

    ended = pair.carry(name)

    document = pair.document(name)
    assert codes == [-signal.SIGKILL] * 2
    assert ended is RunState.SUCCEEDED
    check_identity(document)
    assert (line(document, "account")["inserted"], line(document, "people")["inserted"]) == (40, 60)
    accounts = {one["Legacy_Id__c"]: one for one in live(pair, "Account")}
    contacts = {one["Legacy_Id__c"]: one for one in live(pair, "Contact")}
    assert (len(live(pair, "Account")), len(accounts)) == (40, 40)
    assert (len(live(pair, "Contact")), len(contacts)) == (60, 60)
    for number in range(60):
        account = accounts[f"C-{number % 40}"]
        assert contacts[f"P{number}"]["AccountId"] == account["Id"]


def settled(pair: Pair, name: str) -> int:
    """Chunks of a run that are done."""
    with pair.bridge.session(pair.actor.workspace_id) as session:
        return runs.chunks_done(session, runs.run_named(session, name).id)
