"""What nobody expected: a reference for the person, a row for the admin, the details in the log.

The defects are real ones: a table that the code needs is renamed, so that the database itself
raises what no code of ours raises.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from core.api import door, process, rest
from core.api.gate import Gate
from core.bootstrap import Orgbridge
from core.db.models import ErrorLog
from core.domain.roles import Actor, Role
from core.errors import BugError, UserError
from core.jobs import tasks
from core.services import api_keys, logs, people
from pages.parts import state
from tests.conftest import PROJECT

_REFERENCE = re.compile(r"\b[0-9a-f]{8}\b")
SECRET = "00D000000000001!plantedTokenOfSomebody"


@pytest.fixture
def admin(bridge: Orgbridge) -> tuple[Actor, str]:
    code = people.issue_setup_code(bridge) or ""
    entered = people.create_first_admin(
        bridge, code=code, name="", email="a@x.org", password="a long sentence", origin="t"
    )
    visitor = people.who(bridge, entered.token)
    assert visitor is not None
    return visitor.actor, entered.token


@pytest.fixture
def client(bridge: Orgbridge) -> Iterator[TestClient]:
    process.hold(bridge)
    app = Starlette(
        routes=[*rest.routes(), *door.routes()],
        middleware=[Middleware(Gate, is_signed_in=door.is_signed_in)],
        exception_handlers={Exception: door.on_failure},
    )
    yield TestClient(
        app, base_url="http://127.0.0.1:8501", follow_redirects=False, raise_server_exceptions=False
    )
    process.hold(None)


@contextmanager
def without(bridge: Orgbridge, table: str) -> Iterator[None]:
    """Within it a table is not where the code looks for it."""
    with bridge.owner_session() as session:
        session.execute(sa.text(f"ALTER TABLE {table} RENAME TO hidden"))
    yield
    with bridge.owner_session() as session:
        session.execute(sa.text(f"ALTER TABLE hidden RENAME TO {table}"))


def kept(bridge: Orgbridge) -> ErrorLog:
    """The one row of error_log."""
    with bridge.owner_session() as session:
        return session.scalars(sa.select(ErrorLog)).one()


def test_rest_answers_with_a_reference_and_keeps_a_row(
    bridge: Orgbridge,
    client: TestClient,
    admin: tuple[Actor, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = api_keys.make(bridge, admin[0], name="ci", role=Role.ANALYST).text.reveal()
    body = {"source": "a", "target": "b", "objects": ["Account"]}
    with without(bridge, "record_count_log"):
        answer = client.post(
            "/api/v1/operations/record_counts",
            json=body,
            headers={"authorization": f"Bearer {key}"},
        )

    said, row = answer.json(), kept(bridge)
    assert answer.status_code == 500
    assert set(said) == {"error", "reference"}
    assert "record_count_log" not in answer.text and "Traceback" not in answer.text
    assert (row.boundary, row.kind) == ("rest", "ProgrammingError")
    assert row.workspace_id == admin[0].workspace_id and row.requested_by == "key:ci"
    assert row.facts["reference"] == said["reference"]
    assert row.facts["place"].startswith("core/")
    (line,) = [each for each in caplog.records if each.message == "unexpected failure"]
    assert line.__dict__["reference"] == said["reference"] and line.exc_info


def test_a_page_draws_the_reference_and_the_errors_page_lists_it(
    bridge: Orgbridge, client: TestClient, admin: tuple[Actor, str]
) -> None:
    actor, token = admin

    def script() -> None:
        from pages.parts import boxes

        boxes.on_script_error(ZeroDivisionError("of 00D000000000001!plantedTokenOfSomebody"))

    page = AppTest.from_function(script)
    page.session_state[state.TOKEN] = token
    page.run()

    row = kept(bridge)
    (drawn,) = page.error
    assert not page.exception
    assert row.facts["reference"] in _REFERENCE.findall(str(drawn.value))
    assert (row.boundary, row.kind, row.requested_by) == ("page", "ZeroDivisionError", "a@x.org")
    assert "planted" not in str(drawn.value) + str(drawn.proto) + repr(vars(row))
    (group,) = logs.error_groups(bridge, actor)
    assert row.facts["reference"] in group.message


def test_a_defect_of_ours_that_is_known_gets_a_reference_too(
    bridge: Orgbridge, client: TestClient, admin: tuple[Actor, str]
) -> None:
    def script() -> None:
        from core.errors import BugError, UserError
        from pages.parts import boxes

        boxes.error(BugError("Two rows claim one id."))
        boxes.error(UserError("The name is empty."))

    page = AppTest.from_function(script)
    page.session_state[state.TOKEN] = admin[1]
    page.run()

    assert kept(bridge).kind == BugError.__name__
    assert len(page.error) == 2
    assert UserError.__name__ not in kept(bridge).message


def test_the_door_shows_a_reference_even_when_nobody_is_known(
    bridge: Orgbridge, client: TestClient
) -> None:
    with without(bridge, "membership"):
        answer = client.get("/login", headers={"accept": "text/html"})

    row = kept(bridge)
    assert answer.status_code == 500
    assert row.facts["reference"] in answer.text and "membership" not in answer.text
    assert row.boundary == "door" and row.workspace_id == bridge.workspace_id()
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_row_that_cannot_be_kept_costs_the_person_nothing(
    bridge: Orgbridge, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with without(bridge, "error_log"), without_second(bridge):
        answer = client.get("/login", headers={"accept": "text/html"})

    assert answer.status_code == 500
    told = [each for each in caplog.records if each.message == "unexpected failure"]
    assert told and told[0].__dict__["reference"] in answer.text
    assert [each for each in caplog.records if each.message == "defect not kept"]


@contextmanager
def without_second(bridge: Orgbridge) -> Iterator[None]:
    with bridge.owner_session() as session:
        session.execute(sa.text("ALTER TABLE membership RENAME TO hidden_too"))
    yield
    with bridge.owner_session() as session:
        session.execute(sa.text("ALTER TABLE hidden_too RENAME TO membership"))


def test_a_worker_keeps_a_defect_of_its_job(bridge: Orgbridge) -> None:
    def task(context: Any, *, workspace_id: str) -> None:
        raise KeyError("gone")

    context: Any = SimpleNamespace(
        additional_context={"bench": SimpleNamespace(bridge=bridge)},
        job=SimpleNamespace(id=7),
        task=SimpleNamespace(name="carry_run"),
    )
    with pytest.raises(KeyError):
        tasks.guarded(task)(context, workspace_id=str(bridge.workspace_id()))

    row = kept(bridge)
    assert (row.boundary, row.kind, row.requested_by) == ("worker", "KeyError", "worker:carry_run")
    assert row.facts["job"] == 7


CRASHES = f"""
import logging, resource, sys, threading
from core import log
from core.config import load_settings
raw = logging.getLogger("somebody.elses")   # as Streamlit's: a handler and a formatter of its own
raw.propagate = False
raw.addHandler(logging.StreamHandler(sys.stderr))
log.configure(load_settings(), process="crash")
try:
    raise ValueError("access_token={SECRET}")
except ValueError:
    raw.exception("theirs: %s", "Bearer {SECRET}")
thread = threading.Thread(target=lambda: 1 / len("{SECRET}"[99:]) or int("{SECRET}"))
thread.start(); thread.join()
print(resource.getrlimit(resource.RLIMIT_CORE))
raise RuntimeError("session {SECRET}")
"""


def test_crashes_tell_no_secret(tmp_path: Any) -> None:
    """Foreign loggers, threads and the interpreter's last words are redacted; no core file."""
    environ = {"ORGBRIDGE_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT), "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-c", CRASHES], cwd=PROJECT, env=environ, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip

    written = (tmp_path / "logs" / "crash.log").read_text()
    assert done.returncode == 1
    assert "theirs:" in done.stderr and "ValueError" in done.stderr
    assert "RuntimeError" in written and "ZeroDivisionError" in written
    assert "planted" not in done.stderr + done.stdout + written
    assert done.stdout.strip() == "(0, 0)"


def test_a_record_made_twice_stays_readable() -> None:
    """Redaction at birth keeps arguments that need none."""
    from core.log import _clean_record

    plain = _clean_record("x", logging.INFO, "f", 1, "%s of %s", (1, 2), None)
    secret = _clean_record("x", logging.INFO, "f", 1, "token=%s", ("abcdefgh12345678",), None)

    assert (plain.getMessage(), plain.args) == ("1 of 2", (1, 2))
    assert "abcdefgh" not in secret.getMessage()
