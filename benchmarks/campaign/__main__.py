"""Plays a campaign of faults and writes benchmarks/CAMPAIGN.md.

    python -m benchmarks.campaign --cases 5000 [--seed N] [--minutes M] [--folder DIR]
    python -m benchmarks.campaign --replay SEED [SEED …]      plays single cases
    python -m benchmarks.campaign --slice --seed N --folder DIR   generated cases alone
    python -m benchmarks.campaign --again --folder DIR        plays the seeds that ended wrong again
    python -m benchmarks.campaign --people --rough --folder DIR   people's actions, heavier blows
    python -m benchmarks.campaign --report --folder DIR       writes the table from what was played

Generated cases are played by ``--slices`` processes side by side, each a part of the same seeds;
then people's actions and the heavier blows. Verdicts are kept in the folder as they come: a
campaign that is stopped goes on where it was when it is started again with the same folder.
"""

from __future__ import annotations

import argparse
import faulthandler
import functools
import itertools
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

# one thread for frames of ten rows: handing them to a pool costs more than the work
os.environ.setdefault("POLARS_MAX_THREADS", "1")

HERE = Path(__file__).resolve().parent
CASES = 5_000
#: cases after which the stage is set anew: databases and orgs stay small
STAGE_CASES = 400
SEED = 20261121
#: times that a slice is begun until the campaign gives up
STARTS = 5
#: seeds from which the rarest is picked
CHOICE = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing was wrong, else 1."""
    given = _arguments(arguments)
    if given.replay:
        return _replay(given.replay)
    folder = Path(given.folder)
    folder.mkdir(parents=True, exist_ok=True)
    from benchmarks.campaign import people, report, rough

    parts = (given.report, given.slice, given.people, given.rough, given.again)
    everything = not any(parts)
    if given.again:
        _play_again(folder)
    if given.slice:
        _play(given, folder)
    if everything:
        _play_slices(given, folder)
    if given.people or everything:
        people.play_all(folder, commit=commit(), goes_on=everything)
    if given.rough or everything:
        rough.play_all(folder, commit=commit(), goes_on=everything)
    if given.slice:
        return 0
    return report.write(folder, HERE.parent / "CAMPAIGN.md")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.campaign")
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--minutes", type=float, default=0, help="0: until all cases are played")
    parser.add_argument("--folder", default="/tmp/orgbridge-campaign")  # noqa: S108  named on purpose
    parser.add_argument("--replay", type=int, nargs="+", metavar="SEED")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--slices", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--slice", action="store_true", help="generated cases only, no table")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("K", "N"),
                        help="every N-th seed, from the K-th on")  # fmt: skip
    parser.add_argument("--rare", action="store_true", help="what was played least comes first")
    parser.add_argument("--again", action="store_true", help="what ended wrong, once more")
    parser.add_argument("--people", action="store_true", help="people's actions only")
    parser.add_argument("--rough", action="store_true", help="heavier blows only")
    return parser.parse_args(arguments)


def commit() -> str:
    """The commit that is played; CAMPAIGN_COMMIT where the code lies outside of a checkout."""
    named = os.environ.get("CAMPAIGN_COMMIT")
    if named:
        return named
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return said.stdout.strip() or "unknown"


def seeds(seed: int, cases: int) -> Iterator[int]:
    """The cases of a campaign."""
    dice = random.Random(seed)  # noqa: S311  cases, not secrets
    for _ in range(cases):
        yield dice.randrange(1_000_000_000)


def _play_slices(given: argparse.Namespace, folder: Path) -> None:
    """The generated cases, by processes side by side.

    Raises:
        CalledProcessError: a slice broke time and again.
    """
    os.environ.setdefault("CAMPAIGN_COMMIT", commit())
    _ends(given.minutes)
    asked = {"cases": given.cases, "seed": given.seed, "minutes": given.minutes, "folder": folder}
    command = [sys.executable, "-m", "benchmarks.campaign", "--slice"]
    command += [part for name, value in asked.items() for part in (f"--{name}", str(value))]
    command += ["--rare"] if given.rare else []
    parts = [[*command, "--part", str(k), str(given.slices)] for k in range(given.slices)]
    with ThreadPoolExecutor(given.slices) as side_by_side:
        list(side_by_side.map(_play_through, parts))


def _play_through(command: Sequence[str]) -> None:
    """Begins a slice again when it breaks; it goes on behind the last case that it noted."""
    for _ in range(STARTS - 1):
        if not subprocess.run(command, check=False).returncode:
            return
    subprocess.run(command, check=True)


def _play(given: argparse.Namespace, folder: Path) -> None:
    from benchmarks.campaign import results
    from benchmarks.campaign.cases import OPERATIONS

    done = {one["seed"] for one in results.read(folder) if one["kind"] in OPERATIONS}
    first, every = given.part
    todo = [seed for seed in list(seeds(given.seed, given.cases))[first::every] if seed not in done]
    ends = _ends(given.minutes)
    with (folder / f"cases-{given.seed}-{os.getpid()}.jsonl").open("a", encoding="utf-8") as out:
        while todo and time.time() < ends:
            order = rarest(todo, results.read(folder)) if given.rare else iter(todo)
            part = list(itertools.islice(order, STAGE_CASES))
            todo = [seed for seed in todo if seed not in part]
            _play_part(part, out, ends)


def rarest(todo: Sequence[int], played: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """The same seeds, those of faults and operations that were played least always first."""
    from benchmarks.campaign.cases import case_of

    counted = Counter((one["strike"], one["kind"]) for one in played)
    names = Counter(one["strike"] for one in played)
    left, made = list(todo), functools.cache(case_of)
    while left:
        near = [made(seed) for seed in left[:CHOICE]]
        best = min(
            near, key=lambda one: (counted[one.strike.name, one.kind], names[one.strike.name])
        )
        counted[best.strike.name, best.kind] += 1
        names[best.strike.name] += 1
        left.remove(best.seed)
        yield best.seed


def _play_again(folder: Path) -> None:
    """The seeds whose last playing was wrong."""
    from benchmarks.campaign import results
    from benchmarks.campaign.cases import OPERATIONS

    found = [one for one in results.read(folder) if one["wrong"] and one["kind"] in OPERATIONS]
    with (folder / f"again-{os.getpid()}.jsonl").open("a", encoding="utf-8") as out:
        _play_part([one["seed"] for one in found], out, float("inf"))


def _ends(minutes: float) -> float:
    """When to stop, in seconds since 1970; a slice that was begun again keeps its end."""
    if not minutes:
        return float("inf")
    return float(os.environ.setdefault("CAMPAIGN_ENDS", str(time.time() + minutes * 60)))


def _play_part(part: list[int], out: TextIO, ends: float) -> None:
    from benchmarks.campaign import results
    from benchmarks.campaign.stage import stage
    from benchmarks.campaign.story import hung, play
    from benchmarks.campaign.watch import DEADLINE_S, Watchdog

    now, playing = commit(), [0]

    def note(stacks: str) -> None:
        results.write(out, hung(playing[0], stacks), commit=now)

    folder = Path(out.name).parent
    stacks = folder / f"hung-{os.getpid()}-{int(time.time())}.txt"
    watchdog = Watchdog(stacks, note, again=True, deadline_s=DEADLINE_S)
    with stage() as on:
        for number, seed in enumerate(part, 1):
            if time.time() >= ends:
                return
            playing[0] = seed
            watchdog.begin()
            verdict = play(on, seed)
            watchdog.end()
            results.write(out, verdict, commit=now)
            _tell(verdict, number, len(part))


def _tell(verdict: object, number: int, of: int) -> None:
    wrong = getattr(verdict, "wrong", ())
    if wrong or number % 50 == 0:
        sys.stdout.write(f"{number}/{of} {verdict if wrong else ''}\n")
        sys.stdout.flush()


def _replay(numbers: Sequence[int]) -> int:
    from benchmarks.campaign.cases import case_of
    from benchmarks.campaign.stage import stage
    from benchmarks.campaign.story import play
    from benchmarks.campaign.watch import DEADLINE_S, Watchdog

    wrong = 0
    watchdog = Watchdog(Path(os.devnull), _hangs, again=False, deadline_s=DEADLINE_S)
    with stage() as on:
        for seed in numbers:
            watchdog.begin()
            verdict = play(on, seed)
            watchdog.end()
            wrong += bool(verdict.wrong)
            sys.stdout.write(f"{case_of(seed)}\n{verdict.seconds} s, struck: {verdict.struck}\n")
            sys.stdout.write("".join(f"  {one}\n" for one in verdict.wrong) or "  all right\n")
    return 1 if wrong else 0


def _hangs(_: str) -> None:
    faulthandler.dump_traceback(sys.stdout, all_threads=True)


if __name__ == "__main__":
    sys.exit(main())
