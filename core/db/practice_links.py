"""Forgets the ledger of an org whose records were put back to the beginning."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

_LINKS = text(
    "DELETE FROM record_link WHERE link_set_id IN"
    " (SELECT id FROM link_set WHERE org_pair LIKE :source OR org_pair LIKE :target)"
)
_SETS = text("DELETE FROM link_set WHERE org_pair LIKE :source OR org_pair LIKE :target")
_STATES = text("DELETE FROM sync_state WHERE org_pair LIKE :source OR org_pair LIKE :target")


def forget_links(session: Session, *, organization_id: str) -> int:
    """Delete every link from or to the org in the session's workspace; how many there were.

    Marks of synchronisation go too: what they say was in step is no longer there.
    """
    # The first 15 characters: an org's id is written with 15 or 18.
    values = {"source": f"{organization_id[:15]}%:%", "target": f"%:{organization_id[:15]}%"}
    links = session.execute(_LINKS, values)
    session.execute(_SETS, values)
    session.execute(_STATES, values)
    return int(getattr(links, "rowcount", 0))
