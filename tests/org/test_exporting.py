"""Records as CSV: safe to open for people, exact for machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError, UserError
from core.operations.export_records import ExportParameters
from core.services import audit
from core.services.exporting import export, request
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
    people = b"".join(export(bridge, actor, ExportParameters(org="Legacy", sobject="Account")))
    machine = b"".join(
        export(bridge, actor, ExportParameters(org="Legacy", sobject="Account", for_people=False))
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
    asked = ExportParameters(org="Legacy", soql="SELECT Name FROM Account;", for_people=False)

    pieces = list(export(bridge, analyst(bridge), asked))

    assert b"".join(pieces) == b"Name\na\nb\nc\n"
    assert len(pieces) == 2


def test_an_export_without_rows_has_a_header(bridge: Orgbridge, legacy: ScriptedData) -> None:
    legacy.rows = {}
    asked = ExportParameters(org="Legacy", sobject="Account", fields=("Name",), for_people=False)

    assert b"".join(export(bridge, analyst(bridge), asked)) == b"Name\n"


def test_exports_are_in_the_audit_trail_and_not_for_viewers(
    bridge: Orgbridge, legacy: ScriptedData
) -> None:
    list(export(bridge, analyst(bridge), ExportParameters(org="Legacy", sobject="Account")))
    viewer = Actor(bridge.workspace_id(), None, "vic", Role.VIEWER)
    with pytest.raises(NotAllowedError):
        export(bridge, viewer, ExportParameters(org="Legacy", sobject="Account"))

    admin = Actor(bridge.workspace_id(), None, "adm", Role.ADMIN)
    found = audit.trail(
        bridge, admin, audit.TrailFilter(action="records.export"), page=1, page_rows=9
    )
    assert len(found.rows) == 1


@pytest.mark.parametrize(
    "given",
    [{}, {"sobject": " "}, {"sobject": "Account", "fields": ("Nope",)}],
)
def test_a_wrong_request_gets_a_sentence(
    bridge: Orgbridge, legacy: ScriptedData, given: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=r"Name an object|no field 'Nope'"):
        export(bridge, analyst(bridge), request(org="Legacy", **given))
