"""Schemas and rows to begin with: the practice pair, and readers of other people's data sets.

catalogue (northwind) ─┐
cumulusci · sf_tree ───┼──▶ Table ── place ──▶ the org's store, ids given, references resolved
csv_folder (SFDMU) ────┘
describes ──▶ schema documents from recorded describes and from condensed schema dumps
"""

from __future__ import annotations
