"""Rows that did not arrive in a run: which of them a retry reads again, and which it brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import text
from sqlalchemy.orm import Session

#: kinds that a retry is for unless it names groups or rows itself
_NOT_ARRIVED = ("blocked", "failed", "not_processed")
#: nobody knows whether the org has the row: sent again only when it is asked for by name
UNKNOWN_FATE = "ANSWER_LOST"
#: the row arrived without a lookup, since the record that it names had not
_PARENT_MISSING = "LOOKUP_UNRESOLVED"


@dataclass(frozen=True, slots=True)
class RowChoice:
    """Which rows that did not arrive are meant; all of them when nothing is named."""

    #: groups of equal failures (`row_failure.fingerprint`)
    fingerprints: tuple[str, ...] = ()
    source_ids: tuple[str, ...] = ()
    #: names of mappings
    mappings: tuple[str, ...] = ()
    #: beside those, every row that arrived without a lookup whose record may arrive now
    blank_lookups: bool = False

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> RowChoice:
        """The choice as a run's options keep it."""
        return cls(
            fingerprints=tuple(document.get("fingerprints") or ()),
            source_ids=tuple(document.get("source_ids") or ()),
            mappings=tuple(document.get("mappings") or ()),
            blank_lookups=bool(document.get("blank_lookups")),
        )

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def rows_left(session: Session, run_id: UUID, choice: RowChoice) -> dict[str, list[str]]:
    """Source ids of a run's chosen rows that did not arrive, and still have not, by mapping."""
    found: dict[str, list[str]] = {}
    rows = session.execute(
        text(
            "SELECT DISTINCT s.mapping_name, f.source_id FROM row_failure f"
            " JOIN run_step s ON s.id = f.step_id"
            " WHERE f.run_id = :run AND f.source_id IS NOT NULL AND f.resolved_by_run IS NULL"
            " AND ((:named OR f.kind = ANY(:kinds) AND f.code <> :unknown)"
            " AND (:any_group OR f.fingerprint = ANY(:groups))"
            " AND (:any_row OR f.source_id = ANY(:rows))"
            " AND (:any_mapping OR s.mapping_name = ANY(:mappings))"
            " OR :blanks AND f.kind = 'left_blank' AND f.code = :parent_missing)"
            " ORDER BY 1, 2"
        ),
        {
            "run": run_id,
            "named": bool(choice.fingerprints or choice.source_ids),
            "kinds": list(_NOT_ARRIVED),
            "unknown": UNKNOWN_FATE,
            "any_group": not choice.fingerprints,
            "groups": list(choice.fingerprints),
            "any_row": not choice.source_ids,
            "rows": list(choice.source_ids),
            "any_mapping": not choice.mappings,
            "mappings": list(choice.mappings),
            "blanks": choice.blank_lookups,
            "parent_missing": _PARENT_MISSING,
        },
    )
    for mapping, source_id in rows:
        found.setdefault(mapping, []).append(source_id)
    return found


def rows_to_retry(session: Session, run_id: UUID) -> int:
    """Rows that did not arrive and have not since, as `rows_left` chooses them."""
    return int(
        session.scalar(
            text(
                "SELECT count(*) FROM (SELECT DISTINCT step_id, source_id FROM row_failure"
                " WHERE run_id = :id AND source_id IS NOT NULL AND resolved_by_run IS NULL"
                " AND kind = ANY(:kinds) AND code <> :unknown) one"
            ),
            {"id": run_id, "kinds": list(_NOT_ARRIVED), "unknown": UNKNOWN_FATE},
        )
        or 0
    )


def mark_resolved(session: Session, retry_id: UUID, mapping: str, read: pl.Series) -> int:
    """Notes on the failures of the runs before that these rows arrived now; how many failures.

    Args:
        read: source ids that the retry has read; those that failed in it again are left out, and a
            lookup that is blank again stays a failure.
    """
    marked = session.execute(
        text(
            "WITH RECURSIVE before AS ("
            " SELECT parent_run_id AS id FROM data_migration WHERE id = :retry"
            " UNION SELECT m.parent_run_id FROM data_migration m JOIN before b ON m.id = b.id"
            " WHERE m.mode = 'retry')"
            " UPDATE row_failure f SET resolved_by_run = :retry FROM run_step s"
            " WHERE s.id = f.step_id AND f.run_id IN (SELECT id FROM before)"
            " AND f.resolved_by_run IS NULL AND s.mapping_name = :mapping"
            " AND f.source_id = ANY(:read) AND NOT EXISTS ("
            " SELECT FROM row_failure g JOIN run_step t ON t.id = g.step_id"
            " WHERE g.run_id = :retry AND t.mapping_name = :mapping"
            " AND g.source_id = f.source_id AND (g.kind <> 'left_blank' OR f.kind = 'left_blank'))"
        ),
        {"retry": retry_id, "mapping": mapping, "read": read.to_list()},
    )
    return int(marked.rowcount)  # type: ignore[attr-defined]  # a CursorResult
