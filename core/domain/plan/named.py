"""Objects of a plan by the names that people give them.

A plan calls its objects in small letters (``account``); people are shown, and write, the org's own
spelling (``Account``). Both are understood, in letters of either size.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.domain.names import object_name
from core.domain.plan.document import ObjectMapping, Plan
from core.errors import UserError


def objects_named(plan: Plan, names: Iterable[str], *, state: str = "") -> list[ObjectMapping]:
    """The objects that were asked for, in the order asked.

    Args:
        state: what was left undone where there is no such object.
    Raises:
        UserError: the plan has none of a name; says which it has.
    """
    known = {one.name.casefold(): one for one in plan.objects}
    known |= {one.name: one for one in plan.objects}
    found = []
    for name in names:
        one = known.get(name) or known.get(name.strip().casefold())
        if one is None:
            told = [object_name(each.name, each.target) for each in plan.objects]
            raise UserError(
                f"The plan {plan.name} has no object {name[:80]!r}.",
                state=state,
                next_step=f"It has: {', '.join(told)}.",
            )
        found.append(one)
    return found
