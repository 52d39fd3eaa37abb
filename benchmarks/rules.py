"""How many rows a second each kind of rule fills, and the row hash, on one core.

python -m benchmarks.rules [ROWS]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import polars as pl

from core.domain.csv import bulk_csv
from core.domain.describe import Field, Fields, SObject
from core.domain.hashing import row_hashes
from core.domain.plan import plan_from_document
from core.domain.rules import compile_mapping

PAGE_ROWS = 20_000
TEXTS = 10
_FIELDS = (
    Field("Id", "id"),
    Field("Name", "string"),
    Field("Amount", "currency", precision=18, scale=2),
    Field("CreatedDate", "datetime"),
    Field("Active", "boolean"),
    Field("Industry", "picklist"),
    Field("Email", "email"),
    *(Field(f"Text{number}", "string") for number in range(TEXTS)),
)
SOBJECT = SObject("Thing", Fields(_FIELDS))
_PLAIN: dict[str, Any] = {
    "Name": "Name",
    "Amount": "Amount",
    "CreatedDate": "CreatedDate",
    "Active": "Active",
    "Industry": {"from": "Industry", "values": {"Tech": "Technology"}},
    **{f"Text{number}": f"Text{number}" for number in range(TEXTS)},
}
RULES: dict[str, dict[str, Any]] = {
    "copy of a number": {"Amount": "Amount"},
    "copy of a date and time": {"CreatedDate": "CreatedDate"},
    "value map": {"Industry": {"from": "Industry", "values": {"Tech": "Technology"}}},
    "mask of e-mail": {"Email": {"from": "Email", "mask": "email"}},
    "expression over text": {"Name": {"expression": "upper(Name) || ' (moved)'"}},
    "expression over decimals": {"Amount": {"expression": "Amount * 2"}},
    "CAST in an expression": {"Name": {"expression": "CAST(Amount AS INT)"}},
    "15 fields of an ordinary mapping": _PLAIN,
}


def page(rows: int) -> pl.DataFrame:
    """Source rows as REST delivers them."""
    return pl.DataFrame(
        {
            "Id": [f"0010000{number:08d}" for number in range(rows)],
            "Name": [f"Name {number}" for number in range(rows)],
            "Amount": [f"{number}.50" for number in range(rows)],
            "CreatedDate": ["2011-07-07T22:37:00.000+0000"] * rows,
            "Active": ["true"] * rows,
            "Industry": ["Tech"] * rows,
            "Email": [f"user{number}@old.example" for number in range(rows)],
            **{f"Text{n}": [f"text {number}" for number in range(rows)] for n in range(TEXTS)},
        }
    )


def rows_a_second(rows: pl.DataFrame, act: Callable[[pl.DataFrame], object]) -> float:
    """Throughput of an act that takes pages."""
    began = time.perf_counter()
    for part in rows.iter_slices(PAGE_ROWS):
        act(part)
    return rows.height / (time.perf_counter() - began)


def main(rows: int) -> None:
    """Print a table of rows a second."""
    source = page(rows)
    lines = ["| act | rows/s |", "|---|---|"]
    for name, fields in RULES.items():
        document = {"orgbridge": 1, "name": "p", "source": "a", "target": "b"}
        plan = plan_from_document({**document, "objects": [{"source": "Thing", "fields": fields}]})
        compiled = compile_mapping(plan.objects[0], SOBJECT, SOBJECT, salt=b"salt")
        lines.append(f"| {name} | {rows_a_second(source, compiled.apply):,.0f} |")
    hashed = rows_a_second(source, lambda part: row_hashes(part, part.columns))
    written = rows_a_second(source, bulk_csv)
    lines += [
        f"| hash of 17 fields | {hashed:,.0f} |",
        f"| bulk file of 17 fields | {written:,.0f} |",
    ]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
