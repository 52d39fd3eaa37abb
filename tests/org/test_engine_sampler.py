"""Faults, sampled: whatever breaks at whatever moment, the run ends right, judged row by row.

A case is made from a number (`benchmarks/campaign`). By default a minute's worth is played;
`ENGINE_CASES=300 ENGINE_SEED=7 pytest tests/org/test_engine_sampler.py` plays as many as asked. A
failure prints the numbers and the command that plays them again.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.campaign.__main__ import seeds
from benchmarks.campaign.cases import OPERATIONS, case_of
from benchmarks.campaign.stage import stage
from benchmarks.campaign.story import Verdict, play
from benchmarks.campaign.strikes import ACTS, IN_A_PROCESS, JOBS, ROWS, WAYS
from core.config import Settings

CASES = int(os.environ.get("ENGINE_CASES", "0"))
SEED = int(os.environ.get("ENGINE_SEED", "20261121"))
#: how long the suite samples when no number of cases is asked for
BOX_S = float(os.environ.get("ENGINE_BOX_S", "60"))
#: played in any case, so that a slow machine tests something too
LEAST = 5
#: cases that are known to end wrong, and how; they stay in the campaign
KNOWN: dict[int, str] = {}
#: wrong cases after which there is enough to look at
ENOUGH = 5


@pytest.mark.timeout(7200)
def test_sampled_faults_leave_every_row_right(settings: Settings, tmp_path: Path) -> None:
    ends = time.monotonic() + BOX_S
    wrong: list[Verdict] = []
    played = 0
    with stage(tmp_path / "stage", given=settings) as on:
        for seed in seeds(SEED, CASES or 1_000_000):
            if len(wrong) >= ENOUGH or (not CASES and played >= LEAST and time.monotonic() > ends):
                break
            if seed in KNOWN:
                continue
            verdict = play(on, seed)
            played += 1
            if verdict.wrong:
                wrong.append(verdict)

    told = "\n".join(f"{one.seed} {one.kind}, {one.strike}: {one.wrong[:4]}" for one in wrong)
    again = " ".join(str(one.seed) for one in wrong)
    assert not wrong, f"{told}\nreplay: python -m benchmarks.campaign --replay {again}"


def test_the_same_number_makes_the_same_case() -> None:
    assert [case_of(n) for n in range(50)] == [case_of(n) for n in range(50)]


def test_three_hundred_cases_have_every_fault_and_every_operation() -> None:
    """Kills and stopped workers among them: what is sampled is not a corner of what can happen."""
    cases = [case_of(seed) for seed in seeds(SEED, 300)]

    assert {case.kind for case in cases} == set(OPERATIONS)
    struck = Counter(case.strike.name for case in cases)
    assert set(struck) == {"nothing", *WAYS, *ROWS, *JOBS, *ACTS}
    assert all(struck[name] >= 3 for name in IN_A_PROCESS)
