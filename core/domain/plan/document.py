"""The plan document: objects, keys, policies and options, exactly as a plan file spells them.

    Plan ── objects ── ObjectMapping ─┬─ key        KeySpec
                                      ├─ fields     FieldRule by target field
                                      ├─ lookups    LookupPolicy by target field
                                      ├─ load       LoadOptions
                                      └─ tests      RowTest

Everything but the names of the orgs and the source objects has a default. The document knows
nothing of orgs: whether objects, fields and filters exist is the preflight's question.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from core.domain.names import NAME_MAX_CHARS
from core.domain.plan.rules import (
    CopyRule,
    FieldRule,
    LookupPolicy,
    RuleBase,
    expand_constant,
    expand_copy,
)
from core.domain.plan.values import (
    ApiName,
    FieldPath,
    FieldPaths,
    MappingName,
    Part,
    Text,
    no_case_twins,
)

FORMAT_VERSION = 1
OBJECTS_MAX = 500
BATCH_MAX = 10_000


class Operation(StrEnum):
    """What is done to matched and unmatched rows (rule 2.7)."""

    INSERT = "insert"  # unmatched rows only
    UPDATE = "update"  # matched rows only
    UPSERT = "upsert"  # both
    DELETE = "delete"  # matched rows go to the recycle bin
    HARD_DELETE = "hard_delete"  # matched rows go for good
    PRESERVE = "preserve"  # nothing is written; rows are matched for the lookups of others

    @property
    def is_delete(self) -> bool:
        """It removes rows of the target."""
        return self in (Operation.DELETE, Operation.HARD_DELETE)


class Rows(StrEnum):
    """Which rows of the source are in scope (rule 1.2)."""

    LIVE = "live"
    ARCHIVED = "archived"
    ALL = "all"


class Blanks(StrEnum):
    """What a mapped blank does (rule 3.1)."""

    CLEAR = "clear"  # empties the target field
    KEEP = "keep"  # leaves the target field alone
    DEFAULT = "default"  # insert: null; update: kept on rows that this ledger did not create


class OnTargetChange(StrEnum):
    """What happens to a value that somebody changed in the target (rule 3.2)."""

    REPORT = "report"  # kept, and reported as a conflict
    KEEP = "keep"
    OVERWRITE = "overwrite"


class OnTargetMissing(StrEnum):
    """What happens if a row that we wrote is gone from the target (rule 3.2)."""

    REPORT = "report"
    RECREATE = "recreate"
    SKIP = "skip"


class Api(StrEnum):
    """By which API rows travel."""

    AUTO = "auto"  # by cost
    BULK = "bulk"
    COLLECTIONS = "collections"
    GRAPH = "graph"


class KeySpec(Part):
    """The field(s) by which a record is recognised on each side; none of them: by the ledger."""

    source: FieldPaths = ()
    target: FieldPaths = ()
    #: an expression over the source row whose result is stamped into the target key
    value: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if value == "ledger" or value is None:
            return {}
        if isinstance(value, str | list | tuple):
            return {"source": value, "target": value}
        if isinstance(value, dict) and len(value.keys() & {"source", "target"}) == 1:
            (side,) = value.keys() & {"source", "target"}
            return {"source": value[side], "target": value[side], **value}
        return value

    @model_validator(mode="after")
    def _sides_agree(self) -> KeySpec:
        for side in (self.source, self.target):
            if len({path.lower() for path in side}) != len(side):
                raise ValueError("a key names each field once")
        if self.value is not None:
            if len(self.target) != 1:
                raise ValueError("a key with a value has exactly one target field")
        elif len(self.source) != len(self.target):
            raise ValueError(
                f"{len(self.source)} source fields cannot be compared with "
                f"{len(self.target)} target fields"
            )
        return self

    @property
    def is_ledger(self) -> bool:
        """Records are recognised by what earlier runs wrote down, not by their fields."""
        return not self.target

    @property
    def is_composite(self) -> bool:
        """More than one field makes the key."""
        return len(self.target) > 1


class Scope(Part):
    """Keeps only children of rows in this plan (rule 1.4)."""

    within: FieldPaths


def _off_is_a_word(value: Any) -> Any:
    # YAML 1.1 documents stored as JSON by other tools turn `off` into false
    return {False: "off", True: "default"}.get(value, value) if isinstance(value, bool) else value


class LoadOptions(Part):
    """How rows are sent."""

    api: Api = Api.AUTO
    #: rows of one request or job; chosen by API when left out
    batch: int | None = Field(default=None, ge=1, le=BATCH_MAX)
    #: one job at a time
    serial: bool = False
    #: source field by which rows are sorted before they are cut into chunks
    order_by: FieldPath | None = None
    all_or_none: bool = False
    duplicate_rules: Literal["block", "allow"] = "block"
    #: off | default (the org's active rule) | the id of a rule
    assignment_rules: Annotated[str, BeforeValidator(_off_is_a_word)] = "off"
    #: why rows without a key may go by an API whose lost answers cannot be settled (rule 2.5)
    accept_keyless: str | None = Field(default=None, min_length=10, max_length=500)


class Duplicates(Part):
    """What is said of rows whose key repeats (rule 2.3)."""

    #: share of rows (0–1) above which the plan is blocked, not only the rows
    block_above: float = Field(default=1.0, ge=0, le=1)
    #: source ids that stand for their groups; the other rows of a group are skipped
    survivors: tuple[str, ...] = ()


class RowTest(Part):
    """One source row and what it must become; run by `check`."""

    given: dict[FieldPath, Text] = Field(alias="in")
    expected: dict[ApiName, Text] = Field(alias="out")


class ObjectMapping(Part):
    """How the rows of one source object become rows of one target object."""

    name: MappingName = Field(alias="as")
    source: ApiName
    target: ApiName
    operation: Operation = Operation.UPSERT
    key: KeySpec = KeySpec()
    where: str | None = Field(default=None, max_length=20_000)
    rows: Rows = Rows.LIVE
    scope: Scope | None = None
    #: whether fields without a rule are matched by API name, then label
    auto_map: bool = True
    fields: dict[ApiName, FieldRule] = Field(default={})
    #: target fields that are left alone
    skip: tuple[ApiName, ...] = ()
    lookups: dict[ApiName, LookupPolicy] = Field(default={})
    blanks: Blanks = Blanks.DEFAULT
    on_target_change: OnTargetChange = OnTargetChange.REPORT
    on_target_missing: OnTargetMissing = OnTargetMissing.REPORT
    duplicates: Duplicates = Duplicates()
    load: LoadOptions = LoadOptions()
    #: mappings that must be loaded before this one, besides those its lookups name
    after: tuple[MappingName, ...] = ()
    #: target lookups that wait for the second pass
    defer: tuple[ApiName, ...] = ()
    #: target fields set after all children are loaded
    final_fields: dict[ApiName, FieldRule] = Field(default={}, alias="finally")
    tests: tuple[RowTest, ...] = ()
    #: free text of the analyst
    note: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _defaults_from_source(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        filled = dict(value)
        filled.setdefault("target", filled.get("source"))
        if "as" not in filled and "name" not in filled and isinstance(filled["target"], str):
            filled["as"] = filled["target"].lower()
        return filled

    @field_validator("fields", mode="before")
    @classmethod
    def _short_copies(cls, value: Any) -> Any:
        value = {} if value is None else value
        return _map_values(value, expand_copy)

    @field_validator("final_fields", mode="before")
    @classmethod
    def _short_constants(cls, value: Any) -> Any:
        return _map_values(value, expand_constant)

    @model_validator(mode="after")
    def _names_are_single(self) -> ObjectMapping:
        for names in (self.fields, self.lookups, self.final_fields):
            no_case_twins(names)
        skipped = {name.lower() for name in self.skip}
        both = [name for name in self.fields if name.lower() in skipped]
        if both:
            raise ValueError(f"'{both[0]}' is both mapped under fields and listed under skip")
        return self

    @property
    def applied_fields(self) -> dict[str, RuleBase]:
        """The rules that people did not reject, by target field."""
        return {name: rule for name, rule in self.fields.items() if rule.is_applied}

    def lookup(self, target_field: str) -> LookupPolicy:
        """The policy of a target lookup, found without regard to case; the default if none."""
        wanted = target_field.lower()
        for name, policy in self.lookups.items():
            if name.lower() == wanted:
                return policy
        return LookupPolicy()


class Plan(Part):
    """A named set of object mappings between two orgs."""

    orgbridge: Literal[1]
    name: str = Field(min_length=1, max_length=NAME_MAX_CHARS)
    #: registered org names
    source: str = Field(min_length=1, max_length=NAME_MAX_CHARS)
    target: str = Field(min_length=1, max_length=NAME_MAX_CHARS)
    note: str | None = None
    #: how users and queues are found, for every lookup to them that says nothing itself
    users: LookupPolicy | None = None
    objects: tuple[ObjectMapping, ...] = Field(min_length=1, max_length=OBJECTS_MAX)

    @field_validator("orgbridge", mode="before")
    @classmethod
    def _version_is_a_number(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdigit() else value

    def mapping(self, name: str) -> ObjectMapping:
        """The object mapping of that name.

        Raises:
            KeyError: the plan has none.
        """
        for entry in self.objects:
            if entry.name == name:
                return entry
        raise KeyError(name)


def is_plain_copy(rule: RuleBase) -> bool:
    """Whether the short form ``Name: Name`` says all of the rule."""
    return isinstance(rule, CopyRule) and rule.__dict__ == {**_PLAIN, "source": rule.source}


#: what a copy says besides its source when it says nothing (a plan may hold tens of thousands)
_PLAIN = {name: part.default for name, part in RuleBase.model_fields.items()}


def _map_values(value: Any, change: Any) -> Any:
    return {k: change(v) for k, v in value.items()} if isinstance(value, dict) else value
