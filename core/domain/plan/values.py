"""The ground that the plan document stands on: its strict base model and its kinds of text.

Values that travel to an org are text here, whatever the document wrote: ``constant: true`` and
``constant: "true"`` are the same, ``007`` keeps its zeros (the YAML reader makes no numbers).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

NAME_MAX = 80

_API_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_FIELD_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*){0,5}\Z")
_MAPPING_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")


class Part(BaseModel):
    """A part of the plan document: frozen, and it knows no keys but its own."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True
    )


class ReviewState(StrEnum):
    """What people said of a suggested rule."""

    SUGGESTED = "suggested"  # made by auto-map, nobody looked yet
    APPROVED = "approved"  # somebody accepted or wrote it
    REJECTED = "rejected"  # somebody said no: not applied, not suggested again
    NEEDS_CLARIFICATION = "needs_clarification"  # applied; somebody asked a question


class Write(StrEnum):
    """When a field is written."""

    ALWAYS = "always"  # on insert and on update
    INSERT_ONLY = "insert_only"  # never touches a record that exists
    IF_BLANK = "if_blank"  # on update only where the target holds nothing


def text_value(value: Any) -> Any:
    """A scalar of the document as the text that goes to the org; anything else unchanged.

    >>> text_value(True), text_value(1.5), text_value("007")
    ('true', '1.5', '007')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value


def _api_name(name: str) -> str:
    if len(name) > NAME_MAX or not _API_NAME.match(name):
        raise ValueError(f"'{name[:100]}' is not an API name (letters, digits, underscores)")
    return name


def _field_path(path: str) -> str:
    if len(path) > 5 * NAME_MAX or not _FIELD_PATH.match(path):
        raise ValueError(
            f"'{path[:100]}' is neither a field nor a path to one, such as Name or Account.Name"
        )
    return path


def _mapping_name(name: str) -> str:
    if len(name) > NAME_MAX or not _MAPPING_NAME.match(name):
        raise ValueError(f"'{name[:100]}' is no name: use letters, digits, - and _")
    return name


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def no_case_twins(names: Any) -> None:
    """Refuse keys that the platform cannot tell apart (``Name`` and ``name``)."""
    seen: dict[str, str] = {}
    for name in names:
        earlier = seen.setdefault(name.lower(), name)
        if earlier != name:
            raise ValueError(f"'{earlier}' and '{name}' are one field to Salesforce: keep one")


#: an object or a field by its API name
ApiName = Annotated[str, AfterValidator(_api_name)]
#: a field, or a path to one through lookups (``Account.Owner.Name``)
FieldPath = Annotated[str, AfterValidator(_field_path)]
#: the name of an object mapping inside its plan
MappingName = Annotated[str, AfterValidator(_mapping_name)]
#: any scalar, kept as text; null is a blank
Text = Annotated[str | None, BeforeValidator(text_value)]
#: any scalar but null, kept as text
SomeText = Annotated[str, BeforeValidator(text_value)]
#: one field path or a list of them
FieldPaths = Annotated[tuple[FieldPath, ...], BeforeValidator(_one_or_more)]
