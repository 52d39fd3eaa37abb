"""Keeps a delivery out of the private network around this machine.

A rule's address is text that a workspace's admin wrote, and a public name may lead anywhere. So the
address is looked at where it counts: on every connection that the delivering thread makes, after
names were resolved and redirects followed. Hosts of ``ORGBRIDGE_PRIVATE_HOSTS`` are let through.

Python tells an audit hook of every ``connect``; a hook that raises prevents it (PEP 578). It is set
once a process delivers for the first time and looks at nothing but the thread within `guarded`.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from core.domain.addresses import Address, address_of, is_public
from core.errors import UserError


class _Here(threading.local):
    """What the present thread may reach; `is_on` outside `guarded` is False."""

    is_on = False
    allowed: frozenset[Address] = frozenset()
    refused: str | None = None


_here = _Here()


class PrivateAddressError(OSError):
    """A connection was not made, because it leads into the private network."""


@contextmanager
def guarded(allowed: tuple[str, ...]) -> Iterator[None]:
    """Within it this thread connects to public addresses and to `allowed` hosts alone.

    Raises:
        UserError: something within tried another address; nothing was sent there.
    """
    _install()
    _here.is_on, _here.refused = False, None
    _here.allowed = _addresses(allowed)
    _here.is_on = True
    try:
        yield
    finally:
        _here.is_on = False
    if _here.refused is not None:
        raise private_address(_here.refused)


def private_address(host: str) -> UserError:
    """What people are told."""
    return UserError(
        f"The address of this rule leads into the private network ({host}).",
        state="Nothing was sent there.",
        next_step="If it is meant to, let the operator name that host in ORGBRIDGE_PRIVATE_HOSTS.",
    )


def is_private_name(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a host as written is private at sight; names are looked up when they are used."""
    if host.lower() in (each.lower() for each in allowed):
        return False
    address = address_of(host.strip("[]"))
    if address is not None:
        return not is_public(address) and address not in _addresses(allowed)
    return host.lower() == "localhost" or host.lower().endswith((".localhost", ".internal"))


def _addresses(allowed: tuple[str, ...]) -> frozenset[Address]:
    found: set[Address] = set()
    for host in allowed:
        try:
            resolved = socket.getaddrinfo(host.strip("[]"), None)
        except OSError:
            continue  # a name that is gone allows nothing
        known = (address_of(str(each[4][0])) for each in resolved)
        found |= {each for each in known if each is not None}
    return frozenset(found)


@cache
def _install() -> None:
    sys.addaudithook(_look)


def _look(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect" or not _here.is_on:
        return
    target = arguments[1]
    host = str(target[0]) if isinstance(target, tuple) else "a socket file"
    address = address_of(host)
    if isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address):
        if is_public(address) or address in _here.allowed:
            return
    _here.refused = host
    raise PrivateAddressError(f"{host} is not public")
