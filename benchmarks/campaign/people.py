"""People at work while runs run: two analysts in one plan, and deletes of what is in use.

What was promised to a person stays: an edit that was accepted is in the plan, an edit that was
refused is not, and a run whose plan or org somebody tries to delete ends right.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from benchmarks.campaign import results
from benchmarks.campaign.cases import case_of, plan_text
from benchmarks.campaign.drive import Carrying, launched
from benchmarks.campaign.rough import _case
from benchmarks.campaign.shapes import SHAPES
from benchmarks.campaign.stage import Stage, stage
from benchmarks.campaign.story import Verdict, _fill, _judged, _Play
from benchmarks.campaign.strikes import Strike
from benchmarks.campaign.wants import Forward
from core.domain.plan import ConstantRule, parse_plan
from core.domain.roles import Actor, Role
from core.errors import ConflictError, OrgbridgeError, UserError
from core.plans.editing import FieldPlace, set_rule
from core.services import editor, orgs, plans

#: rounds of each action
TIMES = 12
#: edits of each of two analysts in one round
EDITS = 12


def play_all(folder: Path, *, commit: str) -> None:
    """Plays all of them on one stage and keeps the verdicts."""
    path = folder / f"people-{os.getpid()}.jsonl"
    with path.open("a", encoding="utf-8") as out, stage() as on:
        for name, action in _ACTIONS.items():
            for number in range(TIMES):
                results.write(out, _played(on, name, action, number), commit=commit)


def _played(
    on: Stage, name: str, action: Callable[[Stage, int], list[str]], number: int
) -> Verdict:
    began = time.monotonic()
    on.reset()
    wrong = action(on, number)
    return Verdict(
        seed=number, kind="people", strike=name, wrong=tuple(wrong), struck=True, resumes=0,
        seconds=round(time.monotonic() - began, 3), at=round(time.time(), 3),
    )  # fmt: skip


def _two_analysts(on: Stage, number: int) -> list[str]:
    """Both save edits on what they saw a moment ago; accepted ones are all there at the end."""
    text = plan_text(case_of(80_000 + number)).replace("case-", f"shared-{number}-")
    plan_id = plans.put(on.bridge, on.actor, parse_plan(text))
    mapping = plans.plan(on.bridge, on.actor, plan_id).plan.objects[0]
    fields = [field for field in SHAPES[mapping.source].fields if field not in mapping.skip]
    accepted: dict[str, list[str]] = {"ann": [], "ben": []}
    broken: list[str] = []

    def edits(name: str) -> None:
        dice = random.Random(f"{number}{name}")  # noqa: S311  edits, not secrets
        actor = Actor(on.actor.workspace_id, None, f"terminal:{name}", Role.ANALYST)
        seen = plans.plan(on.bridge, actor, plan_id).row.revision
        for turn in range(EDITS):
            at = FieldPlace(mapping.name, dice.choice(fields))
            value = f"{name}{turn}"
            try:
                saved = editor.edit(
                    on.bridge, actor, plan_id, revision=seen,
                    change=lambda plan, a=at, v=value: set_rule(plan, a, ConstantRule(constant=v)),
                )  # fmt: skip
                accepted[name].append(f"{at.field}={value}")
                seen = saved.revision if dice.random() < 0.6 else seen
            except ConflictError:
                seen = plans.plan(on.bridge, actor, plan_id).row.revision
            except (OrgbridgeError, ValueError) as error:
                broken.append(f"{type(error).__name__}: {error}")

    both = [threading.Thread(target=edits, args=(name,)) for name in accepted]
    for one in both:
        one.start()
    for one in both:
        one.join()
    return broken + _lost(on, plan_id, accepted)


def _lost(on: Stage, plan_id: UUID, accepted: dict[str, list[str]]) -> list[str]:
    """Fields whose end is no accepted edit of either, and fields whose only edits are not there."""
    rules = plans.plan(on.bridge, on.actor, plan_id).plan.objects[0].fields
    by_field: dict[str, set[str]] = {}
    last: dict[str, dict[str, str]] = {}
    for name, said in accepted.items():
        for one in said:
            field, _, value = one.partition("=")
            by_field.setdefault(field, set()).add(value)
            last.setdefault(field, {})[name] = value
    wrong = []
    for field, finals in last.items():
        rule = rules.get(field)
        found = getattr(rule, "constant", None)
        if found not in finals.values():
            wrong.append(f"{field} is {found}, the last accepted edits were {finals}")
    return wrong


def _delete_in_use(on: Stage, number: int) -> list[str]:
    """Somebody deletes the plan and the org of a run on its way: refused, and the run ends right.

    A plan may go while its run has a version of its own; then the run ends right all the same.
    """
    play = _Play(on, _case(number, Strike("nothing")), random.Random(number))  # noqa: S311
    _fill(play)
    name = launched(on, play.case)
    wrong: list[str] = []
    for org in orgs.orgs(on.bridge, on.actor):
        try:
            orgs.remove(on.bridge, on.actor, org.id, confirm=org.name)
            wrong.append(f"the org {org.name} was deleted under a run")
        except (ConflictError, UserError):
            pass
    plan_id = next(
        row.id for row in plans.plans(on.bridge, on.actor) if row.name == f"case-{play.case.seed}"
    )
    try:
        plans.remove(on.bridge, on.actor, plan_id, confirm=f"case-{play.case.seed}")
        wrong.append("the plan was deleted under a run")
    except ConflictError:
        pass
    ended = Carrying(on, play.case, name, play.happened).to_the_end(struck=False)
    forward = Forward(play.case, play.source, play.first)
    return wrong + _judged(play, ended, forward.want(), forward.pairs)


_ACTIONS: dict[str, Callable[[Stage, int], list[str]]] = {
    "two analysts edit one plan": _two_analysts,
    "delete of a plan and an org in use": _delete_in_use,
}
