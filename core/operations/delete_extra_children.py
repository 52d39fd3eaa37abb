"""Deleting extra child records: a run sends them to the recycle bin, and can be undone."""

from __future__ import annotations

from core.operations.extra_child_acts import ChildActParameters, act
from core.operations.protocol import Operation, OperationContext, Report


def carry(context: OperationContext, parameters: ChildActParameters) -> Report:
    """Plan the run; it needs the target's name and a reason, in every org."""
    return act(context, parameters, tag=None)


OPERATION = Operation(
    kind="delete_extra_children",
    title="Delete extra child records",
    purpose="Delete the extra children of one lookup by a run that can be undone.",
    parameters=ChildActParameters,
    carry=carry,
    log_table="extra_child_records_log",
    writes=True,
    deletes=True,
)
