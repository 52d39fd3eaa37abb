"""How often auto-map is right, measured on mappings that people made: top-1 and top-3.

python -m benchmarks.automap FIXTURES_FOLDER
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.automap_truth import Case, fivetran_cases, npsp_cases
from core.domain.automap import candidates, is_offered, suggest


@dataclass(frozen=True, slots=True)
class Score:
    """Hits of auto-map over some cases."""

    name: str
    fields: int
    top1: int
    top3: int
    #: of the fields that `suggest` proposed, how many were proposed rightly
    proposed: int
    right: int
    misses: tuple[str, ...]

    @property
    def top1_share(self) -> float:
        """Share of fields whose first candidate is the one that people chose."""
        return self.top1 / self.fields

    @property
    def top3_share(self) -> float:
        """Share of fields whose first three candidates hold it."""
        return self.top3 / self.fields


def score(name: str, cases: Iterable[Case]) -> Score:
    """Auto-map against the truth of the cases; fields that nobody may write do not count."""
    fields = top1 = top3 = proposed = right = 0
    misses: list[str] = []
    for case in cases:
        ranked = candidates(case.source, case.target, only=tuple(case.truth))
        chosen = {s.source: s.target for s in suggest(case.source, case.target)}
        for column, goal in case.truth.items():
            if not is_offered(case.target.fields[goal], case.target.name):
                continue
            names = [candidate.target for candidate in ranked[column]]
            fields += 1
            top1 += names[:1] == [goal]
            top3 += goal in names[:3]
            proposed += column in chosen
            right += chosen.get(column) == goal
            if names[:1] != [goal]:
                misses.append(f"{case.name}: {column} → {goal}, guessed {names[:3]}")
    return Score(name, fields, top1, top3, proposed, right, tuple(misses))


def scores(fixtures: Path) -> tuple[Score, ...]:
    """All benchmarks of auto-map."""
    return (
        score("fivetran column lists", fivetran_cases(fixtures)),
        score("NPSP Data Import", npsp_cases(fixtures)),
        score("NPSP Data Import, no help texts", npsp_cases(fixtures, descriptions=False)),
    )


def main(fixtures: Path) -> None:
    """Print a table of all scores, and what was missed."""
    began = time.perf_counter()
    results = scores(fixtures)
    lines = [
        "| truth | fields | top-1 | top-3 | proposed | of these right |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.fields} | {r.top1_share:.1%} | {r.top3_share:.1%} | {r.proposed} "
        f"| {r.right / max(1, r.proposed):.1%} |"
        for r in results
    ]
    missed = [miss for result in results for miss in result.misses]
    seconds = time.perf_counter() - began
    sys.stdout.write("\n".join([*lines, "", *missed, f"{seconds:.1f} s", ""]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
