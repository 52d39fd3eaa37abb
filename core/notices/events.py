"""What people can be told of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class NoticeEvent(StrEnum):
    """Events that rules name; the stored words."""

    RUN_FAILED = "run_failed"  # a run could not be carried out
    RUN_PARTIAL = "run_partial"  # a run ended with rows that did not arrive
    RUN_FINISHED = "run_finished"  # a run ended, whatever came of it
    DECISION_WAITING = "decision_waiting"  # a canary or trial asks: continue or stop
    APPROVAL_ASKED = "approval_asked"  # a launch waits for another person
    SCHEDULE_LATE = "schedule_late"  # a schedule missed its time, or could not launch
    SESSION_EXPIRED = "session_expired"  # an org no longer accepts our sign-in
    API_BUDGET = "api_budget"  # an org's daily calls run low
    TEST = "test"  # somebody pressed "Send test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that happened, ready to be told."""

    event: NoticeEvent
    #: what makes it this very happening: a run's name with its state, a schedule with its due time
    subject: str
    title: str
    body: str
    #: when it happened; a rule made later does not hear of it. None for what holds still
    at: dt.datetime | None = None
    run_id: UUID | None = None
    plan_id: UUID | None = None
    #: orgs concerned, in any role
    org_ids: tuple[UUID, ...] = ()
    #: what thresholds compare with: failed_percent, api_used_percent, failed_rows
    figures: Mapping[str, float] = field(default_factory=dict)
