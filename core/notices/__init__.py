"""Telling people what happened: rules decide whom, an outbox makes it once, Apprise delivers.

    approval asked, session lost ─tell─▶ notification_log (pending) ─deliver─▶ Apprise
    run ended, schedule late ─look─▶ tell   └ rules: event, plan, org, thresholds  └ sent | failed

A message is made inside the transaction of what it tells, so that neither exists without the other.
"""

from __future__ import annotations

from core.notices.delivery import deliver
from core.notices.events import Notice, NoticeEvent
from core.notices.rules import tell

__all__ = ["Notice", "NoticeEvent", "deliver", "tell"]
