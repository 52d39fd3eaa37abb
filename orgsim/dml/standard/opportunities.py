"""Opportunities with lines: totals, price books, the primary contact. Source: Object Reference."""

from __future__ import annotations

import polars as pl

from orgsim.dml import nested
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import Staged
from orgsim.dml.standard.lookups import changed, join


def guard_lines(staged: Staged) -> None:
    """With lines, Amount is silently kept and the price book and the currency are fixed."""
    if staged.inserting or staged.save.full.sobject("OpportunityLineItem") is None:
        return
    lines = pl.col("@old.HasOpportunityLineItem").fill_null(value=False)
    if "@old.HasOpportunityLineItem" not in staged.frame.columns:
        return
    if "Amount" in staged.given:
        kept = pl.when(lines).then("@old.Amount").otherwise("Amount")
        staged.frame = staged.frame.with_columns(kept.alias("Amount"))
    for name in ("Pricebook2Id", "CurrencyIsoCode"):
        if name in staged.given:
            text = f"{name} cannot be changed while the opportunity has products"
            refusal = Refusal("FIELD_INTEGRITY_EXCEPTION", text, (name,))
            staged.refuse_where(lines & changed(staged, name), refusal)


def add_contact_role(staged: Staged) -> None:
    """ContactId on insert makes the primary contact role."""
    if not staged.inserting or not staged.has("ContactId"):
        return
    rows = staged.frame.filter(pl.col("ContactId").is_not_null()).select(
        pl.col("Id").alias("OpportunityId"), "ContactId", pl.lit(value=True).alias("IsPrimary")
    )
    nested.place(staged, "OpportunityContactRole", rows)


def settle_lines(staged: Staged) -> None:
    """The entry is of the opportunity's book; exactly one of UnitPrice and TotalPrice is given."""
    staged.ensure(["OpportunityId", "PricebookEntryId", "Product2Id", "UnitPrice", "TotalPrice",
                   "Quantity", "ListPrice", "ProductCode", "Name", "Discount"])  # fmt: skip
    staged.frame = join(
        staged, "OpportunityId", "Opportunity", ["Name", "Pricebook2Id"], prefix="@o."
    )
    if staged.inserting:
        _entry_of_product(staged)
    staged.frame = join(
        staged,
        "PricebookEntryId",
        "PricebookEntry",
        ["Pricebook2Id", "Product2Id", "UnitPrice", "Name", "ProductCode", "IsActive"],
        prefix="@e.",
    )
    _check_entries(staged)
    _settle_prices(staged)
    staged.frame = staged.frame.with_columns(
        pl.col("@e.Product2Id").alias("Product2Id"), pl.col("@e.UnitPrice").alias("ListPrice"),
        pl.col("@e.ProductCode").alias("ProductCode"),
        pl.concat_str("@o.Name", "@e.Name", separator=" ").alias("Name"),
    ).select(pl.exclude(r"^@[oe]\..*$"))  # fmt: skip


def _entry_of_product(staged: Staged) -> None:
    """A line named by its product takes the entry of the opportunity's book."""
    entries = staged.transaction.frame(
        'SELECT Product2Id, Pricebook2Id AS "@o.Pricebook2Id", min(Id) AS "@found" '
        'FROM "PricebookEntry" WHERE NOT IsDeleted AND IsActive GROUP BY 1, 2'
    )
    frame = staged.frame.join(entries, on=["Product2Id", "@o.Pricebook2Id"], how="left",
                              maintain_order="left")  # fmt: skip
    entry = pl.coalesce("PricebookEntryId", "@found")
    staged.frame = frame.with_columns(entry.alias("PricebookEntryId")).drop("@found")


def _check_entries(staged: Staged) -> None:
    missing = Refusal("REQUIRED_FIELD_MISSING", "Required fields are missing: [PricebookEntryId]",
                      ("PricebookEntryId",))  # fmt: skip
    staged.refuse_where(pl.col("PricebookEntryId").is_null(), missing)
    other = pl.col("@o.Pricebook2Id").is_not_null() & (
        pl.col("@e.Pricebook2Id") != pl.col("@o.Pricebook2Id")
    )
    text = (
        "pricebook entry is in a different pricebook than the one assigned to the opportunity, or "
        "opportunity has no pricebook assigned"
    )
    staged.refuse_where(other, Refusal("FIELD_INTEGRITY_EXCEPTION", text, ("PricebookEntryId",)))
    idle = pl.col("@e.IsActive").eq_missing(other=False)
    if staged.inserting:
        text = "pricebook entry is inactive"
        staged.refuse_where(idle, Refusal("FIELD_INTEGRITY_EXCEPTION", text, ("PricebookEntryId",)))


def _settle_prices(staged: Staged) -> None:
    unit, total = pl.col("UnitPrice"), pl.col("TotalPrice")
    named = (
        staged.given_expr("UnitPrice") & unit.is_not_null(),
        staged.given_expr("TotalPrice") & total.is_not_null(),
    )
    if staged.inserting:
        both = Refusal(
            "FIELD_INTEGRITY_EXCEPTION", "only one of unit price or total price may be specified"
        )
        neither = Refusal(
            "REQUIRED_FIELD_MISSING", "Required fields are missing: [UnitPrice]", ("UnitPrice",)
        )
        staged.refuse_where(named[0] & named[1], both)
        staged.refuse_where(~named[0] & ~named[1], neither)
    off = 1 - pl.col("Discount").fill_null(0.0) / 100
    from_total = (total / pl.col("Quantity") / off).round(2)
    price = pl.when(named[1] & ~named[0]).then(from_total).otherwise(unit)
    staged.frame = staged.frame.with_columns(price.alias("UnitPrice"))
    sum_of = (pl.col("UnitPrice") * pl.col("Quantity") * off).round(2)
    made = pl.when(named[1] & ~named[0]).then(total).otherwise(sum_of)
    staged.frame = staged.frame.with_columns(made.alias("TotalPrice"))


def total_up(staged: Staged) -> None:
    """Amount, quantity and book of the opportunities concerned."""
    concerned = staged.frame.select("OpportunityId").unique()
    recount(staged, concerned)


def recount(staged: Staged, concerned: pl.DataFrame) -> None:
    """Sums the lines of the given opportunities (column OpportunityId)."""
    with staged.transaction.lent(**{"@concerned": concerned}):
        staged.transaction.cursor.execute(
            """
            UPDATE "Opportunity" AS t SET Amount = l.total, HasOpportunityLineItem = true,
              TotalOpportunityQuantity = l.quantity,
              Pricebook2Id = coalesce(t.Pricebook2Id, l.book),
              ExpectedRevenue = round(l.total * t.Probability / 100, 2),
              SystemModstamp = $1, LastModifiedDate = $1, LastModifiedById = $2
            FROM (SELECT i.OpportunityId, sum(i.TotalPrice) AS total, sum(i.Quantity) AS quantity,
                    min(e.Pricebook2Id) AS book
                  FROM "OpportunityLineItem" i JOIN "PricebookEntry" e ON e.Id = i.PricebookEntryId
                  WHERE NOT i.IsDeleted GROUP BY 1) l
            WHERE l.OpportunityId = t.Id AND t.Id IN (SELECT OpportunityId FROM "@concerned")
            """,
            [staged.save.stamp, staged.save.user_id],
        )
    staged.transaction.touched.add("Opportunity")
