"""CSV: bulk files, people's files of every dialect, blanks on their way out, formula guard."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.blanks import (
    BULK_CLEAR,
    CLEAR,
    keep_filled,
    mark_for_insert,
    mark_for_update,
    writeable_on_insert,
    writeable_on_update,
)
from core.domain.csv import (
    bulk_csv,
    guarded_cell,
    json_records,
    people_csv,
    read_table,
    unsendable_in_bulk,
)
from core.domain.describe import Field
from core.domain.plan import Blanks, Write
from core.errors import UserError

CELLS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), min_size=1),
)


def frame(**columns: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6))
def test_bulk_csv_and_a_reader_are_inverse(rows: list[tuple[str | None, str | None]]) -> None:
    page = frame(A=[a for a, _ in rows], B=[b for _, b in rows])

    content = bulk_csv(page)

    read = list(csv.reader(io.StringIO(content.decode(), newline="")))
    assert read[0] == ["A", "B"]
    assert [tuple(cell or None for cell in row) for row in read[1:]] == rows
    assert b"\r" not in content


def test_bulk_csv_marks_clears_and_leaves_blanks_empty() -> None:
    page = frame(Id=["1", "2"], Name=[CLEAR, None], Note=['a"b\r\nc', "x,y"])

    content = bulk_csv(page).decode()

    assert content == 'Id,Name,Note\n1,#N/A,"a""b\nc"\n2,,"x,y"\n'


def test_a_real_na_text_is_found_before_bulk_would_empty_the_field() -> None:
    page = frame(A=["x", BULK_CLEAR, CLEAR, None])

    assert unsendable_in_bulk(page).to_list() == [False, True, False, False]
    assert unsendable_in_bulk(page.select()).to_list() == []


def test_json_records_type_what_survives_json() -> None:
    fields = {
        "B": Field("B", "boolean"),
        "N": Field("N", "currency", scale=2),
        "I": Field("I", "int"),
    }
    page = frame(
        B=["true", CLEAR],
        N=["12345678901234567.89", "1.5"],
        I=["7", None],
        T=["007", "#N/A"],
    )

    assert json_records(page, fields) == [
        {"B": True, "N": "12345678901234567.89", "I": 7, "T": "007"},
        {"B": None, "N": 1.5, "T": "#N/A"},
    ]


FIELDS = (Field("A", "string"), Field("B", "boolean", nillable=False))


@pytest.mark.parametrize(
    ("blanks", "inserted", "updated_ours", "updated_others"),
    [
        (Blanks.CLEAR, CLEAR, CLEAR, CLEAR),
        (Blanks.KEEP, None, None, None),
        (Blanks.DEFAULT, CLEAR, CLEAR, None),
    ],
)
def test_rule_3_1_blanks_follow_their_policy(
    blanks: Blanks, inserted: str | None, updated_ours: str | None, updated_others: str | None
) -> None:
    page = frame(A=[None, None, "x"], B=[None, None, None])
    is_ours = pl.Series([True, False, True])

    insert = mark_for_insert(page, FIELDS, blanks)
    update = mark_for_update(page, FIELDS, blanks, is_ours=pl.lit(is_ours))

    assert insert["A"].to_list() == [inserted, inserted, "x"]
    assert update["A"].to_list() == [updated_ours, updated_others, "x"]
    assert insert["B"].null_count() == 3
    assert update["B"].null_count() == 3


def test_rule_3_2_insert_only_and_if_blank_spare_what_is_there() -> None:
    page = frame(A=["a", "a"], B=["b", "b"], C=["c", "c"])
    found = frame(B=["theirs", None])

    kept = keep_filled(
        page, {"B": pl.lit(found["B"])}, {"A": Write.INSERT_ONLY, "B": Write.IF_BLANK}
    )

    assert kept.to_dict(as_series=False) == {"B": [None, "b"], "C": ["c", "c"]}


def test_rule_3_5_insert_and_update_have_their_own_columns() -> None:
    fields = (
        Field("A", "string"),
        Field("B", "string", updateable=False),
        Field("C", "string", createable=False),
        Field("D", "string"),
    )

    assert writeable_on_insert(fields, ["d"]) == ("A", "B")
    assert writeable_on_update(fields) == ("A", "C", "D")


def test_files_of_every_delimiter_read_alike(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "C_awkward_and_duplicates" / "sf_plugin_data_delimiters"
    expected = {
        "backquote": "`",
        "caret": "^",
        "comma": ",",
        "comma_wrapped_values": ",",
        "pipe": "|",
        "semicolon": ";",
        "tab": "\t",
    }

    tables = {name: read_table((folder / f"{name}.csv").read_bytes()) for name in expected}

    assert {name: table.delimiter for name, table in tables.items()} == expected
    assert {table.frame.shape for table in tables.values()} == {(10, 5)}
    single = read_table((folder / "single-column.csv").read_bytes())
    assert single.frame.shape == (10, 1)


def test_files_of_every_encoding_read_alike(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "C_awkward_and_duplicates" / "dataloader_testfiles"
    plain = read_table((folder / "csvtext.csv").read_bytes())
    text = "Name;Stadt\nÄnne;Köln\n日本;x\n"

    for name in ("csvtext_BOM_UTF8.csv", "csvtext_BOM_UTF16LE.csv"):
        assert read_table((folder / name).read_bytes()).frame.equals(plain.frame)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        table = read_table(text.encode(encoding))
        assert table.frame["Stadt"].to_list() == ["Köln", "x"], encoding
        assert table.delimiter == ";"
    assert read_table("Name,Ort\nÄnne,Köln €\n".encode("cp1252")).frame["Ort"][0] == "Köln €"


def test_every_loader_file_reads_or_says_why(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "C_awkward_and_duplicates" / "dataloader_testfiles"

    tables = [read_table(path.read_bytes()) for path in sorted(folder.glob("*.csv"))]

    assert len(tables) >= 30
    assert all(table.frame.width for table in tables)


def test_the_csv_spectrum_reads_as_its_json_says(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "C_awkward_and_duplicates" / "csv_spectrum"

    for path in sorted((folder / "csvs").glob("*.csv")):
        expected = json.loads((folder / "json" / f"{path.stem}.json").read_text())
        rows = read_table(path.read_bytes()).frame.fill_null("").to_dicts()
        normal = [{k: v.replace("\r\n", "\n") for k, v in row.items()} for row in rows]
        assert normal == [
            {k: v.replace("\r\n", "\n") for k, v in row.items()} for row in expected
        ], path.name


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (b"  \n ", "The file is empty"),
        (b"A,a\n1,2", "The column 'a' appears twice"),
        (b"A,,C\n1,2,3", "Column 2 of the file has no name"),
        (b"A,B\n1,2\n1,2,3", "Line 3 of the file has 3 cells, its header 2"),
    ],
)
def test_files_that_are_no_table_are_refused_by_line(content: bytes, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        read_table(content)

    assert sentence in str(caught.value)


def test_a_named_encoding_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="not readable as ascii"):
        read_table("Ä,b\n1,2".encode(), encoding="ascii")
    with pytest.raises(UserError, match="not readable as klingon"):
        read_table(b"a,b\n1,2", encoding="klingon")


def test_short_rows_are_filled_and_said() -> None:
    table = read_table(b"A,B,C\n1,2\n\n4,5,6\n")

    assert table.frame["C"].to_list() == [None, "6"]
    assert table.remarks == ("Line 2 has 2 of 3 cells; the rest is blank.",)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("+1-1", "'+1-1"),
        ("-5", "-5"),
        ("+4.5", "+4.5"),
        ("\t=1", "'\t=1"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_cells_that_a_spreadsheet_would_run_are_guarded(text: str, written: str) -> None:
    assert guarded_cell(text) == written


def test_awkward_strings_survive_people_csv_but_for_the_guard(fixtures_dir: Path) -> None:
    strings = json.loads((fixtures_dir / "C_awkward_and_duplicates/blns/blns.json").read_text())
    page = frame(V=strings)

    content = people_csv(page)

    read = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    back = [row[0] if row else "" for row in read[1:]]
    assert len(back) == len(strings)
    for cell, text in zip(back, strings, strict=True):
        assert cell in (text, f"'{text}"), text
        assert not cell.startswith(("=", "@"))
