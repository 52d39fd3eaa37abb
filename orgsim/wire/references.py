"""``@{ref.path}`` in composite requests: filled from the answers of earlier parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_WHOLE = re.compile(r"@\{([^}]+)\}\Z")
_INSIDE = re.compile(r"@\{([^}]+)\}")
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]")


class BadReferenceError(Exception):
    """A reference names nothing; the message is Salesforce's."""


def filled(value: Any, answers: Mapping[str, Any]) -> Any:
    """The value with every reference replaced; a text that is one reference keeps the type."""
    if isinstance(value, dict):
        return {key: filled(inner, answers) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, answers) for inner in value]
    if not isinstance(value, str) or "@{" not in value:
        return value
    whole = _WHOLE.match(value)
    if whole:
        return _resolved(whole.group(1), answers)
    return _INSIDE.sub(lambda match: str(_resolved(match.group(1), answers)), value)


def names_in(value: Any) -> frozenset[str]:
    """Reference ids that a value depends on."""
    if isinstance(value, dict):
        return frozenset().union(*map(names_in, value.values()), frozenset())
    if isinstance(value, list):
        return frozenset().union(*map(names_in, value), frozenset())
    if isinstance(value, str):
        return frozenset(re.split(r"[.\[]", path, maxsplit=1)[0] for path in _INSIDE.findall(value))
    return frozenset()


def _resolved(path: str, answers: Mapping[str, Any]) -> Any:
    name, _, rest = path.partition(".")
    head, bracket, tail = name.partition("[")
    if head not in answers:
        raise BadReferenceError(f"Invalid reference specified. No value for {path} found in {head}")
    steps = (bracket + tail) + ("." + rest if rest else "")
    value = answers[head]
    for attribute, index in _STEP.findall(steps):
        try:
            value = value[int(index)] if index else value[attribute]
        except (KeyError, IndexError, TypeError) as error:
            raise BadReferenceError(
                f"Invalid reference specified. No value for {path} found in {head}"
            ) from error
    return value
