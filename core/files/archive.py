"""Uploaded bytes as sealed pieces, read again as a file; zip files opened with care.

A zip that unpacks to far more than it weighs, has too many entries, or is encrypted is refused
before anything of it is unpacked.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

import polars as pl

from core.errors import UserError
from core.spool import RunSpool, page_name

PIECE_BYTES = 4_000_000
#: all uploads of one file set together
UPLOAD_BYTES_MAX = 2_000_000_000
#: all entries of the zips of one file set together, unpacked
UNPACKED_BYTES_MAX = 8_000_000_000
ENTRIES_MAX = 50
#: the list at a zip's end; what one entry of it takes in memory is ten times as much
DIRECTORY_BYTES_MAX = 1_000_000
#: CSV text packs 5 to 30 times; far more is a bomb
RATIO_MAX = 200
#: below this size no ratio is looked at
RATIO_FROM_BYTES = 10_000_000
#: characters of a file's name that are kept, and of its ending
NAME_MAX, ENDING_MAX = 200, 10
#: where a file lies that an operation wrote
KEPT_FOLDER = "file"
_ENCRYPTED = 0x1
#: what an entry that is damaged, or not as the zip's own list says, makes of being read
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, OSError)
_REFUSED = "Nothing was kept."


@dataclass(frozen=True, slots=True)
class KeptUpload:
    """One uploaded file as it lies on the spool."""

    file_name: str
    size: int
    sha256: str
    pieces: int

    @property
    def is_zip(self) -> bool:
        """It holds entries."""
        return self.file_name.lower().endswith(".zip")


@dataclass(frozen=True, slots=True)
class Part:
    """One CSV: an upload, or an entry of an uploaded zip."""

    upload: int
    entry: str | None
    file_name: str
    size: int


def plain_name(given: str) -> str:
    """A file's name as it is shown and kept: no folders, nothing unprintable, not too long.

    It leads nowhere: what is kept lies on the spool under ids of ours.

    >>> plain_name("../../etc/passwd"), plain_name("C:\\\\a.csv"), plain_name("a\\0b\\r.csv")
    ('passwd', 'a.csv', 'a_b_.csv')
    >>> len(plain_name("x" * 300 + ".csv")), plain_name("x" * 300 + ".csv")[-5:]
    (200, 'x.csv')
    """
    leaf = "".join(char if char.isprintable() else "_" for char in _leaf(given))
    stem, dot, ending = leaf.rpartition(".")
    if len(leaf) <= NAME_MAX or not dot or len(ending) > ENDING_MAX:
        return leaf[:NAME_MAX]
    return f"{stem[: NAME_MAX - len(ending) - 1]}.{ending}"


def keep_upload(
    spool: RunSpool, number: int, file_name: str, *, blocks: Iterable[bytes], room: int
) -> KeptUpload:
    """Seals the bytes piece by piece.

    Args:
        room: bytes that may still come.
    Raises:
        UserError: it is larger than that, or empty.
    """
    digest = hashlib.sha256()
    size = pieces = 0
    for piece in _pieces(blocks):
        size += len(piece)
        if size > room:
            raise UserError(
                f"{file_name} is too large: a file set has at most "
                f"{UPLOAD_BYTES_MAX // 1_000_000:,} MB.",
                state=_REFUSED,
                next_step="Split it, or pack it as a zip.",
            )
        digest.update(piece)
        pieces += 1
        spool.write(page_name(f"raw/{number}", pieces), pl.DataFrame({"bytes": [piece]}))
    if not size:
        raise UserError(
            f"{file_name} is empty.", state=_REFUSED, next_step="It needs a header line."
        )
    return KeptUpload(file_name, size, digest.hexdigest(), pieces)


@dataclass(frozen=True, slots=True)
class KeptPieces:
    """Bytes as they lie on the spool."""

    size: int
    sha256: str
    pieces: int


def keep_pieces(spool: RunSpool, blocks: Iterable[bytes]) -> KeptPieces:
    """Seals bytes of any number piece by piece; one piece is in memory."""
    digest = hashlib.sha256()
    size = pieces = 0
    for piece in _pieces(blocks):
        digest.update(piece)
        size += len(piece)
        pieces += 1
        spool.write(page_name(KEPT_FOLDER, pieces), pl.DataFrame({"bytes": [piece]}))
    return KeptPieces(size, digest.hexdigest(), pieces)


def kept_pieces(spool: RunSpool, pieces: int) -> Iterator[bytes]:
    """The bytes again, one piece in memory."""
    for number in range(1, pieces + 1):
        yield spool.read(page_name(KEPT_FOLDER, number)).item()


class SealedFile(io.RawIOBase):
    """A kept upload as a readable, seekable file; one piece is in memory."""

    def __init__(self, spool: RunSpool, number: int, size: int) -> None:
        self._spool = spool
        self._number = number
        self._size = size
        self._at = 0
        self._held: tuple[int, bytes] = (0, b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """As of any file."""
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # a narrower buffer type than typeshed's
        """Bytes from one piece at the most."""
        if self._at >= self._size:
            return 0
        number, offset = divmod(self._at, PIECE_BYTES)
        if self._held[0] != number + 1:
            page = self._spool.read(page_name(f"raw/{self._number}", number + 1))
            self._held = (number + 1, page.item())
        part = self._held[1][offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


class _Listed(io.BufferedReader):
    """A zip as it is read for its list, which `zipfile` takes whole whatever length it claims."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file, if it is no more than a list may have."""
        if size is not None and size > DIRECTORY_BYTES_MAX:
            raise zipfile.BadZipFile("its list of entries is too long")
        return super().read(size)


def parts_of(spool: RunSpool, uploads: Iterable[KeptUpload]) -> tuple[Part, ...]:
    """Every CSV of the uploads, in order.

    Raises:
        UserError: a zip is none, is encrypted, a bomb, or has no CSV; a file is neither.
    """
    found: list[Part] = []
    unpacked = 0
    for number, upload in enumerate(uploads):
        if not upload.is_zip:
            _check_ending(upload.file_name)
            found.append(Part(number, None, upload.file_name, upload.size))
            continue
        for entry in _checked_entries(spool, number, upload):
            unpacked += entry.file_size
            name = plain_name(entry.filename)
            found.append(Part(number, entry.filename, name, entry.file_size))
    if unpacked > UNPACKED_BYTES_MAX or len(found) > ENTRIES_MAX:
        raise UserError(
            f"The files hold {len(found)} tables of {unpacked // 1_000_000:,} MB; at most "
            f"{ENTRIES_MAX} of {UNPACKED_BYTES_MAX // 1_000_000:,} MB are taken together.",
            state=_REFUSED,
            next_step="Import them in several sets.",
        )
    return tuple(found)


def open_part(spool: RunSpool, uploads: tuple[KeptUpload, ...], part: Part) -> BinaryIO:
    """The bytes of one CSV from its beginning."""
    upload = uploads[part.upload]
    whole = io.BufferedReader(SealedFile(spool, part.upload, upload.size), 1_000_000)
    if part.entry is None:
        return whole
    try:
        packed = zipfile.ZipFile(whole).open(part.entry)
    except _BROKEN as broken:
        raise _damaged(part) from broken
    return io.BufferedReader(_Entry(cast("BinaryIO", packed), part), 1_000_000)


class _Entry(io.RawIOBase):
    """An entry while it is unpacked; one that is damaged, or is not as it says, is a sentence."""

    def __init__(self, packed: BinaryIO, part: Part) -> None:
        self._packed = packed
        self._part = part

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # a narrower buffer type than typeshed's
        """Bytes as they come."""
        try:
            content = self._packed.read(len(buffer))
        except _BROKEN as broken:
            raise _damaged(self._part) from broken
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Of the entry too."""
        self._packed.close()
        super().close()


def _damaged(part: Part) -> UserError:
    return UserError(
        f"{part.file_name[:80]} is damaged in its zip.",
        state=_REFUSED,
        next_step="Pack it anew and upload it again.",
    )


def _checked_entries(spool: RunSpool, number: int, upload: KeptUpload) -> Iterator[zipfile.ZipInfo]:
    try:
        listed = zipfile.ZipFile(_Listed(SealedFile(spool, number, upload.size))).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as broken:
        raise _refused(upload, "is no zip file that can be read") from broken
    entries = [one for one in listed if not one.is_dir() and not _is_litter(one.filename)]
    unpacked = sum(one.file_size for one in entries)
    if any(one.flag_bits & _ENCRYPTED for one in entries):
        raise _refused(upload, "is protected by a password")
    if unpacked > max(upload.size * RATIO_MAX, RATIO_FROM_BYTES):
        raise _refused(
            upload, f"would unpack to {unpacked // max(upload.size, 1):,} times its size"
        )
    if len(entries) > ENTRIES_MAX:
        raise _refused(upload, f"holds {len(entries):,} files, {ENTRIES_MAX} are taken")
    if not entries:
        raise _refused(upload, "holds no CSV file")
    for entry in entries:
        _check_ending(entry.filename)
        yield entry


def _check_ending(file_name: str) -> None:
    if not file_name.lower().endswith((".csv", ".tsv", ".txt")):
        raise UserError(
            f"{_leaf(file_name)[:80]} is no CSV file.",
            state=_REFUSED,
            next_step="Take .csv, .tsv or .txt files, alone or in a zip.",
        )


def _is_litter(name: str) -> bool:
    """What file managers put beside the files."""
    return name.startswith("__MACOSX/") or _leaf(name).startswith((".", "~$"))


def _leaf(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _refused(upload: KeptUpload, what: str) -> UserError:
    return UserError(
        f"{upload.file_name[:80]} {what}.",
        state=_REFUSED,
        next_step="Pack plain CSV files, without a password, and upload them again.",
    )


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes again in pieces of one size, the last one shorter."""
    rest = bytearray()
    for block in blocks:
        rest += block
        while len(rest) >= PIECE_BYTES:
            yield bytes(rest[:PIECE_BYTES])
            del rest[:PIECE_BYTES]
    if rest:
        yield bytes(rest)
