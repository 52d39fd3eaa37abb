"""Blows that need a machine of their own kind: a killed database, a full disk, a refreshed sandbox.

Each plays on a stage of its own and is judged by the same oracle as the generated cases.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.campaign import results
from benchmarks.campaign.acts import Happened
from benchmarks.campaign.cases import Case, case_of
from benchmarks.campaign.drive import Carrying, NeverEndsError, launched
from benchmarks.campaign.oracle import live
from benchmarks.campaign.stage import Stage, stage
from benchmarks.campaign.story import Verdict, _fill, _forward, _Play
from benchmarks.campaign.strikes import Strike
from core.db.embedded.layout import layout_of
from core.domain.states import RunState
from core.errors import OrgbridgeError

#: times each blow is played
TIMES = 4


def play_all(folder: Path, *, commit: str, goes_on: bool = False) -> None:
    """Plays all of them and keeps the verdicts.

    Args:
        goes_on: what the folder holds is not played again.
    """
    from benchmarks.campaign import whole_app  # which plays cases of this module

    done = results.played(folder) if goes_on else Counter()
    with (folder / f"rough-{os.getpid()}.jsonl").open("a", encoding="utf-8") as out:
        for name, blow in {**_BLOWS, **whole_app.BLOWS}.items():
            for number in range(done[name], TIMES):
                results.write(out, _played(name, blow, number), commit=commit)


def _played(name: str, blow: Callable[[int], list[str]], number: int) -> Verdict:
    began = time.monotonic()
    try:
        wrong = blow(number)
    except NeverEndsError as never:
        wrong = [f"never ends: {never}"]
    except Exception as broken:  # whatever the product raised is the finding
        wrong = [f"crashed: {type(broken).__name__}: {broken}"[:600]]
    return Verdict(
        seed=number, kind="the machine", strike=name, wrong=tuple(wrong), struck=True, resumes=0,
        seconds=round(time.monotonic() - began, 3), at=round(time.time(), 3),
    )  # fmt: skip


def _case(number: int, strike: Strike) -> Case:
    """An upsert of two objects with self lookups, by bulk or collections."""
    made = case_of(70_000 + number)
    return replace(
        made, kind="upsert", operation="upsert", objects=("Account", "Contact"),
        lookups={"Account": ("ParentId",), "Contact": ("AccountId", "ReportsToId")},
        rows={"Account": 6, "Contact": 9}, key="stamp", api=("bulk", "collections")[number % 2],
        batch=3, there=0.3, refused=False, twins=False, finally_=False, strike=strike,
        blanks="default",
    )  # fmt: skip


def _database_killed(number: int) -> list[str]:
    """kill -9 of PostgreSQL while a request is held; its supervisor starts it again."""

    def strike(on: Stage) -> None:
        layout = layout_of(on.settings.home.parent / "db")
        pid = int((layout.cluster / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    return _with_blow(number, strike)


def _disk_full(number: int) -> list[str]:
    """The spool lies on a file system of 64 kB that is full until the run has failed once."""
    with _small_disk() as disk, stage() as on:
        spool = on.settings.home / "spool"
        spool.parent.mkdir(parents=True, exist_ok=True)
        spool.symlink_to(disk)
        play = _Play(on, _case(number, Strike("nothing")), random.Random(number))  # noqa: S311
        _fill(play)
        name = launched(on, play.case)
        ballast = disk / "ballast"
        _fill_up(ballast)
        carrying = Carrying(on, play.case, name, play.happened)
        try:
            carrying.once()
            return ["the run did not notice that the disk is full"]
        except (OrgbridgeError, OSError):
            ballast.unlink()
        ended = carrying.to_the_end(struck=False)
        rows = on.dump("target", play.case.objects)
        there = {row["Key__c"] for name in play.case.objects for row in live(rows[name])}
        wanted = {row["Id"] for name in play.case.objects for row in play.source[name]}
        missing = wanted - there
        wrong = [f"{len(missing)} rows missing"] if missing else []
        return wrong + ([] if ended.state is RunState.SUCCEEDED else [f"ended {ended.state}"])


@contextmanager
def _small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="orgbridge-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def _fill_up(ballast: Path) -> None:
    try:
        with ballast.open("wb", buffering=0) as out:
            while True:
                out.write(b"x" * 4096)
    except OSError:
        return


def _with_blow(number: int, blow: Callable[[Stage], None]) -> list[str]:
    """A forward case in which the blow falls while a request of the target is held."""
    dice = random.Random(number)  # noqa: S311  moments, not secrets
    place = "upload" if number % 2 == 0 else "collections"
    moment = dice.choice(("before", "after"))
    strike = Strike("database connection lost", place, dice.randrange(3), moment)
    with stage() as on:
        play = _Play(_Struck(on, blow), _case(number, strike), dice)
        _fill(play)
        return _forward(play)


class _Struck(Stage):
    """A stage on which losing the database means something worse."""

    def __init__(self, on: Stage, blow: Callable[[Stage], None]) -> None:
        super().__init__(
            on.bridge, on.settings, on.actor, on.source, on.target, on.clock, on.admin_url, on.ids
        )
        self._blow = blow

    def cut_database(self) -> int:
        self._blow(self)
        return 1


def _sandbox_refreshed(number: int) -> list[str]:
    """The target is another org under the same address: nothing is sent by old links, no row twice.

    The first run's ledger speaks of the old org (rule 2.4).
    """
    with stage() as on:
        play = _Play(on, _case(number, Strike("nothing")), random.Random(number))  # noqa: S311
        _fill(play)
        Carrying(on, play.case, launched(on, play.case), Happened()).to_the_end(struck=False)
        _refresh(on)
        on.reconnect()
        try:
            name = launched(on, play.case)
            ended = Carrying(on, play.case, name, Happened()).to_the_end(struck=False)
        except (OrgbridgeError, NeverEndsError):
            return _twice(on, play.case)  # refused until somebody connects it anew: safe
        wrong = _twice(on, play.case)
        told = sum(one["inserted"] + one["unchanged"] + one["updated"]
                   for one in ended.document["objects"])  # fmt: skip
        wanted = sum(len(play.source[name]) for name in play.case.objects)
        return wrong + ([] if told == wanted else [f"{told} of {wanted} rows told"])


def _refresh(on: Stage) -> None:
    """Another Organization Id, no rows, the same address: what a refresh does to a sandbox."""
    on.target.kill()
    (on.target.home / "org.duckdb").unlink()
    shutil.rmtree(on.target.home / "bulk", ignore_errors=True)
    on.target.start()
    on.target.options(bulk_queue_delay_s=0, bulk_batch_delay_s=0, bulk_batch_rows=5)


def _twice(on: Stage, case: Case) -> list[str]:
    rows = on.dump("target", case.objects)
    keys = [row["Key__c"] for name in case.objects for row in live(rows[name])]
    return [] if len(keys) == len(set(keys)) else ["rows are there twice"]


_BLOWS: dict[str, Callable[[int], list[str]]] = {
    "kill -9 of the database": _database_killed,
    "no space left on the spool": _disk_full,
    "refreshed sandbox": _sandbox_refreshed,
}
