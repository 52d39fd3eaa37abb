"""Pages are sealed: only the run's key opens them, only under their own name (rule 8.5)."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

from core.errors import ConfigError, NotFoundError
from core.spool import open_spool, page_name


class Plain:
    """A vault that seals nothing."""

    def encrypt(self, plain: str) -> str:
        return plain

    def decrypt(self, sealed: str) -> str:
        return sealed


FRAME = pl.DataFrame({"Id": ["1", None], "Name": ["ünï 😀", 'a,"b"\nc']})


@pytest.mark.parametrize("scheme", ["folder", "fsspec"])
def test_rule_8_5_a_page_comes_back_and_is_unreadable_to_others(
    tmp_path: Path, scheme: str
) -> None:
    place = str(tmp_path) if scheme == "folder" else f"local://{tmp_path}"
    spool = open_spool(place, Plain())
    run, key = uuid4(), spool.new_wrapped_key()
    pages = spool.run(run, key)
    pages.write(page_name("src/account", 1), FRAME)

    assert pages.read("src/account/000001").equals(FRAME)
    assert pages.names("src/account") == ["src/account/000001"]
    assert not [f for f in tmp_path.rglob("*.page") if "ünï".encode() in f.read_bytes()]
    with pytest.raises(ConfigError):
        spool.run(run, spool.new_wrapped_key()).read("src/account/000001")


def test_rule_8_5_a_renamed_page_is_refused(tmp_path: Path) -> None:
    spool = open_spool(str(tmp_path), Plain())
    pages = spool.run(uuid4(), spool.new_wrapped_key())
    pages.write("src/a", FRAME)
    (file,) = tmp_path.rglob("a.page")

    file.rename(file.with_name("b.page"))

    with pytest.raises(ConfigError):
        pages.read("src/b")
    with pytest.raises(NotFoundError):
        pages.read("src/a")


def test_deleting_a_run_removes_its_pages_and_no_others(tmp_path: Path) -> None:
    spool = open_spool(str(tmp_path), Plain())
    one, two = uuid4(), uuid4()
    for run in (one, two):
        spool.run(run, spool.new_wrapped_key()).write("src/a", FRAME)

    spool.delete_run(one)

    assert len(list(tmp_path.rglob("*.page"))) == 1
