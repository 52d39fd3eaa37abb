"""Expressions of analysts: one SQL scalar over the fields of a row, checked, then run by polars.

    text ─sqlglot─▶ tree ─allow-list─▶ casts taken out ─▶ polars expression per page
                                        └─ each CAST is a TRY_CAST; a null it makes fails the row

No subquery, table, file function, aggregate or window passes, so that a row's result depends on
nothing but the row. Fields have the types of the describe: numbers are decimals at the field's
scale, dates, times in UTC, booleans; all else is text. A cast inside COALESCE, NULLIF, IF or CASE
may make a null as long as the result is not null: there the analyst has said what happens instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl
import sqlglot
from sqlglot import exp

from core.domain.canonical import canonical, canonical_number, rounded
from core.domain.describe import Field, SObject
from core.errors import UserError

EXPRESSION_MAX = 4000
NODES_MAX = 400
DECIMAL_PRECISION = 38
DECIMAL_SCALE_MAX = 18

#: functions of one row that polars has under these names; nothing else passes
FUNCTIONS = frozenset(
    "ABS CEIL CEILING CONCAT CONCAT_WS DATE_PART ENDS_WITH EXP FLOOR GREATEST IF IFNULL INITCAP "
    "LEAST LEFT LENGTH LEN CHAR_LENGTH CHARACTER_LENGTH LN LOG LOG10 LOG2 LOWER LPAD LTRIM MOD "
    "NULLIF COALESCE OCTET_LENGTH POW POWER REGEXP_LIKE REPLACE REVERSE RIGHT ROUND RPAD RTRIM "
    "SIGN SPLIT_PART SQRT STARTS_WITH STRFTIME STRPOS SUBSTR SUBSTRING TRIM TRUNCATE TRUNC UPPER "
    "POSITION".split()
)

_NODES: tuple[type[exp.Expression], ...] = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
    exp.Neg,
    exp.Not,
    exp.And,
    exp.Or,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.Mod,
    exp.DPipe,
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Is,
    exp.In,
    exp.Between,
    exp.Like,
    exp.ILike,
    exp.Case,
    exp.If,
    exp.Cast,
    exp.TryCast,
    exp.DataType,
    exp.DataTypeParam,
    exp.Interval,
    exp.Var,
    exp.Extract,
)
#: sqlglot's own classes of the functions above, by the name they write
_CONDITIONAL = (exp.Coalesce, exp.Case, exp.If, exp.Nullif)

_CAST_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT"), "int"),
    **dict.fromkeys(("DECIMAL", "NUMERIC"), "decimal"),
    **dict.fromkeys(("DOUBLE", "FLOAT", "REAL"), "double"),
    **dict.fromkeys(("VARCHAR", "TEXT", "CHAR", "NVARCHAR", "STRING"), "text"),
    **dict.fromkeys(("BOOLEAN", "BOOL"), "boolean"),
    **dict.fromkeys(("DATE", "DATE32"), "date"),
    **dict.fromkeys(("TIMESTAMP", "DATETIME", "TIMESTAMPTZ", "TIMESTAMPNTZ"), "datetime"),
}


@dataclass(frozen=True, slots=True)
class _Cast:
    """One CAST taken out of an expression."""

    column: str
    argument: pl.Expr
    kind: str
    scale: int
    #: its null is the analyst's business if the whole result is not null
    is_conditional: bool


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression, ready to run over pages."""

    text: str
    #: fields and paths it reads, spelt as the describe spells them
    fields: tuple[str, ...]
    _casts: tuple[_Cast, ...]
    _result: pl.Expr
    _types: tuple[Field, ...]

    def run(
        self, page: pl.DataFrame, *, target: Field | None = None
    ) -> tuple[pl.Series, pl.Series]:
        """Result as canonical text, and per row whether it failed.

        Args:
            page: Utf8 columns named as `fields`.
            target: the field to be filled; numbers are rounded to its scale.
        Returns:
            (Utf8, Boolean), as long as the page.
        """
        try:
            return self._run(page, target)
        except pl.exceptions.PolarsError:
            # a row on which polars stops (a decimal that overflows): found by halving
            if page.height == 0:
                raise
            if page.height == 1:
                return pl.Series([None], dtype=pl.String), pl.Series([True])
            half = page.height // 2
            parts = [self.run(part, target=target) for part in (page[:half], page[half:])]
            return pl.concat([text for text, _ in parts]), pl.concat([bad for _, bad in parts])

    def _run(self, page: pl.DataFrame, target: Field | None) -> tuple[pl.Series, pl.Series]:
        typed = typed_frame(page, self._types)
        failed = pl.Series([False], dtype=pl.Boolean).new_from_index(0, page.height)
        soft = failed
        for cast in self._casts:
            value, lost = _run_cast(typed, cast)
            typed = typed.with_columns(value.alias(cast.column))
            if cast.is_conditional:
                soft = soft | lost
            else:
                failed = failed | lost
        result = typed.select(self._result.alias("result"))["result"]
        if result.len() != page.height:
            result = result.new_from_index(0, page.height)
        text, broken = as_text(result, target)
        return text, failed | broken | (soft & text.is_null())


def compile_expression(
    text: str, source: SObject, paths: Mapping[str, Field] | None = None
) -> Expression:
    """The expression over fields of `source`.

    Args:
        paths: fields behind dotted paths (``Account.Name``), by path.
    Raises:
        UserError: it is no expression, uses something that is not allowed, names a field that the
            object does not have, or its types do not fit together.
    """
    tree = _parse(text)
    _check(tree, text)
    fields = _name_columns(tree, source, paths or {})
    types = tuple(_renamed(field, name) for name, field in fields.items())
    casts, result = _take_out_casts(tree, types, text)
    expression = Expression(text, tuple(fields), casts, result, types)
    _try_on_nothing(expression)
    return expression


def check_shape(text: str) -> None:
    """Whether the text is one allowed expression, whatever fields it names.

    Raises:
        UserError: it is not.
    """
    _check(_parse(text), text)


def typed_frame(page: pl.DataFrame, fields: tuple[Field, ...]) -> pl.DataFrame:
    """The page's columns of these fields, typed as the describe says; keeps the height."""
    frame = page.select(typed(field, pl.col(field.name)).alias(field.name) for field in fields)
    return frame if fields else page.select(pl.lit(value=True).alias("\x00row")).head(page.height)


def typed(field: Field, values: pl.Expr) -> pl.Expr:
    """Wire text as a value of the field's type; what does not parse is null."""
    text = canonical(field, values)
    if field.type == "boolean":
        return pl.when(text == "true").then(True).when(text == "false").then(False)
    if field.type in ("int", "long"):
        return text.cast(pl.Int64, strict=False)
    if field.is_number:
        scale = min(field.scale, DECIMAL_SCALE_MAX)
        return text.cast(pl.Decimal(DECIMAL_PRECISION, scale), strict=False)
    if field.type == "date":
        return text.str.to_date("%Y-%m-%d", strict=False)
    if field.type == "datetime":
        # UTC without a zone, so that literals compare with it
        return text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", strict=False, time_unit="ms")
    return text


def as_text(values: pl.Series, target: Field | None) -> tuple[pl.Series, pl.Series]:
    """A typed result as canonical text, and per row whether it cannot be written down."""
    dtype = values.dtype
    broken = pl.Series([False], dtype=pl.Boolean).new_from_index(0, values.len())
    if dtype == pl.Boolean:
        return values.cast(pl.String), broken
    if dtype == pl.Date:
        return values.dt.strftime("%Y-%m-%d"), broken
    if isinstance(dtype, pl.Datetime):
        return values.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"), broken
    if dtype.is_float():
        broken = values.is_nan().fill_null(value=False) | values.is_infinite().fill_null(
            value=False
        )
        values = pl.Series(
            [
                None if bad else repr(v) if v is not None else None
                for v, bad in zip(values, broken, strict=True)
            ],
            dtype=pl.String,
        )
    if dtype.is_numeric():
        number = canonical_number(pl.col("v"))
        if target is not None and target.is_number:
            number = rounded(number, target.scale)
        return values.cast(pl.String).to_frame("v").select(number.alias("v"))["v"], broken
    text = values.cast(pl.String).to_frame("v")
    return text.select(pl.when(pl.col("v") != "").then(pl.col("v")).alias("v"))["v"], broken


def _parse(text: str) -> exp.Expression:
    if len(text) > EXPRESSION_MAX:
        raise UserError(f"The expression is longer than {EXPRESSION_MAX} characters.")
    try:
        trees = sqlglot.parse(f"SELECT {text}", read="postgres")
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else "nested too deeply"
        raise UserError(f"'{text[:80]}' is no SQL expression: {reason}") from error
    tree = trees[0] if len(trees) == 1 else None
    is_one = isinstance(tree, exp.Select) and len(tree.expressions) == 1
    if tree is None or not is_one or {k for k, v in tree.args.items() if v} != {"expressions"}:
        raise UserError(
            f"'{text[:80]}' is not one expression.",
            next_step="Write what comes after the = only, such as upper(Name).",
        )
    only: exp.Expression = tree.expressions[0]
    if isinstance(only, exp.Alias):
        raise UserError(f"'{text[:80]}' must not name its result with AS.")
    return only


def _check(tree: exp.Expression, text: str) -> None:
    nodes = list(tree.walk())
    if len(nodes) > NODES_MAX:
        raise UserError(f"The expression '{text[:80]}…' has more than {NODES_MAX} parts.")
    for node in nodes:
        if isinstance(node, exp.Func) and not isinstance(node, _NODES):
            _check_function(node)
        elif type(node) not in _NODES and not isinstance(node, exp.Func):
            raise _not_allowed(node.sql(dialect="postgres"))
        if isinstance(node, exp.Column) and (node.args.get("db") or node.args.get("catalog")):
            _path_of(node)
        if isinstance(node, exp.In) and node.args.get("query"):
            raise _not_allowed("a subquery")


def _check_function(node: exp.Func) -> None:
    name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
    written = node.sql(dialect="postgres").split("(")[0].strip().upper()
    if name.upper() not in FUNCTIONS and written not in FUNCTIONS:
        raise _not_allowed(f"{name.upper()}()")


def _not_allowed(what: str) -> UserError:
    return UserError(
        f"{what[:80]} is not allowed in an expression.",
        next_step="Expressions read the fields of one row, with functions of text, numbers, "
        "dates and conditions; no tables, files, totals or windows.",
    )


def _path_of(node: exp.Column) -> str:
    return ".".join(part.name for part in node.parts)


def _name_columns(
    tree: exp.Expression, source: SObject, paths: Mapping[str, Field]
) -> dict[str, Field]:
    """Replaces each column by one quoted name; the fields read, by that name."""
    by_path = {path.lower(): (path, field) for path, field in paths.items()}
    found: dict[str, Field] = {}
    for node in list(tree.find_all(exp.Column)):
        written = _path_of(node)
        if written.lower() in by_path:
            name, field = by_path[written.lower()]
        elif written in source.fields:
            field = source.fields[written]
            name = field.name
        else:
            raise UserError(
                f"{source.name} has no field '{written[:80]}', named in the expression.",
                next_step=source.advice(written),
                field=written,
            )
        found[name] = field
        for part in ("table", "db", "catalog"):
            node.set(part, None)
        node.set("this", exp.to_identifier(name, quoted=True))
    return found


def _renamed(field: Field, name: str) -> Field:
    return field if field.name == name else replace(field, name=name)


def _take_out_casts(
    tree: exp.Expression, types: tuple[Field, ...], text: str
) -> tuple[tuple[_Cast, ...], pl.Expr]:
    holder = exp.Paren(this=tree)
    casts: list[_Cast] = []
    nodes = list(holder.find_all(exp.Cast, exp.TryCast, bfs=False))
    for number, node in enumerate(sorted(nodes, key=lambda n: -n.depth)):
        column = f"\x00cast{number}"
        is_conditional = _is_conditional(node)
        kind, scale = _cast_type(node.to)
        casts.append(_Cast(column, _polars(node.this, text), kind, scale, is_conditional))
        node.replace(exp.column(exp.to_identifier(column, quoted=True)))
    return tuple(casts), _polars(holder.this, text)


def _is_conditional(node: exp.Expression) -> bool:
    parent = node.parent
    while parent is not None:
        if isinstance(parent, _CONDITIONAL):
            return True
        parent = parent.parent
    return False


def _cast_type(to: exp.DataType) -> tuple[str, int]:
    name = to.this.value if hasattr(to.this, "value") else str(to.this)
    kind = _CAST_TYPES.get(name.upper())
    if kind is None:
        raise _not_allowed(f"CAST to {name}")
    sizes = [int(part.name) for part in to.expressions if part.name.isdigit()]
    scale = sizes[1] if len(sizes) > 1 else 0 if sizes else 6
    return kind, min(scale, DECIMAL_SCALE_MAX)


def _polars(node: exp.Expression, text: str) -> pl.Expr:
    try:
        return pl.sql_expr(node.sql(dialect="postgres"))
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"The expression '{text[:80]}' cannot be run: {reason}") from error


def _run_cast(typed_page: pl.DataFrame, cast: _Cast) -> tuple[pl.Series, pl.Series]:
    given = typed_page.select(cast.argument.alias("v"))["v"]
    if given.len() != typed_page.height:
        given = given.new_from_index(0, typed_page.height)
    value = given.to_frame("v").select(_cast_expr(given.dtype, cast).alias("v"))["v"]
    is_given = given.is_not_null()
    if given.dtype == pl.String:
        is_given = is_given & (given.str.strip_chars() != "")
    return value, (is_given & value.is_null()).fill_null(value=False)


def _cast_expr(dtype: pl.DataType, cast: _Cast) -> pl.Expr:
    value = pl.col("v")
    is_text = dtype == pl.String
    text = value.str.strip_chars() if is_text else value
    if cast.kind == "date":
        return (
            text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
            if is_text
            else (value.cast(pl.Date, strict=False))
        )
    if cast.kind == "datetime":
        return _to_datetime(text) if is_text else value.cast(pl.Datetime("ms"), strict=False)
    if cast.kind == "boolean" and is_text:
        lowered = text.str.to_lowercase()
        yes, no = lowered.is_in(["true", "1", "yes"]), lowered.is_in(["false", "0", "no"])
        return pl.when(yes).then(True).when(no).then(False)
    if cast.kind == "text":
        return _text_of(dtype, value)
    if is_text:
        text = canonical_number(text)
    if cast.kind == "int":
        whole = text.cast(pl.Float64, strict=False) if not is_text else text
        return (whole.round(0) if not is_text else whole).cast(pl.Int64, strict=False)
    if cast.kind == "decimal":
        return text.cast(pl.Decimal(DECIMAL_PRECISION, cast.scale), strict=False)
    return text.cast(pl.Float64 if cast.kind == "double" else pl.Boolean, strict=False)


def _to_datetime(text: pl.Expr) -> pl.Expr:
    zoned = canonical(Field(name="v", type="datetime"), text)
    spaced = text.str.replace(" ", "T")
    return pl.coalesce(
        zoned.str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", strict=False, time_unit="ms"),
        spaced.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False, time_unit="ms"),
        spaced.str.to_datetime("%Y-%m-%d", strict=False, time_unit="ms"),
    )


def _text_of(dtype: pl.DataType, value: pl.Expr) -> pl.Expr:
    if dtype == pl.Date:
        return value.dt.strftime("%Y-%m-%d")
    if isinstance(dtype, pl.Datetime):
        return value.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    text = value.cast(pl.String)
    return canonical_number(text) if dtype.is_numeric() else text


def _try_on_nothing(expression: Expression) -> None:
    empty = pl.DataFrame({name: [] for name in expression.fields}, schema_overrides=None)
    page = empty.cast(pl.String) if expression.fields else pl.DataFrame({"\x00row": [""]})
    try:
        expression.run(page)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0][:200]
        raise UserError(
            f"The types in '{expression.text[:80]}' do not fit together: {reason}",
            next_step="Use CAST(… AS DATE), CAST(… AS DECIMAL(18,2)) or similar.",
        ) from error
