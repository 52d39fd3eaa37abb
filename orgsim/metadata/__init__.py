"""The org's metadata as rows and as changes: the Tooling API and the definition objects."""

from __future__ import annotations
