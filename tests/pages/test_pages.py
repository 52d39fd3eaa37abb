"""Every page of the registry opens for who may see it, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.roles import Role
from pages import registry

from .conftest import FRAME, Opened

PAGES = FRAME.parent


def drawn(app: AppTest) -> str:
    """All text of a page."""
    parts = [*app.title, *app.subheader, *app.markdown, *app.caption, *app.error]
    return "\n".join(str(part.value) for part in parts)


@pytest.mark.parametrize("page", registry.PAGES, ids=lambda page: page.url_path)
def test_every_page_opens_for_its_least_role_with_nothing_in_the_database(
    page: registry.PageSpec, opened: Opened
) -> None:
    app = opened("" if page.is_default else page.file, role=page.role)

    assert not app.exception
    assert not app.error
    assert app.title or page.is_hidden


def test_without_a_session_the_frame_draws_no_page(bridge: object) -> None:
    app = AppTest.from_file(str(FRAME), default_timeout=90).run()

    assert not app.exception
    assert not app.title
    assert "signed out" in drawn(app)


@pytest.mark.parametrize("role", list(Role))
def test_the_navigation_holds_exactly_the_pages_of_the_role(role: Role) -> None:
    listed = {page.url_path for page in registry.pages_for(role)}

    assert listed == {page.url_path for page in registry.PAGES if page.role <= role}
    assert "home" in listed
    assert ("users" in listed) == (role is Role.ADMIN)


def test_a_link_to_a_page_beyond_the_role_says_for_whom_it_is() -> None:
    """Whoever follows one reads a sentence, and the page itself does not run."""

    def page() -> None:
        import streamlit as st

        from core.domain.roles import Role
        from pages import registry

        (users,) = (page for page in registry.PAGES if page.url_path == "users")
        st.navigation([registry.beyond(users, Role.VIEWER)]).run()

    app = AppTest.from_function(page, default_timeout=90).run()

    assert not app.exception
    assert [each.value for each in app.title] == ["Users"]
    assert "This page is for the role admin" in drawn(app)
    assert "You are here as viewer" in drawn(app)
    assert not app.button and not app.dataframe


@pytest.mark.parametrize("role", list(Role))
def test_the_navigation_shows_pages_of_the_role_and_knows_every_address(
    role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry.st, "Page", lambda _, **given: given)

    made = [page for section in registry.navigation(role).values() for page in section]

    shown = {page["url_path"] for page in made if page["visibility"] == "visible"}
    assert shown == {page.url_path for page in registry.pages_for(role) if not page.is_hidden}
    assert {page["url_path"] for page in made} == {page.url_path for page in registry.PAGES}


def test_a_page_beyond_the_role_cannot_be_reached(opened: Opened) -> None:
    app = opened(role=Role.VIEWER)

    with pytest.raises(Exception, match=r"admin/users\.py|navigation|page"):
        app.switch_page("admin/users.py").run()
        assert not app.exception
        assert "Users" in drawn(app)
        raise AssertionError("the page opened for a viewer")


def test_page_files_lie_in_section_folders_without_package_files() -> None:
    """Streamlit runs pages/*.py on a deep link before the frame has run."""
    direct = {path.name for path in PAGES.glob("*.py")}
    sections = {Path(page.file).parts[0] for page in registry.PAGES}

    assert direct == {"frame.py", "registry.py"}
    assert not [section for section in sections if (PAGES / section / "__init__.py").exists()]


def test_every_page_file_is_in_the_registry_and_short() -> None:
    files = {
        str(path.relative_to(PAGES))
        for path in PAGES.glob("*/*.py")
        if path.parent.name not in {"parts", "static"}
    }

    assert files == {page.file for page in registry.PAGES}
    for file in files:
        assert len((PAGES / file).read_text(encoding="utf-8").splitlines()) <= 120, file


def test_addresses_and_titles_are_unique_and_explain_themselves() -> None:
    addresses = [page.url_path for page in registry.PAGES]

    assert len(set(addresses)) == len(addresses)
    for page in registry.PAGES:
        assert page.url_path == page.url_path.lower()
        assert page.help
        assert page.section in registry.SECTIONS
