"""Connections to one org: pooled, never redirected, never into the private network."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from core.salesforce import hosts
from core.salesforce.retry import Timeouts

#: simultaneous requests to one org; more wait for nothing, they open a connection that is not kept
POOL_CONNECTIONS = 32


class ForbiddenPeerError(urllib3.exceptions.NewConnectionError):
    """The name led to an address where no org can be; nothing was sent."""

    def __init__(self, connection: HTTPConnection) -> None:
        super().__init__(connection, "the name leads to a private address")


def _keep_alive_options() -> list[tuple[int, int, int | bytes]]:
    options: list[tuple[int, int, int | bytes]] = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    # a peer that died without a word is noticed after a minute, not after the long write timeout
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


class _GuardedHTTP(HTTPConnection):
    """Plain http: this machine only."""

    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn())


class HandshakeError(urllib3.exceptions.NewConnectionError):
    """TLS was not agreed on; no request was sent.

    urllib3 raises the same ``SSLError`` for a handshake and for a line that breaks after a write
    went out. Only here can the two be told apart.
    """


class _GuardedHTTPS(HTTPSConnection):
    """https; the peer's address is checked on the connected socket, before the handshake."""

    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn())

    def connect(self) -> None:
        try:
            super().connect()
        except (ssl.SSLError, urllib3.exceptions.SSLError) as exc:
            raise HandshakeError(self, "its certificate was not accepted") from exc


class _GuardedHTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP


class _GuardedHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS


def connection_pools(timeouts: Timeouts, *, trusted_ca: str | None = None) -> urllib3.PoolManager:
    """A pool manager for org traffic; ``trusted_ca`` adds a CA file (practice orgs with TLS)."""
    options: dict[str, Any] = {
        "maxsize": POOL_CONNECTIONS,
        "timeout": urllib3.Timeout(connect=timeouts.connect_s, read=timeouts.read_s),
        "retries": False,
        "socket_options": _keep_alive_options(),
        # the default block of 16 kB costs a system call per 40 rows of an upload
        "blocksize": 1 << 20,
    }
    if trusted_ca:
        options["ca_certs"] = trusted_ca
    pools = urllib3.PoolManager(num_pools=4, **options)
    pools.pool_classes_by_scheme = {"http": _GuardedHTTPPool, "https": _GuardedHTTPSPool}
    return pools


def _checked(connection: HTTPConnection, connected: socket.socket) -> socket.socket:
    """The socket, if its other end may be an org; else nothing was sent through it."""
    peer = str(connected.getpeername()[0])
    loopback_allowed = hosts.is_loopback(f"//{_bracketed(connection.host)}")
    if hosts.is_forbidden_peer(peer, loopback_allowed=loopback_allowed):
        connected.close()
        raise ForbiddenPeerError(connection)
    return connected


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
