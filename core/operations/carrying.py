"""Carries one operation from its log row to its end: the same in a worker and in a terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from core.db import kept_files, operation_logs, orgs, plans
from core.domain.plan import Plan, plan_from_document
from core.errors import BugError, NotFoundError, OrgbridgeError
from core.files.archive import keep_pieces
from core.operations import registry
from core.operations.protocol import OrgAccess, PlannedRun, Report, StoppedError, WrittenFile

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge
    from core.spool import RunSpool

log = logging.getLogger(__name__)


class Start(Protocol):
    """Makes and queues the run that an operation asks for; its id and name.

    A second call for the same log entry gives the run of the first.
    """

    def __call__(
        self, bridge: Orgbridge, workspace_id: UUID, log_id: UUID, /, *, by: str, run: PlannedRun
    ) -> tuple[UUID, str]: ...


def carry(
    bridge: Orgbridge,
    workspace_id: UUID,
    log_id: UUID,
    *,
    kind: str,
    start: Start | None = None,
    stop: Callable[[], bool] = lambda: False,
    hands_over: Callable[[], bool] = lambda: False,
) -> str:
    """Do what a log row asks for and write into it how it ended; the row's status.

    A row that has ended is left as it is, so that a job carried twice does nothing twice. One that
    was stopped while ``hands_over`` says so is ``pending`` again, for another worker.

    Raises:
        OrgbridgeError: why it failed; the row says so as well.
    """
    operation = registry.operation(kind)
    table = operation.log_table
    with bridge.session(workspace_id) as session:
        row = operation_logs.begin(session, table, log_id=log_id, now=bridge.clock())
    if row is None:
        with bridge.session(workspace_id) as session:
            return operation_logs.entry(session, table, log_id=log_id).status
    context = BridgeContext(
        bridge,
        workspace_id,
        stop,
        table=table,
        log_id=log_id,
        kind=kind,
        by=row.requested_by,
    )
    try:
        report = operation.carry(context, operation.parameters.model_validate(row.parameters))
        if report.run is not None:
            report = _started(context, report, start, by=row.requested_by)
    except StoppedError:
        if hands_over():
            context.put_back()
            return "pending"
        context.finish("cancelled", Report({}, "Stopped before its end."))
        return "cancelled"
    except OrgbridgeError as exc:
        context.finish("failed", Report({}, exc.happened), error=str(exc))
        raise
    status = "partial" if report.partial else "succeeded"
    context.finish(status, report)
    log.info("operation ended", extra={"kind": kind, "status": status, "log": str(log_id)})
    return status


def fail(bridge: Orgbridge, workspace_id: UUID, log_id: UUID, *, kind: str, reference: str) -> None:
    """Close the log row of an operation that met a defect; one that has ended stays as it is."""
    table = registry.operation(kind).log_table
    told = f"Something went wrong on our side; Errors holds it under the reference {reference}."
    values = {
        "status": "failed",
        "message": "Something went wrong on our side.",
        "error_message": told,
        "finished_at": bridge.clock(),
    }
    with bridge.session(workspace_id) as session:
        if operation_logs.entry(session, table, log_id=log_id).finished_at is None:
            operation_logs.finish(session, table, log_id=log_id, values=values)


def _started(context: BridgeContext, report: Report, start: Start | None, *, by: str) -> Report:
    """Launches the run that a report asks for, and says so in it."""
    if start is None or report.run is None:
        raise BugError("An operation asked for a run where none can be launched.")
    run_id, name = context.started(start, report.run, by=by)
    return replace(
        report,
        result={**report.result, "run": name},
        message=f"{report.message} The run {name} does it.",
        columns={**report.columns, "run_id": run_id},
    )


class BridgeContext:
    """An operation's view of the product."""

    def __init__(
        self,
        bridge: Orgbridge,
        workspace_id: UUID,
        stop: Callable[[], bool],
        *,
        table: str = "",
        log_id: UUID | None = None,
        kind: str = "",
        by: str = "",
    ) -> None:
        self.workspace_id = workspace_id
        self._kind = kind
        self._by = by
        self.clock: Callable[[], datetime] = bridge.clock
        self._bridge = bridge
        self._stop = stop
        self._table = table
        self._log_id = log_id

    @classmethod
    def reading(cls, bridge: Orgbridge, workspace_id: UUID) -> BridgeContext:
        """A view without a log row: for what only reads and is not logged as an operation."""
        return cls(bridge, workspace_id, lambda: False)

    def org(self, name_or_id: str) -> OrgAccess:
        """A registered org by name or id."""
        with self.session() as session:
            found = orgs.org_named(session, name_or_id)
            if found is None and _is_uuid(name_or_id):
                found = orgs.org_row(session, UUID(name_or_id))
        if found is None:
            raise NotFoundError(
                f"There is no org {name_or_id!r} in this workspace.",
                next_step="`orgs list` shows the registered orgs.",
            )
        client = self._bridge.row_source(self.workspace_id, found.id)
        return OrgAccess(
            found.id, found.name, found.org_id or client.identity.organization_id, client
        )

    def plan(self, name: str) -> Plan:
        """The present draft of a plan by name."""
        with self.session() as session:
            return plan_from_document(plans.plan_draft(session, name=name).document)

    def session(self) -> AbstractContextManager[Session]:
        """One transaction on the workspace's rows."""
        return self._bridge.session(self.workspace_id)

    def spool(self, owner_id: UUID, wrapped_key: str) -> RunSpool:
        """The sealed pages of a run or a set of files."""
        return self._bridge.spool.run(owner_id, wrapped_key)

    def keep_file(self, file_name: str, pieces: Iterable[tuple[bytes, int]]) -> WrittenFile:
        """Seal a file under this launch; a launch that is carried again writes it anew."""
        if self._log_id is None:
            raise BugError("A file can be kept by a launched operation only.")
        key = self._bridge.spool.new_wrapped_key()
        begun = {"kind": self._kind, "file_name": file_name, "wrapped_key": key}
        with self.session() as session:
            kept_files.begin(session, self._log_id, {**begun, "created_by": self._by})
        rows = 0

        def counted() -> Iterable[bytes]:
            nonlocal rows
            for content, number in pieces:
                rows += number
                self.progress(f"{rows:,} rows written.")
                yield content

        kept = keep_pieces(self.spool(self._log_id, key), counted())
        figures = {"pieces": kept.pieces, "bytes": kept.size, "sha256": kept.sha256, "rows": rows}
        with self.session() as session:
            kept_files.finish(session, self._log_id, figures)
        return WrittenFile(file_name, kept.size, rows, kept.sha256)

    def started(self, start: Start, run: PlannedRun, *, by: str) -> tuple[UUID, str]:
        """Launch a run for this log entry."""
        if self._log_id is None:
            raise BugError("A run can be asked for by a launched operation only.")
        return start(self._bridge, self.workspace_id, self._log_id, by=by, run=run)

    def progress(self, message: str, **facts: Any) -> None:
        """Write how far it is into the log row; stop here when asked to."""
        if self._stop():
            raise StoppedError(message)
        if self._log_id is None:
            return
        with self.session() as session:
            noted = operation_logs.note(session, self._table, log_id=self._log_id, message=message)
        if not noted:  # somebody stopped it from a page
            raise StoppedError(message)
        log.info(message, extra=facts)

    def put_back(self) -> None:
        """Make the row pending again: another worker begins anew."""
        if self._log_id is None:
            return
        values = {"status": "pending", "message": "Waits for another worker."}
        with self.session() as session:
            operation_logs.finish(session, self._table, log_id=self._log_id, values=values)

    def finish(self, status: str, report: Report, *, error: str | None = None) -> None:
        """Close the log row."""
        if self._log_id is None:
            return
        with self.session() as session:
            operation_logs.finish(
                session,
                self._table,
                log_id=self._log_id,
                values={
                    "status": status,
                    "message": report.message,
                    "result": report.result,
                    "error_message": error,
                    "finished_at": self.clock(),
                    **report.columns,
                },
            )


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
