"""Fields that Salesforce works out itself on save: names, closed flags, totals.

Each entry is plain polars over the candidate rows. Source: Object Reference; values of a fresh org.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from orgsim.dml.staging import Staged
from orgsim.schema.model import SObject

#: Stage → (probability, forecast category, closed, won) of a fresh org.
STAGES = {
    "Prospecting": (10.0, "Pipeline", False, False),
    "Qualification": (10.0, "Pipeline", False, False),
    "Needs Analysis": (20.0, "Pipeline", False, False),
    "Value Proposition": (50.0, "Pipeline", False, False),
    "Id. Decision Makers": (60.0, "Pipeline", False, False),
    "Perception Analysis": (70.0, "Pipeline", False, False),
    "Proposal/Price Quote": (75.0, "Pipeline", False, False),
    "Negotiation/Review": (90.0, "Pipeline", False, False),
    "Closed Won": (100.0, "Closed", True, True),
    "Closed Lost": (0.0, "Omitted", True, False),
}
_CATEGORY_CODES = {"Best Case": "BestCase", "Commit": "Forecast"}


def derives(sobject: SObject) -> bool:
    """Whether saves of the object fill fields from others."""
    return sobject.name in _DERIVED


def derive(staged: Staged) -> None:
    """Fills the object's derived fields; objects without any pass untouched."""
    work = _DERIVED.get(staged.sobject.name)
    if work is not None:
        work(staged)


def _person_name(staged: Staged) -> None:
    if staged.sobject.field("LastName") is None:
        return
    staged.ensure(["FirstName", "LastName", "Name"])
    parts = [pl.col("FirstName"), pl.col("LastName")]
    full = pl.concat_str(parts, separator=" ", ignore_nulls=True).str.strip_chars()
    if staged.sobject.name == "Account":
        staged.ensure(["IsPersonAccount"])
        full = pl.when("IsPersonAccount").then(full).otherwise(pl.col("Name"))
    staged.frame = staged.frame.with_columns(full.alias("Name"))


def _opportunity(staged: Staged) -> None:
    staged.ensure(["StageName", "Probability", "ForecastCategoryName", "ForecastCategory", "Amount",
                   "ExpectedRevenue", "CloseDate", "FiscalQuarter", "FiscalYear", "Fiscal",
                   "IsClosed", "IsWon"])  # fmt: skip
    moved = pl.lit(value=True)
    if not staged.inserting:
        moved = pl.col("StageName").ne_missing(pl.col("@old.StageName"))
    stage = pl.col("StageName")
    probability = _by_stage(stage, 0, 0.0, pl.Float64)
    category = _by_stage(stage, 1, "Pipeline", pl.String)
    kept = staged.given_expr("Probability") & pl.col("Probability").is_not_null()
    named = staged.given_expr("ForecastCategoryName") & pl.col("ForecastCategoryName").is_not_null()
    staged.frame = staged.frame.with_columns(
        pl.when(moved & ~kept).then(probability).otherwise("Probability").alias("Probability"),
        pl.when(moved & ~named).then(category).otherwise("ForecastCategoryName")
        .alias("ForecastCategoryName"),
        _by_stage(stage, 2, False, pl.Boolean).alias("IsClosed"),
        _by_stage(stage, 3, False, pl.Boolean).alias("IsWon"),
    )  # fmt: skip
    year, month = pl.col("CloseDate").dt.year(), pl.col("CloseDate").dt.month()
    quarter = (month - 1) // 3 + 1
    staged.frame = staged.frame.with_columns(
        pl.col("ForecastCategoryName").replace(_CATEGORY_CODES).alias("ForecastCategory"),
        (pl.col("Amount") * pl.col("Probability") / 100).round(2).alias("ExpectedRevenue"),
        quarter.cast(pl.Int64).alias("FiscalQuarter"), year.cast(pl.Int64).alias("FiscalYear"),
        pl.format("{} {}", year, quarter).alias("Fiscal"),
    )  # fmt: skip


def _by_stage(
    stage: pl.Expr, index: int, other: float | str | bool, kind: type[pl.DataType]
) -> pl.Expr:
    table = {name: facts[index] for name, facts in STAGES.items()}
    return stage.replace_strict(table, default=other, return_dtype=kind)


def _case(staged: Staged) -> None:
    staged.ensure(["Status", "IsClosed", "ClosedDate", "ContactId", "AccountId"])
    closed = (pl.col("Status") == "Closed").fill_null(value=False)
    now = pl.lit(staged.save.stamp, dtype=pl.Datetime("us"))
    staged.frame = staged.frame.with_columns(
        closed.alias("IsClosed"),
        pl.when(closed).then(pl.coalesce(pl.col("ClosedDate"), now)).alias("ClosedDate"),
    )


def _task(staged: Staged) -> None:
    staged.ensure(["Status", "IsClosed", "Priority", "IsHighPriority"])
    flags = [(pl.col("Status") == "Completed").fill_null(value=False).alias("IsClosed")]
    if staged.sobject.field("IsHighPriority"):
        flags.append((pl.col("Priority") == "High").fill_null(value=False).alias("IsHighPriority"))
    staged.frame = staged.frame.with_columns(flags)


def _event(staged: Staged) -> None:
    staged.ensure(["StartDateTime", "EndDateTime", "ActivityDateTime", "ActivityDate",
                   "DurationInMinutes"])  # fmt: skip
    start = pl.coalesce(
        "StartDateTime", "ActivityDateTime", pl.col("ActivityDate").cast(pl.Datetime("us"))
    )
    minutes = pl.col("DurationInMinutes")
    staged.frame = staged.frame.with_columns(start.alias("StartDateTime"))
    length = (pl.col("EndDateTime") - pl.col("StartDateTime")).dt.total_minutes()
    end = pl.col("StartDateTime") + pl.duration(minutes=minutes)
    if staged.inserting:
        staged.frame = staged.frame.with_columns(
            pl.coalesce("EndDateTime", end).alias("EndDateTime"),
            pl.coalesce(minutes, length).alias("DurationInMinutes"),
        )
    staged.frame = staged.frame.with_columns(
        pl.col("StartDateTime").alias("ActivityDateTime"),
        pl.col("StartDateTime").dt.date().alias("ActivityDate"),
    )


def _status_code(staged: Staged) -> None:
    staged.ensure(["Status", "StatusCode"])
    codes = {"In Approval Process": "InApproval"}
    staged.frame = staged.frame.with_columns(pl.col("Status").replace(codes).alias("StatusCode"))


def _contract(staged: Staged) -> None:
    _status_code(staged)
    staged.ensure(["StartDate", "ContractTerm", "EndDate"])
    months = pl.format("{}mo", pl.col("ContractTerm"))
    end = pl.col("StartDate").dt.offset_by(months) - pl.duration(days=1)
    staged.frame = staged.frame.with_columns(end.cast(pl.Date).alias("EndDate"))


def _entitlement(staged: Staged) -> None:
    """Today against the two dates (Help, "Entitlement Fields"); both days belong to the term, and
    a date that is missing bounds nothing (assumed). As of the save: no night job moves it on."""
    staged.ensure(["StartDate", "EndDate", "Status"])
    today = pl.lit(staged.save.stamp.date(), dtype=pl.Date)
    begins, ends = pl.col("StartDate") > today, pl.col("EndDate") < today
    status = pl.when(begins).then(pl.lit("Inactive")).when(ends).then(pl.lit("Expired"))
    staged.frame = staged.frame.with_columns(status.otherwise(pl.lit("Active")).alias("Status"))


_DERIVED: dict[str, Callable[[Staged], None]] = {
    "Account": _person_name, "Contact": _person_name, "Lead": _person_name, "User": _person_name,
    "Opportunity": _opportunity, "Case": _case, "Task": _task, "Event": _event,
    "Contract": _contract, "Entitlement": _entitlement, "Order": _status_code,
}  # fmt: skip
