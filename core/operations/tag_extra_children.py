"""Tagging extra child records: a run writes one value into one field of all of them."""

from __future__ import annotations

from pydantic import Field

from core.operations.extra_child_acts import ChildActParameters, act
from core.operations.protocol import Operation, OperationContext, Report


class TagParameters(ChildActParameters):
    """Which field gets which value."""

    field: str = Field(min_length=1)
    value: str = ""


def carry(context: OperationContext, parameters: TagParameters) -> Report:
    """Plan the run; a protected target asks for its name and a reason."""
    return act(context, parameters, tag=(parameters.field, parameters.value))


OPERATION = Operation(
    kind="tag_extra_children",
    title="Tag extra child records",
    purpose="Write one value into one field of the extra children of one lookup, by a run.",
    parameters=TagParameters,
    carry=carry,
    log_table="extra_child_records_log",
    writes=True,
)
