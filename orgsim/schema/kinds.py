"""How a few words about a field become its 57 describe attributes.

The flags of each kind follow recorded describes (Account, Contact, Case, Event, Task, API 44 to
62).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The 57 keys of a described field, in the order Salesforce sends them, with their usual values.
BLANK: dict[str, Any] = {
    "aggregatable": True, "aiPredictionField": False, "autoNumber": False, "byteLength": 0,
    "calculated": False, "calculatedFormula": None, "cascadeDelete": False, "caseSensitive": False,
    "compoundFieldName": None, "controllerName": None, "createable": True, "custom": False,
    "defaultValue": None, "defaultValueFormula": None, "defaultedOnCreate": False,
    "dependentPicklist": False, "deprecatedAndHidden": False, "digits": 0,
    "displayLocationInDecimal": False, "encrypted": False, "externalId": False,
    "extraTypeInfo": None, "filterable": True, "filteredLookupInfo": None,
    "formulaTreatNullNumberAsZero": False, "groupable": True, "highScaleNumber": False,
    "htmlFormatted": False, "idLookup": False, "inlineHelpText": None, "label": "", "length": 0,
    "mask": None, "maskType": None, "name": "", "nameField": False, "namePointing": False,
    "nillable": True, "permissionable": True, "picklistValues": [], "polymorphicForeignKey": False,
    "precision": 0, "queryByDistance": False, "referenceTargetField": None, "referenceTo": [],
    "relationshipName": None, "relationshipOrder": None, "restrictedDelete": False,
    "restrictedPicklist": False, "scale": 0, "searchPrefilterable": False,
    "soapType": "xsd:string", "sortable": True, "type": "string", "unique": False,
    "updateable": True, "writeRequiresMasterRead": False,
}  # fmt: skip

#: Kinds whose describe type or flags differ from their name or from BLANK.
_KINDS: dict[str, dict[str, Any]] = {
    "string": {"length": 255},
    "picklist": {"length": 255},
    "combobox": {"length": 255},
    "multipicklist": {
        "length": 4099, "aggregatable": False, "groupable": False, "sortable": False,
    },
    "textarea": {"length": 255, "extraTypeInfo": "plaintextarea"},
    "long_textarea": {
        "type": "textarea", "length": 32000, "extraTypeInfo": "plaintextarea",
        "filterable": False, "sortable": False, "groupable": False, "aggregatable": False,
    },
    "html": {
        "type": "textarea", "length": 32000, "extraTypeInfo": "richtextarea", "htmlFormatted": True,
        "filterable": False, "sortable": False, "groupable": False, "aggregatable": False,
    },
    "email": {"length": 80},
    "phone": {"length": 40},
    "url": {"length": 255},
    "encryptedstring": {"length": 175, "encrypted": True, "mask": "*", "maskType": "all",
                        "filterable": False, "sortable": False, "groupable": False},
    "id": {"length": 18, "soapType": "tns:ID", "createable": False, "updateable": False,
           "nillable": False, "permissionable": False, "idLookup": True, "defaultedOnCreate": True},
    "reference": {"length": 18, "soapType": "tns:ID"},
    "master_detail": {"type": "reference", "length": 18, "soapType": "tns:ID", "nillable": False,
                      "permissionable": False, "relationshipOrder": 0, "updateable": False,
                      "writeRequiresMasterRead": False, "cascadeDelete": False},
    "boolean": {"soapType": "xsd:boolean", "nillable": False, "defaultedOnCreate": True,
                "defaultValue": False, "aggregatable": False},
    "long": {"soapType": "xsd:long", "digits": 18},
    "int": {"soapType": "xsd:int", "digits": 8},
    "double": {"soapType": "xsd:double", "precision": 18, "groupable": False},
    "currency": {"soapType": "xsd:double", "precision": 18, "scale": 2, "groupable": False},
    "percent": {"soapType": "xsd:double", "precision": 18, "groupable": False},
    "date": {"soapType": "xsd:date"},
    "datetime": {"soapType": "xsd:dateTime", "groupable": False},
    "time": {"soapType": "xsd:time"},
    "address": {"soapType": "urn:address", "createable": False, "updateable": False,
                "aggregatable": False, "groupable": False, "sortable": False,
                "queryByDistance": True},
    "location": {"soapType": "urn:location", "createable": False, "updateable": False,
                 "aggregatable": False, "groupable": False, "queryByDistance": True},
    "base64": {"soapType": "xsd:base64Binary", "aggregatable": False, "filterable": False,
               "groupable": False, "sortable": False, "permissionable": False},
    "anyType": {"soapType": "xsd:anyType"},
}  # fmt: skip

#: Words of the schema file that mean a kind above.
ALIASES = {
    "text": "string", "checkbox": "boolean", "number": "double", "lookup": "reference",
    "long_text_area": "long_textarea", "longtextarea": "long_textarea", "text_area": "textarea",
    "rich_text": "html", "masterdetail": "master_detail", "auto_number": "autonumber",
    "multiselectpicklist": "multipicklist", "integer": "int", "encryptedtext": "encryptedstring",
}  # fmt: skip

_THRICE = frozenset({"string", "picklist", "phone", "email", "url", "combobox", "textarea"})


def field_attributes(name: str, kind: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The describe entry of a field of ``kind``; ``overrides`` are describe keys that win."""
    word = ALIASES.get(kind.lower(), kind)
    if word not in _KINDS:
        raise ValueError(f"field {name}: unknown type {kind!r}")
    made = {**BLANK, "name": name, "label": _label(name), "custom": name.endswith("__c")}
    made["type"] = word
    made.update(_KINDS[word])
    made.update(overrides)
    if made["nillable"] is False and "permissionable" not in overrides:
        made["permissionable"] = made["type"] == "boolean"
    if "byteLength" not in overrides:
        made["byteLength"] = made["length"] * (3 if made["type"] in _THRICE else 1)
    if len(made["referenceTo"]) > 1 and "polymorphicForeignKey" not in overrides:
        made["polymorphicForeignKey"] = made["namePointing"] = True
    return {key: made[key] for key in BLANK}


def is_kind(word: str) -> bool:
    """Whether the word names a kind of field."""
    return ALIASES.get(word.lower(), word) in _KINDS


def _label(name: str) -> str:
    """``LegacyId__c`` → ``LegacyId``; ``Legacy_Id__c`` → ``Legacy Id``."""
    return name.removesuffix("__c").replace("_", " ")
