"""The memory of a run: who may write it, and the ledger's COPY."""

from __future__ import annotations

from uuid import UUID

import polars as pl
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from uuid_utils.compat import uuid7

from core.bootstrap import Orgbridge
from core.db import ledger, run_lease
from core.db.models import DataMigration
from core.db.run_lease import claim
from core.db.run_state import RunStore, TakenOverError, fingerprint
from core.domain.states import FINISHED_RUNS, NOT_CARRIED_RUNS, RunState
from core.errors import ConflictError

ORG = "00D000000000001EAA"


def add_run(bridge: Orgbridge, *, organization: str = ORG) -> UUID:
    run_id: UUID = uuid7()
    with bridge.session(bridge.workspace_id()) as session:
        session.execute(
            text(
                "INSERT INTO data_migration (id, data_schedule_id, requested_by,"
                " target_organization_id) VALUES (:id, :name, 'test', :org)"
            ),
            {"id": run_id, "name": str(run_id), "org": organization},
        )
    return run_id


def store(bridge: Orgbridge, run_id: UUID, token: int) -> RunStore:
    return RunStore(
        bridge.owner_session, workspace_id=bridge.workspace_id(), run_id=run_id, token=token
    )


def test_a_living_worker_keeps_its_lease_and_a_dead_one_loses_it_at_once(
    bridge: Orgbridge,
) -> None:
    run_id = add_run(bridge)
    first = claim(bridge.owner_engine, run_id, lock_target=False)

    with pytest.raises(ConflictError):
        claim(bridge.owner_engine, run_id, lock_target=False)
    first.close()
    second = claim(bridge.owner_engine, run_id, lock_target=False)

    assert second.token == first.token + 1
    second.close()


def moved(bridge: Orgbridge, run_id: UUID, status: RunState, wish: str | None) -> None:
    with bridge.owner_session() as session:
        run = session.get_one(DataMigration, run_id)
        run.status, run.requested_state = status.value, wish


def test_what_was_asked_of_a_run_whose_worker_died_holds_for_the_next_one(
    bridge: Orgbridge,
) -> None:
    """A run that was paused goes on when somebody resumes it: that wish was fulfilled."""
    run_id = add_run(bridge)
    for status, asked, kept in (
        (RunState.RUNNING, "cancel", "cancel"),
        (RunState.RUNNING, "pause", "pause"),
        (RunState.PAUSED, "pause", None),
        (RunState.PAUSED, "cancel", "cancel"),
    ):
        moved(bridge, run_id, status, asked)
        taken = claim(bridge.owner_engine, run_id, lock_target=False)
        assert taken.wish == kept
        assert store(bridge, run_id, taken.token).heartbeat() == kept
        taken.close()


@pytest.mark.parametrize(
    ("asked", "status", "kept"),
    [
        ("pause", RunState.RUNNING, "pause"),
        ("cancel", RunState.RUNNING, "cancel"),
        ("pause", RunState.PAUSED, None),
        ("cancel", RunState.PAUSED, "cancel"),
        ("cancel", RunState.CANCELLED, None),
        ("cancel", RunState.SUCCEEDED, None),
    ],
)
def test_what_is_asked_while_a_worker_lets_go_is_not_lost(
    bridge: Orgbridge, asked: str, status: RunState, kept: str | None
) -> None:
    """A worker that stops for its machine's sake, or until the org's limits allow more."""
    run_id = add_run(bridge)
    lease = claim(bridge.owner_engine, run_id, lock_target=False)
    moved(bridge, run_id, RunState.RUNNING, asked)

    store(bridge, run_id, lease.token).release(status, over=status in FINISHED_RUNS)

    with bridge.owner_session() as session:
        assert session.get_one(DataMigration, run_id).requested_state == kept
    lease.close()


@pytest.mark.parametrize("status", sorted(NOT_CARRIED_RUNS))
def test_a_run_that_ended_since_its_worker_looked_is_not_begun(
    bridge: Orgbridge, status: RunState
) -> None:
    """Cancelled, say, between the worker's look at it and its claim."""
    run_id = add_run(bridge)
    moved(bridge, run_id, status, None)

    with pytest.raises(ConflictError, match="ended meanwhile"):
        claim(bridge.owner_engine, run_id, lock_target=True)

    with bridge.owner_session() as session:
        assert session.get_one(DataMigration, run_id).status == status.value


def test_a_worker_that_was_replaced_writes_nothing(bridge: Orgbridge) -> None:
    run_id = add_run(bridge)
    first = claim(bridge.owner_engine, run_id, lock_target=False)
    zombie = store(bridge, run_id, first.token)
    first.close()
    second = claim(bridge.owner_engine, run_id, lock_target=False)

    with pytest.raises(TakenOverError), zombie.commit() as commit:
        commit.event("from the grave")
    with pytest.raises(TakenOverError):
        zombie.heartbeat()

    second.close()
    with bridge.owner_session() as session:
        assert session.scalar(text("SELECT count(*) FROM run_event")) == 0


def test_a_worker_that_stops_in_a_transaction_does_not_hold_up_who_takes_over(
    bridge: Orgbridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped with the run's row locked: without a limit the takeover would wait for its waking."""
    monkeypatch.setattr(run_lease, "ASLEEP_AFTER_S", 0.3)
    run_id = add_run(bridge)
    first = claim(bridge.owner_engine, run_id, lock_target=False)
    asleep = store(bridge, run_id, first.token)

    with pytest.raises(SQLAlchemyError), asleep.commit() as commit:
        first.close()
        second = claim(bridge.owner_engine, run_id, lock_target=False)
        commit.event("awake again")

    assert second.token == first.token + 1
    store(bridge, run_id, second.token).heartbeat()
    with pytest.raises(TakenOverError):
        asleep.heartbeat()
    second.close()
    with bridge.owner_session() as session:
        assert session.scalar(text("SELECT count(*) FROM run_event")) == 0


def test_a_heartbeat_tells_those_who_look_on_what_the_run_has_cost(bridge: Orgbridge) -> None:
    run_id = add_run(bridge)
    held = claim(bridge.owner_engine, run_id, lock_target=False)
    working = store(bridge, run_id, held.token)

    working.heartbeat({"source": 3, "target": 5})
    working.heartbeat()

    held.close()
    with bridge.owner_session() as session:
        kept = session.scalar(text("SELECT summary FROM data_migration"))
    assert kept["api_calls"] == {"source": 3, "target": 5}


def test_a_run_that_was_let_go_tells_how_long_nobody_carried_it(bridge: Orgbridge) -> None:
    """Twice, half an hour each; what it takes up again goes by the time that it was carried."""
    run_id = add_run(bridge)
    for _ in range(2):
        held = claim(bridge.owner_engine, run_id, lock_target=True)
        carried = store(bridge, run_id, held.token)
        carried.release(RunState.PAUSED, wait_reason="paused by a person", over=False)
        held.close()
        with bridge.owner_session() as session:
            session.execute(text(_HALF_AN_HOUR_AGO), {"id": run_id})

    claim(bridge.owner_engine, run_id, lock_target=True).close()

    with bridge.owner_session() as session:
        told = session.scalar(text("SELECT summary FROM data_migration"))
    assert 3600 <= told["waited_s"] < 3900
    assert "let_go_at" not in told


_HALF_AN_HOUR_AGO = """UPDATE data_migration SET summary = summary || jsonb_build_object(
    'let_go_at', (summary ->> 'let_go_at')::timestamptz - interval '30 min') WHERE id = :id"""


def test_rule_8_4_one_run_at_a_time_writes_to_an_org(bridge: Orgbridge) -> None:
    one, two, dry = (add_run(bridge) for _ in range(3))
    held = claim(bridge.owner_engine, one, lock_target=True)

    with pytest.raises(ConflictError, match="same target org"):
        claim(bridge.owner_engine, two, lock_target=True)
    claim(bridge.owner_engine, dry, lock_target=False).close()

    held.close()


def test_rule_2_4_links_are_unique_and_keep_that_we_made_the_record(bridge: Orgbridge) -> None:
    workspace, run_id = bridge.workspace_id(), uuid7()
    made = links(("a", "1", "inserted", 5), ("b", "2", "matched", None))
    again = links(("a", "1", "updated", 6), ("b", "3", "updated", 7))
    with bridge.owner_session() as session:
        found = ledger.link_set(session, workspace, org_pair="x:y", mapping="account")
        ids = {"set_id": found.id, "workspace_id": workspace, "run_id": run_id}
        ledger.add_links(session, made, **ids)
        ledger.add_links(session, again, **ids)  # falls back to replacing
        kept = ledger.links(session, found.id, run_id=run_id).sort("source_id")

    assert kept.select("source_id", "target_id", "origin", "sent_hash").rows() == [
        ("a", "1", "inserted", 6),
        ("b", "3", "updated", 7),
    ]


def test_rule_2_4_what_is_written_without_a_digest_has_none(bridge: Orgbridge) -> None:
    workspace, run_id = bridge.workspace_id(), uuid7()
    read = links(("a", "1", "inserted", 5), ("b", "2", "inserted", 6), ("c", "3", "inserted", 7))
    read = read.with_columns(read_hash=pl.Series([-15, -16, None], dtype=pl.Int64))
    later = pl.DataFrame({"source_id": ["c", "of nobody"], "read_hash": [-17, -18]})
    with bridge.owner_session() as session:
        found = ledger.link_set(session, workspace, org_pair="x:y", mapping="account")
        other = ledger.link_set(session, workspace, org_pair="x:y", mapping="contact")
        for one in (found, other):
            ids = {"set_id": one.id, "workspace_id": workspace, "run_id": run_id}
            ledger.add_links(session, read, **ids)
        ids = {"set_id": found.id, "workspace_id": workspace, "run_id": run_id}
        ledger.write_links(session, links(("b", "2", "updated", 8)), **ids)
        ledger.note_reads(session, found.id, later)
        kept, apart = (
            ledger.links(session, one.id, run_id=run_id).sort("source_id").get_column("read_hash")
            for one in (found, other)
        )

    assert kept.to_list() == [-15, None, -17]
    assert apart.to_list() == [-15, -16, None]


@pytest.mark.parametrize("at_once", [1, 4_000_000])
def test_links_are_read_in_parts_and_none_is_lost(
    bridge: Orgbridge, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Blank hashes and baselines stay blank, whether a part is a line or all of them."""
    monkeypatch.setattr(ledger, "_READ_BYTES", at_once)
    workspace, run_id, later = bridge.workspace_id(), uuid7(), uuid7()
    rows = [(f"s{n:02}", f"t{n % 7}", "inserted" if n % 2 else "matched", n or None)
            for n in range(40)]  # fmt: skip
    with bridge.owner_session() as session:
        found = ledger.link_set(session, workspace, org_pair="x:y", mapping="account")
        none = ledger.links(session, found.id, run_id=later)
        ledger.begin(session, found.id, run_id=run_id, hash_scheme="1")
        ledger.add_links(
            session, links(*rows), set_id=found.id, workspace_id=workspace, run_id=run_id
        )
        ledger.note_found(
            session, found.id, pl.DataFrame({"source_id": ["s03"], "found_hash": [9]})
        )
        ledger.never_ours(session, found.id, ["s05"])
        ledger.settle(session, found.id, run_id=run_id, at="2026-11-21T10:00:00.123")
        own = ledger.links(session, found.id, run_id=run_id).sort("source_id")
        kept = ledger.links(session, found.id, run_id=later).sort("source_id")

    assert none.is_empty() and none.schema == kept.schema
    assert kept.select("source_id", "target_id", "origin", "sent_hash").rows() == rows
    assert kept.filter(pl.col("found_hash").is_not_null()).rows()[0][0] == "s03"
    assert [name for name, at in own.select("source_id", "baseline").rows() if at] == ["s05"]
    said = dict(kept.select("source_id", "baseline").rows())
    assert said.pop("s05").startswith("1970")
    assert set(said.values()) == {"2026-11-21T10:00:00.123"}


def links(*rows: tuple[str, str, str, int | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=ledger.LINK_SCHEMA, orient="row")


def test_equal_refusals_have_one_fingerprint() -> None:
    one = fingerprint("STRING_TOO_LONG", "Phone: data value too large: 'abc' (max length=40)")
    two = fingerprint("STRING_TOO_LONG", "Phone: data value too large: 'xyz' (max length=40)")

    assert one == two
    assert one != fingerprint("STRING_TOO_LONG", "Fax: data value too large: 'abc'")
