"""Mappings that people made, as cases for auto-map: columns of one side, the field they went to.

    fivetran   columns of a warehouse (snake_case) → fields of Account, Contact, Opportunity, …
    npsp       columns of NPSP's Data Import object → fields of Contact, Account, Opportunity

Target fields that the recorded describes lack (packages were not installed) are added with the type
of their source, so that every case can be won and all other fields of the object compete.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.domain.describe import Field, Fields, SObject, parse_describe
from core.domain.field_names import bare_name

_ENTRY = re.compile(r'\{"name": "(\w+)", "datatype": ([^}]+)\}')
_DBT_TYPES = {"timestamp": "datetime", "boolean": "boolean", "float": "double", "int": "int"}
_UI_TYPES = {"bool": "boolean", "text": "textarea"}


@dataclass(frozen=True, slots=True)
class Case:
    """Columns of one source, the object they go to, and where each belongs."""

    name: str
    source: SObject
    target: SObject
    #: source field → target field
    truth: dict[str, str]


def fivetran_cases(fixtures: Path) -> Iterator[Case]:
    """One case per object with a recorded describe; truth: the same name in camel case."""
    for path in sorted((fixtures / "D_mapping_ground_truth/fivetran_columns").glob("get_*.sql")):
        name = path.stem.removeprefix("get_").removesuffix("_columns").capitalize()
        target = recorded_object(fixtures, name)
        if target is None:
            continue
        columns = _ENTRY.findall(path.read_text())
        source = _object(name, (Field(n, _dbt_type(kind), label="") for n, kind in columns))
        by_bare = {bare_name(field.name): field for field in target.fields.values()}
        truth = {
            column: by_bare[bare_name(column)].name
            for column, _ in columns
            if bare_name(column) in by_bare
        }
        yield Case(f"fivetran {name}", source, target, truth)


def npsp_cases(fixtures: Path, *, descriptions: bool = True) -> Iterator[Case]:
    """Contact, Account and Opportunity of NPSP's shipped mapping.

    Args:
        descriptions: keep the help texts of the import columns, which often name the target.
    """
    folder = fixtures / "D_mapping_ground_truth/npsp_data_import"
    rows = list(_rows(folder / "field_mapping_contact1_account1_opportunity.csv"))
    infos = fixtures / "A_api_responses/npsp_objectinfo"
    source = _ui_object(infos / "dataImportObjectDescribeInfo.json", descriptions=descriptions)
    for group, name in (("Contact1", "Contact"), ("Account1", "Account"), ("Opportunity",) * 2):
        own = [row for row in rows if row["Target_Object_Mapping__c"] == group]
        target = recorded_object(fixtures, name)
        assert target is not None
        yield _npsp_case(source, target, own)


def recorded_object(fixtures: Path, name: str) -> SObject | None:
    """A recorded describe of a standard object; None if there is none."""
    answers = fixtures / "A_api_responses"
    places = (
        answers / "amaxa_describes" / f"{name}.json",
        *sorted((answers / "cumulusci_describes").glob(f"*{name}*.json")),
        *sorted((answers / "grouparoo_v42").glob(f"describe_{name}_1.json")),
        answers / "Force.com-Toolkit-for-NET" / f"{name}ObjectDescribeMetadata.json",
    )
    for path in places:
        if path.exists():
            payload = json.loads(path.read_text(encoding="utf-8-sig"))
            payload = payload.get("objectDescribe", payload)
            if isinstance(payload.get("fields"), list) and payload.get("name") == name:
                return parse_describe(payload)
    info = answers / "npsp_objectinfo" / f"{name.lower()}ObjectDescribeInfo.json"
    return _ui_object(info) if info.exists() else None


def _npsp_case(source: SObject, target: SObject, rows: list[dict[str, str]]) -> Case:
    truth: dict[str, str] = {}
    more_source: list[Field] = []
    more_target: list[Field] = []
    for row in rows:
        column = _without_package(row["Source_Field_API_Name__c"])
        goal = _without_package(row["Target_Field_API_Name__c"])
        if column not in source.fields:
            more_source.append(Field(column, "string", label=row["label"]))
        kind = source.fields[column].type if column in source.fields else "string"
        if goal not in target.fields:
            more_target.append(Field(goal, kind, label=_label_of(goal)))
        truth[source.fields[column].name if column in source.fields else column] = (
            target.fields[goal].name if goal in target.fields else goal
        )
    wide_source = _object(source.name, (*source.fields.values(), *more_source))
    wide_target = _object(target.name, (*target.fields.values(), *more_target))
    return Case(f"npsp {target.name}", wide_source, wide_target, truth)


def _object(name: str, fields: Iterable[Field]) -> SObject:
    return SObject(name=name, fields=Fields(tuple(fields)))


def _label_of(name: str) -> str:
    bare = re.sub(r"^npe\d+__|__c$", "", name)
    return re.sub(r"_+|(?<=[a-z])(?=[A-Z])", " ", bare)


def _without_package(name: str) -> str:
    return name.replace("%%%NAMESPACED_ORG%%%", "").removeprefix("npsp__")


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as handle:
        yield from csv.DictReader(handle)


def _dbt_type(kind: str) -> str:
    return next((ours for theirs, ours in _DBT_TYPES.items() if theirs in kind), "string")


def _ui_object(path: Path, *, descriptions: bool = True) -> SObject:
    """The object of a UI API object-info document."""
    info = json.loads(path.read_text(encoding="utf-8-sig"))
    fields = [_ui_field(entry, descriptions=descriptions) for entry in info["fields"].values()]
    return _object(info["apiName"], fields)


def _ui_field(entry: dict[str, Any], *, descriptions: bool) -> Field:
    kind = str(entry["dataType"]).lower()
    field = Field(
        name=entry["apiName"],
        type=_UI_TYPES.get(kind, kind),
        label=entry["label"],
        length=entry["length"],
        nillable=not entry["required"],
        createable=entry["createable"],
        updateable=entry["updateable"],
        calculated=entry["calculated"],
        reference_to=tuple(to["apiName"] for to in entry["referenceToInfos"]),
        relationship_name=entry["relationshipName"],
        inline_help_text=entry["inlineHelpText"],
    )
    return field if descriptions else replace(field, inline_help_text=None)
