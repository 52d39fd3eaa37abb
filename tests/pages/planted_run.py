"""A run that stands in the database as an engine leaves it, for the tests of its pages."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import text

from core.bootstrap import Orgbridge
from core.domain.plan import parse_plan
from core.domain.roles import Actor
from core.services import plans
from tests.org.scripted_data import ScriptedData

RUN = "moved-1121-abcde"
PLAN = "{orgbridge: 1, name: Moved, source: Legacy, target: New, objects: [{source: Account}]}"
SUMMARY: dict[str, Any] = {
    "proof": {
        "account": {
            "rows": 7, "missing": 0,
            "compared": {"Code__c": 7, "Name": 7, "ParentId": 7, "Total__c": 7},
            "fields": {"Name": {"automation": 2}}, "lookups": {"ParentId": 5},
            "sums": {"Total__c": {"sent": "10.50", "found": "10.50"}},
        }
    },
    "readers": {"target": {"user": "kim@new.example", "sees_all": False}},
    "rows_before": {"Account": 1}, "rows_after": {"Account": 8},
    "api_calls": {"source": 2, "target": 9},
    "canary": {"asked_percent": 5, "rows": 10, "chosen": 2, "percent": 20.0,
               "objects": {"account": {"rows": 10, "chosen": 2, "percent": 20.0, "roots": 2}}},
    "preflight": {"findings": [{"severity": "warning", "mapping": "account", "field": None,
                                "sentence": "A rule is active.", "rows": 3}]},
}  # fmt: skip
_PLANTED = (
    """INSERT INTO data_migration (id, data_schedule_id, status, mode, plan_id, source_org_id,
         target_org_id, requested_by, started_at, finished_at, summary, buckets)
       SELECT gen_random_uuid(), :run, :status, 'canary', p.id, p.source_org_id, p.target_org_id,
         'mira@acme.example', now() - interval '1 min', now(), CAST(:summary AS jsonb),
         '{"account": {"insert": 10}}' FROM migration_plan p""",
    """INSERT INTO run_step (id, run_id, mapping_name, source_object, target_object, operation,
         phase, status, read_rows, inserted, failed, started_at, finished_at)
       SELECT gen_random_uuid(), id, 'account', 'Account', 'Account', 'upsert', 'load', 'partial',
         10, 7, 3, now() - interval '1 min', now() FROM data_migration""",
    """INSERT INTO row_failure (id, run_id, step_id, source_id, kind, code, message, fields, sent,
         fingerprint)
       SELECT gen_random_uuid(), run_id, id, '00100000000000' || n || 'AAA', 'failed',
         'REQUIRED_FIELD_MISSING', 'Name is blank', '{Name}', '{"Phone": "1"}', 'f'
       FROM run_step, generate_series(1, 3) n""",
)


def planned(bridge: Orgbridge, actor: Actor) -> None:
    """A plan between two orgs, which pages of its runs do not ask."""
    orgs = [ScriptedData(f"00D00000000000{number}EAA") for number in (1, 2)]
    for name, org in zip(("Legacy", "New"), orgs, strict=True):
        org.register(bridge, actor, name)
    for org in orgs:
        org.http.stop()  # both have stood, so no address is given out twice
    plans.create(bridge, actor, parse_plan(PLAN))


def plant(bridge: Orgbridge, actor: Actor, status: str) -> None:
    """A run of ten rows with this status, three of which were refused, and its plan and orgs."""
    planned(bridge, actor)
    wanted = {"run": RUN, "status": status, "summary": orjson.dumps(SUMMARY).decode()}
    with bridge.session(actor.workspace_id) as session:
        for statement in _PLANTED:
            session.execute(text(statement), wanted)
