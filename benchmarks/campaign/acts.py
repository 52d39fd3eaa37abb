"""What the world does at the moment in which a request is held."""

from __future__ import annotations

import random
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.campaign.cases import Case
from benchmarks.campaign.shapes import SHAPES
from benchmarks.campaign.stage import Stage

#: plain field that people edit, and what they write
EDITED = {"Account": "Phone", "Contact": "Title", "Task": "Description"}
BY_OTHERS = "by Ann"
_DAY_S = 86_400


@dataclass(slots=True)
class Happened:
    """What was done to a run, for the oracle."""

    #: the moment came
    struck: bool = False
    #: ids of target rows that people touched: id → edit | delete | merge
    touched: dict[str, str] = field(default_factory=dict)
    #: loser id → winner id
    merged: dict[str, str] = field(default_factory=dict)
    #: what a person wants: pause | cancel
    wish: str | None = None
    cancelled: bool = False
    #: the org begins a request of a worker that was replaced when the run is over
    late_request: bool = False
    #: results of finished jobs may be gone: rows whose fate is not known are allowed
    forgotten: bool = False
    resumes: int = 0
    #: exceptions that were not of the product's own tree, by class
    raw: list[str] = field(default_factory=list)


def edited_field(name: str) -> str:
    """The field of an object that people edit."""
    return EDITED.get(name, "Text__c")


def act(name: str, stage: Stage, case: Case, *, happened: Happened, dice: random.Random) -> None:
    """Does what the strike says."""
    happened.struck = True
    _ACTS[name](stage, case, happened, dice)


def _edit(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    for name, row in _chosen(stage, case, dice, leaves=False):
        if person_edits(stage, name, row["Id"]):
            happened.touched[row["Id"]] = "edit"


def person_edits(stage: Stage, name: str, record_id: str) -> bool:
    """Another user changes one field of a target row; false if the org's rules refused it."""
    change = {name: [{"Id": record_id, edited_field(name): BY_OTHERS}]}
    said = stage.target.json("POST", "/_sim/edit", {"update": change})
    return bool(said[0]["success"])


def _delete(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    for _, row in _chosen(stage, case, dice, leaves=True):
        stage.target.json("POST", "/_sim/edit", {"delete": [row["Id"]]})
        happened.touched[row["Id"]] = "delete"


def _merge(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    person_merges(stage, case, happened=happened, dice=dice)


def person_merges(stage: Stage, case: Case, *, happened: Happened, dice: random.Random) -> None:
    """Another user merges two accounts or contacts of the target, the loser without children."""
    rows = stage.dump("target", case.objects)
    leaves = {row["Id"] for row in unreferenced(case, rows)}
    for name in ("Account", "Contact"):
        there = [row for row in rows.get(name, ()) if not row["IsDeleted"]]
        losers = [row for row in there if row["Id"] in leaves and row["Id"] not in happened.touched]
        if losers and len(there) > 1:
            loser = dice.choice(losers)
            winner = dice.choice([row for row in there if row is not loser])
            merge = {"winner": winner["Id"], "losers": [loser["Id"]]}
            stage.target.json("POST", "/_sim/edit", {"merge": merge})
            happened.touched[loser["Id"]] = "delete"
            # a winner that somebody edited before still holds what was written there
            happened.touched.setdefault(winner["Id"], "merge")
            happened.merged[loser["Id"]] = winner["Id"]
            return


def _chosen(
    stage: Stage, case: Case, dice: random.Random, *, leaves: bool
) -> list[tuple[str, dict[str, Any]]]:
    """One or two live target rows."""
    rows = stage.dump("target", case.objects)
    allowed = {row["Id"] for row in unreferenced(case, rows)}
    found = [
        (name, row)
        for name, given in rows.items()
        for row in given
        if not row["IsDeleted"] and (not leaves or row["Id"] in allowed)
    ]
    return dice.sample(found, min(len(found), 2))


def unreferenced(case: Case, rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Live rows at which no other live row of these objects points."""
    pointed = {
        row.get(lookup.field)
        for name, given in rows.items()
        for lookup in SHAPES[name].lookups
        for row in given
        if not row["IsDeleted"]
    }
    return [
        row
        for given in rows.values()
        for row in given
        if not row["IsDeleted"] and row["Id"] not in pointed
    ]


def _expire(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    happened.forgotten = True
    stage.target.json("POST", "/_sim/clock", {"move_s": 8 * _DAY_S})


def _cut(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    stage.cut_database()


def _fill_disk(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # files cannot grow beyond this: a disk that is full for what is larger than a page or two
    resource.setrlimit(resource.RLIMIT_FSIZE, (dice.choice((0, 300)), hard))


def free_disk() -> None:
    """Files may be of any size again."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def _org_clock(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    move = dice.choice((-3600, 3 * 3600, _DAY_S, -_DAY_S))
    dice.choice(stage.orgs).json("POST", "/_sim/clock", {"move_s": move})


def _app_clock(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    stage.clock.offset_s = dice.choice((-3600.0, 3 * 3600.0, 30.0 * _DAY_S))


def _pause(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    happened.wish = "pause"


def _cancel(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    happened.wish = "cancel"


def _kill_org(stage: Stage, case: Case, happened: Happened, dice: random.Random) -> None:
    org = stage.org(case.strike.org)
    org.kill()
    org.start()
    org.options(bulk_queue_delay_s=0, bulk_batch_delay_s=0, bulk_batch_rows=5)


_ACTS: dict[str, Callable[[Stage, Case, Happened, random.Random], None]] = {
    "edit by others": _edit,
    "delete by others": _delete,
    "merge by others": _merge,
    "results expired": _expire,
    "database connection lost": _cut,
    "disk full": _fill_disk,
    "clock of the org jumps": _org_clock,
    "clock of the app jumps": _app_clock,
    "pause": _pause,
    "cancel": _cancel,
    "kill -9 of the org": _kill_org,
}
