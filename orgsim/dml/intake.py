"""Takes a caller's text frame in: binds the header, parses, resolves parents' keys."""

from __future__ import annotations

import polars as pl

from orgsim.dml.binding import Binding, bind
from orgsim.dml.outcomes import SET_NULL, Refusal
from orgsim.dml.parse import parse_column
from orgsim.dml.staging import ROW, Staged
from orgsim.schema.model import Field
from orgsim.store.columns import quoted


def take_in(staged: Staged, frame: pl.DataFrame) -> None:
    """Fills ``staged`` from a text frame whose first column is ``@row``.

    Raises:
        UnknownFieldError: a column names no field that the caller may see.
    """
    visible = staged.save.schema.sobject(staged.sobject.name) or staged.sobject
    bindings = bind([one for one in frame.columns if one != ROW], visible, staged.save.schema)
    columns: dict[str, pl.Series] = {ROW: frame[ROW].cast(pl.UInt32)}
    rows = frame[ROW]
    for binding in bindings:
        if binding.field.type in ("address", "location") or binding.field.formula:
            _refuse_given(staged, rows, frame[binding.column], binding.field)
            continue
        values, given = _values(staged, rows, frame[binding.column], binding)
        _merge(columns, binding.field, values, given)
        staged.given.add(binding.field.name)
    staged.frame = pl.DataFrame(columns)


def _values(
    staged: Staged, rows: pl.Series, cells: pl.Series, binding: Binding
) -> tuple[pl.Series, pl.Series]:
    cells = cells.cast(pl.String)
    if binding.parent is None:
        parsed = parse_column(cells, binding.field)
    else:
        cells, lost = _parent_ids(staged, cells, binding)
        for at, refusal in lost:
            staged.refusals.add(rows[at], refusal)
        parsed = parse_column(cells, binding.field)
    for at, refusal in parsed.refused:
        staged.refusals.add(rows[at], refusal)
    return parsed.values, parsed.given


def _merge(
    columns: dict[str, pl.Series], field: Field, values: pl.Series, given: pl.Series
) -> None:
    """Two columns may fill one field (`Account.A__c` and `Account.B__c`): the later given cell
    wins."""
    mask = f"@given.{field.name}"
    if field.name in columns:
        earlier = columns.get(mask, pl.repeat(value=True, n=len(given), eager=True))
        both = pl.DataFrame({"new": values, "old": columns[field.name], "given": given})
        values = both.select(pl.when("given").then("new").otherwise("old")).to_series()
        given = given | earlier
    columns[field.name] = values.alias(field.name)
    columns.pop(mask, None)
    if not given.all():
        columns[mask] = given


def _parent_ids(
    staged: Staged, cells: pl.Series, binding: Binding
) -> tuple[pl.Series, list[tuple[int, Refusal]]]:
    """The parents' ids for a column of parent keys, and the cells whose parent is not found."""
    parent, key = binding.keyed_parent
    wanted = cells.filter(cells.is_not_null() & (cells != SET_NULL)).str.strip_chars().unique()
    found = _ids_by_key(staged, wanted, binding)
    lost = [
        (at, _not_found(text, key, parent.name, many=len(found.get(text.strip(), ())) > 1))
        for at, text in enumerate(cells.to_list())
        if text is not None and text not in (SET_NULL, "") and len(found.get(text.strip(), ())) != 1
    ]
    single = {text: ids[0] for text, ids in found.items() if len(ids) == 1}
    single[SET_NULL] = SET_NULL
    ids = cells.str.strip_chars().replace_strict(single, default=None, return_dtype=pl.String)
    return ids, lost


def _ids_by_key(staged: Staged, wanted: pl.Series, binding: Binding) -> dict[str, list[str]]:
    parent, key = binding.keyed_parent
    folded = not key.case_sensitive
    column = f"p.{quoted(key.name)}::VARCHAR"
    left, right = (f"lower({column})", "lower(w.v)") if folded else (column, "w.v")
    sql = (
        f"SELECT w.v, list(p.Id) AS ids FROM wanted w JOIN {quoted(parent.name)} p "
        f"ON {left} = {right} WHERE NOT p.IsDeleted GROUP BY w.v"
    )
    with staged.transaction.lent(wanted=pl.DataFrame({"v": wanted}, schema={"v": pl.String})):
        rows = staged.transaction.cursor.execute(sql).fetchall()
    return dict(rows)


def _not_found(text: str, key: Field, entity: str, *, many: bool) -> Refusal:
    if many:
        message = f"{key.name}: more than one record found for external id field: {text}"
        return Refusal("DUPLICATE_EXTERNAL_ID", message)
    return Refusal(
        "INVALID_FIELD",
        f"Foreign key external ID: {text} not found for field {key.name} in entity {entity}",
    )


def _refuse_given(staged: Staged, rows: pl.Series, cells: pl.Series, field: Field) -> None:
    present = rows.filter(cells.is_not_null()).to_list()
    staged.refusals.all(present, not_writeable([field.name]))


def not_writeable(names: list[str]) -> Refusal:
    """The refusal of fields that this caller may not write."""
    return Refusal(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        f"Unable to create/update fields: {', '.join(names)}. Please check the security settings "
        "of this field and verify that it is read/write for your profile or permission set.",
        tuple(names),
    )
