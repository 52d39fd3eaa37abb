"""Operations carried by a worker: every kind, once, and stopped ones again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from core.bootstrap import Orgbridge
from core.db import operation_logs
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.errors import ConflictError, NotAllowedError
from core.jobs import queue, worker
from core.operations import registry
from core.operations.carrying import BridgeContext
from core.operations.protocol import StoppedError
from core.services import logs, operations, plans
from terminal.worker import ports
from tests.org.scripted_data import ScriptedData, analyst, described

WITHIN_S = 60.0
PLAN = "orgbridge: 1\nname: p\nsource: Legacy\ntarget: New\nobjects:\n  - source: Contact\n"
GIVEN = {
    "record_counts": {"plan": "p"},
    "field_differences": {"source": "Legacy", "target": "New"},
    "duplicates": {"org": "Legacy", "object": "Contact"},
    "extra_child_records": {"plan": "p"},
}


@pytest.fixture
def actor(bridge: Orgbridge) -> Iterator[Actor]:
    orgs = ScriptedData("00D000000000001EAA"), ScriptedData("00D000000000002EAA")
    person = analyst(bridge)
    for org, name in zip(orgs, ("Legacy", "New"), strict=True):
        org.register(bridge, person, name)
        fields = [{"name": name, "type": "string"} for name in ("FirstName", "LastName")]
        org.describes = {"Contact": described("Contact", *fields)}
        org.rows = {"Contact": [{"Id": "003000000000001AAA", "LastName": "Ng"}]}
    plans.create(bridge, person, parse_plan(PLAN))
    yield person
    for org in orgs:
        org.http.stop()


def ended(bridge: Orgbridge, actor: Actor, kind: str, *, log_id: UUID) -> operations.LogEntry:
    """The entry when it has ended; fails at the deadline."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        entry = operations.shown(bridge, actor, kind, log_id=log_id)
        if entry.finished_at is not None:
            return entry
        assert time.monotonic() < deadline, f"{kind} is still {entry.status}"
        time.sleep(0.05)  # the pace of the waiting


def test_a_worker_carries_every_kind_of_analysis(bridge: Orgbridge, actor: Actor) -> None:
    """Whatever is registered and only reads is launched by ids alone and ends in its log row."""
    kinds = [kind for kind in registry.kinds() if not registry.operation(kind).writes]
    laid = {
        kind: operations.enqueue(bridge, actor, kind, given=GIVEN[kind])
        for kind in kinds
        if kind in GIVEN
    }
    assert set(laid) >= set(GIVEN)

    with worker.carrying(bridge, queue.SHARED_QUEUE, ports()):
        entries = {kind: ended(bridge, actor, kind, log_id=log_id) for kind, log_id in laid.items()}

    assert {kind: entry.status for kind, entry in entries.items()} == dict.fromkeys(
        laid, "succeeded"
    )
    assert all(entry.result and entry.message for entry in entries.values())


def test_an_operation_that_meets_a_defect_has_ended(bridge: Orgbridge, actor: Actor) -> None:
    """A page that watches it would wait for ever; the admin finds the defect by its reference."""
    log_id = operations.enqueue(bridge, actor, "record_counts", given=GIVEN["record_counts"])
    with bridge.owner_session() as session:
        session.execute(text("""UPDATE record_count_log SET parameters = '{"plan": [5]}'"""))

    with worker.carrying(bridge, queue.SHARED_QUEUE, ports()):
        entry = ended(bridge, actor, "record_counts", log_id=log_id)

    assert entry.status == "failed"
    told = re.search(r"under the reference (\w+)\.", entry.error_message or "")
    assert told
    errors = logs.logs(bridge, actor, logs.LogFilter(kinds=("error",))).rows
    assert [row for row in errors if told[1] in row.message]


def test_one_that_a_terminal_carries_is_stopped_from_elsewhere(
    bridge: Orgbridge, actor: Actor
) -> None:
    """No job can be asked: it finds its row ended as soon as it tells how far it is."""
    given = GIVEN["field_differences"]
    log_id = operations.lay(bridge, actor, "field_differences", given=given)
    table = "field_difference_log"
    with bridge.session(actor.workspace_id) as session:
        operation_logs.begin(session, table, log_id=log_id, now=bridge.clock())
    context = BridgeContext(
        bridge, actor.workspace_id, lambda: False, table=table, log_id=log_id, kind=table[:-4]
    )
    context.progress("Describing 1 object.")

    operations.stop(bridge, actor, "field_differences", log_id=log_id)

    with pytest.raises(StoppedError):
        context.progress("Comparing 1 object.")
    with pytest.raises(ConflictError, match="ended already"):
        operations.stop(bridge, actor, "field_differences", log_id=log_id)
    viewer = replace(actor, role=Role.VIEWER)
    with pytest.raises(NotAllowedError):
        operations.stop(bridge, viewer, "field_differences", log_id=log_id)
    entry = operations.shown(bridge, actor, "field_differences", log_id=log_id)
    assert (entry.status, entry.message) == ("cancelled", "Stopped before its end.")
