"""Checks on the orgs as such: which they are, what their users may do, what is left of allowances.

Cost: identity, permissions and limits of both orgs: about four calls each, most of them cached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from core.domain.findings import Finding, Fix, Severity
from core.domain.plan import Operation
from core.errors import OrgbridgeError
from core.migration.preflight.inputs import PreflightInput, unknown
from core.salesforce.identity import Environment, UserPermissions

#: what one row of most objects takes of the data storage; Help: "Data and File Storage Allocations"
ROW_STORAGE_KB = 2
#: objects of which a user without Query All Files sees a part
_FILES = frozenset({"contentdocument", "contentversion", "contentdocumentlink"})
#: operations that make records
_ADDING = frozenset({Operation.INSERT, Operation.UPSERT})
#: share of an allowance from which on a run is warned about
TIGHT_SHARE = 0.8


def org_findings(
    given: PreflightInput, *, rows: Mapping[str, int], calls: int
) -> Iterator[Finding]:
    """All checks of this module.

    Args:
        rows: rows in scope by mapping.
        calls: API calls that it would take in the target.
    """
    yield from _which_orgs(given)
    yield from _other_runs(given)
    for role, client in (("source", given.source), ("target", given.target)):
        try:
            granted = client.user_permissions()
        except OrgbridgeError as error:
            yield unknown("permissions", f"Permissions of the {role} user", error)
            continue
        yield from _reader(given, role, granted)
        if role == "target":
            yield from _writer(given, granted)
    yield from _allowances(given, rows, calls)


def _which_orgs(given: PreflightInput) -> Iterator[Finding]:
    try:
        source, target = given.source.identity, given.target.identity
    except OrgbridgeError as error:
        yield Finding(
            Severity.BLOCKER,
            "org_unreachable",
            f"An org does not answer: {error.happened}",
            fix=Fix.ORG,
        )
        return
    if source.organization_id == target.organization_id:
        yield Finding(
            Severity.WARNING,
            "same_org",
            f"Source and target are the same org ({target.name}): rows are copied inside it.",
            fix=Fix.OBJECTS,
        )
    if given.is_read_only:
        yield Finding(
            Severity.BLOCKER,
            "target_read_only",
            f"{given.plan.target} is switched to read-only in Orgbridge.",
            fix=Fix.ORG,
        )
    if target.environment in (Environment.PRODUCTION, Environment.TRIAL):
        yield Finding(
            Severity.NOTE,
            "target_production",
            f"{given.plan.target} is {target.environment.value}: a launch asks for its name and a "
            "reason.",
        )


def _other_runs(given: PreflightInput) -> Iterator[Finding]:
    if given.other_runs:
        yield Finding(
            Severity.WARNING,
            "other_run",
            f"Run {', '.join(given.other_runs)} writes to the same org: this one would wait.",
            fix=Fix.RUN,
        )
    for name in given.stopped_runs:
        yield Finding(
            Severity.BLOCKER,
            "stopped_run",
            f"Run {name} stopped with rows on their way and would insert the same ones again: "
            "resume it, or cancel it.",
            fix=Fix.RUN,
        )


def _reader(given: PreflightInput, role: str, granted: UserPermissions) -> Iterator[Finding]:
    org = given.plan.source if role == "source" else given.plan.target
    if granted.view_all_data is False:
        yield Finding(
            Severity.WARNING,
            "no_view_all",
            f"The user of {org} may not view all data: counts and proof hold for what is visible "
            "to that user.",
            fix=Fix.ORG,
        )
    elif granted.view_all_data is None:
        yield Finding(
            Severity.UNKNOWN,
            "no_view_all",
            f"{org} does not say whether its user may view all data.",
            fix=Fix.ORG,
        )
    files = [e.source for e in given.plan.objects if e.source.lower() in _FILES]
    if role == "source" and files and granted.query_all_files is False:
        yield Finding(
            Severity.WARNING,
            "no_query_all_files",
            f"The user of {org} may not query all files: of {', '.join(files)} only what that "
            "user owns or follows is read.",
            fix=Fix.ORG,
        )
    has_encrypted = any(
        field.type == "encryptedstring"
        for _, sides in given.described()
        for field in (sides.source if role == "source" else sides.target).fields.values()
    )
    if has_encrypted and granted.view_encrypted_data is False:
        yield Finding(
            Severity.WARNING,
            "no_view_encrypted",
            f"The user of {org} sees encrypted text masked; masked values are not moved.",
            fix=Fix.ORG,
        )


def _writer(given: PreflightInput, granted: UserPermissions) -> Iterator[Finding]:
    if granted.modify_all_data is False:
        yield Finding(
            Severity.WARNING,
            "no_modify_all",
            f"The user of {given.plan.target} may not modify all data: rows of others may be "
            "refused.",
            fix=Fix.ORG,
        )
    operations = {entry.operation for entry in given.plan.objects}
    if Operation.HARD_DELETE in operations and granted.bulk_api_hard_delete is False:
        yield Finding(
            Severity.BLOCKER,
            "no_hard_delete",
            f"The user of {given.plan.target} lacks the permission Bulk API Hard Delete.",
            fix=Fix.ORG,
        )
    audit = {"createddate", "createdbyid", "lastmodifieddate", "lastmodifiedbyid"}
    sets_audit = any(
        name.lower() in audit for entry in given.plan.objects for name in entry.applied_fields
    )
    if sets_audit and granted.create_audit_fields is False:
        yield Finding(
            Severity.BLOCKER,
            "no_audit_fields",
            f"The plan sets audit fields and the user of {given.plan.target} may not (Set Audit "
            "Fields upon Record Creation).",
            fix=Fix.ORG,
        )


def _allowances(given: PreflightInput, rows: Mapping[str, int], calls: int) -> Iterator[Finding]:
    try:
        limits = given.target.limits()
    except OrgbridgeError as error:
        yield unknown("allowances", "API and storage allowances of the target", error)
        return
    yield from _api_budget(limits.get("DailyApiRequests"), calls)
    if "DataStorageMB" in limits:
        yield from _storage(given, rows, left_mb=int(limits["DataStorageMB"]["Remaining"]))


def _storage(given: PreflightInput, rows: Mapping[str, int], *, left_mb: int) -> Iterator[Finding]:
    """A blocker where the rows cannot fit, a warning where that depends on how many are there."""
    adding: Counter[str] = Counter()
    for entry, _ in given.described():
        if entry.operation in _ADDING:
            adding[entry.target] += rows.get(entry.name, 0)
    most_mb = _storage_mb(adding.values())
    if most_mb <= left_mb:
        return
    there = given.target.counts([f"SELECT COUNT() FROM {name}" for name in adding])
    least_mb = _storage_mb(
        max(0, new - found) if isinstance(found, int) else new
        for new, found in zip(adding.values(), there, strict=True)
    )
    needed = f"About {most_mb:,} MB of data storage would be needed"
    left = f"{left_mb:,} MB are left in the target"
    if least_mb > left_mb:
        yield Finding(Severity.BLOCKER, "storage", f"{needed} and {left}.", fix=Fix.ORG)
        return
    yield Finding(
        Severity.WARNING,
        "storage",
        f"{needed} if none of the rows were there yet, and {left}: rows that no longer fit are "
        "refused.",
        fix=Fix.ORG,
    )


def _storage_mb(rows: Iterable[int]) -> int:
    return sum(rows) * ROW_STORAGE_KB // 1024


def _api_budget(daily: object, calls: int) -> Iterator[Finding]:
    if not isinstance(daily, dict):
        return
    left = int(daily["Remaining"])
    if calls > left:
        yield Finding(
            Severity.WARNING,
            "api_budget",
            f"About {calls:,} API calls are needed and {left:,} are left today: the run would "
            "pause until the allowance is renewed.",
            fix=Fix.RUN,
        )
    elif calls > left * TIGHT_SHARE:
        yield Finding(
            Severity.NOTE,
            "api_budget",
            f"About {calls:,} of the {left:,} API calls left today are needed.",
        )
