"""Orgs: connect Salesforce orgs, see whether they answer, look into their objects and fields."""

from __future__ import annotations

import streamlit as st

from core.domain.roles import Role
from core.services import orgs
from pages.parts import boxes, choice, export, org_cards, org_connect, org_detail, rows, visit

KINDS = {"all": "All", "production": "Production", "sandbox": "Sandbox", "practice": "Practice"}
CSV_COLUMNS = (
    "name",
    "environment",
    "organization_id",
    "organization_name",
    "organization_type",
    "username",
    "instance_url",
    "api_version",
    "status",
    "api_used",
    "api_allowed",
    "described_at",
    "read_only",
    "protected",
)


def csv_of(cards: tuple[orgs.OrgCard, ...]) -> bytes:
    """The list without any secret; a card holds none."""
    return export.csv_bytes(
        CSV_COLUMNS, ([getattr(card, name) for name in CSV_COLUMNS] for card in cards)
    )


def listing() -> None:
    """All orgs as cards, by kind."""
    cards = orgs.orgs(visit.bridge(), visit.actor())
    is_admin = visit.may(Role.ADMIN)
    with rows.head("Orgs"):
        if cards:
            export.button("orgs", lambda: csv_of(cards), key="orgs.csv")
        if (
            cards
            and is_admin
            and st.button(
                "Connect an org…", type="primary", icon=":material/add:", key="orgs.connect"
            )
        ):
            org_connect.dialog()
    if not cards:
        org_cards.nothing_yet(can_connect=is_admin)
        return
    counts = {kind: sum(card.environment == kind for card in cards) for kind in KINDS}
    counts["all"] = len(cards)
    kind = choice.segmented(
        "Kind of org",
        [name for name in KINDS if counts[name]],
        default="all",
        format_func=lambda name: f"{KINDS[name]} {counts[name]}",
        key="kind",
        label_visibility="collapsed",
    )
    shown = [card for card in cards if kind in {"all", card.environment}]
    org_cards.draw(shown, can_change=is_admin)


chosen = st.query_params.get("org")
if chosen is None:
    listing()
else:
    boxes.acted(org_detail.draw, chosen)
