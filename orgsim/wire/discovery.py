"""What the API offers: its versions (asked without a session), its resources, the org's limits."""

from __future__ import annotations

from typing import Any

from orgsim.wire.router import Call, Reply, Rule

#: first and last version that answers. Source: "API End-of-Life", 31 to 40 leave in Summer '27
OLDEST_VERSION, NEWEST_VERSION = 31, 67
#: v31 is Summer '14; three releases a year from there
_FIRST_YEAR, _FIRST_SEASON = 14, 1
_SEASONS = ("Spring", "Summer", "Winter")

_RESOURCES = {
    "tooling": "tooling", "metadata": "metadata", "composite": "composite",
    "parameterizedSearch": "parameterizedSearch", "sobjects": "sobjects", "query": "query",
    "queryAll": "queryAll", "limits": "limits", "jobs": "jobs", "search": "search",
    "identity": None,
}  # fmt: skip

#: name → allowance of a Developer Edition; calls and storage are counted, the rest stays full
_LIMITS = {
    "DailyAsyncApexExecutions": 250_000, "DailyBulkApiBatches": 15_000,
    "DailyBulkV2QueryFileStorageMB": 976_562, "DailyBulkV2QueryJobs": 10_000,
    "DailyWorkflowEmails": 1_000, "FileStorageMB": 20, "HourlyPublishedPlatformEvents": 50_000,
    "HourlyTimeBasedWorkflow": 50, "SingleEmail": 15, "MassEmail": 10,
}  # fmt: skip


def versions() -> list[dict[str, str]]:
    """All versions, ascending, as ``/services/data/`` lists them."""
    return [_version(number) for number in range(OLDEST_VERSION, NEWEST_VERSION + 1)]


def is_known(version: str) -> bool:
    """Whether ``v62.0`` or ``62.0`` is a version that answers."""
    number = version.removeprefix("v").partition(".")
    return (
        number[0].isdigit()
        and number[2] in ("", "0")
        and OLDEST_VERSION <= int(number[0]) <= NEWEST_VERSION
    )


def _version(number: int) -> dict[str, str]:
    season = _FIRST_SEASON + number - OLDEST_VERSION
    name = _SEASONS[season % 3]
    # Winter '27 comes in autumn 2026: the label is a year ahead
    year = _FIRST_YEAR + season // 3 + (name == "Winter")
    return {
        "label": f"{name} '{year}",
        "url": f"/services/data/v{number}.0",
        "version": f"{number}.0",
    }


def _resources(call: Call) -> Reply:
    listed: dict[str, Any] = {
        name: f"{call.base}/{path}" for name, path in _RESOURCES.items() if path
    }
    who = f"{call.org.identity.organization_id}/{call.session.user_id}"
    listed["identity"] = f"{call.org.url}/id/{who}"
    return Reply(body=listed)


def _limits(call: Call) -> Reply:
    usage = call.org.usage
    left = max(0, usage.allowed - usage.calls)
    limits: dict[str, Any] = {"DailyApiRequests": {"Max": usage.allowed, "Remaining": left}}
    storage_mb, used_mb = call.org.storage_mb()
    limits["DataStorageMB"] = {"Max": storage_mb, "Remaining": max(0, storage_mb - used_mb)}
    limits["PermissionSets"] = {
        "Max": 1500, "Remaining": 1499, "CreateCustom": {"Max": 1000, "Remaining": 999}
    }  # fmt: skip
    limits.update({name: {"Max": most, "Remaining": most} for name, most in _LIMITS.items()})
    return Reply(body=dict(sorted(limits.items())))


RULES = [Rule("GET", "", _resources), Rule("GET", "limits", _limits)]
