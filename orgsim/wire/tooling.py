"""Placeholder docstring replaced below."""

from __future__ import annotations

from orgsim.wire.router import Rule

RULES: list[Rule] = []
