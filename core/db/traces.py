"""One record through the ledger and the failures: where it went, and what kept it back.

The ledger has one index, by mapping and source id. A search by target id looks through all links;
it is what people do by hand, a few times a day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

LINES_MAX = 100


@dataclass(frozen=True, slots=True)
class LinkLine:
    """One record of a source org and the record of a target org that it became."""

    #: '<source Organization Id>:<target Organization Id>'
    org_pair: str
    mapping_name: str
    #: object of the target; None where no run tells it any more
    target_object: str | None
    source_id: str
    target_id: str
    #: inserted, updated, matched or adopted
    origin: str
    #: the run that last wrote or matched it; None: the run was deleted
    run: str | None
    run_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class SetbackLine:
    """A run in which a record did not arrive as asked, and why."""

    run: str
    at: dt.datetime
    mapping_name: str
    target_object: str
    source_id: str | None
    target_id: str | None
    kind: str
    code: str
    message: str
    #: the run in which it arrived after all
    resolved_by: str | None


def links(session: Session, record_ids: Sequence[str]) -> list[LinkLine]:
    """Links from or to any of these records, over all pairs of orgs."""
    found = session.execute(
        text(
            "SELECT s.org_pair, s.mapping_name, (SELECT target_object FROM run_step WHERE run_id ="
            " l.run_id AND mapping_name = s.mapping_name LIMIT 1) AS target_object,"
            " l.source_id, l.target_id, l.origin,"
            " m.data_schedule_id AS run, m.started_at AS run_at"
            " FROM record_link l JOIN link_set s ON s.id = l.link_set_id"
            " LEFT JOIN data_migration m ON m.id = l.run_id"
            " WHERE l.source_id = ANY(:ids) OR l.target_id = ANY(:ids)"
            " ORDER BY m.started_at DESC NULLS LAST, s.mapping_name LIMIT :most"
        ),
        {"ids": list(record_ids), "most": LINES_MAX},
    ).mappings()
    return [LinkLine(**row) for row in found]


def setbacks(session: Session, record_ids: Sequence[str]) -> list[SetbackLine]:
    """Failures of any of these records, the newest first."""
    found = session.execute(
        text(
            "SELECT m.data_schedule_id AS run, f.created_at AS at, s.mapping_name, s.target_object,"
            " f.source_id,"
            " f.target_id, f.kind, f.code, f.message, r.data_schedule_id AS resolved_by"
            " FROM row_failure f JOIN run_step s ON s.id = f.step_id"
            " JOIN data_migration m ON m.id = f.run_id"
            " LEFT JOIN data_migration r ON r.id = f.resolved_by_run"
            " WHERE f.source_id = ANY(:ids) OR f.target_id = ANY(:ids)"
            " ORDER BY f.created_at DESC LIMIT :most"
        ),
        {"ids": list(record_ids), "most": LINES_MAX},
    ).mappings()
    return [SetbackLine(**row) for row in found]
