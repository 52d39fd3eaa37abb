"""The terminal's manners: exit statuses, one sentence instead of a trace, quick starts."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cli
from core.config import Settings, child_environ
from core.db.models import Base
from core.db.schema import HEAD_REVISION
from tests.conftest import PROJECT

Run = Callable[..., subprocess.CompletedProcess[str]]
LOADED = """
import sys
import cli
status = cli.main(sys.argv[1:])
import json
print(json.dumps({"status": int(status), "modules": sorted(sys.modules)}))
"""
#: what a command that does not need it must not wait for
HEAVY = {"alembic", "streamlit", "pandas", "simple_salesforce", "duckdb", "plotly", "procrastinate"}


@pytest.fixture
def run(settings: Settings) -> Run:
    """Runs ``cli.py`` on the test's database."""

    def command(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "cli.py", *words], cwd=PROJECT, text=True, check=False,
            env=child_environ(settings) | environ, capture_output=True, timeout=120,
        )  # fmt: skip

    return command


def test_upgrade_says_the_revision(run: Run) -> None:
    done = run("db", "upgrade")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"The schema is at revision {HEAD_REVISION}.\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("db", "upgrade", "--bogus"), "No such option"),
        (("--workspace", "elsewhere", "db", "upgrade"), "There is no workspace 'elsewhere'"),
    ],
)
def test_what_a_person_can_mend_is_a_sentence_and_status_1(
    run: Run, words: tuple[str, ...], says: str
) -> None:
    done = run(*words)

    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DATABASE_URL", "postgresql://ann:hunter2@127.0.0.1:1/x", "127.0.0.1:1/x"),
        ("DATABASE_URL", "mysql://ann:hunter2@h/x", "runs on PostgreSQL only"),
        ("ORGBRIDGE_PORT", "eighty", "ORGBRIDGE_PORT is 'eighty'"),
        ("ORGBRIDGE_WORKER", "perhaps", "ORGBRIDGE_WORKER is 'perhaps'"),
    ],
)
def test_wrong_settings_are_named_without_their_secrets(
    run: Run, name: str, value: str, says: str
) -> None:
    done = run("db", "upgrade", **{name: value})

    assert done.returncode == 1
    assert says in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_wrong_key_is_refused_at_the_start(run: Run) -> None:
    assert run("db", "upgrade").returncode == 0

    done = run("db", "upgrade", ORGBRIDGE_KEY="bm90LXRoZS1rZXktbm90LXRoZS1rZXktbm90LXRoZTE=")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_backup_is_private_whole_and_never_overwritten(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "copy.dump"

    first, second = run("db", "backup", str(file)), run("db", "backup", str(file))

    assert first.returncode == 0
    assert file.read_bytes().startswith(b"PGDMP")
    assert file.stat().st_mode & 0o777 == 0o600
    assert second.returncode == 1
    assert "exists" in second.stderr


def test_help_lists_every_command_without_importing_it(run: Run) -> None:
    done = run("--help")

    assert done.returncode == 0
    assert [name for name in cli.COMMANDS if name not in done.stdout] == []


def test_a_command_imports_what_it_needs_and_no_more(settings: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "db", "upgrade"], cwd=PROJECT, text=True, check=True,
        env=child_environ(settings), capture_output=True,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["status"] == 0
    assert HEAVY & set(told["modules"]) == set()


def test_a_run_waits_for_no_parser_of_expressions_that_it_does_not_have() -> None:
    script = (
        "import sys, core.services.launching, core.migration.run\nprint('sqlglot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, text=True, check=True, capture_output=True
    )

    assert done.stdout == "False\n"


def test_a_launch_waits_for_nothing_that_only_its_run_needs() -> None:
    """The first request goes out before the engine and the tables of logs are imported."""
    later = {"numpy", "pyarrow", "core.migration.run", "core.db.models.logs", "core.files.source"}
    script = (
        "import json, sys, terminal.session, core.services.launching\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, text=True, check=True, capture_output=True
    )

    assert later & set(json.loads(done.stdout)) == set()


@pytest.mark.parametrize("asked", ["Base", "ErrorLog"])
def test_whoever_asks_for_tables_of_logs_has_all_tables(asked: str) -> None:
    script = (
        f"from core.db.models import {asked}\n"
        "from core.db.models.base import Base\n"
        "print(len(Base.metadata.tables), 'error_log' in Base.metadata.tables)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, text=True, check=True, capture_output=True
    )

    assert done.stdout == f"{len(Base.metadata.tables)} True\n"


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_explains_itself(run: Run, name: str) -> None:
    done = run(name, "--help")

    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


def test_guides_name_no_command_or_option_that_is_not_there() -> None:
    """Every command line in README and docs is one that the terminal takes."""
    texts = [PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")]
    lines = [
        (path.name, line)
        for path in texts
        for line in re.findall(r"(?:python )cli\.py ([^\n`|#<>]+)", path.read_text())
    ]
    wrong = [f"{name}: {line}" for name, line in lines if not is_taken(shlex.split(line))]

    assert len(lines) > 15
    assert not wrong, "\n".join(wrong)


def is_taken(words: list[str]) -> bool:
    """Whether the words begin with a command, and every option is one of its own."""
    options = {"--help", "--workspace"}
    command: Any = None
    for number, word in enumerate(words):
        if word.startswith("-") and word != "-":
            if word.split("=")[0] not in options:
                return False
        elif command is None and words[max(number - 1, 0)] != "--workspace":
            if word not in cli.COMMANDS:
                return False
            command = cli.loaded(cli.COMMANDS[word][0], word)
        elif word in getattr(command, "commands", {}):
            command = command.commands[word]
        options |= {one for given in getattr(command, "params", ()) for one in given.opts}
    return command is not None or words == ["--help"]
