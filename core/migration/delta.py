"""Delta runs: only what changed since the last run of the same version, and what stayed behind in
it.

Rows commit late, so the window begins ten minutes before the last watermark (rule 1.5). Rows that
were blocked, failed or left with a blank lookup are read again whatever their age: their parent may
be there by now. When the plan changed, or too many rows stayed behind to be named, everything is
read: a comparison by hash still writes only differences.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.migration.spec import MODSTAMP, Step

#: how late a row may become visible after its SystemModstamp
LATE = dt.timedelta(minutes=10)
#: rows named in the query; beyond, the object is read as a whole
NAMED_MAX = 200


@dataclass(frozen=True, slots=True)
class Since:
    """The run that a delta follows."""

    #: its watermark; None reads everything
    watermark: dt.datetime | None = None
    #: source ids that stayed behind in it, by mapping
    behind: Mapping[str, Sequence[str]] = field(default_factory=dict)


def narrowed(step: Step, since: Since) -> str | None:
    """The condition on a mapping's rows; None for all of them."""
    behind = list(since.behind.get(step.name, ()))
    if since.watermark is None or MODSTAMP not in step.source.fields or len(behind) > NAMED_MAX:
        return None
    start = (since.watermark - LATE).astimezone(dt.UTC)
    changed = f"{MODSTAMP} >= {start:%Y-%m-%dT%H:%M:%S}Z"
    if not behind:
        return changed
    listed = ",".join(f"'{source_id}'" for source_id in behind)
    return f"{changed} OR Id IN ({listed})"
