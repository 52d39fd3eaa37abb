"""`make bench` runs whole: what one benchmark misses is told and stops none of the others."""

from __future__ import annotations

import pytest

from benchmarks import __main__ as bench
from benchmarks import metered


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
    called = [command[0] for command in (*bench.COMMANDS, *bench.WITH_FIXTURES)]

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
