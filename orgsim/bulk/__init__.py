"""Bulk API 2.0 of the practice org: ingest jobs and query jobs.

    endpoints (HTTP) ── ledger (job rows in the store) ── worker (threads) ──▶ ingest | query
                                                                               │
    csv_file (upload: bytes ⇄ frames)      results (files per job) ◀───────────┘

Jobs, uploads and results outlive the process. A batch is one transaction of the store together with
the row that says it is done, so that a killed job goes on where it was, writing nothing twice.
"""

from __future__ import annotations
