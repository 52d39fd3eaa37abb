"""Rows of the metadata objects, made from the schema at the moment of the query."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import yaml

from orgsim.schema import yaml_file
from orgsim.schema.build import FLAGS
from orgsim.schema.model import Field, NameMap, Schema, SObject
from orgsim.store.columns import polars_type
from orgsim.store.ids import make_ids
from orgsim.store.store import first_number

if TYPE_CHECKING:
    from orgsim.org import Org

_FROM = re.compile(r"\bfrom\s+(\w+)", re.IGNORECASE)
Row = dict[str, Any]


@cache
def catalogue() -> Schema:
    """The metadata objects as a schema of their own."""
    text = (Path(__file__).parent / "catalogue.yaml").read_text(encoding="utf-8")
    made = []
    for name, entry in yaml.safe_load(text).items():
        fields = [yaml_file.field_of(key, spec) for key, spec in entry["fields"].items()]
        attributes = {**FLAGS, "name": name, "label": entry["label"], "labelPlural": entry["label"],
                      "keyPrefix": entry.get("prefix")}  # fmt: skip
        made.append((name, SObject(attributes, NameMap((one.name, one) for one in fields))))
    return Schema(NameMap(made))


@contextmanager
def readable(
    org: Org, cursor: duckdb.DuckDBPyConnection, text: str, schema: Schema, *, tooling: bool = False
) -> Iterator[Schema]:
    """The schema to run a query with: the caller's, or the metadata objects when it asks for one of
    them."""
    named = _FROM.findall(text)
    asked = [one for one in named if catalogue().sobject(one)]
    if not asked or (not tooling and any(schema.sobject(one) for one in asked)):
        yield schema
        return
    needed = {catalogue().sobjects[one].name for one in asked} | {"EntityDefinition"}
    for name in needed:
        cursor.register("@made", _frame(org, name).to_arrow())
        # A table, not a view: queries order by rowid where they say nothing else.
        cursor.execute(f'CREATE TEMP TABLE "{name}" AS SELECT * FROM "@made"').fetchall()
        cursor.unregister("@made")
    yield catalogue()
    for name in needed:
        cursor.execute(f'DROP TABLE temp."{name}"').fetchall()


def rows_of(org: Org, name: str) -> list[Row]:
    """The rows of one metadata object."""
    return list(_MAKERS[name](org))


def _frame(org: Org, name: str) -> pl.DataFrame:
    target = catalogue().sobjects[name]
    kinds = {one.name: polars_type(one) for one in target.fields.values()}
    rows = [{key: row.get(key) for key in kinds} for row in rows_of(org, name)]
    return pl.DataFrame(rows, schema=kinds).with_columns(pl.lit(value=False).alias("IsDeleted"))


def durable_id(org: Org, prefix: str, key: str) -> str:
    """An id that a piece of metadata keeps as long as its name."""
    number = first_number(org.identity.organization_id, f"metadata:{prefix}:{key}")
    return str(make_ids(prefix, org.pod, first=number, count=1)[0])


def _entities(org: Org) -> Iterator[Row]:
    for name, one in org.schema.sobjects.items():
        yield {
            "Id": name, "DurableId": name, "QualifiedApiName": name,
            "DeveloperName": name.removesuffix("__c"), "Label": one.label,
            "PluralLabel": one.attributes["labelPlural"], "KeyPrefix": one.key_prefix,
            "IsCustomSetting": one.custom_setting, "IsQueryable": one.queryable,
            "IsEverCreatable": one.createable, "IsEverDeletable": one.deletable,
            "IsEverUpdatable": one.updateable, "IsCustomizable": True,
        }  # fmt: skip


def _fields(org: Org) -> Iterator[Row]:
    for name, one in org.schema.sobjects.items():
        for field in one.fields.values():
            yield {
                "Id": f"{name}.{field.name}", "DurableId": f"{name}.{field.name}",
                "QualifiedApiName": field.name, "DeveloperName": field.name.removesuffix("__c"),
                "EntityDefinitionId": name, "Label": field.label, "DataType": field.type,
                "ValueTypeId": field.type, "Length": field.length, "Precision": field.precision,
                "Scale": field.scale, "IsNillable": field.nillable,
                "IsCalculated": field.calculated, "IsIndexed": field.external_id or field.unique,
                "IsPolymorphicForeignKey": field.polymorphic_foreign_key,
                "RelationshipName": field.relationship_name,
            }  # fmt: skip


def _custom_fields(org: Org) -> Iterator[Row]:
    for name, one in org.schema.sobjects.items():
        for field in one.fields.values():
            if field.custom:
                yield custom_field_row(org, name, field)


def custom_field_row(org: Org, sobject: str, field: Field) -> Row:
    """One custom field as the Tooling API knows it."""
    table = durable_id(org, "01I", sobject) if sobject.endswith("__c") else sobject
    return {
        "Id": field.durable_id or durable_id(org, "00N", f"{sobject}.{field.name}"),
        "DeveloperName": field.name.removesuffix("__c"), "NamespacePrefix": None,
        "TableEnumOrId": table, "EntityDefinitionId": sobject,
        "FullName": f"{sobject}.{field.name}", "Metadata": json.dumps(field_metadata(field)),
    }  # fmt: skip


def field_metadata(field: Field) -> dict[str, Any]:
    """What a field's ``Metadata`` says; what the Tooling API was given comes back as it was."""
    if field.metadata is not None:
        return dict(field.metadata)
    made: dict[str, Any] = {"label": field.label, "type": _metadata_type(field),
                            "externalId": field.external_id, "unique": field.unique,
                            "required": not field.nillable and field.type != "boolean"}  # fmt: skip
    if field.type in ("string", "textarea"):
        made["length"] = field.length
    if field.type in ("double", "currency", "percent"):
        made |= {"precision": field.precision, "scale": field.scale}
    if field.reference_to:
        made |= {"referenceTo": field.reference_to[0]}
    return made


def _metadata_type(field: Field) -> str:
    words = {"string": "Text", "double": "Number", "boolean": "Checkbox", "reference": "Lookup",
             "datetime": "DateTime", "textarea": "TextArea", "multipicklist": "MultiselectPicklist",
             "int": "Number", "encryptedstring": "EncryptedText"}  # fmt: skip
    if field.auto_number:
        return "AutoNumber"
    if field.master_detail:
        return "MasterDetail"
    if field.rollup:
        return "Summary"
    if field.type == "textarea" and field.length > 255:
        return "Html" if field.extra_type_info == "richtextarea" else "LongTextArea"
    return words.get(field.type, field.type.capitalize())


def _rules(org: Org, key: str) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    for name, one in org.schema.sobjects.items():
        for rule_name, rule in (one.rules.get(key) or {}).items():
            yield name, rule_name, rule


def _validation_rules(org: Org) -> Iterator[Row]:
    for sobject, name, rule in _rules(org, "validation_rules"):
        yield validation_rule_row(org, sobject, name=name, rule=rule)


def validation_rule_row(org: Org, sobject: str, *, name: str, rule: Mapping[str, Any]) -> Row:
    """One validation rule as the Tooling API knows it."""
    active = bool(rule.get("active", True))
    metadata = {
        "active": active, "description": rule.get("description"),
        "errorConditionFormula": rule["formula"], "errorDisplayField": rule.get("field"),
        "errorMessage": rule["message"], "shouldEvaluateOnClient": False, "urls": None,
    }  # fmt: skip
    return {
        "Id": durable_id(org, "03d", f"{sobject}.{name}"), "ValidationName": name, "Active": active,
        "EntityDefinitionId": sobject, "ErrorMessage": rule["message"],
        "ErrorDisplayField": rule.get("field"), "Description": rule.get("description"),
        "FullName": f"{sobject}.{name}", "Metadata": json.dumps(metadata),
    }  # fmt: skip


def _triggers(org: Org) -> Iterator[Row]:
    """The hooks of an object stand for its trigger."""
    for name, one in org.schema.sobjects.items():
        if one.rules.get("hooks"):
            trigger = f"{name.removesuffix('__c')}Trigger"
            yield {"Id": durable_id(org, "01q", trigger), "Name": trigger, "TableEnumOrId": name,
                   "EntityDefinitionId": name, "Status": "Active"}  # fmt: skip


def _duplicate_rules(org: Org) -> Iterator[Row]:
    for sobject, name, rule in _rules(org, "duplicate_rules"):
        yield {"Id": durable_id(org, "0Bm", f"{sobject}.{name}"), "DeveloperName": name,
               "MasterLabel": name.replace("_", " "), "SobjectType": sobject,
               "IsActive": bool(rule.get("active", True))}  # fmt: skip


def _assignment_rules(org: Org) -> Iterator[Row]:
    for sobject, name, rule in _rules(org, "assignment_rules"):
        yield {"Id": durable_id(org, "01Q", f"{sobject}.{name}"), "Name": name,
               "SobjectType": sobject, "Active": bool(rule.get("active", True))}  # fmt: skip


def _custom_objects(org: Org) -> Iterator[Row]:
    for name, one in org.schema.sobjects.items():
        if one.custom:
            yield {"Id": durable_id(org, "01I", name), "DeveloperName": name.removesuffix("__c")}


def _flows(org: Org) -> Iterator[Row]:
    """Practice orgs have no flows."""
    return iter(())


_MAKERS: dict[str, Callable[[Org], Iterator[Row]]] = {
    "EntityDefinition": _entities, "FieldDefinition": _fields, "CustomField": _custom_fields,
    "ValidationRule": _validation_rules, "ApexTrigger": _triggers, "CustomObject": _custom_objects,
    "DuplicateRule": _duplicate_rules, "AssignmentRule": _assignment_rules,
    "FlowDefinitionView": _flows,
}  # fmt: skip
