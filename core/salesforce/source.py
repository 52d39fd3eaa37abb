"""What the engine and the checks ask of a source of rows, whatever it is: an org, or files.

Two implementations are shipped: `core.salesforce.client.OrgClient` and
`core.files.source.FileSource`. Whoever only reads a source takes this port; whoever writes takes
the client of an org.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from core.domain.describe import SObject
from core.errors import OrgbridgeError
from core.salesforce.describes import Known, SObjectSummary
from core.salesforce.identity import OrgIdentity, UserPermissions
from core.salesforce.usage import ApiUsage


class RowSource(Protocol):
    """Describes, queries and counts; every row has a stable 18-character ``Id``."""

    @property
    def identity(self) -> OrgIdentity:
        """What it is; links are kept under its organization id."""
        ...

    @property
    def usage(self) -> ApiUsage:
        """Calls made so far."""
        ...

    def server_time(self) -> datetime:
        """The source's own clock, aware UTC."""
        ...

    def user_permissions(self) -> UserPermissions:
        """What we may see."""
        ...

    def describe_global(self, *, refresh: bool = False) -> tuple[SObjectSummary, ...]:
        """Every object in a line."""
        ...

    def describe(self, sobject: str, *, refresh: bool = False) -> SObject:
        """One object; raises RefusedError where there is none."""
        ...

    def describe_known(self, sobject: str) -> Known:
        """As `describe`; of an org that does not answer, the copy that is kept, with its age."""
        ...

    def describe_many(self, names: Sequence[str], *, refresh: bool = False) -> Iterator[SObject]:
        """The objects that there are."""
        ...

    def query(self, soql: str, *, all_rows: bool = False) -> Iterator[dict[str, Any]]:
        """Rows as values; for small sets and groupings."""
        ...

    def query_frames(
        self,
        soql: str,
        *,
        all_rows: bool = False,
        page_rows: int = 50_000,
        api: str = "auto",
        beat: Callable[[], None] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Rows as frames of text, streamed; none for no rows.

        Args:
            beat: called while the source makes one wait; what it raises ends the reading.
        """
        ...

    def count(self, soql: str) -> int:
        """The number that a ``SELECT COUNT() FROM …`` gives."""
        ...

    def counts(self, soqls: Sequence[str], *, all_rows: bool = False) -> list[int | OrgbridgeError]:
        """Many counts; an error stands where one was refused."""
        ...

    def retrieve(
        self, sobject: str, ids: Sequence[str], fields: Sequence[str]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Rows by id; those that are not there are left out."""
        ...
