"""The ledger of a whole org pair: listed, read out, brought in, carried over to a copy of an org.

Everything here acts in the session's workspace (row-level security), unlike `core.db.ledger`, whose
COPY needs the tables' owner.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

#: links in memory at a time
PAGE_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class LinkSetLine:
    """One mapping's part of the ledger between two orgs."""

    org_pair: str
    mapping: str
    links: int
    #: the target's clock when a run of the mapping last ended
    settled_at: dt.datetime | None


def link_sets(session: Session) -> tuple[LinkSetLine, ...]:
    """Every mapping that has links, with their number, by pair and name."""
    rows = session.execute(
        text(
            "SELECT s.org_pair, s.mapping_name, count(*) AS links, s.settled_at FROM link_set s"
            " JOIN record_link l ON l.link_set_id = s.id GROUP BY s.id ORDER BY 1, 2"
        )
    )
    return tuple(LinkSetLine(r.org_pair, r.mapping_name, r.links, r.settled_at) for r in rows)


def pages(session: Session, org_pair: str) -> Iterator[Sequence[Mapping[Any, Any]]]:
    """``mapping``, ``source_id``, ``target_id``, ``origin`` of all links, `PAGE_ROWS` at a time."""
    rows = session.execute(
        text(
            "SELECT s.mapping_name AS mapping, l.source_id, l.target_id, l.origin"
            " FROM record_link l JOIN link_set s ON s.id = l.link_set_id"
            " WHERE s.org_pair = :pair ORDER BY s.mapping_name, l.source_id"
        ),
        {"pair": org_pair},
        execution_options={"yield_per": PAGE_ROWS},
    )
    yield from rows.mappings().partitions()


def contradictions(
    session: Session, org_pair: str, links: Mapping[str, Sequence[Any]]
) -> list[tuple[str, str, str]]:
    """Links that name another target than one that is kept: mapping, source id, kept target id.

    Args:
        links: ``mapping``, ``source_id`` and ``target_id``, lists of one length.
    """
    rows = session.execute(
        text(
            "SELECT f.mapping, f.source_id, l.target_id FROM"
            " unnest(CAST(:mapping AS text[]), CAST(:source_id AS text[]),"
            " CAST(:target_id AS text[])) AS f (mapping, source_id, target_id)"
            " JOIN link_set s ON s.org_pair = :pair AND s.mapping_name = f.mapping"
            " JOIN record_link l ON l.link_set_id = s.id AND l.source_id = f.source_id"
            " WHERE l.target_id <> f.target_id ORDER BY 1, 2 LIMIT 20"
        ),
        {**_lists(links, "mapping", "source_id", "target_id"), "pair": org_pair},
    )
    return [(row.mapping, row.source_id, row.target_id) for row in rows]


def bring(session: Session, org_pair: str, links: Mapping[str, Sequence[Any]]) -> int:
    """Adds links that are not there yet, without hashes: the next run compares each row itself.

    Args:
        links: as `contradictions` takes them, and ``origin``.
    Returns:
        How many were added.
    """
    _make_sets(session, org_pair, sorted(set(links["mapping"])))
    added = session.execute(
        text(
            "INSERT INTO record_link (link_set_id, source_id, target_id, origin)"
            " SELECT s.id, f.source_id, f.target_id, f.origin FROM"
            " unnest(CAST(:mapping AS text[]), CAST(:source_id AS text[]),"
            " CAST(:target_id AS text[]), CAST(:origin AS text[]))"
            " AS f (mapping, source_id, target_id, origin)"
            " JOIN link_set s ON s.org_pair = :pair AND s.mapping_name = f.mapping"
            " ON CONFLICT DO NOTHING"
        ),
        {**_lists(links, "mapping", "source_id", "target_id", "origin"), "pair": org_pair},
    )
    return int(getattr(added, "rowcount", 0))


def carry_over(session: Session, *, former: str, pair: str) -> int:
    """Copies the links of a former pair to another, without hashes; links that are there stay.

    Returns:
        How many were copied.
    """
    values = {"former": former, "pair": pair}
    session.execute(
        text(
            "INSERT INTO link_set (org_pair, mapping_name) SELECT :pair, mapping_name"
            " FROM link_set WHERE org_pair = :former ON CONFLICT DO NOTHING"
        ),
        values,
    )
    copied = session.execute(
        text(
            "INSERT INTO record_link (link_set_id, source_id, target_id, origin)"
            " SELECT new.id, l.source_id, l.target_id, l.origin FROM record_link l"
            " JOIN link_set old ON old.id = l.link_set_id AND old.org_pair = :former"
            " JOIN link_set new ON new.org_pair = :pair AND new.mapping_name = old.mapping_name"
            " ON CONFLICT DO NOTHING"
        ),
        values,
    )
    return int(getattr(copied, "rowcount", 0))


def _make_sets(session: Session, org_pair: str, mappings: list[str]) -> None:
    session.execute(
        text(
            "INSERT INTO link_set (org_pair, mapping_name)"
            " SELECT :pair, unnest(CAST(:names AS text[])) ON CONFLICT DO NOTHING"
        ),
        {"pair": org_pair, "names": mappings},
    )


def _lists(links: Mapping[str, Sequence[Any]], *names: str) -> dict[str, Any]:
    return {name: list(links[name]) for name in names}
