"""One PostgreSQL cluster on disk: creates it, starts its server as our child, ends a stray one.

Only the supervisor, which holds the folder's lock, calls this.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

from core.db.embedded.binaries import POSTGRES_MAJOR, Binaries
from core.db.embedded.layout import APP_ROLE, DATABASE, OWNER_ROLE, SUPERUSER, Layout
from core.errors import ConfigError
from core.processes import command_line, is_alive, wait_until

#: a fast shutdown writes one checkpoint; beyond this it is ended at once and recovers next time
STOP_TIMEOUT_S = 60.0
LOG_MAX_BYTES = 10_000_000
PR_SET_PDEATHSIG = 1  # prctl(2)

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    # PostgreSQL's own 128 MB would be a quarter of what a run of a million rows may take; what
    # does not fit is read from the kernel's cache
    "shared_buffers": "48MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # compiling costs more than our short statements
    "log_line_prefix": "%m [%p] ",
}
#: run once in single-user mode; the server's superuser is used for nothing else
_ROLES = f"""\
CREATE ROLE {OWNER_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS
CREATE ROLE {APP_ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS
GRANT {APP_ROLE} TO {OWNER_ROLE}
CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}
"""


def create_if_missing(layout: Layout, binaries: Binaries) -> None:
    """Make the cluster, its roles and its database; a half-made one is never seen.

    Raises:
        ConfigError: initdb failed (says why), or the data is of another major version.
    """
    if (layout.cluster / "PG_VERSION").exists():
        _check_version(layout)
        return
    draft = layout.folder / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    os.chown(draft, layout.account.uid, layout.account.gid)
    command = [binaries.program("initdb"), "-D", str(draft), "-U", SUPERUSER, "--auth=peer"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    command += ["--builtin-locale=C.UTF-8", "--no-instructions", "--no-sync"]
    _run(layout, command)
    _run(layout, [binaries.program("postgres"), "--single", "-D", str(draft), SUPERUSER], _ROLES)
    os.sync()  # one for all files, instead of initdb's one per file
    draft.rename(layout.cluster)


def end_stray_server(layout: Layout) -> None:
    """End a server that outlived its supervisor, and forget one that is no more than a name.

    The folder's lock is ours, so no living supervisor owns it. A dead server whose parent never
    collected it (a container whose first process does not reap) still answers kill(pid, 0), and
    PostgreSQL would refuse to start for its sake.
    """
    pid_file = layout.cluster / "postmaster.pid"
    pid = _first_number(pid_file)
    if pid is None:
        return
    if is_alive(pid) and str(layout.cluster) in command_line(pid):
        _signal(pid, signal.SIGINT)
        if not wait_until(lambda: not is_alive(pid), timeout_s=STOP_TIMEOUT_S):
            _signal(pid, signal.SIGQUIT)
            wait_until(lambda: not is_alive(pid), timeout_s=10.0)
    if not is_alive(pid) or str(layout.cluster) not in command_line(pid):
        pid_file.unlink(missing_ok=True)


def start(layout: Layout, binaries: Binaries) -> subprocess.Popen[bytes]:
    """Start the server as a child of this process; it ends when this process dies (Linux)."""
    hba, ident = _write_access_files(layout)
    options = _OPTIONS | {
        "unix_socket_directories": str(layout.sockets),
        "hba_file": str(hba),
        "ident_file": str(ident),
    }
    command = [binaries.program("postgres"), "-D", str(layout.cluster)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with _log_file(layout).open("ab") as log:
        return _spawn(layout, command, log.fileno())


def says_ready(layout: Layout, pid: int | None = None) -> bool:
    """True when the server (the one with `pid`) takes connections, as postmaster.pid says."""
    try:
        lines = (layout.cluster / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    # Lines of postmaster.pid: pidfile.h (LOCK_FILE_LINE_PM_STATUS is 8).
    is_it = pid is None or lines[:1] == [str(pid)]
    return len(lines) >= 8 and is_it and lines[7].strip() == "ready"


def stop(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown; at once when that takes too long."""
    if server.poll() is not None:
        return
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()


def last_words(layout: Layout) -> str:
    """The last complaint in the server's log, for an error message; empty when it has none."""
    try:
        lines = _log_file(layout).read_text(errors="replace").splitlines()[-50:]
    except OSError:
        return ""
    said = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "HINT"))]
    return " / ".join(line.split("] ", 1)[-1] for line in said[-2:])


def _check_version(layout: Layout) -> None:
    found = (layout.cluster / "PG_VERSION").read_text().strip()
    if found != str(POSTGRES_MAJOR):
        raise ConfigError(
            f"The data in {layout.cluster} was written by PostgreSQL {found}; this is "
            f"PostgreSQL {POSTGRES_MAJOR}.",
            state="Nothing was changed.",
            next_step="Use the version of Orgbridge that wrote it, export with pg_dump, and load.",
        )


def _run(layout: Layout, command: list[str], statements: str = "") -> None:
    done = subprocess.run(
        command,
        input=statements,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=_environ(),
        **_identity(layout),
    )
    failed = done.returncode != 0 or (statements and "ERROR" in done.stderr)
    if failed:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise ConfigError(
            f"The database could not be created in {layout.folder}: {' '.join(said[-3:])}",
            state="Nothing was left behind.",
            next_step="Check free space and permissions of that folder, then start again.",
        )


def _spawn(layout: Layout, command: list[str], log: int) -> subprocess.Popen[bytes]:
    # The supervisor has one thread, so PDEATHSIG means its death. It is set after the change of
    # account, which would clear it (kernel commit_creds), hence a preexec_fn.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        env=_environ(),
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 -- the supervisor has a single thread
        **_identity(layout),
    )


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _identity(layout: Layout) -> _Identity:
    if os.geteuid() != 0:
        return _Identity()
    return _Identity(user=layout.account.uid, group=layout.account.gid, extra_groups=[])


def _environ() -> dict[str, str]:
    """A bare environment: no PG* variable, no locale of the person reaches the server."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _write_access_files(layout: Layout) -> tuple[Path, Path]:
    import pwd

    hba, ident = layout.folder / "pg_hba.conf", layout.folder / "pg_ident.conf"
    hba.write_text("local all all peer map=orgbridge\n")
    ident.write_text(f"orgbridge {pwd.getpwuid(os.geteuid()).pw_name} all\n")
    for path in (hba, ident):
        os.chown(path, layout.account.uid, layout.account.gid)
    return hba, ident


def _log_file(layout: Layout) -> Path:
    path = layout.folder / "postgres.log"
    if path.exists() and path.stat().st_size > LOG_MAX_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path


def _first_number(path: Path) -> int | None:
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
