"""The fixtures of most engine tests: two practice orgs that a module shares, empty for every test.

orgs = two_orgs(SCHEMA)
pair = empty_pair("Contact", "Account")
"""

from __future__ import annotations

from typing import Any

import pytest

from core.bootstrap import Orgbridge
from tests.org.engine import Pair, connect
from tests.org.pairs import emptied
from tests.orgs import PracticeOrg, PracticeOrgs


def two_orgs(source: str, target: str = "") -> Any:
    """The fixture ``orgs`` of a module: a start takes seconds, so its tests share them.

    Args:
        source: the source's schema, as YAML.
        target: the target's, if it is another one.
    """

    @pytest.fixture(scope="module", name="orgs")
    def made(module_practice_org: PracticeOrgs) -> tuple[PracticeOrg, PracticeOrg]:
        return (
            module_practice_org(name="Legacy", schema=source),
            module_practice_org(name="New", schema=target or source),
        )

    return made


def empty_pair(*objects: str) -> Any:
    """The fixture ``pair``: the two orgs connected, without faults and rows.

    Args:
        objects: what the tests put into them, children first; none leaves the rows there.
    """

    @pytest.fixture(name="pair")
    def made(bridge: Orgbridge, orgs: tuple[PracticeOrg, PracticeOrg]) -> Pair:
        for org in orgs:
            org.begin_afresh()
            emptied(org, *objects)
        return connect(bridge, *orgs)

    return made
