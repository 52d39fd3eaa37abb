"""Notices by e-mail and to chats: a real mail server takes them, and a refusal is told in words."""

from __future__ import annotations

import datetime as dt
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from uuid_utils.compat import uuid7

from core import bootstrap
from core.bootstrap import Orgbridge
from core.config import Settings
from core.domain.roles import Actor, Role
from core.errors import RefusedError, TransientError, UserError
from core.notices import Notice, NoticeEvent, deliver, tell
from core.notices.reasons import UNKNOWN, Heard
from core.notices.senders import CHANNELS, AppriseSender, checked_address
from core.secret import Secret
from core.services import notices
from core.services.notices import RuleRequest
from tests.mailserver import MailServer, mail_server

#: Apprise 2.2 imports imghdr where Python still has it
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def post() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def bridge(settings: Settings) -> Iterator[Orgbridge]:
    """The product, allowed to reach this machine, ahead of the clock by which messages are due."""
    ahead = dt.timedelta(minutes=1)
    here = replace(settings, private_hosts=("127.0.0.1",))
    with bootstrap.build(here, clock=lambda: dt.datetime.now(dt.UTC) + ahead) as built:
        yield built


def admin_of(bridge: Orgbridge) -> Actor:
    return Actor(bridge.workspace_id(), None, "ada", Role.ADMIN)


def rule(bridge: Orgbridge, port: int, *to: str) -> Any:
    sender = "orgbridge@acme.example"
    address = Secret(
        f"mailto://127.0.0.1:{port}?mode=insecure&from={sender}&to={','.join(to)}&pass=planted-word"
    )
    request = RuleRequest(
        name=f"mail {uuid7()}", events=("run_failed",), channel="email", address=address
    )
    return notices.add_rule(bridge, admin_of(bridge), request)


def newest(bridge: Orgbridge) -> tuple[str, str | None]:
    row = notices.log(bridge, admin_of(bridge)).rows[0]
    return row.status, row.error_message


def test_an_email_arrives_and_the_log_says_so(bridge: Orgbridge, post: MailServer) -> None:
    """From a happening over the rule and the outbox to the mail server, with a body in words."""
    rule(bridge, post.port, "mira@acme.example", "leo@acme.example")
    body = "12 of 4,200 rows did not arrive – Zürich ☃"
    with bridge.session(bridge.workspace_id()) as session:
        told = {"subject": "r", "title": "Failed: move ☃", "body": body}
        tell(session, Notice(event=NoticeEvent.RUN_FAILED, **told))

    assert deliver(bridge) == 1

    assert newest(bridge) == ("sent", None)
    assert [(sender, to) for sender, to, _ in post.taken] == [
        ("orgbridge@acme.example", ("mira@acme.example",)),
        ("orgbridge@acme.example", ("leo@acme.example",)),
    ]
    for _, _, message in post.taken:
        assert message["Subject"] == "Failed: move ☃"
        text = message.get_body(("plain", "html"))
        assert text is not None
        assert body in text.get_content()


def test_what_a_name_holds_stays_text_in_an_email(post: MailServer) -> None:
    """No picture that tells a stranger who reads it, no link, no second header."""
    name = '<img src="http://evil.example/x"><a href="http://evil.example">mended</a>'
    address = Secret(
        f"mailto://127.0.0.1:{post.port}?mode=insecure&from=orgbridge@acme.example"
        "&to=mira@acme.example"
    )

    sender = AppriseSender(("127.0.0.1",))
    sender.send(
        address, title=f"Failed: {name}\r\nBcc: x@evil.example", body=f"{name}\nsecond line"
    )

    ((_, to, message),) = post.taken
    assert to == ("mira@acme.example",) and message["Bcc"] is None
    assert message.get_body(("html",)) is None
    plain = message.get_body(("plain",))
    assert plain is not None and f"{name}\nsecond line" in plain.get_content().replace("\r", "")


def test_a_refused_recipient_is_named_with_the_servers_words(
    bridge: Orgbridge, post: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Others get theirs once, also when it is tried again."""
    post.refused["ghost@acme.example"] = "550 5.1.1 No such user here"
    rule_id = rule(bridge, post.port, "ghost@acme.example", "mira@acme.example")

    with pytest.raises(RefusedError, match="refused ghost@acme"):
        notices.send_test(bridge, admin_of(bridge), rule_id)

    status, why = newest(bridge)
    assert status == "pending"
    assert why == "The mail server refused ghost@acme.example: 550 5.1.1 No such user here."
    assert [to for _, to, _ in post.taken] == [("mira@acme.example",)]
    assert "planted-word" not in caplog.text + str(why)


def test_a_mail_server_that_is_away_is_told_in_words(bridge: Orgbridge) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    rule_id = rule(bridge, port, "mira@acme.example")

    with pytest.raises(RefusedError, match="was not delivered: The server could not be reached"):
        notices.send_test(bridge, admin_of(bridge), rule_id)

    assert newest(bridge) == (
        "pending",
        "The server could not be reached: nothing listens at its address.",
    )


@dataclass
class Wire(requests.adapters.BaseAdapter):
    """Stands where the network begins: keeps what would be sent, and answers."""

    status: int = 200
    asked: list[requests.PreparedRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.asked.append(request)
        answer = requests.Response()
        answer.status_code, answer._content, answer.request = self.status, b"ok", request
        answer.url = str(request.url)
        return answer

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#migrations",
            "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        ),
        (
            "workflows://prod-01.westeurope.logic.azure.com:443/643cb5cf0ae14bd6/x4sVpgSsBkhe1gKg",
            "https://prod-01.westeurope.logic.azure.com:443/workflows/643cb5cf0ae14bd6/triggers/"
            "manual/paths/invoke",
        ),
    ],
    ids=["slack", "teams"],
)
def test_a_chat_gets_its_message_at_its_own_host(
    monkeypatch: pytest.MonkeyPatch, address: str, url: str
) -> None:
    """Neither is within a test's reach: the last step before the network is looked at instead."""
    wire = Wire()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda *_, **__: wire)

    AppriseSender().send(Secret(address), title="Failed: move", body="12 rows did not arrive")

    (asked,) = wire.asked
    body = (asked.body or b"").decode() if isinstance(asked.body, bytes) else str(asked.body)
    assert (asked.method, str(asked.url).partition("?")[0]) == ("POST", url)
    assert asked.headers["Content-Type"].startswith("application/json")
    assert "Failed: move" in body
    assert "12 rows did not arrive" in body
    wire.status = 404
    with pytest.raises(TransientError, match="The service refused the message: 404 Not Found"):
        AppriseSender().send(Secret(address), title="t", body="b")


def test_what_a_name_holds_calls_nobody_in_a_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks that would notify a whole channel, and a link under other words."""
    wire = Wire()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda *_, **__: wire)
    hostile = "<!channel> <http://evil.example|here> @everyone, ann@all.example"

    slack = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#migrations"
    for address in (slack, "discord://12345678901/abcdefghijkl"):
        AppriseSender().send(Secret(address), title="Failed: " + hostile, body=hostile)

    to_slack, to_discord = [json.loads(each.body or b"") for each in wire.asked]
    shown = to_slack["attachments"][0]
    assert "<" not in shown["title"] + shown["text"] and to_slack["mrkdwn"] is False
    assert "@everyone" not in to_discord["content"]
    assert "ann@all.example" in to_discord["content"].replace("\\", "")


HOSTILE = (
    "[pay](http://evil.example) <b>x</b> <at>ann</at> *y* @channel <!here> https://evil.example"
)
SERVICES = {
    "Telegram": ("tgram://123456789:abcdefg_hijklmnop/12315544", "text"),
    "Teams": ("workflows://host/wid/sig", "attachments"),
    "Webex": (f"webex://{'a' * 80}/", "markdown"),
    "Discord": ("discord://12345678901/abcdefghijkl", "content"),
    "Discord, embedded": ("discord://12345678901/abcdefghijkl?format=markdown", "embeds"),
    "Mattermost": ("mmosts://chat.example.com/abcdefabcdefabcdefabcdef12345678", "text"),
    "Slack": ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#x", "attachments"),
    "Google Chat": ("gchat://space/key/token", "text"),
}


@pytest.mark.parametrize(("address", "holds"), SERVICES.values(), ids=SERVICES.keys())
def test_names_make_no_link_no_tag_and_call_nobody(
    monkeypatch: pytest.MonkeyPatch, address: str, holds: str
) -> None:
    """Whatever the service reads: HTML, Markdown, its own marks."""
    wire = Wire()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda *_, **__: wire)

    AppriseSender().send(Secret(address), title=f"failed: {HOSTILE}", body=f"{HOSTILE} is late.")

    (asked,) = wire.asked
    message = json.loads(asked.body or b"")
    said = json.dumps(message[holds], ensure_ascii=False)
    said = said.replace("http://adaptivecards.io/schemas/adaptive-card.json", "")
    said = re.sub(r"https://github.com/caronc/[^\"]*", "", said)
    assert said.count("evil") == 4 and "@channel" not in said
    if address.startswith("slack"):  # it is told that nothing in it is markup
        assert message["mrkdwn"] is False and "<" not in said
        return
    for made in ("](", "<b>x", "<at", "://", "<!"):
        assert made not in said.replace("\\", ""), made
    if address.startswith("tgram"):
        assert message["parse_mode"] == "HTML"
        assert re.findall(r"<[^>]*>", message["text"]) == ["<b>", "</b>"], (
            "of the title, by Apprise"
        )
    else:
        assert len(re.findall(r"\\\\\*y", said)) == 2


@pytest.mark.parametrize(
    "address",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#x",
        "workflows://prod-01.westeurope.logic.azure.com:443/643cb5cf0ae14bd6/x4sVpgSsBkhe1gKg",
        "discord://12345678901/abcdefghijkl",
        "tgram://123456789:abcdefg_hijklmnop/-12345",
    ],
)
@pytest.mark.parametrize("named", ["template", "%74emplate", "TEMPLATE"])
def test_no_address_sends_a_file_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, named: str
) -> None:
    """Apprise reads a template from any path; an admin of a workspace is not the operator."""
    wire = Wire()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda *_, **__: wire)
    file = tmp_path / "credentials.json"
    file.write_text('{"text": "planted-secret", "blocks": [], "content": "planted-secret"}')
    stored = Secret(f"{address}{'&' if '?' in address else '?'}{named}={file}")
    channel = next(name for name, of in CHANNELS.items() if address.partition(":")[0] in of)

    with pytest.raises(UserError, match="names a file of this machine"):
        checked_address(channel, stored)
    with pytest.raises(UserError, match="names a file of this machine"):
        AppriseSender().send(stored, title="t", body="b")
    assert wire.asked == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Socket Exception: (535, b'5.7.8 Bad credentials')", "the message: 535 5.7.8 Bad cred"),
        ("Socket Exception: [Errno -2] Name or service not known", "nobody knows its name"),
        ("Socket Exception: timed out", "did not answer in time"),
        ("https://hooks.example/planted-word: something else", UNKNOWN),
    ],
)
def test_reasons_are_told_without_the_line_they_stood_in(line: str, says: str) -> None:
    reason = Heard([line]).reason()

    assert says in reason
    assert "planted" not in reason
