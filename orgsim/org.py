"""One running practice org: its home folder, store, schema, people, clock, faults and jobs.

Org.open(home, …)  makes the org on first use, finds it again afterwards; the composition root
of the package.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orgsim import birth
from orgsim.auth.grants import Grants
from orgsim.auth.sessions import Session, Sessions
from orgsim.bulk.office import Office
from orgsim.clock import Clock
from orgsim.dml.outcomes import Outcomes
from orgsim.dml.rulebook import check_formulas
from orgsim.dml.save import OrgFacts, Save, SaveOptions
from orgsim.faults.book import FaultBook
from orgsim.faults.latency import Latency
from orgsim.schema import access, build
from orgsim.schema.model import Schema
from orgsim.store import Store, Transaction
from orgsim.store.ids import make_ids
from orgsim.store.rows import first_row
from orgsim.store.store import first_number
from orgsim.usage import Usage

#: Rows of these decide what a user sees; a change empties the cache of views.
_ACCESS_OBJECTS = frozenset({"FieldPermissions", "PermissionSet", "PermissionSetAssignment",
                             "Profile", "User", "ObjectPermissions"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    """What an org is called and how it makes ids."""

    name: str
    pod: str
    organization_id: str
    access_token: str
    user_id: str
    client_id: str
    client_secret: str


class Org:
    """The org behind one server. Thread-safe."""

    def __init__(self, home: Path, store: Store, identity: Identity, clock: Clock) -> None:
        self.home = home
        self.store = store
        self.identity = identity
        self.clock = clock
        #: Settings a test or a schema file may change while the org runs.
        self.options: dict[str, Any] = {}
        #: ``http://127.0.0.1:port``; known when the server listens.
        self.url = ""
        self.sessions = Sessions(store, identity.organization_id, clock.now)
        self.usage = Usage(store, clock)
        self.faults = FaultBook(home)
        self.latency = Latency(self.options)
        self._views: dict[str, Schema] = {}
        self._permissions: dict[str, frozenset[str]] = {}
        self._views_lock = threading.Lock()
        self.document: dict[str, Any] = store.document("schema")
        self.schema = build.schema_of(self.document)
        self.options.update(self.document["org"].get("options") or {})
        self.schema_changed_at = clock.now()
        store.listeners.append(self._forget_views)
        store.fit(self.schema)
        self.grants = Grants(self)
        self.bulk = Office(self)

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        name: str,
        given: Callable[[], Mapping[str, Any]],
        first_load: Callable[[Save], None] | None = None,
    ) -> Org:
        """The org of a home folder. ``given`` (a parsed schema file) and ``first_load`` serve a new
        one."""
        home.mkdir(parents=True, exist_ok=True)
        store = Store(home / "org.duckdb")
        clock = Clock()
        known = store.document("identity")
        if known is None:
            known = _create(store, clock, name=name, given=given(), first_load=first_load)
        else:
            birth.sign(store, store.document("schema")["org"])
        return cls(home, store, Identity(**known), clock)

    @property
    def pod(self) -> str:
        """The two characters that tell this org's ids from another's."""
        return self.identity.pod

    def first_number(self, counter: str) -> int:
        """Where the counter of that name begins in this org."""
        return first_number(self.identity.organization_id, counter)

    @property
    def facts(self) -> OrgFacts:
        """What a save must know of the org."""
        return facts_of(self.document, self.identity.organization_id, pod=self.pod)

    def session_of(self, token: str) -> Session | None:
        """The live session of an access token."""
        return self.sessions.find(token)

    def permissions_of(self, user_id: str) -> frozenset[str]:
        """User permissions, such as ``ModifyAllData``, from the profile and assigned permission
        sets."""
        found = self._permissions.get(user_id)
        if found is None:
            # read and kept under the lock: a change that is committed meanwhile empties it after us
            with self._views_lock, self.store.read() as cursor:
                found = access.permissions(cursor, user_id)
                self._permissions[user_id] = found
        return found

    def schema_for(self, user_id: str) -> Schema:
        """The schema as the user sees it: hidden fields absent, read-only ones marked."""
        found = self._views.get(user_id)
        if found is None:
            with self._views_lock, self.store.read() as cursor:
                found = access.view(self.schema, cursor, user_id)
                self._views[user_id] = found
        return found

    def save(
        self,
        *,
        user_id: str,
        options: SaveOptions | None = None,
        before_commit: Callable[[Transaction, Outcomes], None] | None = None,
    ) -> Save:
        """The right of a user to save rows now."""
        return Save(
            store=self.store, schema=self.schema_for(user_id), full=self.schema, user_id=user_id,
            now=self.clock.now(), facts=self.facts, permissions=self.permissions_of(user_id),
            options=options or SaveOptions(), before_commit=before_commit,
            faults=self.faults.rows, rows_left=self._rows_left,
        )  # fmt: skip

    def storage_mb(self) -> tuple[int, int]:
        """Allowed and used data storage: 2 KB a row, as Salesforce counts most objects."""
        return self.usage.storage_mb, rows_stored(self.store, self.schema) * 2 // 1024

    def _rows_left(self) -> int:
        allowed, used = self.storage_mb()
        return (allowed - used) * 512

    def change_schema(self, document: dict[str, Any]) -> None:
        """Puts a new metadata document in force, durably."""
        schema = build.schema_of(document)
        with self.store.write():
            self.store.put_document("schema", document)
            self.store.fit(schema)
        self.document, self.schema = document, schema
        self.schema_changed_at = self.clock.now()
        self._forget_views({"FieldPermissions"})

    def _forget_views(self, touched: set[str]) -> None:
        if touched & _ACCESS_OBJECTS:
            with self._views_lock:
                self._views.clear()
                self._permissions.clear()

    def close(self) -> None:
        """Stops using the store."""
        self.usage.keep()
        self.store.close()


def facts_of(document: Mapping[str, Any], organization_id: str, *, pod: str) -> OrgFacts:
    """The facts of an org out of its metadata document."""
    described = document["org"]
    multi = "multi_currency" in (described.get("features") or ())
    return OrgFacts(
        organization_id=organization_id, pod=pod,
        countries=described.get("countries") or {},
        currencies=tuple(described.get("currencies") or {"USD": 1}) if multi else (),
    )  # fmt: skip


#: Objects whose rows take no data storage. Source: "Data and File Storage Allocations".
_WEIGHTLESS = frozenset({"Product2", "Pricebook2", "PricebookEntry", "Asset", "User", "Profile",
                         "PermissionSet", "RecordType", "Group", "GroupMember", "QueueSobject",
                         "Organization", "UserRole"})  # fmt: skip


def rows_stored(store: Store, schema: Schema) -> int:
    """How many rows count against data storage."""
    names = [name for name in schema.sobjects if name not in _WEIGHTLESS]
    with store.read() as cursor:
        found = first_row(
            cursor.execute(
                "SELECT coalesce(sum(estimated_size), 0) FROM duckdb_tables() WHERE "
                "list_contains(?, table_name)",
                [names],
            )
        )
    return int(found[0]) if found else 0


def _create(
    store: Store,
    clock: Clock,
    *,
    name: str,
    given: Mapping[str, Any],
    first_load: Callable[[Save], None] | None,
) -> dict[str, Any]:
    """Makes the org in one transaction: a crash half-way leaves nothing, and the next start begins
    again."""
    made = birth.identity(name)
    document = build.document(given)
    document["org"]["name"] = name
    birth.assign_prefixes(document, made["custom_prefix_start"])
    organization_id, pod = made["organization_id"], made["pod"]
    birth.assign_record_types(document, pod, first_number(organization_id, "012"))
    schema = build.schema_of(document)
    check_formulas(schema)
    with store.write():
        store.put_document("schema", document)
        store.fit(schema)
        save = Save(store=store, schema=schema, full=schema, user_id="", now=clock.now(),
                    facts=facts_of(document, organization_id, pod=pod))  # fmt: skip
        with store.write():
            creator = str(
                make_ids("005", pod, first=first_number(organization_id, "005"), count=1)[0]
            )
        save = replace(save, user_id=creator)
        host = organization_id[:15].lower()
        administrator = {"username": f"admin@{host}.practice.example", "first": "Practice",
                         "last": "Administrator", "alias": "admin"}  # fmt: skip
        user_id = birth.first_rows(save, document, administrator=administrator)
        if first_load is not None:
            first_load(replace(save, user_id=user_id))
        sessions = Sessions(store, organization_id, clock.now)
        known = {
            "name": name, "pod": pod, "organization_id": organization_id, "user_id": user_id,
            "access_token": sessions.issue(user_id, lasting=True),
            "client_id": f"3MVG9{secrets.token_urlsafe(60)}",
            "client_secret": secrets.token_hex(32).upper(),
        }  # fmt: skip
        store.put_document("identity", known)
    return known
