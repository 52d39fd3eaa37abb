"""The rows of one org: a DuckDB file with one typed table per object."""

from __future__ import annotations

from orgsim.store.store import Store, Transaction

__all__ = ["Store", "Transaction"]
