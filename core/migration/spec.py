"""What a run will do with each object, settled before the first row is read.

A plan says little where defaults say the rest. `Step` is the same mapping with everything said:
every field with its rule (the auto-map included), every lookup with the mappings that translate it,
the columns to read, the API and the operation. The run keeps it as its frozen `object_mapping`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from core.domain.describe import Field, SObject
from core.domain.names import object_name
from core.domain.plan import LookupPolicy, ObjectMapping, Operation, RuleBase

#: columns that the engine adds to a page of source rows
ID = "Id"
MODSTAMP = "SystemModstamp"


@dataclass(frozen=True, slots=True)
class Lookup:
    """One target lookup that this mapping fills, and how its ids are translated."""

    #: the target field
    field: Field
    #: path of the id in the source row
    source: str
    policy: LookupPolicy
    #: mappings whose links translate the id, in order; empty: by match, map or record type
    parents: tuple[str, ...] = ()
    #: waits for the second pass when the parent is not there yet
    deferred: bool = False
    #: parents are rows of this same mapping: loaded by depth
    own: bool = False

    @property
    def is_record_type(self) -> bool:
        """Translated by developer name through both describes."""
        return "RecordType" in self.field.reference_to


@dataclass(frozen=True)
class Step:
    """One object mapping with everything said."""

    mapping: ObjectMapping
    source: SObject
    target: SObject
    #: rules of plain fields by target field; the stamped key among them
    rules: dict[str, RuleBase]
    lookups: tuple[Lookup, ...]
    wave: int = 0
    position: int = 0
    #: paths to read of the source besides those that the rules name
    extra_columns: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The mapping's name (`as`)."""
        return self.mapping.name

    @property
    def told(self) -> str:
        """The mapping as people know it."""
        return object_name(self.mapping.name, self.target.name)

    @property
    def operation(self) -> Operation:
        """What is done to matched and unmatched rows."""
        return self.mapping.operation

    @cached_property
    def insert_fields(self) -> frozenset[str]:
        """Target fields that an insert may carry."""
        return frozenset(name for name in self.columns if self.target.fields[name].createable)

    @cached_property
    def update_fields(self) -> frozenset[str]:
        """Target fields that an update may carry by describe and by the rules' `write`."""
        kept = set()
        for name in self.columns:
            rule = self.rules.get(name)
            once = rule is not None and rule.write == "insert_only"
            if self.target.fields[name].updateable and not once:
                kept.add(name)
        return frozenset(kept)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every target field that is written, lookups last."""
        return (*self.rules, *(lookup.field.name for lookup in self.lookups))

    @cached_property
    def stamped_key(self) -> str | None:
        """The one target field that holds the key and is sent with every insert; None without."""
        key = self.mapping.key
        if len(key.target) != 1 or "." in key.target[0]:
            return None
        name = next((n for n in self.rules if n.lower() == key.target[0].lower()), None)
        return name if name in self.insert_fields else None

    @cached_property
    def has_unique_key(self) -> bool:
        """Sending an insert twice cannot make two rows: the org itself holds the key to be
        unique."""
        return self.stamped_key is not None and self.target.fields[self.stamped_key].unique

    @cached_property
    def inserts_by_bulk_only(self) -> bool:
        """A lost answer to an insert could not be settled: nothing tells the rows (rule 2.5)."""
        told = self.upserts_by_key or self.has_unique_key
        return not told and self.mapping.load.accept_keyless is None

    def document(self) -> dict[str, Any]:
        """The mapping with everything said, as the run keeps it; rules are spelt as in a plan."""
        key = self.mapping.key
        return {
            "operation": self.operation.value,
            "key": {"source": key.source, "target": key.target, "value": key.value},
            "where": self.mapping.where,
            "wave": self.wave,
            "rules": {
                name: rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
                for name, rule in self.rules.items()
            },
            "lookups": {
                lookup.field.name: {
                    "from": lookup.source,
                    "parents": lookup.parents,
                    "missing": lookup.policy.missing,
                    "later": lookup.deferred or lookup.own,
                }
                for lookup in self.lookups
            },
        }

    @cached_property
    def upserts_by_key(self) -> bool:
        """Inserts go as upserts by the stamped key (rule 2.6): same columns, External ID or
        idLookup."""
        if self.stamped_key is None:
            return False
        key = self.target.fields[self.stamped_key]
        indexed = key.external_id or key.id_lookup
        return indexed and key.unique and self.insert_fields <= self.update_fields | {key.name}
