"""Long work: who carries it, when it is fired, and how it survives the death of who carried it.

    schedule (fires) ─┐
    services (launch) ┴▶ queue (a procrastinate job in the caller's transaction)
                              └▶ worker (a process) ─▶ core.operations.registry ─▶ run
    janitor: gives jobs of dead workers back to the queue

A job's arguments are ids only. A job may be carried twice (a killed worker, a paused one that wakes
up): what makes that safe is the run's own lease and fence, not the queue.
"""

from __future__ import annotations
