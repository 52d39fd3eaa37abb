"""Imports point one way: each room may import what stands to the right of it in ``ORDER``."""

from __future__ import annotations

import pytest

from tests.rooms.sources import Import, Source, imports, sources

#: front doors first, the pure domain last; rooms on one line know nothing of each other
ORDER: tuple[tuple[str, ...], ...] = (
    ("app", "cli", "pages", "terminal", "core.api"),
    ("core.services",),
    ("core.jobs",),
    ("core.operations",),
    ("core.migration",),
    ("core.plans", "core.reports"),
    ("core.bootstrap", "core.practice"),
    ("core.access", "core.notices"),
    ("core.files",),
    ("core.salesforce", "core.db", "core.spool"),
    ("core.domain",),
    ("core.allocators", "core.log", "core.processes"),
    ("core.config",),
    ("core.errors", "core.secret"),
)
#: the composition root and what hangs from it are named in annotations everywhere; at run time
#: only the root imports them
WIRED_BY_BOOTSTRAP = {
    ("core.bootstrap", "core.access.connections"),
    ("core.bootstrap", "core.access.secrets"),
}
#: (importing room, imported room) on one line of ORDER, each with its reason
NEIGHBOURS = {
    ("app", "pages"),  # the front door for browsers is made of both
    ("app", "core.api"),
    ("pages", "core.api"),  # pages ask the API who is signed in
    ("cli", "terminal"),
    ("core.access", "core.notices"),  # a session that expired is told
    ("core.notices", "core.access"),  # addresses of notices are sealed by the vault
    ("core.db", "core.spool"),
}
#: outside library → who alone may import it
ONLY_IN: dict[str, tuple[str, ...]] = {
    "streamlit": ("app", "pages"),
    "simple_salesforce": ("core.salesforce",),
    "sqlalchemy": ("core.db", "core.jobs", "core.access", "core.bootstrap", "alembic"),
    "psycopg": ("core.db", "core.jobs"),
    "alembic": ("core.db", "alembic"),
    "procrastinate": ("core.jobs",),
    "apscheduler": ("core.jobs",),
    "typer": ("cli", "terminal"),
    "apprise": ("core.notices",),
    "plotly": ("core.reports", "pages"),
    "lark": ("orgsim",),
    "uvicorn": ("orgsim", "app"),
    "mock": (),
}
_ROOMS = tuple(room for line in ORDER for room in line)


def room_of(module: str) -> str | None:
    """The room a module lives in, or None when it is not one of ours."""
    fitting = [room for room in _ROOMS if module == room or module.startswith(f"{room}.")]
    return max(fitting, key=len, default=None)


def rank(room: str) -> int:
    """Place in the order; a greater one is further in."""
    return next(at for at, line in enumerate(ORDER) if room in line)


def is_wrong(one: Import, name: str) -> bool:
    """True for an import against the order."""
    here, there = room_of(one.source.module), room_of(name)
    if here is None or there is None or here == there or one.for_types:
        return False
    if rank(here) == rank(there):
        return (here, there) not in NEIGHBOURS
    allowed = {(here, name)} & WIRED_BY_BOOTSTRAP
    return rank(here) > rank(there) and not allowed


def product() -> list[Source]:
    """Files of the product itself."""
    return [one for one in sources() if not one.path.startswith(("tests/", "benchmarks/"))]


def test_imports_point_inward() -> None:
    wrong = [
        f"{one.source.path}:{one.line} imports {name}"
        for source in product()
        for one in imports(source)
        for name in one.names
        if is_wrong(one, name)
    ]

    assert not wrong, "\n".join(sorted(set(wrong)))


def test_every_module_of_core_has_a_room() -> None:
    homeless = [
        one.path
        for one in product()
        if one.module.startswith("core.") and room_of(one.module) is None
    ]

    assert homeless == []


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_libraries_stay_in_their_rooms(library: str) -> None:
    wrong = [
        f"{source.path}:{one.line}"
        for source in product()
        for one in imports(source)
        if any(name.split(".")[0] == library for name in one.names)
        if not source.module.startswith(ONLY_IN[library]) and not one.for_types
    ]

    assert wrong == []


def test_practice_org_and_product_know_nothing_of_each_other() -> None:
    wrong = [
        f"{source.path}:{one.line} imports {name}"
        for source in sources()
        for one in imports(source)
        for name in one.names
        if (source.path.startswith("orgsim/") and name.split(".")[0] in ("core", "pages", "app"))
        or (
            (source.path.startswith(("core/", "pages/", "app", "terminal/", "cli")))
            and name.split(".")[0] == "orgsim"
        )
    ]

    assert wrong == []


def test_only_config_reads_the_environment() -> None:
    # the allocators' switches are only set there, for libraries that read them when they are loaded
    others = ("core/config.py", "core/db/embedded/cluster.py", "core/allocators.py")
    wrong = [
        source.path
        for source in product()
        if source.path not in others
        and ("os.environ" in source.text or "os.getenv" in source.text)
        and not source.path.startswith("orgsim/")
    ]

    assert wrong == []


def test_page_files_sit_in_section_folders() -> None:
    """Streamlit runs what lies in pages/ itself on a deep link, past the gate."""
    direct = [
        one.path
        for one in sources()
        if one.path.startswith("pages/") and one.path.count("/") == 1
        if one.path.split("/")[1] not in ("frame.py", "registry.py", "__init__.py")
    ]

    assert direct == []


def test_no_room_is_called_by_a_name_that_says_nothing() -> None:
    empty = ("utils", "util", "helpers", "helper", "common", "manager", "misc")
    wrong = [
        one.path for one in sources() if any(f"/{name}.py" in f"/{one.path}" for name in empty)
    ]

    assert wrong == []
