"""Orders and contracts begin as drafts; an active order is closed to new items. Source: Object
Reference."""

from __future__ import annotations

import polars as pl

from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import Staged
from orgsim.dml.standard.lookups import changed, join


def check_first_status(staged: Staged) -> None:
    """New ones are drafts; an order without items cannot be activated; active ones are
    read-only."""
    staged.ensure(["Status"])
    if staged.inserting:
        text = "Choose a valid status and save your changes: a new record begins as a draft."
        active = pl.col("Status").is_in(["Activated"])
        staged.refuse_where(active, Refusal("FAILED_ACTIVATION", text, ("Status",)))
        return
    if staged.sobject.name == "Order":
        _check_items(staged)


def _check_items(staged: Staged) -> None:
    activating = changed(staged, "Status") & (pl.col("Status") == "Activated")
    with staged.transaction.lent(**{"@orders": staged.frame.select("Id")}):
        filled = staged.transaction.frame(
            'SELECT DISTINCT i.OrderId AS Id FROM "OrderItem" i SEMI JOIN "@orders" o ON '
            "o.Id = i.OrderId "
            "WHERE NOT i.IsDeleted"
        )
    empty = ~pl.col("Id").is_in(filled["Id"].implode())
    text = "An order must have at least one product."
    staged.refuse_where(activating & empty, Refusal("FAILED_ACTIVATION", text, ("Status",)))


def settle_items(staged: Staged) -> None:
    """Items join draft orders only; prices default to the entry's."""
    staged.ensure(
        [
            "OrderId",
            "PricebookEntryId",
            "Product2Id",
            "UnitPrice",
            "ListPrice",
            "Quantity",
            "TotalPrice",
        ]
    )
    staged.frame = join(staged, "OrderId", "Order", ["Status", "Pricebook2Id"], prefix="@o.")
    staged.frame = join(staged, "PricebookEntryId", "PricebookEntry",
                        ["Product2Id", "UnitPrice", "Pricebook2Id"], prefix="@e.")  # fmt: skip
    text = "unable to modify items of an activated order"
    staged.refuse_where(
        pl.col("@o.Status") == "Activated", Refusal("FIELD_INTEGRITY_EXCEPTION", text)
    )
    other = pl.col("@o.Pricebook2Id").ne_missing(pl.col("@e.Pricebook2Id"))
    text = "pricebook entry is in a different pricebook than the one assigned to the order"
    if staged.inserting:
        staged.refuse_where(
            other, Refusal("FIELD_INTEGRITY_EXCEPTION", text, ("PricebookEntryId",))
        )
    staged.frame = staged.frame.with_columns(
        pl.coalesce("UnitPrice", "@e.UnitPrice").alias("UnitPrice"),
        pl.col("@e.UnitPrice").alias("ListPrice"),
        pl.col("@e.Product2Id").alias("Product2Id"),
    ).with_columns((pl.col("UnitPrice") * pl.col("Quantity")).round(2).alias("TotalPrice"))
    staged.frame = staged.frame.select(pl.exclude(r"^@[oe]\..*$"))


def total_up(staged: Staged) -> None:
    """TotalAmount of the orders concerned."""
    with staged.transaction.lent(**{"@concerned": staged.frame.select("OrderId").unique()}):
        staged.transaction.cursor.execute(
            'UPDATE "Order" AS t SET TotalAmount = l.total FROM (SELECT OrderId, '
            "sum(TotalPrice) AS total "
            'FROM "OrderItem" WHERE NOT IsDeleted GROUP BY 1) l '
            'WHERE l.OrderId = t.Id AND t.Id IN (SELECT OrderId FROM "@concerned")'
        )
    staged.transaction.touched.add("Order")
