"""A file set as the engine reads it: describes, queries and counts, answered from its pages.

The same questions as to an org, by the same names (`core.salesforce.source.RowSource`); a query may
have a condition, a grouping by columns with a count, an order and a limit. A column that links to
another table, or to records of the target, is described as a lookup beside the column itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from core.domain.describe import Field, Fields, SObject
from core.errors import OrgbridgeError, RefusedError, UserError
from core.files.conditions import condition_expr
from core.files.row_ids import ids_of, link_hashes
from core.files.tables import Column, Link, TableSpec
from core.salesforce.describes import Known, SObjectSummary
from core.salesforce.identity import Environment, OrgIdentity, UserPermissions
from core.salesforce.usage import ApiUsage
from core.spool import RunSpool, page_name

#: what a source that is no org calls its kind
ORGANIZATION_TYPE = "Files"
_LENGTHS = {"string": 255, "textarea": 131_072}
_QUERY = re.compile(
    r"\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<object>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+GROUP\s+BY\s+(?P<groups>.+?))?(?:\s+HAVING\s+COUNT\(Id\)\s*>\s*(?P<above>\d+))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>.+?))?(?:\s+LIMIT\s+(?P<limit>\d+))?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Query:
    """The parts of a query."""

    fields: tuple[str, ...]
    sobject: str
    where: str | None
    groups: tuple[str, ...]
    above: int
    order: str | None
    limit: int | None


class FileSource:
    """The tables of one file set. Thread-safe: nothing in it changes."""

    def __init__(
        self,
        spool: RunSpool,
        tables: Sequence[TableSpec],
        *,
        pages: Mapping[str, int],
        name: str,
        organization_id: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._spool = spool
        self._tables = {table.object.lower(): table for table in tables}
        self._pages = {name.lower(): number for name, number in pages.items()}
        self._linked = _linked_objects(tables)
        self._described = {
            **{name: _linked_object(name, by) for name, by in self._linked.items()},
            **{key: _described(table, self._tables) for key, table in self._tables.items()},
        }
        self._name = name
        self._organization_id = organization_id
        self._clock = clock

    def __repr__(self) -> str:
        return f"FileSource({self._name!r})"

    @property
    def identity(self) -> OrgIdentity:
        """Who the engine takes this for; later deliveries of a series have the same id."""
        return OrgIdentity(
            organization_id=self._organization_id,
            name=self._name,
            organization_type=ORGANIZATION_TYPE,
            is_sandbox=False,
            is_practice=False,
            environment=Environment.FILES,
            user_id="",
            username="",
            instance_url="",
            api_version="",
        )

    @property
    def usage(self) -> ApiUsage:
        """Files cost no calls."""
        return ApiUsage(0, None, None)

    def server_time(self) -> datetime:
        """Now: files have no clock of their own."""
        return self._clock()

    def user_permissions(self) -> UserPermissions:
        """Whoever reads a file sees all of it."""
        return UserPermissions(view_all_data=True, view_encrypted_data=True, query_all_files=True)

    def describe_global(self, *, refresh: bool = False) -> tuple[SObjectSummary, ...]:
        """The tables of the set."""
        return tuple(
            SObjectSummary(
                name=table.object,
                label=table.file_name,
                key_prefix=None,
                custom=False,
                custom_setting=False,
                createable=False,
                updateable=False,
                deletable=False,
                queryable=True,
                replicateable=False,
                deprecated_and_hidden=False,
            )
            for table in self._tables.values()
        )

    def describe(self, sobject: str, *, refresh: bool = False) -> SObject:
        """One table as an object.

        Raises:
            RefusedError: the set has no such table.
        """
        found = self._described.get(sobject.lower())
        if found is None:
            raise RefusedError(
                f"The files {self._name} hold no table {sobject[:80]}.",
                next_step=f"They hold {', '.join(t.object for t in self._tables.values())}.",
            )
        return found

    def describe_known(self, sobject: str) -> Known:
        """As `describe`: files are always there."""
        return Known(sobject=self.describe(sobject))

    def describe_many(self, names: Sequence[str], *, refresh: bool = False) -> Iterator[SObject]:
        """The tables of these names that the set has."""
        for name in names:
            if name.lower() in self._described:
                yield self._described[name.lower()]

    def query(self, soql: str, *, all_rows: bool = False) -> Iterator[dict[str, Any]]:
        """Rows as values; for small sets."""
        asked = _parsed(soql)
        if asked.groups:
            yield from self._grouped(asked)
            return
        for frame in self._frames(asked):
            yield from frame.iter_rows(named=True)

    def count(self, soql: str) -> int:
        """The number that a ``SELECT COUNT() FROM …`` gives."""
        asked = _parsed(soql)
        return sum(page.height for page in self._filtered(asked))

    def counts(self, soqls: Sequence[str], *, all_rows: bool = False) -> list[int | OrgbridgeError]:
        """Many counts; an error stands where one cannot be answered."""
        found: list[int | OrgbridgeError] = []
        for soql in soqls:
            try:
                found.append(self.count(soql))
            except OrgbridgeError as refused:
                found.append(refused)
        return found

    def query_frames(
        self,
        soql: str,
        *,
        all_rows: bool = False,
        page_rows: int = 50_000,
        api: str = "auto",
        beat: Callable[[], None] | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Rows as frames of text, a page of the files each; none for no rows."""
        asked = _parsed(soql)
        if asked.groups:
            rows = list(self._grouped(asked))
            if rows:
                yield pl.DataFrame(rows).cast(pl.String)
            return
        yield from self._frames(asked)

    def retrieve(
        self, sobject: str, ids: Sequence[str], fields: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """Rows by id; those that are not there are left out."""
        asked = _Query(("Id", *fields), sobject, None, (), 0, None, None)
        wanted = pl.Series([one[:15] for one in ids], dtype=pl.String)
        found: dict[str, dict[str, Any]] = {}
        for page in self._filtered(asked):
            kept = page.filter(pl.col("Id").str.slice(0, 15).is_in(wanted.implode()))
            for row in self._selected(kept, asked).iter_rows(named=True):
                found[row["Id"]] = row
        return found

    def _frames(self, asked: _Query) -> Iterator[pl.DataFrame]:
        left = asked.limit
        for page in self._ordered(asked):
            part = page if left is None else page.head(left)
            left = None if left is None else left - part.height
            if part.height:
                yield self._selected(part, asked)
            if left == 0:
                return

    def _ordered(self, asked: _Query) -> Iterator[pl.DataFrame]:
        """Pages as they come, or all rows in one when an order is asked for."""
        if asked.order is None or asked.order.strip().lower() == "id":
            yield from self._filtered(asked)
            return
        pages = list(self._filtered(asked))
        if not pages:
            return
        words = asked.order.split()
        field = self._field(asked.sobject, words[0])
        yield pl.concat(pages).sort(field.name, descending="desc" in map(str.lower, words))

    def _filtered(self, asked: _Query) -> Iterator[pl.DataFrame]:
        sobject = self.describe(asked.sobject)
        holds = None
        if asked.where is not None:
            holds = condition_expr(asked.where, sobject, inner=self._inner_ids)
        for page in self._object_pages(sobject.name.lower()):
            yield page if holds is None else page.filter(holds)

    def _object_pages(self, key: str) -> Iterator[pl.DataFrame]:
        if key in self._linked and key not in self._tables:
            yield self._linked_rows(key)
            return
        table = self._tables[key]
        for number in range(1, self._pages.get(key, 0) + 1):
            rows = self._spool.read(page_name(f"rows/{table.object}", number))
            ids = self._spool.read(page_name(f"ids/{table.object}", number))
            page = rows.hstack(ids).filter(pl.col("Id").is_not_null())
            yield page.with_columns(
                _links_to(page.get_column(self._column(table, link.column)), link)
                for link in table.links
            )

    def _linked_rows(self, key: str) -> pl.DataFrame:
        """Every value by which tables name records of this object; its id is made of it."""
        object_name = self._described[key].name
        frames = []
        for by in self._linked[key]:
            for table in self._tables.values():
                columns = [
                    self._column(table, link.column)
                    for link in table.links
                    if link.object.lower() == key and link.by.lower() == by.lower()
                ]
                for number in range(1, self._pages.get(table.object.lower(), 0) + 1):
                    page = self._spool.read(page_name(f"rows/{table.object}", number), columns)
                    values = [page.get_column(name).alias(by) for name in columns]
                    trimmed = pl.concat(values).str.strip_chars().drop_nulls().unique()
                    frames.append(trimmed.to_frame())
        found = pl.concat(frames, how="diagonal").unique(maintain_order=True)
        names = self._linked[key]
        value = found.select(pl.coalesce(names).alias("value")).to_series()
        return found.with_columns(ids_of(link_hashes(value), object_name))

    def _selected(self, page: pl.DataFrame, asked: _Query) -> pl.DataFrame:
        columns = []
        for path in asked.fields:
            columns.append(pl.col(self._path(asked.sobject, path)).alias(path))
        return page.select(columns)

    def _path(self, sobject: str, path: str) -> str:
        """The column of a path; a path through a link is the value by which it links."""
        if "." not in path:
            return self._field(sobject, path).name
        relation, _, name = path.partition(".")
        table = self._tables.get(sobject.lower())
        for link in table.links if table else ():
            if link.column.lower() == relation.lower() and link.by.lower() == name.lower():
                return self._column(table, link.column) if table else path
        raise _no_field(sobject, path)

    def _field(self, sobject: str, name: str) -> Field:
        described = self.describe(sobject)
        if name not in described.fields:
            raise _no_field(sobject, name)
        return described.fields[name]

    def _column(self, table: TableSpec, name: str) -> str:
        found = table.column(name)
        if found is None:
            raise _no_field(table.object, name)
        return found.name

    def _inner_ids(self, soql: str) -> pl.Series:
        frames = list(self.query_frames(soql))
        if not frames:
            return pl.Series([], dtype=pl.String)
        return pl.concat(frames).to_series()

    def _grouped(self, asked: _Query) -> Iterator[dict[str, Any]]:
        """Values of the grouped columns with ``n``, the most frequent first."""
        names = [self._path(asked.sobject, path) for path in asked.groups]
        counted: Counter[tuple[Any, ...]] = Counter()
        for page in self._filtered(asked):
            for row in page.group_by(names).len().iter_rows():
                counted[row[:-1]] += row[-1]
        kept = [item for item in counted.most_common() if item[1] > asked.above]
        for values, number in kept[: asked.limit]:
            yield {**dict(zip(asked.groups, values, strict=True)), "n": number}


def _parsed(soql: str) -> _Query:
    """The parts of a query; keywords inside quotes and parentheses are no keywords."""
    found = _QUERY.match(_masked(soql))
    odd = found is not None and re.search(r"(?<!COUNT)\(", found["fields"], re.IGNORECASE)
    if found is None or odd:
        raise UserError(
            "Files answer only plain queries: SELECT fields FROM table WHERE condition LIMIT n.",
            next_step="Leave out functions, subqueries and further clauses.",
        )

    def part(name: str) -> str | None:
        begin, end = found.span(name)
        return None if begin < 0 else soql[begin:end]

    fields = [word.strip() for word in (part("fields") or "").split(",")]
    groups = [word.strip() for word in (part("groups") or "").split(",") if word.strip()]
    plain = [word for word in fields if "(" not in word]
    return _Query(
        tuple(plain),
        part("object") or "",
        part("where"),
        tuple(groups),
        int(part("above") or 0),
        part("order"),
        int(found["limit"]) if found["limit"] else None,
    )


def _masked(soql: str) -> str:
    """The query with what is quoted or in parentheses blotted out, in the same places."""
    out, depth = [], 0
    for piece in re.findall(r"'(?:[^'\\]|\\.)*'|.", soql, flags=re.DOTALL):
        if piece[0] == "'":
            out.append("x" * len(piece))
            continue
        # COUNT() and COUNT(Id) keep their shape for the pattern
        is_count = "".join(out[-5:]).upper() == "COUNT" and piece == "("
        depth += piece == "(" and not is_count
        out.append(piece if not depth or piece in "()" else "x")
        depth -= piece == ")" and depth > 0
    return "".join(out)


def _links_to(values: pl.Series, link: Link) -> pl.Series:
    """The lookup that a linking column stands for: the id of the row it names, null for blank."""
    trimmed = values.str.strip_chars()
    ids = ids_of(link_hashes(trimmed), link.object)
    filled = trimmed.is_not_null() & (trimmed != "")
    frame = pl.DataFrame({"id": ids, "filled": filled})
    return frame.select(pl.when("filled").then("id").alias(link.field)).to_series()


def _linked_objects(tables: Sequence[TableSpec]) -> dict[str, list[str]]:
    """Objects outside the set that columns link to, with the fields by which."""
    inside = {table.object.lower() for table in tables}
    found: dict[str, list[str]] = {}
    for table in tables:
        for link in table.links:
            known = found.setdefault(link.object.lower(), [])
            if link.object.lower() not in inside and link.by not in known:
                known.append(link.by)
    return {name: fields for name, fields in found.items() if fields}


def _linked_object(name: str, by: Sequence[str]) -> SObject:
    fields = [_ID, *(Field(name=one, type="string", label=one, length=255) for one in by)]
    return SObject(name=name, fields=Fields(tuple(fields)), label=name)


_ID = Field(name="Id", type="id", label="Row", length=18, nillable=False)


def _described(table: TableSpec, tables: Mapping[str, TableSpec]) -> SObject:
    key = {name.lower() for name in table.key}
    fields = [_ID]
    for column in table.columns:
        fields.append(_field_of(column, is_key=column.name.lower() in key))
    for link in table.links:
        parent = tables.get(link.object.lower())
        fields.append(
            Field(
                name=link.field,
                type="reference",
                label=f"{link.column} (record)",
                length=18,
                reference_to=(parent.object if parent else link.object,),
                relationship_name=link.column,
            )
        )
    return SObject(
        name=table.object, fields=Fields(tuple(fields)), label=table.file_name, createable=False
    )


def _field_of(column: Column, *, is_key: bool) -> Field:
    number = column.type in ("int", "double")
    return Field(
        name=column.name,
        type=column.type,
        label=column.label,
        length=0 if number else max(_LENGTHS.get(column.type, 0), column.length),
        precision=18 if column.type == "double" else 0,
        scale=8 if column.type == "double" else 0,
        digits=9 if column.type == "int" else 0,
        unique=is_key,
        name_field=column.name.lower() == "name",
    )


def _no_field(sobject: str, name: str) -> RefusedError:
    return RefusedError(
        f"The table {sobject[:80]} has no column {name[:80]!r}.",
        next_step="Look at its columns on the page CSV import.",
    )
