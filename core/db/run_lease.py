"""A worker's hold on a run: how it is taken, and for how long it lasts without a sign of life."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from uuid import UUID

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from core.domain.states import CARRIED_RUNS, NOT_CARRIED_RUNS
from core.errors import ConflictError

#: a worker that has not been heard of for so long is taken for dead
LEASE_S = 10
HEARTBEAT_S = 2
#: a worker that stops within a transaction loses it after so long, and with it the locks for which
#: whoever takes the run over would wait
ASLEEP_AFTER_S = 20.0
#: code of the refusal to carry what another worker carries
LEASE_HELD = "LEASE_HELD"
#: code of the refusal to carry a run whose target another run holds
TARGET_LOCKED = "TARGET_LOCKED"


#: the server ends a transaction whose client says nothing for `asleep_ms`
LOST_WHEN_ASLEEP = "set_config('idle_in_transaction_session_timeout', :asleep_ms, true)"


def lost_when_asleep(session: Session | Connection) -> None:
    """The server ends this transaction when its client says nothing for `ASLEEP_AFTER_S`."""
    session.execute(text(f"SELECT {LOST_WHEN_ASLEEP}"), {"asleep_ms": asleep_ms()})


def asleep_ms() -> str:
    """`ASLEEP_AFTER_S` as the server's setting takes it."""
    return f"{ASLEEP_AFTER_S * 1000:.0f}"


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
        lost_when_asleep(connection)
        row = connection.execute(
            text(
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
            ),
            {
                "id": run_id,
                "lease": LEASE_S,
                "lock": lock_target,
                "alone": bool(alone),
                "carried": [state.value for state in CARRIED_RUNS],
                "over": [state.value for state in NOT_CARRIED_RUNS],
            },
        ).one_or_none()
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
