"""One declaration, four doors: every operation by form, terminal, REST and schedule alike."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import typer
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from core.api import process, rest
from core.bootstrap import Orgbridge
from core.db import ledger_pairs, operation_logs, schedules
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.domain.states import RunState
from core.errors import NotAllowedError, NotFoundError
from core.operations import registry
from core.operations.carrying import carry
from core.services import (
    api_keys,
    approvals,
    files,
    operations,
    orgs,
    people,
    planned_runs,
    plans,
    running,
)
from core.services import schedules as schedule_service
from core.services.files import Upload
from core.services.schedules import ScheduleRequest
from terminal import launches, session
from tests.org.scripted_data import ScriptedData, described

#: what each operation is launched with: as words, the way people write them
WORDS: dict[str, dict[str, str]] = {
    "record_counts": {"plan": "p", "baseline": "all"},
    "field_differences": {"source": "Legacy", "target": "New", "objects": "Contact"},
    "duplicates": {"org": "Legacy", "object": "Contact", "fields": "LastName", "method": "exact"},
    "extra_child_records": {"plan": "p"},
    "export_extra_children": {"plan": "p", "child": "contact", "lookup": "AccountId"},
    "tag_extra_children": {
        "plan": "p",
        "child": "contact",
        "lookup": "AccountId",
        "at_most": "1",
        "field": "LastName",
        "value": "extra",
    },
    "delete_extra_children": {
        "plan": "p",
        "child": "contact",
        "lookup": "AccountId",
        "at_most": "1",
        "confirm": "New",
        "reason": "made twice by hand",
    },
    "read_files": {"files": "{door}"},
    "export_records": {"org": "Legacy", "sobject": "Contact"},
    "export_logs": {"kinds": "record_count,audit", "days": "30"},
}
PARENT = "001000000000001AAA"
DUE = dt.datetime(2026, 11, 21, 2, 30, tzinfo=dt.UTC)
DOORS = ("form", "terminal", "rest", "schedule")


pytestmark = pytest.mark.usefixtures("components_looked_up_once")


@pytest.fixture
def admin(bridge: Orgbridge) -> Actor:
    code = people.issue_setup_code(bridge)
    assert code is not None
    signed = people.create_first_admin(
        bridge, code=code, name="Mira", email="m@a.example", password="a long sentence", origin="t"
    )
    visitor = people.who(bridge, signed.token)
    assert visitor is not None
    return visitor.actor


@pytest.fixture
def workplace(bridge: Orgbridge, admin: Actor) -> Iterator[None]:
    """Two scripted orgs, a plan between them, a contact that only one has, files for each door."""
    legacy, new = ScriptedData("00D000000000001EAA"), ScriptedData("00D000000000002EAA")
    for org, name in ((legacy, "Legacy"), (new, "New")):
        org.register(bridge, admin, name)
        field = {"name": "LastName", "type": "string", "length": 80}
        parent = {"name": "AccountId", "type": "reference", "referenceTo": ["Account"]}
        org.describes = {
            "Account": described("Account"),
            "Contact": described("Contact", field, parent),
        }
        child = {"Id": "003000000000001AAA", "LastName": "Ng", "AccountId": PARENT}
        org.rows = {"Account": [{"Id": PARENT}], "Contact": [child]}
        org.where["AccountId != null"] = [
            {"Id": child["Id"], "AccountId": PARENT, "CreatedDate": "2026-11-21T08:00:00.000+0000"}
        ]
    plan = "orgbridge: 1\nname: p\nsource: Legacy\ntarget: New\nobjects:\n"
    plans.create(bridge, admin, parse_plan(plan + "  - source: Account\n  - source: Contact\n"))
    migrated(bridge, admin, f"{legacy.organization_id}:{new.organization_id}")
    for door in DOORS:
        upload = Upload("Contacts.csv", [b"Code,Name\n1,Ng\n"])
        files.keep(bridge, admin, name=door, uploads=[upload])
    process.hold(bridge)
    yield
    process.hold(None)
    legacy.http.stop()
    new.http.stop()


def migrated(bridge: Orgbridge, admin: Actor, org_pair: str) -> None:
    """The account came over by a run; the contact under it did not."""
    links = {"mapping": ["account"], "source_id": [PARENT], "target_id": [PARENT]}
    with bridge.session(admin.workspace_id) as held:
        ledger_pairs.bring(held, org_pair, {**links, "origin": ["inserted"]})


def words_for(kind: str, door: str) -> dict[str, str]:
    return {name: word.replace("{door}", door) for name, word in WORDS[kind].items()}


def by_form(bridge: Orgbridge, admin: Actor, kind: str) -> None:
    """The drawer that pages open, filled in and sent."""

    script = f"from pages.parts import operation_form\noperation_form.drawer({kind!r}, {{}})\n"
    app = AppTest.from_string(script, default_timeout=90).run()
    for name, word in words_for(kind, "form").items():
        boxes = [*app.text_input, *app.selectbox]
        box = next(one for one in boxes if one.key == f"op.{kind}.{name}")
        box.set_value(word)
    next(one for one in app.button if one.label == "Launch").click().run()
    assert not app.exception
    assert not app.error, [one.value for one in app.error]


def by_terminal(bridge: Orgbridge, admin: Actor, kind: str) -> None:
    """The command, with the product at hand in place of a second one."""
    sets = [f"--set={name}={word}" for name, word in words_for(kind, "terminal").items()]
    typer.main.get_command(launches.app).main(
        ["launch", kind, *sets, "--json"], standalone_mode=False
    )


def by_rest(bridge: Orgbridge, admin: Actor, kind: str) -> None:
    made = api_keys.make(bridge, admin, name=f"ci {kind}", role=Role.ANALYST)
    client = TestClient(Starlette(routes=rest.routes()), base_url="http://127.0.0.1:8501")
    answer = client.post(
        f"/api/v1/operations/{kind}",
        json=operations.parsed(kind, words_for(kind, "rest")),
        headers={"authorization": f"Bearer {made.text.reveal()}"},
    )
    assert answer.status_code == 202, answer.text


def check_file_by_rest(
    bridge: Orgbridge, admin: Actor, kind: str, *, log_id: UUID, content: bytes
) -> None:
    """The file as it was written, for those with a key; an entry without one is a sentence."""
    made = api_keys.make(bridge, admin, name=f"file {kind}", role=Role.ANALYST)
    key = {"authorization": f"Bearer {made.text.reveal()}"}
    client = TestClient(Starlette(routes=rest.routes()), base_url="http://127.0.0.1:8501")
    place = f"/api/v1/operations/{kind}/{log_id}/file"

    fetched = client.get(place, headers=key)
    assert (fetched.status_code, fetched.content) == (200, content)
    assert fetched.headers["content-disposition"].startswith("attachment;")
    assert client.get(place).status_code == 401
    gone = client.get(f"/api/v1/operations/{kind}/{uuid4()}/file", headers=key)
    assert gone.status_code == 404
    assert content not in gone.content
    for other in registry.kinds():
        if other != kind:
            wrong = client.get(f"/api/v1/operations/{other}/{log_id}/file", headers=key)
            assert (wrong.status_code, content in wrong.content) == (404, False), other


def by_schedule(bridge: Orgbridge, admin: Actor, kind: str) -> None:
    """A schedule's entry, fired twice for one due time as two workers might."""
    options = operations.parsed(kind, words_for(kind, "schedule"))
    request = ScheduleRequest(f"s {kind}", "30 2 * * *", operation=kind, options=options)
    schedule_id = schedule_service.create(bridge, admin, request)
    with bridge.session(admin.workspace_id) as held:
        held.execute(
            text("INSERT INTO schedule_firing (schedule_id, due_at) VALUES (:id, :due)"),
            {"id": schedule_id, "due": DUE},
        )
    for _ in range(2):
        schedule_service.launch_due(bridge, admin.workspace_id, schedule_id, due_at=DUE)
    with bridge.session(admin.workspace_id) as held:
        fired = schedules.firing(held, schedule_id, DUE)
    assert fired is not None
    assert fired.outcome == schedule_service.LAUNCHED


OPENED: dict[str, Callable[[Orgbridge, Actor, str], None]] = {
    "form": by_form,
    "terminal": by_terminal,
    "rest": by_rest,
    "schedule": by_schedule,
}


def test_every_operation_has_words_for_this_test() -> None:
    assert set(WORDS) == set(registry.kinds())


@pytest.mark.parametrize("kind", registry.kinds())
def test_an_operation_goes_through_all_four_doors(
    bridge: Orgbridge,
    admin: Actor,
    workplace: None,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each door makes one log entry with the same parameters, and each ends well."""
    monkeypatch.setattr(session, "opened", lambda: _Held(bridge, admin))
    monkeypatch.setattr("pages.parts.visit.actor", lambda: admin)
    for door in OPENED.values():
        door(bridge, admin, kind)

    operation = registry.operation(kind)
    with bridge.session(admin.workspace_id) as held:
        entries = operation_logs.entries(held, operation.log_table)
    assert len(entries) == len(OPENED)
    for entry in entries:
        if entry.status == "pending":
            carry(bridge, admin.workspace_id, entry.id, kind=kind, start=planned_runs.start)
    ended = [operations.shown(bridge, admin, kind, log_id=entry.id) for entry in entries]
    assert {entry.status for entry in ended} == {"succeeded"}
    for other in registry.kinds():
        if other != kind:
            with pytest.raises(NotFoundError):
                operations.shown(bridge, admin, other, log_id=ended[0].id)
    if operation.writes:
        launched = {entry.result["run"] for entry in ended}
        assert launched == {row.name for row in running.listed(bridge, admin)}
        assert len(launched) == len(OPENED)
    if operation.keeps_file:
        for entry in ended:
            row, pieces = operations.written(bridge, admin, entry.id)
            content = b"".join(pieces)
            assert len(content) == row.bytes > 0
        check_file_by_rest(bridge, admin, kind, log_id=entry.id, content=content)
    plain = [_without_door(entry.parameters) for entry in ended]
    assert all(one == plain[0] for one in plain)
    said = json.loads(capsys.readouterr().out)
    assert UUID(said["id"]) in {entry.id for entry in ended}
    assert {entry.requested_by for entry in ended} >= {f"schedule:s {kind}"}


@pytest.mark.parametrize("asker", ["person", "key"])
def test_nobody_approves_the_run_of_their_own_operation(
    bridge: Orgbridge, admin: Actor, workplace: None, asker: str
) -> None:
    """A protected target waits for another person, whether somebody asked or their key did."""
    kind = "delete_extra_children"
    target = next(card for card in orgs.orgs(bridge, admin) if card.name == "New")
    orgs.set_protected(bridge, admin, target.id, on=True)
    if asker == "key":
        by_rest(bridge, admin, kind)
    else:
        given = operations.parsed(kind, words_for(kind, "form"))
        operations.enqueue(bridge, admin, kind, given=given)
    with bridge.session(admin.workspace_id) as held:
        (entry,) = operation_logs.entries(held, registry.operation(kind).log_table)
    carry(bridge, admin.workspace_id, entry.id, kind=kind, start=planned_runs.start)
    (run,) = running.listed(bridge, admin)
    assert run.status == RunState.WAITING_APPROVAL
    (asked,) = approvals.approvals(bridge, admin)

    with pytest.raises(NotAllowedError, match="You asked for this approval yourself"):
        approvals.approve(bridge, admin, asked.id)
    (run,) = running.listed(bridge, admin)
    assert run.status == RunState.WAITING_APPROVAL

    invited = people.invite(bridge, admin, name="Bo", email="bo@a.example", role=Role.APPROVER)
    signed = people.accept_invitation(
        bridge, token=invited.token, name="Bo", password="a long sentence", origin="t"
    )
    other = people.who(bridge, signed.token)
    assert other is not None
    approvals.approve(bridge, other.actor, asked.id)
    (run,) = running.listed(bridge, admin)
    assert run.status == RunState.PENDING


@pytest.mark.parametrize(
    ("kind", "words", "sentence"),
    [
        ("record_counts", {"nope": "1"}, "has no parameter 'nope'"),
        ("duplicates", {"org": "L", "object": "C", "accept_from": "often"}, "is no number"),
        ("duplicates", {"org": "L", "object": "C", "accept_from": "7"}, "accept_from"),
        ("field_differences", {"source": "L", "target": "N", "usage": "maybe"}, "usage"),
        ("extra_child_records", {"parents": "a"}, "plan"),
    ],
)
def test_a_wrong_parameter_gets_one_sentence_at_every_door(
    bridge: Orgbridge, admin: Actor, kind: str, words: dict[str, str], sentence: str
) -> None:
    from core.errors import UserError

    with pytest.raises(UserError, match=sentence):
        operations.launch(bridge, admin, kind, given=operations.parsed(kind, words))
    with pytest.raises(UserError, match=sentence):
        options: dict[str, Any] = operations.parsed(kind, words)
        schedule_service.create(
            bridge, admin, ScheduleRequest("s", "30 2 * * *", operation=kind, options=options)
        )


class _Held:
    """What a command opens: the product of this test, on behalf of its admin."""

    def __init__(self, bridge: Orgbridge, actor: Actor) -> None:
        self._both = (bridge, actor)

    def __enter__(self) -> tuple[Orgbridge, Actor]:
        return self._both

    def __exit__(self, *_: object) -> None:
        return None


def _without_door(parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value not in DOORS}
