"""Reads and writes of what people decided about likely duplicates.

A cluster is known by its key: a hash of its sorted record ids, so that a decision is found again by
any later search that groups the same records.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.db.models import DuplicateDecision


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The members of a cluster that a second org holds."""

    org_id: UUID
    sobject: str
    record_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision."""

    cluster_key: str
    #: keep (one survives) | not_duplicates | skip
    decision: str
    survivor_id: str | None
    record_ids: tuple[str, ...]
    #: field → id of the record whose value is to be kept
    values: Mapping[str, str]
    decided_by: str
    decided_at: dt.datetime
    #: where some of the records are another org's; None: all are of the one
    elsewhere: Elsewhere | None = None


def cluster_key(record_ids: Iterable[str]) -> str:
    """The key of a cluster; the order of its ids does not matter."""
    return hashlib.sha256("\n".join(sorted(record_ids)).encode()).hexdigest()


def keep_decision(session: Session, row: DecisionRow, *, org_id: UUID, sobject: str) -> None:
    """Keep a decision in place of an earlier one on the same cluster."""
    values: dict[str, Any] = {
        "registered_org_id": org_id,
        "sobject": sobject,
        "cluster_key": row.cluster_key,
        "decision": row.decision,
        "survivor_id": row.survivor_id,
        "details": _details(row),
        "decided_by": row.decided_by,
    }
    changed = {name: values[name] for name in ("decision", "survivor_id", "details", "decided_by")}
    session.execute(
        insert(DuplicateDecision)
        .values(**values)
        .on_conflict_do_update(
            index_elements=["registered_org_id", "sobject", "cluster_key"],
            set_={**changed, "updated_at": row.decided_at},
        )
    )


def forget_decision(session: Session, *, org_id: UUID, sobject: str, key: str) -> bool:
    """Open a cluster again; False when nothing was decided on it."""
    gone = session.execute(
        delete(DuplicateDecision)
        .where(
            DuplicateDecision.registered_org_id == org_id,
            DuplicateDecision.sobject == sobject,
            DuplicateDecision.cluster_key == key,
        )
        .returning(DuplicateDecision.id)
    )
    return gone.first() is not None


def decisions(session: Session, *, org_id: UUID, sobject: str) -> dict[str, DecisionRow]:
    """Every decision on an object of an org, by cluster key."""
    found = session.scalars(
        select(DuplicateDecision).where(
            DuplicateDecision.registered_org_id == org_id, DuplicateDecision.sobject == sobject
        )
    )
    return {row.cluster_key: _row(row) for row in found}


def survivors(session: Session, *, org_id: UUID, sobject: str) -> dict[str, str]:
    """Losing record → the record that survives in its place, for runs that redirect children."""
    return {
        record_id: row.survivor_id
        for row in decisions(session, org_id=org_id, sobject=sobject).values()
        if row.decision == "keep" and row.survivor_id is not None and row.elsewhere is None
        for record_id in row.record_ids
        if record_id != row.survivor_id
    }


def _details(row: DecisionRow) -> dict[str, Any]:
    plain: dict[str, Any] = {"record_ids": list(row.record_ids), "values": dict(row.values)}
    if row.elsewhere is not None:
        plain["elsewhere"] = {
            "org_id": str(row.elsewhere.org_id),
            "sobject": row.elsewhere.sobject,
            "record_ids": list(row.elsewhere.record_ids),
        }
    return plain


def _row(row: DuplicateDecision) -> DecisionRow:
    details = row.details
    there = details.get("elsewhere")
    return DecisionRow(
        row.cluster_key,
        row.decision,
        row.survivor_id,
        tuple(details.get("record_ids", ())),
        dict(details.get("values", {})),
        row.decided_by,
        row.updated_at,
        there and Elsewhere(UUID(there["org_id"]), there["sobject"], tuple(there["record_ids"])),
    )
