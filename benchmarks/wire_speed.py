"""How many rows a second one core carries over the wire, against a server that answers at once.

    python -m benchmarks.wire_speed [rows]

Stages as the engine uses them, page by page: bulk query page → frame, frame → CSV, upload,
results → frame. The server is a process of its own with its answers made beforehand; what is
counted is our CPU.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import polars as pl

from core.salesforce import frames
from core.salesforce.bulk import ResultKind
from core.salesforce.client import OrgClient
from core.salesforce.credentials import Credentials
from core.salesforce.queries import RestApi
from core.secret import Secret

COLUMNS = 20
PAGE_ROWS = 50_000
JOB = b'{"id":"7505f000000001AAA","state":"JobComplete","object":"X"}'


def page_of_rows(number: int) -> bytes:
    """A page of quoted CSV, about 380 bytes a row, with header."""
    rand = random.Random(7)  # noqa: S311 test data
    names = ",".join(f'"Field_{column}__c"' for column in range(COLUMNS - 1))
    lines = [f'"Id",{names}']
    for row in range(number):
        cells = [f"001000000{row:09d}"]
        for column in range(COLUMNS - 1):
            cells.append("" if rand.random() < 0.2 else f"value {rand.randrange(10**9)} {column}")
        lines.append(",".join(f'"{cell}"' for cell in cells))
    return ("\n".join(lines) + "\n").encode()


def results_of_rows(number: int) -> bytes:
    """Successful results that echo a key column and one more."""
    lines = ['"sf__Id","sf__Created",Legacy_Id__c,Name']
    lines += [f'"001{row:015d}","true","001000000{row:09d}","value {row}"' for row in range(number)]
    return ("\n".join(lines) + "\n").encode()


def serve(ready: Connection) -> None:
    """Answer by the last word of the path; bodies are read and thrown away."""
    page, results = page_of_rows(PAGE_ROWS), results_of_rows(PAGE_ROWS)
    listener = socket.create_server(("127.0.0.1", 0))
    ready.send((listener.getsockname()[1], len(page)))
    while True:
        line, _ = listener.accept()
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _converse(line, page, results)


def _converse(line: socket.socket, page: bytes, results: bytes) -> None:
    buffer = bytearray(1 << 20)
    rest = b""
    while True:
        while b"\r\n\r\n" not in rest:
            received = line.recv(65536)
            if not received:
                return
            rest += received
        head, _, rest = rest.partition(b"\r\n\r\n")
        length = 0
        for header in head.split(b"\r\n"):
            if header.lower().startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        length -= len(rest)
        rest = b"" if length >= 0 else rest
        while length > 0:
            length -= line.recv_into(buffer, min(length, len(buffer)))
        path = head.split(b" ", 2)[1]
        body, more = JOB, b""
        if b"/results" in path:
            body = page
            last = path.endswith(b"locator=last") or b"locator" not in path
            more = b"Sforce-Locator: " + (b"null" if last else b"x") + b"\r\n"
        elif b"successfulResults" in path:
            body = results
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), more))
        line.sendall(body)


def timed(name: str, rows: int, work: Callable[[], Any]) -> float:
    """Print rows per second of CPU; the best of three."""
    best = min(_cpu(work) for _ in range(3))
    print(f"{name:32s} {rows / best:12,.0f} rows/s/core   {best * 1e6 / rows:6.2f} µs/row")
    return best


def _cpu(work: Callable[[], Any]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    """Measure every stage and the whole."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port, page_bytes = ours.recv()
    held = Credentials(instance_url=f"http://127.0.0.1:{port}", access_token=Secret("t"))
    client = OrgClient(held)
    client.__dict__["api"] = RestApi("67.0")  # the server knows no versions to negotiate
    pages = rows // PAGE_ROWS
    print(f"{rows:,} rows in pages of {PAGE_ROWS:,}; {page_bytes / PAGE_ROWS:.0f} bytes a row")
    frame = pl.concat(client.bulk.query_results("750", page_rows=PAGE_ROWS))
    content = frames.csv_bytes(frame)
    stages = [
        timed("query page → frame", rows, lambda: _read_pages(client, pages)),
        timed("frame → CSV", rows, lambda: [frames.csv_bytes(frame) for _ in range(pages)]),
        timed("upload", rows, lambda: [client.bulk.upload("750", content) for _ in range(pages)]),
        timed("results → frame", rows, lambda: _read_results(client, pages)),
    ]
    print(f"{'all four':32s} {rows / sum(stages):12,.0f} rows/s/core")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak_mb:.0f} MB")
    client.close()
    server.terminate()


def _read_pages(client: OrgClient, pages: int) -> int:
    return sum(
        frame.height
        for _ in range(pages)
        for frame in client.bulk.query_results("750", page_rows=PAGE_ROWS)
    )


def _read_results(client: OrgClient, pages: int) -> int:
    return sum(
        frame.height
        for _ in range(pages)
        for frame in client.bulk.results("750", ResultKind.SUCCESSFUL)
    )


if __name__ == "__main__":
    main()
