"""What stands around every page: who is here, the navigation, the person's menu."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages import registry
from pages.parts import person_menu, visit, workspace_switch

STATIC = Path(__file__).with_name("static")
#: Horizontal padding of the main column has no theme key; 5 rem each side cost 100 px at 1440.
SIDE_PADDING = "[data-testid=stMainBlockContainer]{padding-inline:1.75rem}"
#: A toast stands where a drawer has its head: it goes to the corner that is free.
TOASTS = "body:has([role=dialog]) [data-testid=stToastContainer]{inset:auto auto 1rem 1rem}"
#: Streamlit writes white on the primary colour and also uses that colour as text; on a dark page no
#: colour is readable as both (4.5:1), so the text of primary buttons is dark there.
DARK_BUTTONS = "[data-testid^=stBaseButton-primary]:not(:disabled) *{color:#0b1119;opacity:1}"

st.set_page_config(
    page_title="Orgbridge",
    layout="wide",
    page_icon=str(STATIC / "icon.svg"),
    initial_sidebar_state=216,
)
is_dark = st.context.theme.type == "dark"
st.html(f"<style>{SIDE_PADDING}{TOASTS}{DARK_BUTTONS if is_dark else ''}</style>")
visitor = visit.visitor()
if visitor is None:
    visit.draw_signed_out()
    st.stop()
visit.remember()
page = st.navigation(
    registry.navigation(visitor.actor.role),
    position="sidebar",
    expanded=True,
)
shade = "dark" if is_dark else "light"
st.logo(str(STATIC / f"logo-{shade}.svg"), size="medium", icon_image=str(STATIC / "icon.svg"))
workspace_switch.draw(visitor)
person_menu.draw(visitor)
page.run()
