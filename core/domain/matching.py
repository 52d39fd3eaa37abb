"""Recognising records by key: canonical keys, repeated and blank ones, matches, twins (rules 2).

    source (id, key) ─┐
                      ├─▶ matches: id, key, target_id, outcome
    target (id, key) ─┘

Keys compare in the canonical form of the **target's** type: trimmed, without regard to case unless
the target regards it, ids with 18 characters, numbers and times normalised. Inside a composite
blank equals blank; an all-blank key recognises nothing. Keys that repeat on either side match
nothing: never the last one wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import polars as pl

from core.domain.canonical import blank_to_null, canonical, rounded
from core.domain.describe import Field
from core.domain.plan import Operation

#: between the parts of a composite key; no text field can hold it
PART_MARK = "\x1f"


class Match(StrEnum):
    """What the key of a source row found."""

    MATCHED = "matched"  # one record of the target
    UNMATCHED = "unmatched"  # none
    BLANK_KEY = "blank_key"  # every part of the key is blank
    REPEATED_IN_SOURCE = "repeated_in_source"  # other source rows have the same key
    REPEATED_IN_TARGET = "repeated_in_target"  # more than one record of the target has it
    NOT_SURVIVOR = "not_survivor"  # another row of its group was chosen


class Action(StrEnum):
    """What is done with a row before its values are looked at."""

    INSERT = "insert"
    UPDATE = "update"  # or unchanged, once hashes are compared
    DELETE = "delete"
    LINK = "link"  # written down for the lookups of others; nothing is sent
    SKIP = "skip"  # by operation or by choice
    BLOCK = "block"  # a row failure with the reason of its match


def canonical_key(field: Field, values: pl.Expr) -> pl.Expr:
    """One part of a key in the canonical form of the target field (rule 2.2)."""
    text = canonical(field, blank_to_null(values.str.strip_chars()))
    if field.is_number and field.type not in ("int", "long"):
        return rounded(text, field.scale)
    folds_case = field.is_text and not field.case_sensitive
    return text.str.to_lowercase() if folds_case else text


def key_expr(fields: Sequence[Field], columns: Sequence[str]) -> pl.Expr:
    """The whole key of a row as text; null if all its parts are blank.

    Args:
        fields: the target's key fields, in order.
        columns: where their values stand in the frame (of either side).
    """
    parts = [
        canonical_key(field, pl.col(name)) for field, name in zip(fields, columns, strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    joined = pl.concat_str([part.fill_null("") for part in parts], separator=PART_MARK)
    return pl.when(pl.any_horizontal(part.is_not_null() for part in parts)).then(joined)


def has_blank_part(fields: Sequence[Field], columns: Sequence[str]) -> pl.Expr:
    """Per row whether some part of a composite key is blank (counted and named in preflight)."""
    parts = [
        canonical_key(field, pl.col(name)) for field, name in zip(fields, columns, strict=True)
    ]
    return pl.any_horizontal(part.is_null() for part in parts)


def repeated(keys: pl.Series) -> pl.Series:
    """Per row whether its key occurs more than once; blank keys never repeat."""
    return keys.is_duplicated() & keys.is_not_null()


def match_keys(
    source: pl.DataFrame, target: pl.DataFrame, *, survivors: Sequence[str] = ()
) -> pl.DataFrame:
    """What the key of each source row finds in the target.

    Args:
        source: ``id``, ``key``: all rows in scope, ids unique.
        target: ``id``, ``key``: all candidates of the target.
        survivors: source ids that stand for their group of equal keys.
    Returns:
        ``id``, ``key``, ``target_id`` (null unless matched), ``outcome`` (`Match` values), in the
        order of `source`.
    """
    once = (
        target.filter(pl.col("key").is_not_null())
        .group_by("key")
        .agg(target_id=pl.col("id").first(), target_rows=pl.len())
    )
    is_survivor = pl.col("id").is_in(list(survivors))
    groups = source.with_columns(
        repeats=pl.col("key").is_duplicated() & pl.col("key").is_not_null(),
        chosen=is_survivor.sum().over("key"),
    )
    return (
        groups.join(once, on="key", how="left", maintain_order="left")
        .with_columns(outcome=_outcome(is_survivor))
        .with_columns(
            target_id=pl.when(pl.col("outcome") == Match.MATCHED.value).then(pl.col("target_id"))
        )
        .select("id", "key", "target_id", "outcome")
    )


def action_for(operation: Operation, match: Match) -> Action:
    """What an operation does with a match outcome (rules 2.2, 2.3, 2.7).

    `preserve` writes nothing; a delete passes over what is not there.
    """
    if match is Match.NOT_SURVIVOR:
        return Action.SKIP
    if match in _BLOCKING:
        return Action.BLOCK
    return _ACTIONS[operation][match is Match.MATCHED]


def action_expr(operation: Operation, outcomes: pl.Expr) -> pl.Expr:
    """`action_for` over a column of `Match` values."""
    actions = {match.value: action_for(operation, match).value for match in Match}
    return outcomes.replace_strict(actions, return_dtype=pl.String)


def pair_twins(sent: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Rows joined on the hash of all that was sent, twins in any order but one to one (rule 2.5).

    Args:
        sent: ``row``, ``hash``.
        found: ``target_id``, ``hash``.
    Returns:
        ``row``, ``target_id``, ``is_twin``; rows without a partner and partners without a row are
        absent, so that what was sent minus what came back can be counted.
    """
    left = sent.with_columns(rank=_rank(), is_twin=pl.col("hash").is_duplicated())
    right = found.with_columns(rank=_rank())
    return left.join(right, on=["hash", "rank"], how="inner", maintain_order="left").select(
        "row", "target_id", "is_twin"
    )


def equal_multisets(one: pl.Series, other: pl.Series) -> bool:
    """Whether both hold the same values as often (rule 6.3)."""
    return one.len() == other.len() and one.sort().equals(other.sort(), null_equal=True)


def match_counts(matches: pl.DataFrame) -> Mapping[Match, int]:
    """How many rows of `match_keys` have each outcome."""
    counted = matches["outcome"].value_counts()
    found = dict(zip(counted["outcome"], counted["count"], strict=True))
    return {match: int(found.get(match.value, 0)) for match in Match}


def _rank() -> pl.Expr:
    return pl.int_range(pl.len()).over("hash")


def _outcome(is_survivor: pl.Expr) -> pl.Expr:
    loses = pl.col("repeats") & (pl.col("chosen") == 1) & ~is_survivor
    is_alone = ~pl.col("repeats") | ((pl.col("chosen") == 1) & is_survivor)
    return (
        pl.when(pl.col("key").is_null())
        .then(pl.lit(Match.BLANK_KEY.value))
        .when(loses)
        .then(pl.lit(Match.NOT_SURVIVOR.value))
        .when(~is_alone)
        .then(pl.lit(Match.REPEATED_IN_SOURCE.value))
        .when(pl.col("target_rows") > 1)
        .then(pl.lit(Match.REPEATED_IN_TARGET.value))
        .when(pl.col("target_rows") == 1)
        .then(pl.lit(Match.MATCHED.value))
        .otherwise(pl.lit(Match.UNMATCHED.value))
    )


_BLOCKING = frozenset({Match.BLANK_KEY, Match.REPEATED_IN_SOURCE, Match.REPEATED_IN_TARGET})

#: operation → (unmatched, matched)
_ACTIONS: Mapping[Operation, tuple[Action, Action]] = {
    Operation.INSERT: (Action.INSERT, Action.SKIP),
    Operation.UPDATE: (Action.SKIP, Action.UPDATE),
    Operation.UPSERT: (Action.INSERT, Action.UPDATE),
    Operation.PRESERVE: (Action.SKIP, Action.LINK),
    Operation.DELETE: (Action.SKIP, Action.DELETE),
    Operation.HARD_DELETE: (Action.SKIP, Action.DELETE),
}
