"""Which operations there are; each is imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module

from core.errors import NotFoundError
from core.operations.protocol import Operation

#: kind → module with an ``OPERATION`` of that kind
_MODULES = {
    "record_counts": "core.operations.record_counts",
    "field_differences": "core.operations.field_differences",
    "duplicates": "core.operations.duplicates",
    "extra_child_records": "core.operations.extra_child_records",
    "export_extra_children": "core.operations.export_extra_children",
    "tag_extra_children": "core.operations.tag_extra_children",
    "delete_extra_children": "core.operations.delete_extra_children",
    "read_files": "core.operations.read_files",
    "export_records": "core.operations.export_records",
    "export_logs": "core.operations.export_logs",
}


def kinds() -> tuple[str, ...]:
    """Kinds of every operation, in the order in which they are shown."""
    return tuple(_MODULES)


def operation(kind: str) -> Operation:
    """The operation of a kind.

    Raises:
        NotFoundError: there is none of that name.
    """
    module = _MODULES.get(kind)
    if module is None:
        raise NotFoundError(
            f"There is no operation {kind!r}.", next_step=f"There are: {', '.join(_MODULES)}."
        )
    found: Operation = import_module(module).OPERATION
    return found
