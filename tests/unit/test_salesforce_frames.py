"""CSV of any content, cut anywhere, comes back as it was."""

from __future__ import annotations

import csv
import io

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BugError
from core.salesforce import frames

CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=12
) | st.sampled_from(
    ["", '"', '""', "a\nb", "\n", ",", '","', "#N/A", "null", " x ", "é🚀\u2028", "=1+1"]
)
ROWS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=20)
)


def written(rows: list[list[str]]) -> bytes:
    target = io.StringIO()
    header = [f"c{number}" for number in range(len(rows[0]) if rows else 1)]
    csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([header, *rows])
    return target.getvalue().encode()


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, block=st.integers(1, 40))
def test_a_csv_cut_anywhere_gives_its_rows_back(rows: list[list[str]], block: int) -> None:
    content = written(rows)
    blocks = [content[at : at + block] for at in range(0, len(content), block)]

    read = [row for frame in frames.csv_frames(blocks, max_rows=7) for row in frame.rows()]

    assert read == [tuple(cell or None for cell in row) for row in rows]


@settings(max_examples=100, deadline=None)
@given(rows=ROWS)
def test_what_is_written_for_an_upload_is_read_back(rows: list[list[str]]) -> None:
    names = [f"c{number}" for number in range(len(rows[0]) if rows else 1)]
    frame = pl.DataFrame(
        [[cell or None for cell in row] for row in rows],
        schema=dict.fromkeys(names, pl.String),
        orient="row",
    )

    content = frames.csv_bytes(frame)
    read = [row for part in frames.csv_frames([content]) for row in part.rows()]

    assert read == frame.rows()


def test_only_the_wanted_columns_of_a_result_file_are_kept() -> None:
    content = b'"sf__Id","Name","Code__c"\n"1","a, ""b""\nc","x"\n"2","","y"\n'

    (frame,) = frames.csv_frames([content], only=["sf__Id", "sf__Error", "code__C"])
    assert frame.columns == ["sf__Id", "Code__c"]
    assert frame.rows() == [("1", "x"), ("2", "y")]


def test_line_endings_inside_values_become_those_of_the_job() -> None:
    frame = pl.DataFrame({"a": ["x\r\ny\rz"], "b": ["1"]})

    assert frames.csv_bytes(frame) == b'"a","b"\n"x\ny\nz","1"\n'


def test_a_csv_of_another_width_is_not_taken() -> None:
    with pytest.raises(BugError, match="2 columns"):
        frames.csv_frame(b"1,2,3\n", ["a", "b"])


def test_names_match_whatever_their_case_and_compounds_become_json() -> None:
    record = {"attributes": {}, "Id": "1", "BillingAddress": {"city": "Köln"}}

    frame = frames.rest_frame([record], ["ID", "billingaddress", "Missing"])

    assert frame.rows() == [("1", '{"city": "Köln"}', None)]


PARENT = {"attributes": {}, "NAME": "p", "Owner": {"attributes": {}, "Name": "o"}}


@pytest.mark.parametrize("others", [{}, {"More": "x"}])
def test_rows_of_like_and_of_unlike_names_read_the_same(others: dict[str, str]) -> None:
    """Like ones are read without putting every name of every row into small letters."""
    rows = [
        {"attributes": {}, "Id": "1", "Done": True, "Parent": PARENT, "Place": {"city": "Köln"}},
        {"attributes": {}, "Id": "2", "Done": None, "Parent": None, "Place": None, **others},
    ]
    columns = [
        "id",
        "DONE",
        "parent.name",
        "Parent.Owner.NAME",
        "Place",
        "Place.city",
        "No",
        "No.x",
    ]

    frame = frames.rest_frame(rows, columns)

    assert frame.columns == columns
    assert frame.rows() == [
        ("1", "true", "p", "o", '{"city": "Köln"}', "Köln", None, None),
        ("2", *[None] * 7),
    ]
    assert frames.rest_frame([], ["Id"]).schema == {"Id": pl.String}
