"""The few calls that only SOAP has: login (API ≤ 64), undelete, the org's clock, who we are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from core.errors import LostError
from core.salesforce import faults
from core.salesforce.records import RowOutcome, RowRefusal
from core.salesforce.wire import Answer, Request, Wire
from core.secret import Secret

#: ids of one undelete call (SOAP API guide, undelete)
UNDELETE_IDS = 200
#: the last API version whose ``login()`` answers (SOAP API guide, login: gone from 65 on)
LAST_LOGIN_VERSION = "64.0"

_PARTNER = "urn:partner.soap.sforce.com"
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:urn="urn:partner.soap.sforce.com"><soapenv:Header>{header}</soapenv:Header>'
    "<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
)


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who the session belongs to."""

    user_id: str
    username: str
    organization_id: str


def envelope(body: str, *, session: Secret | None = None) -> bytes:
    """A SOAP request; ``body`` is XML whose values are escaped already."""
    header = ""
    if session is not None:
        token = escape(session.reveal())
        header = f"<urn:SessionHeader><urn:sessionId>{token}</urn:sessionId></urn:SessionHeader>"
    return _ENVELOPE.format(header=header, body=body).encode()


def login_body(username: str, password: Secret) -> str:
    """The ``login`` call; password and security token come joined."""
    return (
        f"<urn:login><urn:username>{escape(username)}</urn:username>"
        f"<urn:password>{escape(password.reveal())}</urn:password></urn:login>"
    )


def undelete(wire: Wire, version: str, ids: Sequence[str]) -> list[RowOutcome]:
    """Bring records back from the recycle bin, ≤ 200; outcomes in order of the ids.

    Raises:
        LostError: the answer was lost; asking for the ids tells which came back.
    """
    named = "".join(f"<urn:ids>{escape(record_id)}</urn:ids>" for record_id in ids)
    body = f"<urn:undelete>{named}</urn:undelete>"
    results = _call(wire, version, "undelete", body=body, write=True).iter(_tag("result"))
    outcomes = [_undelete_outcome(item) for item in results]
    if len(outcomes) != len(ids):
        raise LostError(
            "The org answered an undelete with another number of outcomes.",
            state="Which records came back is not known.",
        )
    return outcomes


def server_time(wire: Wire, version: str) -> datetime:
    """The org's clock, to the millisecond."""
    tree = _call(wire, version, "getServerTimestamp", body="<urn:getServerTimestamp/>")
    text = _text(tree, "timestamp")
    if not text:
        raise faults.unreadable("a server timestamp was expected")
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def user_info(wire: Wire, version: str) -> UserInfo:
    """The user whose session this is."""
    tree = _call(wire, version, "getUserInfo", body="<urn:getUserInfo/>")
    return UserInfo(_text(tree, "userId"), _text(tree, "userName"), _text(tree, "organizationId"))


def parse(answer: bytes) -> ElementTree.Element:
    """The parsed envelope.

    Raises:
        TransientError: it is not XML (an edge's page), or it declares entities, which no org does.
    """
    if b"<!DOCTYPE" in answer[:1024]:
        raise faults.answer_lost("it is not SOAP", written=False)
    try:
        return ElementTree.fromstring(answer)  # noqa: S314 no DOCTYPE, so no entities
    except ElementTree.ParseError as exc:
        raise faults.answer_lost("it is not SOAP", written=False) from exc


def text_of(tree: ElementTree.Element, name: str) -> str:
    """Text of the first element of this local name, or empty."""
    return _text(tree, name)


def _call(
    wire: Wire, version: str, action: str, *, body: str, write: bool = False
) -> ElementTree.Element:
    request = Request(
        method="POST",
        path=f"/services/Soap/u/{version}",
        headers={
            "Content-Type": "text/xml; charset=UTF-8",
            "SOAPAction": action,
            "Accept": "text/xml",
        },
        body_with_token=lambda token: envelope(body, session=token),
        write=write,
    )
    return wire.fetch(request, _parsed)


def _parsed(answer: Answer) -> ElementTree.Element:
    return parse(answer.body)


def _undelete_outcome(item: ElementTree.Element) -> RowOutcome:
    success = _text(item, "success") == "true"
    refusals = tuple(
        RowRefusal(_text(error, "statusCode"), _text(error, "message"))
        for error in item.iter(_tag("errors"))
    )
    return RowOutcome(_text(item, "id") or None, success, False, refusals)


def _text(tree: ElementTree.Element, name: str) -> str:
    for element in tree.iter():
        if re.sub(r"^\{[^}]*\}", "", element.tag) == name:
            return (element.text or "").strip()
    return ""


def _tag(name: str) -> str:
    return f"{{{_PARTNER}}}{name}"
