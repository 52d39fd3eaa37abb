"""What can happen to a run: one fault, the moment at which it strikes, and its name in the table.

A strike is either planted in a practice org before the run (`planted`) or an act of the world at
the moment in which a request is held (`act`): a kill, a lost database connection, a person's edit.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

#: where a request may be struck, by name: org, method, path
PLACES: dict[str, tuple[str, str | None, str]] = {
    "create job": ("target", "POST", r"/jobs/ingest$"),
    "upload": ("target", "PUT", r"/batches$"),
    "close job": ("target", "PATCH", r"/jobs/ingest/\w+$"),
    "look at job": ("target", "GET", r"/jobs/ingest/\w+$"),
    "results": ("target", "GET", r"Results$"),
    "collections": ("target", None, r"/composite/sobjects$"),
    "read target": ("target", None, r"/(query|composite/sobjects/\w+)$"),
    "read source": ("source", "GET", r"/query"),
    "any request": ("target", None, r"/services/data/v\d+\.0/(?!limits)"),
}
_BULK = ("create job", "upload", "close job", "look at job", "results", "any request")
_COLLECTIONS = ("collections", "collections", "collections", "read target", "any request")
_READS = ("read target", "read source")

WAYS: dict[str, dict[str, Any]] = {
    "lost before": {"drop": "before"},
    "answer lost": {"drop": "after"},
    "answer cut": {"truncate": True},
    "503": {"preset": "unavailable"},
    "500": {"preset": "unknown"},
    "concurrent limit": {"preset": "concurrent_limit"},
    "session ended": {"preset": "session"},
    "daily limit": {"preset": "daily_limit"},
    "outage": {"preset": "outage", "for_s": 0.4},
    "slow": {"delay_s": 0.15},
    "refresh refused": {"preset": "session"},
}
_WAY_WEIGHTS = (6, 9, 6, 5, 5, 3, 5, 3, 3, 2, 2)
ROWS: dict[str, dict[str, Any]] = {
    "rows locked": {"preset": "lock"},
    "governor limit": {"preset": "cpu"},
    "storage full": {"preset": "storage", "times": 1},
}
JOBS: dict[str, dict[str, Any]] = {
    "job failed": {"error_message": "InternalServerError : Unexpected exception"},
    "job failed by locks": {"error_message": "TooManyLockFailure : 101"},
    "job stalled": {"stall": True},
    "job late": {"delay_s": 0.3},
}
#: acts at a held request; those of a process of its own cost more and come less often
ACTS = {
    "edit by others": 7,
    "delete by others": 6,
    "merge by others": 3,
    "results expired": 4,
    "database connection lost": 6,
    "disk full": 5,
    "clock of the org jumps": 4,
    "clock of the app jumps": 3,
    "pause": 3,
    "cancel": 5,
    "kill -9 of the worker": 10,
    "zombie worker": 6,
    "kill -9 of the org": 3,
}
IN_A_PROCESS = frozenset({"kill -9 of the worker", "zombie worker"})


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault and its moment."""

    #: as the table names it
    name: str
    #: of PLACES; empty where rows or jobs are struck
    place: str = ""
    #: matching requests that pass first
    after: int = 0
    #: before | after the org's work, where a request is held
    moment: str = "before"
    #: planted at once; empty for acts
    faults: tuple[dict[str, Any], ...] = ()
    #: begins with this phase of the run: '' at once
    phase: str = ""

    @property
    def is_act(self) -> bool:
        """Something is done while a request is held."""
        return self.name in ACTS

    @property
    def own_process(self) -> bool:
        """The worker is a process that can be killed or stopped."""
        return self.name in IN_A_PROCESS

    @property
    def org(self) -> str:
        """The org in which it strikes."""
        return PLACES[self.place][0] if self.place else "target"

    def hold(self) -> dict[str, Any]:
        """The fault that holds the request of an act."""
        _, method, path = PLACES[self.place]
        made = {"kind": "http", "path": path, "hold": self.moment, "after": self.after}
        return made if method is None else {**made, "method": method}


def pick(dice: random.Random, *, kind: str, api: str, key: str) -> Strike:
    """A strike for a run of that kind."""
    phase = {"second pass": "second_pass", "finally": "finally"}.get(kind, "")
    sort = dice.choices(("none", "http", "rows", "jobs", "act"), (1, 12, 3, 3, 15))[0]
    if sort == "none":
        return Strike("nothing")
    if sort == "act":
        return _act(dice, kind=kind, api=api, phase=phase)
    if sort == "rows":
        name = dice.choices(list(ROWS), (4, 2, 1))[0]
        fault = {"kind": "row", "times": dice.randrange(1, 5), "after": dice.randrange(3)}
        if dice.random() < 0.5:
            fault["every"] = dice.choice((2, 3))
        return Strike(name, faults=({**fault, **ROWS[name]},), phase=phase)
    if sort == "jobs" and api == "bulk":
        name = dice.choice(list(JOBS))
        fault = {"kind": "bulk", "after": dice.randrange(3), **JOBS[name]}
        if "error_message" in fault:
            fault["after_rows"] = dice.choice((0, 2, 5))
        return Strike(name, faults=(fault,), phase=phase)
    return _http(dice, api=api, phase=phase)


def _place(dice: random.Random, api: str) -> str:
    if dice.random() < 0.12:
        return dice.choice(_READS)
    return dice.choice(_BULK if api == "bulk" else _COLLECTIONS)


def _after(dice: random.Random, place: str) -> int:
    return dice.randrange(14) if place == "any request" else dice.choice((0, 0, 1, 1, 2, 3, 5))


def _http(dice: random.Random, *, api: str, phase: str) -> Strike:
    faults: list[dict[str, Any]] = []
    name, place, after = "", "", 0
    for _ in range(dice.choice((1, 1, 1, 2))):
        name = dice.choices(list(WAYS), _WAY_WEIGHTS)[0]
        if faults and name == "refresh refused":
            break
        place = _place(dice, api)
        after = _after(dice, place)
        _, method, path = PLACES[place]
        fault = {"kind": "http", "path": path, "after": after, **WAYS[name]}
        if method is not None:
            fault["method"] = method
        faults.append({**fault, "@org": PLACES[place][0]})
        if name == "refresh refused":
            faults.append({"kind": "http", "preset": "refresh", "@org": PLACES[place][0]})
            break
    return Strike(name, place, after, faults=tuple(faults), phase=phase)


def _act(dice: random.Random, *, kind: str, api: str, phase: str) -> Strike:
    possible = dict(ACTS)
    if kind in ("delete", "hard_delete", "undo"):
        possible.pop("merge by others")
    if api != "bulk":
        possible.pop("results expired")
    name = dice.choices(list(possible), list(possible.values()))[0]
    place = _place(dice, api)
    if name == "results expired":
        place = dice.choice(("results", "look at job"))
    moment = dice.choice(("before", "after"))
    return Strike(name, place, _after(dice, place), moment, phase=phase)
