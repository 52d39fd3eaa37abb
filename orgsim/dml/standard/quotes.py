"""Quotes: the account of the opportunity, lines of the quote's price book, sums. Source: Object
Reference."""

from __future__ import annotations

import polars as pl

from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import Staged
from orgsim.dml.standard.lookups import join

#: Sums of a quote's lines; ``@parents`` holds the quotes' ids in the column Id.
SUMS = """
  UPDATE "Quote" AS t SET LineItemCount = l.lines, Subtotal = l.subtotal, TotalPrice = l.total,
    Discount = CASE WHEN l.subtotal = 0 THEN 0 ELSE round(100 - 100 * l.total / l.subtotal, 2) END,
    GrandTotal = l.total + coalesce(t.Tax, 0) + coalesce(t.ShippingHandling, 0)
  FROM (SELECT p.Id, count(i.Id) AS lines, coalesce(sum(i.Subtotal), 0) AS subtotal,
          coalesce(sum(i.TotalPrice), 0) AS total
        FROM "@parents" p LEFT JOIN "QuoteLineItem" i
        ON i.QuoteId = p.Id AND NOT i.IsDeleted GROUP BY 1) l
  WHERE l.Id = t.Id"""


def settle(staged: Staged) -> None:
    """The account is the opportunity's; the grand total follows tax and shipping."""
    staged.ensure(["OpportunityId", "AccountId", "TotalPrice", "Tax", "ShippingHandling",
                   "GrandTotal"])  # fmt: skip
    staged.frame = join(staged, "OpportunityId", "Opportunity", ["AccountId"], prefix="@o.")
    parts = [pl.col(name).fill_null(0) for name in ("TotalPrice", "Tax", "ShippingHandling")]
    staged.frame = staged.frame.with_columns(
        pl.col("@o.AccountId").alias("AccountId"), pl.sum_horizontal(parts).alias("GrandTotal")
    ).select(pl.exclude(r"^@o\..*$"))


def settle_lines(staged: Staged) -> None:
    """A line's entry is of the quote's book; product, list price and totals follow."""
    staged.ensure(["QuoteId", "PricebookEntryId", "Product2Id", "UnitPrice", "ListPrice",
                   "Quantity", "Discount", "Subtotal", "TotalPrice"])  # fmt: skip
    staged.frame = join(staged, "QuoteId", "Quote", ["Pricebook2Id"], prefix="@q.")
    staged.frame = join(staged, "PricebookEntryId", "PricebookEntry",
                        ["Product2Id", "UnitPrice", "Pricebook2Id"], prefix="@e.")  # fmt: skip
    if staged.inserting:
        other = pl.col("@q.Pricebook2Id").ne_missing(pl.col("@e.Pricebook2Id"))
        text = "pricebook entry is in a different pricebook than the one assigned to the quote"
        refusal = Refusal("FIELD_INTEGRITY_EXCEPTION", text, ("PricebookEntryId",))
        staged.refuse_where(other, refusal)
    off = 1 - pl.col("Discount").fill_null(0.0) / 100
    whole = pl.col("UnitPrice") * pl.col("Quantity")
    staged.frame = staged.frame.with_columns(
        pl.col("@e.Product2Id").alias("Product2Id"), pl.col("@e.UnitPrice").alias("ListPrice"),
        whole.round(2).alias("Subtotal"), (whole * off).round(2).alias("TotalPrice"),
    ).select(pl.exclude(r"^@[qe]\..*$"))  # fmt: skip


def total_up(staged: Staged) -> None:
    """Count and sums of the quotes concerned."""
    parents = staged.frame.select(Id="QuoteId").unique()
    with staged.transaction.lent(**{"@parents": parents}):
        staged.transaction.cursor.execute(SUMS)
    staged.transaction.touched.add("Quote")
