"""A worker's hold on a run: how it is taken, and for how long it lasts without a sign of life."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any
from uuid import UUID

from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError

from core.domain.states import CARRIED_RUNS, NOT_CARRIED_RUNS
from core.errors import ConflictError

log = logging.getLogger(__name__)

#: a worker that has not been heard of for so long is taken for dead
LEASE_S = 10
HEARTBEAT_S = 2
#: a worker that stops in a transaction loses it after so long, and with it the locks for which
#: whoever takes the run over waits: between two statements by the server's own limit; within a
#: COPY, which knows no limit, because whoever waits ends its session
ASLEEP_AFTER_S = 20.0
#: code of the refusal to carry what another worker carries
LEASE_HELD = "LEASE_HELD"
#: code of the refusal to carry a run whose target another run holds
TARGET_LOCKED = "TARGET_LOCKED"
#: how a worker's sessions are named; the run's id and the lease's token follow
_NAMED = "orgbridge run "
#: the server ends a transaction whose client says nothing for so long
_LOST_WHEN_ASLEEP = "set_config('idle_in_transaction_session_timeout', :asleep_ms, true)"
#: what a worker's transactions say first; values: `own_values`
OWN = f"{_LOST_WHEN_ASLEEP}, set_config('application_name', :named, true)"


def own_values(run_id: UUID, token: int) -> dict[str, str]:
    """Values for `OWN`: a limit to the worker's sleep, and a name by which whoever takes the run
    over knows its sessions."""
    return {**_asleep(), "named": f"{_NAMED}{run_id} {token}"}


def _asleep() -> dict[str, str]:
    return {"asleep_ms": f"{ASLEEP_AFTER_S * 1000:.0f}"}


class Lease:
    """A worker's hold on a run: a token in the row, and a lock that lives as long as its
    connection.

    The lock lets a run be taken over at once when its worker was killed (the server drops the lock
    with the connection); the time in the row lets it be taken over when the worker only stopped
    breathing.
    """

    def __init__(self, connection: Connection, token: int, key: int, *, wish: str | None) -> None:
        self._connection = connection
        self._key = key
        self.token = token
        #: what a person asked of the run while nobody carried it: ``pause`` or ``cancel``
        self.wish = wish

    def close(self) -> None:
        """Drops the lock, for whoever asks next to find it free; the row's token stays.

        Leaving it to the end of the connection is not enough: the server sees that end only some
        moments later.
        """
        with suppress(SQLAlchemyError):  # a connection that is gone holds no lock
            self._connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": self._key})
        self._connection.invalidate()
        self._connection.close()


def claim(engine: Engine, run_id: UUID, *, lock_target: bool) -> Lease:
    """Takes a run's lease; the target org's lock is taken with it.

    How long nobody carried it is added up in its summary: pace and time left go by the rest.

    Raises:
        ConflictError: a living worker has it, or another run writes to the same org.
    """
    key = int.from_bytes(run_id.bytes[-8:], "big", signed=True)
    with ExitStack() as undone:
        connection = undone.enter_context(engine.connect())
        undone.callback(connection.invalidate)  # whatever happens, the lock is not left behind
        token, wish = _claimed(connection, run_id, key, lock_target=lock_target)
        undone.pop_all()
    return Lease(connection, token, key, wish=wish)


def _claimed(
    connection: Connection, run_id: UUID, key: int, *, lock_target: bool
) -> tuple[int, str | None]:
    alone = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key})
    try:
        row = _taken(connection, {"id": run_id, "lock": lock_target, "alone": bool(alone)})
        connection.commit()
    except IntegrityError as taken:
        raise ConflictError(
            "Another run is writing to the same target org.",
            state="Nothing was sent.",
            next_step="Wait for it, or cancel it, then start again.",
            code=TARGET_LOCKED,
        ) from taken
    if row is None:
        raise ConflictError(
            "This run is being carried by another worker, or has ended meanwhile.",
            next_step="If that worker died, it can be taken over some seconds from now.",
            code=LEASE_HELD,
        )
    return int(row.lease_token), row.requested_state


def _taken(connection: Connection, asked: Mapping[str, Any]) -> Row[Any] | None:
    """The row as the new worker has it; None when it may not have it."""
    values = {
        **asked,
        "lease": LEASE_S,
        "carried": [state.value for state in CARRIED_RUNS],
        "over": [state.value for state in NOT_CARRIED_RUNS],
    }
    while True:
        connection.execute(text(_LIMITS), _asleep())
        try:
            return connection.execute(text(_TAKE), values).one_or_none()
        except OperationalError as waited:
            if not isinstance(waited.orig, LockNotAvailable):
                raise
            connection.rollback()  # the advisory lock is the session's and stays
            _end_sessions(connection, asked)


_LIMITS = f"SELECT {_LOST_WHEN_ASLEEP}, set_config('lock_timeout', :asleep_ms, true)"
#: the tokens that were given out so far, and only while the run may be taken: the session of a
#: worker that took it a moment ago has a later one
_END = (
    "SELECT pg_terminate_backend(s.pid) FROM data_migration r"
    " CROSS JOIN generate_series(1, r.lease_token) AS token"
    " JOIN pg_stat_activity s ON s.application_name = :named || r.id || ' ' || token"
    " WHERE r.id = :id AND (:alone OR r.lease_until < clock_timestamp())"
    " AND s.usename = session_user"
)


def _end_sessions(connection: Connection, asked: Mapping[str, Any]) -> None:
    """Ends what the worker before left open on the server; its transactions write nothing."""
    ended = connection.execute(text(_END), {**asked, "named": _NAMED}).all()
    connection.commit()
    said = {"run": str(asked["id"]), "sessions": len(ended)}
    log.warning("a takeover waits for its run's row", extra=said)


_TAKE = (
    "UPDATE data_migration SET lease_token = lease_token + 1,"
    " lease_until = clock_timestamp() + make_interval(secs => :lease),"
    " status = CASE WHEN status = 'Undoing' THEN status ELSE 'Running' END,"
    " wait_reason = NULL,"
    # a wish that no worker heard holds for the one that takes over
    " requested_state = CASE WHEN status = ANY(:carried)"
    " OR requested_state = 'cancel' THEN requested_state END,"
    " started_at = coalesce(started_at, clock_timestamp()), finished_at = NULL,"
    " summary = CASE WHEN summary -> 'let_go_at' IS NULL THEN summary ELSE"
    " summary - 'let_go_at' || jsonb_build_object('waited_s',"
    " coalesce((summary ->> 'waited_s')::float, 0) + extract(epoch FROM"
    " clock_timestamp() - (summary ->> 'let_go_at')::timestamptz)) END,"
    " lock_organization_id = CASE WHEN :lock THEN target_organization_id END"
    # cancelled, perhaps, since the caller looked
    " WHERE id = :id AND NOT status = ANY(:over) AND (:alone OR lease_until IS NULL"
    " OR lease_until < clock_timestamp()) RETURNING lease_token,"
    " requested_state"
)
