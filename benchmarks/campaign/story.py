"""Plays one case: fills the orgs, runs what the case says, and lets the oracle judge the end."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from benchmarks.campaign import acts
from benchmarks.campaign.acts import Happened
from benchmarks.campaign.cases import Case, case_of
from benchmarks.campaign.data import TEXTS, Rows, source_rows, target_rows
from benchmarks.campaign.drive import Carrying, Ended, NeverEndsError, launched, undone
from benchmarks.campaign.oracle import (
    Pairs,
    Stood,
    Wanted,
    allow_others,
    as_it_is,
    check_figures,
    compare,
    live,
)
from benchmarks.campaign.shapes import SHAPES
from benchmarks.campaign.stage import Stage
from benchmarks.campaign.wants import Between, Forward
from benchmarks.campaign.watch import DEADLINE_S, where
from core.domain.states import RunState

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case."""

    seed: int
    kind: str
    strike: str
    wrong: tuple[str, ...]
    struck: bool
    resumes: int
    seconds: float
    #: seconds since 1970 at its end
    at: float = 0.0
    #: exceptions that reached the worker's boundary as they were
    raw: tuple[str, ...] = ()


@dataclass(slots=True)
class _Play:
    """One case on the stage."""

    stage: Stage
    case: Case
    dice: random.Random
    happened: Happened = field(default_factory=Happened)
    source: Rows = field(default_factory=dict)
    #: target as it was before anything ran
    first: Rows = field(default_factory=dict)


def play(stage: Stage, seed: int) -> Verdict:
    """Plays the case of a seed; never raises for what the product did wrong."""
    case = case_of(seed)
    began = time.monotonic()
    on = _Play(stage, case, random.Random(seed + 7))  # noqa: S311  cases, not secrets
    stage.reset()
    _fill(on)
    try:
        wrong = _KINDS.get(case.kind, _forward)(on)
    except NeverEndsError as never:
        wrong = [f"never ends: {never}"]
    except Exception as broken:  # whatever the product raised is the finding
        wrong = [f"crashed: {type(broken).__name__}: {broken}"[:600]]
    finally:
        acts.free_disk()
    return Verdict(
        seed=seed,
        kind=case.kind,
        strike=case.strike.name,
        wrong=tuple(wrong),
        struck=on.happened.struck or not case.strike.is_act,
        resumes=on.happened.resumes,
        seconds=round(time.monotonic() - began, 3),
        at=round(time.time(), 3),
        raw=tuple(on.happened.raw),
    )


def hung(seed: int, stacks: str) -> Verdict:
    """The verdict on a case that did not come to an end."""
    case = case_of(seed)
    return Verdict(
        seed=seed, kind=case.kind, strike=case.strike.name, wrong=(f"hung: {where(stacks)}"[:600],),
        struck=True, resumes=0, seconds=DEADLINE_S, at=round(time.time(), 3),
    )  # fmt: skip


def _fill(on: _Play) -> None:
    source, target = on.stage.orgs
    made = source_rows(on.case, on.dice, ids=on.stage.ids, pod=source.organization_id[3:5])
    there = target_rows(on.case, on.dice, made, ids=on.stage.ids, pod=target.organization_id[3:5])
    on.stage.fill("source", made)
    on.stage.fill("target", there)
    on.source = on.stage.dump("source", on.case.objects)
    on.first = on.stage.dump("target", on.case.objects)


def _run(on: _Play, *, mode: str = "full", struck: bool = True) -> Ended:
    name = launched(on.stage, on.case, mode=mode)
    return Carrying(on.stage, on.case, name, on.happened).to_the_end(struck=struck)


def _forward(on: _Play) -> list[str]:
    """One run that inserts or updates."""
    ended = _run(on)
    forward = Forward(on.case, on.source, on.first)
    wanted = forward.want()
    return _judged(on, ended, wanted, forward.pairs)


def _judged(
    on: _Play, ended: Ended, wanted: Wanted, pairs: Pairs, *, exact: bool = True
) -> list[str]:
    """The end of a run; a run that reads a part of the rows is not `exact` in what it counts."""
    after = on.stage.dump("target", on.case.objects)
    stood = _stood(on, ended, pairs)
    allow_others(wanted, pairs, happened=on.happened, rows=after, stood=stood)
    if on.happened.late_request and on.case.finally_:
        _allow_late(wanted)
    if on.happened.cancelled:
        return _judge_cancelled(on, ended, wanted, pairs, after=after)
    if on.happened.forgotten and on.case.key in ("ledger", "composite"):
        return _judge_forgotten(on, ended, wanted, pairs, after=after)
    wrong = compare(on.case, wanted, pairs, after=after)
    lines = {one["as"]: one for one in ended.document["objects"]}
    wrong += check_figures(on.case, wanted, lines)
    return wrong + (_judge_status(on, ended, wanted) if exact else [])


def _allow_late(wanted: Wanted) -> None:
    """What is set last may be as it was loaded: the request that loaded it came after it."""
    for want in (one for wants in wanted.rows.values() for one in wants):
        if "State__c" in want.values:
            want.values["State__c"] = ("Draft", "Active")


def _stood(on: _Play, ended: Ended, pairs: Pairs) -> Stood:
    """Rows of the target as they were, and whose update was refused, and reported."""
    failed = [one for one in ended.failures if one["kind"] == "failed" and one["target_id"]]
    told = {one["target_id"] for one in failed}
    # of a row that this run made, its second pass
    by_source = {pairs.token.get(one["source_id"], "") for one in failed}
    changed = {one["target_id"] for one in ended.failures if one["code"] == "TARGET_CHANGED"}
    if on.case.on_change == "keep":  # what people changed is skipped, and counted so
        changed |= {one for one, what in on.happened.touched.items() if what == "edit"}
    found = [
        (pairs.target_token(name, row), name, row)
        for name in on.case.objects
        for row in live(on.first[name])
    ]
    return Stood(
        {
            token: as_it_is(on.case, name, row, pairs=pairs, before=on.first)
            for token, name, row in found
        },
        {token for token, _, row in found if row["Id"] in told} | by_source,
        {token for token, _, row in found if row["Id"] in changed},
    )


def _judge_status(on: _Play, ended: Ended, wanted: Wanted) -> list[str]:
    """Succeeded says that every row is ok, and only then."""
    if on.happened.touched:
        return []
    bad = sum(
        counted[figure]
        for counted in wanted.figures.values()
        for figure in ("blocked", "failed", "not_processed")
    )
    if bad and ended.state is not RunState.PARTIAL:
        return [f"status: {ended.state} with {bad} rows that did not arrive"]
    blank = sum(counted["left blank"] for counted in wanted.figures.values())
    if not bad and not blank and not on.case.refused and ended.state is not RunState.SUCCEEDED:
        told = Counter(f"{one['kind']} {one['code']}" for one in ended.failures)
        return [f"status: {ended.state} though every row is right: {dict(told)}"]
    return []


def _judge_cancelled(
    on: _Play, ended: Ended, wanted: Wanted, pairs: Pairs, *, after: Rows
) -> list[str]:
    """Every row as wanted or as it was; inserted is what is new."""
    for name in on.case.objects:
        for row in live(on.first[name]):
            _or_as_before(on, wanted, pairs, name=name, row=row)
    for wants in wanted.rows.values():
        for want in wants:
            want.sure = want.sure and False
            want.lookups = {one: (*allowed, None) for one, allowed in want.lookups.items()}
            if "State__c" in want.values:
                want.values["State__c"] = ("Draft", "Active")
    wrong = compare(on.case, wanted, pairs, after=after)
    for name in on.case.objects:
        old = {row["Id"] for row in on.first[name]}
        new = [row for row in live(after[name]) if row["Id"] not in old]
        said = ended.line(name.lower())["inserted"]
        if said != len(new) and not on.happened.touched:
            wrong.append(f"figures: {name} inserted {said}, {len(new)} are new")
    return wrong


def _or_as_before(
    on: _Play, wanted: Wanted, pairs: Pairs, *, name: str, row: dict[str, Any]
) -> None:
    before = as_it_is(on.case, name, row, pairs=pairs, before=on.first)
    token = pairs.target_token(name, row)
    for want in wanted.rows.get(token, ()):
        for one, allowed in before.values.items():
            want.values[one] = (*want.values[one], *allowed)
        for one, leads in before.lookups.items():
            want.lookups[one] = (*want.lookups.get(one, ()), *leads)


def _judge_forgotten(
    on: _Play, ended: Ended, wanted: Wanted, pairs: Pairs, *, after: Rows
) -> list[str]:
    """Without a key and without results nobody can know: never twice, and every gap is named."""
    for wants in wanted.rows.values():
        for want in wants:
            want.sure = False
            want.lookups = {one: (*allowed, None) for one, allowed in want.lookups.items()}
            if "State__c" in want.values:
                want.values["State__c"] = ("Draft", "Active")
    wrong = compare(on.case, wanted, pairs, after=after)
    for name in on.case.objects:
        old = {row["Id"] for row in on.first[name]}
        new = sum(row["Id"] not in old for row in live(after[name]))
        line = ended.line(name.lower())
        missing = len(on.source[name]) - new
        named = line["failed"] + line["blocked"] + line["not_processed"] + line["skipped"]
        named += line["updated"] + line["unchanged"]
        again = on.case.kind in ("rerun", "delta")  # most rows came by the first run
        if line["inserted"] > new or (missing > named and not again):
            wrong.append(f"figures: {name} {line}, {new} are new")
    return wrong


# -- deletes ------------------------------------------------------------------------------------


def _delete(on: _Play) -> list[str]:
    """A run that deletes: matched rows are gone, all others as they were."""
    ended = _run(on)
    pairs = Pairs(on.case, on.source, on.first)
    doomed = {row["Id"] for row in pairs.there.values()}
    wanted = Wanted()
    for name in on.case.objects:
        for row in live(on.first[name]):
            if row["Id"] not in doomed:
                want = as_it_is(on.case, name, row, pairs=pairs, before=on.first)
                wanted.add(pairs.target_token(name, row), want)
        found = sum(row["Id"] in pairs.there for row in on.source[name])
        skipped = len(on.source[name]) - found
        wanted.figures[name] = Counter({"updated": found, "skipped": skipped})
    after = on.stage.dump("target", on.case.objects)
    if on.case.kind == "hard_delete" and not on.happened.touched and not on.happened.cancelled:
        left = {row["Id"] for name in on.case.objects for row in after[name]} & doomed
        if left:
            return [f"{len(left)} hard deleted rows are still in the recycle bin"]
    if on.happened.cancelled:
        for name in on.case.objects:
            for row in live(on.first[name]):
                if row["Id"] in doomed:
                    want = as_it_is(on.case, name, row, pairs=pairs, before=on.first)
                    wanted.add(pairs.target_token(name, row), want)
    return _judged(on, ended, wanted, pairs)


# -- undo ---------------------------------------------------------------------------------------


def _undo(on: _Play) -> list[str]:
    """A run, people's edits, its undo: everything is as before but what people changed."""
    in_first = on.case.strike.name != "cancel" and on.dice.random() < 0.3
    done = _run(on, struck=in_first or on.case.strike.name == "cancel")
    during = set(on.happened.touched)
    between: dict[str, str] = {}
    if on.dice.random() < 0.35 and not during:
        between = _people_edit(on)
    on.happened.cancelled = False
    name = undone(on.stage, done.name)
    struck = not in_first and on.case.strike.name != "cancel"
    ended = Carrying(on.stage, on.case, name, on.happened).to_the_end(struck=struck)
    return _judge_undone(on, ended, between, lost=_lost(done))


def _lost(done: Ended) -> int:
    """Rows of which a run says that it cannot know whether they were written: it undoes none."""
    return sum(one["code"] == "ANSWER_LOST" for one in done.failures)


def _people_edit(on: _Play) -> dict[str, str]:
    """Others edit some rows; what they did by target id."""
    rows = on.stage.dump("target", on.case.objects)
    found = [(name, row) for name in on.case.objects for row in live(rows[name])]
    touched: dict[str, str] = {}
    for name, row in on.dice.sample(found, min(len(found), 2)):
        if acts.person_edits(on.stage, name, row["Id"]):
            touched[row["Id"]] = "edit"
    return touched


def _judge_undone(on: _Play, ended: Ended, between: dict[str, str], *, lost: int) -> list[str]:
    pairs = Pairs(on.case, {name: [] for name in on.case.objects}, on.first)
    wanted = Wanted()
    for name in on.case.objects:
        for row in live(on.first[name]):
            want = as_it_is(on.case, name, row, pairs=pairs, before=on.first)
            wanted.add(row["Id"], want)
    after = on.stage.dump("target", on.case.objects)
    touched = {**between, **on.happened.touched}
    wrong = _survivors(on, after, wanted, between)
    for record_id in touched:  # what people changed is left alone whole: it is a conflict
        wanted.rows.pop(record_id, None)
    told = {one["target_id"] for one in ended.failures if one["target_id"]}
    kept = _conflicts(on, after, touched, told) | _refused(ended, wanted, set(touched))
    for wants in wanted.rows.values():
        for want in wants:
            for one, allowed in want.lookups.items():
                if set(allowed) & set(touched):
                    want.lookups[one] = (*allowed, None)
    for record_id in kept:
        wanted.rows.pop(record_id, None)
    kept |= _unknown(on, after, but=kept | set(touched), most=lost)
    return wrong + compare(on.case, wanted, pairs, after=after, but=kept | set(touched))


def _refused(ended: Ended, wanted: Wanted, touched: set[str]) -> set[str]:
    """Rows told as failed whose former parent went between the look at it and the write."""
    failed = {one["target_id"] for one in ended.failures if one["kind"] == "failed"}
    return {
        record_id
        for record_id, wants in wanted.rows.items()
        if record_id in failed
        and any(set(allowed) & touched for want in wants for allowed in want.lookups.values())
    }


def _unknown(on: _Play, after: Rows, *, but: set[str], most: int) -> set[str]:
    """New rows that the run reported as perhaps written, at most so many."""
    old = {row["Id"] for name in on.case.objects for row in on.first[name]} | but
    new = {row["Id"] for name in on.case.objects for row in live(after[name])} - old
    return new if len(new) <= most else set()


def _survivors(on: _Play, after: Rows, wanted: Wanted, between: dict[str, str]) -> list[str]:
    """Rows that people edited before the undo are there, with what they wrote."""
    wrong = []
    rows = {row["Id"]: (name, row) for name in on.case.objects for row in live(after[name])}
    for record_id in set(between) - set(on.happened.touched):
        if record_id not in rows:
            wrong.append(f"undo: {record_id}, edited by a person, is gone")
            continue
        name, row = rows[record_id]
        if row[acts.edited_field(name)] != acts.BY_OTHERS:
            wrong.append(f"undo: a person's edit of {record_id} was overwritten")
    return wrong


def _conflicts(on: _Play, after: Rows, touched: dict[str, str], told: set[str]) -> set[str]:
    """Rows that stayed for the sake of edited ones (their parents), each reported."""
    rows = {row["Id"]: (name, row) for name in on.case.objects for row in live(after[name])}
    kept: set[str] = set()
    todo = [one for one in touched if one in rows]
    while todo:
        name, row = rows[todo.pop()]
        for lookup in SHAPES[name].lookups:
            parent = row.get(lookup.field)
            if parent in rows and parent in told and parent not in kept:
                kept.add(parent)
                todo.append(parent)
    return kept


# -- a second run -------------------------------------------------------------------------------


def _again(on: _Play) -> list[str]:
    """A clean run, then changes on both sides, then the run that is struck."""
    if on.case.kind == "delta":  # a delta reads what changed ten minutes before its watermark too
        on.stage.source.json("POST", "/_sim/clock", {"move_s": _HOUR_S})
    first = _run(on, struck=False)
    wrong = _after_first(on)
    if wrong:
        return [f"first run ({first.state}): {one}" for one in wrong]
    for org in on.stage.orgs:
        org.json("POST", "/_sim/clock", {"move_s": 3 * _HOUR_S})
    between = _between(on)
    before = on.stage.dump("target", on.case.objects)
    on.source = on.stage.dump("source", on.case.objects)
    mode = "delta" if on.case.kind == "delta" else "full"
    ended = _run(on, mode=mode)
    forward = Forward(on.case, on.source, before, between)
    wanted = forward.want()
    if mode == "delta":
        _only_read(on, wanted, between)
    on.first = before
    return _judged(on, ended, wanted, forward.pairs, exact=mode == "full")


def _after_first(on: _Play) -> list[str]:
    forward = Forward(on.case, on.source, on.first)
    after = on.stage.dump("target", on.case.objects)
    return compare(on.case, forward.want(), forward.pairs, after=after)


def _between(on: _Play) -> Between:
    after = on.stage.dump("target", on.case.objects)
    pairs = Pairs(on.case, on.source, after)
    made = Between(pairs={source: row["Id"] for source, row in pairs.there.items()})
    _change_source(on, made)
    _people_between(on, made, after)
    return made


def _change_source(on: _Play, made: Between) -> None:
    for name in on.case.objects:
        shape = SHAPES[name]
        field_name = "Title" if name == "Contact" else "Description"
        field_name = "Text__c" if shape.custom else field_name
        rows = [r for r in on.source[name] if on.dice.random() < 0.35]
        changes = []
        for row in rows:
            value = on.dice.choice([one for one in TEXTS if one != row[field_name]])
            value = value[:30].strip() if value and field_name == "Title" else value
            if value == row[field_name]:
                continue
            made.changed.add(row["Id"])
            changes.append({"Id": row["Id"], field_name: value})
        if changes:
            said = on.stage.source.json("POST", "/_sim/edit", {"update": {name: changes}})
            made.changed -= {row["Id"] for row, one in zip(changes, said, strict=True)
                             if not one["success"]}  # fmt: skip


def _people_between(on: _Play, made: Between, after: Rows) -> None:
    rows = {name: live(after[name]) for name in on.case.objects}
    found = [(name, row) for name in on.case.objects for row in rows[name]]
    leaves = {row["Id"] for row in acts.unreferenced(on.case, after)}
    for name, row in on.dice.sample(found, min(len(found), on.dice.randrange(4))):
        if on.dice.random() < 0.6:
            if acts.person_edits(on.stage, name, row["Id"]):
                made.touched[row["Id"]] = "edit"
        elif row["Id"] in leaves:
            on.stage.target.json("POST", "/_sim/edit", {"delete": [row["Id"]]})
            made.touched[row["Id"]] = "delete"
    if on.case.on_change != "overwrite" and on.dice.random() < 0.25:
        merges = Happened(touched=dict(made.touched))
        acts.person_merges(on.stage, on.case, happened=merges, dice=on.dice)
        made.touched, made.merged = merges.touched, merges.merged


def _only_read(on: _Play, wanted: Wanted, between: Between) -> None:
    """A delta reads what changed: figures of the rest are not told."""
    for name in on.case.objects:
        counted = wanted.figures[name]
        counted["unchanged"] = 0
        wanted.slack[name] += len(on.source[name]) if between.touched or on.case.refused else 0


_KINDS = {
    "delete": _delete,
    "hard_delete": _delete,
    "undo": _undo,
    "rerun": _again,
    "delta": _again,
}
