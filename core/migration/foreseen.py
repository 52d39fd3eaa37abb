"""Values that the target will refuse, told before anything is sent, in the platform's own codes."""

from __future__ import annotations

import polars as pl

from core.domain.value_checks import value_failures
from core.migration.persons import person_book
from core.migration.spec import Step


def refusals(step: Step, frame: pl.DataFrame, *, inserting: bool) -> pl.DataFrame:
    """``row``, ``field``, ``code``, ``message`` of every value that would be refused.

    Args:
        frame: target columns as the rules made them, null for blank.
    """
    sent = step.insert_fields if inserting else step.update_fields
    barred = {name.lower() for name in _of_persons(step)}
    names = [n for n in frame.columns if n in sent and n.lower() not in barred]
    fields = [step.target.fields[name] for name in names]
    return value_failures(frame.select(names), fields, inserting=inserting)


def _of_persons(step: Step) -> tuple[str, ...]:
    """Fields that are blank by right in accounts of the one or the other kind."""
    book = person_book(step.target, step.source)
    return () if book is None else (*book.never_send, *book.business_never_send)
