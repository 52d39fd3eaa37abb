"""The schema in the words of describe and describeGlobal."""

from __future__ import annotations

from typing import Any

from orgsim.schema.kinds import BLANK
from orgsim.schema.model import ChildRelationship, Field, Schema, SObject

#: Keys of a describeGlobal entry, as recorded.
GLOBAL_KEYS = (
    "activateable", "associateEntityType", "associateParentEntity", "createable", "custom",
    "customSetting", "deepCloneable", "deletable", "deprecatedAndHidden", "feedEnabled",
    "hasSubtypes", "isInterface", "isSubtype", "keyPrefix", "label", "labelPlural", "layoutable",
    "mergeable", "mruEnabled", "name", "queryable", "replicateable", "retrieveable", "searchable",
    "triggerable", "undeletable", "updateable",
)  # fmt: skip


def global_document(schema: Schema, version: str) -> dict[str, Any]:
    """The answer of ``/sobjects``."""
    return {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [global_entry(one, version) for one in schema.sobjects.values()],
    }


def global_entry(sobject: SObject, version: str) -> dict[str, Any]:
    """One object's line of describeGlobal."""
    made = {key: sobject.attributes.get(key) for key in GLOBAL_KEYS}
    base = f"/services/data/v{version}/sobjects/{sobject.name}"
    urls = {"rowTemplate": f"{base}/{{ID}}", "describe": f"{base}/describe", "sobject": base}
    if sobject.attributes.get("layoutable"):
        urls["layouts"] = f"{base}/describe/layouts"
        urls["compactLayouts"] = f"{base}/describe/compactLayouts"
    return {**made, "urls": urls}


def document(sobject: SObject, *, version: str, instance_url: str) -> dict[str, Any]:
    """The answer of ``/sobjects/X/describe``."""
    recorded = {key: value for key, value in sobject.attributes.items()
                if key not in ("childRelationships", "urls", "recordTypeInfos")}  # fmt: skip
    made: dict[str, Any] = {
        "actionOverrides": [],
        **recorded,
        "childRelationships": _children(sobject),
        "fields": [field_entry(one) for one in sobject.fields.values()],
        "recordTypeInfos": _record_types(sobject, version),
        "supportedScopes": recorded.get("supportedScopes", _scopes(sobject)),
        "urls": _urls(sobject, version, instance_url),
    }
    return dict(sorted(made.items()))


def field_entry(field: Field) -> dict[str, Any]:
    """The 57 keys of one field, in Salesforce's order."""
    return {key: field.attributes[key] for key in BLANK}


def _children(sobject: SObject) -> list[dict[str, Any]]:
    recorded = list(sobject.attributes.get("childRelationships") or ())
    known = {(one["childSObject"], one["field"]) for one in recorded}
    made = [
        _child(one)
        for one in sobject.children
        if (one.child_sobject, one.field) not in known and one.field != "MasterRecordId"
    ]
    return recorded + made


def _child(child: ChildRelationship) -> dict[str, Any]:
    return {
        "cascadeDelete": child.cascade_delete, "childSObject": child.child_sobject,
        "deprecatedAndHidden": False, "field": child.field, "junctionIdListNames": [],
        "junctionReferenceTo": [], "relationshipName": child.relationship_name,
        "restrictedDelete": child.restricted_delete,
    }  # fmt: skip


def _record_types(sobject: SObject, version: str) -> list[dict[str, Any]]:
    base = f"/services/data/v{version}/sobjects/{sobject.name}/describe/layouts"
    return [
        {
            "active": one.active, "available": one.available,
            "defaultRecordTypeMapping": one.default, "developerName": one.developer_name,
            "master": one.master, "name": one.name, "recordTypeId": one.record_type_id,
            "urls": {"layout": f"{base}/{one.record_type_id}"},
        }
        for one in sobject.record_types
    ]  # fmt: skip


def _scopes(sobject: SObject) -> list[dict[str, str]]:
    plural = str(sobject.attributes["labelPlural"]).lower()
    made = [{"label": f"All {plural}", "name": "everything"}]
    if sobject.field("OwnerId"):
        made.append({"label": f"My {plural}", "name": "mine"})
    return made


def _urls(sobject: SObject, version: str, instance_url: str) -> dict[str, str]:
    base = f"/services/data/v{version}/sobjects/{sobject.name}"
    made = {
        "compactLayouts": f"{base}/describe/compactLayouts", "rowTemplate": f"{base}/{{ID}}",
        "approvalLayouts": f"{base}/describe/approvalLayouts",
        "uiDetailTemplate": f"{instance_url}/{{ID}}", "uiEditTemplate": f"{instance_url}/{{ID}}/e",
        "defaultValues": f"{base}/defaultValues?recordTypeId&fields",
        "listviews": f"{base}/listviews", "describe": f"{base}/describe",
        "uiNewRecord": f"{instance_url}/{sobject.key_prefix}/e",
        "quickActions": f"{base}/quickActions", "layouts": f"{base}/describe/layouts",
        "sobject": base,
    }  # fmt: skip
    return made
