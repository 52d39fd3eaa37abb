"""A mail server of a few lines for tests: takes messages, or refuses in a mail server's words.

It speaks as much of SMTP (RFC 5321) as Python's own client needs for one message after another.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast


@dataclass
class MailServer:
    """What was delivered, and what the server says to whom."""

    port: int = 0
    #: (sender, recipients, message) in the order of their arrival
    taken: list[tuple[str, tuple[str, ...], EmailMessage]] = field(default_factory=list)
    #: recipients that are refused, with the answer: ``550 5.1.1 No such user``
    refused: dict[str, str] = field(default_factory=dict)


class _Talk(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self._say("220 mail.example ready")
        sender, recipients = "", []
        while line := self.rfile.readline().decode().strip():
            verb = line[:4].upper()
            if verb == "MAIL":
                sender, recipients = _address(line), []
                self._say("250 2.1.0 go on")
            elif verb == "RCPT":
                self._say(self._takes(_address(line), recipients))
            elif verb == "DATA":
                self._say("354 end with a dot")
                self._keep(sender, tuple(recipients))
            elif verb == "QUIT":
                return self._say("221 2.0.0 bye")
            else:
                self._say("250 mail.example")

    def _takes(self, recipient: str, recipients: list[str]) -> str:
        answer = self.server.post.refused.get(recipient)
        if answer is None:
            recipients.append(recipient)
        return answer or "250 2.1.5 fine"

    def _keep(self, sender: str, recipients: tuple[str, ...]) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        self.server.post.taken.append((sender, recipients, cast("EmailMessage", message)))
        self._say("250 2.0.0 kept")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, post: MailServer) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.post = post
        post.port = self.server_address[1]


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A server on a free port of this machine, until the block ends."""
    post = MailServer()
    with _Server(post) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield post
        finally:
            server.shutdown()
            thread.join()


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
