"""Describes of the practice org against what real orgs said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.org.described import differences, recorded_describes
from tests.orgs import PROJECT, PracticeOrg, PracticeOrgs

RECORDINGS = "A_api_responses"


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """An org with the whole library and nothing else."""
    return module_practice_org()


def documented() -> dict[str, set[str]]:
    """Return the differences that docs/practice-orgs.md admits, by recording."""
    text = (PROJECT / "docs" / "practice-orgs.md").read_text(encoding="utf-8")
    block = text.split("```text describe-differences\n", 1)[1].split("```", 1)[0]
    found: dict[str, set[str]] = {}
    recording = ""
    for line in block.splitlines():
        if not line.startswith("  "):
            recording = line
            found[recording] = set()
        else:
            found[recording].add(line.strip())
    return found


def test_describes_differ_from_recordings_only_where_the_docs_say_so(
    org: PracticeOrg, fixtures_dir: Path
) -> None:
    """Every recorded standard object, key by key; a difference that went away leaves the docs
    too."""
    known = {one["name"] for one in org.json("GET", "sobjects")["sobjects"]}
    found: dict[str, set[str]] = {}
    for recording, recorded in recorded_describes(fixtures_dir / RECORDINGS):
        if recorded["name"] in known:
            ours = org.json("GET", f"sobjects/{recorded['name']}/describe")
            found.setdefault(recording, set()).update(differences(recorded, ours, known))

    told = documented()
    assert set(found) == set(told)
    for recording, lines in found.items():
        assert lines - told[recording] == set(), f"{recording}: not in docs/practice-orgs.md"
        assert told[recording] - lines == set(), f"{recording}: no longer so"


def test_every_field_has_the_57_keys_in_order(org: PracticeOrg, fixtures_dir: Path) -> None:
    """The keys and their order are those of the recorded Account."""
    recorded = next(d for n, d in recorded_describes(fixtures_dir / RECORDINGS)
                    if n == "cumulusci_describes/Account")  # fmt: skip
    keys = list(recorded["fields"][0])

    assert len(keys) == 57
    for name in ("Account", "Opportunity", "User", "Product2", "Task"):
        for field in org.json("GET", f"sobjects/{name}/describe")["fields"]:
            assert list(field) == keys, f"{name}.{field['name']}"


def test_describe_global_items_have_the_recorded_keys(org: PracticeOrg, fixtures_dir: Path) -> None:
    """Exactly the keys of the recorded list, for every object."""
    path = fixtures_dir / RECORDINGS / "cumulusci_describes" / "describe_Global.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))
    ours = org.json("GET", "sobjects")

    assert {key for key in ours if key != "sobjects"} == {
        key for key in recorded if key != "sobjects"
    }
    keys = set(recorded["sobjects"][0])
    for one in ours["sobjects"]:
        assert set(one) == keys, one["name"]


def test_a_recorded_describe_is_served_as_it_was_recorded(
    practice_org: PracticeOrgs, fixtures_dir: Path
) -> None:
    """A schema made from describes gives back every field word for word."""
    path = fixtures_dir / RECORDINGS / "cumulusci_describes" / "describe_Contact.json"
    org = practice_org(schema=path)
    recorded = next(d for n, d in recorded_describes(path.parent) if d["name"] == "Contact")
    served = org.json("GET", "sobjects/Contact/describe")

    assert served["fields"] == recorded["fields"]
    assert org.json("POST", "sobjects/Contact", {"LastName": "X"})["success"]
