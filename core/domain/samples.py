"""What some values of a field tell: whether they would fit another field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from core.domain.describe import NUMBER_TYPES, Field

SAMPLES_MAX = 200

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_WHOLE = re.compile(r"[+-]?\d+(\.0+)?\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+\Z")
_PHONE = re.compile(r"[+(]?\d[\d\s()./x+-]{4,}\Z")
_URL = re.compile(r"(https?://|www\.)?[\w-]+(\.[\w-]+)+(/\S*)?\Z", re.IGNORECASE)

_SHAPES: Mapping[str, Callable[[str], object]] = {
    "date": _DATE.match,
    "datetime": _DATETIME.match,
    "email": _EMAIL.match,
    "phone": _PHONE.match,
    "url": _URL.match,
    "boolean": lambda text: text.lower() in ("true", "false", "1", "0"),
    "int": _WHOLE.match,
    "long": _WHOLE.match,
}


def share_fitting(values: Sequence[str], target: Field) -> float:
    """The share (0–1) of non-blank values that have the shape of the target field; 1 of nothing."""
    given = [text.strip() for text in values[:SAMPLES_MAX] if text and text.strip()]
    if not given:
        return 1.0
    return sum(1 for text in given if _fits(text, target)) / len(given)


def _fits(text: str, target: Field) -> bool:
    if target.type in NUMBER_TYPES and target.type not in ("int", "long"):
        return _NUMBER.match(text) is not None
    if target.type in ("picklist", "multipicklist"):
        allowed = target.active_values
        entries = text.split(";") if target.type == "multipicklist" else [text]
        return not allowed or all(entry in allowed for entry in entries)
    shape = _SHAPES.get(target.type)
    if shape is not None and not shape(text):
        return False
    return not (target.is_text and target.length) or len(text) <= target.length
