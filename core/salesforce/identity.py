"""Which org this is and who we are in it: asked of the org, never guessed from its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.domain.ids import to18
from core.errors import RefusedError, SessionLostError
from core.salesforce import hosts, queries, soap
from core.salesforce.queries import RestApi
from core.salesforce.wire import Wire

_ORGANIZATION = (
    "SELECT Id, Name, InstanceName, OrganizationType, IsSandbox, TrialExpirationDate, "
    "NamespacePrefix FROM Organization"
)
#: Organization.InstanceName of practice orgs; Salesforce names its instances, nobody else can
PRACTICE_INSTANCE = "PRACTICE"


class Environment(StrEnum):
    """What kind of org it is; everything not surely harmless counts as production."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"
    SCRATCH = "scratch"  # a short-lived sandbox: Developer Edition with an expiry
    DEVELOPER = "developer"  # Developer Edition for good
    TRIAL = "trial"
    PRACTICE = "practice"  # a simulated org on this machine
    FILES = "files"  # no org: a set of uploaded files that plans read


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgIdentity:
    """An org and the user we are in it."""

    #: 18 characters; the name by which ledgers and locks know the org
    organization_id: str
    name: str
    #: edition, in the org's words
    organization_type: str
    is_sandbox: bool
    is_practice: bool
    environment: Environment
    user_id: str
    username: str
    instance_url: str
    api_version: str
    instance_name: str = ""
    namespace_prefix: str = ""
    trial_expires: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPermissions:
    """What the user may do org-wide; None where the org did not say."""

    view_all_data: bool | None = None
    modify_all_data: bool | None = None
    api_enabled: bool | None = None
    bulk_api_hard_delete: bool | None = None
    create_audit_fields: bool | None = None
    update_with_inactive_owner: bool | None = None
    view_encrypted_data: bool | None = None
    query_all_files: bool | None = None
    view_setup: bool | None = None
    customize_application: bool | None = None
    modify_metadata: bool | None = None


#: columns of PermissionSet (those an org has not are left out of the query)
_PERMISSION_FIELDS = {
    "view_all_data": "PermissionsViewAllData",
    "modify_all_data": "PermissionsModifyAllData",
    "api_enabled": "PermissionsApiEnabled",
    "bulk_api_hard_delete": "PermissionsBulkApiHardDelete",
    "create_audit_fields": "PermissionsCreateAuditFields",
    "update_with_inactive_owner": "PermissionsUpdateWithInactiveOwner",
    "view_encrypted_data": "PermissionsViewEncryptedData",
    "query_all_files": "PermissionsQueryAllFiles",
    "view_setup": "PermissionsViewSetup",
    "customize_application": "PermissionsCustomizeApplication",
    "modify_metadata": "PermissionsModifyMetadata",
}


def identify(wire: Wire, api: RestApi) -> OrgIdentity:
    """Ask the org. Cost: two calls.

    Raises:
        RefusedError: the user may not read Organization, so that nobody could tell which org it is.
    """
    row = next(queries.rows(wire, api, _ORGANIZATION), None)
    if row is None:
        raise RefusedError(
            "The org does not say which org it is: its Organization record is not visible.",
            next_step="Give the user access to Organization, then test again.",
        )
    user = _user(wire, api)
    kind = environment(row, loopback=hosts.is_loopback(wire.base_url))
    return OrgIdentity(
        organization_id=to18(str(row["Id"])),
        name=str(row.get("Name") or ""),
        organization_type=str(row.get("OrganizationType") or ""),
        is_sandbox=bool(row.get("IsSandbox")),
        is_practice=kind is Environment.PRACTICE,
        environment=kind,
        user_id=user.user_id,
        username=user.username,
        instance_url=wire.base_url,
        api_version=api.version,
        instance_name=str(row.get("InstanceName") or ""),
        namespace_prefix=str(row.get("NamespacePrefix") or ""),
        trial_expires=_time(row.get("TrialExpirationDate")),
    )


def environment(organization: Mapping[str, Any], *, loopback: bool) -> Environment:
    """What an Organization row makes of the org.

    A scratch org says IsSandbox with an expiry and "Developer Edition"; a Developer Edition org
    says IsSandbox=false: "not a sandbox" is not "production". A practice org says so itself and
    answers on this machine: a tunnel to another org on 127.0.0.1 makes no practice org of it.
    """
    if loopback and organization.get("InstanceName") == PRACTICE_INSTANCE:
        return Environment.PRACTICE
    developer = organization.get("OrganizationType") == "Developer Edition"
    expires = organization.get("TrialExpirationDate") is not None
    if organization.get("IsSandbox"):
        return Environment.SCRATCH if developer and expires else Environment.SANDBOX
    if developer:
        return Environment.DEVELOPER
    return Environment.TRIAL if expires else Environment.PRODUCTION


def permissions(
    wire: Wire, api: RestApi, *, user_id: str, known: frozenset[str]
) -> UserPermissions:
    """The union of the user's profile and permission sets.

    Args:
        known: field names of PermissionSet in this org (its describe).
    """
    asked = {name: column for name, column in _PERMISSION_FIELDS.items() if column in known}
    if not asked:
        return UserPermissions()
    soql = (
        f"SELECT {', '.join(asked.values())} FROM PermissionSet WHERE Id IN "  # noqa: S608 own names
        f"(SELECT PermissionSetId FROM PermissionSetAssignment WHERE AssigneeId = '{user_id}')"
    )
    rows = list(queries.rows(wire, api, soql))
    if not rows:
        return UserPermissions()
    held = {name: any(row.get(column) for row in rows) for name, column in asked.items()}
    if held.get("modify_all_data"):
        held["view_all_data"] = True
    return UserPermissions(**held)


def all_unknown(granted: UserPermissions) -> bool:
    """Whether the org said nothing at all of the user's permissions."""
    return all(getattr(granted, item.name) is None for item in fields(granted))


def _user(wire: Wire, api: RestApi) -> soap.UserInfo:
    try:
        info = wire.get_json("/services/oauth2/userinfo")
        return soap.UserInfo(
            to18(str(info["user_id"])),
            str(info.get("preferred_username") or info.get("username") or ""),
            to18(str(info["organization_id"])),
        )
    except SessionLostError:
        raise
    except RefusedError:
        # a session from SOAP login has no identity scope: userinfo refuses it
        return soap.user_info(wire, api.version)


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text).replace("+0000", "+00:00")) if text else None
