"""A plan among those of the workspace, for the pages that verify; the address names it."""

from __future__ import annotations

import streamlit as st

from core.services import plans
from pages.parts import visit


def between_orgs() -> list[plans.PlanRow]:
    """Plans that move rows from one connected org to another, the last changed first."""
    found = plans.plans(visit.bridge(), visit.actor())
    return [row for row in found if row.source_org_id is not None]


def all_plans() -> list[plans.PlanRow]:
    """Those between orgs, then plans that read files: runs over single records make many."""
    found = plans.plans(visit.bridge(), visit.actor())
    return sorted(found, key=lambda row: row.source_org_id is None)


def chosen(found: list[plans.PlanRow], *, key: str) -> plans.PlanRow | None:
    """Draws the choice at the head of a page; None where there is no plan."""
    names = [row.name for row in found]
    picked = st.selectbox(
        "Plan",
        names,
        index=0 if names else None,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
        width=260,
    )
    return next((row for row in found if row.name == picked), None)
