"""The vault: encrypts what must be stored and not be seen, with keys that can be rotated.

    ORGBRIDGE_KEY (newest first, commas)  or  <home>/key (0600, newest first, one a line)
        └─▶ Vault ─▶ columns marked as encrypted in core.db.models
    vault_canary: a known word under the newest key; a wrong key is told at start, never as garbage.

Rotation re-encrypts every marked column in one transaction. The key file keeps the previous key
until the next rotation, for processes that still hold it; a running vault reads the file again
when it changed.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Column, Table, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.config import Settings
from core.db import models
from core.db.models import VaultCanary
from core.errors import BugError, ConfigError
from core.secret import Secret

KEY_FILE = "key"
CANARY_WORD = "orgbridge"
#: only the owner may read or write the key file
KEY_FILE_MODE = 0o600
#: rows re-encrypted per statement
ROTATE_ROWS = 500

log = logging.getLogger(__name__)


class Vault:
    """Encrypts and decrypts with the newest key first. Thread-safe."""

    def __init__(self, keys: list[str], *, key_file: Path | None = None) -> None:
        self._fernet = _fernet(keys)
        self._key_file = key_file
        self._read_at = _changed_at(key_file)
        self._mutex = threading.Lock()

    def __repr__(self) -> str:
        return "Vault(…)"

    def encrypt(self, plain: str) -> str:
        """Ciphertext under the newest key."""
        return self._current().encrypt(plain.encode()).decode()

    def decrypt(self, stored: str) -> str:
        """What `encrypt` was given.

        Raises:
            ConfigError: no key of ours opens it.
        """
        try:
            return self._current().decrypt(stored.encode()).decode()
        except InvalidToken:
            raise ConfigError(
                "A stored secret cannot be decrypted with the present key.",
                state="It was left as it is.",
                next_step="Give the key it was stored with in ORGBRIDGE_KEY (after the newest, with"
                " a comma), or enter the secret again.",
            ) from None

    def reveal(self, stored: str) -> Secret:
        """`decrypt` in a wrapper that does not show itself."""
        return Secret(self.decrypt(stored))

    def renewed(self, stored: str) -> str:
        """The same secret under the newest key."""
        try:
            return self._current().rotate(stored.encode()).decode()
        except InvalidToken:
            raise ConfigError(
                "A stored secret cannot be decrypted with any key given.",
                state="No secret was re-encrypted; every key is still needed.",
                next_step="Add the missing key to ORGBRIDGE_KEY and rotate again.",
            ) from None

    def _current(self) -> MultiFernet:
        # another process may have rotated: what we write must open under its keys as well
        with self._mutex:
            if self._key_file is not None and _changed_at(self._key_file) != self._read_at:
                self._read_at = _changed_at(self._key_file)
                self._fernet = _fernet(_keys_in(self._key_file))
            return self._fernet


def open_vault(settings: Settings, session: Session) -> Vault:
    """The vault of this installation; makes the key file when nothing was ever encrypted.

    Raises:
        ConfigError: no key, a wrong key, a key file that others can read.
    """
    canary = session.scalar(select(VaultCanary.value))
    key_file = None if settings.key else settings.home / KEY_FILE
    if settings.key:
        keys = _split(settings.key.reveal(), ",", "ORGBRIDGE_KEY")
    else:
        keys = _keys_of_file(settings.home / KEY_FILE, may_create=canary is None)
    vault = Vault(keys, key_file=key_file)
    if canary is None:
        session.execute(
            insert(VaultCanary)
            .values(id=1, value=vault.encrypt(CANARY_WORD))
            .on_conflict_do_nothing()
        )
        canary = session.scalar(select(VaultCanary.value))
    if canary is None or not _opens(vault, canary):
        raise ConfigError(
            f"The key in {_where(settings)} is not the one this database was encrypted with.",
            state="Nothing was read or changed.",
            next_step="Put the right key back, or restore the key file from the backup that belongs"
            " to this database.",
        )
    return vault


def rotate(settings: Settings, session: Session) -> int:
    """Re-encrypt every stored secret under a new key; the number of secrets.

    With a key file the new key is made here. With ORGBRIDGE_KEY the operator has put the new key
    first. The caller commits; a failure before that leaves every secret readable, because the old
    keys stay until the next rotation.

    Raises:
        ConfigError: ORGBRIDGE_KEY holds one key only, or a secret opens under none.
    """
    open_vault(settings, session)
    if settings.key:
        keys = _split(settings.key.reveal(), ",", "ORGBRIDGE_KEY")
        if len(keys) < 2:
            raise ConfigError(
                "ORGBRIDGE_KEY holds one key; rotating needs the new and the old one.",
                state="Nothing was changed.",
                next_step="Set ORGBRIDGE_KEY to <new key>,<old key>, restart, then rotate again."
                " `python cli.py keys new` prints a new key.",
            )
    else:
        path = settings.home / KEY_FILE
        keys = [new_key(), *_keys_in(path)]
        _write_keys(path, keys)
    return _re_encrypt(session, Vault(keys))


def drop_older_keys(settings: Settings) -> None:
    """Keep the newest two keys in the file; call it after the rotation was committed."""
    path = settings.home / KEY_FILE
    if settings.key is None and path.exists():
        _write_keys(path, _keys_in(path)[:2])


def new_key() -> str:
    """A fresh key, as ORGBRIDGE_KEY wants it."""
    return Fernet.generate_key().decode()


def encrypted_columns() -> list[Column[str]]:
    """Every column whose text is a secret; the mark is on the column."""
    return [
        column
        for table in models.Base.metadata.sorted_tables
        for column in table.columns
        if column.info.get("encrypted")
    ]


def _re_encrypt(session: Session, vault: Vault) -> int:
    count = 0
    for column in encrypted_columns():
        count += _re_encrypt_column(session, vault, column)
    log.info("secrets re-encrypted", extra={"secrets": count})
    return count


def _re_encrypt_column(session: Session, vault: Vault, column: Column[str]) -> int:
    table = column.table
    if not isinstance(table, Table):
        raise BugError(f"{column} belongs to no table.")
    keys = list(table.primary_key.columns)
    # rows are locked: a token refreshed meanwhile waits, then is written under the new key
    statement = select(*keys, column).where(column.is_not(None)).with_for_update()
    changed = (
        update(table)
        .where(*(key == bindparam(f"old_{key.name}") for key in keys))
        .values({column.name: bindparam("renewed")})
    )
    count = 0
    for rows in session.execute(statement).partitions(ROTATE_ROWS):
        given = [
            {f"old_{key.name}": row[place] for place, key in enumerate(keys)}
            | {"renewed": vault.renewed(row[len(keys)])}
            for row in rows
        ]
        session.connection().execute(changed, given)
        count += len(given)
    return count


def _keys_of_file(path: Path, *, may_create: bool) -> list[str]:
    if not path.exists():
        if not may_create:
            raise ConfigError(
                f"The key file {path} is missing, but this database holds encrypted secrets.",
                state="Nothing was read or changed.",
                next_step="Restore the key file from your backup, or set ORGBRIDGE_KEY.",
            )
        _create_key_file(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConfigError(
            f"The key file {path} can be read by others (mode {mode:04o}).",
            next_step=f"Run: chmod 600 {path}. If others may have read it, rotate the keys too.",
        )
    return _keys_in(path)


def _create_key_file(path: Path) -> None:
    """Write a first key; of two processes that start together one wins, both read the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    _write_private(draft, new_key() + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _write_keys(path: Path, keys: list[str]) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    _write_private(draft, "".join(f"{key}\n" for key in keys))
    draft.replace(path)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, KEY_FILE_MODE)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), KEY_FILE_MODE)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _keys_in(path: Path) -> list[str]:
    try:
        return _split(path.read_text(), "\n", str(path))
    except OSError as error:
        raise ConfigError(
            f"The key file {path} cannot be read: {error.strerror}.",
            next_step="Start Orgbridge as the account that owns it.",
        ) from error


def _split(text: str, separator: str, where: str) -> list[str]:
    keys = [key.strip() for key in text.split(separator) if key.strip()]
    if not keys:
        raise ConfigError(f"{where} holds no key.", next_step=_HOW_A_KEY_LOOKS)
    return keys


def _fernet(keys: list[str]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ConfigError(
            "One of the encryption keys is not a key.", next_step=_HOW_A_KEY_LOOKS
        ) from None


def _opens(vault: Vault, canary: str) -> bool:
    try:
        return vault.decrypt(canary) == CANARY_WORD
    except ConfigError:
        return False


def _changed_at(path: Path | None) -> tuple[int, int]:
    if path is None:
        return (0, 0)
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_ino)


def _where(settings: Settings) -> str:
    return "ORGBRIDGE_KEY" if settings.key else str(settings.home / KEY_FILE)


_HOW_A_KEY_LOOKS = (
    "A key is 44 characters of base64; `python cli.py keys new` prints one. Several are separated"
    " by commas, the newest first."
)
__all__ = [
    "Vault",
    "drop_older_keys",
    "encrypted_columns",
    "new_key",
    "open_vault",
    "rotate",
]
