"""The memory of a run in progress: its steps, chunks, failures and story, written in single
commits.

Everything a worker changes goes through `RunStore.commit()`, one transaction that first looks
whether the run's lease token is still the worker's own. A worker that was paused, declared dead and
replaced wakes up, finds another token and gets `TakenOverError`: nothing it meant to write is
written.

    claim ─▶ RunStore ─┬─ commit(): plan chunks · chunk outcome + ledger + failures + totals
                       ├─ heartbeat(): the lease goes on; what a person asked for comes back
                       └─ release(): a state without a worker
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import polars as pl
import psycopg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from core.db import ledger
from core.db.run_lease import LEASE_HELD, LEASE_S, OWN, own_values
from core.domain.states import CARRIED_RUNS, ChunkState, RunState, StepState
from core.errors import BugError, ConflictError, NotFoundError

#: columns of run_step that add up: what became of the rows (rule 6.1), and what is counted beside
TOTALS = (
    "read_rows",
    "inserted",
    "updated",
    "unchanged",
    "skipped",
    "blocked",
    "failed",
    "not_processed",
    "lookups_left_blank",
    "twins",
    "second_pass",
)
#: values of a sent row kept with a failure
_SENT_CHARS = 4_000

OpenSession = Callable[[], AbstractContextManager[Session]]


class TakenOverError(ConflictError):
    """Another worker carries this run now; what this one meant to write was not written."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One object mapping in one phase."""

    id: UUID
    mapping_name: str
    phase: str
    wave: int
    position: int
    status: StepState
    totals: Mapping[str, int]
    cursor: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """The rows of one request or bulk job."""

    id: UUID
    step_id: UUID
    number: int
    state: ChunkState
    api: str
    operation: str
    job_id: str | None
    rows: int
    page: str
    attempt: int
    outcome: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk to be planned; its page is on the spool already."""

    api: str
    operation: str
    rows: int
    page: str
    attempt: int = 0
    outcome: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """One row that did not arrive as asked."""

    kind: str
    code: str
    message: str
    source_id: str | None = None
    target_id: str | None = None
    fields: tuple[str, ...] = ()
    sent: Mapping[str, Any] | None = None


class RunStore:
    """The rows of one run, written only while `token` is the run's lease token."""

    def __init__(
        self, open_session: OpenSession, *, workspace_id: UUID, run_id: UUID, token: int
    ) -> None:
        self._open = open_session
        self.workspace_id = workspace_id
        self.run_id = run_id
        self.token = token
        self._own = own_values(run_id, token)

    @contextmanager
    def commit(self, *, of_run: bool = False) -> Iterator[Commit]:
        """One transaction; raises `TakenOverError` before anything is written by a stranger.

        Args:
            of_run: it changes the run's own row (summary, buckets, options, watermark).
        """
        with self._open() as session:
            # FOR SHARE: several threads of this worker commit at once, a takeover waits for them;
            # who would change the row later holds it alone from the start, or two would each wait
            # for the other to let go of its share
            strength = "NO KEY UPDATE" if of_run else "SHARE"
            found = session.scalar(
                text(
                    f"SELECT lease_token, {OWN},"
                    " set_config('app.workspace_id', :workspace, true)"
                    f" FROM data_migration WHERE id = :id FOR {strength}"
                ),
                {"id": self.run_id, "workspace": str(self.workspace_id), **self._own},
            )
            if found != self.token:
                raise _taken_over()
            yield Commit(session, self, of_run=of_run)

    def look(self) -> AbstractContextManager[Session]:
        """A transaction that only reads and locks nothing, however long it takes."""
        return self._open()

    def check_held(self) -> None:
        """Raises `TakenOverError` when another worker has the run by now; one short query."""
        with self._open() as session:
            found = session.scalar(
                text("SELECT lease_token FROM data_migration WHERE id = :id"), {"id": self.run_id}
            )
        if found != self.token:
            raise _taken_over()

    def heartbeat(self, calls: Mapping[str, int] | None = None) -> str | None:
        """Extends the lease; what a person asked for meanwhile: ``pause``, ``cancel`` or None.

        Args:
            calls: what the run has cost so far, by role of the org, for those who look on.
        """
        with self._open() as session:
            session.execute(text(f"SELECT {OWN}"), self._own)
            row = session.execute(
                text(
                    "UPDATE data_migration"
                    " SET lease_until = clock_timestamp() + make_interval(secs => :lease),"
                    " summary = summary || CAST(:calls AS jsonb)"
                    " WHERE id = :id AND lease_token = :token RETURNING requested_state"
                ),
                {
                    "id": self.run_id,
                    "token": self.token,
                    "lease": LEASE_S,
                    "calls": orjson.dumps({"api_calls": dict(calls)} if calls else {}).decode(),
                },
            ).one_or_none()
        if row is None:
            raise _taken_over()
        return row.requested_state  # type: ignore[no-any-return]  # text or NULL

    def release(self, status: RunState, *, wait_reason: str | None = None, over: bool) -> None:
        """Ends this worker's hold: the run has this status and no lease, the target no lock.

        What was asked of it in this moment, unheard by this worker, holds for the next one.
        """
        with self._open() as session:
            session.execute(text(f"SELECT {OWN}"), self._own)
            session.execute(
                text(
                    "UPDATE data_migration SET status = :status, wait_reason = :reason,"
                    " lease_until = NULL, lock_organization_id = NULL,"
                    " requested_state = CASE WHEN :carried OR (NOT :over"
                    " AND requested_state = 'cancel') THEN requested_state END,"
                    " finished_at = CASE WHEN :over THEN clock_timestamp() END,"
                    " summary = summary || jsonb_build_object('let_go_at', clock_timestamp()),"
                    " updated_at = clock_timestamp()"
                    " WHERE id = :id AND lease_token = :token"
                ),
                {
                    "id": self.run_id,
                    "token": self.token,
                    "status": status.value,
                    "reason": wait_reason,
                    "over": over,
                    "carried": status in CARRIED_RUNS,
                },
            )

    def show(self, status: RunState) -> None:
        """Tells what the worker is at; only who holds the lease does."""
        with self._open() as session:
            session.execute(text(f"SELECT {OWN}"), self._own)
            session.execute(
                text(
                    "UPDATE data_migration SET status = :status"
                    " WHERE id = :id AND lease_token = :token"
                ),
                {"id": self.run_id, "token": self.token, "status": status.value},
            )

    def steps(self) -> list[StepRow]:
        """All steps, in the order of their waves and positions."""
        with self._open() as session:
            found = session.execute(
                text("SELECT * FROM run_step WHERE run_id = :id ORDER BY wave, position, phase"),
                {"id": self.run_id},
            ).mappings()
            return [_step(dict(row)) for row in found]

    def step(self, mapping: str, phase: str) -> StepRow | None:
        """The step of a mapping in a phase; None where the run has none."""
        found = (row for row in self.steps() if (row.mapping_name, row.phase) == (mapping, phase))
        return next(found, None)

    def chunks(self, step_id: UUID) -> list[ChunkRow]:
        """All chunks of a step by number."""
        with self._open() as session:
            found = session.execute(
                text("SELECT * FROM run_chunk WHERE step_id = :id ORDER BY number"),
                {"id": step_id},
            ).mappings()
            return [_chunk(dict(row)) for row in found]


class Commit:
    """What one transaction of a run may write."""

    def __init__(self, session: Session, store: RunStore, *, of_run: bool) -> None:
        self.session = session
        self._store = store
        self._of_run = of_run

    def add_step(self, step: Mapping[str, Any]) -> None:
        """A step, unless the run has it already (mapping_name, phase)."""
        values = {"id": uuid7(), "run_id": self._store.run_id, **step}
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        self.session.execute(
            text(f"INSERT INTO run_step ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"),
            values,
        )

    def step(
        self,
        step_id: UUID,
        *,
        status: StepState | None = None,
        totals: Mapping[str, int] | None = None,
        cursor: Mapping[str, Any] | None = None,
    ) -> None:
        """Adds to a step's totals, merges into its cursor, sets its status; one atomic update."""
        sets, values = [], {"id": step_id}
        for name, number in (totals or {}).items():
            if name not in TOTALS:
                raise ValueError(name)
            if number:
                sets.append(f"{name} = {name} + :{name}")
                values[name] = number  # type: ignore[assignment]  # mixed parameters
        if cursor:
            sets.append("cursor = cursor || CAST(:cursor AS jsonb)")
            values["cursor"] = orjson.dumps(dict(cursor)).decode()  # type: ignore[assignment]
        if status is not None:
            sets.append("status = :status")
            sets.append("started_at = coalesce(started_at, clock_timestamp())")
            if status not in (StepState.PENDING, StepState.RUNNING, StepState.PAUSED):
                sets.append("finished_at = clock_timestamp()")
            values["status"] = status.value  # type: ignore[assignment]
        if sets:
            self.session.execute(
                text(f"UPDATE run_step SET {', '.join(sets)} WHERE id = :id"), values
            )

    def add_chunks(self, step_id: UUID, chunks: Iterable[NewChunk]) -> list[ChunkRow]:
        """Plans chunks behind those that the step has."""
        wanted = list(chunks)
        if not wanted:
            return []
        # the step's row is the counter's lock: two threads never give one number twice
        self.session.execute(
            text("SELECT 1 FROM run_step WHERE id = :id FOR UPDATE"), {"id": step_id}
        )
        last = self.session.scalar(
            text("SELECT coalesce(max(number), 0) FROM run_chunk WHERE step_id = :id"),
            {"id": step_id},
        )
        rows = [
            ChunkRow(
                id=uuid7(),
                step_id=step_id,
                number=int(last or 0) + nth,
                state=ChunkState.PLANNED,
                api=new.api,
                operation=new.operation,
                job_id=None,
                rows=new.rows,
                page=new.page,
                attempt=new.attempt,
                outcome=new.outcome,
            )
            for nth, new in enumerate(wanted, 1)
        ]
        self.session.execute(
            text(
                "INSERT INTO run_chunk (id, run_id, step_id, number, state, api, operation, rows,"
                " spool_page, fence, attempt, outcome) VALUES (:id, :run, :step, :number,"
                " 'planned', :api, :operation, :rows, :page, :fence, :attempt,"
                " CAST(:outcome AS jsonb))"
            ),
            [
                {
                    "id": row.id,
                    "run": self._store.run_id,
                    "step": step_id,
                    "number": row.number,
                    "api": row.api,
                    "operation": row.operation,
                    "rows": row.rows,
                    "page": row.page,
                    "fence": self._store.token,
                    "attempt": row.attempt,
                    "outcome": orjson.dumps(dict(row.outcome)).decode(),
                }
                for row in rows
            ],
        )
        return rows

    def chunk(
        self,
        chunk_id: UUID,
        state: ChunkState,
        *,
        job_id: str | None = None,
        outcome: Mapping[str, Any] | None = None,
    ) -> None:
        """Moves a chunk on; a job id once stored is replaced only by another one."""
        self.session.execute(
            text(
                "UPDATE run_chunk SET state = :state, job_id = coalesce(:job, job_id),"
                " outcome = outcome || CAST(:outcome AS jsonb), fence = :fence,"
                " updated_at = clock_timestamp() WHERE id = :id"
            ),
            {
                "id": chunk_id,
                "state": state.value,
                "job": job_id,
                "outcome": orjson.dumps(dict(outcome or {})).decode(),
                "fence": self._store.token,
            },
        )

    def failures(
        self, step_id: UUID, failures: Iterable[Failure], *, chunk_id: UUID | None = None
    ) -> None:
        """Notes rows that did not arrive, each with a fingerprint that groups equal ones."""
        rows = [
            {
                "id": uuid7(),
                "run": self._store.run_id,
                "step": step_id,
                "chunk": chunk_id,
                "source": failure.source_id,
                "target": failure.target_id,
                "kind": failure.kind,
                "code": failure.code,
                "message": failure.message[:2_000],
                "fields": list(failure.fields),
                "sent": _sent(failure.sent),
                "fingerprint": fingerprint(failure.code, failure.message),
            }
            for failure in failures
        ]
        if rows:
            self.session.execute(
                text(
                    "INSERT INTO row_failure (id, run_id, step_id, chunk_id, source_id, target_id,"
                    " kind, code, message, fields, sent, fingerprint) VALUES (:id, :run, :step,"
                    " :chunk, :source, :target, :kind, :code, :message, :fields,"
                    " CAST(:sent AS jsonb), :fingerprint)"
                ),
                rows,
            )

    def links(self, set_id: int, frame: pl.DataFrame, *, new: bool = False) -> None:
        """Writes links (`ledger.LINK_SCHEMA`); ``new`` when surely none of them is there."""
        write = ledger.add_links if new else ledger.write_links
        write(
            self.session,
            frame,
            set_id=set_id,
            workspace_id=self._store.workspace_id,
            run_id=self._store.run_id,
        )

    def reads(self, set_id: int, frame: pl.DataFrame) -> None:
        """Notes by what rows are known as unchanged that were not written: ``source_id``,
        ``read_hash``."""
        ledger.note_reads(self.session, set_id, frame)

    def known_links(self, set_id: int, frame: pl.DataFrame) -> None:
        """Notes which record a source row is, unless that is known: ``source_id``,
        ``target_id``."""
        ledger.add_known(
            self.session,
            frame,
            set_id=set_id,
            workspace_id=self._store.workspace_id,
            run_id=self._store.run_id,
        )

    def never_ours(self, set_id: int, source_ids: list[str]) -> None:
        """Notes of links that nothing in their records is ours."""
        ledger.never_ours(self.session, set_id, source_ids)

    def forget_links(self, set_id: int, source_ids: list[str]) -> None:
        """Removes links whose target is gone by our doing."""
        ledger.forget_links(self.session, set_id, source_ids)

    def note_found(self, set_id: int, found: pl.DataFrame) -> None:
        """Keeps the hashes of rows that read back otherwise than sent."""
        ledger.note_found(self.session, set_id, found)

    def unsettle(self, set_id: int, source_ids: list[str]) -> None:
        """Drops hashes, so that the next run looks at these records again."""
        ledger.unsettle(self.session, set_id, source_ids)

    def event(self, message: str, *, step: str | None = None, level: str = "info") -> None:
        """A line of the run's story."""
        self.session.execute(
            text(
                "INSERT INTO run_event (id, run_id, level, step, message)"
                " VALUES (:id, :run, :level, :step, :message)"
            ),
            {
                "id": uuid7(),
                "run": self._store.run_id,
                "level": level,
                "step": step,
                "message": message,
            },
        )

    def summary(self, part: Mapping[str, Any]) -> None:
        """Merges into the run's summary."""
        self._merge("summary", part)

    def buckets(self, part: Mapping[str, Any]) -> None:
        """Merges into the run's buckets."""
        self._merge("buckets", part)

    def options(self, part: Mapping[str, Any]) -> None:
        """Merges into the run's options."""
        self._merge("options", part)

    def watermark(self, at: dt.datetime) -> None:
        """Notes the source's clock at the start of reading, once."""
        self._check_held()
        self.session.execute(
            text("UPDATE data_migration SET watermark = coalesce(watermark, :at) WHERE id = :id"),
            {"id": self._store.run_id, "at": at},
        )

    def _check_held(self) -> None:
        if not self._of_run:
            raise BugError("A commit changes the run's row without having asked for it (of_run).")

    def _merge(self, column: str, part: Mapping[str, Any]) -> None:
        self._check_held()
        self.session.execute(
            text(
                f"UPDATE data_migration SET {column} = {column} || CAST(:part AS jsonb)"
                " WHERE id = :id"
            ),
            {"id": self._store.run_id, "part": orjson.dumps(dict(part)).decode()},
        )


_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-zA-Z]{15,18}\b|\d+")


def fingerprint(code: str, message: str) -> str:
    """Equal for refusals that differ in ids, numbers and quoted values only."""
    return hashlib.sha256(f"{code}:{_VALUES.sub('?', message)}".encode()).hexdigest()[:16]


def _sent(values: Mapping[str, Any] | None) -> str | None:
    if values is None:
        return None
    kept = {k: (v[:_SENT_CHARS] if isinstance(v, str) else v) for k, v in values.items()}
    # PostgreSQL's jsonb cannot hold NUL
    return orjson.dumps(kept).decode().replace("\\u0000", "")


def _step(row: Mapping[str, Any]) -> StepRow:
    return StepRow(
        id=row["id"],
        mapping_name=row["mapping_name"],
        phase=row["phase"],
        wave=row["wave"],
        position=row["position"],
        status=StepState(row["status"]),
        totals={name: int(row[name]) for name in TOTALS},
        cursor=row["cursor"],
    )


def _chunk(row: Mapping[str, Any]) -> ChunkRow:
    return ChunkRow(
        id=row["id"],
        step_id=row["step_id"],
        number=row["number"],
        state=ChunkState(row["state"]),
        api=row["api"],
        operation=row["operation"],
        job_id=row["job_id"],
        rows=row["rows"],
        page=row["spool_page"],
        attempt=row["attempt"],
        outcome=row["outcome"],
    )


def _taken_over() -> TakenOverError:
    return TakenOverError(
        "Another worker has taken this run over.",
        state="What this worker meant to write was not written.",
        next_step="Follow the run; nothing is to be done.",
        code=LEASE_HELD,
    )


def is_database_fault(fault: BaseException | None) -> bool:
    """The database was away or refused a statement: whoever comes next may have better luck."""
    return isinstance(fault, SQLAlchemyError | psycopg.Error)


def run_not_found(name: str) -> NotFoundError:
    """For callers that look a run up by its name."""
    return NotFoundError(f"There is no run {name!r}.", next_step="`runs list` shows them.")
