"""CumulusCI's ``mapping.yml`` as a plan.

Each step becomes an object mapping; ``table`` names are what lookups point at, so a lookup to a
table that several steps fill goes through all of them. Lookups that CumulusCI defers with ``after``
need no word here: the order is computed. Local SQL filters and relative dates have no counterpart.
Source: CumulusCI documentation, "Automate Data Operations", mapping file reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.domain.plan.text import read_yaml
from core.domain.soql import checked_filter, quoted
from core.errors import UserError
from core.plans.importers.report import Imported, Report, free_name, imported, not_this

TOOL = "CumulusCI"

_ACTIONS: Mapping[str, str] = {
    "insert": "insert",
    "update": "update",
    "upsert": "upsert",
    "etl_upsert": "upsert",
    "smart_upsert": "upsert",
    "delete": "delete",
    "harddelete": "hard_delete",
    "select": "preserve",
}
_APIS: Mapping[str, str] = {"bulk": "bulk", "rest": "collections", "smart": "auto"}
_STEP_KEYS = frozenset(
    "sf_object table action update_key fields lookups static filters soql_filter record_type api "
    "bulk_mode batch_size anchor_date oid_as_pk select_options".split()
)
_PLACEHOLDERS = ("%%%NAMESPACE%%%", "%%%NAMESPACED_ORG%%%", "%%%MANAGED_OR_NAMESPACED_ORG%%%")


def read_cumulusci(text: str, *, source: str, target: str, name: str) -> Imported:
    """The plan of a mapping file.

    Raises:
        UserError: it is no such file, or a step in it cannot be understood; places are named.
    """
    document = read_yaml(text, what="CumulusCI mapping")
    if not isinstance(document, dict) or not document:
        raise not_this(TOOL, "it holds no steps")
    if "extract" in document:
        raise not_this(
            TOOL,
            "it declares an extract, not a mapping",
            "Give the mapping.yml that CumulusCI makes of it.",
        )
    reader = _Reader(document)
    plan = {
        "orgbridge": 1,
        "name": name,
        "source": source,
        "target": target,
        "objects": [reader.mapping(step, said) for step, said in document.items()],
    }
    return imported(plan, reader.report, tool=TOOL)


class _Reader:
    """Reads one document; `report` collects what is left behind."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.report = Report()
        self._names: dict[str, str] = {}
        self._by_table: dict[str, list[str]] = {}
        self._by_object: dict[str, list[str]] = {}
        taken: set[str] = set()
        for step, said in document.items():
            if not isinstance(said, dict) or not (said.keys() & {"sf_object", "fields", "table"}):
                raise not_this(TOOL, f"'{step}' is no step with `sf_object` and `fields`")
            sobject = self._bare(step, str(said.get("sf_object", step)))
            name = free_name(sobject.lower(), taken)
            self._names[step] = name
            self._by_table.setdefault(str(said.get("table", sobject)), []).append(name)
            self._by_object.setdefault(sobject.lower(), []).append(name)

    def mapping(self, step: str, said: dict[str, Any]) -> dict[str, Any]:
        self.report.unknown(step, said, _STEP_KEYS)
        sobject = self._bare(step, str(said.get("sf_object", step)))
        fields = self._fields(step, said)
        mapping: dict[str, Any] = {
            "as": self._names[step],
            "source": sobject,
            "operation": self._operation(step, said),
            "key": self._key(said),
            "auto_map": False,
            "fields": fields,
            "lookups": self._lookups(step, said),
            "load": self._load(said),
        }
        where = self._where(step, said)
        if where:
            mapping["where"] = where
        self._left_out(step, said)
        return mapping

    def _fields(self, step: str, said: dict[str, Any]) -> dict[str, Any]:
        given = said.get("fields") or {}
        if isinstance(given, str):
            raise not_this(TOOL, f"{step}.fields is neither a list nor a set of names")
        fields: dict[str, Any] = {}
        for name in given:
            bare = self._bare(f"{step}.fields", str(name))
            if bare.lower() == "id":
                self.report.add(f"{step}.fields.Id", "Id is never written; it is read always.")
            elif "." in bare:
                self.report.add(f"{step}.fields.{bare}", f"{bare} is a path and was left out.")
            else:
                fields[bare] = bare
        for name, value in (said.get("static") or {}).items():
            fields[self._bare(f"{step}.static", str(name))] = {"constant": value}
        if said.get("record_type"):
            fields["RecordTypeId"] = "RecordTypeId"
        return fields

    def _lookups(self, step: str, said: dict[str, Any]) -> dict[str, Any]:
        lookups: dict[str, Any] = {}
        for name, lookup in (said.get("lookups") or {}).items():
            bare = self._bare(f"{step}.lookups", str(name))
            tables = lookup.get("table") if isinstance(lookup, dict) else lookup
            listed = tables if isinstance(tables, list) else [tables]
            through = [m for table in listed for m in self._tables(step, bare, str(table))]
            policy: dict[str, Any] = {"from": bare}
            if len(through) > 1 or isinstance(tables, list):
                policy["through"] = list(dict.fromkeys(through))
            lookups[bare] = policy
        return lookups

    def _tables(self, step: str, lookup: str, table: str) -> list[str]:
        found = self._by_table.get(table) or self._by_object.get(table.lower())
        if found is None:
            self.report.add(
                f"{step}.lookups.{lookup}",
                f"No step fills the table '{table}': rows with this lookup need a policy.",
            )
        return found or []

    def _operation(self, step: str, said: dict[str, Any]) -> str:
        action = str(said.get("action", "insert"))
        operation = _ACTIONS.get(action.lower())
        if operation is None:
            raise UserError(
                f"{step}.action: '{action[:40]}' has no counterpart in a plan.",
                state="Nothing was saved.",
                next_step=f"Plans know {', '.join(sorted(set(_ACTIONS.values())))}.",
            )
        if operation == "preserve":
            self.report.add(
                f"{step}.action",
                "select picks existing records by likeness; here they are matched by key: choose "
                "one.",
            )
        return operation

    def _key(self, said: dict[str, Any]) -> Any:
        given = said.get("update_key")
        if not given:
            return "ledger"
        listed = given if isinstance(given, list) else str(given).split(",")
        parts = [str(part).strip() for part in listed]
        return parts if len(parts) > 1 else parts[0]

    def _where(self, step: str, said: dict[str, Any]) -> str | None:
        conditions: list[str] = []
        if said.get("soql_filter"):
            text = str(said["soql_filter"]).removeprefix("WHERE ").removeprefix("where ")
            conditions.append(str(checked_filter(text, place=f"{step}.soql_filter").text))
        if said.get("record_type"):
            conditions.append(f"RecordType.DeveloperName = {quoted(str(said['record_type']))}")
        if len(conditions) == 2:
            return f"({conditions[0]}) AND {conditions[1]}"
        return conditions[0] if conditions else None

    def _load(self, said: dict[str, Any]) -> dict[str, Any]:
        load: dict[str, Any] = {"api": _APIS.get(str(said.get("api", "smart")).lower(), "auto")}
        if said.get("batch_size"):
            load["batch"] = said["batch_size"]
        if str(said.get("bulk_mode", "")).lower() == "serial":
            load["serial"] = True
        return load

    def _left_out(self, step: str, said: dict[str, Any]) -> None:
        if said.get("filters"):
            self.report.add(
                f"{step}.filters", "Filters over CumulusCI's local database are not carried over."
            )
        if said.get("anchor_date"):
            self.report.add(
                f"{step}.anchor_date",
                "Dates are copied as they are, not moved with the calendar; `convert: shift_days` "
                "moves them.",
            )
        if said.get("select_options"):
            self.report.add(f"{step}.select_options", "Options of select are not carried over.")

    def _bare(self, place: str, name: str) -> str:
        bare = name
        for placeholder in _PLACEHOLDERS:
            bare = bare.replace(placeholder, "")
        if bare != name:
            self.report.add(place, f"{name} is taken as {bare}: check the namespace.")
        return bare
