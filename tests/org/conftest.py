"""Tests of this tier may start practice orgs, and orgs that answer by script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.org.scripted_org import ScriptedOrg
from tests.orgs import module_practice_org, practice_org

__all__ = ["module_practice_org", "practice_org"]


@pytest.fixture
def org() -> Iterator[ScriptedOrg]:
    """An org that answers by script; modules that want a practice org define their own."""
    scripted = ScriptedOrg()
    yield scripted
    scripted.stop()


@pytest.fixture
def waits() -> list[float]:
    """How long a client waited, in place of waiting."""
    return []
