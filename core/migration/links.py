"""The ledger's links of one mapping as a run holds them: ids as integers, about 50 bytes a link."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from core.migration.idmap import IdCodes

#: `links`: ids as codes, what else the ledger says as it says it
CODED_SCHEMA = {
    "source": pl.Int64,
    "target": pl.Int64,
    "origin": pl.Categorical,
    "sent_hash": pl.Int64,
    "found_hash": pl.Int64,
    "read_hash": pl.Int64,
    "baseline": pl.Categorical,
}

#: the two records of a link
_ENDS = ("source", "target")


def coded(parts: Iterable[pl.DataFrame], ids: IdCodes) -> pl.DataFrame:
    """Links of any number as `CODED_SCHEMA`, in their order; none of their texts stays.

    Args:
        parts: as `core.db.ledger.link_parts` gives them.
    """
    made = [pl.DataFrame(schema=CODED_SCHEMA)]
    for part in parts:
        codes = {name: ids.encode(part.get_column(f"{name}_id")) for name in _ENDS}
        made.append(pl.DataFrame(codes).hstack(part.drop("source_id", "target_id")))
    columns = []
    for name in CODED_SCHEMA:  # one after the other: a column lies twice in memory, never all
        columns.append(pl.concat([part.get_column(name) for part in made], rechunk=True))
        made = [part.drop(name) for part in made]
    return pl.DataFrame(columns)


def spelt(links: pl.DataFrame, ids: IdCodes) -> pl.DataFrame:
    """The links with ``source_id`` and ``target_id`` as texts of 18 characters again."""
    texts = {f"{name}_id": ids.decode(links.get_column(name).to_numpy()) for name in _ENDS}
    return pl.DataFrame(texts).hstack(links.drop(_ENDS))
