"""Files as a source: what is guessed, how rows are read, known again and asked for."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.csv import CELL_MAX
from core.domain.ids import is_id
from core.errors import OrgbridgeError, UserError
from core.files import archive
from core.files.archive import KeptUpload, SealedFile, keep_upload, open_part, parts_of
from core.files.guessing import guess_table, guess_type
from core.files.reading import ROW_MAX, read_table
from core.files.row_ids import ids_of, key_hashes, link_hashes, repeated
from core.files.source import FileSource
from core.files.tables import BadCell, Link, TableSpec, api_name
from core.spool import RunSpool, open_spool, page_name


class _Plain:
    """A vault that seals nothing."""

    def encrypt(self, plain: str) -> str:
        return plain

    def decrypt(self, sealed: str) -> str:
        return sealed


@pytest.fixture
def spool(tmp_path: Path) -> RunSpool:
    whole = open_spool(str(tmp_path), _Plain())
    return whole.run(uuid4(), whole.new_wrapped_key())


def read(
    spool: RunSpool, text: str | bytes, file_name: str = "Table.csv", **said: Any
) -> tuple[TableSpec, FileSource, list[BadCell]]:
    content = text.encode() if isinstance(text, str) else text
    spec = guess_table(io.BytesIO(content), file_name, part=0).spec.model_copy(update=said)
    done, bad = read_table(io.BytesIO(content), spec, spool, beat=lambda _: None)
    return spec, source_of(spool, spec, pages={spec.object: done.pages}), bad


def source_of(spool: RunSpool, *specs: TableSpec, pages: dict[str, int]) -> FileSource:
    return FileSource(
        spool,
        specs,
        pages=pages,
        name="files",
        organization_id="z00000000000001AAA",
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


def rows(source: FileSource, soql: str) -> list[tuple[Any, ...]]:
    return [row for frame in source.query_frames(soql) for row in frame.iter_rows()]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["1", "-7"], ("int", "point")),
        (["1.5", "2"], ("double", "point")),
        (["1.234,50"], ("double", "comma")),
        (["1,234.50"], ("double", "point")),
        (["00123"], ("string", "")),
        (["12345678901234567890"], ("string", "")),
        (["Ja", "nein"], ("boolean", "")),
        (["2026-02-28"], ("date", "%Y-%m-%d")),
        (["31/12/2025"], ("date", "%d/%m/%Y")),
        (["12/31/2025"], ("date", "%m/%d/%Y")),
        (["31.02.2026"], ("string", "")),
        (["2026-01-02 03:04"], ("datetime", "%Y-%m-%d %H:%M")),
        (["2026-01-02T03:04:05.000+0000"], ("datetime", "iso")),
        (["x" * 300], ("textarea", "")),
        ([], ("string", "")),
    ],
)
def test_types_and_formats_are_guessed(values: list[str], wanted: tuple[str, str]) -> None:
    assert guess_type(values)[:2] == wanted


@pytest.mark.parametrize("values", [["03/04/2026"], ["1,234"], ["1.234"]])
def test_what_can_be_read_in_two_ways_says_so(values: list[str]) -> None:
    assert guess_type(values)[2]


def test_cells_come_out_as_the_platform_spells_them(spool: RunSpool) -> None:
    text = (
        "Id No;Betrag;Am;Um;Aktiv;Text\r\n"
        "1;1.234,50;31.12.2025;31.12.2025 08:30;ja;  bleibt \r\n"
        "2;;;;;\r\n"
        "3;kein Geld;31.02.2026;;nein;x\r\n"
    )

    # the guess is made of what is there: with odd cells the analyst says what a column is
    spec, _, _ = read(spool, text)
    kinds = {"Betrag": ("double", "comma"), "Am": ("date", "%d.%m.%Y")}
    columns = tuple(
        c.model_copy(update=dict(zip(("type", "format"), kinds[c.name], strict=True)))
        if c.name in kinds
        else c
        for c in spec.columns
    )
    _, source, bad = read(spool, text, columns=columns)

    found = rows(source, "SELECT Id_No, Betrag, Am, Um, Aktiv, Text FROM Table")
    assert found[0] == (
        "1",
        "1234.50",
        "2025-12-31",
        "2025-12-31T08:30:00.000Z",
        "true",
        "  bleibt ",
    )
    assert found[1] == ("2", None, None, None, None, None)
    assert found[2][1:3] == ("kein Geld", "31.02.2026")
    assert [(one.line, one.column) for one in bad] == [(4, "Betrag"), (4, "Am")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_found(spool: RunSpool, encoding: str, delimiter: str) -> None:
    lines = [["Name", "Ort"], ["Müller", "Köln"], ['"a', "b"], ["x", "y"]]
    quoted = [delimiter.join(f'"{c.replace(chr(34), chr(34) * 2)}"' for c in row) for row in lines]

    _, source, _ = read(spool, "\r\n".join(quoted).encode(encoding))

    assert rows(source, "SELECT Name, Ort FROM Table") == [tuple(row) for row in lines[1:]]


def test_lines_that_are_no_rows_are_left_out_and_listed(spool: RunSpool) -> None:
    _, source, bad = read(spool, 'A,B\n1,2\n1,2,3\n"two\nlines",4\n\n5\n6,7,\n')

    assert rows(source, "SELECT A, B FROM Table") == [
        ("1", "2"),
        ("two\nlines", "4"),
        ("5", None),
        ("6", "7"),
    ]
    assert [(one.line, one.reason) for one in bad] == [(3, "has 3 cells where the header has 2")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"A,A\n1,2\n", "appears twice"),
        (b"A,\n1,2\n", "has no name"),
        (b"A,B\n\x00\x01\x02\x00,2\n", "no text file"),
    ],
)
def test_files_that_are_no_tables_get_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        guess_table(io.BytesIO(content), "x.csv", part=0)


def test_a_long_cell_is_taken_up_to_the_limit_and_said_beyond(spool: RunSpool) -> None:
    _, source, _ = read(spool, "A,B\n1," + "x" * 200_000 + "\n")
    assert [len(row[1] or "") for row in rows(source, "SELECT A, B FROM Table")] == [200_000]

    with pytest.raises(UserError, match="line 2 is no CSV: a cell is longer than 10,000,000"):
        read(spool, "A,B\n1," + "x" * (CELL_MAX + 1) + "\n")


@pytest.mark.parametrize(
    "piece", [b"x," * 500, b'"' + b"x" * 1_000 + b'\n",'], ids=["one line", "one row of many lines"]
)
def test_a_file_without_row_ends_is_refused_long_before_it_is_read(
    spool: RunSpool, piece: bytes
) -> None:
    """A small zip unpacks to gigabytes of it, and each cell would be an object in memory."""

    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # a narrower buffer type than typeshed's
            head = b"A,B\n" if not self.given else b""
            text = head + piece * ((len(buffer) - len(head)) // len(piece))
            buffer[: len(text)] = text
            self.given += len(text)
            return len(text)

    file = Endless()
    spec = guess_table(io.BytesIO(b"A,B\n1,2\n"), "x.csv", part=0).spec

    with pytest.raises(UserError, match="is no CSV: a row is longer than 20,000,000"):
        read_table(io.BufferedReader(file, 1_000_000), spec, spool, beat=lambda _: None)
    assert file.given < 2 * ROW_MAX


def test_pages_of_long_rows_hold_fewer(spool: RunSpool) -> None:
    """So that a page is never more than a worker can hold."""
    _, source, _ = read(spool, "A,B\n" + f"1,{'x' * 9_000_000}\n" * 5)

    assert len(rows(source, "SELECT A FROM Table")) == 5
    assert spool.read(page_name("rows/Table", 1)).height == 4


def test_a_quote_that_is_never_closed_swallows_no_lines(spool: RunSpool) -> None:
    """Quotes inside a cell and over several lines are none of that."""
    _, source, _ = read(spool, 'A,B\n1,"5"" wide"\n2,5" wide\n3,"two\nlines"\n')
    kept = rows(source, "SELECT A, B FROM Table")

    with pytest.raises(UserError, match="row of line 3 is never closed"):
        read(spool, 'A,B\n1,x\n2,"y\n3,z\n')
    assert kept == [("1", '5" wide'), ("2", '5" wide'), ("3", "two\nlines")]


def test_a_file_that_is_not_in_its_encoding_gets_a_sentence(spool: RunSpool) -> None:
    with pytest.raises(UserError, match="not readable as utf-8 from about line"):
        read(spool, b"A\nok\n\xff\xfe bad\n", encoding="utf-8")


def test_ids_are_well_formed_and_the_same_for_the_same_key() -> None:
    page = pl.DataFrame({"K": [" a", "b", "a ", None, None], "V": ["1", "2", "3", "4", "5"]})

    hashes, clash = repeated(key_hashes(page, ["K"]))
    ids = ids_of(hashes, "Account")

    assert all(is_id(one) for one in ids)
    assert ids.n_unique() == 5
    assert not clash.any()
    again = ids_of(link_hashes(pl.Series(["b"])), "Account")
    assert again[0] == ids[1]
    assert ids_of(link_hashes(pl.Series(["b"])), "Contact")[0] != ids[1]


def test_keys_that_fall_on_one_id_are_found_not_mixed_up() -> None:
    space = 8 * 62**9
    _, clash = repeated(np.array([5, 5 + space, 7], dtype=np.int64))

    assert clash.tolist() == [False, True, False]


SOQL = [
    ("Name = 'ACME'", ["1", "3"]),
    ("Name != 'acme'", ["2", "4"]),
    ("Name = null", ["4"]),
    ("Name != null AND Size > 9", ["2"]),
    ("NOT (Size >= 10 OR Size = null)", ["1", "3"]),
    ("Name LIKE 'ac%'", ["1", "3"]),
    ("Name LIKE '100\\% _'", []),
    ("Code IN ('1','4')", ["1", "4"]),
    ("Code NOT IN ('1','4')", ["2", "3"]),
    ("Since > 2026-01-01", ["2"]),
    ("Name = 'O\\'Neil' OR Code = '2'", ["2"]),
]


@pytest.mark.parametrize(("condition", "wanted"), SOQL)
def test_conditions_hold_as_in_an_org(spool: RunSpool, condition: str, wanted: list[str]) -> None:
    text = "Code,Name,Size,Since\n1,Acme,9,2026-01-01\n2,O'Neil,10,2026-02-01\n3,ACME,2,\n4,,,\n"
    columns = guess_table(io.BytesIO(text.encode()), "Table.csv", part=0).spec.columns
    typed = (columns[0].model_copy(update={"type": "string"}), *columns[1:])
    _, source, _ = read(spool, text, columns=typed)

    assert [row[0] for row in rows(source, f"SELECT Code FROM Table WHERE {condition}")] == wanted
    assert source.count(f"SELECT COUNT() FROM Table WHERE {condition}") == len(wanted)


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT Nope FROM Table",
        "SELECT A FROM Nope",
        "SELECT A FROM Table WHERE A = TODAY",
        "SELECT A FROM Table WHERE Nope = 1",
        "SELECT A FROM Table WHERE DAY_ONLY(A) = 2026-01-01",
        "SELECT A FROM Table; DROP TABLE x",
        "DELETE",
        "SELECT (SELECT Id FROM B) FROM Table",
    ],
)
def test_questions_that_files_cannot_answer_get_a_sentence(spool: RunSpool, soql: str) -> None:
    _, source, _ = read(spool, "A\n1\n")

    with pytest.raises(OrgbridgeError):
        rows(source, soql)


def test_groups_limits_ids_and_joins_are_answered(spool: RunSpool) -> None:
    spec, _, _ = read(spool, "Code,Kind\n1,a\n2,b\n3,a\n", key=("Code",))
    child, _, _ = read(spool, "Nr,Parent\nx,1\ny,9\nz,\n", "Child.csv")
    child = child.model_copy(update={"links": (Link(column="Parent", object="Table", by="Code"),)})
    both = source_of(spool, spec, child, pages={"Table": 1, "Child": 1})

    grouped = list(both.query("SELECT Kind, COUNT(Id) n FROM Table GROUP BY Kind LIMIT 9"))
    assert grouped == [{"Kind": "a", "n": 2}, {"Kind": "b", "n": 1}]
    assert list(
        both.query("SELECT Kind FROM Table GROUP BY Kind HAVING COUNT(Id) > 1 LIMIT 2")
    ) == [{"Kind": "a", "n": 2}]
    assert len(rows(both, "SELECT Id FROM Table LIMIT 2")) == 2
    ids = dict(rows(both, "SELECT Code, Id FROM Table"))
    assert rows(both, "SELECT Nr, Parent_record, Parent.Code FROM Child")[0] == ("x", ids["1"], "1")
    joined = "SELECT COUNT() FROM Child WHERE Parent_record IN (SELECT Id FROM Table)"
    assert both.count(joined) == 1
    assert both.count(f"SELECT COUNT() FROM Table WHERE Id IN ('{ids['1']}')") == 1
    assert both.describe("Child").fields["Parent_record"].reference_to == ("Table",)


def test_records_of_the_target_that_a_column_names_are_an_object_of_the_source(
    spool: RunSpool,
) -> None:
    spec, _, _ = read(spool, "Nr,Owner\n1,ann@x.example\n2,ann@x.example\n3,bo@x.example\n")
    spec = spec.model_copy(update={"links": (Link(column="Owner", object="User", by="Username"),)})
    source = source_of(spool, spec, pages={"Table": 1})

    named = dict(rows(source, "SELECT Username, Id FROM User"))
    assert sorted(named) == ["ann@x.example", "bo@x.example"]
    assert rows(source, "SELECT Owner_record FROM Table")[0] == (named["ann@x.example"],)


def zip_of(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in members.items():
            pack.writestr(name.replace("__", "."), content)
    return out.getvalue()


def kept(spool: RunSpool, content: bytes, name: str = "a.zip") -> tuple[KeptUpload, ...]:
    return (keep_upload(spool, 0, name, blocks=[content], room=archive.UPLOAD_BYTES_MAX),)


def encrypted_zip() -> bytes:
    content = bytearray(zip_of(a__csv=b"A\n1\n"))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(signature) + offset
        flags = struct.unpack_from("<H", content, at)[0]
        struct.pack_into("<H", content, at, flags | 1)
    return bytes(content)


def zip_of_headers(entries: int) -> bytes:
    """A zip that is nothing but a list of entries."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, *[0] * 8, 5, *[0] * 6) + b"a.csv"
    end = (b"PK\5\6", 0, 0, entries % 65_536, entries % 65_536, len(entry) * entries, 0, 0)
    return entry * entries + struct.pack("<4s4H2LH", *end)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zip_of(a__csv=b"0" * 40_000_000), "times its size"),
        (zip_of_headers(30_000), "no zip file"),
        (zip_of(**{f"f{n}__csv": b"A\n" for n in range(60)}), "holds 60 files"),
        (b"PK no zip", "no zip file"),
        (zip_of(), "holds no CSV"),
        (zip_of(a__exe=b"MZ"), "is no CSV file"),
        (zip_of(inner__zip=zip_of(a__csv=b"A\n")), "is no CSV file"),
        (encrypted_zip(), "protected by a password"),
    ],
)
def test_uploads_that_harm_are_refused_with_a_sentence(
    spool: RunSpool, content: bytes, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        parts_of(spool, kept(spool, content))


@pytest.mark.parametrize("cut", [5, 30, 70, 120])
def test_a_zip_is_read_wherever_its_pieces_end(
    spool: RunSpool, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """Within the list at its end, too."""
    content = zip_of(a__csv=b"A\n1\n", b__csv=b"B\n2\n")
    monkeypatch.setattr(archive, "PIECE_BYTES", len(content) - cut)

    found = parts_of(spool, uploads := kept(spool, content))

    assert [part.file_name for part in found] == ["a.csv", "b.csv"]
    with open_part(spool, uploads, found[1]) as file:
        assert file.read() == b"B\n2\n"


def test_an_upload_beyond_its_room_is_refused_while_it_arrives(spool: RunSpool) -> None:
    def blocks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1_000_000

    with pytest.raises(UserError, match="too large"):
        keep_upload(spool, 0, "a.csv", blocks=blocks(), room=5_000_000)


def test_litter_and_folders_of_a_zip_are_passed_over(spool: RunSpool) -> None:
    pack = zip_of(**{"__MACOSX/._a.csv": b"", "folder/b__csv": b"A\n1\n", ".hidden": b""})
    # the macro above turns two underscores into a dot; the litter's folder has them too
    uploads = kept(spool, pack.replace(b".MACOSX", b"_MACOSX"))

    parts = [part for part in parts_of(spool, uploads) if "MACOSX" not in (part.entry or "")]

    assert [part.file_name for part in parts] == ["b.csv"]
    with open_part(spool, uploads, parts[0]) as file:
        assert file.read() == b"A\n1\n"


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_sealed_file_reads_like_the_bytes_it_holds(data: st.DataObject) -> None:
    import tempfile

    content = data.draw(st.binary(min_size=1, max_size=300))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "PIECE_BYTES", 7)
        whole = open_spool(folder, _Plain())
        spool = whole.run(uuid4(), whole.new_wrapped_key())
        kept(spool, content, "a.csv")
        sealed: BinaryIO = io.BufferedReader(SealedFile(spool, 0, len(content)), 5)
        plain = io.BytesIO(content)
        for _ in range(8):
            at = data.draw(st.integers(0, len(content) + 3))
            size = data.draw(st.integers(0, 40))
            sealed.seek(at)
            plain.seek(at)
            assert sealed.read(size) == plain.read(size)


def test_names_are_made_of_headers() -> None:
    assert api_name("E-Mail", taken=["e_mail"]) == "E_Mail_2"
    assert api_name("Legacy_Id__c") == "Legacy_Id__c"
    assert api_name("名前") == "Column"
