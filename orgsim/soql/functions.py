"""Functions of SELECT, WHERE, GROUP BY, HAVING and ORDER BY as SQL.

Date functions read the UTC clock, for every user of a practice org lives in the time zone GMT.
Source: SOQL and SOSL Reference, "Aggregate Functions", "Date Functions", "Translating Results".
"""

from __future__ import annotations

from collections.abc import Callable

from orgsim.schema.model import Field
from orgsim.soql import ast, sql
from orgsim.soql.conditions import Operand
from orgsim.soql.errors import QueryError, at
from orgsim.soql.synthetic import field_of

AGGREGATES = frozenset({"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"})
ROLLUPS = frozenset({"ROLLUP", "CUBE"})

_DATE_PARTS = {
    "CALENDAR_MONTH": "month({})", "CALENDAR_QUARTER": "quarter({})", "CALENDAR_YEAR": "year({})",
    "FISCAL_MONTH": "month({})", "FISCAL_QUARTER": "quarter({})", "FISCAL_YEAR": "year({})",
    "DAY_IN_MONTH": "day({})", "DAY_IN_WEEK": "(dayofweek({}) + 1)", "DAY_IN_YEAR": "dayofyear({})",
    "HOUR_IN_DAY": "hour({})", "WEEK_IN_MONTH": "((day({}) - 1) // 7 + 1)",
    "WEEK_IN_YEAR": "((dayofyear({}) - 1) // 7 + 1)",
}  # fmt: skip
_DATES = {"date", "datetime"}
_NUMBERS = {"int", "long", "double", "currency", "percent"}
_LABELLED = {"picklist", "multipicklist", "combobox", "string"}
_UNCHANGED = {"CONVERTTIMEZONE", "CONVERTCURRENCY"}


def is_aggregate(node: object) -> bool:
    """Return whether ``node`` is an aggregate function."""
    return isinstance(node, ast.Function) and node.name.upper() in AGGREGATES


def function_operand(
    text: str, node: ast.Function, resolve: Callable[[ast.FieldPath | ast.Function], Operand]
) -> Operand:
    """Return the SQL of a function call.

    Raises:
        QueryError: MALFORMED_QUERY for a function that SOQL or this org does not know.
    """
    name = node.name.upper()
    if len(node.arguments) != 1:
        raise at(
            text, node.position, code="MALFORMED_QUERY", sentence=f"unexpected token: '{node.name}'"
        )
    if is_aggregate(node.arguments[0]):
        sentence = "aggregate functions cannot be nested"
        raise at(text, node.position, code="MALFORMED_QUERY", sentence=sentence)
    inner = resolve(node.arguments[0])
    if name in AGGREGATES:
        return _aggregate(text, node, inner)
    if name in _DATE_PARTS:
        _require(text, node, inner, types=_DATES)
        return Operand(_DATE_PARTS[name].format(inner.sql), _result("int", node), inner.names)
    if name == "DAY_ONLY":
        _require(text, node, inner, types={"datetime"})
        return Operand(f"cast({inner.sql} AS DATE)", _result("date", node), inner.names)
    if name in _UNCHANGED:
        return inner
    if name == "TOLABEL":
        _require(text, node, inner, types=_LABELLED)
        return Operand(_label(inner), _result("string", node), inner.names)
    if name == "FORMAT":
        return Operand(f"cast({inner.sql} AS VARCHAR)", _result("string", node), inner.names)
    if name == "GROUPING":
        return Operand(f"grouping({inner.sql})", _result("int", node), inner.names)
    raise at(text, node.position, code="MALFORMED_QUERY", sentence=f"Unknown function: {node.name}")


def _aggregate(text: str, node: ast.Function, inner: Operand) -> Operand:
    name = node.name.upper()
    field = inner.field
    if not field.aggregatable and name != "COUNT":
        sentence = f"field {field.name} does not support aggregate operator {name}"
        raise at(text, node.position, code="MALFORMED_QUERY", sentence=sentence)
    if name == "COUNT":
        return Operand(f"count({inner.sql})", _result("int", node), inner.names)
    if name == "COUNT_DISTINCT":
        return Operand(f"count(DISTINCT {inner.sql})", _result("int", node), inner.names)
    if name in {"SUM", "AVG"}:
        if field.type not in _NUMBERS:
            sentence = f"field {field.name} does not support aggregate operator {name}"
            raise at(text, node.position, code="MALFORMED_QUERY", sentence=sentence)
        return Operand(f"{name.lower()}({inner.sql})", _result("double", node), inner.names)
    return Operand(f"{name.lower()}({inner.sql})", field, inner.names)


def _label(inner: Operand) -> str:
    branches = " ".join(
        f"WHEN {sql.text(value.value)} THEN {sql.text(value.label)}"
        for value in inner.field.picklist_values
    )
    return f"(CASE {inner.sql} {branches} ELSE {inner.sql} END)" if branches else inner.sql


def _require(text: str, node: ast.Function, inner: Operand, *, types: set[str]) -> None:
    if inner.field.type not in types:
        sentence = f"field '{inner.field.name}' does not support function {node.name}"
        raise at(text, node.position, code="MALFORMED_QUERY", sentence=sentence)


def _result(kind: str, node: ast.Function) -> Field:
    return field_of(node.name, kind)


def unsupported(text: str, position: int, what: str) -> QueryError:
    """Return the refusal of something that Salesforce knows and this org does not."""
    return at(
        text,
        position,
        code="MALFORMED_QUERY",
        sentence=f"{what} is not supported by this practice org",
    )
