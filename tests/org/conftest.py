"""Tests of this tier may start practice orgs."""

from __future__ import annotations

from tests.orgs import practice_org

__all__ = ["practice_org"]
