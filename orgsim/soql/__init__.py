"""Query language of the practice org: SOQL text to DuckDB SQL to the records of the REST API.

    text ── parser ──▶ ast ── compiler (schema) ──▶ Plan (SQL + shape) ── runner ──▶ JSON records
                                                       └── orgsim/bulk/query ──▶ CSV

Only ``endpoints`` knows HTTP. Nothing here writes rows.
"""

from __future__ import annotations
