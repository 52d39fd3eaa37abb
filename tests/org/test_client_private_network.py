"""A name may lead anywhere: nothing is sent into the private network around this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from core.errors import OrgbridgeError
from core.salesforce import flows
from core.salesforce.client import OrgClient, utc_now
from core.salesforce.credentials import Credentials, TokenFlow
from core.secret import Secret


class Listener:
    """Takes connections on loopback and keeps what it was sent."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.connections = 0
        self.heard = b""
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                taken, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with taken:
                taken.settimeout(5)
                while piece := taken.recv(4096):
                    self.heard += piece

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def inside() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch, inside: Listener) -> str:
    """A public name whose address is this machine's, as a hostile name server would answer."""
    known = socket.getaddrinfo

    def answer(host: object, port: object, *rest: object, **more: object) -> object:
        named = "127.0.0.1" if host == "org.example.com" else host
        return known(named, port, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return f"https://org.example.com:{inside.port}"


def test_a_name_that_leads_inside_gets_no_byte(poisoned: str, inside: Listener) -> None:
    """Not even the TLS greeting; the reason is said, and it is not tried again and again."""
    held = Credentials(instance_url=poisoned, access_token=Secret("00D!planted"))
    client = OrgClient(held, sleep=lambda _: None)

    with pytest.raises(OrgbridgeError, match="leads to a private address") as caught:
        client.describe_global()

    assert inside.heard == b""
    assert "planted" not in str(caught.value)


def test_a_login_host_that_leads_inside_gets_no_secret(poisoned: str, inside: Listener) -> None:
    from core.services.connecting import endpoint

    asked = Credentials(
        instance_url=poisoned,
        flow=TokenFlow.CLIENT_CREDENTIALS,
        client_id="c",
        client_secret=Secret("planted"),
    )
    with pytest.raises(OrgbridgeError, match="leads to a private address"):
        flows.connect(endpoint(), asked, clock=utc_now)

    assert inside.heard == b""
