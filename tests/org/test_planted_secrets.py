"""Plants known secrets in every way in, then looks for them in everything that is written or shown.

Real processes of the terminal that tell all they do; every connection is tried with right and with
wrong secrets. What is searched: output, logs, every file below the home folder, every row of every
table. The key file is the one place that may hold a secret (its own).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.engine import database_url, owner_engine
from core.domain.roles import Actor, Role
from core.errors import OrgbridgeError
from core.notices import NoticeEvent
from core.secret import Secret
from core.services import notices, people
from core.services.notices import RuleRequest
from tests.conftest import PROJECT
from tests.orgs import PracticeOrg, PracticeOrgs

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

PLANTED = "pLanTed"
#: one recognisable text per way in
GIVEN = {
    "access token": f"00D000000000001!{PLANTED}AccessToken",
    "client secret": f"{PLANTED}ClientSecret",
    "password": f"{PLANTED}Password of a person",
    "org password": f"{PLANTED}OrgPassword",
    "security token": f"{PLANTED}SecurityToken",
    "refresh token": f"{PLANTED}RefreshToken",
    "notification": f"{PLANTED}Hook",
}


@pytest.fixture
def house(settings: Settings, tmp_path: Path) -> Settings:
    """An installation whose key lies in its home folder, before it ever encrypted anything."""
    engine = owner_engine(database_url(str(settings.database_url)))
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM vault_canary"))
    engine.dispose()
    return Settings(
        database_url=settings.database_url, home=tmp_path / "home", private_hosts=("127.0.0.1",)
    )


@pytest.fixture
def org(practice_org: PracticeOrgs) -> PracticeOrg:
    return practice_org(name="Northwind")


def cli(house: Settings, *arguments: str, typed: str = "") -> str:
    """One command in a process of its own; everything it printed."""
    done = subprocess.run(
        [sys.executable, "cli.py", "--verbose", *arguments],
        cwd=PROJECT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "DATABASE_URL": str(house.database_url),
            "ORGBRIDGE_HOME": str(house.home),
        },
    )
    return f"{done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def test_no_secret_is_written_or_shown_anywhere(
    house: Settings, org: PracticeOrg, private_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    said = org.json("GET", "/_sim/org")
    real = {"real access token": org.access_token, "real client secret": said["client_secret"]}
    instance = ("--instance-url", org.url)
    app = ("--client-id", said["client_id"])

    shown = [
        cli(house, "orgs", "add", "a", *instance, "--access-token", GIVEN["access token"]),
        cli(house, "orgs", "add", "b", *instance, "--access-token", "-", typed=org.access_token),
        cli(house, "orgs", "add", "c", *instance, *app, "--client-secret", GIVEN["client secret"]),
        cli(
            house, "orgs", "add", "b", "--reconnect", *instance, *app, "--client-secret", "-",
            typed=said["client_secret"],
        ),
        cli(
            house, "orgs", "add", "d", *instance, "--username", said["user_id"], "--password",
            GIVEN["org password"], "--security-token", GIVEN["security token"],
        ),
        cli(
            house, "orgs", "add", "e", *instance, *app, "--username", "u@x.example", "--jwt-key",
            "-", typed=private_key,
        ),
        cli(
            house, "orgs", "add", "f", "--sfdx-url",
            f"force://{said['client_id']}::{GIVEN['refresh token']}@{org.url.partition('//')[2]}",
        ),
        cli(house, "orgs", "test", "b"),
        cli(house, "orgs", "list", "--json"),
        cli(house, "keys", "rotate"),
        cli(house, "orgs", "test", "b"),
    ]  # fmt: skip
    assert "".join(each.partition("\n")[0] for each in shown) == "10101110000"
    with bootstrap.build(house) as bridge:
        shown += list(_door_and_notices(bridge))

    secrets = {**GIVEN, **real, "private key": private_key.splitlines()[5]}
    places = {
        "output": "\n".join(shown),
        "caplog": caplog.text,
        **_files(house.home),
        **_tables(house),
    }
    found = [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for place, text in places.items()
        if secret in text
    ]
    assert "org.connected" in places["audit_log"]
    assert any(place.endswith("terminal.log") and text for place, text in places.items())
    assert found == []


def _door_and_notices(bridge: Orgbridge) -> Iterator[str]:
    """The first admin, a wrong password, a rule with a password in its address."""
    code = people.issue_setup_code(bridge) or ""
    password = GIVEN["password"]
    entered = people.create_first_admin(
        bridge, code=code, name="", email="a@x.org", password=password, origin="t"
    )
    yield repr(entered)
    try:
        people.sign_in(bridge, email="b@x.org", password=password, origin="t")
    except OrgbridgeError as refused:
        yield f"{refused} {refused.facts}"
    admin = Actor(bridge.workspace_id(), None, "ada", Role.ADMIN)
    rule = RuleRequest(
        name="hook",
        events=(str(NoticeEvent.RUN_FAILED),),
        channel="webhook",
        address=Secret(f"json://u:{GIVEN['notification']}@127.0.0.1:9/"),
    )
    rule_id = notices.add_rule(bridge, admin, rule)
    yield repr(rule)
    try:
        notices.send_test(bridge, admin, rule_id)
    except OrgbridgeError as refused:
        yield f"{refused} {refused.facts}"


def _files(home: Path) -> dict[str, str]:
    return {
        str(path): path.read_bytes().decode(errors="replace")
        for path in home.rglob("*")
        if path.is_file() and path.name != "key"
    }


def _tables(house: Settings) -> dict[str, str]:
    engine = owner_engine(database_url(str(house.database_url)))
    try:
        with engine.connect() as connection:
            names = connection.scalars(
                sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            ).all()
            return {
                name: "\n".join(connection.scalars(sa.text(f'SELECT t::text FROM "{name}" t')))
                for name in names
            }
    finally:
        engine.dispose()
