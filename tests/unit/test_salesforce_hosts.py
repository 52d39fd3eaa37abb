"""Nothing that a person or a token answer writes may lead into the private network."""

from __future__ import annotations

import pytest

from core.errors import UserError
from core.salesforce import hosts


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("example.my.salesforce.com", "https://example.my.salesforce.com"),
        ("https://Example.my.salesforce.com/home?x=1", "https://example.my.salesforce.com"),
        ("https://example.my.salesforce.com:443", "https://example.my.salesforce.com"),
        ("https://example.lightning.force.com/lightning", "https://example.my.salesforce.com"),
        ("http://127.0.0.1:8601", "http://127.0.0.1:8601"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_acceptable_address_is_reduced_to_scheme_and_host(written: str, url: str) -> None:
    assert hosts.checked_url(written) == url


@pytest.mark.parametrize(
    "written",
    [
        "",
        "http://example.my.salesforce.com",
        "https://10.0.0.1",
        "https://192.168.1.1",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]",
        "https://[::ffff:10.0.0.1]",
        "https://[::127.0.0.1]",
        "https://[64:ff9b:1::7f00:1]",
        "https://[fec0::1]",
        "https://0.0.0.0",
        "https://2130706433",
        "https://0x7f.1",
        "https://intranet",
        "ftp://example.my.salesforce.com",
        "file:///etc/passwd",
        "https://user:secret@example.my.salesforce.com",
        "https://example.com:99999",
        "https://exa mple.com",
        "http://127.0.0.1.example.com",
    ],
)
def test_an_unacceptable_address_is_refused_with_a_reason(written: str) -> None:
    with pytest.raises(UserError) as caught:
        hosts.checked_url(written)
    assert "secret" not in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("10.1.2.3", True),
        ("169.254.169.254", True),
        ("fd00::1", True),
        ("::ffff:192.168.0.1", True),
        ("127.0.0.1", True),
        ("::10.0.0.1", True),
        ("64:ff9b:1::a00:1", True),
        ("fec0::1", True),
        ("ff0e::1", True),
        ("2606:4700::1111", False),
        ("136.146.46.1", False),
        ("garbage", True),
    ],
)
def test_a_connected_peer_must_be_public(address: str, forbidden: bool) -> None:
    assert hosts.is_forbidden_peer(address, loopback_allowed=False) is forbidden


def test_only_salesforce_and_this_machine_are_followed() -> None:
    assert hosts.is_salesforce("https://x--uat.sandbox.my.salesforce.com")
    assert hosts.is_salesforce("http://127.0.0.1:9")
    assert not hosts.is_salesforce("https://salesforce.com.example.org")
    assert not hosts.is_salesforce("https://notsalesforce.com")
