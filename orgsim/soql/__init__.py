"""Query language of the practice org: SOQL text to DuckDB SQL to the records of the REST API.

    text ── parser ──▶ ast ── compiler (schema) ──▶ Statement (SQL + shape) ── runner (store) ──▶
    JSON records

It does not know HTTP (``routes`` does) and writes nothing.
"""

from __future__ import annotations
