"""One run's pages: write, read, list, delete.

Pages are immutable in meaning: writing a name again replaces the page as a whole (a local folder by
rename), so a reader sees the old page or the new one. A write that was interrupted leaves no page.
"""

from __future__ import annotations

import base64
import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import ConfigError, NotFoundError

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

    def run(self, run_id: UUID, wrapped_key: str) -> RunSpool:
        """The pages of one run, opened with its key."""
        key = base64.b64decode(self.vault.decrypt(wrapped_key))
        return RunSpool(_store(self.url), str(run_id), key)

    def delete_run(self, run_id: UUID) -> None:
        """Removes every page of a run; nothing happens when it has none."""
        _store(self.url).delete_tree(str(run_id))


class RunSpool:
    """Sealed pages of one run, addressed by relative names such as ``src/account/000001``."""

    def __init__(self, store: FolderStore | FsspecStore, run: str, key: bytes) -> None:
        self._store = store
        self._run = run
        self._cipher = AESGCM(key)

    def write(self, name: str, frame: pl.DataFrame) -> None:
        """Seals a frame under a name; an existing page of that name is replaced.

        Raises:
            ConfigError: the folder or store does not take it (disk full, no right); no page is
            left.
        """
        # the page is written once and read at most three times: lz4 costs least CPU over both
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="lz4", statistics=False)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, buffer.getvalue(), self._bound_to(name))
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

    def delete(self, folder: str) -> None:
        """Removes a folder of pages."""
        self._store.delete_tree(f"{self._run}/{folder}")

    def delete_all(self) -> None:
        """Removes every page of the run."""
        self._store.delete_tree(self._run)

    def _path(self, name: str) -> str:
        return f"{self._run}/{name}.page"

    def _bound_to(self, name: str) -> bytes:
        return f"{self._run}/{name}".encode()


def open_spool(place: str, vault: KeyWrap) -> Spool:
    """The spool at a folder or URL; touches nothing until the first page is written."""
    return Spool(place, vault)


def page_name(folder: str, number: int) -> str:
    """``src/account`` and 7 → ``src/account/000007``: names sort as numbers."""
    return f"{folder}/{number:06d}"


@dataclass(frozen=True, slots=True)
class FolderStore:
    """Pages below a local folder; owner-only rights, replaced by rename."""

    root: Path

    def write(self, path: str, parts: tuple[bytes, ...]) -> None:
        """Writes beside, flushes to the disk, renames into place."""
        target = self.root / path
        part = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as sink:
                for piece in parts:
                    sink.write(piece)
                sink.flush()
                os.fsync(sink.fileno())
            part.replace(target)
        except OSError as refused:
            part.unlink(missing_ok=True)
            raise _not_stored(str(target.parent), refused) from refused

    def read(self, path: str) -> bytes:
        """All bytes of one page."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError as missing:
            raise _no_page(path) from missing

    def leaves(self, folder: str) -> list[str]:
        """Page names of one folder, sorted; interrupted writes (names with a leading dot) are not
        pages."""
        found = (self.root / folder).glob("[!.]*.page")
        return sorted(path.stem for path in found)

    def delete_tree(self, folder: str) -> None:
        """Removes a folder with everything below."""
        root = self.root / folder
        for path in sorted(root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        if root.is_dir():
            root.rmdir()


@dataclass(frozen=True, slots=True)
class FsspecStore:
    """Pages on whatever fsspec reaches; one object per page, put as a whole."""

    url: str

    def write(self, path: str, parts: tuple[bytes, ...]) -> None:
        """Puts one object."""
        files, root = self._open()
        whole = f"{root}/{path}"
        try:
            files.makedirs(whole.rsplit("/", 1)[0], exist_ok=True)
            files.pipe_file(whole, b"".join(parts))
        except OSError as refused:
            raise _not_stored(self.url, refused) from refused

    def read(self, path: str) -> bytes:
        """All bytes of one page."""
        files, root = self._open()
        try:
            return bytes(files.cat_file(f"{root}/{path}"))
        except FileNotFoundError as missing:
            raise _no_page(path) from missing

    def leaves(self, folder: str) -> list[str]:
        """Page names of one folder, sorted."""
        files, root = self._open()
        files.invalidate_cache()
        try:
            found = files.ls(f"{root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        ends = (name.rsplit("/", 1)[-1] for name in found)
        return sorted(end.removesuffix(".page") for end in ends if end.endswith(".page"))

    def delete_tree(self, folder: str) -> None:
        """Removes everything below a prefix."""
        files, root = self._open()
        if files.exists(f"{root}/{folder}"):
            files.rm(f"{root}/{folder}", recursive=True)

    def _open(self) -> tuple[Any, str]:
        import fsspec

        files, root = fsspec.core.url_to_fs(self.url)
        return files, root.rstrip("/")


def _store(url: str) -> FolderStore | FsspecStore:
    if "://" in url and not url.startswith("file://"):
        return FsspecStore(url)
    return FolderStore(Path(url.removeprefix("file://")))


def _no_page(path: str) -> NotFoundError:
    return NotFoundError(
        f"The stored page {path} is gone.",
        next_step="Its retention may be over, or the spool folder was changed; start the run anew.",
    )


def _unreadable(name: str) -> ConfigError:
    return ConfigError(
        f"The stored page {name} cannot be opened with this run's key.",
        state="It was altered or belongs to another run; nothing was sent from it.",
        next_step="Start the run anew.",
    )


def _not_stored(where: str, refused: OSError) -> ConfigError:
    return ConfigError(
        f"A page could not be stored at {where}: {refused.strerror or refused}.",
        state="What was committed before is safe; the run can be resumed.",
        next_step="Free space or mend the folder, then resume the run.",
        errno=refused.errno,
    )
