"""How rows are to be sent: the plan with the load options that a launch asked for.

Apart from the checks, so that a launch can be made before the engine is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from core.domain.plan import LoadOptions, ObjectMapping, Plan
from core.errors import UserError


def with_load_options(plan: Plan, options: Mapping[str, Any]) -> Plan:
    """The plan as a launch wants its rows sent: per mapping, else for all, else as it says itself.

    Args:
        options: a run's options; ``api`` and ``batch`` for every mapping, ``loads`` by name.
    Raises:
        UserError: an unknown name or value; the message says which.
    """
    for_all = {name: options[name] for name in ("api", "batch") if options.get(name) is not None}
    single: Mapping[str, Mapping[str, Any]] = options.get("loads") or {}
    unknown = sorted(set(single) - {entry.name for entry in plan.objects})
    if unknown:
        raise UserError(
            f"Load options name {unknown[0]!r}, which is no mapping of the plan.",
            state="Nothing was sent.",
        )
    entries = tuple(
        _loaded(entry, {**for_all, **single.get(entry.name, {})}) for entry in plan.objects
    )
    return plan.model_copy(update={"objects": entries})


def _loaded(entry: ObjectMapping, wanted: Mapping[str, Any]) -> ObjectMapping:
    if not wanted:
        return entry
    try:
        load = LoadOptions.model_validate({**entry.load.model_dump(mode="json"), **wanted})
    except ValidationError as wrong:
        first = wrong.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"The load option {entry.name}.{place} cannot be used: {first['msg']}.",
            state="Nothing was sent.",
            next_step=f"There are {', '.join(LoadOptions.model_fields)}.",
        ) from wrong
    return entry.model_copy(update={"load": load})
