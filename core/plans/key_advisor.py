"""By what could records be recognised: every candidate key with its figures on both sides.

    columns_to_read(source, target) ─▶ caller reads both orgs ─▶ advise(…) ─▶ best first

Candidates are single fields, pairs of them, an external id of the target into which the source's id
is stamped, and the ledger, which needs no field. Figures: filled, distinct, rows whose key repeats,
and how many keys are known on both sides. All in the canonical form in which keys are compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import polars as pl

from core.domain.automap import compatibility
from core.domain.describe import NUMBER_TYPES, Field, SObject
from core.domain.matching import key_expr
from core.domain.object_book import object_book
from core.domain.plan import KeySpec

SINGLES_MAX = 25
#: the fullest single fields from which pairs are made
PAIRED_FIELDS = 8
PAIRS_MAX = 12
#: blocked rows that are named with a candidate; all are counted
BLOCKED_SHOWN = 20
#: a text field longer than this is prose, not a key
KEY_LENGTH_MAX = 255

_TYPES = frozenset({"string", "email", "phone", "url", "int", "id", "encryptedstring"})
_PART_TYPES = _TYPES | NUMBER_TYPES | {"reference", "date", "datetime", "picklist"}
#: words in API names of fields that are made to tell records apart
_KEY_WORDS = re.compile(
    r"(?i)(id|key|code|number|num|no|nr|ref|reference|external|legacy|e?mail|sku)"
)
_NEVER = frozenset("isdeleted systemmodstamp lastmodifieddate photourl masterrecordid".split())


class KeyKind(StrEnum):
    """What kind of key a candidate is."""

    SINGLE = "single"  # one field on each side
    PAIR = "pair"  # two fields together
    STAMP = "stamp"  # the source's id written into an external id of the target
    LEDGER = "ledger"  # what earlier runs wrote down; no field at all


class Verdict(StrEnum):
    """Whether a candidate can be used."""

    GOOD = "good"  # filled and single on both sides
    USABLE = "usable"  # a few rows would be blocked
    POOR = "poor"  # many rows would be blocked
    UNSAFE = "unsafe"  # would recognise records by chance


@dataclass(frozen=True, slots=True)
class SideFigures:
    """One side of a candidate."""

    rows: int
    filled: int
    distinct: int
    #: rows whose key another row has too
    repeated: int

    @property
    def filled_share(self) -> float:
        """Share of rows that have a key; 1 of no rows."""
        return self.filled / self.rows if self.rows else 1.0

    @property
    def distinct_share(self) -> float:
        """Share of filled rows that are distinct; 1 of no rows."""
        return self.distinct / self.filled if self.filled else 1.0


@dataclass(frozen=True, slots=True)
class BlockedRow:
    """A source row that a candidate would not let through (rules 2.2 and 2.3)."""

    source_id: str
    #: the values of the key's fields, as they stand in the source
    values: tuple[str | None, ...]
    #: other rows have the same key; otherwise it is blank
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class KeyAssessment:
    """One candidate with its figures."""

    kind: KeyKind
    key: KeySpec
    source: SideFigures
    target: SideFigures
    #: keys of the source that the target has too
    overlap: int
    verdict: Verdict
    sentence: str
    #: the target keeps it unique by itself: writes can be upserts
    is_kept_unique: bool = False
    is_sampled: bool = False
    #: the first rows that it would block, by key
    blocked: tuple[BlockedRow, ...] = ()

    @property
    def overlap_share(self) -> float:
        """Share of distinct source keys that the target has too."""
        return self.overlap / self.source.distinct if self.source.distinct else 0.0

    @property
    def blocked_rows(self) -> int:
        """Source rows that this key would block: blank or repeated."""
        return self.source.rows - self.source.filled + self.source.repeated


@dataclass(frozen=True, slots=True)
class _Pairing:
    """A source field that could be recognised by a target field."""

    source: Field
    target: Field


def columns_to_read(source: SObject, target: SObject) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Fields of either side that the advice needs, Id first."""
    pairings = _pairings(source, target)
    ours = dict.fromkeys(["Id", *(pairing.source.name for pairing in pairings)])
    theirs = dict.fromkeys(["Id", *(pairing.target.name for pairing in pairings)])
    stamps = [field.name for field in _stamps(source, target)]
    return tuple(ours), tuple(dict.fromkeys([*theirs, *stamps]))


def advise(
    source: SObject,
    target: SObject,
    *,
    source_rows: pl.DataFrame,
    target_rows: pl.DataFrame,
    is_sampled: bool = False,
) -> tuple[KeyAssessment, ...]:
    """All candidates, the best first.

    Args:
        source_rows: Utf8 columns of `columns_to_read`; rows in scope, or a sample of them.
        target_rows: likewise of the target.
        is_sampled: said with every assessment: repeats are then a lower bound.
    """
    advisor = _Advisor(source_rows, target_rows, is_sampled)
    pairings = _pairings(source, target)
    singles = [advisor.assess([pairing]) for pairing in pairings if _is_single(pairing)]
    found = [
        *singles,
        *(advisor.assess(pair) for pair in _pairs(pairings, singles, source, target)),
        *(advisor.stamp(field) for field in _stamps(source, target)),
        advisor.ledger(),
    ]
    return tuple(sorted(found, key=_rank))


@dataclass(frozen=True, slots=True)
class _Advisor:
    """Figures over the two frames."""

    source_rows: pl.DataFrame
    target_rows: pl.DataFrame
    is_sampled: bool

    def assess(self, pairings: Iterable[_Pairing]) -> KeyAssessment:
        listed = list(pairings)
        fields = [pairing.target for pairing in listed]
        names = [pairing.source.name for pairing in listed]
        ours = _keys(self.source_rows, fields, names)
        theirs = _keys(self.target_rows, fields, [field.name for field in fields])
        source, target = _figures(ours), _figures(theirs)
        verdict = _verdict(source, target)
        return KeyAssessment(
            kind=KeyKind.PAIR if len(listed) > 1 else KeyKind.SINGLE,
            key=KeySpec(source=tuple(names), target=tuple(field.name for field in fields)),
            source=source,
            target=target,
            overlap=_overlap(ours, theirs),
            verdict=verdict,
            sentence=_sentence(names, source, target),
            is_kept_unique=len(listed) == 1 and _is_kept_unique(fields[0]),
            is_sampled=self.is_sampled,
            blocked=_blocked(self.source_rows, ours, names),
        )

    def stamp(self, field: Field) -> KeyAssessment:
        rows = self.source_rows.height
        theirs = _keys(self.target_rows, [field], [field.name])
        ours = _keys(self.source_rows, [field], ["Id"])
        sentence = f"The id of each source row is written into {field.name}: always there, single."
        return KeyAssessment(
            kind=KeyKind.STAMP,
            key=KeySpec(source=("Id",), target=(field.name,), value="Id"),
            source=SideFigures(rows, rows, rows, 0),
            target=_figures(theirs),
            overlap=_overlap(ours, theirs),
            verdict=Verdict.GOOD,
            sentence=sentence,
            is_kept_unique=_is_kept_unique(field),
            is_sampled=self.is_sampled,
        )

    def ledger(self) -> KeyAssessment:
        rows = self.source_rows.height
        return KeyAssessment(
            kind=KeyKind.LEDGER,
            key=KeySpec(),
            source=SideFigures(rows, rows, rows, 0),
            target=SideFigures(self.target_rows.height, 0, 0, 0),
            overlap=0,
            verdict=Verdict.USABLE,
            sentence="Rows that earlier runs moved are known from those runs; records that came "
            "another way are not found, and would be made twice.",
            is_sampled=self.is_sampled,
        )


def _pairings(source: SObject, target: SObject) -> list[_Pairing]:
    """Fields of the same name that could tell records apart, the likeliest first."""
    book = object_book().entry(target.name)
    natural = {name.lower(): rank for rank, name in enumerate(book.natural_key)}
    found = []
    for field in target.fields.values():
        if field.name not in source.fields or not _may_tell_apart(field):
            continue
        ours = source.fields[field.name]
        if compatibility(ours, field) > 0 or ours.type == field.type:
            found.append(_Pairing(ours, field))

    def likeliness(pairing: _Pairing) -> tuple[int, int, int, int, int]:
        field = pairing.target
        keeps = _is_kept_unique(field) + field.external_id + field.id_lookup
        rank = natural.get(field.name.lower(), 99)
        is_named = _is_named_like_a_key(field)
        return (-keeps, rank, -field.name_field, -is_named, -field.custom)

    return sorted(found, key=likeliness)[:SINGLES_MAX]


def _is_named_like_a_key(field: Field) -> bool:
    """Legacy_Id__c, ProductCode, CaseNumber, Email: some word of the name says so.

    >>> [_is_named_like_a_key(Field(n, "string")) for n in ("ProductCode", "Legacy_Id__c", "Notes")]
    [True, True, False]
    """
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", field.name.removesuffix("__c"))
    return any(_KEY_WORDS.fullmatch(word) for word in words)


def _may_tell_apart(field: Field) -> bool:
    return (
        field.type in _PART_TYPES
        and field.name.lower() not in _NEVER
        and field.type != "id"
        and not field.calculated
        and (not field.is_text or field.length <= KEY_LENGTH_MAX)
        and field.filterable
    )


def _is_single(pairing: _Pairing) -> bool:
    return pairing.target.type in _TYPES or pairing.target.external_id


def _pairs(
    pairings: list[_Pairing], singles: list[KeyAssessment], source: SObject, target: SObject
) -> list[tuple[_Pairing, ...]]:
    """Pairs of fields that do not suffice alone, the object book's natural key first."""
    by_name = {pairing.target.name.lower(): pairing for pairing in pairings}
    natural = object_book().entry(target.name).natural_key
    from_book = tuple(by_name[n.lower()] for n in natural if n.lower() in by_name)
    good = {one.key.target[0] for one in singles if one.verdict is Verdict.GOOD}
    parts = [p for p in pairings if p.target.name not in good][:PAIRED_FIELDS]
    made = [pair for pair in combinations(parts, 2) if any(_is_single(one) for one in pair)]
    first = [from_book] if len(from_book) > 1 and len(from_book) == len(natural) else []
    return [*first, *(pair for pair in made if set(pair) != set(from_book))][:PAIRS_MAX]


def _stamps(source: SObject, target: SObject) -> list[Field]:
    """External ids of the target into which a source id fits and nothing else is copied."""
    return [
        field
        for field in target.fields.values()
        if field.external_id
        and field.name not in source.fields
        and field.createable
        and field.updateable
        and field.type == "string"
        and field.length >= 18
    ][:3]


def _is_kept_unique(field: Field) -> bool:
    return field.unique or field.type == "id"


def _keys(rows: pl.DataFrame, fields: list[Field], names: list[str]) -> pl.Series:
    if any(name not in rows.columns for name in names):
        return pl.Series("key", [None] * rows.height, dtype=pl.String)
    return rows.select(key=key_expr(fields, names))["key"]


def _blocked(rows: pl.DataFrame, keys: pl.Series, names: list[str]) -> tuple[BlockedRow, ...]:
    """Rows whose key repeats, group by group, then rows without one."""
    repeated = keys.is_not_null() & keys.is_duplicated()
    shown = (
        rows.with_columns(keys.alias("__key"), repeated.alias("__repeated"))
        .filter(pl.col("__repeated") | pl.col("__key").is_null())
        .sort("__repeated", "__key", descending=[True, False], maintain_order=True)
        .head(BLOCKED_SHOWN)
    )
    known = [name for name in names if name in rows.columns]
    return tuple(
        BlockedRow(str(row["Id"]), tuple(row[name] for name in known), bool(row["__repeated"]))
        for row in shown.iter_rows(named=True)
    )


def _figures(keys: pl.Series) -> SideFigures:
    filled = keys.drop_nulls()
    return SideFigures(
        rows=keys.len(),
        filled=filled.len(),
        distinct=filled.n_unique() if filled.len() else 0,
        repeated=int(filled.is_duplicated().sum()),
    )


def _overlap(ours: pl.Series, theirs: pl.Series) -> int:
    known = theirs.drop_nulls().unique()
    return int(ours.drop_nulls().unique().is_in(known.implode()).sum())


def _verdict(source: SideFigures, target: SideFigures) -> Verdict:
    blocked = source.rows - source.filled + source.repeated + target.repeated
    rows = source.rows + target.rows
    if not source.filled and source.rows:
        return Verdict.UNSAFE
    if blocked == 0:
        return Verdict.GOOD
    if blocked <= 0.02 * rows:
        return Verdict.USABLE
    return Verdict.POOR if source.distinct_share > 0.5 else Verdict.UNSAFE


def _sentence(names: list[str], source: SideFigures, target: SideFigures) -> str:
    named = " and ".join(names)
    parts = []
    if source.filled < source.rows:
        parts.append(f"blank in {source.rows - source.filled:,} source rows")
    if source.repeated:
        parts.append(f"repeated in {source.repeated:,} source rows")
    if target.repeated:
        parts.append(f"repeated in {target.repeated:,} target records")
    if not parts:
        return f"{named}: filled and single on both sides."
    return f"{named}: {', '.join(parts)}."


_VERDICT_RANK: Mapping[Verdict, int] = {v: rank for rank, v in enumerate(Verdict)}
_KIND_RANK: Mapping[KeyKind, int] = {
    KeyKind.STAMP: 0,
    KeyKind.SINGLE: 1,
    KeyKind.PAIR: 2,
    KeyKind.LEDGER: 3,
}


def _rank(one: KeyAssessment) -> tuple[int, int, int, float]:
    """A stamped key settles most questions at once: it is offered first (rule 2.1)."""
    kept = 0 if one.is_kept_unique else 1
    return (_VERDICT_RANK[one.verdict], _KIND_RANK[one.kind], kept, -one.overlap_share)
