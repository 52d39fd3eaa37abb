"""People at work while runs run: two analysts in one plan, and deletes of what is in use.

What was promised to a person stays: an edit that was accepted is in the plan, an edit that was
refused is not, and a run whose plan or org somebody tries to delete ends right.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from benchmarks.campaign import results
from benchmarks.campaign.cases import case_of, plan_text
from benchmarks.campaign.drive import Carrying, Ended, launched
from benchmarks.campaign.rough import _case
from benchmarks.campaign.shapes import SHAPES
from benchmarks.campaign.stage import Stage, stage
from benchmarks.campaign.story import Verdict, _fill, _judged, _Play
from benchmarks.campaign.strikes import Strike
from benchmarks.campaign.wants import Forward
from core.api import process, rest
from core.api.gate import Gate
from core.db.run_lease import HEARTBEAT_S
from core.domain.plan import ConstantRule, parse_plan
from core.domain.roles import Actor, Role
from core.errors import ConflictError, OrgbridgeError, UserError
from core.plans.editing import FieldPlace, set_rule
from core.services import api_keys, editor, orgs, people, plans, steering

#: rounds of each action
TIMES = 12
#: edits of each of two analysts in one round
EDITS = 12
_HERE = "http://127.0.0.1:8501"
_OPERATIONS_PATH = "/api/v1/operations"


def play_all(folder: Path, *, commit: str, goes_on: bool = False) -> None:
    """Plays all of them on one stage and keeps the verdicts.

    Args:
        goes_on: what the folder holds is not played again.
    """
    done = results.played(folder) if goes_on else Counter()
    if all(done[name] >= TIMES for name in _ACTIONS):
        return
    path = folder / f"people-{os.getpid()}.jsonl"
    with path.open("a", encoding="utf-8") as out, stage() as on:
        for name, action in _ACTIONS.items():
            for number in range(done[name], TIMES):
                results.write(out, _played(on, name, action, number), commit=commit)


def _played(
    on: Stage, name: str, action: Callable[[Stage, int], list[str]], number: int
) -> Verdict:
    began = time.monotonic()
    on.reset()
    try:
        wrong = action(on, number)
    except Exception as broken:  # whatever the product raised is the finding
        wrong = [f"crashed: {type(broken).__name__}: {broken}"[:600]]
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
                rule = ConstantRule(constant=value)
                change = functools.partial(set_rule, at=at, rule=rule)
                saved = editor.edit(on.bridge, actor, plan_id, revision=seen, change=change)
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


def _cancel_by_service(on: Stage, number: int) -> list[str]:
    """A person cancels a run while a request of its wave is held: every row is as wanted or as
    before, and what the run tells of inserts is what is new."""
    place = ("upload", "collections")[number % 2]
    strike = Strike("cancel", place, number % 3, ("before", "after")[number // 2 % 2])
    play = _Play(on, _case(number, strike), random.Random(number))  # noqa: S311
    _fill(play)
    name = launched(on, play.case)
    on.target.plant(strike.hold())
    ended: list[Ended | BaseException] = []

    def carry() -> None:
        try:
            carrying = Carrying(on, play.case, name, play.happened)
            ended.append(carrying.to_the_end(struck=False))
        except BaseException as problem:  # handed to the thread that judges
            ended.append(problem)

    carrier = threading.Thread(target=carry, name="carrier")
    carrier.start()
    while carrier.is_alive() and not on.target.json("GET", "/_sim/faults/held?wait_s=0.2")["held"]:
        pass
    with contextlib.suppress(ConflictError):  # it may be over
        steering.cancel(on.bridge, on.actor, name)
    carrier.join(HEARTBEAT_S + 1)  # until the run has heard of it
    on.target.clear_faults()
    carrier.join()
    if isinstance(ended[0], BaseException):
        return [f"{type(ended[0]).__name__}: {ended[0]}"]
    forward = Forward(play.case, play.source, play.first)
    return _judged(play, ended[0], forward.want(), forward.pairs)


def _key_revoked(on: Stage, number: int) -> list[str]:
    """An API key is revoked while its script launches operations: what was accepted is there, what
    was refused left nothing, and after the revocation nothing is accepted."""
    admin = _admin(on)
    made = api_keys.make(on.bridge, admin, name=f"script {number}", role=Role.ANALYST)
    headers = {"authorization": f"Bearer {made.text.reveal()}"}
    given = {"source": "legacy", "target": "new", "objects": ["Account"]}
    before = _operations(on)
    said: list[tuple[float, int]] = []
    gone = threading.Event()

    def launches(client: TestClient) -> None:
        after = 0
        while after < 2 and len(said) < 60:
            after += gone.is_set()
            began = time.monotonic()
            answer = client.post(f"{_OPERATIONS_PATH}/record_counts", json=given, headers=headers)
            said.append((began, answer.status_code))

    process.hold(on.bridge)
    try:
        app = Starlette(
            routes=rest.routes(), middleware=[Middleware(Gate, is_signed_in=lambda token: True)]
        )
        script = threading.Thread(target=launches, args=(TestClient(app, _HERE),))
        script.start()
        while len(said) < 2 + number % 5 and script.is_alive():
            time.sleep(0.002)
        api_keys.revoke(on.bridge, admin, made.id)
        revoked = time.monotonic()
        gone.set()
        script.join()
    finally:
        process.hold(None)
    accepted = sum(status == 202 for _, status in said)
    wrong = [f"{status} instead of 202 or 401" for _, status in said if status not in (202, 401)]
    wrong += [
        f"{status} after the revocation" for at, status in said if at > revoked and status != 401
    ]
    there = _operations(on) - before
    return wrong + ([] if there == accepted else [f"{there} operations for {accepted} accepted"])


def _admin(on: Stage) -> Actor:
    """The admin of the stage, made by the first action that needs a person."""
    email, password = "ann@campaign.example", "a long sentence of Ann"
    code = people.issue_setup_code(on.bridge)
    signed = (
        people.create_first_admin(
            on.bridge, code=code, name="Ann", email=email, password=password, origin="campaign"
        )
        if code is not None
        else people.sign_in(on.bridge, email=email, password=password, origin="campaign")
    )
    visitor = people.who(on.bridge, signed.token)
    if visitor is None:
        raise AssertionError("the admin's session is not valid")
    return visitor.actor


def _operations(on: Stage) -> int:
    with on.bridge.owner_session() as session:
        found = session.scalar(text("SELECT count(*) FROM record_count_log"))
    return int(found or 0)


_ACTIONS: dict[str, Callable[[Stage, int], list[str]]] = {
    "two analysts edit one plan": _two_analysts,
    "delete of a plan and an org in use": _delete_in_use,
    "cancel during a wave": _cancel_by_service,
    "API key revoked while a script launches": _key_revoked,
}
