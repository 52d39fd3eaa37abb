"""`make bench` runs whole: what one benchmark misses is told and stops none of the others."""

from __future__ import annotations

import sys

import pytest

from benchmarks import __main__ as bench
from benchmarks import metered, targets, tree
from benchmarks.targets import Measured


def test_a_benchmark_that_breaks_or_hangs_is_told_beside_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = bench.run(("json.tool", "--help"))
    broken = bench.run(("benchmarks.no_such_one",))
    hanging = bench.run(("http.server", "0", "--bind", "127.0.0.1"), limit_s=0.5)

    told = bench.section([good, broken, hanging])

    assert (good.verdict, bool(broken.verdict), bool(hanging.verdict)) == ("", True, True)
    missed = told.partition("Missed:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split("`")[1] for line in missed] == [broken.command, hanging.command]
    assert told.count("```") == 6
    assert "usage: python -m json.tool" in capsys.readouterr().out


def test_every_benchmark_that_make_bench_calls_is_there() -> None:
    commands = (*bench.COMMANDS, *bench.WITH_FIXTURES, bench.SIDE_BY_SIDE)
    called = [command[0] for command in commands]

    missing = [
        name for name in called if not bench.HERE.joinpath(f"{name.split('.')[1]}.py").exists()
    ]

    assert missing == []
    assert "benchmarks.workers" in called


def test_a_meter_counts_all_calls_and_its_line_is_found_again() -> None:
    meter = metered.Meter()
    add = meter.on(lambda n: sum(range(n)))

    assert add(1_000_000) == sum(range(1_000_000))
    once = meter.spent_s
    with pytest.raises(TypeError):
        add("what is refused counts too")
    add(1_000_000)

    assert meter.spent_s > once > 0
    said = "{}\n" + metered.LINE.format(1.25) + "\n"
    assert (metered.seconds(said), metered.seconds("nothing of the kind")) == (1.25, 0.0)


def test_a_rival_that_takes_too_long_is_ended_with_all_that_it_started() -> None:
    sleeping = "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}])"
    inner = "import time; print(flush=True); time.sleep(60)"

    cost = tree.measured([sys.executable, "-c", sleeping.format(inner)], limit_s=0.5)

    assert (cost.status, cost.said) == (tree.ENDED, "ended after 0 s")
    assert 0.5 <= cost.wall_s < 30


def _round(rows: int, tool: str, what: str, *, cpu_s: float, ended: bool = False) -> Measured:
    return Measured(
        rows=rows, tool=tool, name=tool, round=what, wall_s=cpu_s, cpu_s=cpu_s, database_s=0,
        peak_mb=rows / 2_000, calls=0, orgs_cpu_s=0, load=0, remark="", ended=ended,
    )  # fmt: skip


def test_what_is_asked_is_judged_by_ratios() -> None:
    rounds = [
        _round(300_000, "ours", targets.FIRST, cpu_s=10),
        _round(300_000, "ours", targets.AGAIN, cpu_s=6),
        _round(300_000, "sfdmu", targets.FIRST, cpu_s=45),
        _round(1_000_000, "ours", targets.FIRST, cpu_s=10),
        _round(1_000_000, "sfdmu", targets.FIRST, cpu_s=400, ended=True),
        _round(3_000_000, "ours", targets.FIRST, cpu_s=30),
    ]

    judged = list(targets.verdicts({(one.rows, one.tool, one.round): one for one in rounds}))

    assert {one.what: one.measured for one in judged if not one.reached} == {
        "300,000 rows, CPU against SFDMU": "4.5",
        "300,000 rows again, unchanged: wall of the first run": "60%",
        "300,000 rows again, unchanged: CPU of the first run": "60%",
        "peak of 3,000,000 rows, empty target, the id map apart": "1452 MB, 3.00 times",
    }
    assert {one.what: one.measured for one in judged if one.reached} == {
        "300,000 rows, wall against SFDMU": "4.5",
        "1,000,000 rows, CPU against SFDMU": "at least 40.0",
        "1,000,000 rows, wall against SFDMU": "at least 40.0",
        "peak of 1,000,000 rows, empty target, the id map apart": "484 MB",
    }
