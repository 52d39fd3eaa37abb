"""Every page as data: title, icon, help, section, role, address; the navigation is made of it."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from core.domain.roles import Role

#: the order of the work; "" stands above the first heading
SECTIONS = ("", "Prepare", "Migrate", "Verify", "Observe", "Admin")


@dataclass(frozen=True, slots=True)
class PageSpec:
    """One page."""

    #: file below ``pages/``; section folders hold no ``__init__.py``
    file: str
    title: str
    icon: str
    #: tooltip in the navigation; one sentence of purpose
    help: str
    section: str
    #: the least role that sees it
    role: Role
    #: the address; the default page is ``/``
    url_path: str
    #: reached by links only
    is_hidden: bool = False
    is_default: bool = False


PAGES: tuple[PageSpec, ...] = (
    PageSpec(
        "overview/home.py",
        "Home",
        ":material/home:",
        "What runs, what waits for you, what comes next",
        "",
        Role.VIEWER,
        "home",
        is_default=True,
    ),
    PageSpec(
        "prepare/orgs.py",
        "Orgs",
        ":material/cloud:",
        "Connect Salesforce orgs and see their health",
        "Prepare",
        Role.VIEWER,
        "orgs",
    ),
    PageSpec(
        "prepare/plans.py",
        "Plans",
        ":material/conversion_path:",
        "Say which objects and fields go where, and how",
        "Prepare",
        Role.VIEWER,
        "plans",
    ),
    PageSpec(
        "migrate/launch.py",
        "New migration",
        ":material/rocket_launch:",
        "Check a plan, rehearse it, launch it",
        "Migrate",
        Role.ANALYST,
        "launch",
    ),
    PageSpec(
        "migrate/runs.py",
        "Runs",
        ":material/monitoring:",
        "What ran, what runs, what became of it",
        "Migrate",
        Role.VIEWER,
        "runs",
    ),
    PageSpec(
        "migrate/run.py",
        "Run",
        ":material/monitoring:",
        "One run: progress, failures, log",
        "Migrate",
        Role.VIEWER,
        "run",
        is_hidden=True,
    ),
    PageSpec(
        "migrate/schedules.py",
        "Schedules",
        ":material/calendar_clock:",
        "What runs by itself, and when next",
        "Migrate",
        Role.VIEWER,
        "schedules",
    ),
    PageSpec(
        "migrate/csv_files.py",
        "CSV files",
        ":material/csv:",
        "Load rows of files, write records to a file",
        "Migrate",
        Role.VIEWER,
        "csv_files",
    ),
    PageSpec(
        "verify/counts.py",
        "Record counts",
        ":material/balance:",
        "Is everything there? Source against target",
        "Verify",
        Role.VIEWER,
        "counts",
    ),
    PageSpec(
        "verify/trace.py",
        "Find a record",
        ":material/travel_explore:",
        "Where a record went, or where it came from",
        "Verify",
        Role.VIEWER,
        "trace",
    ),
    PageSpec(
        "verify/differences.py",
        "Field differences",
        ":material/compare_arrows:",
        "What differs between two orgs, and what it does to data",
        "Verify",
        Role.VIEWER,
        "differences",
    ),
    PageSpec(
        "verify/duplicates.py",
        "Duplicates",
        ":material/content_copy:",
        "Records that are likely the same, and what was decided",
        "Verify",
        Role.VIEWER,
        "duplicates",
    ),
    PageSpec(
        "verify/extra_children.py",
        "Extra child records",
        ":material/account_tree:",
        "Children in the target that the source does not have",
        "Verify",
        Role.VIEWER,
        "extra_children",
    ),
    PageSpec(
        "observe/logs.py",
        "Logs",
        ":material/receipt_long:",
        "Everything that was launched, of every kind",
        "Observe",
        Role.VIEWER,
        "logs",
    ),
    PageSpec(
        "observe/errors.py",
        "Errors",
        ":material/error:",
        "What goes wrong again and again, and what is known",
        "Observe",
        Role.VIEWER,
        "errors",
    ),
    PageSpec(
        "observe/audit.py",
        "Audit trail",
        ":material/history:",
        "Who changed what, when and why",
        "Observe",
        Role.VIEWER,
        "audit",
    ),
    PageSpec(
        "admin/api_keys.py",
        "API keys",
        ":material/vpn_key:",
        "What scripts show in place of a person",
        "Admin",
        Role.ANALYST,
        "api_keys",
    ),
    PageSpec(
        "admin/users.py",
        "Users",
        ":material/group:",
        "People, their roles and their sessions",
        "Admin",
        Role.ADMIN,
        "users",
    ),
    PageSpec(
        "admin/notifications.py",
        "Notifications",
        ":material/notifications:",
        "Who is told what, and what was delivered",
        "Admin",
        Role.ADMIN,
        "notifications",
    ),
    PageSpec(
        "admin/settings.py",
        "Settings",
        ":material/settings:",
        "Safety on production, retention, practice orgs",
        "Admin",
        Role.ADMIN,
        "settings",
    ),
)
_BY_PATH = {page.url_path: page for page in PAGES}


def pages_for(role: Role) -> tuple[PageSpec, ...]:
    """The pages that a role may open, in the order of the navigation."""
    return tuple(page for page in PAGES if page.role <= role)


def navigation(role: Role) -> dict[str, list[st.Page]]:
    """Pages by section, as ``st.navigation`` takes them; empty sections are left out.

    An address beyond the role says so in words, and draws nothing of its page.
    """
    grouped: dict[str, list[st.Page]] = {section: [] for section in SECTIONS}
    for page in PAGES:
        if page.role <= role:
            grouped[page.section].append(_drawn(page))
        else:
            grouped[""].append(beyond(page, role))
    return {section: drawn for section, drawn in grouped.items() if drawn}


def go(url_path: str, **params: str | int) -> None:
    """Open another page with these query parameters; what follows in the script does not run."""
    st.switch_page(_BY_PATH[url_path].file, query_params={k: str(v) for k, v in params.items()})


def is_listed(url_path: str) -> bool:
    """Whether a page of this address exists."""
    return url_path in _BY_PATH


def _drawn(page: PageSpec) -> st.Page:
    return st.Page(
        page.file,
        title=page.title,
        icon=page.icon,
        help=page.help,
        url_path=page.url_path,
        default=page.is_default,
        visibility="hidden" if page.is_hidden else "visible",
    )


def beyond(page: PageSpec, role: Role) -> st.Page:
    """Where somebody lands who follows a link to a page of another role."""

    def tell() -> None:
        st.title(page.title)
        st.markdown(f":material/lock: **This page is for the role {page.role.name.lower()}**")
        st.caption(f"You are here as {role.name.lower()}. An admin gives roles on the page Users.")

    return st.Page(
        tell, title=page.title, icon=page.icon, url_path=page.url_path, visibility="hidden"
    )
