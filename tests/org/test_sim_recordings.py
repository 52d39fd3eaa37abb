"""Recorded conversations with real orgs, held again with a practice org."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.orgs import PracticeOrg, PracticeOrgs

#: Keys whose values must be those of the recording; of the others only the kind of value.
_EXACT = frozenset({"success", "created", "totalSize", "done", "errorCode", "statusCode", "type",
                    "httpStatusCode", "referenceId", "message", "FirstName", "Name"})  # fmt: skip
_RECORD_ID = re.compile(r"\b[0-9a-zA-Z]{18}\b")
CASSETTES = "A_api_responses/cumulusci_cassettes"


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """An org with the whole library, empty."""
    return module_practice_org()


def conversation(path: Path) -> list[dict[str, Any]]:
    """Return the recorded requests and answers that are written out in a cassette."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]
    return [one for one in found if "request" in one and "string" in one["response"]["body"]]


def replay(org: PracticeOrg, path: Path, exact: frozenset[str] = _EXACT) -> int:
    """Send the recorded requests in order and compare the answers; return how many."""
    ids: dict[str, str] = {}
    turns = conversation(path)
    for turn in turns:
        asked, recorded = turn["request"], turn["response"]
        url = "/services" + asked["uri"].split("/services", 1)[1].replace("vxx.0", "v59.0")
        body = _with_our_ids(asked["body"], ids)
        answer = org.request(asked["method"], url, body.encode() if body else None,
                             headers={"Content-Type": "application/json"})  # fmt: skip
        told = json.loads(recorded["body"]["string"])
        said = json.loads(answer.data)
        assert answer.status == recorded["status"]["code"], (url, said)
        _learn_ids(told, said, ids)
        assert _shape(said, exact) == _shape(told, exact), url
    return len(turns)


def _with_our_ids(body: str | None, ids: dict[str, str]) -> str | None:
    if not body:
        return None
    text = _RECORD_ID.sub(lambda found: ids.get(found[0], found[0]), body)
    return text.replace("vxx.0", "v59.0")


def _learn_ids(told: Any, said: Any, ids: dict[str, str]) -> None:
    """Pair the ids of created records by their place in the answer."""
    if isinstance(told, list) and isinstance(said, list):
        for one, other in zip(told, said, strict=False):
            _learn_ids(one, other, ids)
    elif isinstance(told, dict) and isinstance(said, dict):
        if "id" in told and "id" in said:
            ids[told["id"]] = said["id"]


def _shape(value: Any, exact: frozenset[str]) -> Any:
    """Return the keys and kinds of a JSON value; rows of a list count as often as they are."""
    if isinstance(value, dict):
        plain = {key for key in exact if not isinstance(value.get(key), dict | list)}
        return {k: part if k in plain else _shape(part, exact) for k, part in value.items()}
    if isinstance(value, list):
        shapes = [_shape(part, exact) for part in value]
        return sorted(shapes, key=repr)
    return type(value).__name__ if value is not None else None


def test_upserts_by_email_are_answered_as_recorded(org: PracticeOrg, fixtures_dir: Path) -> None:
    """Collections and upserts on a standard idLookup field, counted by queries in between."""
    assert replay(org, fixtures_dir / CASSETTES / "TestUpsert.test_upsert__rest.yaml") == 7


@pytest.mark.parametrize(
    "name",
    ["TestCompositeParallelSalesforce.test_errors", "TestCountSObjects.test_count_sobjects_simple"],
)
def test_composite_answers_have_the_recorded_shape(
    org: PracticeOrg, fixtures_dir: Path, name: str
) -> None:
    """Counts and refusals inside composite calls; how many rows there were is the org's own."""
    assert replay(org, fixtures_dir / CASSETTES / f"{name}.yaml", _EXACT - {"totalSize"}) == 1
