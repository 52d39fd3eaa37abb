"""Real data sets in practice orgs: loaded once per module, moved, compared record by record."""

from __future__ import annotations

from tests.orgs import module_practice_org, practice_org

__all__ = ["module_practice_org", "practice_org"]
