"""Tests of this tier may start practice orgs."""

from __future__ import annotations

from tests.orgs import module_practice_org, practice_org

__all__ = ["module_practice_org", "practice_org"]
