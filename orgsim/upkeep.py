"""What an org throws away in time, and how a practice org is emptied for the next lesson.

sweep(org)    finished jobs after 7 days, the recycle bin after 15 (by the org's clock)
empty(org)    all records but users, profiles and other setup; jobs, faults and a moved clock too
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from orgsim.store import Transaction
from orgsim.store.columns import quoted

if TYPE_CHECKING:
    from orgsim.org import Org

#: Terminal jobs and their results. Source: Bulk API 2.0, "Limits" (jobs are kept seven days).
JOB_DAYS = 7
#: Source: "Manage Your Recycle Bin" (15 days).
BIN_DAYS = 15
#: What an org is born with; records of these stay.
SETUP = frozenset(
    {"Organization", "User", "UserRole", "Profile", "Group", "GroupMember", "QueueSobject",
     "RecordType", "PermissionSet", "PermissionSetAssignment", "FieldPermissions",
     "ObjectPermissions", "CurrencyType", "Pricebook2"}
)  # fmt: skip


def sweep(org: Org) -> None:
    """Forgets jobs and deleted records whose time is over."""
    now = org.clock.now()
    ended = (now - timedelta(days=JOB_DAYS)).isoformat()
    for is_query in (False, True):
        for job in org.bulk.ledger.jobs(is_query=is_query):
            if job.is_terminal and job.modified_at < ended:
                org.bulk.ledger.delete(job.id)
                org.bulk.worker.files(job.id).delete()
    _purge(org, before=now - timedelta(days=BIN_DAYS))


def _purge(org: Org, *, before: datetime) -> None:
    limit = before.astimezone(UTC).replace(tzinfo=None)
    with org.store.write() as transaction:
        cursor = transaction.cursor
        sql = 'SELECT DISTINCT sobject FROM "@deleted" WHERE moment < ? AND NOT gone'
        for (name,) in cursor.execute(sql, [limit]).fetchall():
            transaction.touched.add(name)
            cursor.execute(
                f"DELETE FROM {quoted(name)} WHERE IsDeleted AND Id IN "
                '(SELECT id FROM "@deleted" WHERE sobject = ? AND moment < ?)',
                [name, limit],
            )
        cursor.execute('UPDATE "@deleted" SET gone = true WHERE moment < ?', [limit])


def empty(org: Org, objects: Iterable[str] | None = None) -> None:
    """Makes the org as empty as new; ids go on where they were, so none comes twice."""
    org.faults.clear()
    org.clock.reset()
    names = [name for name in org.schema.sobjects if name not in SETUP]
    with org.store.write() as transaction:
        for name in names if objects is None else objects:
            transaction.cursor.execute(f"DELETE FROM {quoted(name)}")
            transaction.touched.add(name)
        _forget(transaction)
    shutil.rmtree(org.home / "bulk", ignore_errors=True)


def _forget(transaction: Transaction) -> None:
    for table in ("@deleted", "@cleared", "@blob", "@bulk_batch", "@bulk_job"):
        transaction.cursor.execute(f"DELETE FROM {quoted(table)}")
