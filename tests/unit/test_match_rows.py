"""Which target rows are found by the ledger and by the key, and what the target is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from core.domain.describe import Field, Fields, SObject
from core.domain.plan import ObjectMapping
from core.migration import narrow
from core.migration.held import held_rows
from core.migration.idmap import AT_ONCE, IdCodes, IdMap
from core.migration.links import CODED_SCHEMA, Said, baselines, coded, spelt
from core.migration.match import Match, Matches, match_rows
from core.migration.spec import Step

CODE = Field("Code__c", "string", filterable=True)
STAMP = Field("SystemModstamp", "datetime")
TABLE = SObject("Part__c", Fields((Field("Id", "id"), STAMP, CODE)))
#: after every stamp of the target
LATER = "2026-02-01T00:00:00.000"
#: more rows than are asked for by id or by value
MANY = 5_000


class Target:
    """Answers every query by its rows; keeps what it was asked."""

    def __init__(self, rows: dict[str, str | None]) -> None:
        self.asked: list[str] = []
        self._rows = rows

    def query_frames(self, soql: str) -> Iterator[pl.DataFrame]:
        """All rows in the columns that the query names."""
        self.asked.append(soql)
        held = {"Id": list(self._rows), "Code__c": list(self._rows.values())}
        frame = pl.DataFrame(held, schema=dict.fromkeys(held, pl.String))
        stamped = frame.with_columns(SystemModstamp=pl.lit("2026-01-01T00:00:00.000Z"))
        yield stamped.select(soql.removeprefix("SELECT ").split(" FROM ")[0].split(", "))


MAPPING = ObjectMapping.model_validate({"source": "Part__c", "key": "Code__c"})


def matched(
    source: dict[str, str | None],
    target: Target,
    *,
    survivors: tuple[str, ...] = (),
    linked: dict[str, str] | None = None,
    baseline: str = LATER,
) -> Matches:
    """Source ids with their codes, matched by the code."""
    mapping = ObjectMapping.model_validate(
        {"source": "Part__c", "key": "Code__c", "duplicates": {"survivors": list(survivors)}}
    )
    step, ids = Step(mapping, TABLE, TABLE, {}, ()), IdCodes()
    linked = linked or {}
    links = linked_to(list(linked), list(linked.values()), baseline)
    link_set = cast(Any, SimpleNamespace(hash_scheme="1"))
    said = Said(coded([links], ids), link_set, scheme="1")
    rows = pl.DataFrame(
        {"Id": list(source), "Code__c": list(source.values())},
        schema={"Id": pl.String, "Code__c": pl.String},
    )
    found = match_rows(
        step, narrow.gathered(step, [rows], ids), said, target=cast(Any, target), ids=ids
    )
    assert said.height == 0
    return found


def linked_to(sources: list[str], targets: list[str], baseline: str = LATER) -> pl.DataFrame:
    """Links as the ledger gives them."""
    texts = {"source_id": pl.String, "target_id": pl.String}
    ends = pl.DataFrame({"source_id": sources, "target_id": targets}, schema=texts)
    return ends.with_columns(
        origin=pl.lit("inserted"),
        sent_hash=pl.lit(1, pl.Int64),
        found_hash=pl.lit(None, pl.Int64),
        read_hash=pl.lit(None, pl.Int64),
        baseline=pl.lit(baseline),
    ).cast({"origin": pl.Categorical, "baseline": pl.Categorical})


def row_id(number: int, prefix: str = "a01") -> str:
    """An id of 18 characters; its checksum is nobody's business here."""
    return f"{prefix}{number:012d}AAA"


def test_rule_2_3_repeated_blank_and_found_keys_are_told_apart() -> None:
    codes = ["one", "two", "two", None, None, "held", "twice", "three", "three"]
    source = {row_id(n): code for n, code in enumerate(codes)}
    target = Target({row_id(n, "b01"): code for n, code in enumerate(["held", "twice", "twice"])})
    found = matched(source, target, survivors=(row_id(7),))
    assert [Match(int(state)) for state in found.states] == [
        Match.FRESH,
        Match.REPEATED_SOURCE,
        Match.REPEATED_SOURCE,
        Match.BLANK_KEY,
        Match.BLANK_KEY,
        Match.KEYED,
        Match.REPEATED_TARGET,
        Match.FRESH,
        Match.NOT_SURVIVOR,
    ]
    assert (found.targets != -1).tolist() == [n == 5 for n in range(9)]


def test_the_target_is_asked_for_keys_only_where_a_row_has_no_link() -> None:
    source: dict[str, str | None] = {row_id(n): f"code {n}" for n in range(MANY)}
    there: dict[str, str | None] = {row_id(n, "b01"): f"code {n}" for n in range(MANY)}
    links = dict(zip(source, there, strict=True))

    target = Target(there)
    found = matched(source, target, linked=links)
    assert target.asked == ["SELECT Id, SystemModstamp FROM Part__c"]
    assert np.unique(found.states).tolist() == [Match.LINKED]
    assert not found.touched.any()

    target = Target(there)
    found = matched(source, target, linked=dict(list(links.items())[1:]))
    assert target.asked == ["SELECT Id, SystemModstamp, Code__c FROM Part__c"]
    assert found.states[0] == Match.KEYED
    assert np.unique(found.states[1:]).tolist() == [Match.LINKED]


def test_links_keep_what_they_say_as_integers_and_back() -> None:
    said = pl.DataFrame(
        {
            "source_id": [row_id(1), "001D000000IqhSL", None],
            "target_id": [row_id(2, "b01"), row_id(3, "b01"), row_id(4, "b01")],
            "origin": ["inserted", "matched", "inserted"],
            "sent_hash": [1, None, -3],
            "found_hash": [None, 7, None],
            "read_hash": [5, None, None],
            "baseline": [None, "2026-02-01T00:00:00.000", "1970-01-01T00:00:00.000"],
        }
    ).cast({"origin": pl.Categorical, "baseline": pl.Categorical})
    ids = IdCodes()

    whole = spelt(coded([said], ids), ids)
    parts = spelt(coded([said.head(1), said.tail(2)], ids), ids)

    assert whole.equals(parts)
    assert whole.get_column("source_id").str.slice(0, 15).to_list() == [
        None,
        "001D000000IqhSL",
        row_id(1)[:15],
    ]
    as_said = said[::-1].drop("source_id", "target_id")
    assert whole.drop("source_id", "target_id").equals(as_said)
    assert spelt(coded([], ids), ids).is_empty()


def test_many_rows_are_recognised_by_numbers_and_few_keep_their_texts() -> None:
    step = Step(MAPPING, TABLE, TABLE, {}, ())
    ids = IdCodes()
    pages = [
        pl.DataFrame({"Id": [row_id(n) for n in part], "Code__c": [f"c {n}" for n in part]})
        for part in (range(600), range(600, 1_200))
    ]

    few, many = narrow.gathered(step, pages[:1], ids), narrow.gathered(step, pages, ids)

    assert few.get_column("Code__c").to_list() == pages[0].get_column("Code__c").to_list()
    assert few.drop("Id", "Code__c").equals(many.head(600))
    assert set(many.columns) == {narrow.CODE, "key", "blank"}
    assert ids.decode(many.get_column(narrow.CODE).to_numpy()).str.slice(0, 15).to_list() == [
        row_id(n)[:15] for n in range(1_200)
    ]
    assert many.get_column("key").n_unique() == 1_200
    assert narrow.gathered(step, [], ids).is_empty()


@pytest.mark.parametrize("many", [AT_ONCE, 2 * AT_ONCE + 1])
def test_ids_become_numbers_a_part_at_a_time(many: int) -> None:
    ids, codes = IdCodes(), np.arange(many, dtype=np.int64)
    ids.encode(pl.Series([row_id(0)]))
    texts = ids.decode(codes)

    assert (ids.encode(texts) == codes).all()


def test_links_lie_by_their_source_and_the_id_map_holds_them_no_second_time() -> None:
    ids, numbers = IdCodes(), [7, 3, 9, 1]
    links = coded([linked_to([row_id(n) for n in numbers], [row_id(n) for n in numbers])], ids)
    ends = [links.get_column(name).to_numpy() for name in ("source", "target")]
    known = IdMap()

    known.add(*ends)
    known.add(ends[0][:0], ends[1][:0])

    assert ids.decode(ends[0]).str.slice(0, 15).to_list() == [row_id(n)[:15] for n in (1, 3, 7, 9)]
    assert (ends[0] == ends[1]).all()
    assert all(map(np.shares_memory, known.pairs(), ends))


def test_what_is_held_of_every_row_at_once_is_numbers() -> None:
    """Bytes of each row of an object while it is matched; as texts they are several times that."""
    step, ids = Step(MAPPING, TABLE, TABLE, {}, ()), IdCodes()
    sources = [row_id(n) for n in range(MANY)]
    targets = {row_id(n, "b01"): f"code {n}" for n in range(MANY)}
    rows = pl.DataFrame({"Id": sources, "Code__c": list(targets.values())})
    narrowed = narrow.gathered(step, [rows.head(2_000), rows.tail(-2_000)], ids)
    links = coded([linked_to(sources, list(targets))], ids)
    codes = links.get_column("target").to_numpy()
    target = cast(Any, Target(dict(targets)))

    for frame, most in (
        (narrowed, 17),
        (links, 49),
        (held_rows(step, narrowed, codes, target=target, ids=ids, keyed=False), 12.5),
        (held_rows(step, narrowed, codes, target=target, ids=ids, keyed=True), 20.5),
    ):
        assert frame.height == MANY
        assert pl.String not in frame.dtypes
        assert frame.estimated_size() / frame.height <= most
        assert {column.n_chunks() for column in frame.iter_columns()} == {1}


NEVER, MERGED = 2**32 - 1, "1970-01-01T00:00:00.000"
#: 2026-01-01T00:00:00
NEW_YEAR = 1_767_225_600


@pytest.mark.parametrize(
    ("origin", "sent", "baseline", "second"),
    [
        ("inserted", 1, "2026-01-01T00:00:00.999", NEW_YEAR),
        ("inserted", 1, None, NEVER),
        ("inserted", 1, MERGED, 0),
        ("matched", 1, "2026-01-01T00:00:00.000", NEW_YEAR),
        # only recognised: there is no write of ours to protect
        ("matched", None, "2026-01-01T00:00:00.000", NEVER),
        ("matched", None, None, NEVER),
        # ours was merged into it
        ("matched", None, MERGED, 0),
    ],
)
def test_rule_3_2_whose_writes_count_as_somebody_elses(
    origin: str, sent: int | None, baseline: str | None, second: int
) -> None:
    row = {"source": 1, "target": 2, "origin": origin, "sent_hash": sent, "baseline": baseline}
    links = pl.DataFrame([row | {"found_hash": None, "read_hash": None}], schema=CODED_SCHEMA)

    assert baselines(links).to_list() == [second]


@pytest.mark.parametrize(
    ("baseline", "touched"),
    [
        ("2025-12-31T23:59:59.999", True),
        ("2026-01-01T00:00:00.900", True),  # in the same second: perhaps after it
        ("2026-01-01T00:00:01.000", False),
    ],
)
def test_rule_3_2_a_write_since_the_baseline_is_noticed(baseline: str, touched: bool) -> None:
    source: dict[str, str | None] = {row_id(n): f"code {n}" for n in range(MANY)}
    there: dict[str, str | None] = {row_id(n, "b01"): f"code {n}" for n in range(MANY)}

    links = dict(zip(source, there, strict=True))
    found = matched(source, Target(there), linked=links, baseline=baseline)

    assert found.touched.tolist() == [touched] * MANY
    assert found.hashed.all() and not found.founds.any()
