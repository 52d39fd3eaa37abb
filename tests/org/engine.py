"""What tests of the engine share: two practice orgs, a plan between them, and a run to its end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from core.bootstrap import Orgbridge
from core.db import runs
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.domain.states import RunState
from core.migration import run as engine
from core.migration.summary import run_document
from core.secret import Secret
from core.services import orgs, plans
from core.services.connecting import ConnectRequest
from core.services.launching import LaunchRequest, launch
from tests.orgs import PracticeOrg

SCHEMA = """
standard: [Account, Contact]
objects:
  Account:
    keep: [Name, Phone, Website, Industry, ParentId, Description, OwnerId]
    fields:
      Legacy_Id__c:
        {type: text, label: Legacy Id, length: 18, external_id: true, unique: true,
         case_sensitive: true}
  Contact:
    keep: [Name, FirstName, LastName, Email, Title, AccountId, ReportsToId, OwnerId, Description]
    fields:
      Legacy_Id__c:
        {type: text, label: Legacy Id, length: 18, external_id: true, unique: true,
         case_sensitive: true}
"""
PLAN = """
orgbridge: 1
name: engine
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
"""


@dataclass
class Pair:
    """A source and a target org, registered."""

    bridge: Orgbridge
    actor: Actor
    source: PracticeOrg
    target: PracticeOrg

    def import_plan(self, text: str = PLAN) -> Any:
        """Keeps a plan; its id."""
        return plans.put(self.bridge, self.actor, parse_plan(text))

    def launch(self, text: str = PLAN, **given: Any) -> str:
        """Launches a plan without a job; the run's name."""
        plan_id = self.import_plan(text)
        return launch(self.bridge, self.actor, plan_id, LaunchRequest(**given), enqueue=False)

    def carry(self, name: str) -> RunState:
        """Carries a run on in this process."""
        with self.bridge.session(self.actor.workspace_id) as session:
            row = runs.run_named(session, name)
        run_id, workspace = row.id, self.actor.workspace_id
        return engine.carry(self.bridge, workspace, run_id, sleep=lambda _: None)

    def run(self, text: str = PLAN, **given: Any) -> dict[str, Any]:
        """Launches a plan, carries it to its end; what `run --json` says."""
        name = self.launch(text, **given)
        self.carry(name)
        return self.document(name)

    def document(self, name: str) -> dict[str, Any]:
        """What `runs show --json` says."""
        with self.bridge.session(self.actor.workspace_id) as session:
            row = runs.run_named(session, name)
            return run_document(row, runs.steps(session, row.id))

    def row(self, name: str) -> runs.RunRow:
        """The run as it stands."""
        with self.bridge.session(self.actor.workspace_id) as session:
            return runs.run_named(session, name)

    def summary(self, document: dict[str, Any]) -> dict[str, Any]:
        """All that the run keeps of itself."""
        with self.bridge.session(self.actor.workspace_id) as session:
            return dict(runs.run_named(session, document["run_id"]).summary)

    def expire_lease(self, name: str) -> None:
        """As if the run's worker had not been heard of for long."""
        with self.bridge.owner_session() as session:
            session.execute(
                text(
                    "UPDATE data_migration SET lease_until = clock_timestamp()"
                    " - interval '1 second' WHERE data_schedule_id = :name"
                ),
                {"name": name},
            )

    def failures(self, name: str) -> list[dict[str, Any]]:
        """Row failures of a run."""
        with self.bridge.session(self.actor.workspace_id) as session:
            row = runs.run_named(session, name)
            return [dict(entry) for entry in runs.failures(session, row.id)]


def connect(bridge: Orgbridge, source: PracticeOrg, target: PracticeOrg) -> Pair:
    """Registers two practice orgs as ``legacy`` and ``new``."""
    actor = Actor(bridge.workspace_id(), None, "terminal:test", Role.ADMIN)
    for name, org in (("legacy", source), ("new", target)):
        said = json.loads((org.home / "ready.json").read_text())
        request = ConnectRequest(
            name=name,
            kind="client_credentials",  # a session that ends can be renewed
            instance_url=org.url,
            client_id=said["client_id"],
            client_secret=Secret(said["client_secret"]),
        )
        orgs.connect(bridge, actor, request)
    return Pair(bridge, actor, source, target)


def line(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The figures of one mapping."""
    return next(entry for entry in document["objects"] if entry["as"] == name)


def check_identity(document: dict[str, Any]) -> None:
    """Read is the sum of the seven (rule 6.1)."""
    seven = ("inserted", "updated", "unchanged", "skipped", "blocked", "failed", "not_processed")
    for entry in document["objects"]:
        assert entry["read"] == sum(entry[name] for name in seven), entry
