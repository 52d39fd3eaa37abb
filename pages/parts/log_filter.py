"""What the pages of logs and of the audit trail filter by alike: days and words; their CSV link."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

import streamlit as st

from pages.parts import days, figures


class _Since(Protocol):
    @property
    def since(self) -> datetime | None: ...


_Filter = TypeVar("_Filter", bound=_Since)

DAYS_SHOWN = 30
#: nothing was logged before
FIRST_DAY = date(2000, 1, 1)


def days_and_words(
    places: tuple[Any, Any], *, days_key: str, text_key: str, placeholder: str
) -> dict[str, Any]:
    """Draws both inputs; ``since``, ``until`` and ``text`` of the filter.

    Args:
        places: the two columns they stand in.
        days_key: name of the days in the address; ``text_key`` of the text.
    """
    when, words = places
    today = datetime.now(figures.zone()).date()
    span = when.date_input(
        "Days",
        (today - timedelta(days=DAYS_SHOWN), today),
        # bounds, so that an address with a day of no calendar we can reckon in is put back
        min_value=FIRST_DAY,
        max_value=today + timedelta(days=1),
        key=days_key,
        bind="query-params",
    )
    text = words.text_input(
        "Contains",
        type="search",
        live=True,
        key=text_key,
        bind="query-params",
        placeholder=placeholder,
    )
    since, until = days.bounds(span)
    return {"text": (text or "").strip(), "since": since, "until": until}


def one_of(
    place: Any,
    label: str,
    names: Sequence[str],
    *,
    key: str,
    every: str,
    format_func: Callable[[str], str] = str,
) -> str:
    """One of many, or all of them: the empty text. The address keeps it."""
    chosen = place.selectbox(
        label,
        ["", *names],
        key=key,
        bind="query-params",
        format_func=lambda name: format_func(name) if name else every,
    )
    return chosen or ""


def narrowed(wanted: _Filter, near: _Filter, *, key: str) -> _Filter:
    """As far back as a word is sought at once, unless somebody wants all of it."""
    if near == wanted or near.since is None:
        return wanted
    whole = st.toggle(
        f"Search before {near.since.astimezone(figures.zone()):%-d %b, %H:%M} as well",
        key=key,
        help="A word is sought through the newest entries first; all of them take longer.",
    )
    return wanted if whole else near


def entries(number: int, *, is_at_least: bool) -> str:
    """How many there are.

    >>> entries(1, is_at_least=False), entries(10_000, is_at_least=True)
    ('1 entry', 'More than 10,000 entries')
    """
    noun = "entry" if number == 1 else "entries"
    return f"{'More than ' if is_at_least else ''}{figures.count(number)} {noun}"


def csv_link(kind: str, chosen: Mapping[str, Any]) -> None:
    """The whole filter as a file, written while it is read."""
    given = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in chosen.items()
        if value
    }
    st.link_button(
        "CSV",
        f"/download/{kind}?{urlencode(given, doseq=True)}",
        icon=":material/download:",
        help="Everything that the filter matches, as CSV",
    )
