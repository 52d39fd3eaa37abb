"""From a registered org's ciphertexts to a living client, and back when its tokens change.

registered_org (ciphertext) ──vault──▶ Credentials ──▶ OrgClient
       ▲                                                 │ 401: one renewal at a time
       └──────────── new tokens, status ◀────────────────┘
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from core import notices
from core.db import file_sets, orgs
from core.db.orgs import OrgRow, StoredDescribe, StoredSecrets
from core.errors import SessionLostError, UserError, sentences
from core.notices.events import Notice, NoticeEvent
from core.salesforce.client import OrgClient
from core.salesforce.credentials import NOTHING, Credentials
from core.salesforce.describes import CachedDescribe
from core.secret import Secret

if TYPE_CHECKING:
    from core.access.secrets import Vault
    from core.bootstrap import Orgbridge
    from core.files.source import FileSource

log = logging.getLogger(__name__)


#: who we are in an org, and which org that is; equal while only tokens were renewed
Identity = tuple[str | None, ...]


def identity_of(bridge: Orgbridge, workspace_id: UUID, org_id: UUID) -> Identity:
    """Changes when a person reconnects the org as somebody else or to somewhere else.

    Raises:
        NotFoundError: no such org in the workspace.
    """
    with bridge.session(workspace_id) as session:
        return orgs.identity(session, org_id)


def open_client(bridge: Orgbridge, workspace_id: UUID, org_id: UUID) -> OrgClient:
    """A client of a registered org; its renewed tokens and its describes are stored.

    Raises:
        NotFoundError: no such org in the workspace.
        ConfigError: its secrets cannot be decrypted.
    """
    place = _Place(bridge, workspace_id, org_id)
    held = place.stored()
    return OrgClient(
        held,
        on_token=place.store,
        guard=place.guard,
        cache=KeptDescribes(place, held.api_version),
        clock=bridge.clock,
        sleep=bridge.sleep,
        patience=bridge.patience,
    )


def open_files(bridge: Orgbridge, workspace_id: UUID, org_id: UUID) -> FileSource | None:
    """The files that a source stands for; None where it is an org.

    Raises:
        UserError: the files were not read yet.
    """
    with bridge.session(workspace_id) as session:
        row = file_sets.of_source(session, org_id)
    if row is None:
        return None
    if row.status != "read":
        raise UserError(
            f"The files {row.name} have not been read yet.",
            next_step="Read them on the page CSV import, or wait until that is done.",
        )
    from core.files.source import FileSource  # with the first files: orgs need not wait for it
    from core.files.tables import TableSpec

    kept = row.document
    return FileSource(
        bridge.spool.run(row.id, row.wrapped_key),
        [TableSpec.model_validate(one) for one in kept["tables"]],
        pages={one["object"]: int(one["pages"]) for one in kept["read"]},
        name=row.name,
        organization_id=row.organization_id,
        clock=bridge.clock,
    )


def sealed(vault: Vault, held: Credentials) -> dict[str, Any]:
    """Column values of registered_org for these credentials, encrypted."""
    rest = replace(held, access_token=NOTHING, refresh_token=NOTHING)
    refresh = held.refresh_token.reveal()
    return {
        "access_token": vault.encrypt(held.access_token.reveal()),
        "refresh_token": vault.encrypt(refresh) if refresh else None,
        "credentials": vault.encrypt(rest.to_document()),
    }


def opened(vault: Vault, stored: StoredSecrets) -> Credentials:
    """Inverse of `sealed`.

    Raises:
        ConfigError: the vault's keys do not open them.
    """
    if stored.credentials is None:
        rest = Credentials(instance_url=stored.instance_url)
    else:
        rest = Credentials.from_document(vault.decrypt(stored.credentials))
    refresh = stored.refresh_token
    return replace(
        rest,
        instance_url=stored.instance_url,
        access_token=Secret(vault.decrypt(stored.access_token)),
        refresh_token=Secret(vault.decrypt(refresh)) if refresh else NOTHING,
    )


def credentials_of(bridge: Orgbridge, workspace_id: UUID, org_id: UUID) -> Credentials:
    """The stored credentials of an org, in clear: for revoking and reconnecting only."""
    return _Place(bridge, workspace_id, org_id).stored()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one org's row lies; every method is a transaction of its own."""

    bridge: Orgbridge
    workspace_id: UUID
    org_id: UUID

    def stored(self) -> Credentials:
        with self.bridge.session(self.workspace_id) as session:
            return opened(self.bridge.vault, orgs.secrets_of(session, self.org_id))

    def store(self, renewed: Credentials) -> None:
        """Keep renewed tokens at once: a rotated refresh token exists nowhere else."""
        values = sealed(self.bridge.vault, renewed)
        values |= {"status": "connected", "status_reason": None}
        with self.bridge.session(self.workspace_id) as session:
            orgs.change_org(session, self.org_id, values)

    def note_lost(self, lost: SessionLostError) -> None:
        with self.bridge.session(self.workspace_id) as session:
            values = {"status": "session_expired", "status_reason": lost.happened}
            known = orgs.org_row(session, self.org_id)
            orgs.change_org(session, self.org_id, values)
            if known.status != "session_expired":
                notices.tell(session, _session_notice(known, lost))
        log.warning("org session lost", extra={"org": str(self.org_id)})

    @contextmanager
    def guard(self) -> Iterator[Credentials]:
        """One renewal at a time over all processes; yields what is stored by now."""
        with self.bridge.session(self.workspace_id) as session:
            orgs.lock_token_refresh(session, self.org_id)
            stored = opened(self.bridge.vault, orgs.secrets_of(session, self.org_id))
            try:
                yield stored
            except SessionLostError as lost:
                self.note_lost(lost)
                raise


def _session_notice(org: OrgRow, lost: SessionLostError) -> Notice:
    return Notice(
        event=NoticeEvent.SESSION_EXPIRED,
        # one message per loss: the time of the last success tells losses apart
        subject=f"{org.id}:{org.tested_at}",
        title=f"Session lost: {org.name}",
        body=sentences(lost.happened, lost.next_step),
        org_ids=(org.id,),
    )


class KeptDescribes:
    """Describes of one org in the database, with a copy in memory. Thread-safe."""

    def __init__(self, place: _Place, api_version: str) -> None:
        self._place = place
        self._api_version = api_version
        self._near: dict[str, CachedDescribe] = {}
        self._mutex = threading.Lock()

    def load(self, sobject: str) -> CachedDescribe | None:
        """See ``core.salesforce.describes.DescribeCache``."""
        name = sobject.lower()
        with self._mutex:
            if name in self._near:
                return self._near[name]
        with self._place.bridge.session(self._place.workspace_id) as session:
            kept = orgs.describe_of(
                session, self._place.org_id, sobject, api_version=self._api_version
            )
        if kept is None:
            return None
        found = CachedDescribe(
            sobject=sobject,
            body=kept.body,
            etag=kept.etag,
            last_modified=kept.last_modified,
            checked_at=kept.checked_at,
        )
        with self._mutex:
            return self._near.setdefault(name, found)

    def store(self, entry: CachedDescribe) -> None:
        """See ``core.salesforce.describes.DescribeCache``."""
        fields = orjson.loads(entry.body).get("fields") if entry.sobject else None
        kept = StoredDescribe(
            sobject=entry.sobject,
            body=entry.body,
            etag=entry.etag,
            last_modified=entry.last_modified,
            checked_at=entry.checked_at,
            field_count=None if fields is None else len(fields),
        )
        with self._place.bridge.session(self._place.workspace_id) as session:
            orgs.keep_describe(session, self._place.org_id, kept, api_version=self._api_version)
        with self._mutex:
            self._near[entry.sobject.lower()] = entry
