"""The key advisor: figures of candidates on both sides, and their order."""

from __future__ import annotations

from collections import Counter

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.describe import Field, Fields, SObject
from core.plans.key_advisor import KeyAssessment, KeyKind, Verdict, advise, columns_to_read

FIELDS = (
    Field("Id", "id", length=18, createable=False, updateable=False),
    Field("Name", "string", length=80, name_field=True),
    Field("Email__c", "email", length=80),
    Field("Code__c", "string", length=40, external_id=True, unique=True),
    Field("Legacy_Id__c", "string", length=40, external_id=True, unique=True, case_sensitive=True),
    Field("Notes__c", "textarea", length=32_000),
    Field("Active__c", "boolean"),
    Field("City__c", "string", length=40),
)
SOURCE = SObject("Thing__c", Fields(tuple(f for f in FIELDS if f.name != "Legacy_Id__c")))
TARGET = SObject("Thing__c", Fields(FIELDS))


def rows(**columns: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


OURS = rows(
    Id=["a1", "a2", "a3", "a4"],
    Name=["Ann", "ann ", "Bob", None],
    Email__c=["a@x.example", "b@x.example", "c@x.example", None],
    Code__c=["1", "2", "3", "4"],
    City__c=["Rom", "Ulm", "Rom", "Ulm"],
)
THEIRS = rows(
    Id=["b1", "b2"],
    Name=["ANN", "Zoe"],
    Email__c=["A@X.example", "z@x.example"],
    Code__c=["2", "9"],
    City__c=["Rom", "Rom"],
    Legacy_Id__c=[None, None],
)


def by_key(found: tuple[KeyAssessment, ...]) -> dict[str, KeyAssessment]:
    return {"+".join(one.key.target) or one.kind.value: one for one in found}


def test_the_columns_to_read_are_those_that_can_tell_records_apart() -> None:
    ours, theirs = columns_to_read(SOURCE, TARGET)

    assert set(ours) == {"Id", "Name", "Email__c", "Code__c", "City__c"}
    assert set(theirs) == {*ours, "Legacy_Id__c"}


def test_rule_2_1_candidates_carry_their_figures_and_the_stamp_comes_first() -> None:
    found = advise(SOURCE, TARGET, source_rows=OURS, target_rows=THEIRS)
    keys = by_key(found)

    assert found[0].kind is KeyKind.STAMP
    assert found[0].key.value == "Id"
    assert found[0].key.target == ("Legacy_Id__c",)
    assert [one.kind for one in found].count(KeyKind.STAMP) == 1
    name = keys["Name"]
    assert (name.source.filled, name.source.distinct, name.source.repeated) == (3, 2, 2)
    assert (name.overlap, name.blocked_rows) == (1, 3)
    assert name.verdict in (Verdict.POOR, Verdict.UNSAFE)
    assert name.sentence == "Name: blank in 1 source rows, repeated in 2 source rows."
    email = keys["Email__c"]
    assert (email.overlap, email.source.repeated) == (1, 0)
    assert keys["ledger"].verdict is Verdict.USABLE
    code = next(o for o in found if o.kind is KeyKind.SINGLE and o.key.target == ("Code__c",))
    assert code.verdict is Verdict.GOOD
    assert code.is_kept_unique
    assert code.overlap_share == 0.25


def test_pairs_are_made_of_fields_that_do_not_suffice_alone() -> None:
    found = advise(SOURCE, TARGET, source_rows=OURS, target_rows=THEIRS)
    pairs = [set(one.key.target) for one in found if one.kind is KeyKind.PAIR]

    assert {"Name", "City__c"} in pairs
    assert all("Code__c" not in pair for pair in pairs)
    pair = next(o for o in found if set(o.key.target) == {"Name", "City__c"})
    assert pair.source.repeated == 0


def test_an_empty_org_and_missing_columns_are_no_obstacle() -> None:
    found = advise(SOURCE, TARGET, source_rows=OURS.clear(), target_rows=rows(Id=[]))

    assert by_key(found)["Name"].verdict is Verdict.GOOD
    assert by_key(found)["Name"].overlap_share == 0.0


CELLS = st.lists(st.one_of(st.none(), st.sampled_from(["a", "A ", "b", "c", ""])), max_size=8)


@settings(max_examples=60, deadline=None)
@given(CELLS, CELLS)
def test_figures_agree_with_a_plain_count(ours: list[str | None], theirs: list[str | None]) -> None:
    source = rows(Id=[f"a{n}" for n in range(len(ours))], Name=ours)
    target = rows(Id=[f"b{n}" for n in range(len(theirs))], Name=theirs)

    name = by_key(advise(SOURCE, TARGET, source_rows=source, target_rows=target))["Name"]

    left = Counter(v.strip().lower() for v in ours if v and v.strip())
    right = Counter(v.strip().lower() for v in theirs if v and v.strip())
    assert name.source.filled == left.total()
    assert name.source.distinct == len(left)
    assert name.source.repeated == sum(n for n in left.values() if n > 1)
    assert name.target.repeated == sum(n for n in right.values() if n > 1)
    assert name.overlap == len(left.keys() & right.keys())
