"""The boxes of the four states: error, empty, loading; nothing here ever shows a stack trace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec

import streamlit as st

from core.api import process
from core.errors import BugError, NotAllowedError, OrgbridgeError
from core.services import failures
from pages.parts import visit

P = ParamSpec("P")
#: Streamlit 1.67 makes links of bare addresses, icons of `:material/home:`, pictures of `:smile:`
#: after it has read the markdown, so that no backslash and no entity keeps it from that; an
#: invisible word joiner inside them does (seen)
_MADE_LATE = re.compile(
    r"(?<=@)(?=[\w-])|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=:)(?=[\w+/-]+:)", re.IGNORECASE
)
_JOINER = "\u2060"
#: they would turn our own words around, up to the end of the paragraph
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")


@contextmanager
def asking(what: str, *, height: int) -> Iterator[None]:
    """While an org is asked: what is going on in words, over the place of what comes.

    Neither is drawn where the answer comes at once.

    Args:
        height: pixels of the place.
    """
    # in one place the second would oust the first (Streamlit 1.67, seen); emptied ones take none
    above, below = st.empty(), st.empty()
    with above, st.spinner(escaped(what)), below, st.skeleton(height=height):
        yield


def escaped(text: object) -> str:
    r"""Text of others, safe inside markdown: nothing in it becomes a link, an icon or formatting.

    >>> escaped("[x](y) :material/home: *b*")
    '\\[x\\](y) \\:\u2060material/home\\: \\*b\\*'
    >>> escaped("ann@x.example, https://x.example").replace(_JOINER, "^")
    'ann@^x.example, https\\:^//x.example'
    """
    marks = "\\`*_{}[]<>#|:$~"
    kept = _MADE_LATE.sub(_JOINER, str(text).translate(_TURNING))
    return "".join(f"\\{char}" if char in marks else char for char in kept)


def code(text: object) -> str:
    """Text of others in monospace; a backtick in it, which would end that, is drawn otherwise.

    >>> code("ann@x.example"), code("a`b")
    ('`ann@x.example`', '`aˋb`')
    """
    return f"`{str(text).translate(_TURNING).replace('`', 'ˋ').replace(chr(10), ' ')}`"


def without_joiners(text: str) -> str:
    """What somebody copied from an escaped text, as it was before."""
    return text.replace(_JOINER, "")


def error(problem: Exception) -> None:
    """Draw what happened, in what state things are and what to do next.

    An error of ours says it itself; anything else is a defect: it is kept and logged under a
    reference, and the person is told the reference alone.
    """
    if isinstance(problem, OrgbridgeError) and not isinstance(problem, BugError):
        rest = " ".join(part for part in (problem.state, problem.next_step) if part)
        icon = ":material/lock:" if isinstance(problem, NotAllowedError) else ":material/error:"
        st.error(escaped(rest) or " ", title=escaped(problem.happened), icon=icon)
        return
    reference = failures.met(process.held(), problem, boundary="page", token=visit.token())
    st.error(
        f"This page could not be drawn. What you did before is saved. Reload the page; if it "
        f"happens again, give your admin the reference `{reference}`: Errors and the log hold the "
        f"details under it.",
        title=failures.SENTENCE,
        icon=":material/error:",
    )


def on_script_error(problem: Exception) -> bool:
    """The page boundary: our box in place of a traceback; True tells Streamlit that it is drawn."""
    error(problem)
    return True


def acted(act: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
    """Do it; True when it went well, else the error box is drawn here and False comes back."""
    try:
        act(*args, **kwargs)
    except OrgbridgeError as problem:
        error(problem)
        return False
    return True


def remark(text: str, *, icon: str = "warning", color: str = "orange", width: Any = "auto") -> None:
    """A small coloured line of markdown; a caption would draw it too faint to be read."""
    st.markdown(f":small[:{color}[:material/{icon}: {text}]]", width=width)


def empty(title: str, body: str, *, icon: str = ":material/inbox:") -> None:
    """What belongs here, in a quiet card; the caller puts the one button that fills it below."""
    st.markdown(f"{icon} **{escaped(title)}**")
    st.caption(body)
