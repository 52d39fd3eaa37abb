"""Why a service did not take a message, in words, from what Apprise tells its own log alone.

Apprise answers a delivery with yes or no; the reason is in its log. Its lines hold hosts, paths and
tokens of the address, so none is repeated: a line is looked through for the few facts that help, a
status, a mail server's answer, the kind of a lost connection, and a sentence of ours tells them.

    with listening() as heard: service.notify(…)
    heard.reason()    "The mail server refused ghost@acme.example: 550 No such user."
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus

UNKNOWN = "The service did not take the message."
UNREACHED = "The server could not be reached: "
#: characters of a mail server's answer that are kept
ANSWER_MAX = 160

#: smtplib's errors as text: (550, b'No such user'), one of them by each refused recipient
_ANSWER = re.compile(r"\((\d{3}), b?(['\"])(.*?)(?<!\\)\2")
_RECIPIENT = re.compile(r"['\"]([^'\"\s]+@[^'\"\s]+)['\"]: \(")
#: how Apprise's web services end their line when the answer was no
_STATUS = re.compile(r"\berror=(\d{3})\b")
#: what an operating system and requests say of a connection, and what it means
_KINDS = (
    ("Connection refused", "nothing listens at its address"),
    ("timed out", "it did not answer in time"),
    ("Name or service not known", "nobody knows its name"),
    ("No address associated", "nobody knows its name"),
    ("Temporary failure in name resolution", "its name could not be looked up"),
    ("certificate verify failed", "its certificate is not trusted"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS at this port"),
    ("STARTTLS extension not supported", "it does not offer STARTTLS"),
    ("No route to host", "no way leads there"),
    ("Network is unreachable", "no way leads there"),
    ("Connection unexpectedly closed", "it closed the connection"),
    ("Connection reset", "it closed the connection"),
    ("Remote end closed", "it closed the connection"),
)


@dataclass
class Heard:
    """Lines that Apprise wrote during one delivery; for `reason` alone, they hold secrets."""

    lines: list[str] = field(default_factory=list, repr=False)

    def reason(self) -> str:
        """Why it was not delivered, in one sentence without anything secret."""
        told = "\n".join(self.lines)
        answers = {(code, text) for code, _, text in _ANSWER.findall(told)}
        if answers:
            to = ", ".join(dict.fromkeys(_RECIPIENT.findall(told)))
            said = "; ".join(f"{code} {_plain(text)}" for code, text in sorted(answers))
            return f"The mail server refused {to or 'the message'}: {said}."
        for sign, meaning in _KINDS:
            if sign.lower() in told.lower():
                return f"{UNREACHED}{meaning}."
        for status in _STATUS.findall(told):
            return f"The service refused the message: {status} {_phrase(int(status))}".strip() + "."
        return UNKNOWN


class _Here(threading.local):
    """What the present thread listens into."""

    heard: Heard | None = None


_here = _Here()


@contextmanager
def listening() -> Iterator[Heard]:
    """Collects what Apprise logs in this thread; its details go nowhere else."""
    _install()
    _here.heard = Heard()
    try:
        yield _here.heard
    finally:
        _here.heard = None


@cache
def _install() -> None:
    """Let Apprise's details reach the filter, and nothing behind it that it did not reach before.

    Socket errors are told at level debug only.
    """
    apprise = logging.getLogger("apprise")
    wanted = apprise.getEffectiveLevel()
    apprise.setLevel(logging.DEBUG)

    def look(record: logging.LogRecord) -> bool:
        if _here.heard is not None:
            _here.heard.lines.append(record.getMessage())
        return record.levelno >= wanted

    apprise.addFilter(look)


def _plain(text: str) -> str:
    """A server's answer on one line, without its enhanced code's repetition and line marks."""
    said = re.sub(r"\\[rnt]|\s+", " ", text)
    return said.strip().rstrip(".")[:ANSWER_MAX]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
