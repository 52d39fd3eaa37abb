"""One org, as the rest of Orgbridge sees it.

Thread-safe; one per org and process. Records cross this border as plain values and frames of text,
refusals as the error tree, secrets not at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from time import sleep as real_sleep
from typing import TYPE_CHECKING, Any

import polars as pl

from core.domain.describe import SObject
from core.errors import OrgbridgeError, RefusedError
from core.salesforce import faults, flows, identity, queries, records, soap
from core.salesforce.bulk import Bulk
from core.salesforce.credentials import Credentials
from core.salesforce.describes import DescribeCache, Describes, Known, MemoryCache, SObjectSummary
from core.salesforce.identity import OrgIdentity, UserPermissions
from core.salesforce.queries import RestApi
from core.salesforce.records import Graph, GraphOutcome, RowOutcome, WriteOptions
from core.salesforce.retry import OF_A_RUN, Patience, PollPolicy
from core.salesforce.session import Guard, OnToken, Session, unguarded
from core.salesforce.tokens import TokenEndpoint
from core.salesforce.usage import ApiUsage
from core.salesforce.wire import Wire

if TYPE_CHECKING:
    from simple_salesforce.api import Salesforce

#: from this many rows on a query goes as a bulk job: below, pages of 2,000 are sooner and cheaper
BULK_FROM_ROWS = 10_000


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


class OrgClient:
    """What can be asked of one org and written to it."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        on_token: OnToken | None = None,
        cache: DescribeCache | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = real_sleep,
        guard: Guard = unguarded,
        patience: Patience = OF_A_RUN,
        poll: PollPolicy | None = None,
        trusted_ca: str | None = None,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._poll = poll or PollPolicy()
        self._endpoint = TokenEndpoint(sleep=sleep, patience=patience, trusted_ca=trusted_ca)
        renew = partial(flows.renew, self._endpoint, clock=clock)
        self._session = Session(credentials, renew, on_token=on_token, guard=guard)
        self._cache = cache or MemoryCache()
        self._identity_lock = threading.Lock()
        #: rows of a scope as last counted: a large one is read by a job without a look at it first
        self._counted: dict[tuple[str, bool], int] = {}
        self.wire = Wire(self._session, sleep=sleep, patience=patience, trusted_ca=trusted_ca)

    def __repr__(self) -> str:
        return f"OrgClient({self._session.credentials.instance_url!r})"

    def close(self) -> None:
        """Close idle connections."""
        self.wire.close()

    @cached_property
    def api(self) -> RestApi:
        """Paths of the API version in use (negotiated at first need: one call without session)."""
        held = self._session.credentials
        return RestApi(
            flows.negotiated_version(self._endpoint, held.instance_url, wanted=held.api_version)
        )

    @cached_property
    def bulk(self) -> Bulk:
        """Bulk API 2.0 jobs."""
        return Bulk(
            wire=self.wire, api=self.api, clock=self._clock, sleep=self._sleep, poll=self._poll
        )

    @cached_property
    def collections(self) -> records.Collections:
        """sObject Collections and graphs."""
        return records.Collections(wire=self.wire, api=self.api)

    @cached_property
    def describes(self) -> Describes:
        """Describes, cached."""
        return Describes(self.wire, lambda: self.api, cache=self._cache, clock=self._clock)

    @cached_property
    def library(self) -> Salesforce:
        """simple-salesforce on this wire, for people's questions: its import takes 0.15 s and
        15 MB, which no run need pay."""
        from core.salesforce.library import library

        return library(self.wire, self.api.version)

    @property
    def identity(self) -> OrgIdentity:
        """Which org and who in it; asked once (two calls)."""
        with self._identity_lock:
            return self._identity

    @cached_property
    def _identity(self) -> OrgIdentity:
        return identity.identify(self.wire, self.api)

    @property
    def usage(self) -> ApiUsage:
        """API calls: ours and the org's count of everybody's."""
        return self.wire.meter.now

    def limits(self) -> Mapping[str, Mapping[str, int]]:
        """The org's limits by name: ``{"DailyApiRequests": {"Max": …, "Remaining": …}, …}``."""
        found: Mapping[str, Mapping[str, int]] = self.wire.get_json(self.api.path("limits"))
        return found

    def describe_global(self, *, refresh: bool = False) -> tuple[SObjectSummary, ...]:
        """Every object that the user may see."""
        return self.describes.all_objects(refresh=refresh)

    def describe(self, sobject: str, *, refresh: bool = False) -> SObject:
        """One object with its fields, from the cache while it is fresh."""
        return self.describes.one(sobject, refresh=refresh)

    def describe_known(self, sobject: str) -> Known:
        """See `Describes.known`."""
        return self.describes.known(sobject)

    def describe_many(self, names: Sequence[str], *, refresh: bool = False) -> Iterator[SObject]:
        """Objects as their answers arrive."""
        return self.describes.many(names, refresh=refresh)

    def query(self, soql: str, *, all_rows: bool = False) -> Iterator[dict[str, Any]]:
        """Rows over REST, with child rows complete and ``attributes`` stripped; for small sets."""
        return queries.rows(self.wire, self.api, soql, all_rows=all_rows)

    def count(self, soql: str) -> int:
        """The number a ``SELECT COUNT() FROM …`` gives."""
        return queries.count(self.wire, self.api, soql)

    def counts(self, soqls: Sequence[str], *, all_rows: bool = False) -> list[int | OrgbridgeError]:
        """Many counts, 25 to a request; an error stands where one was refused."""
        found = queries.counts(self.wire, self.api, soqls, all_rows=all_rows)
        for soql, answer in zip(soqls, found, strict=True):
            if isinstance(answer, int):
                self._counted[queries.scope_of(soql), all_rows] = answer
        return found

    def query_frames(
        self,
        soql: str,
        *,
        all_rows: bool = False,
        page_rows: int = 50_000,
        api: str = "auto",
        beat: Callable[[], None] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Rows as frames of text (dotted columns as written, null for blank); none for no rows.

        Args:
            api: ``bulk``, ``rest``, or ``auto``: REST up to 10,000 rows and for what bulk refuses;
                what was counted as larger before goes by bulk at once.
            beat: called while a job is awaited; what it raises ends the waiting.

        Cost: REST one call per 2,000 rows; bulk about five, polls and one per page.
        """
        bulk = partial(self._bulk_frames, soql, all_rows=all_rows, page_rows=page_rows, beat=beat)
        if api == "bulk":
            yield from bulk()
            return
        ask = partial(queries.first_page, self.wire, self.api, soql, all_rows=all_rows, exact=True)
        counted = self._counted.get((queries.scope_of(soql), all_rows), 0)
        known = api == "auto" and counted >= BULK_FROM_ROWS
        first = None if known else ask()
        large = first is None or int(first["totalSize"]) >= BULK_FROM_ROWS
        if api == "auto" and large and queries.is_bulk_fit(soql):
            try:
                yield from bulk()
                return
            except RefusedError as exc:
                if not faults.is_not_for_bulk(exc):
                    raise
        yield from queries.rest_frames(self.wire, first or ask(), soql)

    def create_records(
        self,
        sobject: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        all_or_none: bool = False,
        options: WriteOptions | None = None,
    ) -> list[RowOutcome]:
        """Insert ≤ 200 records in one call; outcomes in order.

        Raises:
            LostError: the answer was lost after the request went out.
        """
        given = options or WriteOptions()
        return self.collections.create(sobject, rows, all_or_none=all_or_none, options=given)

    def update_records(
        self,
        sobject: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        all_or_none: bool = False,
        options: WriteOptions | None = None,
    ) -> list[RowOutcome]:
        """Update ≤ 200 records by ``Id`` in one call; outcomes in order."""
        given = options or WriteOptions()
        return self.collections.update(sobject, rows, all_or_none=all_or_none, options=given)

    def upsert_records(
        self,
        sobject: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        key_field: str,
        all_or_none: bool = False,
        options: WriteOptions | None = None,
    ) -> list[RowOutcome]:
        """Upsert ≤ 200 records by ``key_field`` in one call; outcomes in order."""
        given = options or WriteOptions()
        return self.collections.upsert(
            sobject, key_field, rows, all_or_none=all_or_none, options=given
        )

    def delete_records(
        self,
        sobject: str,
        ids: Sequence[str],
        *,
        all_or_none: bool = False,
        options: WriteOptions | None = None,
    ) -> list[RowOutcome]:
        """Delete ≤ 200 records by id in one call; outcomes in order."""
        given = options or WriteOptions()
        return self.collections.delete(sobject, ids, all_or_none=all_or_none, options=given)

    def undelete(self, ids: Sequence[str]) -> list[RowOutcome]:
        """Bring ≤ 200 records back from the recycle bin; outcomes in order."""
        return soap.undelete(self.wire, self.api.version, ids) if ids else []

    def retrieve(
        self, sobject: str, ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """≤ 2,000 rows by id in one call; ids that are gone are left out."""
        return self.collections.retrieve(sobject, ids, fields)

    def composite_graph(
        self, graphs: Sequence[Graph], *, options: WriteOptions | None = None
    ) -> list[GraphOutcome]:
        """Write graphs of records, each wholly or not at all."""
        return self.collections.graphs(graphs, options=options or WriteOptions())

    def server_time(self) -> datetime:
        """The org's clock (SOAP getServerTimestamp, to the millisecond)."""
        return soap.server_time(self.wire, self.api.version)

    def tooling_query(self, soql: str) -> Iterator[dict[str, Any]]:
        """Rows of a tooling query."""
        return queries.rows(self.wire, replace(self.api, query_resource="tooling/query"), soql)

    def user_permissions(self) -> UserPermissions:
        """What the user may do org-wide; unknown where the user may not read permission sets."""
        try:
            known = frozenset(self.describe("PermissionSet").fields)
            return identity.permissions(
                self.wire, self.api, user_id=self.identity.user_id, known=known
            )
        except RefusedError as exc:
            if faults.ends_everything(exc):
                raise
            return UserPermissions()

    def _bulk_frames(
        self, soql: str, *, all_rows: bool, page_rows: int, beat: Callable[[], None] | None
    ) -> Iterator[pl.DataFrame]:
        columns = queries.frame_columns(soql)
        read = self.bulk.query_frames(soql, all_rows=all_rows, page_rows=page_rows, beat=beat)
        for frame in read:
            # the org writes its own spelling of the names; callers know the query's
            named = len(columns) == frame.width
            yield frame.rename(dict(zip(frame.columns, columns, strict=True))) if named else frame
