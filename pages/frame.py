"""What stands around every page: who is here, the navigation, the person's menu."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages import registry
from pages.parts import person_menu, visit

STATIC = Path(__file__).with_name("static")
#: Horizontal padding of the main column has no theme key; 5 rem each side cost 100 px at 1440.
SIDE_PADDING = "<style>[data-testid=stMainBlockContainer]{padding-inline:1.75rem}</style>"

st.set_page_config(
    page_title="Orgbridge",
    layout="wide",
    page_icon=str(STATIC / "icon.svg"),
    initial_sidebar_state=216,
)
st.html(SIDE_PADDING)
visitor = visit.visitor()
if visitor is None:
    visit.draw_signed_out()
    st.stop()
page = st.navigation(
    registry.navigation(registry.pages_for(visitor.actor.role)),
    position="sidebar",
    expanded=True,
)
shade = "dark" if st.context.theme.type == "dark" else "light"
st.logo(str(STATIC / f"logo-{shade}.svg"), size="medium", icon_image=str(STATIC / "icon.svg"))
person_menu.draw(visitor)
page.run()
