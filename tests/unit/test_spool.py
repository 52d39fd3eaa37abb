"""Pages are sealed: only the run's key opens them, only under their own name (rule 8.5).

The same tests hold a folder and an S3-compatible store (a server process) to one behaviour.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

from core.config import load_settings
from core.errors import ConfigError, NotFoundError, OrgbridgeError, TransientError
from core.spool import RunSpool, Spool, open_spool, page_name
from tests.appserver import free_port
from tests.s3server import ACCESS_KEY, SECRET_KEY, S3Server


class Plain:
    """A vault that seals nothing."""

    def encrypt(self, plain: str) -> str:
        return plain

    def decrypt(self, sealed: str) -> str:
        return sealed


FRAME = pl.DataFrame({"Id": ["1", None], "Name": ["ünï 😀", 'a,"b"\nc']})


@pytest.fixture(params=["folder", "s3", "fsspec"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Spool:
    """A spool on each kind of store."""
    if request.param == "s3":
        return open_spool(request.getfixturevalue("s3").bucket("team/spool"), Plain())
    prefix = "local://" if request.param == "fsspec" else ""
    return open_spool(f"{prefix}{tmp_path / 'spool'}", Plain())


def pages_of(spool: Spool) -> RunSpool:
    return spool.run(uuid4(), spool.new_wrapped_key())


def test_rule_8_5_a_page_comes_back_and_is_unreadable_to_others(spool: Spool) -> None:
    run, key = uuid4(), spool.new_wrapped_key()
    pages = spool.run(run, key)
    pages.write(page_name("src/account", 1), FRAME)

    assert pages.read("src/account/000001").equals(FRAME)
    assert pages.read("src/account/000001", ["Id"]).columns == ["Id"]
    with pytest.raises(ConfigError):
        spool.run(run, spool.new_wrapped_key()).read("src/account/000001")
    with pytest.raises(NotFoundError):
        pages.read("src/account/000002")


def test_a_page_is_replaced_as_a_whole_and_shown_to_everybody_at_once(spool: Spool) -> None:
    """Another process opens the same address; here: another spool object."""
    run, key = uuid4(), spool.new_wrapped_key()
    for number in (2, 1, 10):
        spool.run(run, key).write(page_name("src/account", number), FRAME)
    spool.run(run, key).write(page_name("src/account", 1), FRAME.head(1))
    spool.run(run, key).write(page_name("src/account/deeper", 1), FRAME)
    elsewhere = open_spool(spool.url, Plain()).run(run, key)

    assert elsewhere.names("src/account") == [page_name("src/account", n) for n in (1, 2, 10)]
    assert [page.height for page in elsewhere.pages("src/account")] == [1, 2, 2]
    assert elsewhere.names("src/nothing") == []


def test_deleting_removes_a_folder_or_a_run_and_nothing_else(spool: Spool) -> None:
    one, two = pages_of(spool), pages_of(spool)
    for pages in (one, two):
        pages.write("src/a/000001", FRAME)
        pages.write("before/a/000001", FRAME)

    one.delete("src")
    assert (one.names("src/a"), one.names("before/a")) == ([], ["before/a/000001"])
    assert not one.is_empty()
    one.delete_all()
    one.delete_all()  # again, as a retention that was interrupted does

    assert one.is_empty() and not two.is_empty()
    assert two.names("src/a") == ["src/a/000001"]


def test_a_large_page_of_several_parts_comes_back(spool: Spool) -> None:
    frame = pl.select(n=pl.int_range(1_000_000)).with_columns(
        pl.col("n").hash(s).alias(f"h{s}") for s in (1, 2)
    )
    pages = pages_of(spool)

    pages.write("src/a/000001", frame)

    assert pages.read("src/a/000001").equals(frame)


def test_threads_write_side_by_side(spool: Spool) -> None:
    pages = pages_of(spool)
    threads = [
        threading.Thread(target=pages.write, args=(page_name("load/a", n), FRAME))
        for n in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(pages.names("load/a")) == 8


def test_a_worker_checks_its_spool_and_leaves_nothing_in_it(spool: Spool) -> None:
    spool.check()
    pages = pages_of(spool)
    assert pages.is_empty()


def test_nothing_readable_lies_on_an_s3_store(s3: S3Server) -> None:
    url = s3.bucket()
    spool = open_spool(url, Plain())
    run, key = uuid4(), spool.new_wrapped_key()
    pages = spool.run(run, key)
    pages.write("src/a", FRAME)
    ((name, sealed),) = [(key, s3.get(url, key)) for key in s3.keys(url)]

    assert name == f"spool/{run}/src/a.page"
    assert "ünï".encode() not in sealed
    s3.put(url, f"spool/{run}/src/b.page", sealed)  # a page renamed, and one cut off
    s3.put(url, f"spool/{run}/src/a.page", sealed[:-1])
    for other in ("src/b", "src/a"):
        with pytest.raises(ConfigError, match="cannot be opened"):
            pages.read(other)


def test_rule_8_5_a_renamed_page_is_refused(tmp_path: Path) -> None:
    spool = open_spool(str(tmp_path), Plain())
    pages = pages_of(spool)
    pages.write("src/a", FRAME)
    (file,) = tmp_path.rglob("a.page")
    assert "ünï".encode() not in file.read_bytes()

    file.rename(file.with_name("b.page"))

    with pytest.raises(ConfigError):
        pages.read("src/b")
    with pytest.raises(NotFoundError):
        pages.read("src/a")


@pytest.mark.parametrize("act", ["write", "read", "list", "delete"])
def test_a_missing_bucket_is_named_with_a_way_out(s3: S3Server, act: str) -> None:
    problem = refused(s3.bucket().replace("s3://", "s3://no"), act)

    assert isinstance(problem, ConfigError)
    assert "no bucket nobucket" in str(problem) and "ORGBRIDGE_SPOOL_URL" in str(problem)
    check_no_credential(problem)


@pytest.mark.parametrize("act", ["write", "list"])
def test_a_store_that_is_away_is_a_passing_fault(
    s3: S3Server, caplog: pytest.LogCaptureFixture, act: str
) -> None:
    """Nobody listens at that port: a worker tries again, and the run can be resumed."""
    with caplog.at_level(logging.DEBUG):
        problem = refused(s3.bucket().replace(str(s3.port), str(free_port())), act)

    assert isinstance(problem, TransientError), problem
    assert "resumed" in problem.state
    check_no_credential(problem, caplog.text)


def refused(url: str, act: str) -> OrgbridgeError:
    """What the first such call says."""
    pages = pages_of(open_spool(url, Plain()))
    calls = {
        "write": lambda: pages.write("src/a/000001", FRAME),
        "read": lambda: pages.read("src/a/000001"),
        "list": lambda: pages.names("src/a"),
        "delete": pages.delete_all,
    }
    with pytest.raises(OrgbridgeError) as caught:
        calls[act]()
    return caught.value


def check_no_credential(problem: OrgbridgeError, logged: str = "") -> None:
    """Nor the options of the address, which may hold a host of the private network."""
    told = f"{problem} {problem.facts} {problem.__cause__!r} {logged}"
    assert ACCESS_KEY not in told and SECRET_KEY not in told and "endpoint=" not in told


def test_a_store_that_denies_is_named_with_a_way_out(s3: S3Server) -> None:
    url = s3.bucket()
    s3.deny(url, "s3:PutObject")

    with pytest.raises(ConfigError, match="does not let this worker in") as caught:
        pages_of(open_spool(url, Plain())).write("src/a", FRAME)

    assert caught.value.fact("code") == "ACCESS_DENIED"
    check_no_credential(caught.value)
    assert "PutObject" in caught.value.next_step
    assert s3.keys(url) == []


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="holds a user or password") as caught:
        load_settings({"ORGBRIDGE_SPOOL_URL": "s3://AKIA:planted@bucket/x"})

    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["s3:///folder", "s3://bucket/x?endpint=http://h", "s3://bucket?endpoint=h:9000"]
)
def test_an_address_that_is_not_understood_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="options that are not understood"):
        open_spool(url, Plain())


def test_a_scheme_without_its_package_says_which_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Nothing here can reach"):
        pages_of(open_spool("gs://bucket/x", Plain())).write("a", FRAME)


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")

    with pytest.raises(ConfigError, match="could not be stored"):
        open_spool(str(tmp_path / "spool"), Plain()).check()
