"""Two practice orgs rich enough for the numbered rules, and short plans between them."""

from __future__ import annotations

import yaml

_KEY = {"type": "text", "label": "Legacy Id", "length": 40, "external_id": True, "unique": True,
        "case_sensitive": True}  # fmt: skip
#: emptied before every test, children first
OBJECTS = ("Line__c", "Project__c", "Task", "Case", "Opportunity", "Lead", "Contact", "Account")


_ACCOUNT = {
    "fields": {
        "When__c": "datetime",
        "Day__c": "date",
        "Amount__c": {"type": "currency", "precision": 18, "scale": 2},
        "Exact__c": {"type": "number", "precision": 18, "scale": 6},
        "Old_Id__c": {"type": "text", "length": 18},
        "Long__c": {"type": "long_textarea", "length": 32000},
        "Tier__c": {"type": "picklist", "values": ["Gold", "Silver"], "restricted": True},
        "Once__c": {"type": "text", "length": 40, "create_only": True},
        "Legacy_Id__c": _KEY,
    },
    "record_types": {
        "Business": {"name": "Business", "default": True},
        "Partner": {"name": "Partner"},
    },
    "duplicate_rules": {"Same_Fax": {"match": ["Fax"], "action": "alert", "message": "Same fax"}},
}
_CASE = {
    "fields": {"Legacy_Id__c": _KEY},
    "assignment_rules": {"Web": {"where": 'ISPICKVAL(Origin, "Web")', "owner": "Desk"}},
}
_PROJECT = {
    "label": "Project",
    "fields": {
        "Legacy_Id__c": _KEY,
        "Status__c": {"type": "picklist", "values": ["Open", "Closed"]},
        "Account__c": {"type": "lookup", "to": "Account", "relationship": "Account__r"},
    },
}
_LINE = {
    "label": "Line",
    "fields": {
        "Legacy_Id__c": _KEY,
        "Project__c": {"type": "lookup", "to": "Project__c", "relationship": "Project__r"},
    },
    "validation_rules": {
        "Locked": {
            "formula": 'ISPICKVAL(Project__r.Status__c, "Closed")',
            "message": "The project is closed",
        }
    },
}


def schema(*, domain: str) -> str:
    """An org whose users have names of that domain."""
    org = {
        "features": ["multi_currency", "set_audit_fields", "hard_delete"],
        "currencies": {"USD": 1, "EUR": 0.9},
        "users": [
            {"username": f"ann@{domain}", "first": "Ann", "last": "Lee"},
            {"username": f"idle@{domain}", "first": "Ida", "last": "Idle", "active": False},
        ],
        "queues": {"Desk": {"name": "Desk", "objects": ["Case", "Lead"]}},
    }
    keyed = ("Contact", "Lead", "Task", "Opportunity")
    objects = {
        "Account": _ACCOUNT,
        "Case": _CASE,
        "Project__c": _PROJECT,
        "Line__c": _LINE,
        **{name: {"fields": {"Legacy_Id__c": _KEY}} for name in keyed},
    }
    standard = ["Account", "Contact", "Lead", "Opportunity", "Case", "Task"]
    document = {"org": org, "standard": standard, "objects": objects}
    return yaml.dump(document, Dumper=_NoAliases)


class _NoAliases(yaml.SafeDumper):
    """Writes the same field twice rather than naming it."""

    def ignore_aliases(self, data: object) -> bool:
        """Always."""
        return True


def plan(*objects: str) -> str:
    """A plan of some objects, each a mapping in YAML's flow style."""
    head = "orgbridge: 1\nname: rules\nsource: legacy\ntarget: new\nobjects:\n"
    return head + "".join(f"  - {{{entry}}}\n" for entry in objects)


#: the key that most tests recognise records by
KEYED = "key: {source: Id, target: Legacy_Id__c}"
