"""Sums on parents that must be renewed when children vanish or come back."""

from __future__ import annotations

import polars as pl

from orgsim.dml import rollups
from orgsim.dml.save import Save
from orgsim.dml.standard import quotes
from orgsim.schema.model import Schema, SObject
from orgsim.store import Transaction
from orgsim.store.columns import quoted

#: Child → lookup whose parent carries sums that the platform keeps.
_KEPT = {
    "OpportunityLineItem": "OpportunityId",
    "OrderItem": "OrderId",
    "QuoteLineItem": "QuoteId",
    "CampaignMember": "CampaignId",
}


def concerned(
    schema: Schema, transaction: Transaction, *, sobject: SObject, rows: pl.DataFrame
) -> dict[str, pl.Series]:
    """Lookup name → ids of the parents whose sums count the given rows (column Id)."""
    names = {rollup.via for _, _, rollup in rollups.rolling_up(schema, sobject)}
    names |= {_KEPT[sobject.name]} if sobject.name in _KEPT else set()
    made: dict[str, pl.Series] = {}
    for name in names:
        with transaction.lent(**{"@rows": rows.select("Id")}):
            found = transaction.frame(
                f"SELECT DISTINCT t.{quoted(name)} AS Id FROM {quoted(sobject.name)} t "
                f'SEMI JOIN "@rows" r ON r.Id = t.Id WHERE t.{quoted(name)} IS NOT NULL'
            )
        made[name] = found["Id"]
    return made


def renew(
    save: Save, transaction: Transaction, *, sobject: SObject, parents: dict[str, pl.Series]
) -> None:
    """Brings the sums of the given parents up to date; roll-ups above them follow."""
    for parent, field, rollup in rollups.rolling_up(save.full, sobject):
        ids = parents.get(rollup.via)
        if ids is None or not len(ids):
            continue
        changed = rollups.refresh(save, transaction, parent=parent, field=field, rollup=rollup,
                                  parents=ids)  # fmt: skip
        if len(changed):
            rollups.recompute(rollups.stored_rows(save, transaction, parent, changed["Id"]))
    statement = _STATEMENTS.get(sobject.name)
    if statement is not None and len(parents[_KEPT[sobject.name]]):
        with transaction.lent(**{"@parents": parents[_KEPT[sobject.name]].alias("Id").to_frame()}):
            transaction.cursor.execute(statement)


_STATEMENTS = {
    "OpportunityLineItem": """
      UPDATE "Opportunity" AS t SET Amount = l.total, HasOpportunityLineItem = l.lines > 0,
        TotalOpportunityQuantity = l.quantity
      FROM (SELECT p.Id, coalesce(sum(i.TotalPrice), 0) AS total, count(i.Id) AS lines,
              sum(i.Quantity) AS quantity
            FROM "@parents" p LEFT JOIN "OpportunityLineItem" i
            ON i.OpportunityId = p.Id AND NOT i.IsDeleted GROUP BY 1) l
      WHERE l.Id = t.Id""",
    "OrderItem": """
      UPDATE "Order" AS t SET TotalAmount = l.total
      FROM (SELECT p.Id, coalesce(sum(i.TotalPrice), 0) AS total FROM "@parents" p
            LEFT JOIN "OrderItem" i ON i.OrderId = p.Id AND NOT i.IsDeleted GROUP BY 1) l
      WHERE l.Id = t.Id""",
    "QuoteLineItem": quotes.SUMS,
    "CampaignMember": """
      UPDATE "Campaign" AS t SET NumberOfLeads = m.leads, NumberOfContacts = m.contacts,
        NumberOfResponses = m.responses
      FROM (SELECT p.Id, count(c.LeadId) AS leads, count(c.ContactId) AS contacts,
              count(c.Id) FILTER (c.HasResponded) AS responses
            FROM "@parents" p LEFT JOIN "CampaignMember" c
            ON c.CampaignId = p.Id AND NOT c.IsDeleted GROUP BY 1) m
      WHERE m.Id = t.Id""",
}
