"""Puts staged rows into the store: ids, auto-numbers, system fields, the INSERT or UPDATE."""

from __future__ import annotations

import re

import polars as pl

from orgsim.dml.checks import AUDIT_FIELDS
from orgsim.dml.staging import Staged
from orgsim.schema.model import Field
from orgsim.store.columns import quoted
from orgsim.store.ids import make_ids

_NUMBER = re.compile(r"\{(0+)\}")


def insert(staged: Staged) -> None:
    """Gives the rows ids, numbers and system fields, and stores them."""
    count = len(staged.frame)
    staged.transaction.touched.add(staged.sobject.name)
    prefix = staged.sobject.key_prefix or "000"
    first = staged.transaction.take(f"id:{prefix}", count, start=staged.save.first_number(prefix))
    made = make_ids(prefix, staged.save.facts.pod, first=first, count=count)
    staged.frame = staged.frame.with_columns(made, *_system(staged))
    _auto_numbers(staged, count)
    names = [one.name for one in staged.writing()]
    names += [one for one in ("IsDeleted",) if one not in names]
    listed = ", ".join(map(quoted, names))
    with staged.transaction.lent(staged=staged.frame.select(names)):
        staged.transaction.cursor.execute(
            f"INSERT INTO {quoted(staged.sobject.name)} ({listed}) SELECT {listed} FROM staged"
        )


def _system(staged: Staged) -> list[pl.Expr]:
    """System fields of new rows; audit fields that were given (and allowed) stay."""
    now = pl.lit(staged.save.stamp, dtype=pl.Datetime("us"))
    usual = {
        "CreatedDate": now, "CreatedById": pl.lit(staged.save.user_id),
        "LastModifiedDate": now, "LastModifiedById": pl.lit(staged.save.user_id),
    }  # fmt: skip
    made = [pl.lit(value=False).alias("IsDeleted"), now.alias("SystemModstamp")]
    for name, value in usual.items():
        given = name in staged.given and name in AUDIT_FIELDS
        follows = name == "LastModifiedDate" and "CreatedDate" in staged.given
        source = name if given else "CreatedDate" if follows else None
        made.append((pl.coalesce(pl.col(source), value) if source else value).alias(name))
    return made


def _auto_numbers(staged: Staged, count: int) -> None:
    for field in staged.sobject.stored_fields:
        if not field.auto_number:
            continue
        counter = f"number:{staged.sobject.name}.{field.name}"
        first = staged.transaction.take(counter, count, start=1)
        numbers = pl.Series(range(first, first + count))
        staged.frame = staged.frame.with_columns(_formatted(numbers, field).alias(field.name))


def _formatted(numbers: pl.Series, field: Field) -> pl.Series:
    shape = field.display_format or "{00000000}"
    found = _NUMBER.search(shape)
    if found is None:
        return shape + numbers.cast(pl.String)
    head, tail = shape[: found.start()], shape[found.end() :]
    return head + numbers.cast(pl.String).str.zfill(len(found[1])) + tail


def update(staged: Staged) -> None:
    """Stores the new values and stamps the rows as modified now by the running user."""
    staged.transaction.touched.add(staged.sobject.name)
    now = pl.lit(staged.save.stamp, dtype=pl.Datetime("us"))
    staged.frame = staged.frame.with_columns(
        now.alias("LastModifiedDate"), now.alias("SystemModstamp"),
        pl.lit(staged.save.user_id).alias("LastModifiedById"),
    )  # fmt: skip
    fixed = {"Id", "CreatedDate", "CreatedById", "IsDeleted"}
    names = [one.name for one in staged.writing() if one.name not in fixed]
    names = [name for name in names if _may_differ(staged, name)]
    assigned = ", ".join(f"{quoted(name)} = s.{quoted(name)}" for name in names)
    with staged.transaction.lent(staged=staged.frame.select("Id", *names)):
        staged.transaction.cursor.execute(
            f"UPDATE {quoted(staged.sobject.name)} AS t SET {assigned} FROM staged s "
            "WHERE t.Id = s.Id"
        )


def _may_differ(staged: Staged, name: str) -> bool:
    old = f"@old.{name}"
    if name == "SystemModstamp":
        return True
    return old not in staged.frame.columns or not staged.frame[name].equals(
        staged.frame[old], check_names=False
    )
