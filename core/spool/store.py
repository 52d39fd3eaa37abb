"""Where pages lie: a local or shared folder, an S3-compatible store, or anything fsspec reaches.

    PageStore ─┬─ FolderStore   a path, file://path      replaced by rename, flushed to the disk
               ├─ S3Store       s3://bucket/folder       one object per page, seen whole or not
               └─ FsspecStore   any other fsspec URL     one object per page, put as a whole

S3 goes through Arrow's own client, which the product has anyway. Credentials come from the
environment or the files of AWS (``AWS_ACCESS_KEY_ID``, ``~/.aws``, a machine's role), never from
the URL, and nothing that a store answers is repeated but the code of its error.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.errors import ConfigError, NotFoundError, OrgbridgeError, TransientError
from core.spool.places import PAGE, shown

#: faults of a shared folder that pass: its server restarts, the network is away
_PASSING = frozenset(
    {errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)


class PageStore(Protocol):
    """Bytes under relative paths; what was replaced is seen as a whole, before or after."""

    def write(self, path: str, parts: tuple[bytes, ...]) -> None:
        """Keeps the parts, joined, as one page."""

    def read(self, path: str) -> bytes:
        """All bytes of one page."""

    def leaves(self, folder: str) -> list[str]:
        """Names of the pages right below a folder, sorted, without their ending."""

    def holds(self, folder: str) -> bool:
        """Whether anything lies below a folder."""

    def delete_tree(self, folder: str) -> None:
        """Removes a folder with everything below; nothing happens when there is none."""


def open_store(url: str) -> PageStore:
    """The store of a path or URL; touches nothing yet."""
    if url.startswith("s3://"):
        from core.spool.s3 import S3Store  # Arrow's file systems cost a start 0.1 s

        return S3Store(url)
    if "://" in url and not url.startswith("file://"):
        return FsspecStore(url)
    return FolderStore(Path(url.removeprefix("file://")))


@dataclass(frozen=True, slots=True)
class FolderStore:
    """Pages below a folder of this machine or a shared one; owner-only rights."""

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
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise not_stored(str(target.parent), refused) from refused

    def read(self, path: str) -> bytes:
        """All bytes of one page."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError as missing:
            raise no_page(path) from missing
        except OSError as refused:
            raise not_read(str(self.root), refused) from refused

    def leaves(self, folder: str) -> list[str]:
        """Page names of one folder, sorted; interrupted writes (names with a leading dot) are not
        pages."""
        try:
            with os.scandir(self.root / folder) as entries:
                found = [each.name for each in entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as refused:
            raise not_read(str(self.root), refused) from refused
        pages = (name for name in found if name.endswith(PAGE) and not name.startswith("."))
        return sorted(name.removesuffix(PAGE) for name in pages)

    def holds(self, folder: str) -> bool:
        """Whether a page or a folder lies there."""
        try:
            with os.scandir(self.root / folder) as entries:
                return any(True for _ in entries)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as refused:
            raise not_read(str(self.root), refused) from refused

    def delete_tree(self, folder: str) -> None:
        """Removes a folder with everything below; a page that appears meanwhile stays."""
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
            raise not_stored(shown(self.url), refused) from None

    def read(self, path: str) -> bytes:
        """All bytes of one page."""
        files, root = self._open()
        try:
            return bytes(files.cat_file(f"{root}/{path}"))
        except FileNotFoundError as missing:
            raise no_page(path) from missing
        except OSError as refused:
            raise not_read(shown(self.url), refused) from None

    def leaves(self, folder: str) -> list[str]:
        """Page names of one folder, sorted."""
        ends = (name.rsplit("/", 1)[-1] for name in self._listed(folder))
        return sorted(end.removesuffix(PAGE) for end in ends if end.endswith(PAGE))

    def holds(self, folder: str) -> bool:
        """Whether anything lies below a prefix."""
        return bool(self._listed(folder))

    def delete_tree(self, folder: str) -> None:
        """Removes everything below a prefix."""
        files, root = self._open()
        try:
            if files.exists(f"{root}/{folder}"):
                files.rm(f"{root}/{folder}", recursive=True)
        except OSError as refused:
            raise not_read(shown(self.url), refused) from None

    def _listed(self, folder: str) -> list[str]:
        files, root = self._open()
        files.invalidate_cache()
        try:
            return [str(name) for name in files.ls(f"{root}/{folder}", detail=False)]
        except FileNotFoundError:
            return []
        except OSError as refused:
            raise not_read(shown(self.url), refused) from None

    def _open(self) -> tuple[Any, str]:
        import fsspec

        try:
            files, root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError):
            raise ConfigError(
                f"Nothing here can reach a spool at {shown(self.url)}.",
                next_step="Install the fsspec package of that scheme on this machine (gcsfs for"
                " gs://, adlfs for abfs://), or give ORGBRIDGE_SPOOL_URL a folder or an s3:// URL.",
            ) from None
        return files, str(root).rstrip("/")


def no_page(path: str) -> NotFoundError:
    """There is no such page."""
    return NotFoundError(
        f"The stored page {path} is gone.",
        next_step="Its retention may be over, or the spool was changed: every worker needs the same"
        " ORGBRIDGE_SPOOL_URL. Start the run anew.",
    )


def not_stored(where: str, refused: OSError) -> OrgbridgeError:
    """A folder did not take a page."""
    if refused.errno in _PASSING:
        return away(where)
    return ConfigError(
        f"A page could not be stored at {where}: {_reason(refused)}.",
        state="What was committed before is safe; the run can be resumed.",
        next_step="Free space or mend the folder, then resume the run.",
        errno=refused.errno,
    )


def not_read(where: str, refused: OSError) -> OrgbridgeError:
    """A folder did not give its pages."""
    if refused.errno in _PASSING:
        return away(where)
    return ConfigError(
        f"The pages at {where} cannot be read: {_reason(refused)}.",
        state="What was committed before is safe; the run can be resumed.",
        next_step="Mend the folder or its rights, then resume the run.",
        errno=refused.errno,
    )


def away(where: str, code: str = "") -> TransientError:
    """The store does not answer now; a worker tries again by itself."""
    return TransientError(
        f"The spool at {where} does not answer{f' ({code})' if code else ''}.",
        state="What was committed before is safe; the run can be resumed.",
        next_step="A worker tries again by itself; look at the network and at the store.",
        code=code,
    )


def _reason(refused: OSError) -> str:
    return os.strerror(refused.errno) if refused.errno else "no reason was given"
