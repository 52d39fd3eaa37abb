"""Test rows of a plan: run them, write them, take a real row over as one.

results(plan, mapping) ─▶ every expected field of every test, passed or not
with_tests(…) · row_as_test(preview row) ─▶ the plan with its tests, as one saved edit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from core.access import roles
from core.domain.plan import Plan, RowTest
from core.domain.roles import Role
from core.plans import editing
from core.plans.row_tests import RowTestResult, run_row_tests
from core.services import editor

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor

__all__ = ["RowTestResult"]


def results(
    bridge: Orgbridge, actor: Actor, plan_id: UUID, *, mapping: str
) -> tuple[RowTestResult, ...]:
    """Runs the tests of one object mapping on its saved rules; no org is asked for rows.

    Raises:
        UserError: a rule does not compile; the sentence says which.
    """
    roles.require(actor, Role.VIEWER)
    both = editor.sides(bridge, actor, plan_id, mapping=mapping)
    entry = editor.as_launched(bridge, actor, plan_id, mapping=mapping)
    applied = entry.model_copy(update={"fields": dict(entry.applied_fields), "auto_map": False})
    return run_row_tests(applied, both.source, both.target)


def with_tests(plan: Plan, *, mapping: str, tests: Sequence[RowTest]) -> Plan:
    """The plan with these tests in place of those that the mapping had."""
    return editing.change_object(
        plan, mapping, lambda entry: entry.model_copy(update={"tests": tuple(tests)})
    )


def row_as_test(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> RowTest:
    """A row as it went through the rules, as a test: this is how it has to stay.

    Ids are left out: they are another org's tomorrow.
    """
    given = {path: value for path, value in before.items() if path != "Id" and value is not None}
    return RowTest(given=given, expected=dict(after))
