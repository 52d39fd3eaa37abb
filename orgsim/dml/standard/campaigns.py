"""Campaigns: default member statuses, members, and the counts on the campaign. Source: Object
Reference."""

from __future__ import annotations

import polars as pl

from orgsim.dml import nested
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.dml.standard.lookups import changed


def add_statuses(staged: Staged) -> None:
    """Every new campaign has the statuses Sent (default) and Responded."""
    if not staged.inserting:
        return
    for order, (label, default, responded) in enumerate(
        [("Sent", True, False), ("Responded", False, True)]
    ):
        rows = staged.frame.select(
            pl.col("Id").alias("CampaignId"), pl.lit(label).alias("Label"),
            pl.lit(order + 1).alias("SortOrder"), pl.lit(default).alias("IsDefault"),
            pl.lit(responded).alias("HasResponded"),
        )  # fmt: skip
        nested.place(staged, "CampaignMemberStatus", rows)


def settle_member(staged: Staged) -> None:
    """One member a person; a status the campaign does not know becomes its default one,
    silently."""
    staged.ensure(["CampaignId", "LeadId", "ContactId", "Status", "HasResponded", "Name",
                   "FirstRespondedDate"])  # fmt: skip
    nobody = pl.col("LeadId").is_null() & pl.col("ContactId").is_null()
    text = "Required fields are missing: [LeadId, ContactId]"
    staged.refuse_where(nobody, Refusal("REQUIRED_FIELD_MISSING", text, ("LeadId", "ContactId")))
    staged.frame = staged.frame.with_columns(
        pl.when(pl.col("ContactId").is_null()).then("LeadId").alias("LeadId")
    )
    if staged.inserting:
        _refuse_twice(staged)
    _settle_status(staged)


def _refuse_twice(staged: Staged) -> None:
    person = pl.coalesce("ContactId", "LeadId")
    offered = staged.frame.select(ROW, "CampaignId", person.alias("person"))
    sql = (
        'SELECT c."@row" FROM "@offered" c SEMI JOIN (SELECT CampaignId, '
        'coalesce(ContactId, LeadId) AS person FROM "CampaignMember" WHERE NOT IsDeleted) t '
        "ON t.CampaignId = c.CampaignId AND t.person = c.person"
    )
    with staged.transaction.lent(**{"@offered": offered}):
        there = [row[0] for row in staged.transaction.cursor.execute(sql).fetchall()]
    key = pl.struct("CampaignId", "person")
    again = offered.filter(~key.is_first_distinct())[ROW].to_list()
    refusal = Refusal("DUPLICATE_VALUE", "Already a campaign member.")
    staged.refusals.all(sorted({*there, *again}), refusal)


def _settle_status(staged: Staged) -> None:
    campaigns = pl.DataFrame({"k": staged.frame["CampaignId"].drop_nulls().unique()},
                             schema={"k": pl.String})  # fmt: skip
    with staged.transaction.lent(**{"@campaigns": campaigns}):
        known = staged.transaction.frame(
            "SELECT s.CampaignId AS k, s.Label AS label, s.IsDefault AS d, s.HasResponded AS r "
            'FROM "CampaignMemberStatus" s SEMI JOIN "@campaigns" c ON c.k = s.CampaignId '
            "WHERE NOT s.IsDeleted ORDER BY s.SortOrder"
        )
    usual = known.sort("d", descending=True, maintain_order=True).unique("k", keep="first")
    usual = usual.select("k", pl.col("label").alias("@usual"))
    frame = staged.frame.join(
        usual, left_on="CampaignId", right_on="k", how="left", maintain_order="left"
    )
    named = known.select("k", pl.col("label").alias("@label"), "r").unique(["k", "@label"])
    frame = frame.with_columns(pl.col("Status").alias("@label")).join(
        named, left_on=["CampaignId", "@label"], right_on=["k", "@label"], how="left",
        maintain_order="left",
    )  # fmt: skip
    status = (
        pl.when(pl.col("r").is_null()).then(pl.coalesce("@usual", "Status")).otherwise("Status")
    )
    frame = frame.with_columns(
        status.alias("Status"), pl.col("r").fill_null(value=False).alias("HasResponded")
    )
    today = pl.lit(staged.save.stamp.date())
    first = pl.when(pl.col("HasResponded")).then(pl.coalesce("FirstRespondedDate", today))
    staged.frame = frame.with_columns(first.alias("FirstRespondedDate")).drop(
        "@usual", "@label", "r"
    )


def count_members(staged: Staged) -> None:
    """Leads, contacts and responses on the campaigns concerned."""
    if not (staged.inserting or "Status" in staged.given):
        return
    campaigns = staged.frame.filter(changed(staged, "Status") | pl.lit(staged.inserting))
    with staged.transaction.lent(**{"@campaigns": campaigns.select("CampaignId").unique()}):
        staged.transaction.cursor.execute("""
          UPDATE "Campaign" AS t SET NumberOfLeads = m.leads, NumberOfContacts = m.contacts,
            NumberOfResponses = m.responses
          FROM (SELECT CampaignId, count(LeadId) AS leads, count(ContactId) AS contacts,
                  count(*) FILTER (HasResponded) AS responses
                FROM "CampaignMember" WHERE NOT IsDeleted GROUP BY 1) m
          WHERE m.CampaignId = t.Id AND t.Id IN (SELECT CampaignId FROM "@campaigns")
        """)
