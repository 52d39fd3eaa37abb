"""What is counted on both sides, and what the two numbers mean together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.domain.plan import CopyRule, ObjectMapping, Plan


class Verdict(StrEnum):
    """How the counts of one object compare."""

    MATCH = "match"
    MISSING = "missing"  # the target has fewer
    EXTRA = "extra"  # the target has more
    UNKNOWN = "unknown"  # a side could not be counted


@dataclass(frozen=True, slots=True, kw_only=True)
class CountItem:
    """One object (or mapping) to count in both orgs."""

    #: mapping name, or the source object's
    name: str
    source_object: str
    target_object: str
    #: SOQL conditions without WHERE; empty for all rows
    source_where: str = ""
    target_where: str = ""
    #: deleted and archived rows need queryAll
    all_rows: bool = False
    #: what has to be known to read the numbers
    note: str = ""

    @property
    def source_soql(self) -> str:
        """The query that counts the source."""
        return _count(self.source_object, self.source_where)

    @property
    def target_soql(self) -> str:
        """The query that counts the target."""
        return _count(self.target_object, self.target_where)


def pairs_of(objects: Sequence[str]) -> list[CountItem]:
    """Items of ``Account`` or ``Account=Target_Account__c`` words."""
    items = []
    for word in objects:
        source, _, target = word.partition("=")
        items.append(
            CountItem(
                name=source.strip(),
                source_object=source.strip(),
                target_object=(target or source).strip(),
            )
        )
    return items


def items_of(plan: Plan, *, filtered: bool) -> list[CountItem]:
    """Items of a plan's mappings, with their filters or for all rows.

    A filter is asked of the target too where each of its fields is copied as it is; where not, all
    rows of the target are counted and the note says so.
    """
    return [_item(mapping, filtered=filtered) for mapping in plan.objects]


def verdict(source: int | None, target: int | None) -> Verdict:
    """What two counts mean together."""
    if source is None or target is None:
        return Verdict.UNKNOWN
    if source == target:
        return Verdict.MATCH
    return Verdict.MISSING if target < source else Verdict.EXTRA


def _item(mapping: ObjectMapping, *, filtered: bool) -> CountItem:
    kept, all_rows = _ROWS[str(mapping.rows)]
    where = (mapping.where or "") if filtered else ""
    translated = _translated(where, mapping) if where else ""
    note = ""
    if where and translated is None:
        note = "The target's rows are counted without the filter: its fields are not copied as is."
    if mapping.scope is not None:
        note = (note + " Rows outside the plan's scope are counted, too.").strip()
    return CountItem(
        name=mapping.name,
        source_object=mapping.source,
        target_object=mapping.target,
        source_where=_joined(where, kept),
        target_where=_joined(translated or "", kept),
        all_rows=all_rows,
        note=note,
    )


#: plan's word for which rows → condition, and whether queryAll is needed
_ROWS = {
    "live": ("", False),
    "archived": ("IsArchived = true AND IsDeleted = false", True),
    "all": ("IsDeleted = false", True),
}
#: literals and names; numbers and dates start with a digit and are no names
_TOKEN = re.compile(r"'(?:\\.|[^'\\])*'|(?<![\w.:+-])[A-Za-z_][\w.:]*")
_WORDS = frozenset(
    {"and", "or", "not", "in", "like", "null", "true", "false", "includes", "excludes"}
)
_DATE = re.compile(r"^(today|yesterday|tomorrow|(last|this|next)_\w+(:\d+)?|n_\w+(:\d+)?)$", re.I)


def _translated(where: str, mapping: ObjectMapping) -> str | None:
    """The condition with the target's field names; None where one of them is not copied as is."""
    copied = _copied(mapping)
    unknown = []

    def renamed(found: re.Match[str]) -> str:
        token = found.group()
        if token[0] == "'" or token.lower() in _WORDS or _DATE.match(token):
            return token
        if token.lower() not in copied and not _is_auto_mapped(token, mapping):
            unknown.append(token)
        return copied.get(token.lower(), token)

    text = _TOKEN.sub(renamed, where)
    return None if unknown else text


def _copied(mapping: ObjectMapping) -> dict[str, str]:
    """Source field → target field, small letters, for fields that are copied unchanged."""
    return {
        rule.source.lower(): target
        for target, rule in mapping.fields.items()
        if isinstance(rule, CopyRule) and rule.is_applied
    }


def _is_auto_mapped(field: str, mapping: ObjectMapping) -> bool:
    """Whether the auto-map copies the field to one of the same name (if the target has it)."""
    spoken_for = {name.lower() for name in (*mapping.fields, *mapping.skip)}
    return mapping.auto_map and "." not in field and field.lower() not in spoken_for


def _joined(*conditions: str) -> str:
    given = [condition for condition in conditions if condition]
    return given[0] if len(given) == 1 else " AND ".join(f"({item})" for item in given)


def _count(sobject: str, where: str) -> str:
    condition = f" WHERE {where}" if where else ""
    return f"SELECT COUNT() FROM {sobject}{condition}"  # noqa: S608 a described name, a plan's filter
