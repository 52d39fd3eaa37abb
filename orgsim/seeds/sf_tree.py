"""Reads the tree files of ``sf data import tree``: a plan with its files, or one file.

Source: Salesforce CLI reference, "data import tree"; children nested under relationship names as
well as ``@reference`` values are read.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from orgsim.seeds.tables import PARENT, REF, DataSetError, Row, Table


def tree_tables(path: Path) -> Iterator[Table]:
    """Yield the tables of a plan or of one tree file, in the order of the files.

    Raises:
        DataSetError: The file is neither.
    """
    document = _json(path)
    numbers = count(1)
    if isinstance(document, list):
        for step in document:
            for name in step["files"]:
                yield from _tables(_json(path.parent / _file_name(name)), numbers)
    else:
        yield from _tables(document, numbers)


def _tables(document: Any, numbers: Iterator[int]) -> Iterator[Table]:
    if not isinstance(document, Mapping) or not isinstance(document.get("records"), list):
        raise DataSetError('a tree file holds {"records": […]}')
    found: dict[str, list[Row]] = defaultdict(list)
    for record in document["records"]:
        _collect(record, None, found=found, numbers=numbers)
    for sobject, rows in found.items():
        yield Table(sobject, tuple(rows))


def _collect(
    record: Mapping[str, Any],
    parent: tuple[str, str, str] | None,
    *,
    found: dict[str, list[Row]],
    numbers: Iterator[int],
) -> None:
    """Put one record and those nested under it into ``found``.

    ``parent`` is the parent's sobject, its reference and the relationship name that led here.
    """
    attributes = record.get("attributes") or {}
    sobject = str(attributes.get("type"))
    reference = str(attributes.get("referenceId") or f"{sobject}#{next(numbers)}")
    row: Row = {REF: reference}
    if parent is not None:
        row[PARENT] = "|".join(parent)
    found[sobject].append(row)
    for name, value in record.items():
        if name == "attributes":
            continue
        if isinstance(value, Mapping) and "records" in value:
            for child in value["records"]:
                _collect(child, (sobject, reference, name), found=found, numbers=numbers)
        else:
            row[name] = value


def _file_name(entry: Any) -> str:
    return str(entry["file"] if isinstance(entry, Mapping) else entry)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DataSetError(f"{path.name}: {problem}") from problem
