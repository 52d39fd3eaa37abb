"""An S3-compatible store for tests: a real server as a process of its own, spoken to over HTTP.

    def test_x(s3: S3Server) -> None:
        url = s3.bucket()                 # s3://bucket1/spool?endpoint=…; new and empty
        s3.deny(url, "s3:PutObject")     # from now on refused with 403

`s3.stop()` and `s3.start()` are there for tests of a store that goes away. Buckets do not survive
that: the server keeps them in memory. One that must come back with them is frozen instead.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3

from tests.appserver import free_port
from tests.orgs import wait_for

#: `make setup` installs it apart from the product: requirements-s3server.txt says why
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
            self.freeze(on=False)
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self, *, on: bool) -> None:
        """Stop answering, or go on as if nothing had been."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

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
