"""What never changes, what goes with its parent, and what outlives it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from core.access import audit
from core.bootstrap import Orgbridge
from core.db.models import AuditLog, Base, DataMigration, RegisteredOrg
from core.domain.roles import Actor, Role
from core.errors import ConflictError
from core.secret import MASK, Secret
from tests.db.planting import plant, workspace

ADMIN_NAME = "ada@example.org"

#: tables whose rows go with a run
GO_WITH_RUN = {
    "run_step",
    "run_chunk",
    "row_failure",
    "run_event",
    "run_key",
    "object_mapping",
    "migration_log",
    "idempotency_key",
    "approval",
}
#: tables whose rows go with an org
GO_WITH_ORG = {
    "file_set",
    "field_mapping",
    "describe_cache",
    "automation_snapshot",
    "duplicate_decision",
    "notification_rule",
}


@pytest.fixture
def actor(bridge: Orgbridge) -> Actor:
    """An admin of the main workspace."""
    return Actor(bridge.workspace_id(), None, ADMIN_NAME, Role.ADMIN, "127.0.0.1")


@pytest.mark.parametrize("role", ["app", "owner"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_log SET actor = 'nobody'", "DELETE FROM audit_log", "TRUNCATE audit_log"],
)
def test_audit_rows_never_change(
    bridge: Orgbridge, actor: Actor, role: str, statement: str
) -> None:
    """Neither the app nor the tables' owner can rewrite what happened."""
    with bridge.session(actor.workspace_id) as session:
        audit.record(session, actor, "org.renamed", subject_kind="org", after={"name": "x"})
    opened = bridge.session(actor.workspace_id) if role == "app" else bridge.owner_session()

    with pytest.raises(DBAPIError, match=r"history|permission denied"), opened as session:
        session.execute(sa.text(statement))

    with bridge.session(actor.workspace_id) as session:
        assert session.scalars(sa.select(AuditLog.actor)).all() == [ADMIN_NAME]


def test_plan_versions_never_change(bridge: Orgbridge) -> None:
    """The database itself keeps a version as it was cut, also from the owner."""
    with bridge.owner_session() as session:
        plant(session, workspace(session, "A"))

    with (
        pytest.raises(DBAPIError, match="refuses UPDATE"),
        bridge.owner_session() as session,
    ):
        session.execute(sa.text("UPDATE plan_version SET document = '{}'"))


def test_audit_masks_secrets_and_reads_structures(bridge: Orgbridge, actor: Actor) -> None:
    """By type and by name, at any depth."""
    after = {
        "role": Role.APPROVER,
        "orgs": [{"access_token": "plain text", "name": "Legacy"}],
        "held": Secret("s3cret"),
    }
    with bridge.session(actor.workspace_id) as session:
        audit.record(session, actor, "x.y", subject_kind="x", after=after)
        stored = session.scalar(sa.select(AuditLog.after))

    assert stored == {
        "role": "approver",
        "orgs": [{"access_token": MASK, "name": "Legacy"}],
        "held": MASK,
    }


def test_audit_row_and_act_stand_or_fall_together(bridge: Orgbridge, actor: Actor) -> None:
    """An act that is rolled back leaves no trace of having happened."""
    with pytest.raises(ConflictError), bridge.session(actor.workspace_id) as session:
        audit.record(session, actor, "x.y", subject_kind="x")
        raise ConflictError("on purpose")

    with bridge.session(actor.workspace_id) as session:
        assert session.scalars(sa.select(AuditLog.id)).all() == []


def test_deleting_a_run_takes_its_logs_and_mappings(bridge: Orgbridge) -> None:
    """The canonical cascade, and everything new below a run; the ledger and the plan stay."""
    with bridge.owner_session() as session:
        workspace_id = workspace(session, "A")
        plant(session, workspace_id)
    before = counts(bridge, workspace_id)

    with bridge.session(workspace_id) as session:
        session.execute(sa.delete(DataMigration))

    after = counts(bridge, workspace_id)
    gone = {name for name in before if after[name] < before[name]}
    logs = {name for name in before if name.endswith("_log")} - {"audit_log", "notification_log"}
    assert gone == {"data_migration"} | GO_WITH_RUN | logs
    assert after["record_link"] == after["migration_plan"] == after["plan_version"] == 1


def test_deleting_an_org_keeps_its_history(bridge: Orgbridge) -> None:
    """Field mappings go, runs and logs stay with the reference set to null."""
    with bridge.owner_session() as session:
        workspace_id = workspace(session, "A")
        plant(session, workspace_id)
    before = counts(bridge, workspace_id)

    with bridge.session(workspace_id) as session:
        session.execute(sa.delete(RegisteredOrg))

    after = counts(bridge, workspace_id)
    gone = {name for name in before if after[name] < before[name]}
    with bridge.session(workspace_id) as session:
        run = session.scalars(sa.select(DataMigration)).one()
    assert gone == {"registered_org"} | GO_WITH_ORG
    assert (run.source_org_id, run.target_org_id) == (None, None)


def test_name_and_address_of_an_org_are_unique_within_a_workspace(bridge: Orgbridge) -> None:
    """Two workspaces may register the same org; one workspace may not do so twice."""
    address = {"domain_name": "x.my.salesforce.com", "instance_url": "https://x.my.salesforce.com"}
    with bridge.owner_session() as session:
        a, b = workspace(session, "A"), workspace(session, "B")
        plant(session, a, **address)
        plant(session, b, **address)

    for name, value in address.items():
        with pytest.raises(DBAPIError, match="unique"), bridge.session(a) as session:
            values: dict[str, Any] = {
                "name": "again",
                "domain_name": "other",
                "instance_url": "https://other",
                "access_token": "",
                "environment": "sandbox",
                "auth_kind": "access_token",
                name: value,
            }
            session.execute(sa.insert(RegisteredOrg).values(values))


def counts(bridge: Orgbridge, workspace_id: UUID) -> dict[str, int]:
    """Rows of a workspace per table."""
    with bridge.owner_session() as session:
        return {
            table.name: session.scalar(
                sa.select(sa.func.count())
                .select_from(table)
                .where(table.c.workspace_id == workspace_id)
            )
            or 0
            for table in Base.metadata.sorted_tables
            if "workspace_id" in table.c
        }
