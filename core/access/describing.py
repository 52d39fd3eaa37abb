"""Reads what an org says of all its objects, in parallel, and keeps each answer as it comes.

    list of objects ──▶ which of them ──▶ 8 at a time ──▶ cache (a row each) ──▶ pages show it
                                              └─ refused ──▶ the reason, by object

Interrupted, it goes on with what has not been answered since it began. A refusal of one object
ends nothing; a lost session, a daily limit or an org out of reach ends it with the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from core.db import describing as rows
from core.db import orgs
from core.db.describing import DescribeState
from core.errors import NotFoundError, OrgbridgeError, RefusedError
from core.salesforce.describes import SObjectSummary

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

#: an org with at most this many objects is described whole; of a larger one those that were
#: described before and, up to this many, those that take records
DESCRIBE_ALL_UP_TO = 400

log = logging.getLogger(__name__)


def describe_org(
    bridge: Orgbridge,
    workspace_id: UUID,
    org_id: UUID,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> int | None:
    """Describe the org's objects; how many were answered, None when it was stopped before its end.

    Raises:
        NotFoundError: no such org.
        OrgbridgeError: the org does not let us in, or is out of reach; kept as the reason too.
    """
    try:
        return _described(bridge, workspace_id, org_id, stop=stop)
    except NotFoundError:
        raise
    except OrgbridgeError as problem:
        with bridge.session(workspace_id) as session:
            now, reason = bridge.clock(), problem.happened
            rows.finish(session, org_id, DescribeState.FAILED, now=now, reason=reason)
        raise


def chosen(listed: Sequence[SObjectSummary], known: frozenset[str]) -> list[str]:
    """Names of the objects to describe; ``known`` (in small letters) were described before."""
    seen = [each for each in listed if not each.deprecated_and_hidden]
    if len(seen) <= DESCRIBE_ALL_UP_TO:
        return [each.name for each in seen]
    names = [each.name for each in seen if each.name.lower() in known]
    takes_records = [
        each.name
        for each in sorted(seen, key=lambda each: not each.custom)
        if each.createable and each.queryable and each.name.lower() not in known
    ]
    return names + takes_records[: max(0, DESCRIBE_ALL_UP_TO - len(names))]


def _described(
    bridge: Orgbridge, workspace_id: UUID, org_id: UUID, *, stop: Callable[[], bool]
) -> int | None:
    with bridge.session(workspace_id) as session:
        orgs.org_row(session, org_id)
        since = rows.begin(session, org_id, now=bridge.clock())
    client = bridge.org_client(workspace_id, org_id)
    listed = client.describe_global(refresh=True)
    with bridge.session(workspace_id) as session:
        known = frozenset(orgs.field_counts(session, org_id))
        names = chosen(listed, known)
        answered = rows.answered_since(session, org_id, since)
        rows.count(session, org_id, len(names))
    waiting = [name for name in names if name.lower() not in answered]
    count = len(names) - len(waiting)
    for name, answer in client.describes.each(waiting, refresh=True):
        if isinstance(answer, RefusedError):
            log.info("object not described", extra={"sobject": name, "reason": answer.happened})
            with bridge.session(workspace_id) as session:
                rows.refuse(session, org_id, name, answer.happened)
        else:
            count += 1
        if stop():
            return None
    with bridge.session(workspace_id) as session:
        rows.finish(session, org_id, DescribeState.DONE, now=bridge.clock())
    return count
