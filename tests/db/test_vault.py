"""Secrets at rest: under a key that can be rotated, and never opened by a wrong one."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken

from core.access import secrets
from core.access.secrets import Vault, encrypted_columns, new_key, open_vault, rotate
from core.bootstrap import Orgbridge
from core.config import Settings
from core.errors import ConfigError
from core.secret import Secret
from tests.db.planting import plant, workspace


@pytest.fixture
def by_file(settings: Settings, bridge: Orgbridge) -> Settings:
    """A young installation without ORGBRIDGE_KEY: its key will lie in the home folder."""
    with bridge.owner_session() as session:
        session.execute(sa.text("DELETE FROM vault_canary"))
    return replace(settings, key=None)


def test_key_file_is_made_once_and_private(bridge: Orgbridge, by_file: Settings) -> None:
    """Processes that start together agree on one key; nobody else can read it."""

    def start(_: int) -> str:
        with bridge.owner_session() as session:
            return open_vault(by_file, session).encrypt("x")

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(start, range(8)))

    with bridge.owner_session() as session:
        vault = open_vault(by_file, session)
    path = by_file.home / "key"
    assert {vault.decrypt(each) for each in made} == {"x"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in by_file.home.iterdir()] == ["key"]


def test_wrong_key_is_told_at_start(bridge: Orgbridge, settings: Settings) -> None:
    """Not garbage later, and not a new canary."""
    with bridge.owner_session() as session:
        open_vault(settings, session)
    wrong = replace(settings, key=Secret(new_key()))

    for _ in range(2):
        with (
            pytest.raises(ConfigError, match="not the one this database was encrypted with"),
            bridge.owner_session() as session,
        ):
            open_vault(wrong, session)


def test_missing_key_file_is_not_replaced(bridge: Orgbridge, by_file: Settings) -> None:
    """A fresh key would make every stored secret unreadable for ever."""
    with bridge.owner_session() as session:
        open_vault(by_file, session)
    (by_file.home / "key").unlink()

    with (
        pytest.raises(ConfigError, match="is missing"),
        bridge.owner_session() as session,
    ):
        open_vault(by_file, session)
    assert not (by_file.home / "key").exists()


def test_key_file_that_others_read_is_refused(bridge: Orgbridge, by_file: Settings) -> None:
    """The message says how to mend it."""
    with bridge.owner_session() as session:
        open_vault(by_file, session)
    (by_file.home / "key").chmod(0o640)

    with (
        pytest.raises(ConfigError, match="chmod 600"),
        bridge.owner_session() as session,
    ):
        open_vault(by_file, session)


@pytest.mark.parametrize("text", ["no key", "", ",", "a" * 44])
def test_unusable_key_says_how_one_looks(bridge: Orgbridge, settings: Settings, text: str) -> None:
    """And never repeats what was given."""
    with pytest.raises(ConfigError) as caught, bridge.owner_session() as session:
        open_vault(replace(settings, key=Secret(text or " ")), session)

    assert "44 characters" in str(caught.value)
    assert not text.strip(",") or text not in str(caught.value)


def test_rotation_re_encrypts_every_secret(bridge: Orgbridge, by_file: Settings) -> None:
    """Every marked column of every table; the old key opens none of them afterwards."""
    with bridge.owner_session() as session:
        old = open_vault(by_file, session)
        first = (by_file.home / "key").read_text().strip()
        planted = {c.name: old.encrypt(f"planted {c.name}") for c in encrypted_columns()}
        plant(session, workspace(session, "A"), **planted)

    with bridge.owner_session() as session:
        count = rotate(by_file, session)
    secrets.drop_older_keys(by_file)

    keys = (by_file.home / "key").read_text().split()
    with bridge.owner_session() as session:
        vault = open_vault(by_file, session)
        stored = {c: session.scalar(sa.select(c)) for c in encrypted_columns()}
    assert count == len(stored) >= 7
    assert keys[1] == first
    for column, ciphertext in stored.items():
        assert isinstance(ciphertext, str)
        with pytest.raises(InvalidToken):
            Fernet(first).decrypt(ciphertext)
        if column.table.name != "vault_canary":
            assert Fernet(keys[0]).decrypt(ciphertext).decode() == f"planted {column.name}"
            assert vault.decrypt(ciphertext) == f"planted {column.name}"


def test_running_process_follows_a_rotation(bridge: Orgbridge, by_file: Settings) -> None:
    """A vault opened before reads and writes under the new key, without a restart."""
    with bridge.owner_session() as session:
        running = open_vault(by_file, session)
    earlier = running.encrypt("earlier")
    with bridge.owner_session() as session:
        rotate(by_file, session)
    secrets.drop_older_keys(by_file)
    newest = (by_file.home / "key").read_text().split()[0]

    later = running.encrypt("later")

    assert Fernet(newest).decrypt(later) == b"later"
    assert running.decrypt(earlier) == "earlier"


def test_failed_rotation_loses_nothing(bridge: Orgbridge, by_file: Settings) -> None:
    """One secret that no key opens stops it; everything else stays readable."""
    with bridge.owner_session() as session:
        vault = open_vault(by_file, session)
        good = vault.encrypt("good")
        plant(session, workspace(session, "A"), access_token=good, credentials="not ours")

    with pytest.raises(ConfigError, match="any key given"), bridge.owner_session() as session:
        rotate(by_file, session)

    with bridge.owner_session() as session:
        assert open_vault(by_file, session).decrypt(good) == "good"


def test_rotation_by_environment_needs_both_keys(bridge: Orgbridge, settings: Settings) -> None:
    """The operator puts the new key first; then the old one can be taken away."""
    assert settings.key is not None
    old, new = settings.key.reveal(), new_key()
    with bridge.owner_session() as session:
        open_vault(settings, session)
    with pytest.raises(ConfigError, match="holds one key"), bridge.owner_session() as session:
        rotate(settings, session)

    with bridge.owner_session() as session:
        rotate(replace(settings, key=Secret(f"{new},{old}")), session)

    with bridge.owner_session() as session:
        open_vault(replace(settings, key=Secret(new)), session)


def test_vault_does_not_show_itself(tmp_path: Path) -> None:
    """Neither keys nor plain text in its repr or its errors."""
    key = new_key()
    vault = Vault([key])

    with pytest.raises(ConfigError) as caught:
        vault.decrypt("planted-ciphertext")

    assert key not in repr(vault)
    assert "planted-ciphertext" not in str(caught.value)
    assert repr(vault.reveal(vault.encrypt("planted"))) == "Secret('********')"
