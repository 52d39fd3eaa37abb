"""Notices: the right people, once, with the transaction of what happened, delivered or told why."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db import happenings
from core.db.models import (
    DataMigration,
    NotificationLog,
    NotificationRule,
    RunStep,
    ScheduleFiring,
)
from core.domain.roles import Actor, Role
from core.errors import ConflictError, NotFoundError, RefusedError, TransientError, UserError
from core.notices import Notice, NoticeEvent, deliver, tell, watching
from core.notices.senders import AppriseSender, NullSender
from core.secret import Secret
from core.services import notices
from core.services.notices import RuleRequest
from tests.db.planting import plant, workspace

#: Apprise 2.2 imports imghdr where Python still has it
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

HOOK = Secret("json://user:planted-password@127.0.0.1:9/hook")


@dataclass
class House:
    """The product on a clock that a test turns, and its admin."""

    bridge: Orgbridge
    admin: Actor
    times: list[dt.datetime]

    def on(self, **by: float) -> None:
        self.times.append(self.times[-1] + dt.timedelta(**by))

    def tell(self, event: NoticeEvent, subject: str = "run-1", **more: Any) -> int:
        notice = Notice(event=event, subject=subject, title=f"{event}", body="what", **more)
        with self.bridge.session(self.admin.workspace_id) as session:
            return tell(session, notice)

    def log(self) -> list[tuple[str, str, int]]:
        found = notices.log(self.bridge, self.admin).rows
        return [(each.title, each.status, each.attempts) for each in found]


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    # ahead of the database's own clock, by which messages become due
    times = [dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)]
    # the services of these tests listen on this machine
    here = replace(settings, private_hosts=("127.0.0.1",))
    with bootstrap.build(here, clock=lambda: times[-1]) as bridge:
        admin = Actor(bridge.workspace_id(), None, "ada", Role.ADMIN)
        yield House(bridge, admin, times)


def rule(house: House, name: str, *events: NoticeEvent, **more: Any) -> Any:
    given = {"channel": "webhook", "address": HOOK} | more
    request = RuleRequest(name=name, events=tuple(str(each) for each in events), **given)
    return notices.add_rule(house.bridge, house.admin, request)


@dataclass
class Flaky:
    """Fails so many times, then takes the message."""

    failures: int
    error: type[Exception] = TransientError
    sent: list[str] = field(default_factory=list)

    def send(self, address: Secret, *, title: str, body: str) -> None:
        if self.failures:
            self.failures -= 1
            raise self.error("The service did not take the message.")
        self.sent.append(title)


def test_rules_choose_by_event_plan_org_and_threshold(house: House) -> None:
    """A rule for the wider event hears of the narrower one; every threshold must be reached."""
    with house.bridge.owner_session() as session:
        rows = plant(session, workspace(session, "A"))
    admin = Actor(rows["workspace"]["id"], None, "ada", Role.ADMIN)
    there = House(house.bridge, admin, house.times)
    with house.bridge.session(admin.workspace_id) as session:
        session.execute(sa.text("DELETE FROM notification_rule"))
    plan, org = rows["migration_plan"]["id"], rows["registered_org"]["id"]
    rule(there, "any end", NoticeEvent.RUN_FINISHED)
    rule(there, "failed only", NoticeEvent.RUN_FAILED)
    rule(there, "that plan", NoticeEvent.RUN_PARTIAL, plan_id=plan)
    rule(there, "that org", NoticeEvent.RUN_PARTIAL, org_id=org)
    rule(there, "two percent", NoticeEvent.RUN_PARTIAL, thresholds={"failed_percent": 2.0})
    rule(there, "switched off", NoticeEvent.RUN_PARTIAL, enabled=False)
    sender = NullSender()

    assert there.tell(NoticeEvent.RUN_FINISHED, "a") == 1
    assert there.tell(NoticeEvent.RUN_FAILED, "b") == 2
    assert there.tell(NoticeEvent.RUN_PARTIAL, "c", figures={"failed_percent": 1.9}) == 1
    told = there.tell(
        NoticeEvent.RUN_PARTIAL, "d", plan_id=plan, org_ids=(org,), figures={"failed_percent": 2.0}
    )

    assert told == 4
    assert deliver(house.bridge, sender=sender) == 8
    assert {each.address for each in sender.sent} == {HOOK}


def test_runs_and_late_schedules_are_told_whichever_way_they_ended(house: House) -> None:
    """Found by looking, so that no way to end can forget it; old ends are not told again."""
    with house.bridge.owner_session() as session:
        workspace_id = workspace(session, "A")
        rows = plant(session, workspace_id)
        session.execute(sa.delete(NotificationRule))
    there = House(house.bridge, Actor(workspace_id, None, "ada", Role.ADMIN), house.times)
    rule(there, "ends", NoticeEvent.RUN_FINISHED, NoticeEvent.SCHEDULE_LATE)
    rule(there, "half", NoticeEvent.RUN_PARTIAL, thresholds={"failed_percent": 50.0})
    rule(there, "waits", NoticeEvent.DECISION_WAITING)
    now = house.times[-1]
    with house.bridge.owner_session() as session:
        made = now - dt.timedelta(hours=1)
        session.execute(sa.update(NotificationRule).values(created_at=made))
        session.execute(sa.update(RunStep).values(read_rows=1_000, failed=300, blocked=200))
        session.execute(sa.update(ScheduleFiring).values(outcome="late", fired_at=now))
        for name, ago in (("old", 31), ("failed", 1)):
            session.add(
                DataMigration(
                    workspace_id=workspace_id,
                    data_schedule_id=name,
                    requested_by="x",
                    status="Failed",
                    finished_at=now - dt.timedelta(minutes=ago),
                )
            )

    def turn(status: str, finished_at: dt.datetime | None) -> None:
        with house.bridge.owner_session() as session:
            session.execute(
                sa.update(DataMigration)
                .where(DataMigration.id == rows["data_migration"]["id"])
                .values(status=status, finished_at=finished_at, wait_reason="Canary done.")
            )

    sender = NullSender()
    name = rows["data_migration"]["data_schedule_id"]
    for status, finished_at in (("Waiting for decision", None), ("Partial", now), ("Undone", now)):
        turn(status, finished_at)
        for _ in range(2):
            deliver(house.bridge, sender=sender)

    assert sorted(each.title for each in sender.sent) == sorted(
        [
            "Failed: failed",
            f"Late: {rows['schedule']['name']}",
            f"Waiting for decision: {name}",
            f"Partial: {name}",
            f"Partial: {name}",
            f"Undone: {name}",
        ]
    )
    partial = next(each.body for each in sender.sent if each.title.startswith("Partial"))
    assert "1,000 rows read, 500 did not arrive (50.0 %)" in partial


def test_a_run_is_told_once_by_its_worker_and_whoever_looks_later(house: House) -> None:
    """And not to a rule that was made after its end."""
    with house.bridge.owner_session() as session:
        workspace_id = workspace(session, "A")
        run_id = plant(session, workspace_id)["data_migration"]["id"]
        session.execute(sa.delete(NotificationRule))
    there = House(house.bridge, Actor(workspace_id, None, "ada", Role.ADMIN), house.times)
    rule(there, "ends", NoticeEvent.RUN_FINISHED)
    ended = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)
    with house.bridge.session(workspace_id) as session:
        ran = sa.update(DataMigration).where(DataMigration.id == run_id)
        session.execute(ran.values(status="Partial", finished_at=ended))
        happened = happenings.run_now(session, run_id)
        assert happened is not None
        assert tell(session, watching.run_notice(happened)) == 1  # as the worker does that leaves
    with house.bridge.owner_session() as session:
        late = sa.update(DataMigration).where(DataMigration.id == run_id)
        assert watching.look(house.bridge) == 0
        session.execute(late.values(finished_at=ended - dt.timedelta(minutes=5)))

    assert watching.look(house.bridge) == 0
    assert sum(title.startswith("Partial") for title, _, _ in there.log()) == 1


def test_one_happening_is_told_once(house: House) -> None:
    """However often, and by however many workers, it is noticed and delivered."""
    rule(house, "all", NoticeEvent.RUN_FAILED)
    assert [house.tell(NoticeEvent.RUN_FAILED) for _ in range(3)] == [1, 0, 0]
    sender = NullSender()

    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda _: deliver(house.bridge, sender=sender), range(4)))

    assert (sum(sent), len(sender.sent)) == (1, 1)
    assert house.log() == [("run_failed", "sent", 1)]


def test_message_falls_with_its_transaction(house: House) -> None:
    """What was rolled back did not happen, so nobody hears of it."""
    rule(house, "all", NoticeEvent.RUN_FAILED)
    with (
        pytest.raises(ConflictError),
        house.bridge.session(house.admin.workspace_id) as session,
    ):
        tell(session, Notice(event=NoticeEvent.RUN_FAILED, subject="x", title="t", body="b"))
        raise ConflictError("on purpose")

    assert house.log() == []


def test_delivery_is_tried_again_then_given_up(house: House) -> None:
    """Later each time; after the last attempt the log says failed and why."""
    rule(house, "all", NoticeEvent.RUN_FAILED)
    house.tell(NoticeEvent.RUN_FAILED, "recovers")
    flaky = Flaky(2)
    assert deliver(house.bridge, sender=flaky) == 0
    assert deliver(house.bridge, sender=flaky) == 0
    assert house.log() == [("run_failed", "pending", 1)]
    for minutes in (1, 2):
        house.on(minutes=minutes, seconds=1)
        deliver(house.bridge, sender=flaky)
    assert house.log() == [("run_failed", "sent", 3)]

    house.tell(NoticeEvent.RUN_FAILED, "never")
    dead = Flaky(99)
    for _ in range(9):
        house.on(hours=1)
        deliver(house.bridge, sender=dead)

    found = notices.log(house.bridge, house.admin).rows[0]
    assert (found.status, found.attempts) == ("failed", 6)
    assert found.error_message == "The service did not take the message."


def test_unusable_address_is_not_tried_again(house: House) -> None:
    rule(house, "all", NoticeEvent.RUN_FAILED)
    house.tell(NoticeEvent.RUN_FAILED)

    deliver(house.bridge, sender=Flaky(1, error=UserError))

    assert house.log() == [("run_failed", "failed", 1)]


def test_process_that_dies_in_a_delivery_loses_nothing(house: House) -> None:
    """The message is free again after the hold."""
    rule(house, "all", NoticeEvent.RUN_FAILED)
    house.tell(NoticeEvent.RUN_FAILED)
    with pytest.raises(KeyboardInterrupt):
        deliver(house.bridge, sender=Flaky(1, error=KeyboardInterrupt))  # type: ignore[arg-type]
    sender = NullSender()
    assert deliver(house.bridge, sender=sender) == 0

    house.on(minutes=3)

    assert deliver(house.bridge, sender=sender) == 1


def test_apprise_posts_to_a_real_service(house: House, service: Service) -> None:
    """Through the real sender to a web server on this machine; a refusal is told on the page."""
    address = Secret(f"json://user:planted-password@127.0.0.1:{service.port}/hook")
    rule_id = rule(house, "hook", NoticeEvent.RUN_FAILED, address=address)

    notices.send_test(house.bridge, house.admin, rule_id)
    service.status = 500
    with pytest.raises(RefusedError, match="not delivered: The service refused the message: 500"):
        notices.send_test(house.bridge, house.admin, rule_id)

    assert [each["title"] for each in service.bodies] == ["Orgbridge test"] * 2
    assert "ada sent this at" in service.bodies[0]["message"]


@pytest.mark.parametrize(
    "address",
    [
        "json://127.0.0.1/x", "json://localhost/x", "json://10.0.0.5:8080/x", "json://[::1]/x",
        "json://169.254.169.254/latest", "jsons://192.168.1.1/x", "json://[::ffff:10.0.0.1]/x",
        "form://metadata.google.internal/x", "xml://0.0.0.0/x", "json://[64:ff9b::7f00:1]/x",
    ],
)  # fmt: skip
def test_a_rule_into_the_private_network_is_refused(
    house: House, settings: Settings, address: str
) -> None:
    with (
        bootstrap.build(settings) as strict,
        pytest.raises(UserError, match="leads into the private network") as caught,
    ):
        notices.add_rule(
            strict,
            house.admin,
            RuleRequest(
                name="x", events=("run_failed",), channel="webhook", address=Secret(address)
            ),
        )

    assert "ORGBRIDGE_PRIVATE_HOSTS" in caught.value.next_step


def test_a_public_name_that_leads_inside_gets_no_byte(
    house: House, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a hostile name server would answer, after the rule was saved."""
    known = socket.getaddrinfo

    def answer(host: Any, *rest: Any, **more: Any) -> Any:
        return known("127.0.0.1" if host == "hook.example.com" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    sender = AppriseSender()

    with pytest.raises(UserError, match=r"private network \(127.0.0.1\)"):
        address = Secret(f"json://hook.example.com:{service.port}/hook")
        sender.send(address, title="t", body="b")
    AppriseSender(("hook.example.com",)).send(address, title="allowed", body="b")

    assert [each["title"] for each in service.bodies] == ["allowed"]
    with socket.create_connection(("127.0.0.1", service.port)):
        pass  # what others of this thread do is not looked at


def test_a_redirect_leads_nowhere(house: House, service: Service) -> None:
    """A service cannot send the message on, not even to where it might go by itself."""
    service.status = 307
    service.location = f"http://127.0.0.1:{service.port}/inside"
    address = Secret(f"json://127.0.0.1:{service.port}/hook")

    with pytest.raises(TransientError):
        AppriseSender(("127.0.0.1",)).send(address, title="t", body="b")

    assert len(service.bodies) == 1


def test_address_is_encrypted_and_shown_to_nobody(house: House, caplog: Any) -> None:
    """Not in the table, the audit trail, the rules, the log or an error."""
    rule_id = rule(house, "hook", NoticeEvent.RUN_FAILED)
    request = RuleRequest(name="hook", events=("run_failed",), channel="webhook", enabled=False)
    notices.change_rule(house.bridge, house.admin, rule_id, request=request)
    house.tell(NoticeEvent.RUN_FAILED)
    with pytest.raises(UserError) as caught:
        rule(house, "bad", NoticeEvent.RUN_FAILED, channel="email")

    with house.bridge.owner_session() as session:
        dump = "".join(
            str(session.execute(sa.text(f"SELECT t::text FROM {table} t")).all())
            for table in ("notification_rule", "notification_log", "audit_log")
        )
        stored = session.scalar(sa.text("SELECT address FROM notification_rule"))
    shown = str(notices.rules(house.bridge, house.admin)) + str(caught.value) + caplog.text
    assert "planted-password" not in dump + shown
    assert house.bridge.vault.decrypt(str(stored)) == HOOK.reveal()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": " "}, "has no name"),
        ({"events": ()}, "Choose what"),
        ({"events": ("run_eaten",)}, "run_eaten"),
        ({"channel": "pigeon"}, "no channel"),
        ({"address": Secret("syslog://")}, "not an address"),
        ({"address": Secret("file:///etc/passwd")}, "not an address"),
        ({"thresholds": {"failed_percent": 101.0}}, "cannot be used"),
        ({"org_id": uuid7()}, "no such org"),
    ],
)
def test_unusable_rules_are_refused(house: House, change: dict[str, Any], says: str) -> None:
    given = {"name": "x", "events": ("run_failed",), "channel": "webhook", "address": HOOK}

    with pytest.raises((UserError, NotFoundError), match=says):
        notices.add_rule(house.bridge, house.admin, RuleRequest(**(given | change)))

    assert notices.rules(house.bridge, house.admin) == ()


def test_removed_rule_keeps_what_it_delivered(house: House) -> None:
    rule_id = rule(house, "all", NoticeEvent.RUN_FAILED)
    with pytest.raises(ConflictError):
        rule(house, "all", NoticeEvent.RUN_FAILED)
    house.tell(NoticeEvent.RUN_FAILED)
    deliver(house.bridge, sender=NullSender())

    notices.remove_rule(house.bridge, house.admin, rule_id)

    assert house.log() == [("run_failed", "sent", 1)]
    with house.bridge.session(house.admin.workspace_id) as session:
        assert session.scalars(sa.select(NotificationLog.rule_id)).all() == [None]


@dataclass
class Service:
    """A web service on this machine that takes messages."""

    port: int
    status: int = 200
    location: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def service() -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            taken.bodies.append(json.loads(self.rfile.read(length)))
            self.send_response(taken.status)
            self.send_header("Content-Length", "0")
            if taken.location:
                self.send_header("Location", taken.location)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken = Service(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield taken
    server.shutdown()
    server.server_close()
    thread.join()
