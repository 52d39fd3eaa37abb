"""describeGlobal and describe, with conditional requests."""

from __future__ import annotations

import hashlib
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime

from orgsim.schema import describe
from orgsim.wire.router import Call, Reply, Rule
from orgsim.wire.saving import sobject_of


def global_describe(call: Call) -> Reply:
    """GET /sobjects."""
    return _conditional(call) or _dated(
        call, Reply(body=describe.global_document(call.schema, call.version))
    )


def sobject_info(call: Call) -> Reply:
    """GET /sobjects/X: the global entry and recent items."""
    sobject = sobject_of(call, call.parameters["sobject"])
    entry = describe.global_entry(sobject, call.version)
    return Reply(body={"objectDescribe": entry, "recentItems": []})


def sobject_describe(call: Call) -> Reply:
    """GET /sobjects/X/describe."""
    sobject = sobject_of(call, call.parameters["sobject"])
    made = describe.document(sobject, version=call.version, instance_url=call.org.url)
    return _conditional(call) or _dated(call, Reply(body=made))


def _conditional(call: Call) -> Reply | None:
    """304 when the metadata has not changed since the date the caller names."""
    since = call.headers.get("if-modified-since")
    if since is None:
        return None
    try:
        asked = parsedate_to_datetime(since)
    except ValueError:
        return None
    changed = call.org.schema_changed_at.replace(microsecond=0)
    return Reply(304) if changed <= asked.astimezone(UTC) else None


def _dated(call: Call, reply: Reply) -> Reply:
    changed = call.org.schema_changed_at
    tag = hashlib.sha256(f"{changed}{call.path}".encode()).hexdigest()[:8]
    stamp = format_datetime(changed.astimezone(UTC).replace(microsecond=0), usegmt=True)
    return Reply(reply.status, reply.body, {"ETag": f'"{tag}"', "Last-Modified": stamp})


RULES = [
    Rule("GET", "sobjects", global_describe),
    Rule("GET", "sobjects/{sobject}", sobject_info),
    Rule("GET", "sobjects/{sobject}/describe", sobject_describe),
]
