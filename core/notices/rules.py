"""Which rules a happening fits, and the messages that come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.db import notices
from core.db.notices import RuleRow
from core.notices.events import Notice, NoticeEvent

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

TITLE_MAX_CHARS = 200
BODY_MAX_CHARS = 8_000

#: a rule for the wider event hears of the narrower ones as well
_WIDER = {
    NoticeEvent.RUN_FAILED: (NoticeEvent.RUN_FINISHED,),
    NoticeEvent.RUN_PARTIAL: (NoticeEvent.RUN_FINISHED,),
}


def tell(session: Session, notice: Notice) -> int:
    """Put a message for every fitting rule into the outbox, in the caller's transaction.

    The same happening told again makes no second message. Returns how many messages are new.
    """
    fitting = [rule for rule in notices.rules(session, only_enabled=True) if fits(rule, notice)]
    return notices.put_out(session, [message(rule, notice) for rule in fitting])


def fits(rule: RuleRow, notice: Notice) -> bool:
    """Whether a rule wants to hear of it: event, plan, org, and every threshold reached.

    What happened before the rule was made is not told to it.
    """
    heard = {notice.event, *_WIDER.get(notice.event, ())}
    return (
        not heard.isdisjoint(rule.events)
        and (notice.at is None or rule.created_at is None or rule.created_at <= notice.at)
        and rule.plan_id in (None, notice.plan_id)
        and (rule.registered_org_id is None or rule.registered_org_id in notice.org_ids)
        and all(notice.figures.get(name, 0.0) >= least for name, least in rule.thresholds.items())
    )


def message(rule: RuleRow, notice: Notice) -> dict[str, Any]:
    """Column values of the message for one rule."""
    return {
        "rule_id": rule.id,
        "run_id": notice.run_id,
        "event": str(notice.event),
        "dedupe_key": f"{rule.id}:{notice.event}:{notice.subject}",
        "title": notice.title[:TITLE_MAX_CHARS],
        "body": notice.body[:BODY_MAX_CHARS],
    }
