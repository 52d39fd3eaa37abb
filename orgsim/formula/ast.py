"""What a formula says, as frozen nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: text, number (as written), boolean or None for NULL."""

    value: str | bool | None
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A field of the record, of a parent, or of a global such as ``$User``."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator; operators carry their sign as name."""

    name: str
    arguments: tuple[Node, ...]


Node: TypeAlias = Literal | FieldPath | Call
