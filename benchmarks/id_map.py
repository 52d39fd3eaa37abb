"""Memory and speed of the id map: how many bytes a link takes, and how fast a page is looked up.

    python -m benchmarks.id_map [LINKS]          default 20,000,000; budget 1 GB for them all

Pairs come in portions of 100,000, as loading adds them, shuffled, since orgs number as they like.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from core.migration.idmap import IdMap

PORTION = 100_000
PAGE_ROWS = 20_000
BUDGET_MB = 1_000


def main() -> int:
    """Print the figures; 1 when the budget is exceeded."""
    links = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000_000
    rand = np.random.default_rng(7)
    before_mb = _peak_mb()
    made = IdMap()
    began = time.process_time()
    for start in range(0, links, PORTION):
        numbers = np.arange(start, min(start + PORTION, links), dtype=np.int64)
        made.add(rand.permutation(numbers) * 3, numbers)
    count = len(made)
    merged_s = time.process_time() - began
    page = rand.integers(0, links, PAGE_ROWS) * 3
    began = time.process_time()
    found = made.look_up(page)
    looked_s = time.process_time() - began
    assert count == links and bool((found >= 0).all())
    held_mb = sum(array.nbytes for array in made.pairs()) / 1e6
    peak_mb = _peak_mb() - before_mb
    print(
        f"{links:,} links: {held_mb:,.0f} MB held, {peak_mb:,.0f} MB at the peak of merging,"
        f" merged in {merged_s:.1f} s; a look-up {looked_s * 1e9 / PAGE_ROWS:,.0f} ns"
    )
    return int(peak_mb > BUDGET_MB)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
