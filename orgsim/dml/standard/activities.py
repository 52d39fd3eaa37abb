"""Tasks, events and mail: what an activity may point at, what an event needs. Source: Object
Reference."""

from __future__ import annotations

import polars as pl

from orgsim.dml import nested
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import Staged
from orgsim.dml.standard.lookups import changed


def check_who_and_what(staged: Staged) -> None:
    """A lead's activity is about the lead alone."""
    if not {"WhoId", "WhatId"} & staged.given:
        return
    staged.ensure(["WhoId", "WhatId"])
    lead = pl.col("WhoId").str.starts_with("00Q") & pl.col("WhatId").is_not_null()
    text = "Related To ID: Related To must be blank when Name is a lead"
    staged.refuse_where(lead & (changed(staged, "WhoId") | changed(staged, "WhatId")),
                        Refusal("FIELD_INTEGRITY_EXCEPTION", text, ("WhatId",)))  # fmt: skip


def check_event(staged: Staged) -> None:
    """An event has a start, and an end or a duration of at most 14 days."""
    names = [
        "StartDateTime",
        "ActivityDateTime",
        "ActivityDate",
        "EndDateTime",
        "DurationInMinutes",
    ]
    staged.ensure(names)
    start = pl.coalesce(
        "StartDateTime", "ActivityDateTime", pl.col("ActivityDate").cast(pl.Datetime("us"))
    )
    missing = Refusal("REQUIRED_FIELD_MISSING", "Required fields are missing: [ActivityDateTime]",
                      ("ActivityDateTime",))  # fmt: skip
    staged.refuse_where(start.is_null(), missing)
    length = Refusal("REQUIRED_FIELD_MISSING", "Required fields are missing: [DurationInMinutes]",
                     ("DurationInMinutes",))  # fmt: skip
    endless = pl.col("EndDateTime").is_null() & pl.col("DurationInMinutes").is_null()
    staged.refuse_where(start.is_not_null() & endless, length)
    minutes = pl.coalesce((pl.col("EndDateTime") - start).dt.total_minutes(), "DurationInMinutes")
    wrong = Refusal("FIELD_INTEGRITY_EXCEPTION", "Event duration cannot be negative",
                    ("EndDateTime",))  # fmt: skip
    long = Refusal("FIELD_INTEGRITY_EXCEPTION", "An event can't last longer than 14 days.",
                   ("DurationInMinutes",))  # fmt: skip
    staged.refuse_where(minutes < 0, wrong)
    staged.refuse_where(minutes > 14 * 24 * 60, long)


def log_mail(staged: Staged) -> None:
    """Enhanced Email: every new message has a completed Task of its own."""
    if not staged.inserting or "enhanced_email" not in staged.save.full.features:
        return
    staged.ensure(["Subject", "RelatedToId"])
    rows = staged.frame.select(
        pl.format("Email: {}", pl.col("Subject").fill_null("")).str.head(255).alias("Subject"),
        pl.col("RelatedToId").alias("WhatId"), pl.lit("Completed").alias("Status"),
        pl.lit("Normal").alias("Priority"), pl.lit(value=True).alias("IsClosed"),
        pl.lit(staged.save.stamp.date()).alias("ActivityDate"),
    )  # fmt: skip
    nested.place(staged, "Task", rows)
