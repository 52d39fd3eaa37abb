"""Records of an org as CSV, page by page: an object, a query, or a filter.

For people the bytes carry a byte order mark and cells that a spreadsheet would run are guarded; for
machines they are exactly what the org holds. Memory is one page, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import polars as pl
from pydantic import model_validator

from core.domain.csv import people_csv
from core.domain.soql import checked_filter
from core.errors import UserError
from core.operations.protocol import Operation, OperationContext, Parameters, Report
from core.salesforce import queries
from core.salesforce.source import RowSource

#: rows in memory at a time
PAGE_ROWS = 20_000
#: these field types have no text of their own in a CSV
_NOT_EXPORTED = frozenset({"address", "location", "base64"})
_LIKE_THIS = "Write it like this: SELECT Id, Name FROM Account."


class ExportParameters(Parameters):
    """What to export."""

    #: name of a registered org, or of a set of files
    org: str
    #: an object, or a query of one's own
    sobject: str = ""
    soql: str = ""
    #: fields of the object; empty: all that hold text or numbers
    fields: tuple[str, ...] = ()
    where: str = ""
    #: deleted and archived rows too
    all_rows: bool = False
    #: guard cells against running in a spreadsheet, and mark the encoding
    for_people: bool = True

    @model_validator(mode="after")
    def _something_to_write(self) -> ExportParameters:
        if not (self.sobject.strip() or self.soql.strip()):
            raise ValueError("name an object or a query")
        return self


def carry(context: OperationContext, parameters: ExportParameters) -> Report:
    """Write them to a file that is kept to be fetched.

    Raises:
        UserError: no such field, or a filter that cannot be read. RefusedError: the org does not
            take the query.
    """
    org = context.org(parameters.org)
    soql = query(org.client, parameters)
    frames = pages(org.client, soql, all_rows=parameters.all_rows)
    name = f"{parameters.sobject.strip() or 'query'}-{context.clock():%Y%m%d-%H%M}.csv"
    written = context.keep_file(name, pieces(frames, for_people=parameters.for_people))
    result = {"org": org.name, "soql": soql, "file": asdict(written)}
    return Report(result, f"{written.rows:,} rows of {org.name} were written to {name}.")


def query(client: RowSource, parameters: ExportParameters) -> str:
    """The SOQL of an export.

    Raises:
        UserError: no such field, a filter that cannot be read, or a text that is no query.
    """
    if asked := parameters.soql.strip().removesuffix(";"):
        if asked.split(maxsplit=1)[0].lower() != "select":
            raise UserError(
                "A query begins with SELECT.", state="Nothing was read.", next_step=_LIKE_THIS
            )
        return asked
    described = client.describe(parameters.sobject.strip())
    given = parameters.fields
    unknown = [name for name in given if "." not in name and name not in described.fields]
    if unknown:
        raise UserError(
            f"{described.name} has no field {unknown[0]!r}.",
            next_step="Refresh the org's metadata, or name another field.",
        )
    names = given or tuple(
        field.name for field in described.fields.values() if field.type not in _NOT_EXPORTED
    )
    condition = ""
    if parameters.where.strip():
        condition = f" WHERE {checked_filter(parameters.where, sobject=described).text}"
    return f"SELECT {', '.join(names)} FROM {described.name}{condition}"  # noqa: S608 described names


def pages(client: RowSource, soql: str, *, all_rows: bool) -> Iterator[pl.DataFrame]:
    """The rows, one frame at least; the org is asked with the first."""
    frames = client.query_frames(soql, all_rows=all_rows, page_rows=PAGE_ROWS)
    first = next(frames, None)
    if first is None:
        first = pl.DataFrame(schema=dict.fromkeys(queries.frame_columns(soql), pl.String))
    yield first
    yield from frames


def pieces(frames: Iterator[pl.DataFrame], *, for_people: bool) -> Iterator[tuple[bytes, int]]:
    """The file, header first, and how many rows each piece has."""
    is_first = True
    for frame in frames:
        content = _csv(frame, for_people=for_people, bom=is_first)
        header = b"" if is_first else _csv(frame.clear(), for_people=for_people, bom=False)
        yield content[len(header) :], frame.height
        is_first = False


def _csv(frame: pl.DataFrame, *, for_people: bool, bom: bool) -> bytes:
    if for_people:
        return people_csv(frame, bom=bom)
    return frame.write_csv(line_terminator="\n").encode()


OPERATION = Operation(
    kind="export_records",
    title="CSV export",
    purpose="Write records of an org to a CSV file: an object, or a query.",
    parameters=ExportParameters,
    carry=carry,
    log_table="csv_data_log",
    keeps_file=True,
)
