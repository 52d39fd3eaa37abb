"""Plans keep every edit, every version and tell the second of two people."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from core.bootstrap import Orgbridge
from core.db import orgs as org_rows
from core.db import plans as plan_rows
from core.db import runs
from core.db.models import RegisteredOrg
from core.domain.plan import CopyRule, parse_plan
from core.domain.roles import Actor, Role
from core.errors import ConflictError, NotAllowedError, NotFoundError, UserError
from core.plans import editing
from core.plans.editing import FieldPlace
from core.services import plans
from tests.orgs import wait_for

TEXT = """
orgbridge: 1
name: sales
source: legacy
target: new
objects:
  - source: Account
    fields: {Name: Name}
"""


@pytest.fixture
def ann(bridge: Orgbridge) -> Actor:
    return Actor(bridge.workspace_id(), None, "ann@x.example", Role.ANALYST)


def test_an_imported_plan_comes_back_as_the_same_file(bridge: Orgbridge, ann: Actor) -> None:
    plans.import_plan(bridge, ann, TEXT)

    assert parse_plan(plans.export(bridge, ann, name="sales")) == parse_plan(TEXT)
    (row,) = plans.plans(bridge, ann)
    assert (row.name, row.revision, row.newest_version) == ("sales", 1, 0)


def test_a_wrong_file_saves_nothing(bridge: Orgbridge, ann: Actor) -> None:
    with pytest.raises(UserError, match="objects"):
        plans.import_plan(bridge, ann, TEXT.replace("source: Account", "sourse: Account"))

    assert plans.plans(bridge, ann) == ()


def test_of_two_people_saving_the_second_is_told(bridge: Orgbridge, ann: Actor) -> None:
    plan_id = plans.import_plan(bridge, ann, TEXT)
    read = plans.plan(bridge, ann, plan_id)
    at = FieldPlace("account", "Phone")
    mine = editing.set_rule(read.plan, at, CopyRule(source="Phone"))
    theirs = editing.set_rule(read.plan, at, CopyRule(source="Tel__c"))
    assert plans.save(bridge, ann, plan_id, document=theirs, revision=1) == 2

    with pytest.raises(ConflictError, match=r"ann@x\.example saved this plan"):
        plans.save(bridge, ann, plan_id, document=mine, revision=1)

    assert plans.plan(bridge, ann, plan_id).plan == theirs


def test_a_version_is_cut_once_per_document_and_restored_without_loss(
    bridge: Orgbridge, ann: Actor
) -> None:
    plan_id = plans.import_plan(bridge, ann, TEXT)
    first = plans.cut_version(bridge, ann, plan_id, label="agreed")
    assert plans.cut_version(bridge, ann, plan_id).number == first.number
    before = plans.plan(bridge, ann, plan_id)
    changed = editing.skip_field(before.plan, FieldPlace("account", "Name"))
    plans.save(bridge, ann, plan_id, document=changed, revision=before.row.revision)

    (change, *_rest) = plans.compare_versions(bridge, ann, plan_id, old=1)
    plans.restore(bridge, ann, plan_id, number=1)

    assert change.place == "account.fields.Name"
    assert plans.plan(bridge, ann, plan_id).plan == before.plan
    kept = plans.versions(bridge, ann, plan_id)
    assert [version.number for version in kept] == [2, 1]
    assert plans.version_plan(bridge, ann, plan_id, number=2) == changed


def test_a_restored_version_brings_objects_back_not_the_orgs_of_then(
    bridge: Orgbridge, ann: Actor
) -> None:
    """Otherwise the draft would name one target while the plan writes into another."""
    plan_id = plans.import_plan(bridge, ann, TEXT)
    plans.cut_version(bridge, ann, plan_id)
    plans.rename(bridge, ann, plan_id, name="sales today")
    before = plans.plan(bridge, ann, plan_id)
    elsewhere = before.plan.model_copy(update={"target": "staging"})
    skipped = editing.skip_field(elsewhere, FieldPlace("account", "Name"))
    plans.save(bridge, ann, plan_id, document=skipped, revision=before.row.revision)

    plans.restore(bridge, ann, plan_id, number=1)

    restored = plans.plan(bridge, ann, plan_id).plan
    assert (restored.name, restored.target) == ("sales today", "staging")
    assert restored.objects == before.plan.objects


@pytest.mark.parametrize("what", ["plan", "org"])
def test_nothing_is_deleted_under_a_launch_that_is_being_made(
    bridge: Orgbridge, ann: Actor, what: str
) -> None:
    """Who deletes waits for the launch's transaction, and then sees its run."""
    plan_id = plans.import_plan(bridge, ann, TEXT)
    version = plans.cut_version(bridge, ann, plan_id)
    with bridge.session(ann.workspace_id) as session:
        org = RegisteredOrg(
            name="new", domain_name="new.example", instance_url="https://new.example",
            access_token="-", environment="sandbox", auth_kind="access_token",
        )  # fmt: skip
        session.add(org)
        session.flush()
        org_id = org.id

    def delete() -> None:
        with bridge.session(ann.workspace_id) as session:
            if what == "org":
                org_rows.remove_org(session, org_id)
            else:
                now = datetime.now(UTC)
                plan_rows.remove_plan(session, plan_id, at=now, by="bob")

    def waits() -> bool:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        with bridge.owner_session() as session:
            found = session.scalar(sa.text(f"{waiting} AND datname = current_database()"))
        return bool(found) or deleting.done()

    with ThreadPoolExecutor(1) as pool:
        with bridge.session(ann.workspace_id) as session:
            plan_rows.hold_plan(session, plan_id)
            org_rows.hold_orgs(session, org_id)
            new = runs.NewRun(
                mode="full", plan_id=plan_id, plan_version_id=version.id, source_org_id=org_id,
                target_org_id=org_id, target_organization_id="00D", requested_by="ann",
                wrapped_key=bridge.spool.new_wrapped_key(), options={},
            )  # fmt: skip
            deleting = pool.submit(delete)
            wait_for(waits, 120)
            runs.add_run(session, new, name="launched")
        with pytest.raises(ConflictError, match="launched"):
            deleting.result(timeout=120)


def test_nothing_is_launched_by_what_was_deleted_meanwhile(bridge: Orgbridge, ann: Actor) -> None:
    plan_id = plans.import_plan(bridge, ann, TEXT)
    plans.remove(bridge, ann, plan_id, confirm=plans.plan(bridge, ann, plan_id).row.name)

    with bridge.session(ann.workspace_id) as session:
        with pytest.raises(NotFoundError, match="deleted"):
            plan_rows.hold_plan(session, plan_id)
        with pytest.raises(NotFoundError, match="removed"):
            org_rows.hold_orgs(session, uuid7())


def test_a_name_that_no_plan_file_could_hold_is_refused(bridge: Orgbridge, ann: Actor) -> None:
    """A copy under such a name could neither be opened nor deleted."""
    plan_id = plans.import_plan(bridge, ann, TEXT)
    for name, said in (("x" * 201, "at most 200 characters"), (" \n ", "needs a name")):
        with pytest.raises(UserError, match=said):
            plans.copy(bridge, ann, plan_id, name=name)
        with pytest.raises(UserError, match=said):
            plans.rename(bridge, ann, plan_id, name=name)
    with pytest.raises(UserError, match="at most 200 characters"):
        plans.cut_version(bridge, ann, plan_id, label="x" * 201)

    plans.rename(bridge, ann, plan_id, name=f" {'y' * 200} ")

    (row,) = plans.plans(bridge, ann)
    assert row.name == "y" * 200
    assert plans.cut_version(bridge, ann, plan_id, label="  ").label is None


def test_a_name_is_taken_until_the_plan_is_deleted(bridge: Orgbridge, ann: Actor) -> None:
    plan_id = plans.import_plan(bridge, ann, TEXT)
    other = plans.copy(bridge, ann, plan_id, name="sales 2")
    with pytest.raises(UserError, match="exists already"):
        plans.rename(bridge, ann, other, name="sales")
    with pytest.raises(UserError, match="typed name"):
        plans.remove(bridge, ann, plan_id, confirm="Sales")

    plans.remove(bridge, ann, plan_id, confirm="sales")
    plans.rename(bridge, ann, other, name="sales")

    assert [row.name for row in plans.plans(bridge, ann)] == ["sales"]
    with pytest.raises(NotFoundError):
        plans.plan(bridge, ann, plan_id)


def test_a_viewer_reads_and_changes_nothing(bridge: Orgbridge, ann: Actor) -> None:
    plan_id = plans.import_plan(bridge, ann, TEXT)
    viewer = Actor(ann.workspace_id, None, "vic@x.example", Role.VIEWER)

    assert plans.plan(bridge, viewer, plan_id).row.name == "sales"
    with pytest.raises(NotAllowedError):
        plans.cut_version(bridge, viewer, plan_id)
    with pytest.raises(NotAllowedError):
        plans.remove(bridge, viewer, plan_id, confirm="sales")
