"""Records as CSV: safe to open for people, exact for machines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError, UserError
from core.services import audit
from core.services.exporting import ExportRequest, export
from tests.org.scripted_data import ScriptedData, analyst, described


@pytest.fixture
def legacy(bridge: Orgbridge) -> Iterator[ScriptedData]:
    org = ScriptedData("00D000000000001EAA")
    org.register(bridge, analyst(bridge), "Legacy")
    fields = [{"name": "Name", "type": "string"}, {"name": "Place__c", "type": "location"}]
    org.describes = {"Account": described("Account", *fields)}
    org.rows = {
        "Account": [{"Id": "1", "Name": '=HYPERLINK("x")'}, {"Id": "2", "Name": 'Zoë, "A"\nB'}]
    }
    yield org
    org.http.stop()


def test_people_get_guarded_cells_and_machines_exact_ones(
    bridge: Orgbridge, legacy: ScriptedData
) -> None:
    actor = analyst(bridge)
    people = b"".join(export(bridge, actor, ExportRequest(org="Legacy", sobject="Account")))
    machine = b"".join(
        export(bridge, actor, ExportRequest(org="Legacy", sobject="Account", for_people=False))
    )

    assert people.startswith("\ufeff".encode() + b"Id,Name\r\n")
    assert b"\"'=HYPERLINK" in people
    assert machine == 'Id,Name\n1,"=HYPERLINK(""x"")"\n2,"Zoë, ""A""\nB"\n'.encode()


def test_pages_share_one_header(
    bridge: Orgbridge, legacy: ScriptedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = "/services/data/v67.0/query/01g"
    page = {"totalSize": 3, "done": False, "nextRecordsUrl": more, "records": [{"Name": "a"}]}
    last = {"totalSize": 3, "done": True, "records": [{"Name": "b"}, {"Name": "c"}]}
    from tests.org.scripted_org import Reply

    legacy.http.on("GET", r"/query\?q=SELECT Name", Reply(body=page))
    legacy.http.on("GET", "/query/01g", Reply(body=last))
    request = ExportRequest(org="Legacy", soql="SELECT Name FROM Account;", for_people=False)

    pieces = list(export(bridge, analyst(bridge), request))

    assert b"".join(pieces) == b"Name\na\nb\nc\n"
    assert len(pieces) == 2


def test_an_export_without_rows_has_a_header(bridge: Orgbridge, legacy: ScriptedData) -> None:
    legacy.rows = {}
    request = ExportRequest(org="Legacy", sobject="Account", fields=("Name",), for_people=False)

    assert b"".join(export(bridge, analyst(bridge), request)) == b"Name\n"


def test_exports_are_in_the_audit_trail_and_not_for_viewers(
    bridge: Orgbridge, legacy: ScriptedData
) -> None:
    list(export(bridge, analyst(bridge), ExportRequest(org="Legacy", sobject="Account")))
    viewer = Actor(bridge.workspace_id(), None, "vic", Role.VIEWER)
    with pytest.raises(NotAllowedError):
        export(bridge, viewer, ExportRequest(org="Legacy", sobject="Account"))

    admin = Actor(bridge.workspace_id(), None, "adm", Role.ADMIN)
    found = audit.trail(
        bridge, admin, audit.TrailFilter(action="records.export"), page=1, page_rows=9
    )
    assert len(found.rows) == 1


@pytest.mark.parametrize(
    "request_",
    [ExportRequest(org="Legacy"), ExportRequest(org="Legacy", sobject="Account", fields=("Nope",))],
)
def test_a_wrong_request_gets_a_sentence(
    bridge: Orgbridge, legacy: ScriptedData, request_: ExportRequest
) -> None:
    with pytest.raises(UserError):
        export(bridge, analyst(bridge), request_)
