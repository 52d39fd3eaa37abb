"""The Orgs pages: cards and one org's page tell how far the reading of its objects is."""

from __future__ import annotations

from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.services import orgs
from tests.org.connected import connect
from tests.orgs import PracticeOrgs, practice_org

from .conftest import Opened
from .test_pages import drawn

__all__ = ["practice_org"]


def test_card_and_page_follow_the_reading_of_an_orgs_objects(
    bridge: Orgbridge, actor: Actor, practice_org: PracticeOrgs, opened: Opened
) -> None:
    org = practice_org(name="Northwind")
    org_id = connect(bridge, "northwind", org)
    waiting = opened("prepare/orgs.py")
    assert "metadata waits for a worker" in drawn(waiting)
    assert "never" not in drawn(waiting)
    body = [{"message": "entity type cannot be described", "errorCode": "INVALID_TYPE"}]
    path = "/sobjects/Contact/describe"
    org.plant({"kind": "http", "path": path, "status": 400, "body": body, "times": 0})

    orgs.refresh_metadata(bridge, actor, org_id)

    waiting.query_params["org"] = str(org_id)
    page = waiting.run()
    assert not page.exception
    assert "metadata read" in drawn(page)
    assert [one.label for one in page.expander] == ["1 object could not be described"]
    assert "cannot be described" in drawn(page)
    (listed,) = page.dataframe
    fields = listed.value.set_index("name")["fields"]
    assert fields["Account"] > 10 and fields.isna().sum() == 1


def test_refreshing_from_the_page_queues_it(
    bridge: Orgbridge, actor: Actor, practice_org: PracticeOrgs, opened: Opened
) -> None:
    org_id = connect(bridge, "northwind", practice_org(name="Northwind"))
    orgs.refresh_metadata(bridge, actor, org_id)

    page = opened("prepare/orgs.py", org=str(org_id))
    page.button(key="org.refresh").click().run()

    assert not page.exception
    assert orgs.org(bridge, actor, org_id).describing.state.is_moving


def test_a_link_to_an_org_that_was_removed_says_so_and_leads_on(opened: Opened) -> None:
    page = opened("prepare/orgs.py", org="00000000-0000-0000-0000-000000000000")

    assert page.title[0].value == "Org"
    assert page.error
    page.button(key="org.back").click().run()
    assert page.title[0].value == "Orgs"
