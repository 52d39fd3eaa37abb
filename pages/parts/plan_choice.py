"""A plan among those of the workspace, for the pages that verify; the address names it."""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from core.services import orgs, plans
from pages.parts import visit


def between_orgs() -> list[plans.PlanRow]:
    """Plans that move rows from one connected org to another, the last changed first."""
    found = plans.plans(visit.bridge(), visit.actor())
    connected = _connected()
    return [row for row in found if row.source_org_id in connected]


def all_plans() -> list[plans.PlanRow]:
    """Those between orgs, then plans that read files: runs over single records make many."""
    found = plans.plans(visit.bridge(), visit.actor())
    connected = _connected()
    return sorted(found, key=lambda row: row.source_org_id not in connected)


def _connected() -> set[UUID]:
    """Orgs; a set of files is the source of a plan as well, and none of them."""
    return {card.id for card in orgs.orgs(visit.bridge(), visit.actor())}


def chosen(found: list[plans.PlanRow], *, key: str) -> plans.PlanRow | None:
    """Draws the choice at the head of a page; None, and nothing to choose, without a plan."""
    if not found:
        return None
    names = [row.name for row in found]
    picked = st.selectbox(
        "Plan",
        names,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
        width=260,
    )
    return next((row for row in found if row.name == picked), None)
