"""Duplicates: records of one object that are likely the same, inside an org or across two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import polars as pl
from pydantic import Field, model_validator

from core.domain.describe import SObject
from core.errors import UserError
from core.operations.matching.search import (
    ACCEPT_FROM,
    SHOW_FROM,
    Likeness,
    exact_groups,
    explain,
    likely_same,
)
from core.operations.protocol import Operation, OperationContext, OrgAccess, Parameters, Report

#: clusters kept in the log row; the most certain come first
KEPT_CLUSTERS = 2_000
#: members of one cluster that are kept
KEPT_MEMBERS = 50
#: fields compared when none are named
MOST_FIELDS = 8
#: fields that may be named
MOST_NAMED = 40


class DuplicateParameters(Parameters):
    """Where to look and by what."""

    org: str
    sobject: str = Field(alias="object")
    #: fields to compare; empty: names, e-mail, phone, dates and addresses, as far as it has them
    fields: tuple[str, ...] = ()
    #: exact: all fields agree · fuzzy: weights estimated here · trained: by Splink, an extra
    method: Literal["exact", "fuzzy", "trained"] = "fuzzy"
    #: a second org: only records of different orgs are compared
    across: str | None = None
    across_object: str | None = None
    where: str | None = None
    #: probability from which records are taken as the same
    accept_from: float = Field(default=ACCEPT_FROM, ge=0.5, le=1)

    model_config = Parameters.model_config | {"populate_by_name": True}

    @model_validator(mode="after")
    def _some_fields_when_exact(self) -> DuplicateParameters:
        if self.method == "exact" and not self.fields:
            raise ValueError("an exact search needs the fields that must agree")
        return self

    @model_validator(mode="after")
    def _two_orgs_when_across(self) -> DuplicateParameters:
        is_same = (self.across_object or self.sobject).lower() == self.sobject.lower()
        if self.across and self.across.lower() == self.org.lower() and is_same:
            raise ValueError("an org is searched by itself without naming it twice")
        return self


def carry(context: OperationContext, parameters: DuplicateParameters) -> Report:
    """Read the compared fields and group what is likely the same; nothing is written to an org.

    Cost: one extraction per org; about 1 kB of memory per record while it runs.
    """
    sides = [(context.org(parameters.org), parameters.sobject)]
    if parameters.across:
        other = parameters.across_object or parameters.sobject
        sides.append((context.org(parameters.across), other))
    fields = _fields(sides[0][0].client.describe(parameters.sobject), parameters.fields)
    frames = []
    for number, (org, sobject) in enumerate(sides):
        context.progress(f"Reading {sobject} from {org.name}.")
        frame = _read(context, (org, sobject), fields, where=parameters.where)
        frames.append(frame.with_columns(pl.lit(number, dtype=pl.UInt8).alias("side")))
    frame = pl.concat(frames)
    context.progress(f"Comparing {frame.height:,} records.")
    if parameters.method == "exact":
        groups = exact_groups(frame, fields)
        if len(sides) > 1:
            groups = _mixed(groups, frame)
        found = Likeness(_no_pairs(), groups, {}, 0)
    else:
        side = frame["side"] if len(sides) > 1 else None
        search = likely_same
        if parameters.method == "trained":
            from core.operations.matching.trained import trained as search
        found = search(
            frame, fields, side=side, accept_from=parameters.accept_from, show_from=SHOW_FROM
        )
    result = {
        "object": parameters.sobject,
        "orgs": [org.name for org, _ in sides],
        "fields": fields,
        "method": parameters.method,
        "records": frame.height,
        "compared_pairs": found.compared,
        "searched_at": context.clock().isoformat(),
        "weights": {name: list(bits) for name, bits in found.weights.items()},
        "bands": _bands(found.pairs),
        **_clusters(frame, found, fields),
    }
    return Report(result, _sentence(result))


def _fields(described: SObject, wanted: Sequence[str]) -> list[str]:
    wanted = list({name.lower(): name for name in wanted}.values())
    if len(wanted) > MOST_NAMED or "id" in map(str.lower, wanted):
        raise UserError(
            f"At most {MOST_NAMED} fields are compared, and not Id: it differs in every record.",
            next_step="Name the fields by which one would recognise a record.",
        )
    unknown = [name for name in wanted if "." not in name and name not in described.fields]
    if unknown:
        raise UserError(
            f"{described.name} has no field {unknown[0]!r}.",
            next_step="Refresh the org's metadata, or name another field.",
        )
    if wanted:
        return [described.fields[name].name if "." not in name else name for name in wanted]
    found = [
        field.name
        for field in described.fields.values()
        if field.name in _TELLING or field.type in ("email", "phone")
    ]
    found.sort(key=lambda name: _TELLING.index(name) if name in _TELLING else len(_TELLING))
    if described.fields.get("LastName") and "Name" in found:
        found.remove("Name")  # the parts say more than their sum
    if not found:
        found = [field.name for field in described.fields.values() if field.name_field]
    if not found:
        raise UserError(
            f"{described.name} has no field that tells records apart.",
            next_step="Name the fields to compare.",
        )
    return found[:MOST_FIELDS]


#: fields by which people and firms are recognised, the most telling first
_TELLING = (
    "FirstName",
    "LastName",
    "Name",
    "Email",
    "Birthdate",
    "Company",
    "Phone",
    "Website",
    "MailingStreet",
    "MailingPostalCode",
    "MailingCity",
    "BillingStreet",
    "BillingPostalCode",
    "BillingCity",
    "Street",
    "PostalCode",
    "City",
)


def _read(
    context: OperationContext,
    side: tuple[OrgAccess, str],
    fields: Sequence[str],
    *,
    where: str | None,
) -> pl.DataFrame:
    org, sobject = side
    columns = ["Id", *(name for name in fields if name != "Id")]
    condition = f" WHERE {where}" if where else ""
    soql = f"SELECT {', '.join(columns)} FROM {sobject}{condition}"  # noqa: S608 described names
    frames, rows = [], 0
    for page in org.client.query_frames(soql):
        frames.append(page)
        rows += page.height
        context.progress(f"Reading {sobject} from {org.name}: {rows:,} rows.")
    if not frames:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    return pl.concat(frames)


def _clusters(frame: pl.DataFrame, found: Likeness, fields: Sequence[str]) -> dict[str, Any]:
    certain = found.pairs.filter(pl.col("probability") >= ACCEPT_FROM)
    certainty = (
        certain.select(pl.col("left").alias("row"), "probability")
        .join(found.clusters, on="row")
        .group_by("cluster")
        .agg(pl.col("probability").min())
    )
    ordered = (
        found.clusters.group_by("cluster", maintain_order=True)
        .agg("row")
        .join(certainty, on="cluster", how="left", maintain_order="left")
        .sort("probability", descending=True, nulls_last=False, maintain_order=True)
    )
    kept = [
        {
            "probability": probability,
            "members": [_member(frame, row, fields) for row in rows[:KEPT_MEMBERS]],
            "size": len(rows),
            "why": _why(frame, rows, found),
        }
        for _, rows, probability in ordered.head(KEPT_CLUSTERS).iter_rows()
    ]
    return {
        "clusters": kept,
        "cluster_count": ordered.height,
        "duplicate_records": found.clusters.height - ordered.height,
    }


def _member(frame: pl.DataFrame, row: int, fields: Sequence[str]) -> dict[str, Any]:
    values = frame.row(row, named=True)
    return {
        "id": values["Id"],
        "side": values["side"],
        "values": {name: values[name] for name in fields},
    }


def _why(frame: pl.DataFrame, rows: Sequence[int], found: Likeness) -> dict[str, Any]:
    """Why the first two are taken as the same, by field: word and bits."""
    if not found.weights:
        return {}
    told = explain(frame, (rows[0], rows[1]), found.weights)
    return {name: {"likeness": word, "bits": round(bits, 2)} for name, (word, bits) in told.items()}


def _bands(pairs: pl.DataFrame) -> list[dict[str, Any]]:
    """Pairs by score band, for the preview of a threshold."""
    edges = [(0.5, 0.7), (0.7, 0.9), (0.9, 0.97), (0.97, 1.01)]
    return [
        {
            "from": low,
            "to": min(high, 1.0),
            "pairs": pairs.filter(
                (pl.col("probability") >= low) & (pl.col("probability") < high)
            ).height,
        }
        for low, high in edges
    ]


def _mixed(groups: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Groups that have members of both sides."""
    sides = groups.with_columns(frame["side"].gather(groups["row"]).alias("side"))
    both = sides.group_by("cluster").agg(pl.col("side").n_unique()).filter(pl.col("side") > 1)
    return groups.join(both, on="cluster", how="semi", maintain_order="left")


def _no_pairs() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "left": pl.UInt32,
            "right": pl.UInt32,
            "probability": pl.Float64,
            "bits": pl.Float64,
        }
    )


def _sentence(result: dict[str, Any]) -> str:
    clusters, extra = result["cluster_count"], result["duplicate_records"]
    return f"{clusters:,} groups of likely duplicates, {extra:,} of {result['records']:,} records."


OPERATION = Operation(
    kind="duplicates",
    title="Duplicates",
    purpose="Find records that are likely the same, and say why.",
    parameters=DuplicateParameters,
    carry=carry,
    log_table="duplicate_records_log",
)
