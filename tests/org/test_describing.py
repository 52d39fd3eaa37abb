"""An org is described when it is connected: in the background, in parallel, seen as it arrives."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import yaml

from core.access import describing
from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.errors import OrgbridgeError, SessionLostError, TransientError
from core.jobs import queue
from core.services import orgs
from core.services.orgs import DescribeState
from orgsim.schema.condensed import condensed_document
from tests.org.connected import admin as admin_of
from tests.org.connected import connect
from tests.orgs import PracticeOrg, PracticeOrgs, wait_for

#: what a 254-object describe may take here, with other work on the machine
WITHIN_S = 60.0


@pytest.fixture
def admin(bridge: Orgbridge) -> Actor:
    return admin_of(bridge)


@pytest.fixture
def large(practice_org: PracticeOrgs, fixtures_dir: Path, tmp_path: Path) -> PracticeOrg:
    """An org with the 254 objects of a recorded one."""
    dump = fixtures_dir / "A_api_responses" / "rlm_schema" / "260-schema.json"
    schema = tmp_path / "schema.yaml"
    schema.write_text(yaml.safe_dump(condensed_document(dump)), encoding="utf-8")
    return practice_org(name="Large", schema=schema)


def test_connecting_queues_the_reading_and_a_worker_finishes_it(
    bridge: Orgbridge, admin: Actor, large: PracticeOrg
) -> None:
    """Every object of a large org, and what it took is within bounds."""
    org_id = connect(bridge, "large", large)
    waiting = orgs.org(bridge, admin, org_id)
    with bridge.session(admin.workspace_id) as session:
        assert not queue.defer_describe(session, workspace_id=admin.workspace_id, org_id=org_id)
    began = time.monotonic()

    count = describing.describe_org(bridge, admin.workspace_id, org_id)

    took_s = time.monotonic() - began
    card = orgs.org(bridge, admin, org_id)
    rows = orgs.objects(bridge, admin, org_id)
    assert waiting.describing.state is DescribeState.WAITING
    assert card.describing.state is DescribeState.DONE and card.described_at is not None
    assert count == card.describing.done == card.describing.total == len(rows) >= 254
    assert all(row.fields for row in rows)
    assert took_s < WITHIN_S


def test_objects_are_seen_as_they_arrive(
    bridge: Orgbridge, admin: Actor, large: PracticeOrg
) -> None:
    """Whoever looks while the org is asked sees what came so far."""
    org_id = connect(bridge, "large", large)
    large.plant({"kind": "http", "path": "/describe$", "after": 100, "times": 0, "hold": "before"})
    reading = threading.Thread(
        target=describing.describe_org, args=(bridge, admin.workspace_id, org_id)
    )
    reading.start()
    try:
        wait_for(lambda: orgs.org(bridge, admin, org_id).describing.done >= 100, WITHIN_S)
        seen = orgs.org(bridge, admin, org_id).describing
        rows = orgs.objects(bridge, admin, org_id)
    finally:
        large.clear_faults()
        reading.join(WITHIN_S)

    assert seen.state is DescribeState.RUNNING
    assert 100 <= seen.done < seen.total == len(rows)
    assert 100 <= sum(row.fields is not None for row in rows) < len(rows)
    assert orgs.org(bridge, admin, org_id).describing.done == seen.total


def test_a_refused_object_says_why_and_the_others_are_read(
    bridge: Orgbridge, admin: Actor, practice_org: PracticeOrgs
) -> None:
    org = practice_org(name="Partly")
    org_id = connect(bridge, "partly", org)
    body = [{"message": "entity type cannot be described", "errorCode": "INVALID_TYPE"}]
    path = "/sobjects/Contact/describe"
    org.plant({"kind": "http", "path": path, "status": 400, "body": body, "times": 0})

    orgs.refresh_metadata(bridge, admin, org_id)

    progress = orgs.org(bridge, admin, org_id).describing
    rows = {row.name: row for row in orgs.objects(bridge, admin, org_id)}
    assert progress.state is DescribeState.DONE
    assert list(progress.faults) == ["Contact"]
    assert "cannot be described" in rows["Contact"].fault
    assert rows["Contact"].fields is None
    assert all(row.fields for name, row in rows.items() if name != "Contact")


def test_an_interrupted_reading_goes_on_where_it_was(
    bridge: Orgbridge, admin: Actor, practice_org: PracticeOrgs
) -> None:
    org_id = connect(bridge, "again", practice_org(name="Again"))
    client = bridge.org_client(admin.workspace_id, org_id)
    stops = iter([False] * 5)
    assert (
        describing.describe_org(bridge, admin.workspace_id, org_id, stop=lambda: next(stops, True))
        is None
    )
    before = orgs.org(bridge, admin, org_id).describing
    calls = client.usage.calls_made

    describing.describe_org(bridge, admin.workspace_id, org_id)

    after = orgs.org(bridge, admin, org_id).describing
    assert before.state is DescribeState.RUNNING and 5 <= before.done < before.total
    assert after.state is DescribeState.DONE and after.started_at == before.started_at
    assert client.usage.calls_made - calls == after.total - before.done + 1


@pytest.mark.parametrize("trouble", ["lost session", "out of reach"])
def test_an_org_that_does_not_answer_keeps_the_reason(
    bridge: Orgbridge, admin: Actor, practice_org: PracticeOrgs, trouble: str
) -> None:
    org = practice_org(name="Closed")
    org_id = connect(bridge, "closed", org)
    expected: type[OrgbridgeError] = SessionLostError
    if trouble == "lost session":
        org.json("POST", "/_sim/expire", {"lasting": True})
    else:
        org.kill()
        expected = TransientError

    with pytest.raises(expected):
        orgs.refresh_metadata(bridge, admin, org_id)

    progress = orgs.org(bridge, admin, org_id).describing
    assert progress.state is DescribeState.FAILED and progress.reason
