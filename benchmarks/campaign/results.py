"""Results of a campaign: one line of JSON per case, slices of several processes in one folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from benchmarks.campaign.cases import OPERATIONS
from benchmarks.campaign.story import Verdict


def write(out: TextIO, verdict: Verdict, *, commit: str) -> None:
    """Adds one verdict; flushed, so that a slice that is killed loses nothing."""
    out.write(json.dumps({**asdict(verdict), "commit": commit}) + "\n")
    out.flush()


def read(folder: Path) -> list[dict[str, Any]]:
    """Every verdict of a folder; a seed that was played again counts as its last playing."""
    return list({_key(one): one for one in _lines(folder)}.values())


def played(folder: Path) -> Counter[str]:
    """How often each action and blow was played, by name."""
    return Counter(one["strike"] for one in read(folder) if one["kind"] not in OPERATIONS)


def _key(one: dict[str, Any]) -> tuple[str, str, int]:
    """A case is its seed; actions and blows are numbered, each for itself."""
    if one["kind"] in OPERATIONS:
        return "", "", one["seed"]
    return one["kind"], one["strike"], one["seed"]


def mended(folder: Path) -> list[dict[str, Any]]:
    """First wrong verdicts of seeds that were right when they were played again."""
    first: dict[tuple[str, str, int], dict[str, Any]] = {}
    for one in _lines(folder):
        if one["wrong"]:
            first.setdefault(_key(one), one)
    now = {_key(one): one for one in read(folder)}
    return [one for key, one in first.items() if not now[key]["wrong"]]


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    found = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in _of(path)]
    yield from sorted(found, key=lambda one: float(one.get("at", 0)))


def _of(path: Path) -> Iterable[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
