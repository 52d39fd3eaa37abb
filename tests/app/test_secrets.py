"""Known secrets are planted through the terminal, then looked for wherever text ends up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from core.config import Settings, child_environ
from core.db.embedded.binaries import installed_binaries
from tests.conftest import PROJECT, TEST_KEY
from tests.orgs import PracticeOrg, PracticeOrgs

WRONG_TOKEN = "00D000000000001!AQplantedWrongTokenAQplantedWrongTokenAQplanted"
PASSWORD = "planted-Passw0rd-correct-horse"
SECURITY_TOKEN = "plantedSecurityToken0123456789"
WRONG_SECRET = "PLANTEDCONSUMERSECRET0123456789ABCDEF"
REFRESH_TOKEN = "5Aep861plantedRefreshToken0123456789"


@pytest.fixture
def org(practice_org: PracticeOrgs) -> Iterator[PracticeOrg]:
    """One org with a token, a client id and a client secret."""
    yield practice_org(name="Planted")


class Terminal:
    """Runs commands as a person would and keeps all they said."""

    def __init__(self, settings: Settings) -> None:
        self.environ = child_environ(settings)
        self.said = ""

    def run(self, *words: str, given: str = "") -> int:
        """One command, its story told too; its exit status."""
        done = subprocess.run(
            [sys.executable, "cli.py", "-v", *words], cwd=PROJECT, env=self.environ,
            input=given, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        self.said += done.stdout + done.stderr
        return done.returncode


def test_planted_secrets_are_found_nowhere(
    settings: Settings, org: PracticeOrg, tmp_path: Path
) -> None:
    facts = org.json("GET", "/_sim/org")
    terminal = Terminal(settings)
    by_token = ("--instance-url", org.url, "--access-token", "-")
    by_secret = ("--instance-url", org.url, "--client-id", facts["client_id"])

    assert terminal.run("orgs", "add", "one", *by_token, given=f"{org.access_token}\n") == 0
    assert terminal.run("orgs", "add", "bad", *by_token, given=f"{WRONG_TOKEN}\n") == 1
    assert terminal.run("orgs", "add", "bad", *by_secret, "--client-secret", WRONG_SECRET) == 1
    login = ("--username", "ann@planted.example", "--password", PASSWORD)
    words = ("--instance-url", org.url, *login, "--security-token", SECURITY_TOKEN)
    assert terminal.run("orgs", "add", "bad", *words) == 1
    sfdx = f"force://PlatformCLI::{REFRESH_TOKEN}@{org.url.removeprefix('http://')}"
    assert terminal.run("orgs", "add", "bad", "--sfdx-url", "-", given=f"{sfdx}\n") == 1
    assert terminal.run("orgs", "list", "--json") == 0
    assert terminal.run("keys", "rotate") in (0, 1)
    org.json("POST", "/_sim/expire", {"lasting": True})
    assert terminal.run("orgs", "test", "one") == 1

    planted = {
        "access token": org.access_token,
        "wrong token": WRONG_TOKEN,
        "client secret": facts["client_secret"],
        "wrong secret": WRONG_SECRET,
        "password": PASSWORD,
        "security token": SECURITY_TOKEN,
        "refresh token": REFRESH_TOKEN,
        "key": TEST_KEY,
    }
    places = {"terminal": terminal.said, **files(settings.home), "database": dumped(settings)}
    found = [
        f"{name} in {place}"
        for name, secret in planted.items()
        for place, text in places.items()
        if secret in text or json.dumps(secret)[1:-1] in text
    ]
    assert found == []


def files(home: Path) -> dict[str, str]:
    """Text of every file of the data folder but the key's own."""
    return {
        str(path.relative_to(home)): path.read_text(errors="replace")
        for path in home.rglob("*")
        if path.is_file() and path.name != "key"
    }


def dumped(settings: Settings) -> str:
    """The whole database as text."""
    url = make_url(settings.database_url or "").set(drivername="postgresql")
    plain = url.render_as_string(hide_password=False)
    done = subprocess.run(
        [installed_binaries().program("pg_dump"), f"--dbname={plain}", "--inserts"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "INSERT INTO public.registered_org" in done.stdout
    return done.stdout
