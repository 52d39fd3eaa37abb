"""All that the OpenAPI document allows, and what it does not: no answer is a failure of ours.

Schemathesis reads the document and makes requests of it. A short pass runs always; a long one with
``REST_FUZZ_EXAMPLES=200``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.api import process, rest
from core.bootstrap import Orgbridge
from core.domain.roles import Role
from core.services import api_keys, people

EXAMPLES = int(os.environ.get("REST_FUZZ_EXAMPLES", "6"))
#: what a script may be told; anything else is a defect
TOLD = {200, 201, 202, 400, 401, 403, 404, 405, 409, 413, 415, 422}


@pytest.fixture
def client(bridge: Orgbridge) -> Iterator[TestClient]:
    process.hold(bridge)
    code = people.issue_setup_code(bridge) or ""
    entered = people.create_first_admin(
        bridge, code=code, name="", email="a@x.org", password="a long sentence", origin="t"
    )
    visitor = people.who(bridge, entered.token)
    assert visitor is not None
    key = api_keys.make(bridge, visitor.actor, name="fuzz", role=Role.ADMIN).text.reveal()
    yield TestClient(
        Starlette(routes=rest.routes()),
        base_url="http://127.0.0.1:8501",
        headers={"authorization": f"Bearer {key}"},
        raise_server_exceptions=False,
    )
    process.hold(None)


@pytest.mark.timeout(600)
def test_no_request_that_can_be_made_of_the_document_meets_a_defect(client: TestClient) -> None:
    document = client.get("/api/v1/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    met: list[str] = []
    tried: list[int] = []
    for found in schema.get_all_operations():
        operation = found.ok()

        def one(case: schemathesis.Case) -> None:
            sent = case.as_transport_kwargs(base_url="http://127.0.0.1:8501")
            sent["headers"] = {k: v for k, v in sent["headers"].items() if k != "Authorization"}
            sent.pop("cookies", None)
            if isinstance(sent.get("data"), bytes | str):
                sent["content"] = sent.pop("data")
            answer = client.request(**sent)
            tried.append(answer.status_code)
            if answer.status_code not in TOLD:
                met.append(f"{case.method} {case.path}: {answer.status_code} {answer.text[:200]}")

        _made(operation, one)

    assert met == []
    assert len(tried) > EXAMPLES


def _made(operation: Any, one: Callable[[schemathesis.Case], None]) -> None:
    """Run a function on requests made of one operation."""
    from hypothesis import HealthCheck, given, settings

    limits = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="REST_FUZZ_EXAMPLES" not in os.environ,  # the short pass is the same each time
        suppress_health_check=list(HealthCheck),
    )
    limits(given(case=operation.as_strategy())(one))()
