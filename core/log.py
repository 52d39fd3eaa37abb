"""How the product writes its log: one line per event, key=value extras, secrets removed.

``INFO`` is a story that an analyst could read; ``DEBUG`` is for us. The line carries what `bound`
holds (job, run, request id). Redaction happens in the formatter, after everything was joined, so
that also a traceback or a foreign library's message passes through it.
"""

from __future__ import annotations

import logging
import re
import resource
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import Any

from core.config import Settings
from core.secret import MASK

LOG_MAX_BYTES = 10_000_000
LOG_KEPT_FILES = 5

#: libraries whose INFO is their own story, not ours
_TALKATIVE = ("alembic", "apscheduler", "procrastinate", "urllib3", "httpx")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_context: ContextVar[dict[str, object]] = ContextVar("log_context", default={})  # noqa: B039 -- never mutated

_NAMES = (
    r"token|session[_-]?id|sessionid|client[_-]?secret|consumer[_-]?secret"
    r"|password|passwd|passphrase|secret|api[_-]?key|private[_-]?key|assertion|authorization"
    r"|code[_-]?verifier|set-cookie|cookie|csrf"
)
#: (pattern, replacement), applied in this order.
#: Salesforce's shapes: session ids are ``00D…!…``, refresh tokens ``5Aep…``.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.S),
        MASK,
    ),
    (re.compile(r"(force://)[^@\s'\"]+@"), rf"\1{MASK}@"),
    (
        re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'\"]*:)(?!PASSWORD@)[^\s/@'\"]+@"),
        rf"\1{MASK}@",
    ),
    (re.compile(r"\b00D[A-Za-z0-9]{9,15}(?:!|%21)[A-Za-z0-9._%-]+"), MASK),
    (re.compile(r"\b5Aep[A-Za-z0-9._-]{20,}"), MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"\bgAAAAA[A-Za-z0-9_=-]{20,}"), MASK),
    (re.compile(r"\b(Bearer|OAuth|Basic)\s+[A-Za-z0-9._!~+/=%-]{8,}", re.I), rf"\1 {MASK}"),
    (
        re.compile(
            rf"""(?P<name>["']?\b[\w-]*(?:{_NAMES})["']?\s*[=:]\s*)(?P<quote>["']?)[^\s"'&,;<>}})]+""",
            re.I,
        ),
        rf"\g<name>\g<quote>{MASK}",
    ),
    (
        re.compile(r"(<(?:\w+:)?(?:sessionId|password|accessToken|refreshToken)>)[^<]*", re.I),
        rf"\1{MASK}",
    ),
)


def redact(text: str) -> str:
    """`text` with everything that looks like a credential masked; harmless to call twice."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


@contextmanager
def bound(**facts: object) -> Iterator[None]:
    """Within it, every line of this task or thread also says `facts`."""
    token = _context.set({**_context.get(), **facts})
    try:
        yield
    finally:
        _context.reset(token)


class LineFormatter(logging.Formatter):
    """``2026-11-21T14:02:00.123Z INFO core.jobs.worker took a job job=7 run=sales-1``, redacted."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        extras = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        pairs = " ".join(
            f"{key}={_value(value)}" for key, value in (_context.get() | extras).items()
        )
        line = (
            f"{when.replace('+00:00', 'Z')} {record.levelname} {record.name} {record.getMessage()}"
        )
        line = f"{line} {pairs}" if pairs else line
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return redact(line)


def configure(
    settings: Settings,
    *,
    process: str = "app",
    level: int = logging.INFO,
    to_stderr: bool = True,
) -> None:
    """Send this process's log to ``home/logs/<process>.log`` (rotated) and to stderr.

    A folder that cannot be written costs the file, not the start: stderr then says so.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if to_stderr else []
    problem: OSError | None = None
    try:
        folder = settings.home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{process}.log"
        handlers.append(
            RotatingFileHandler(
                path,
                maxBytes=LOG_MAX_BYTES,
                backupCount=LOG_KEPT_FILES,
                encoding="utf-8",
                delay=True,
            )
        )
    except OSError as error:
        problem = error
    for handler in handlers:
        handler.setFormatter(LineFormatter())
    _redact_at_birth()
    _catch_the_uncaught()
    _leave_no_core_file()
    logging.basicConfig(level=level, handlers=handlers or [logging.NullHandler()], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    if problem:
        logging.getLogger(__name__).warning("no log file", extra={"reason": str(problem)})


def _redact_at_birth() -> None:
    """Redact every record as it is made: Streamlit and uvicorn write through handlers of their own.

    Their text is then clean as well, tracebacks included (a formatter takes ``exc_text`` when it
    is there already).
    """
    known = logging.getLogRecordFactory()
    if known is _clean_record:
        return

    logging.setLogRecordFactory(_clean_record)


def _clean_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **kwargs)
    text = record.getMessage()
    clean = redact(text)
    if clean != text:
        record.msg, record.args = clean, None
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip())
    return record


def _catch_the_uncaught() -> None:
    """What nobody caught ends in the log, redacted, in place of Python's own trace on stderr."""

    def told(kind: type[BaseException], problem: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        info = (kind, problem, trace)
        logging.getLogger(__name__).critical("nobody caught this", exc_info=info)

    def told_of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            told(args.exc_type, args.exc_value, args.exc_traceback)

    threading.excepthook = told_of_thread
    if sys.excepthook is sys.__excepthook__:  # the terminal has one of its own
        sys.excepthook = told


def _leave_no_core_file() -> None:
    """A crash of the interpreter must not write this process's memory, keys included, to disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _value(value: object) -> str:
    text = str(value)
    return repr(text) if not text or re.search(r"[\s=\"]", text) else text
