"""Sends what waits in the outbox: each message by one process at a time, again after a while."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from core.db import notices
from core.db.notices import Outgoing
from core.errors import OrgbridgeError, UserError
from core.notices import watching
from core.notices.senders import AppriseSender, Sender

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

#: attempts before a message counts as failed: spread over about an hour
ATTEMPTS = 6
FIRST_WAIT = dt.timedelta(minutes=1)
#: longer than one delivery takes: a process that dies in it frees the message after this
HOLD = dt.timedelta(minutes=2)
#: messages sent by one call, so that a flood does not keep a caller for ever
AT_ONCE = 50

log = logging.getLogger(__name__)


def deliver(bridge: Orgbridge, *, sender: Sender | None = None) -> int:
    """Look what happened, then send what is due, in every workspace; how many were sent.

    Safe to run in any process at any time: a message is made once and sent by one.
    """
    watching.look(bridge)
    through = sender or AppriseSender(bridge.settings.private_hosts)
    sent = 0
    for _ in range(AT_ONCE):
        now = bridge.clock()
        with bridge.owner_session() as session:
            message = notices.take_due(session, now=now, hold_until=now + HOLD)
        if message is None:
            break
        values = _attempted(bridge, message, through)
        with bridge.owner_session() as session:
            notices.settle(session, message.id, values)
        sent += values["status"] == "sent"
    return sent


def _attempted(bridge: Orgbridge, message: Outgoing, sender: Sender) -> dict[str, Any]:
    """Column values that tell what became of one attempt."""
    try:
        address = bridge.vault.reveal(message.address)
        sender.send(address, title=message.title, body=message.body)
    except OrgbridgeError as problem:
        log.warning(
            "message not delivered",
            extra={"message_id": str(message.id), "reason": problem.happened},
        )
        is_final = isinstance(problem, UserError) or message.attempts >= ATTEMPTS
        wait = FIRST_WAIT * (2 ** (message.attempts - 1))
        return {
            "status": "failed" if is_final else "pending",
            "error_message": problem.happened,
            "next_attempt_at": bridge.clock() + wait,
        }
    return {"status": "sent", "error_message": None, "sent_at": bridge.clock()}
