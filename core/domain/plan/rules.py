"""What fills a target field: one model per kind of rule, and how their short forms read.

    Name: Name                                              copy
    Rating: {constant: Warm}                                constant
    Industry: {from: Industry, values: {Tech: Technology}}  value map
    Email: {from: Email, mask: email}                       mask
    Start__c: {from: CreatedDate, convert: to_date, zone: Europe/Berlin}
    Description: {expression: "upper(Name)"}                expression
    Notes__c: {from: Notes__c, ids: rewrite}                ids inside text, through the ledger

Lookups, user maps and record type maps are copies whose policy stands under ``lookups``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from core.domain.ids import is_id
from core.domain.plan.values import (
    FieldPath,
    Part,
    ReviewState,
    SomeText,
    Text,
    Write,
)


class RuleKind(StrEnum):
    """The kinds of rules, as pages and reports name them."""

    COPY = "copy"
    CONSTANT = "constant"
    VALUE_MAP = "value map"
    USER_MAP = "user map"
    RECORD_TYPE_MAP = "record type map"
    LOOKUP = "lookup"
    MASK = "mask"
    CONVERT = "convert"
    EXPRESSION = "expression"
    IDS = "ids"


class Mask(StrEnum):
    """How a value is made unrecognisable; all are deterministic within a plan's salt."""

    EMAIL = "email"  # user-<hash>@example.invalid: can never be delivered
    PHONE = "phone"  # digits replaced, layout kept
    NAME = "name"  # a pronounceable made-up name
    TEXT = "text"  # letters and digits replaced, length and layout kept
    HASH = "hash"  # hexadecimal digest cut to the field's length
    REDACT = "redact"  # every value becomes the same word
    BLANK = "blank"  # nothing is sent
    YEAR = "year"  # dates: the first of January of the same year


class Convert(StrEnum):
    """Named changes of dates, times and lengths."""

    TO_DATE = "to_date"  # date of a date-time as seen in `zone`
    TO_DATETIME = "to_datetime"  # midnight of a date in `zone`
    PARSE_DATE = "parse_date"  # text by `format` to a date
    PARSE_DATETIME = "parse_datetime"  # text by `format` in `zone` to a date-time
    SHIFT_DAYS = "shift_days"  # `days` later or earlier
    TRUNCATE = "truncate"  # cut to the target's length
    TRIM = "trim"  # spaces at both ends removed


def _known_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError(f"'{zone[:60]}' is no time zone; use a name such as Europe/Berlin or UTC")
    return zone


def _known_missing(missing: str) -> str:
    if missing not in ("reject", "blank", "running_user") and not is_id(missing):
        raise ValueError(
            f"'{missing[:40]}' is none of reject, blank, running_user and no id of the target"
        )
    return missing


Zone = Annotated[str, AfterValidator(_known_zone)]
Missing = Annotated[str, AfterValidator(_known_missing)]


class RuleBase(Part):
    """What every rule may say besides how it fills the field."""

    write: Write = Write.ALWAYS
    review: ReviewState = ReviewState.APPROVED
    #: of a suggestion, 0–1
    confidence: float | None = Field(default=None, ge=0, le=1)
    #: why it was suggested
    reasons: tuple[str, ...] = ()

    @property
    def is_applied(self) -> bool:
        """A rejected rule stays in the document, so that it is not suggested again."""
        return self.review is not ReviewState.REJECTED


class CopyRule(RuleBase):
    """The source value as it is (a lookup's id through its policy)."""

    source: FieldPath = Field(alias="from")


class ConstantRule(RuleBase):
    """The same value for every row; null is a blank."""

    constant: Text


class ValueMapRule(RuleBase):
    """Values replaced one by one; blanks are never looked up unless listed as ''."""

    source: FieldPath = Field(alias="from")
    values: dict[SomeText, Text]
    #: for values not listed: keep | blank | reject | any other text is the value
    otherwise: SomeText = "keep"


class MaskRule(RuleBase):
    """A value that tells nobody who it was about."""

    source: FieldPath = Field(alias="from")
    mask: Mask


class ConvertRule(RuleBase):
    """A named change of a date, a time or a length."""

    source: FieldPath = Field(alias="from")
    convert: Convert
    zone: Zone = "UTC"
    #: of the text, in strftime's words; ISO when left out
    format: str | None = None
    days: int = 0


class ExpressionRule(RuleBase):
    """One SQL scalar expression over the fields of the source row."""

    expression: str = Field(min_length=1, max_length=4000)


class IdsRule(RuleBase):
    """Text in which ids of migrated records are replaced by their new ids."""

    source: FieldPath = Field(alias="from")
    ids: Literal["rewrite"]


_TAG_BY_KEY = {
    "constant": "constant",
    "values": "value map",
    "mask": "mask",
    "convert": "convert",
    "expression": "expression",
    "ids": "ids",
}
_TAG_BY_CLASS: dict[type[RuleBase], str] = {
    CopyRule: "copy",
    ConstantRule: "constant",
    ValueMapRule: "value map",
    MaskRule: "mask",
    ConvertRule: "convert",
    ExpressionRule: "expression",
    IdsRule: "ids",
}


def _tag(value: Any) -> str | None:
    if isinstance(value, RuleBase):
        return _TAG_BY_CLASS[type(value)]
    if isinstance(value, dict):
        return next((tag for key, tag in _TAG_BY_KEY.items() if key in value), "copy")
    return None


FieldRule = Annotated[
    Annotated[CopyRule, Tag("copy")]
    | Annotated[ConstantRule, Tag("constant")]
    | Annotated[ValueMapRule, Tag("value map")]
    | Annotated[MaskRule, Tag("mask")]
    | Annotated[ConvertRule, Tag("convert")]
    | Annotated[ExpressionRule, Tag("expression")]
    | Annotated[IdsRule, Tag("ids")],
    Discriminator(
        _tag,
        custom_error_type="rule",
        custom_error_message="a rule is a source field, or keys such as from, constant, "
        "values, mask, convert, expression",
    ),
]

RULE_TAGS = frozenset(_TAG_BY_CLASS.values())


def expand_copy(rule: Any) -> Any:
    """The short form of a copy, ``Name: Name``, as the long one."""
    return {"from": rule} if isinstance(rule, str) else rule


def expand_constant(rule: Any) -> Any:
    """The short form under ``finally``, where a bare value is a constant."""
    is_bare = rule is None or isinstance(rule, str | int | float | bool)
    return {"constant": rule} if is_bare else rule


class LookupPolicy(Part):
    """How a lookup finds its record in the target, and what happens if it does not."""

    #: source field, when it has another name than the target's
    source: FieldPath | None = Field(default=None, alias="from")
    #: reject | blank | running_user | an id of the target
    missing: Missing = "reject"
    #: target object meant, for a polymorphic lookup or a `match`
    object: str | None = None
    #: fields by which a record that is not in the plan is found; one name serves both sides
    match: MatchFields | None = None
    ambiguous: Literal["reject", "first", "blank"] = "reject"
    #: mappings through which the id is translated, in this order
    through: tuple[str, ...] = ()
    #: value of the match field (or id) in the source → the same in the target
    map: dict[SomeText, Text] = Field(default={})


class MatchFields(Part):
    """The field on each side by which records of a lookup are recognised."""

    source: FieldPath
    target: FieldPath

    @model_validator(mode="before")
    @classmethod
    def _one_name_for_both(cls, value: Any) -> Any:
        return {"source": value, "target": value} if isinstance(value, str) else value


LookupPolicy.model_rebuild()
