"""Roles × services: every verb of every service refuses the roles below its own, and no other.

A new verb has to be entered in `LEAST`; that it refuses is then tested without further writing.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from core import bootstrap, services
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.models import Base
from core.domain.roles import Actor, Role
from core.errors import NotAllowedError, OrgbridgeError
from core.secret import Secret
from tests.conftest import TEMPLATE, TEST_KEY
from tests.db.planting import plant, workspace

#: least role → verbs, by module; what it takes beyond the role (one's own, the last admin) is
#: tested where the verb is
LEAST: dict[Role, dict[str, str]] = {
    Role.VIEWER: {
        "approvals": "approval approvals is_own needed",
        "audit": "choices searched trail trail_csv",
        "duplicates": "board compared",
        "editor": "as_launched describes last_word rows sides view",
        "extra_children": "records",
        "files": "file_set file_sets heads",
        "identity_maps": "owner_map record_type_map",
        "import_fitting": "fit_import",
        "importing": "targets template_csv",
        "key_advice": "advice",
        "launch_outlook": "outlook",
        "ledgers": "ledgers",
        "logs": "entry error_days error_groups failed_rows logs logs_csv per_day per_object"
        " searched",
        "missing": "rows rows_csv",
        "object_picker": "needed_parents object_choices relatives target_choices",
        "orgs": "described fields objects org org_named orgs sources users_of",
        "people": "change_password",
        "plans": "compare_versions copy export plan plans row version_plan versions",
        "preflight": "check",
        "previews": "matching preview values",
        "proof": "csv differences differences_csv html shown",
        "retrying": "rows_left",
        "row_testing": "results",
        "run_files": "id_map_csv sent_csv source_values",
        "run_reads": "asks_for_name counts failure_groups failures history in_flight listed"
        " mappings overview queued_behind rows_to_retry shown throughput",
        "running": "document events failures_csv listed",
        "schedules": "schedules",
        "settings": "settings",
        "tracing": "trace",
        "undoing": "kept_objects later_runs outlook",
        "workspaces": "enter workspaces",
    },
    Role.ANALYST: {
        "api_keys": "keys make revoke",
        "approvals": "ask use_for_launch withdraw withdraw_of_run",
        "duplicates": "accept decide reopen",
        "editor": "edit suggest",
        "exporting": "export outlook",
        "extra_children": "launch records_csv",
        "files": "describe_tables keep remove",
        "importing": "deliver plan_of",
        "launching": "launch make_run undo",
        "ledgers": "export",
        "logs": "note_error",
        "missing": "launch",
        "orgs": "check_health describe_soon refresh_metadata",
        "plan_start": "start",
        "planned_runs": "launch",
        "plans": "create cut_version import_file import_plan put remove rename restore save",
        "retrying": "retry",
        "running": "carry_here",
        "schedules": "change create remove switch",
        "steering": "cancel decide pause resume",
    },
    Role.APPROVER: {
        "approvals": "approve reject",
    },
    Role.ADMIN: {
        "backup": "write_backup",
        "key_rotation": "rotate",
        "ledgers": "bring rebase",
        "notices": "add_rule change_rule log remove_rule rules send_test",
        "orgs": "connect reconnect remove rename set_protected set_read_only start_oauth"
        " test_connection",
        "people": "change_role deactivate invite people reactivate reset_password"
        " revoke_session sessions_of",
        "practice": "down reset up",
        "settings": "change_settings",
        "workspaces": "create join",
    },
}
#: parts of another service, and operations, whose roles belong to their kinds (tests/org)
ELSEWHERE = {"connecting", "operations"}
#: an admin who signed in is refused as well: for the terminal alone
OPERATOR = {"workspaces.create", "workspaces.join"}
#: acts on this machine or on every secret: refusal is tested, the act itself is not done here
NOT_DONE = {
    "practice.up",
    "practice.reset",
    "practice.down",
    "key_rotation.rotate",
    "backup.write_backup",
}


def verbs() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function of core.services that acts for somebody."""
    for found in pkgutil.iter_modules(services.__path__):
        module = importlib.import_module(f"core.services.{found.name}")
        if found.name not in ELSEWHERE:
            yield from _verbs_of(module)


def _verbs_of(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        is_ours = function.__module__ == module.__name__ and not name.startswith("_")
        if is_ours and "actor" in inspect.signature(function).parameters:
            yield f"{module.__name__.rpartition('.')[2]}.{name}", function


REQUIRED = {
    f"{module}.{verb}": role
    for role, modules in LEAST.items()
    for module, names in modules.items()
    for verb in names.split()
}
FOUND = dict(verbs())


@pytest.fixture(scope="module")
def town(request: pytest.FixtureRequest) -> Iterator[tuple[Orgbridge, Any]]:
    """A workspace with a row in every table."""
    server = request.getfixturevalue("test_server")
    with (
        server.database(TEMPLATE) as url,
        bootstrap.build(
            Settings(database_url=url, home=server.home / "walk", key=Secret(TEST_KEY))
        ) as bridge,
    ):
        with bridge.owner_session() as session:
            workspace_id = workspace(session, "A")
            plant(session, workspace_id)
        yield bridge, workspace_id


def test_every_verb_says_whom_it_is_for() -> None:
    """A verb that is not in the table, or no longer exists, fails here."""
    assert set(FOUND) == set(REQUIRED)


@pytest.mark.parametrize("verb", sorted(REQUIRED))
def test_smaller_roles_are_refused_and_the_least_is_not(
    town: tuple[Orgbridge, Any], verb: str
) -> None:
    """A refusal comes first: before arguments are read, before anything is written."""
    bridge, workspace_id = town
    before = _rows(bridge)

    for role in Role:
        actor = Actor(workspace_id, uuid7(), "ada@example.org", role)
        if role < REQUIRED[verb]:
            with pytest.raises(NotAllowedError, match=role.name.lower()):
                _call(FOUND[verb], bridge, actor)
            assert _rows(bridge) == before
        elif role is REQUIRED[verb] and verb not in NOT_DONE:
            _is_let_through(FOUND[verb], bridge, _operator(actor) if verb in OPERATOR else actor)


def _operator(actor: Actor) -> Actor:
    return Actor(actor.workspace_id, None, "terminal:ada", actor.role, "terminal")


def _is_let_through(verb: Callable[..., Any], bridge: Orgbridge, actor: Actor) -> None:
    """The arguments are nonsense, so it may fail in any other way."""
    try:
        _call(verb, bridge, actor)
    except NotAllowedError as refused:
        pytest.fail(f"{verb.__module__}.{verb.__name__} refuses its own role: {refused}")
    except (OrgbridgeError, AttributeError, TypeError, ValueError, KeyError):
        return


def _call(verb: Callable[..., Any], bridge: Orgbridge, actor: Actor) -> None:
    given = {
        name: _nonsense(str(parameter.annotation))
        for name, parameter in inspect.signature(verb).parameters.items()
        if name not in ("bridge", "actor")
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    positional = [
        given.pop(name)
        for name, parameter in inspect.signature(verb).parameters.items()
        if name in given and parameter.kind is not parameter.KEYWORD_ONLY
    ]
    answer = verb(bridge, actor, *positional, **given)
    if inspect.isgenerator(answer):
        next(answer, None)


def _nonsense(annotation: str) -> Any:
    """A value of about the right type that means nothing."""
    for word, value in (("UUID", uuid7()), ("Role", Role.VIEWER), ("bool", True), ("int", 1)):
        if word in annotation:
            return value
    return "nonsense" if "str" in annotation else object()


def _rows(bridge: Orgbridge) -> dict[str, int | None]:
    with bridge.owner_session() as session:
        return {
            table.name: session.scalar(sa.select(sa.func.count()).select_from(table))
            for table in Base.metadata.sorted_tables
        }
