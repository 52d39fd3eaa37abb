"""What an org says of its objects: asked once, kept, asked again only whether it changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from core.domain.describe import SObject, parse_describe
from core.domain.ids import key_prefix
from core.errors import DailyLimitError, RefusedError, SessionLostError, TransientError
from core.salesforce.queries import RestApi
from core.salesforce.wire import Answer, Request, Wire

#: a describe younger than this is taken without asking
FRESH_FOR = timedelta(minutes=10)
#: an org that did not answer is not asked anew for so long where a kept copy will do
AWAY_FOR = timedelta(seconds=30)
#: describes asked for at the same time
PARALLEL = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedDescribe:
    """A describe answer as it came, with what is needed to ask whether it still holds."""

    #: object name; empty for the list of all objects
    sobject: str
    body: bytes
    etag: str = ""
    last_modified: str = ""
    #: when the org last said that it holds
    checked_at: datetime


class DescribeCache(Protocol):
    """Keeps describes of one org between processes."""

    def load(self, sobject: str) -> CachedDescribe | None:
        """What is kept of an object (empty name: the list of objects)."""
        ...

    def store(self, entry: CachedDescribe) -> None:
        """Keep it, in place of what was."""
        ...


class MemoryCache:
    """Keeps describes while the process lives."""

    def __init__(self) -> None:
        self._entries: dict[str, CachedDescribe] = {}

    def load(self, sobject: str) -> CachedDescribe | None:
        """See ``DescribeCache``."""
        return self._entries.get(sobject.lower())

    def store(self, entry: CachedDescribe) -> None:
        """See ``DescribeCache``."""
        self._entries[entry.sobject.lower()] = entry


@dataclass(frozen=True, slots=True, kw_only=True)
class SObjectSummary:
    """One line of the list of objects."""

    name: str
    label: str
    key_prefix: str | None
    custom: bool
    custom_setting: bool
    createable: bool
    updateable: bool
    deletable: bool
    queryable: bool
    replicateable: bool
    deprecated_and_hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of an object."""

    sobject: SObject
    #: None: it holds; else when the org, which does not answer now, last said that it holds
    since: datetime | None = None


class Describes:
    """Describes of one org. Thread-safe."""

    def __init__(
        self,
        wire: Wire,
        api: Callable[[], RestApi],
        *,
        cache: DescribeCache,
        clock: Callable[[], datetime],
    ) -> None:
        self._wire = wire
        self._api = api
        self._cache = cache
        self._clock = clock
        self._parsed: dict[str, tuple[bytes, SObject]] = {}
        self._lock = threading.Lock()
        self._away_until: datetime | None = None
        self._away: TransientError | SessionLostError | None = None

    def all_objects(self, *, refresh: bool = False) -> tuple[SObjectSummary, ...]:
        """Every object the user may see. Cost: one call, or none while fresh."""
        document = orjson.loads(self._body("", refresh=refresh))
        return tuple(_summary(item) for item in document["sobjects"])

    def by_object(self, ids: Iterable[str]) -> dict[str, list[str]]:
        """Record ids by the object that they are of; those of no object that is seen are left out.

        Cost: as `all_objects`.
        """
        names = {one.key_prefix: one.name for one in self.all_objects() if one.key_prefix}
        found: dict[str, list[str]] = {}
        for record_id in ids:
            if name := names.get(key_prefix(record_id)):
                found.setdefault(name, []).append(record_id)
        return found

    def one(self, sobject: str, *, refresh: bool = False) -> SObject:
        """One object with its fields; ``refresh`` asks the org even while the copy is fresh.

        Raises:
            RefusedError: no such object, or hidden from this user.
        """
        return self._parsed_once(sobject, self._body(sobject, refresh=refresh))

    def known(self, sobject: str) -> Known:
        """As `one`; of an org that does not answer, the copy that is kept, however old it is.

        For who looks at a plan or edits it; what sends rows asks for what holds.

        Raises:
            RefusedError: as `one`. TransientError, SessionLostError: no copy is kept either.
        """
        kept, now = self._cache.load(sobject), self._clock()
        is_away = self._away_until is not None and now < self._away_until
        if kept is None and is_away and self._away is not None:
            raise self._away  # a page of fifty objects would wait fifty times
        if kept is None or not is_away or _is_fresh(kept, now):
            try:
                return Known(sobject=self.one(sobject))
            except (TransientError, SessionLostError) as problem:
                # the waiting itself took time: counted from its end
                self._away, self._away_until = problem, self._clock() + AWAY_FOR
                if kept is None:
                    raise
        return Known(sobject=self._parsed_once(sobject, kept.body), since=kept.checked_at)

    def _parsed_once(self, sobject: str, body: bytes) -> SObject:
        with self._lock:
            known = self._parsed.get(sobject.lower())
        if known is not None and known[0] is body:
            return known[1]
        parsed = parse_describe(orjson.loads(body))
        with self._lock:
            self._parsed[sobject.lower()] = (body, parsed)
        return parsed

    def many(self, names: Sequence[str], *, refresh: bool = False) -> Iterator[SObject]:
        """The objects as their answers arrive (any order), asked for in parallel.

        The first refusal ends it: what was asked for already is still answered and kept.
        """
        for _, answer in self.each(names, refresh=refresh):
            if isinstance(answer, RefusedError):
                raise answer
            yield answer

    def each(
        self, names: Sequence[str], *, refresh: bool = False
    ) -> Iterator[tuple[str, SObject | RefusedError]]:
        """Each name with its object, or with why the org refused it; in any order, in parallel.

        Raises:
            SessionLostError, DailyLimitError, TransientError: no object would be answered.
        """
        with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
            asked = {pool.submit(self.one, name, refresh=refresh): name for name in names}
            try:
                for done in as_completed(asked):
                    yield asked[done], _answer_of(done)
            finally:
                for waiting in asked:
                    waiting.cancel()

    def _body(self, sobject: str, *, refresh: bool) -> bytes:
        kept = self._cache.load(sobject)
        now = self._clock()
        if kept is not None and not refresh and _is_fresh(kept, now):
            return kept.body
        answer = self._ask(sobject, kept)
        if answer.status == 304 and kept is not None:
            entry = replace(kept, checked_at=now)
        else:
            entry = CachedDescribe(
                sobject=sobject,
                body=answer.body,
                etag=answer.headers.get("ETag", ""),
                last_modified=answer.headers.get("Last-Modified", ""),
                checked_at=now,
            )
        self._cache.store(entry)
        return entry.body

    def _ask(self, sobject: str, kept: CachedDescribe | None) -> Answer:
        headers = {}
        if kept is not None and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        tail = f"sobjects/{quote(sobject, safe='')}/describe" if sobject else "sobjects"
        request = Request(
            method="GET",
            path=self._api().path(tail),  # negotiated by a call, which an org that is away refuses
            headers=headers,
            facts={"sobject": sobject} if sobject else {},
            accept=frozenset({304}),
        )
        try:
            return self._wire.fetch(request, _checked)
        except RefusedError as refusal:
            if not sobject or refusal.fact("status") != 404:
                raise
            raise _no_object(sobject, refusal) from refusal


def _is_fresh(kept: CachedDescribe, now: datetime) -> bool:
    return now - kept.checked_at < FRESH_FOR


def _no_object(sobject: str, refusal: RefusedError) -> RefusedError:
    """The org's own words for this name no object."""
    named = RefusedError(
        f"The org has no object {sobject:.80}, or the connected user may not see it.",
        next_step="Check the API name and the user's permissions on the object.",
    )
    named.facts.update(refusal.facts)
    return named


def _answer_of(done: Future[SObject]) -> SObject | RefusedError:
    """A refusal of this object is its answer; one that holds for all of them is raised."""
    try:
        return done.result()
    except (SessionLostError, DailyLimitError):
        raise
    except RefusedError as refusal:
        return refusal


def _checked(answer: Answer) -> Answer:
    if answer.status != 304:
        answer.json()
    return answer


def _summary(item: dict[str, Any]) -> SObjectSummary:
    return SObjectSummary(
        name=str(item["name"]),
        label=str(item.get("label") or item["name"]),
        key_prefix=item.get("keyPrefix"),
        custom=bool(item.get("custom")),
        custom_setting=bool(item.get("customSetting")),
        createable=bool(item.get("createable")),
        updateable=bool(item.get("updateable")),
        deletable=bool(item.get("deletable")),
        queryable=bool(item.get("queryable")),
        replicateable=bool(item.get("replicateable")),
        deprecated_and_hidden=bool(item.get("deprecatedAndHidden")),
    )
