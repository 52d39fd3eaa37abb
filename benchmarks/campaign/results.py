"""Results of a campaign: one line of JSON per case, slices of several processes in one folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from benchmarks.campaign.story import Verdict


def write(out: TextIO, verdict: Verdict, *, commit: str) -> None:
    """Adds one verdict; flushed, so that a slice that is killed loses nothing."""
    out.write(json.dumps({**asdict(verdict), "commit": commit}) + "\n")
    out.flush()


def read(folder: Path) -> list[dict[str, Any]]:
    """Every verdict of a folder; a seed that was played again counts as its last playing."""
    return list({(one["kind"], one["seed"]): one for one in _lines(folder)}.values())


def _lines(folder: Path) -> Iterator[dict[str, Any]]:
    found = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in _of(path)]
    yield from sorted(found, key=lambda one: float(one.get("at", 0)))


def _of(path: Path) -> Iterable[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
