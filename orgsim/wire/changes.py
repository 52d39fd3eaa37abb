"""What changed since when: getUpdated and getDeleted, and how many rows an object has.

Source: REST API Developer Guide, "sObject Get Updated", "sObject Get Deleted", "Record Count".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from orgsim.schema.model import SObject
from orgsim.store.columns import quoted
from orgsim.store.rows import first_row
from orgsim.wire.errors import ApiError, not_found
from orgsim.wire.router import Call, Reply, Rule

UPDATED_DAYS_MAX = 30
DELETED_DAYS_MAX = 15
UPDATED_IDS_MAX = 600_000


def _updated(call: Call) -> Reply:
    sobject = _replicated(call)
    start, end = _window(call, UPDATED_DAYS_MAX)
    sql = (
        f"SELECT Id FROM {quoted(sobject.name)} WHERE SystemModstamp >= ? AND SystemModstamp < ?"
        " AND NOT IsDeleted ORDER BY Id LIMIT ?"
    )
    with call.org.store.read() as cursor:
        rows = cursor.execute(sql, [_naive(start), _naive(end), UPDATED_IDS_MAX + 1]).fetchall()
    if len(rows) > UPDATED_IDS_MAX:
        raise ApiError(400, "EXCEEDED_ID_LIMIT", f"more than {UPDATED_IDS_MAX} ids in the window")
    return Reply(body={"ids": [row[0] for row in rows], "latestDateCovered": _text(end)})


def _deleted(call: Call) -> Reply:
    sobject = _replicated(call)
    start, end = _window(call, DELETED_DAYS_MAX)
    sql = 'SELECT id, moment FROM "@deleted" WHERE sobject = ? AND moment >= ? AND moment < ?'
    with call.org.store.read() as cursor:
        rows = cursor.execute(sql, [sobject.name, _naive(start), _naive(end)]).fetchall()
    records = [{"id": row[0], "deletedDate": _text(row[1].replace(tzinfo=UTC))} for row in rows]
    earliest = call.org.clock.now() - timedelta(days=DELETED_DAYS_MAX)
    return Reply(
        body={
            "deletedRecords": records,
            "earliestDateAvailable": _text(earliest),
            "latestDateCovered": _text(end),
        }
    )


def _record_counts(call: Call) -> Reply:
    """Counts of live rows; objects without rows and unknown ones are left out (as recorded)."""
    asked = [name.strip() for name in call.query.get("sObjects", "").split(",") if name.strip()]
    known = [call.schema.sobject(name) for name in asked] if asked else _all(call)
    counted: list[dict[str, Any]] = []
    with call.org.store.read() as cursor:
        for sobject in known:
            if sobject is None or not sobject.queryable:
                continue
            live = " WHERE NOT IsDeleted" if sobject.field("IsDeleted") else ""
            row = first_row(cursor.execute(f"SELECT count(*) FROM {quoted(sobject.name)}{live}"))
            if row and row[0]:
                counted.append({"count": row[0], "name": sobject.name})
    return Reply(body={"sObjects": counted})


def _all(call: Call) -> list[SObject]:
    return list(call.schema.sobjects.values())


def _replicated(call: Call) -> SObject:
    found: SObject | None = call.schema.sobject(call.parameters["sobject"])
    if found is None:
        raise not_found()
    if found.field("SystemModstamp") is None or found.field("IsDeleted") is None:
        raise ApiError(400, "INVALID_TYPE", f"{found.name} is not replicateable")
    return found


def _window(call: Call, days_max: int) -> tuple[datetime, datetime]:
    start, end = (_time(call, name) for name in ("start", "end"))
    now = call.org.clock.now()
    if end - start < timedelta(minutes=1):
        raise ApiError(
            400, "INVALID_REPLICATION_DATE", "startDate before endDate by at least one minute"
        )
    if start < now - timedelta(days=days_max):
        raise ApiError(
            400, "INVALID_REPLICATION_DATE", f"startDate is more than {days_max} days ago"
        )
    return start, min(end, now)


def _time(call: Call, name: str) -> datetime:
    """A time of the query, seconds cut as the platform does."""
    text = call.query.get(name, "").replace(" ", "+")
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ApiError(400, "INVALID_QUERY_FILTER_OPERATOR", f"{name}: {text!r}") from error
    if found.tzinfo is None:
        raise ApiError(400, "INVALID_QUERY_FILTER_OPERATOR", f"{name} needs a time zone")
    return found.astimezone(UTC).replace(second=0, microsecond=0)


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


RULES = [
    Rule("GET", "sobjects/{sobject}/updated", _updated),
    Rule("GET", "sobjects/{sobject}/deleted", _deleted),
    Rule("GET", "limits/recordCount", _record_counts),
]
