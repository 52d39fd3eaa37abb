"""Which source rows are not in the target, and why: never sent, filtered, failed, deleted since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import polars as pl

from core.db import record_links
from core.domain.plan import ObjectMapping, Plan, objects_named
from core.errors import RefusedError
from core.operations.counting import items_of
from core.operations.protocol import OperationContext, OrgAccess

#: ids listed per reason in the result; the CSV has all
SAMPLE_IDS = 200


class Reason(StrEnum):
    """Why a row is not in the target."""

    FILTERED = "filtered"  # the plan's filter leaves it out
    DELETED_SINCE = "deleted_since"  # it was there: its target record is gone
    FAILED = "failed"  # the org refused it
    BLOCKED = "blocked"  # we did not send it: a lookup, a key, a rule
    NOT_PROCESSED = "not_processed"  # sent, but the org never came to it
    NEVER_SENT = "never_sent"  # newer than the last run, or no run yet


def explain_missing(
    context: OperationContext, plan: Plan, name: str, *, orgs: tuple[OrgAccess, OrgAccess]
) -> dict[str, Any]:
    """Rows by reason: ``{"reasons": {reason: count}, "samples": {reason: [ids]}, "said": …}``.

    ``said`` is what the last run was told of a sampled row: ``{id: message}``; ``names`` is what
    the source calls it.

    Cost: the ids of both objects are read; memory grows with their number (about 100 bytes a row);
    one call for the names.
    """
    frame = missing_rows(context, plan, name, orgs=orgs)
    counts = dict(frame.group_by("reason").len().sort("reason").rows())
    samples = {
        reason: frame.filter(pl.col("reason") == reason)["source_id"].head(SAMPLE_IDS).to_list()
        for reason in counts
    }
    listed = [record_id for ids in samples.values() for record_id in ids]
    told = frame.filter(pl.col("source_id").is_in(listed) & pl.col("message").is_not_null())
    return {
        "reasons": counts,
        "samples": samples,
        "said": dict(told.select("source_id", "message").rows()),
        "names": _names(orgs[0], objects_named(plan, [name])[0].source, listed),
    }


def _names(source: OrgAccess, sobject: str, ids: Sequence[str]) -> dict[str, str]:
    """What the source calls the rows; none where the object has no name, or gives no row by id."""
    if not ids:
        return {}
    try:
        fields = source.client.describe(sobject).fields.values()
        named = next((one.name for one in fields if one.name_field), None)
        found = source.client.retrieve(sobject, ids, ["Id", named]) if named else {}
    except RefusedError:  # the ids are worth more than their names
        return {}
    return {each: str(row[named]) for each, row in found.items() if named and row.get(named)}


def missing_rows(
    context: OperationContext, plan: Plan, name: str, *, orgs: tuple[OrgAccess, OrgAccess]
) -> pl.DataFrame:
    """``source_id``, ``reason``, ``code``, ``message`` of every row that is not in the target.

    Raises:
        UserError: the plan has no such mapping.
    """
    (mapping,) = objects_named(plan, [name])
    source, target = orgs
    everything, wanted = _source_ids(source, mapping, plan)
    present = _ids(target, f"SELECT Id FROM {mapping.target}")  # noqa: S608 a plan's name
    pair = f"{source.organization_id}:{target.organization_id}"
    with context.session() as session:
        linked = record_links.links_of(session, org_pair=pair, mapping_name=mapping.name)
        failures = record_links.last_failures(session, org_pair=pair, mapping_name=mapping.name)
    return reasons(
        everything=everything, wanted=wanted, present=present, linked=linked, failures=failures
    )


def reasons(
    *,
    everything: pl.DataFrame,
    wanted: pl.DataFrame,
    present: pl.DataFrame,
    linked: pl.DataFrame,
    failures: pl.DataFrame,
) -> pl.DataFrame:
    """Why each row of ``everything`` has no living target record; pure.

    Args:
        everything, wanted, present: one column ``id``: all source rows, those within the plan's
            filter, all target rows.
        linked: ``source_id``, ``target_id`` of the ledger.
        failures: ``source_id``, ``kind``, ``code``, ``message``, the last of each row.
    """
    alive = linked.join(present, left_on="target_id", right_on="id", how="semi")
    missing = everything.rename({"id": "source_id"}).join(
        alive.select("source_id"), on="source_id", how="anti"
    )
    within = wanted.rename({"id": "source_id"}).with_columns(pl.lit(True).alias("within"))
    once = linked.select("source_id").with_columns(pl.lit(True).alias("once"))
    told = (
        missing.join(within, on="source_id", how="left")
        .join(once, on="source_id", how="left")
        .join(failures, on="source_id", how="left")
    )
    reason = (
        pl.when(pl.col("once"))
        .then(pl.lit(str(Reason.DELETED_SINCE)))
        .when(pl.col("within").is_null())
        .then(pl.lit(str(Reason.FILTERED)))
        .when(pl.col("kind").is_in([str(kind) for kind in _FAILURES]))
        .then(pl.col("kind"))
        .otherwise(pl.lit(str(Reason.NEVER_SENT)))
    )
    return told.select("source_id", reason.alias("reason"), "code", "message").sort("source_id")


_FAILURES = (Reason.FAILED, Reason.BLOCKED, Reason.NOT_PROCESSED)


def reason_words() -> Mapping[str, str]:
    """Reason → what to do about it."""
    return {
        Reason.FILTERED: "Left out by the plan's filter.",
        Reason.DELETED_SINCE: "Was migrated; its record in the target has been deleted since.",
        Reason.FAILED: "The target refused it; see the run's failures.",
        Reason.BLOCKED: "Not sent, since a lookup, a key or a rule did not allow it.",
        Reason.NOT_PROCESSED: "Sent, but the target did not come to it; run again.",
        Reason.NEVER_SENT: "No run has sent it yet.",
    }


def _source_ids(
    source: OrgAccess, mapping: ObjectMapping, plan: Plan
) -> tuple[pl.DataFrame, pl.DataFrame]:
    every = f"SELECT Id FROM {mapping.source}"  # noqa: S608 a plan's name
    everything = _ids(source, every)
    filtered = next(item for item in items_of(plan, filtered=True) if item.name == mapping.name)
    if not filtered.source_where:
        return everything, everything
    soql = f"{every} WHERE {filtered.source_where}"
    return everything, _ids(source, soql, all_rows=filtered.all_rows)


def _ids(org: OrgAccess, soql: str, *, all_rows: bool = False) -> pl.DataFrame:
    frames = list(org.client.query_frames(soql, all_rows=all_rows))
    if not frames:
        return pl.DataFrame(schema={"id": pl.String})
    return pl.concat(frames).select(pl.col("Id").alias("id"))
