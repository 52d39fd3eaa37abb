"""The columns by which a mapping's rows are recognised, of all its rows at once: as numbers, since
as texts they take 100 bytes a row.

    pages ─▶ `gathered` ─▶ #code · #own … · key · blank     17 to 33 bytes a row
                           └─ texts: of natural keys, and of few rows all
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from core.migration.adopt import row_paths
from core.migration.columns import joined
from core.migration.held import KEYS_BY_VALUE
from core.migration.idmap import IdCodes
from core.migration.keys import KEY_VALUE, key_columns
from core.migration.spec import ID, Step

#: the row's id as a number
CODE = "#code"
#: before the path of a lookup to rows of the same mapping: its ids as numbers
OWN = "#own "


def narrow_columns(step: Step) -> list[str]:
    """Columns of the source by which a mapping's rows are recognised."""
    wanted = [ID, *step.mapping.key.source, *(k.source for k in step.lookups if k.own)]
    if step.mapping.key.value is not None:
        wanted.append(KEY_VALUE)
    wanted.extend(row_paths(step.target, step.source))
    return list(dict.fromkeys(wanted))


def gathered(step: Step, pages: Iterable[pl.DataFrame], ids: IdCodes) -> pl.DataFrame:
    """All rows of these pages, narrowed: `CODE`, `OWN` … (Int64), and unless links alone tell rows,
    ``key`` (UInt64) and ``blank``. Texts of natural keys stay; those of keys where rows are few.

    Args:
        pages: with `narrow_columns`.
    """
    columns = narrow_columns(step)
    whole = pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    parts = [_narrowed(step, whole, ids)]
    for page in pages:
        parts.append(_narrowed(step, page, ids))
        if whole.height <= KEYS_BY_VALUE:
            whole = pl.concat([whole, page.select(columns)])
    rows = joined(parts)
    if rows.height <= KEYS_BY_VALUE:
        rows = rows.hstack(whole.drop(rows.columns, strict=False))
    return rows


def _narrowed(step: Step, page: pl.DataFrame, ids: IdCodes) -> pl.DataFrame:
    own = {OWN + k.source: ids.encode(page.get_column(k.source)) for k in step.lookups if k.own}
    made = pl.DataFrame({CODE: ids.encode(page.get_column(ID)), **own})
    if not step.mapping.key.is_ledger:
        made = made.hstack(page.select(key_columns(step, side="source")))
    return made.hstack(page.select(row_paths(step.target, step.source)))
