"""The ledger's links of one mapping as a run holds them: ids as integers, about 50 bytes a link, 16
of them the id map's.

    parts of the ledger ─▶ `coded`, in the order of their sources ─┬─▶ the id map (the same columns)
                                                                   └─▶ `Said`, until rows have it
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from core.db.ledger import LinkSetRow
from core.migration.columns import NEVER, joined, seconds
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


class Said:
    """What the ledger says of a mapping, until its rows have it."""

    def __init__(self, links: pl.DataFrame, link_set: LinkSetRow, *, scheme: str) -> None:
        """Args:
        links: `coded`; whoever hands them over keeps none.
        scheme: how hashes are made today.
        """
        self._links = links
        #: hashes were made as they are made today
        self.same_scheme = link_set.hash_scheme == scheme

    @property
    def height(self) -> int:
        """How many links there are."""
        return self._links.height

    def give_up(self) -> pl.DataFrame:
        """The links, which nobody else holds from now on; none the next time."""
        links, self._links = self._links, self._links.clear()
        return links


def coded(parts: Iterable[pl.DataFrame], ids: IdCodes) -> pl.DataFrame:
    """Links of any number as `CODED_SCHEMA`, by their source; none of their texts stays.

    Args:
        parts: as `core.db.ledger.link_parts` gives them.
    """
    made = [pl.DataFrame(schema=CODED_SCHEMA)]
    for part in parts:
        codes = {name: ids.encode(part.get_column(f"{name}_id")) for name in _ENDS}
        made.append(pl.DataFrame(codes).hstack(part.drop("source_id", "target_id")))
    links = joined(made)
    sources = links.get_column("source").to_numpy()
    if (sources[:-1] <= sources[1:]).all():
        return links
    order = pl.Series(np.argsort(sources, kind="stable").astype(np.uint32))
    del sources
    columns = []
    for name in CODED_SCHEMA:  # one after the other, as above
        columns.append(links.get_column(name).gather(order))
        links = links.drop(name)
    return pl.DataFrame(columns)


def baselines(links: pl.DataFrame) -> pl.Series:
    """Per link the second (UInt32, since 1970) from which on a write to its target is somebody
    else's (rule 3.2): when the run ended that wrote it, and no later run that left it alone.

    `NEVER` for links from elsewhere and for what we only recognised (its update was refused): there
    is no write of ours to protect. 0 for a record into which ours was merged: all it holds is
    others'.
    """
    recognised = (pl.col("origin") == "matched") & pl.col("sent_hash").is_null()
    at = seconds(pl.col("baseline").cast(pl.String)).fill_null(NEVER)
    never = pl.lit(NEVER, pl.UInt32)
    return links.select(pl.when(recognised & (at != 0)).then(never).otherwise(at)).to_series()


def spelt(links: pl.DataFrame, ids: IdCodes) -> pl.DataFrame:
    """The links with ``source_id`` and ``target_id`` as texts of 18 characters again."""
    texts = {f"{name}_id": ids.decode(links.get_column(name).to_numpy()) for name in _ENDS}
    return pl.DataFrame(texts).hstack(links.drop(_ENDS))
