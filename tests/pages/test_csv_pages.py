"""The CSV page: files looked at, read, made a plan of; records written to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from core.api import downloads
from core.api.cookies import SESSION_COOKIE
from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.operations.carrying import carry
from core.services import files, operations, plans
from core.services.files import Upload
from tests.org.scripted_data import ScriptedData, described

Opened = Callable[..., AppTest]
FILE = "migrate/csv_files.py"
CONTENT = "Legacy Id;LastName;Since\n1;=cmd|calc;31.12.2025\n2;**Wu** [x](http://e);bad\n"


@pytest.fixture
def org(bridge: Orgbridge, actor: Actor) -> Iterator[ScriptedData]:
    made = ScriptedData("00D000000000002EAA")
    made.register(bridge, actor, "New")
    key = {"name": "Legacy_Id__c", "type": "string", "length": 18, "externalId": True}
    name = {"name": "LastName", "type": "string", "length": 80}
    made.describes = {"Contact": described("Contact", name, key | {"unique": True})}
    made.rows = {"Contact": [{"LastName": "=1+1", "Legacy_Id__c": "7"}]}
    yield made
    made.http.stop()


def keep(bridge: Orgbridge, actor: Actor) -> files.FileSetRow:
    upload = Upload("Contacts.csv", [CONTENT.encode()])
    return files.keep(bridge, actor, name="people", uploads=[upload])


def test_the_empty_page_says_what_files_are_for(opened: Opened) -> None:
    page = opened(FILE)

    assert not page.exception and not page.error
    assert any("No files yet" in box.value for box in page.markdown)


def test_files_are_read_in_the_background_and_become_a_plan(
    opened: Opened, bridge: Orgbridge, actor: Actor, org: ScriptedData
) -> None:
    row = keep(bridge, actor)
    page = opened(FILE, role=Role.ANALYST, files="people")
    assert not page.exception and not page.error
    assert page.text_input(key=f"csv.{row.id}.0.object").value == "Contacts"
    page.multiselect(key=f"csv.{row.id}.0.key").select("Legacy_Id")
    page.button(key="csv.read").click().run()
    assert not page.exception and not page.error
    (entry,) = operations.entries(bridge, actor, "read_files")
    carry(bridge, actor.workspace_id, entry.id, kind="read_files")

    page = page.run()
    assert not page.exception and not page.error
    assert page.dataframe[0].value["rows"].to_list() == [2]
    made = next(one for one in page.button if one.label == "Make the plan")
    made.click().run()

    assert not page.exception and not page.error
    plan = plans.plan(bridge, actor, name="people").plan
    assert [(one.source, one.target) for one in plan.objects] == [("Contacts", "Contact")]
    assert plan.objects[0].key.target == ("Legacy_Id__c",)


def test_a_wrong_description_gets_a_sentence(
    opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    row = keep(bridge, actor)
    page = opened(FILE, role=Role.ANALYST, files="people")
    page.text_input(key=f"csv.{row.id}.0.object").set_value("<b>; DROP").run()
    page.button(key="csv.read").click().run()

    assert not page.exception
    assert "is not an API name" in page.error[0].proto.title + page.error[0].value


def test_a_viewer_reads_and_changes_nothing(
    opened: Opened, bridge: Orgbridge, actor: Actor
) -> None:
    keep(bridge, actor)
    page = opened(FILE, role=Role.VIEWER, files="people")

    assert not page.exception and not page.error
    assert not {"csv.read", "csv.delete.open"} & {one.key for one in page.button}


def test_records_are_written_by_a_link_that_asks_for_a_session(
    opened: Opened, bridge: Orgbridge, actor: Actor, org: ScriptedData, token_of: Callable[..., str]
) -> None:
    client = TestClient(Starlette(routes=downloads.routes()), base_url="http://127.0.0.1")
    asked = "/download/records?org=New&soql=SELECT+LastName+FROM+Contact"
    assert client.get(asked).status_code == 403

    client.cookies.set(SESSION_COOKIE, token_of(Role.ANALYST))
    assert client.get(asked).content == b"LastName\n=1+1\n"
    people = client.get(asked + "&people=1")
    assert people.content == b"\xef\xbb\xbfLastName\r\n'=1+1\r\n"
    assert people.headers["content-disposition"].startswith('attachment; filename="records-')
    nothing = client.get("/download/records?org=Nowhere&sobject=X")
    assert (nothing.status_code, "There is no org" in nothing.text) == (422, True)
    hostile = client.get(
        "/download/records",
        params={"org": "New", "sobject": "Contact", "where": "Id != null LIMIT 1"},
    )
    assert (hostile.status_code, "clause behind it" in hostile.text) == (422, True)
    deleting = client.get("/download/records?org=New&soql=DELETE+FROM+Contact")
    assert (deleting.status_code, "begins with SELECT" in deleting.text) == (422, True)
    assert client.get("/download/logs?since=yesterday").status_code == 422
    assert client.get("/download/logs").content.startswith(b"\xef\xbb\xbfkind,")
    assert client.get("/download/audit").content.startswith(b"\xef\xbb\xbfat_utc,")


def test_what_is_no_query_gets_a_sentence_and_no_button(opened: Opened, org: ScriptedData) -> None:
    page = opened(FILE, role=Role.ANALYST, half="export")
    page.segmented_control(key="csv.export.what").set_value("A query").run()
    page.text_area(key="csv.export.soql").set_value("DELETE FROM Contact").run()

    assert not page.exception
    assert "begins with SELECT" in page.error[0].proto.title
    assert "csv.export.more" not in {one.key for one in page.button}

    page.text_area(key="csv.export.soql").set_value("SELECT LastName FROM Contact").run()
    assert not page.exception and not page.error
    assert any("1 rows · SELECT LastName" in box.value for box in page.caption)
