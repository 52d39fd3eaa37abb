"""An S3-compatible store for tests: a real server as a process of its own, spoken to over HTTP.

    def test_x(s3: S3Server) -> None:
        url = s3.bucket()                 # s3://bucket1/spool?endpoint=…; new and empty
        s3.deny(url, "s3:PutObject")     # from now on refused with 403

It keeps buckets in memory only. For a store that goes away and comes back, `s3_line` stands between
it and the product: `line.cut()`, `line.mend()`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3

from tests.appserver import free_port
from tests.orgs import wait_for

#: `make test` installs it apart from the product: requirements-s3server.txt says why
PACKAGES = Path(sys.prefix) / "s3server"
#: any pair will do; tests look for it in what must not hold it
ACCESS_KEY = "AKIAPLANTEDACCESSKEY"
SECRET_KEY = "planted/Secret+Key/0123456789abcdefghijkl"
ENVIRON = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}

#: the server looks whether a request is signed, not by whom
_SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host, Signature=x"
}


@dataclass(slots=True)
class S3Server:
    """One running store."""

    log: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                env={**os.environ, "PYTHONPATH": str(PACKAGES)}, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(self._answers, 120)

    def stop(self) -> None:
        """End the process; what it held is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def bucket(self, folder: str = "spool") -> str:
        """The address of a folder in a new bucket."""
        name = f"bucket{next(self.numbers)}"
        assert self.http.request("PUT", f"{self.endpoint}/{name}").status == 200
        return f"s3://{name}/{folder}?endpoint={self.endpoint}"

    def deny(self, url: str, action: str) -> None:
        """Refuse an action on a bucket to everybody."""
        name = url.split("/")[2]
        rule = {"Effect": "Deny", "Principal": "*", "Action": action}
        policy = {"Version": "2012-10-17", "Statement": [{**rule, "Resource": "arn:aws:s3:::*"}]}
        put = f"{self.endpoint}/{name}?policy"
        assert self.http.request("PUT", put, body=json.dumps(policy).encode()).status < 300

    def keys(self, url: str) -> list[str]:
        """Every object of a bucket, as the server lists them."""
        name = url.split("/")[2]
        listed = self.http.request("GET", f"{self.endpoint}/{name}?list-type=2").data.decode()
        return [part.split("</Key>")[0] for part in listed.split("<Key>")[1:]]

    def put(self, url: str, key: str, content: bytes) -> None:
        """Write an object past the product."""
        name = url.split("/")[2]
        path = f"{self.endpoint}/{name}/{key}"
        assert self.http.request("PUT", path, body=content, headers=_SIGNED).status == 200

    def get(self, url: str, key: str) -> bytes:
        """Read an object past the product."""
        path = f"{self.endpoint}/{url.split('/')[2]}/{key}"
        answer = self.http.request("GET", path, headers=_SIGNED)
        assert answer.status == 200, answer.data
        return answer.data

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log.read_text()
        try:
            return self.http.request("GET", f"{self.endpoint}/", timeout=5).status == 200
        except urllib3.exceptions.HTTPError:
            return False


@dataclass(slots=True)
class Line:
    """A port that leads to the server, until it is cut."""

    server: S3Server
    port: int = field(default_factory=free_port)
    _listener: socket.socket | None = None
    _open: list[socket.socket] = field(default_factory=list)

    def bucket(self) -> str:
        """The address of a new bucket, through this line."""
        return self.server.bucket().replace(f":{self.server.port}", f":{self.port}")

    def mend(self) -> None:
        """Take connections."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._take, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """End every connection and take no more."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _take(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.server.port))
            except OSError:
                return
            self._open += [near, far]
            for ends in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=ends, daemon=True).start()


def _carry(near: socket.socket, far: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := near.recv(65_536):
            far.sendall(piece)
    with contextlib.suppress(OSError):
        far.shutdown(socket.SHUT_WR)


@pytest.fixture
def s3_line(s3: S3Server) -> Iterator[Line]:
    """A way to the server that can be cut."""
    line = Line(s3)
    line.mend()
    yield line
    line.cut()


@pytest.fixture(scope="session")
def s3_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the session; each test makes buckets of its own."""
    if not (PACKAGES / "moto").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("the S3 server is not installed; make setup does it")
        pytest.skip("the S3 server is not installed; make setup does it")
    server = S3Server(tmp_path_factory.mktemp("s3") / "s3.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_process: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The session's server, and credentials for it in the environment of this process."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    return s3_process
