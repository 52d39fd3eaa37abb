"""What a new org is born with: its identity, its administrator, profiles, lists and standard
rows."""

from __future__ import annotations

import secrets
import string
from typing import Any

import polars as pl

from orgsim import dml
from orgsim.dml.save import Save
from orgsim.store import Store
from orgsim.store.ids import make_ids

_BASE62 = string.digits + string.ascii_letters
#: Organization.InstanceName of an org whose schema names none: by it the product tells a practice
#: org from a tunnel to a real one
PRACTICE_INSTANCE = "PRACTICE"
PERMISSIONS = (
    "ModifyAllData", "ViewAllData", "ApiEnabled", "BulkApiHardDelete", "CreateAuditFields",
    "UpdateWithInactiveOwner", "ViewSetup", "CustomizeApplication", "ModifyMetadata",
    "ViewEncryptedData", "ManageUsers", "QueryAllFiles",
)  # fmt: skip
#: Off by default even for administrators. Source: Bulk API guide; "Enable Set Audit Fields".
_SPECIAL = {
    "BulkApiHardDelete",
    "CreateAuditFields",
    "UpdateWithInactiveOwner",
    "ViewEncryptedData",
    "QueryAllFiles",
}


def identity(name: str) -> dict[str, Any]:
    """A new org's identity: ids that no other org has."""
    pod = "".join(secrets.choice(_BASE62) for _ in range(2))
    number = secrets.randbelow(62**6) + 62**6
    return {
        "name": name,
        "pod": pod,
        "organization_id": make_ids("00D", pod, first=number, count=1)[0],
        "custom_prefix_start": secrets.randbelow(62 * 30),
    }


def sign(store: Store, described: dict[str, Any]) -> None:
    """Gives an org that an earlier version made, without a name of its instance, today's."""
    if described.get("instance"):
        return
    with store.write() as transaction:
        transaction.cursor.execute(
            """UPDATE "Organization" SET "InstanceName" = ?
            WHERE "InstanceName" IN ('CS42', 'NA42')""",
            [PRACTICE_INSTANCE],
        )


def assign_prefixes(document: dict[str, Any], start: int) -> None:
    """Gives custom objects without a key prefix one of ``a00`` … ``aZZ``, differing from org to
    org."""
    taken = {entry.get("prefix") for entry in document["objects"].values()}
    number = start
    for name, entry in document["objects"].items():
        described = (entry.get("describe") or {}).get("keyPrefix")
        if entry.get("prefix") or described or not name.endswith("__c"):
            continue
        while (prefix := f"a{_BASE62[number // 62 % 62]}{_BASE62[number % 62]}") in taken:
            number += 1
        entry["prefix"] = prefix
        entry.setdefault("viewed", True)
        taken.add(prefix)


def assign_record_types(document: dict[str, Any], pod: str, first: int) -> None:
    """Gives record types ids that they keep."""
    for entry in document["objects"].values():
        for developer_name, given in list((entry.get("record_types") or {}).items()):
            spec = dict(given or {})
            if not spec.get("id"):
                spec["id"] = make_ids("012", pod, first=first, count=1)[0]
                first += 1
            entry["record_types"][developer_name] = spec


def first_rows(save: Save, document: dict[str, Any], *, administrator: dict[str, str]) -> str:
    """Loads the rows every org has; returns the administrator's user id."""
    org = document["org"]
    profiles = _profiles(save, set(org.get("features") or ()))
    user_id = _users(save, org, administrator=administrator, profiles=profiles)
    _organization(save, org)
    _queues(save, org)
    _record_types(save)
    if save.full.sobject("Pricebook2"):
        _load(save, "Pricebook2", [{"Name": "Standard Price Book", "IsStandard": True,
                                    "IsActive": True}])  # fmt: skip
    if save.full.sobject("CurrencyType"):
        rates = org.get("currencies") or {"USD": 1}
        _load(save, "CurrencyType", [
            {"IsoCode": code, "ConversionRate": float(rate), "DecimalPlaces": 2, "IsActive": True,
             "IsCorporate": at == 0} for at, (code, rate) in enumerate(rates.items())
        ])  # fmt: skip
    return user_id


def _load(save: Save, sobject: str, rows: list[dict[str, Any]]) -> list[str]:
    """Loads rows with fresh ids; returns the ids. Names no field that the schema has not."""
    target = save.full.sobject(sobject)
    if target is None or not rows:
        return []
    with save.store.write():
        ids = dml.new_ids(save, sobject, len(rows))
        frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(ids.alias("Id"))
        known = [name for name in frame.columns if name == "Id" or target.field(name)]
        dml.load(save, sobject, frame.select(known))
    return ids.to_list()


def _profiles(save: Save, features: set[str]) -> dict[str, str]:
    special = set(_SPECIAL)
    if "set_audit_fields" in features:
        special -= {"CreateAuditFields", "UpdateWithInactiveOwner"}
    if "hard_delete" in features:
        special -= {"BulkApiHardDelete"}
    if "view_encrypted" in features:
        special -= {"ViewEncryptedData"}
    rows = [
        {"Name": "System Administrator", "UserType": "Standard",
         **{f"Permissions{one}": one not in special for one in PERMISSIONS}},
        {"Name": "Standard User", "UserType": "Standard",
         **{f"Permissions{one}": one == "ApiEnabled" for one in PERMISSIONS}},
    ]  # fmt: skip
    ids = _load(save, "Profile", rows)
    sets = [
        {"Name": f"X{profile_id}", "Label": f"X{profile_id}", "ProfileId": profile_id,
         "IsOwnedByProfile": True, "IsCustom": False, "Type": "Profile",
         **{key: value for key, value in row.items() if key.startswith("Permissions")}}
        for row, profile_id in zip(rows, ids, strict=True)
    ]  # fmt: skip
    _load(save, "PermissionSet", sets)
    return {str(row["Name"]): one for row, one in zip(rows, ids, strict=True)}


def _users(
    save: Save, org: dict[str, Any], *, administrator: dict[str, str], profiles: dict[str, str]
) -> str:
    people = [{**administrator, "profile": "System Administrator"}, *(org.get("users") or ())]
    rows = [
        {
            "Username": one["username"], "FirstName": one.get("first"), "LastName": one["last"],
            "Name": f"{one.get('first') or ''} {one['last']}".strip(),
            "Email": one.get("email") or one["username"],
            "Alias": str(one.get("alias") or one["last"])[:8].lower(),
            "CommunityNickname": one["username"].split("@")[0][:40],
            "IsActive": bool(one.get("active", True)), "UserType": "Standard",
            "ProfileId": profiles.get(one.get("profile", ""), profiles["Standard User"]),
            "TimeZoneSidKey": "UTC", "LocaleSidKey": "en_US", "EmailEncodingKey": "UTF-8",
            "LanguageLocaleKey": "en_US", "FederationIdentifier": one.get("federation"),
        }
        for one in people
    ]  # fmt: skip
    ids = _load(save, "User", rows)
    _assign_profiles(save, dict(zip(ids, (row["ProfileId"] for row in rows), strict=True)))
    return ids[0]


def _assign_profiles(save: Save, profile_of: dict[str, str]) -> None:
    """Every user is assigned the hidden permission set of the profile, as an org lists it."""
    with save.store.read() as cursor:
        found = cursor.execute('SELECT ProfileId, Id FROM "PermissionSet"').fetchall()
    sets = dict(found)
    _load(save, "PermissionSetAssignment", [
        {"AssigneeId": user_id, "PermissionSetId": sets[profile_id], "IsActive": True}
        for user_id, profile_id in profile_of.items()
    ])  # fmt: skip


def _organization(save: Save, org: dict[str, Any]) -> None:
    sandbox = bool(org.get("sandbox", False))
    row = {
        "Id": save.facts.organization_id, "Name": str(org["name"]),
        "OrganizationType": str(org.get("type") or "Developer Edition"), "IsSandbox": sandbox,
        "InstanceName": str(org.get("instance") or PRACTICE_INSTANCE),
        "IsReadOnly": False, "NamespacePrefix": None, "LanguageLocaleKey": "en_US",
        "DefaultLocaleSidKey": "en_US", "TimeZoneSidKey": "UTC", "FiscalYearStartMonth": 1,
        "Country": "US", "PrimaryContact": "Practice Administrator",
        "DefaultAccountAccess": "Edit", "DefaultContactAccess": "ControlledByParent",
        "DefaultOpportunityAccess": "Edit",
    }  # fmt: skip
    dml.load(save, "Organization", pl.DataFrame([row]))


def _queues(save: Save, org: dict[str, Any]) -> None:
    queues = org.get("queues") or {}
    ids = _load(save, "Group", [
        {"Name": spec.get("name") or key, "DeveloperName": key, "Type": "Queue"}
        for key, spec in queues.items()
    ])  # fmt: skip
    served = [
        {"QueueId": one, "SobjectType": name}
        for one, spec in zip(ids, queues.values(), strict=True)
        for name in spec.get("objects") or ()
    ]
    _load(save, "QueueSobject", served)


def _record_types(save: Save) -> None:
    rows = [
        {"Id": one.record_type_id, "Name": one.name, "DeveloperName": one.developer_name,
         "SobjectType": sobject.name, "IsActive": one.active, "IsPersonType": one.person}
        for sobject in save.full.sobjects.values()
        for one in sobject.record_types
        if not one.master
    ]  # fmt: skip
    if rows:
        dml.load(save, "RecordType", pl.DataFrame(rows))
