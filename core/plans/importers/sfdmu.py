"""SFDMU's ``export.json`` as a plan.

Each script object becomes an object mapping: its query gives fields and filter, ``externalId`` the
key. The rows of a readonly object are matched, not moved. What SFDMU does and a plan does not say
is written down in the report. Tokens in the file are never read.
Source: SFDMU's "Full export.json format" and its schema ``export.schema.json``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from core.domain.soql import Select, checked_filter, parse_select
from core.errors import UserError
from core.plans.importers.report import Imported, Report, free_name, imported, not_this

TOOL = "SFDMU"

_OPERATIONS: Mapping[str, str] = {
    "insert": "insert",
    "add": "insert",
    "update": "update",
    "upsert": "upsert",
    "merge": "upsert",
    "readonly": "preserve",
    "delete": "delete",
    "harddelete": "hard_delete",
}
_WHOLE_SELECTS = frozenset({"all", "*", "readonly_false", "createable_true", "updateable_true"})
_OBJECT_KEYS = frozenset(
    "query operation externalId excluded deleteOldData skipExistingRecords fieldMapping "
    "useFieldMapping useValuesMapping mockFields updateWithMockData excludedFields "
    "excludedFromUpdateFields master targetRecordsFilter allOrNone name objectName "
    "restApiBatchSize bulkApiV1BatchSize alwaysUseBulkApi alwaysUseRestApi".split()
)
_FILE_KEYS = frozenset(
    "objects objectSets orgs apiVersion excludeIdsFromCSVFiles useSeparatedCSVFiles allOrNone "
    "excludedObjects promptOnMissingParentObjects promptOnIssuesInCSVFiles bulkThreshold "
    "bulkApiVersion pollingIntervalMs concurrencyMode createTargetCSVFiles".split()
)
#: keys that say how SFDMU works, not what is moved
_TUNING = frozenset(
    "restApiBatchSize bulkApiV1BatchSize bulkThreshold bulkApiVersion pollingIntervalMs "
    "concurrencyMode promptOnMissingParentObjects promptOnIssuesInCSVFiles "
    "createTargetCSVFiles".split()
)
_MASKS: tuple[tuple[str, str], ...] = (
    ("email", "email"),
    ("phone", "phone"),
    ("name", "name"),
    ("ids", "hash"),
)


def read_sfdmu(
    text: str,
    *,
    source: str,
    target: str,
    name: str,
    values: str | None = None,
    fields: str | None = None,
) -> Imported:
    """The plan of an ``export.json``.

    Args:
        values: the text of ``ValueMapping.csv`` beside it, if objects use one; likewise `fields`,
            that of ``FieldMapping.csv``.
    Raises:
        UserError: it is no such file, or an object in it cannot be understood; places are named.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise not_this(TOOL, f"{place}: {error.msg}") from error
    if not isinstance(document, dict) or not (document.keys() & {"objects", "objectSets"}):
        raise not_this(TOOL, "it has neither `objects` nor `objectSets`")
    reader = _Reader(document, _value_maps(values), _field_maps(fields))
    objects = reader.objects()
    if not objects:
        raise not_this(TOOL, "it names no object that is not excluded")
    plan = {
        "orgbridge": 1,
        "name": name,
        "source": source,
        "target": target,
        "objects": objects,
    }
    return imported(plan, reader.report, tool=TOOL)


class _Reader:
    """Reads one document; `report` collects what is left behind."""

    def __init__(
        self,
        document: Mapping[str, Any],
        values: Mapping[tuple[str, str], dict[str, str]],
        renamings: Mapping[str, list[dict[str, str]]],
    ) -> None:
        self.report = Report()
        self._document = document
        self._values = values
        self._renamings = renamings
        self._taken: set[str] = set()
        self._last: dict[str, str] = {}
        report_orgs = [o for o in document.get("orgs") or () if isinstance(o, dict)]
        if report_orgs:
            self.report.add("orgs", "The orgs of the file are not used; tokens were not read.")
        self.report.unknown("export.json", document, _FILE_KEYS)
        self._tuning("export.json", document)

    def objects(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        excluded = {str(n).lower() for n in self._document.get("excludedObjects") or ()}
        for place, entry in self._entries():
            if not isinstance(entry, dict):
                raise not_this(TOOL, f"{place} is no object")
            mapping = self._mapping(place, entry, excluded)
            if mapping is not None:
                found.append(mapping)
        return found

    def _entries(self) -> list[tuple[str, Any]]:
        found = [
            (f"objects[{number}]", entry)
            for number, entry in enumerate(_listed(self._document, "objects"))
        ]
        for at, one in enumerate(_listed(self._document, "objectSets")):
            if not isinstance(one, dict):
                raise not_this(TOOL, f"objectSets[{at}] is no set of objects")
            found += [
                (f"objectSets[{at}].objects[{number}]", entry)
                for number, entry in enumerate(_listed(one, "objects"))
            ]
        if len(self._document.get("objectSets") or ()) > 1:
            self.report.add(
                "objectSets",
                "Sets do not run one after the other: objects load in the order of their lookups, "
                "and an object that comes again comes after its first time.",
            )
        return found

    def _mapping(
        self, place: str, entry: dict[str, Any], excluded: set[str]
    ) -> dict[str, Any] | None:
        query = self._query(place, entry)
        if entry.get("excluded") or query.sobject.lower() in excluded:
            self.report.add(place, f"{query.sobject} is excluded in the file and was left out.")
            return None
        self.report.unknown(place, entry, _OBJECT_KEYS)
        self._tuning(place, entry)
        target = self._target(entry, query.sobject)
        mapping: dict[str, Any] = {"source": query.sobject, "target": target}
        mapping["as"] = free_name(target.lower(), self._taken)
        mapping["operation"] = self._operation(place, entry)
        mapping["key"] = self._key(place, entry, mapping["operation"])
        mapping |= self._fields(place, entry, query)
        self._rename_key(entry, query.sobject, mapping)
        if query.where:
            mapping["where"] = checked_filter(query.where, place=f"{place}.query").text
        if earlier := self._last.get(target.lower()):
            mapping["after"] = [earlier]
        self._last[target.lower()] = mapping["as"]
        self._options(place, entry, mapping)
        self._differences(place, entry, query)
        return mapping

    def _query(self, place: str, entry: dict[str, Any]) -> Select:
        query = entry.get("query")
        if not isinstance(query, str):
            raise not_this(TOOL, f"{place} has no `query`")
        return parse_select(query, place=f"{place}.query"[:200])

    def _operation(self, place: str, entry: dict[str, Any]) -> str:
        said = str(entry.get("operation", "Readonly"))
        operation = _OPERATIONS.get(said.lower())
        if operation == "upsert" and entry.get("skipExistingRecords"):
            self.report.add(
                f"{place}.skipExistingRecords",
                "Rows that exist stay as they are: the operation became insert.",
            )
            return "insert"
        if operation is None:
            raise UserError(
                f"{place}.operation: '{said[:40]}' has no counterpart in a plan.",
                state="Nothing was saved.",
                next_step=f"Plans know {', '.join(sorted(set(_OPERATIONS.values())))}.",
            )
        if operation == "insert" and not entry.get("skipExistingRecords"):
            self.report.add(
                f"{place}.operation",
                "Insert adds rows that exist already once more in SFDMU; here a row that its key "
                "finds is skipped.",
            )
        return operation

    def _key(self, place: str, entry: dict[str, Any], operation: str) -> Any:
        said = entry.get("externalId")
        if not said:
            if operation == "insert":
                return "ledger"
            self.report.add(f"{place}.externalId", "No key is named: Name is taken, as in SFDMU.")
            said = "Name"
        parts = [part.strip().split("$")[0] for part in str(said).split(";") if part.strip()]
        return parts if len(parts) > 1 else parts[0]

    def _fields(self, place: str, entry: dict[str, Any], query: Select) -> dict[str, Any]:
        renamed = self._renamed(place, entry, query.sobject)
        masks = self._masks(place, entry)
        insert_only = {str(n).lower() for n in entry.get("excludedFromUpdateFields") or ()}
        left_out = {str(n).lower() for n in entry.get("excludedFields") or ()}
        fields: dict[str, Any] = {}
        lookups: dict[str, Any] = {}
        is_whole = False
        for said in query.fields:
            name, _, parent = said.partition("$")
            if name.lower() in _WHOLE_SELECTS or name.startswith("FIELDS("):
                is_whole = True
            elif "." not in name and name.lower() not in left_out | {"id"}:
                goal = renamed.get(name.lower(), name)
                rule = self._rule(query.sobject, name, masks.get(name.lower()))
                if name.lower() in insert_only:
                    rule = {**({"from": rule} if isinstance(rule, str) else rule)}
                    rule["write"] = "insert_only"
                fields[goal] = rule
                if parent:
                    lookups[goal] = {"object": parent}
        found: dict[str, Any] = {"fields": fields, "auto_map": is_whole}
        if lookups:
            found["lookups"] = lookups
        if left_out and is_whole:
            found["skip"] = [str(name) for name in entry.get("excludedFields") or ()]
        return found

    def _rule(self, sobject: str, name: str, mask: str | None) -> Any:
        values = self._values.get((sobject.lower(), name.lower()))
        if mask:
            return {"from": name, "mask": mask}
        return {"from": name, "values": values} if values else name

    def _pairs(self, entry: dict[str, Any], sobject: str) -> list[dict[str, Any]]:
        """What the entry renames: by itself, else by FieldMapping.csv."""
        pairs = [p for p in _listed(entry, "fieldMapping") if isinstance(p, dict)]
        if pairs or not entry.get("useFieldMapping"):
            return pairs
        return list(self._renamings.get(sobject.lower(), ()))

    def _renamed(self, place: str, entry: dict[str, Any], sobject: str) -> dict[str, str]:
        pairs = self._pairs(entry, sobject)
        if entry.get("useFieldMapping") and not pairs:
            self.report.add(
                f"{place}.useFieldMapping",
                f"FieldMapping.csv was not given or does not name {sobject}: rename fields by "
                "hand.",
            )
        return {
            str(pair["sourceField"]).lower(): str(pair["targetField"])
            for pair in pairs
            if pair.get("sourceField") and pair.get("targetField")
        }

    def _target(self, entry: dict[str, Any], sobject: str) -> str:
        for pair in self._pairs(entry, sobject):
            if pair.get("targetObject"):
                return str(pair["targetObject"])
        return sobject

    def _rename_key(self, entry: dict[str, Any], sobject: str, mapping: dict[str, Any]) -> None:
        """The key has the target's names on the target's side."""
        pairs = self._pairs(entry, sobject)
        renamed = {
            str(pair["sourceField"]).lower(): str(pair["targetField"])
            for pair in pairs
            if pair.get("sourceField") and pair.get("targetField")
        }
        key = mapping["key"]
        names = [key] if isinstance(key, str) else list(key)
        goals = [renamed.get(name.lower(), name) for name in names]
        if key != "ledger" and goals != names:
            mapping["key"] = {"source": names, "target": goals}

    def _tuning(self, place: str, entry: Mapping[str, Any]) -> None:
        for key in entry:
            if key in _TUNING:
                self.report.add(
                    f"{place}.{key}", f"'{key}' tunes SFDMU itself; a run here chooses by cost."
                )

    def _masks(self, place: str, entry: dict[str, Any]) -> dict[str, str]:
        if not entry.get("updateWithMockData"):
            return {}
        masks: dict[str, str] = {}
        for number, mock in enumerate(_listed(entry, "mockFields")):
            pattern = str(mock.get("pattern", "")).lower() if isinstance(mock, dict) else ""
            mask = next((ours for word, ours in _MASKS if word in pattern), "text")
            masks[str(mock.get("name", "")).lower()] = mask
            self.report.add(
                f"{place}.mockFields[{number}]",
                f"The pattern '{pattern[:60]}' became the mask '{mask}'.",
            )
        return masks

    def _options(self, place: str, entry: dict[str, Any], mapping: dict[str, Any]) -> None:
        load: dict[str, Any] = {}
        if entry.get("allOrNone") or self._document.get("allOrNone"):
            self.report.add(
                f"{place}.allOrNone",
                "All or none is not carried over: rows stand by themselves, and undo takes a run "
                "back. Switch it on under `load` for small objects with a key.",
            )
        if entry.get("alwaysUseBulkApi"):
            load["api"] = "bulk"
        if entry.get("alwaysUseRestApi"):
            load["api"] = "collections"
        if load:
            mapping["load"] = load

    def _differences(self, place: str, entry: dict[str, Any], query: Select) -> None:
        said = {
            "deleteOldData": "Old rows are not deleted before the load.",
            "targetRecordsFilter": "The filter on the target is not carried over.",
            "useValuesMapping": ""
            if self._values
            else "ValueMapping.csv was not given: values are copied as they are.",
        }
        for key, sentence in said.items():
            if entry.get(key) and sentence:
                self.report.add(f"{place}.{key}", sentence)
        if query.limit is not None:
            self.report.add(
                f"{place}.query", f"LIMIT {query.limit} is not carried over: all rows are in scope."
            )
        if entry.get("master") is False:
            self.report.add(
                f"{place}.master",
                "master: false is not carried over; `scope: {within: […]}` keeps only children of "
                "rows in the plan.",
            )


def _listed(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise not_this(TOOL, f"`{key}` is no list")
    return value


def _value_maps(text: str | None) -> dict[tuple[str, str], dict[str, str]]:
    """(object, field) in small letters → source value → target value, of a ValueMapping.csv."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in csv.DictReader(io.StringIO((text or "").removeprefix("\ufeff"))):
        place = (str(row.get("ObjectName")).lower(), str(row.get("FieldName")).lower())
        if row.get("RawValue") is not None:
            found.setdefault(place, {})[str(row["RawValue"])] = str(row.get("Value") or "")
    return found


def _field_maps(text: str | None) -> dict[str, list[dict[str, str]]]:
    """Object in small letters → renamings of a FieldMapping.csv, as `fieldMapping` spells them.

    A row without a field names the target object.
    """
    found: dict[str, list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO((text or "").removeprefix("\ufeff"))):
        sobject, goal = (row.get("ObjectName") or "").strip(), (row.get("Target") or "").strip()
        field = (row.get("FieldName") or "").strip()
        if sobject and goal:
            pair = {"sourceField": field, "targetField": goal} if field else {"targetObject": goal}
            found.setdefault(sobject.lower(), []).append(pair)
    return found
