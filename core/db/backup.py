"""Copies a whole database into one file with pg_dump, and says where it went wrong."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sqlalchemy import URL

from core.db.embedded.binaries import installed_binaries
from core.errors import ConfigError, UserError


def dump(url: URL, file: Path) -> int:
    """Write the database behind `url` to `file` in pg_restore's format; bytes written.

    The file appears whole or not at all, readable by its owner alone.

    Raises:
        UserError: the file exists or cannot be written.
        ConfigError: pg_dump is missing, or the server is newer than it.
    """
    if file.exists():
        raise UserError(f"{file} exists.", state="Nothing was written.", next_step="Name another.")
    draft = file.with_name(f".{file.name}.part")
    command = [installed_binaries().program("pg_dump"), "--format=custom", "--no-password"]
    command += [f"--file={draft}", f"--dbname={_without_password(url)}"]
    previous = os.umask(0o077)
    try:
        done = subprocess.run(
            command, env=_environ(url), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise ConfigError(
                f"The copy failed: {said[0]}",
                state="Nothing was written.",
                next_step="A server newer than 18 needs its own pg_dump.",
            )
        draft.rename(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        os.umask(previous)
        draft.unlink(missing_ok=True)
    return file.stat().st_size


def _without_password(url: URL) -> str:
    plain = url.set(drivername="postgresql", password=None)
    return plain.render_as_string(hide_password=False)


def _environ(url: URL) -> dict[str, str]:
    """The password by environment: a command line is seen by everybody on the machine."""
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    return env | ({"PGPASSWORD": str(url.password)} if url.password else {})
