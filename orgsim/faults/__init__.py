"""Faults on demand: what an org does on a bad day, planted by a test and gone when it is over.

    book        the planted faults, counted down, kept in a file
    asgi        those of HTTP: statuses, delays, lost connections, outages
    endpoints   /_sim/faults
    latency     waits of calls and jobs as those of an org far away, /_sim/delays

Those of bulk jobs and of rows are asked for by the rooms that have jobs and rows.
"""

from __future__ import annotations

from orgsim.faults.book import BulkFault, FaultBook, FaultError, HttpFault

__all__ = ["BulkFault", "FaultBook", "FaultError", "HttpFault"]
