"""Reads of the ledger and of row failures for analyses: who is linked, who failed last and why."""

from __future__ import annotations

from typing import Any

import polars as pl
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from core.db.models import DataMigration, LinkSet, RecordLink, RowFailure, RunStep


def linked_by_mapping(session: Session, *, org_pair: str) -> dict[str, int]:
    """Links per mapping name of an org pair (``source id:target id``)."""
    found = session.execute(
        select(LinkSet.mapping_name, func.count(RecordLink.source_id))
        .join(RecordLink, RecordLink.link_set_id == LinkSet.id)
        .where(LinkSet.org_pair == org_pair)
        .group_by(LinkSet.mapping_name)
    )
    return {name: int(number) for name, number in found}


def links_of(session: Session, *, org_pair: str, mapping_name: str) -> pl.DataFrame:
    """``source_id``, ``target_id``, ``origin`` of a mapping's links."""
    wanted = (
        select(RecordLink.source_id, RecordLink.target_id, RecordLink.origin)
        .join(LinkSet, RecordLink.link_set_id == LinkSet.id)
        .where(LinkSet.org_pair == org_pair, LinkSet.mapping_name == mapping_name)
    )
    return _frame(session, wanted, ("source_id", "target_id", "origin"))


def last_failures(session: Session, *, org_pair: str, mapping_name: str) -> pl.DataFrame:
    """``source_id``, ``kind``, ``code``, ``message``: each row's last failure in that mapping."""
    wanted = (
        select(RowFailure.source_id, RowFailure.kind, RowFailure.code, RowFailure.message)
        .ext(distinct_on(RowFailure.source_id))
        .join(RunStep, RowFailure.step_id == RunStep.id)
        .join(DataMigration, RowFailure.run_id == DataMigration.id)
        .where(
            RunStep.mapping_name == mapping_name,
            RowFailure.source_id.is_not(None),
            DataMigration.target_organization_id == org_pair.partition(":")[2],
        )
        .order_by(RowFailure.source_id, RowFailure.created_at.desc())
    )
    return _frame(session, wanted, ("source_id", "kind", "code", "message"))


def _frame(
    session: Session, wanted: Select[*tuple[Any, ...]], columns: tuple[str, ...]
) -> pl.DataFrame:
    rows = [tuple(row) for row in session.execute(wanted)]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
