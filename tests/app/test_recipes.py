"""What docs/scaling.md tells operators to install is what their machine takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
UNIT = "orgbridge-worker@.service"


@pytest.fixture
def unit() -> str:
    """The unit of the document, for the place where this checkout lies."""
    text = (PROJECT / "docs" / "scaling.md").read_text(encoding="utf-8")
    found = re.search(r"```ini\n(# /etc/systemd/system/" + UNIT + r".*?)```", text, re.DOTALL)
    assert found is not None
    told = found[1].replace("/opt/orgbridge/.venv/bin/python", sys.executable)
    return told.replace("/opt/orgbridge", str(PROJECT))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_has_nothing_to_say_against_the_unit(unit: str, tmp_path: Path) -> None:
    (tmp_path / UNIT).write_text(unit, encoding="utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.replace("@", "@1"))],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert (done.returncode, UNIT.split("@", maxsplit=1)[0] in done.stderr) == (0, False), (
        done.stderr
    )


def test_what_the_unit_starts_is_there(unit: str) -> None:
    """Also where there is no systemd: the program, and the setting that gives it a home."""
    started = re.search(r"^ExecStart=(\S+) (\S+) worker$", unit, re.MULTILINE)

    assert started is not None
    assert Path(started[1]).exists() and (PROJECT / started[2]).exists()
    assert "Environment=ORGBRIDGE_HOME=" in unit and "StateDirectory=" in unit
