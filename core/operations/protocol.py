"""What an operation is: its parameters, what it does with them, and who may.

    Operation(kind, title, purpose, parameters, carry, log_table, role)
         └ carry(context, parameters) ─▶ Report(result, message, partial)

``carry`` knows orgs, plans and the database through its context only, so that the same function
runs in a worker, in a terminal and in a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from core.domain.plan import Plan
from core.domain.roles import Role
from core.salesforce.source import RowSource
from core.spool import RunSpool

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Parameters(BaseModel):
    """Base of every operation's parameters: plain JSON, unknown names refused, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class OrgAccess:
    """A registered org, or a set of files, in the hands of an operation that reads it."""

    id: UUID
    name: str
    #: 18-character Organization Id
    organization_id: str
    client: RowSource


class StoppedError(Exception):
    """The operation was asked to stop and did, at a checkpoint; nothing is half done."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that an operation left to be fetched."""

    file_name: str
    bytes: int
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run that an operation asks for: records of the target by id, and what becomes of them."""

    #: of the set of ids and of the plan
    name: str
    plan: Plan
    #: the one table of the set, and its one column
    table: str
    column: str
    ids: tuple[str, ...]
    confirm: str
    reason: str


class OperationContext(Protocol):
    """What an operation may use."""

    @property
    def workspace_id(self) -> UUID:
        """Whose rows are visible."""
        ...

    @property
    def clock(self) -> Callable[[], datetime]:
        """Aware UTC now."""
        ...

    def org(self, name_or_id: str) -> OrgAccess:
        """A registered org by name or id.

        Raises:
            NotFoundError: no such org in the workspace.
        """
        ...

    def plan(self, name: str) -> Plan:
        """The present draft of a plan by name.

        Raises:
            NotFoundError: no such plan in the workspace.
        """
        ...

    def session(self) -> AbstractContextManager[Session]:
        """One transaction on the workspace's rows."""
        ...

    def spool(self, owner_id: UUID, wrapped_key: str) -> RunSpool:
        """The sealed pages of a run or a set of files."""
        ...

    def keep_file(self, file_name: str, pieces: Iterable[tuple[bytes, int]]) -> WrittenFile:
        """Seal a file under this launch, while its pieces (bytes, rows in them) are made."""
        ...

    def progress(self, message: str, **facts: Any) -> None:
        """Tell those who watch how far it is; raises StoppedError when asked to stop."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """How an operation ended."""

    #: nested, JSON-able; kept in the log row
    result: Mapping[str, Any]
    #: one sentence for the list
    message: str
    #: some of it could not be done; the result says what
    partial: bool = False
    #: values for further columns of the operation's own log table
    columns: Mapping[str, Any] = field(default_factory=dict)
    #: what it asks for beyond reading: whoever carries the operation launches it
    run: PlannedRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that can be launched."""

    #: name in addresses, commands and logs: ``record_counts``
    kind: str
    title: str
    #: one sentence: what it is for
    purpose: str
    parameters: type[Parameters]
    carry: Callable[[OperationContext, Any], Report]
    log_table: str
    role: Role = Role.ANALYST
    #: it changes an org: its parameters name a plan, whose target is the org, and carry
    #: ``confirm`` and ``reason``; confirmation and approval apply
    writes: bool = False
    #: it deletes records: confirmed in every org
    deletes: bool = False
    #: it leaves a file to be fetched
    keeps_file: bool = False
