"""Slow answers and refused refreshes of a practice org, as the client and the card meet them."""

from __future__ import annotations

import time

import pytest

from core.bootstrap import Orgbridge
from core.domain.roles import Actor
from core.errors import SessionLostError, TransientError
from core.salesforce.client import OrgClient
from core.salesforce.credentials import Credentials
from core.salesforce.retry import Patience, RetryPolicy, Timeouts
from core.secret import Secret
from core.services import orgs
from core.services.orgs import ConnectRequest
from tests.org.connected import admin as admin_of
from tests.orgs import PracticeOrg, PracticeOrgs

SLOW_S = 0.8
#: long enough for an answer while the machine is busy
WAIT_S = 4.0


@pytest.fixture
def org(practice_org: PracticeOrgs) -> PracticeOrg:
    return practice_org(name="Slow", schema="standard: [Account]")


@pytest.fixture
def admin(bridge: Orgbridge) -> Actor:
    return admin_of(bridge)


def client_of(org: PracticeOrg, *, read_s: float = 60.0, attempts: int = 2) -> OrgClient:
    return OrgClient(
        Credentials(instance_url=org.url, access_token=Secret(org.access_token)),
        sleep=lambda _: None,
        patience=Patience(
            policy=RetryPolicy(attempts=attempts),
            timeouts=Timeouts(connect_s=15.0, read_s=read_s, write_s=read_s),
        ),
    )


def test_a_slow_answer_is_waited_for_within_the_time_allowed(org: PracticeOrg) -> None:
    client = client_of(org)
    client.count("SELECT COUNT() FROM Account")
    org.plant({"kind": "http", "path": "/query", "delay_s": SLOW_S})
    began = time.monotonic()

    assert client.count("SELECT COUNT() FROM Account") == 0

    assert time.monotonic() - began >= SLOW_S


def test_a_read_that_takes_too_long_is_asked_for_again(org: PracticeOrg) -> None:
    """The first answer never comes; the second sending gets one."""
    org.plant({"kind": "http", "path": "/query", "hold": "before"})

    assert client_of(org, read_s=WAIT_S, attempts=6).count("SELECT COUNT() FROM Account") == 0


def test_when_no_answer_comes_in_time_the_reason_says_so(org: PracticeOrg) -> None:
    org.plant({"kind": "http", "path": "/query", "hold": "before", "times": 0})

    with pytest.raises(TransientError, match="sent nothing within the time allowed"):
        client_of(org, read_s=WAIT_S, attempts=1).count("SELECT COUNT() FROM Account")
    org.clear_faults()


def test_a_refused_refresh_shows_on_the_card_and_ends_with_the_next_good_one(
    bridge: Orgbridge, admin: Actor, org: PracticeOrg
) -> None:
    said = org.json("GET", "/_sim/org")
    request = ConnectRequest(
        name="slow",
        kind="client_credentials",
        instance_url=org.url,
        client_id=said["client_id"],
        client_secret=Secret(said["client_secret"]),
    )
    org_id = orgs.connect(bridge, admin, request)
    org.plant({"kind": "http", "preset": "refresh"})
    org.json("POST", "/_sim/expire")

    with pytest.raises(SessionLostError):
        orgs.check_health(bridge, admin, org_id)
    lost = orgs.org(bridge, admin, org_id)
    org.clear_faults()
    found = orgs.check_health(bridge, admin, org_id)

    assert lost.status == "session_expired"
    assert "expired access/refresh token" in (lost.status_reason or "")
    assert (found.status, found.status_reason) == ("connected", None)
