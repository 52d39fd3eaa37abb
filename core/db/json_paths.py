"""Changing one path inside a JSONB column by one atomic UPDATE, never by read, change, write.

PostgreSQL re-evaluates the expression on the newest version of the row once it has its lock, so
fifty writers of fifty paths lose nothing. Missing objects on the way are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Numeric, Text, cast, func, literal, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.errors import NotFoundError

JsonColumn = InstrumentedAttribute[Any]


def put_path(
    session: Session,
    column: JsonColumn,
    path: Sequence[str],
    *,
    value: Any,
    where: ColumnElement[bool],
) -> None:
    """Set the value at a path of the one row that `where` names.

    Raises:
        NotFoundError: no row matches.
    """
    document = _with_parents(column, path)
    changed = func.jsonb_set(document, _path(path), literal(value, JSONB(none_as_null=False)))
    _change(session, column, changed, where=where)


def add_to_path(
    session: Session,
    column: JsonColumn,
    path: Sequence[str],
    *,
    amount: int,
    where: ColumnElement[bool],
) -> None:
    """Add to the number at a path (0 when there is none) of the one row that `where` names.

    Raises:
        NotFoundError: no row matches.
    """
    document = _with_parents(column, path)
    present = cast(column.op("#>>")(_path(path)), Numeric)
    added = func.to_jsonb(func.coalesce(present, 0) + amount)
    _change(session, column, func.jsonb_set(document, _path(path), added), where=where)


def _change(
    session: Session,
    column: JsonColumn,
    changed: ColumnElement[Any],
    *,
    where: ColumnElement[bool],
) -> None:
    statement = (
        update(column.class_)
        .where(where)
        .values({column.key: changed})
        .execution_options(synchronize_session=False)
    )
    result = session.connection().execute(statement)
    if result.rowcount != 1:
        raise NotFoundError(f"The row of {column.class_.__tablename__} is gone.")


def _with_parents(column: JsonColumn, path: Sequence[str]) -> ColumnElement[Any]:
    """The document with an object at every step above the last."""
    document: ColumnElement[Any] = func.coalesce(column, literal({}, JSONB))
    for depth in range(1, len(path)):
        step = _path(path[:depth])
        present = func.coalesce(document.op("#>")(step), literal({}, JSONB))
        document = func.jsonb_set(document, step, present)
    return document


def _path(path: Sequence[str]) -> ColumnElement[Any]:
    return cast(list(path), ARRAY(Text))
