"""The checks before a launch, for pages, terminal and REST alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.access import roles
from core.db import late
from core.db import orgs as org_rows
from core.db import plans as plan_rows
from core.domain.findings import Finding, Severity
from core.domain.roles import Role
from core.errors import UserError
from core.migration.checking import document as finding_document
from core.migration.preflight import PreflightInput, PreflightReport, preflight
from core.migration.preflight.inputs import SCAN_ROWS
from core.migration.preflight.schema import schema_findings
from core.services import plans

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor


@dataclass(frozen=True, slots=True)
class Report:
    """A plan's preflight as the front doors show it."""

    plan: str
    preflight: PreflightReport

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, blockers first."""
        return self.preflight.findings

    @property
    def ready(self) -> bool:
        """Nothing keeps the plan from being launched."""
        return self.preflight.is_ready

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        counts = {str(severity): self.preflight.count(severity) for severity in Severity}
        return {
            "plan": self.plan,
            "ready": self.ready,
            "counts": counts,
            "rows": dict(self.preflight.rows),
            "api_calls": self.preflight.api_calls,
            "loads": {
                name: {"rows": self.preflight.rows[name], "api": api, "requests": requests}
                for name, (api, requests) in self.preflight.loads.items()
            },
            "waves": [list(wave) for wave in self.preflight.order.waves],
            "findings": [finding_document(finding) for finding in self.findings],
        }


def check(bridge: Orgbridge, actor: Actor, plan_id: UUID, *, scan_rows: int = SCAN_ROWS) -> Report:
    """Runs every check on the plan's draft; reads only.

    Args:
        scan_rows: rows of one object whose values are looked at; beyond, findings say that they
            saw a part (rule 8.6).

    Cost: about ten calls and a few per object; see core.migration.preflight.

    Raises:
        UserError: an org of the plan is not connected.
    """
    roles.require(actor, Role.VIEWER)
    view = plans.plan(bridge, actor, plan_id)
    source_id, target_id = view.row.source_org_id, view.row.target_org_id
    if source_id is None or target_id is None:
        name = view.plan.source if source_id is None else view.plan.target
        raise UserError(
            f"The org {name} of the plan {view.row.name} is not connected.",
            state="Nothing was checked.",
            next_step="Connect it under this name first.",
        )
    with bridge.session(actor.workspace_id) as session:
        target = org_rows.org_row(session, target_id)
        others = plan_rows.runs_writing_into(session, target.org_id or "")
        stopped = late.stopped_inserts(
            session,
            source_org_id=source_id,
            target_org_id=target_id,
            mappings=[entry.name for entry in view.plan.objects],
        )
        given = PreflightInput(
            plan=view.plan,
            source=bridge.row_source(actor.workspace_id, source_id),
            target=bridge.org_client(actor.workspace_id, target_id),
            other_runs=others,
            stopped_runs=stopped,
            is_read_only=target.read_only,
            scan_rows=scan_rows,
            refresh=True,
        )
    return Report(view.row.name, preflight(given, schema_checks=schema_findings))
