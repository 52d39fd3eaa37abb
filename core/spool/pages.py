"""One run's pages: write, read, list, delete.

Pages are immutable in meaning: writing a name again replaces the page as a whole (a local folder by
rename), so a reader sees the old page or the new one. A write that was interrupted leaves no page.
"""

from __future__ import annotations

import base64
import io
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid4

import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import ConfigError
from core.spool.places import s3_place
from core.spool.store import PageStore, open_store

#: AES-256
KEY_BYTES = 32
#: NIST SP 800-38D: 96 random bits, far below 2**32 pages under one key
NONCE_BYTES = 12
#: first bytes of every page; the digit is the format's version
MAGIC = b"OBSP1"


def new_key() -> bytes:
    """A fresh key for one run's pages."""
    return secrets.token_bytes(KEY_BYTES)


class KeyWrap(Protocol):
    """What seals a run's key for the database: the vault."""

    def encrypt(self, plain: str) -> str:
        """Sealed text."""

    def decrypt(self, sealed: str) -> str:
        """The text again."""


@dataclass(frozen=True, slots=True)
class Spool:
    """Where the pages of all runs live: a folder or any fsspec URL (``s3://bucket/orgbridge``)."""

    url: str
    vault: KeyWrap

    def new_wrapped_key(self) -> str:
        """A fresh key for one run, as the database may hold it."""
        return self.vault.encrypt(base64.b64encode(new_key()).decode())

    def run(
        self, run_id: UUID, wrapped_key: str, *, guard: Callable[[], None] = lambda: None
    ) -> RunSpool:
        """The pages of one run, opened with its key.

        Args:
            guard: asked before a page is written or removed; raises where another worker has the
                run by now, whose pages stay as they are then.
        """
        key = base64.b64decode(self.vault.decrypt(wrapped_key))
        return RunSpool(open_store(self.url), str(run_id), key, guard=guard)

    def delete_run(self, run_id: UUID) -> None:
        """Removes every page of a run; nothing happens when it has none."""
        open_store(self.url).delete_tree(str(run_id))

    def check(self) -> None:
        """Writes, lists, reads and removes one page: what a worker must be able to do here.

        Raises:
            ConfigError: it may not, or there is no such folder or bucket; says which.
            TransientError: the store does not answer.
        """
        probe = self.run(uuid4(), self.new_wrapped_key())
        probe.write("probe/000001", pl.DataFrame({"probe": [1]}))
        try:
            found = [probe.read(name).height for name in probe.names("probe")]
        finally:
            probe.delete_all()
        if found != [1]:
            raise ConfigError("The spool does not show a page that was just written to it.")


class RunSpool:
    """Sealed pages of one run, addressed by relative names such as ``src/account/000001``."""

    def __init__(
        self, store: PageStore, run: str, key: bytes, *, guard: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._guard = guard
        self._run = run
        self._cipher = AESGCM(key)

    def write(self, name: str, frame: pl.DataFrame) -> None:
        """Seals a frame under a name; an existing page of that name is replaced.

        Raises:
            ConfigError: the folder or store does not take it (disk full, no right); no page is
            left.
            TransientError: the store does not answer now.
        """
        # the page is written once and read at most three times: lz4 costs least CPU over both
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="lz4", statistics=False)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, buffer.getvalue(), self._bound_to(name))
        self._guard()  # last of all: a worker that slept over the sealing asks anew
        self._store.write(self._path(name), (MAGIC, nonce, sealed))

    def read(self, name: str, columns: list[str] | None = None) -> pl.DataFrame:
        """Opens a page, all of it or some columns.

        Raises:
            NotFoundError: there is no such page.
            ConfigError: it was altered, renamed, cut off, or belongs to another run or key.
        """
        sealed = self._store.read(self._path(name))
        head = len(MAGIC)
        if sealed[:head] != MAGIC:
            raise _unreadable(name)
        nonce = sealed[head : head + NONCE_BYTES]
        try:
            plain = self._cipher.decrypt(nonce, sealed[head + NONCE_BYTES :], self._bound_to(name))
        except (InvalidTag, ValueError) as broken:
            raise _unreadable(name) from broken
        return pl.read_parquet(io.BytesIO(plain), columns=columns)

    def names(self, folder: str) -> list[str]:
        """Names of the pages of a folder such as ``src/account``, sorted; empty when there is
        none."""
        return [f"{folder}/{leaf}" for leaf in self._store.leaves(f"{self._run}/{folder}")]

    def pages(self, folder: str, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """The frames of a folder, one at a time, in the order of their names."""
        for name in self.names(folder):
            yield self.read(name, columns)

    def is_empty(self) -> bool:
        """True when this store holds nothing of the run."""
        return not self._store.holds(self._run)

    def delete(self, folder: str) -> None:
        """Removes a folder of pages."""
        self._guard()
        self._store.delete_tree(f"{self._run}/{folder}")

    def delete_all(self) -> None:
        """Removes every page of the run."""
        self._store.delete_tree(self._run)

    def _path(self, name: str) -> str:
        return f"{self._run}/{name}.page"

    def _bound_to(self, name: str) -> bytes:
        return f"{self._run}/{name}".encode()


def open_spool(place: str, vault: KeyWrap) -> Spool:
    """The spool at a folder or URL; touches nothing until the first page is written.

    Raises:
        ConfigError: an ``s3://`` address without a bucket, or with an option we do not know.
    """
    if place.startswith("s3://"):
        s3_place(place)
    return Spool(place, vault)


def page_name(folder: str, number: int) -> str:
    """``src/account`` and 7 → ``src/account/000007``: names sort as numbers."""
    return f"{folder}/{number:06d}"


def _unreadable(name: str) -> ConfigError:
    return ConfigError(
        f"The stored page {name} cannot be opened with this run's key.",
        state="It was altered or belongs to another run; nothing was sent from it.",
        next_step="Start the run anew.",
    )
