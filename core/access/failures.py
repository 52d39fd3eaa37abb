"""Keeps defects that a boundary caught: one row of ``error_log`` with a reference people can quote.

unexpected exception ─▶ reference ─┬─▶ error_log: class, place in our code, who (no message: it
                                   │               could hold data or a secret)
                                   ├─▶ log: the same reference, with the trace, redacted
                                   └─▶ the person: a sentence with the reference
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import secrets
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from core.config import PROJECT_ROOT
from core.db.models import ErrorLog
from core.errors import OrgbridgeError

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

log = logging.getLogger(__name__)


def keep(
    bridge: Orgbridge,
    problem: BaseException,
    *,
    boundary: str,
    of: Callable[[], tuple[UUID, str]],
    facts: Mapping[str, Any] | None = None,
) -> str:
    """Log a defect and keep a row of it; the reference. Never raises: a lost row is logged.

    Args:
        boundary: where it was caught: ``page``, ``rest``, ``door``, ``worker``.
        of: workspace and name of who met it; asked for here, since the database may be what failed.
    """
    reference = told(problem, boundary=boundary)
    row = _row(problem, reference, boundary=boundary, now=bridge.clock())
    row.facts = dict(facts or {}) | {"reference": reference, "place": place_of(problem)}
    try:
        workspace_id, row.requested_by = of()
        with bridge.session(workspace_id) as session:
            session.add(row)
    except (SQLAlchemyError, OrgbridgeError) as lost:
        log.warning(
            "defect not kept", extra={"reference": reference, "reason": type(lost).__name__}
        )
    return reference


def told(problem: BaseException, *, boundary: str) -> str:
    """Log a defect alone (nothing is there that could keep it); the reference."""
    reference = secrets.token_hex(4)
    extra = {"reference": reference, "boundary": boundary}
    log.error("unexpected failure", extra=extra, exc_info=problem)
    return reference


def place_of(problem: BaseException) -> str:
    """File and line of the innermost frame of ours, relative to the project; "" for none."""
    for frame in reversed(traceback.extract_tb(problem.__traceback__)):
        if (
            frame.filename.startswith(f"{PROJECT_ROOT}/")
            and "/site-packages/" not in frame.filename
        ):
            return f"{frame.filename.removeprefix(f'{PROJECT_ROOT}/')}:{frame.lineno}"
    return ""


def _row(problem: BaseException, reference: str, *, boundary: str, now: dt.datetime) -> ErrorLog:
    kind, place = type(problem).__name__, place_of(problem)
    where = f" at {place}" if place else ""
    return ErrorLog(
        kind=kind,
        boundary=boundary,
        status="failed",
        message=f"{kind}{where} (reference {reference})",
        fingerprint=hashlib.sha256(f"{kind}\0{place}".encode()).hexdigest()[:32],
        started_at=now,
        finished_at=now,
    )
