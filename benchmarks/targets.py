"""What is asked of our runs beside SFDMU's and their own, against what was measured.

The figures that are asked stand here alone; docs/speed.md tells how they are reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: rows → how many times less processor and wall time than SFDMU
TIMES_LESS: Mapping[int, tuple[float, float]] = {
    30_000: (2, 2),
    300_000: (5, 3),
    1_000_000: (6, 5),
}
#: an unchanged rerun, of the first run
RERUN_SHARE = 0.5
#: megabytes at a million rows; how many times that, the id map apart, at three million
PEAK_MB, PEAK_GROWTH = 500.0, 1.2
MILLION, MORE = 1_000_000, 3_000_000
#: of the id map, a record and mapping
ID_MAP_BYTES = 16
FIRST, AGAIN = "empty target", "again, unchanged"


@dataclass(frozen=True, slots=True)
class Measured:
    """One tool's one round at one size."""

    rows: int
    tool: str
    name: str
    round: str
    wall_s: float
    cpu_s: float
    database_s: float
    peak_mb: float
    calls: int
    orgs_cpu_s: float
    #: load of the machine when it ended, one minute
    load: float
    #: what the target lacks, or why nothing was measured
    remark: str
    #: of the processor time, what was spent on before-images
    before_s: float = 0.0
    #: ended at its limit: its figures are lower bounds
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure that is asked, and what was measured."""

    what: str
    asked: str
    measured: str
    reached: bool


def verdicts(known: Mapping[tuple[int, str, str], Measured]) -> Iterator[Verdict]:
    """Everything asked that both sides of have been measured, smallest size first.

    Args:
        known: rows, tool, round → figures.
    """
    for rows in sorted({rows for rows, _, _ in known}):
        first, again = (known.get((rows, "ours", what)) for what in (FIRST, AGAIN))
        rival = known.get((rows, "sfdmu", FIRST))
        if first and rival:
            yield from _beside(first, rival)
        if first and again:
            for name, figure in (("wall", "wall_s"), ("CPU", "cpu_s")):
                share = getattr(again, figure) / getattr(first, figure)
                yield Verdict(
                    f"{rows:,} rows again, unchanged: {name} of the first run",
                    f"at most {RERUN_SHARE:.0%}", f"{share:.0%}", share <= RERUN_SHARE,
                )  # fmt: skip
    for what in (FIRST, AGAIN):
        yield from _memory(what, *(known.get((rows, "ours", what)) for rows in (MILLION, MORE)))


def _beside(ours: Measured, rival: Measured) -> Iterator[Verdict]:
    # one that was ended at its limit took at least what was measured
    least = "at least " if rival.ended else ""
    for name, figure, times in zip(
        ("CPU", "wall"), ("cpu_s", "wall_s"), TIMES_LESS.get(ours.rows, ()), strict=False
    ):
        ratio = getattr(rival, figure) / getattr(ours, figure)
        yield Verdict(
            f"{ours.rows:,} rows, {name} against SFDMU", f"{times:g} times less",
            f"{least}{ratio:.1f}", ratio >= times,
        )  # fmt: skip


def _memory(what: str, million: Measured | None, more: Measured | None) -> Iterator[Verdict]:
    if million is None:
        return
    own = [one.peak_mb - one.rows * ID_MAP_BYTES / 1e6 for one in (million, more) if one]
    yield Verdict(
        f"peak of {MILLION:,} rows, {what}, the id map apart", f"at most {PEAK_MB:.0f} MB",
        f"{own[0]:.0f} MB", own[0] <= PEAK_MB,
    )  # fmt: skip
    for grown in own[1:]:
        yield Verdict(
            f"peak of {MORE:,} rows, {what}, the id map apart",
            f"at most {PEAK_GROWTH:g} times that", f"{grown:.0f} MB, {grown / own[0]:.2f} times",
            grown <= own[0] * PEAK_GROWTH,
        )  # fmt: skip
