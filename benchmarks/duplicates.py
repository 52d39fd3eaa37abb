"""Duplicate search against sets whose truth is known: precision, recall, F1, seconds, memory.

    python -m benchmarks.duplicates [rows of the made-up set]

FEBRL 1 and 2, fake_1000 and restaurants are read from ``../shared/fixtures``; the made-up set draws
on FEBRL's words, 20 % of its rows being repeats with typing errors and blanks.
"""

from __future__ import annotations

import csv
import random
import resource
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.operations.matching.search import Likeness, likely_same

SETS = Path(__file__).parents[2] / "shared/fixtures/C_awkward_and_duplicates"
Truth = NDArray[np.int64]


def febrl(number: int) -> tuple[pl.DataFrame, list[str], Truth]:
    """FEBRL persons; the original's number in the record id is the truth."""
    frame = pl.read_csv(SETS / f"febrl/dataset{number}.csv", infer_schema=False)
    frame.columns = [name.strip() for name in frame.columns]
    frame = frame.with_columns(pl.all().str.strip_chars())
    truth = frame["rec_id"].str.extract(r"rec-(\d+)-").cast(pl.Int64).to_numpy()
    return frame, [name for name in frame.columns if name != "rec_id"], truth


def fake_1000() -> tuple[pl.DataFrame, list[str], Truth]:
    """Splink's thousand persons."""
    frame = pl.read_csv(SETS / "splink/fake_1000.csv", infer_schema=False)
    fields = ["first_name", "surname", "dob", "city", "email"]
    return frame, fields, frame["cluster"].cast(pl.Int64).to_numpy()


def restaurants() -> tuple[pl.DataFrame, list[str], Truth]:
    """Fodor's and Zagat's restaurants without telephone numbers."""
    path = SETS / "dedupe_benchmark/restaurant-nophone-training.csv"
    with path.open(newline="") as lines:
        rows = list(csv.reader(lines, skipinitialspace=True))
    frame = pl.DataFrame(rows[1:], schema=rows[0], orient="row")
    truth = frame["unique_id"].str.extract(r"(\d+)").cast(pl.Int64).to_numpy()
    return frame, ["name", "address", "city", "cuisine"], truth


def made_up(rows: int) -> tuple[pl.DataFrame, list[str], Truth]:
    """Persons drawn from FEBRL's words, a fifth of them repeated with errors."""
    base, _, _ = febrl(2)
    rand = random.Random(11)  # noqa: S311 test data
    fields = ["given_name", "surname", "address_1", "suburb", "postcode", "date_of_birth"]
    words = {
        name: base[name].drop_nulls().filter(base[name].drop_nulls() != "").to_list()
        for name in fields
    }
    originals = rows * 4 // 5
    people = [[rand.choice(words[name]) for name in fields] for _ in range(originals)]
    for person in people:
        person[2] = f"{rand.randrange(1, 400)} {person[2]}"
        person[5] = (
            f"{rand.randrange(1920, 2005)}{rand.randrange(1, 13):02d}{rand.randrange(1, 29):02d}"
        )
    truth = list(range(originals))
    for _ in range(rows - originals):
        chosen = rand.randrange(originals)
        people.append([_spoilt(cell, rand) for cell in people[chosen]])
        truth.append(chosen)
    return pl.DataFrame(people, schema=fields, orient="row"), fields, np.array(truth)


def _spoilt(cell: str, rand: random.Random) -> str | None:
    chance = rand.random()
    if chance < 0.05:
        return None
    if chance > 0.25 or len(cell) < 3:
        return cell
    at = rand.randrange(1, len(cell) - 1)
    return rand.choice(
        [
            cell[:at] + cell[at + 1 :],
            cell[:at] + cell[at] + cell[at:],
            cell[: at - 1] + cell[at] + cell[at - 1] + cell[at + 1 :],
        ]
    )


def pairs_in(labels: NDArray[np.int64]) -> int:
    """Pairs of rows with one label."""
    _, sizes = np.unique(labels, return_counts=True)
    return int((sizes * (sizes - 1) // 2).sum())


def clustered(found: Likeness, truth: Truth) -> tuple[float, float, float]:
    """Precision, recall and F1 over the pairs that the clusters make."""
    labels = np.arange(len(truth))
    labels[found.clusters["row"].to_numpy()] = found.clusters["cluster"].to_numpy()
    joint = np.unique(np.stack([labels, truth], axis=1), axis=0, return_inverse=True)[1]
    both = pairs_in(joint.ravel())
    precision, recall = both / max(pairs_in(labels), 1), both / max(pairs_in(truth), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def report(name: str, given: tuple[pl.DataFrame, list[str], Truth]) -> float:
    """Search, print one line, answer F1."""
    frame, fields, truth = given
    began, cpu = time.perf_counter(), time.process_time()
    found = likely_same(frame, fields)
    seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    precision, recall, f1 = clustered(found, truth)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:28s} {frame.height:>9,} rows  P {precision:.3f}  R {recall:.3f}  F1 {f1:.4f}  "
        f"{seconds:6.2f} s ({busy:.2f} CPU)  {found.compared:,} pairs  peak {peak:,.0f} MB"
    )
    return f1


def main() -> None:
    """All sets, then the made-up one."""
    for number in (1, 2):
        frame, fields, truth = febrl(number)
        report(f"FEBRL {number}", (frame, fields, truth))
        without = [name for name in fields if name != "soc_sec_id"]
        report(f"FEBRL {number} without soc_sec_id", (frame, without, truth))
    report("fake_1000", fake_1000())
    report("restaurants", restaurants())
    if len(sys.argv) > 1:
        report("FEBRL-like, made up", made_up(int(sys.argv[1])))


if __name__ == "__main__":
    main()
