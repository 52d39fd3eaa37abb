"""What is asked before anything is sent: would this plan work, on these orgs, with this data?

    PreflightInput ─┬─ orgs.py        users' permissions, allowances, storage, which org it is
                    ├─ objects.py     objects there and writeable by the operation, counts
                    ├─ automation.py  rules, triggers and flows that will fire in the target
                    ├─ keys.py        keys filled, unique, on both sides
                    ├─ values.py      picklists, owners, record types against what the source holds
                    └─ domain checks  schema against schema (core.domain)
                          ▼
                    PreflightReport: findings by weight

Every check only reads. One that cannot run answers with an *unknown* finding instead of failing the
others. What a check costs in calls stands in its docstring.
"""

from __future__ import annotations

from core.migration.preflight.inputs import PreflightInput
from core.migration.preflight.report import PreflightReport, preflight

__all__ = ["PreflightInput", "PreflightReport", "preflight"]
