"""Schemas and rows to begin with: the practice pair, and readers of other people's data sets.

catalogue (northwind) ─┐
cumulusci · sf_tree ───┼──▶ Table ── place ──▶ an org: rows saved, references resolved
csv_folder (SFDMU) ────┘
"""

from __future__ import annotations
