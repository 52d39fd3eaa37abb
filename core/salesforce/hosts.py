"""Which hosts we will talk to: https anywhere public, http on this machine only.

An instance URL is text that a person or a token answer gave. Nothing in it may make this process
call into the private network around it, so the address is checked twice: as written, and once more
on the connected socket before a byte is sent (a name can change its address between the two).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from core.domain.addresses import address_of, is_public
from core.errors import UserError

#: hosts of Salesforce itself, where a token answer may send us (My Domain, sandboxes, login)
SALESFORCE_DOMAINS = (
    "salesforce.com",
    "force.com",
    "salesforce.mil",
    "sfcrmproducts.cn",
    "cloudforce.com",
    "database.com",
)
_LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost"})
_HOST = re.compile(r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")


def checked_url(text: str, *, what: str = "instance URL") -> str:
    """``scheme://host[:port]`` of the text, or a sentence saying why it is not acceptable.

    A bare host gets ``https://``; a Lightning page address becomes the org's API host.

    Raises:
        UserError: not a host, a private address, plain http beyond this machine, a user in it.
    """
    written = text.strip()
    if "://" not in written:
        written = f"https://{written}"
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError as exc:
        raise _unfit(text, what, "it is not a web address") from exc
    host = (parts.hostname or "").lower()
    if not host or parts.scheme not in {"http", "https"}:
        raise _unfit(text, what, "it must start with https:// and name a host")
    if parts.username or parts.password:
        raise _unfit(text, what, "it must not carry a user or password")
    host = _api_host(host)
    reason = _host_fault(host, parts.scheme)
    if reason:
        raise _unfit(text, what, reason)
    shown = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown}" + (f":{port}" if port and port != default else "")


def place(url: str) -> str:
    """Host of a URL as a message names it, with the port where one is written."""
    return urlsplit(url).netloc.rpartition("@")[2]


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine, as written."""
    host = (urlsplit(url).hostname or "").lower()
    if host in _LOOPBACK_NAMES:
        return True
    address = address_of(host)
    return address is not None and address.is_loopback


def is_salesforce(url: str) -> bool:
    """Whether the URL's host belongs to Salesforce (or is this machine: a practice org)."""
    host = (urlsplit(url).hostname or "").lower()
    return is_loopback(url) or any(
        host == domain or host.endswith("." + domain) for domain in SALESFORCE_DOMAINS
    )


def same_host(url: str, other: str) -> bool:
    """Whether two URLs name the same scheme, host and port."""
    left, right = urlsplit(url), urlsplit(other)
    return (left.scheme, left.netloc.lower()) == (right.scheme, right.netloc.lower())


def is_forbidden_peer(address: str, *, loopback_allowed: bool) -> bool:
    """Whether a connected socket's address lies where no org can be (private, link-local …)."""
    peer = address_of(address)
    if peer is None:
        return True
    if peer.is_loopback:
        return not loopback_allowed
    return not is_public(peer)


def _host_fault(host: str, scheme: str) -> str:
    address = address_of(host)
    loopback = host in _LOOPBACK_NAMES or (address is not None and address.is_loopback)
    if scheme == "http" and not loopback:
        return "plain http is accepted for this machine only; use https"
    if loopback:
        return ""
    if address is not None and not is_public(address):
        return "it is a private or reserved address"
    if address is None and (not _HOST.match(host) or "." not in host or _looks_numeric(host)):
        return "it does not name a public host"
    return ""


def _looks_numeric(host: str) -> bool:
    # "2130706433" and "0x7f.1" are resolved to 127.0.0.1 by some resolvers
    return bool(re.fullmatch(r"(0x[0-9a-f]+|\d+)(\.(0x[0-9a-f]+|\d+))*", host))


def _api_host(host: str) -> str:
    """The API host of a Lightning or Setup page address (those hosts answer no API)."""
    for suffix in (".lightning.force.com", ".my.salesforce-setup.com"):
        if host.endswith(suffix):
            return host.removesuffix(suffix) + ".my.salesforce.com"
    return host


def _unfit(text: str, what: str, reason: str) -> UserError:
    shown = re.sub(r"//[^/@]*@", "//…@", text.strip())[:200]
    return UserError(
        f"“{shown}” cannot be used as {what}: {reason}.",
        state="No request was sent.",
        next_step="Give the org's own address, such as https://example.my.salesforce.com.",
    )
