"""Price books: the standard book is given, a custom price needs a standard one. Source: Object
Reference."""

from __future__ import annotations

import polars as pl

from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.dml.standard.lookups import join


def settle_entries(staged: Staged) -> None:
    """Names, one price a product, book and currency, the standard price first."""
    staged.ensure(["Name", "ProductCode", "UnitPrice", "UseStandardPrice", "CurrencyIsoCode"])
    frame = join(staged, "Product2Id", "Product2", ["Name", "ProductCode"], prefix="@p.")
    staged.frame = frame
    frame = join(staged, "Pricebook2Id", "Pricebook2", ["IsStandard"], prefix="@b.")
    staged.frame = frame.with_columns(
        pl.col("@p.Name").alias("Name"), pl.col("@p.ProductCode").alias("ProductCode")
    )
    _refuse_twice(staged)
    _settle_prices(staged)
    staged.frame = staged.frame.drop("@p.Name", "@p.ProductCode", "@b.IsStandard")


def _keys(staged: Staged) -> list[str]:
    many = staged.sobject.field("CurrencyIsoCode") is not None
    return ["Product2Id", *(["CurrencyIsoCode"] if many else [])]


def _refuse_twice(staged: Staged) -> None:
    if not staged.inserting:
        return
    keys = ["Pricebook2Id", *_keys(staged)]
    on = " AND ".join(f't."{name}" = c."{name}"' for name in keys)
    sql = (
        f'SELECT c."@row" FROM "@entries" c SEMI JOIN (SELECT * FROM "PricebookEntry" '
        f"WHERE NOT IsDeleted) t ON {on}"
    )
    with staged.transaction.lent(**{"@entries": staged.frame.select(ROW, *keys)}):
        there = [row[0] for row in staged.transaction.cursor.execute(sql).fetchall()]
    again = staged.frame.filter(~pl.struct(keys).is_first_distinct())[ROW].to_list()
    text = "This price definition already exists in this price book"
    staged.refusals.all(sorted({*there, *again}), Refusal("DUPLICATE_VALUE", text))


def _settle_prices(staged: Staged) -> None:
    """STANDARD_PRICE_NOT_DEFINED, and the standard price where the entry uses it."""
    standard = _standard_prices(staged)
    keys = _keys(staged)
    frame = staged.frame.join(standard, on=keys, how="left", maintain_order="left")
    custom = ~pl.col("@b.IsStandard").fill_null(value=False)
    uses = custom & pl.col("UseStandardPrice").fill_null(value=False)
    staged.frame = frame.with_columns(
        pl.when(uses).then("@standard").otherwise("UnitPrice").alias("UnitPrice")
    )
    text = "No standard price defined for this product"
    staged.refuse_where(custom & pl.col("@standard").is_null(),
                        Refusal("STANDARD_PRICE_NOT_DEFINED", text))  # fmt: skip
    staged.frame = staged.frame.drop("@standard")


def _standard_prices(staged: Staged) -> pl.DataFrame:
    listed = ", ".join(f'e."{name}"' for name in _keys(staged))
    return staged.transaction.frame(
        f'SELECT {listed}, min(e.UnitPrice) AS "@standard" FROM "PricebookEntry" e JOIN '
        '"Pricebook2" b '
        f"ON b.Id = e.Pricebook2Id WHERE b.IsStandard AND NOT e.IsDeleted GROUP BY {listed}"
    )
