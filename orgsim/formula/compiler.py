"""From a formula's tree to one DuckDB expression over the row after and the row before a save.

The expression speaks of two row aliases that the save provides: ``n``, the row as it will be, with
the boolean column ``@isnew``, and ``o``, the row as it was (all null on insert). Parents are scalar
subqueries on the store's tables. The session variables ``sim_now`` and ``sim_user`` carry the clock
and the running user.
"""

from __future__ import annotations

from dataclasses import dataclass

from orgsim.formula import ast
from orgsim.formula.errors import FormulaError
from orgsim.formula.functions import FUNCTIONS, Function, is_blank
from orgsim.formula.parser import parse
from orgsim.formula.values import Value, ValueType
from orgsim.schema.model import Field, Schema, SObject

#: Steps from the record to a parent's field. Source: Help, "Building Cross-Object Formulas" (10 in
#: an org).
PARENT_STEPS_MAX = 10

#: Formulas that may stand inside each other before they are taken for a circle.
FORMULA_DEPTH_MAX = 8
#: The alias of the row after a save.
SAVED_ROW = "n"

_TYPES = {
    "boolean": ValueType.BOOLEAN, "int": ValueType.NUMBER, "long": ValueType.NUMBER,
    "double": ValueType.NUMBER, "currency": ValueType.NUMBER, "percent": ValueType.NUMBER,
    "date": ValueType.DATE, "datetime": ValueType.DATETIME, "time": ValueType.TIME,
    "picklist": ValueType.PICKLIST, "multipicklist": ValueType.MULTIPICKLIST,
}  # fmt: skip
_ONLY_BLANK = {"address", "location", "base64", "anyType"}
_COMPARABLE = {
    ValueType.DATE: {ValueType.DATE},
    ValueType.DATETIME: {ValueType.DATETIME},
    ValueType.NUMBER: {ValueType.NUMBER},
    ValueType.TEXT: {ValueType.TEXT},
    ValueType.BOOLEAN: {ValueType.BOOLEAN},
    ValueType.TIME: {ValueType.TIME},
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """One formula, ready to run.

    Attributes:
        sql: A DuckDB scalar expression over the aliases ``n`` and ``o``.
        type: What it yields; a condition never yields null.
        fields: Fields of the record itself that it reads, in the schema's spelling.
    """

    sql: str
    type: ValueType
    fields: frozenset[str]


def compile_formula(
    text: str, *, sobject: SObject, schema: Schema, row: str = "n", blank_as_zero: bool = False
) -> Compiled:
    """Return the SQL of one formula on ``sobject``.

    Args:
        text: The formula.
        sobject: The sobject whose record it speaks of.
        schema: The org's metadata, for parents.
        row: The SQL alias of the record; functions that look back at a save need ``n``.
        blank_as_zero: Empty numbers count as zero, as a formula field may ask
            (``formulaTreatNullNumberAsZero``).

    Raises:
        FormulaError: Not a formula, an unknown field, a wrong type, or outside the subset.
    """
    compiler = _Compiler(sobject, schema, row, blank_as_zero=blank_as_zero)
    value = compiler.value(parse(text))
    sql = value.truth("formula") if value.type is ValueType.BOOLEAN else value.sql
    return Compiled(sql, value.type, frozenset(compiler.fields))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class _Compiler:
    """Walks one tree and remembers the fields that it met."""

    def __init__(
        self,
        sobject: SObject,
        schema: Schema,
        row: str,
        *,
        depth: int = 0,
        blank_as_zero: bool = False,
    ) -> None:
        self.row = row
        self.depth = depth
        self.blank_as_zero = blank_as_zero
        self.sobject = sobject
        self.schema = schema
        self.fields: set[str] = set()

    def value(self, node: ast.Node) -> Value:
        if isinstance(node, ast.Literal):
            return _literal(node)
        if isinstance(node, ast.FieldPath):
            return self._path(node.path, row=self.row)
        if node.name in _HISTORY:
            return self._history(node)
        arguments = tuple(self.value(argument) for argument in node.arguments)
        if node.name in _OPERATORS:
            return _operator(node.name, arguments)
        function = FUNCTIONS.get(node.name)
        if function is None:
            raise FormulaError(f"Function {node.name} is not in this org's subset of formulas")
        _check_count(node.name, function, arguments)
        return function.build(arguments)

    def _history(self, node: ast.Call) -> Value:
        """Functions that look at the row before the save."""
        if self.row != SAVED_ROW:
            raise FormulaError(f"Function {node.name} is only for rules that run on a save")
        if node.name == "ISNEW":
            return Value('n."@isnew"', ValueType.BOOLEAN)
        if len(node.arguments) != 1 or not isinstance(node.arguments[0], ast.FieldPath):
            raise FormulaError(f"Function {node.name} takes one field")
        path = node.arguments[0].path
        if len(path) != 1:
            raise FormulaError(f"Function {node.name} takes a field of the record itself")
        after, before = self._path(path, row="n"), self._path(path, row="o")
        if node.name == "ISCHANGED":
            changed = f'(NOT n."@isnew" AND {after.sql} IS DISTINCT FROM {before.sql})'
            return Value(changed, ValueType.BOOLEAN)
        prior = f'(CASE WHEN n."@isnew" THEN {after.sql} ELSE {before.sql} END)'
        return Value(prior, after.type)

    def _path(self, path: tuple[str, ...], *, row: str) -> Value:
        if path[0].startswith("$"):
            return self._global(path)
        if len(path) - 1 > PARENT_STEPS_MAX:
            raise FormulaError(f"Field {'.'.join(path)}: too many steps to the parent")
        if len(path) == 1:
            found = self._field(self.sobject, path[0])
            self.fields.add(found.name)
            return self._read(self.sobject, found, row)
        lookup = self._lookup(self.sobject, path[0])
        self.fields.add(lookup.name)
        parent = self._parent(lookup, path)
        return self._parent_value(parent, path[1:], f"{row}.{_quoted(lookup.name)}")

    def _parent_value(self, parent: SObject, path: tuple[str, ...], id_sql: str) -> Value:
        """Return the value at ``path`` from the ``parent`` row whose id is ``id_sql``."""
        alias = f"p{len(path)}"
        if len(path) == 1:
            found = self._field(parent, path[0])
            inner = self._read(parent, found, alias)
        else:
            lookup = self._lookup(parent, path[0])
            inner = self._parent_value(
                self._parent(lookup, path), path[1:], f"{alias}.{_quoted(lookup.name)}"
            )
        source = f"{_quoted(parent.name)} {alias}"
        return Value(
            f'(SELECT {inner.sql} FROM {source} WHERE {alias}."Id" = {id_sql})', inner.type
        )

    def _global(self, path: tuple[str, ...]) -> Value:
        kind = path[0].lower()
        user = self.schema.sobject("User")
        if user is not None and len(path) > 1 and kind == "$user":
            return self._parent_value(user, path[1:], "getvariable('sim_user')")
        if user is not None and len(path) > 1 and kind == "$profile":
            return self._parent_value(user, ("Profile", *path[1:]), "getvariable('sim_user')")
        if kind == "$recordtype" and len(path) > 1:
            return self._path(("RecordType", *path[1:]), row=self.row)
        raise FormulaError(f"{'.'.join(path)} is not in this org's subset of formulas")

    def _read(self, sobject: SObject, found: Field, row: str) -> Value:
        """Return a field's value; a formula field has no column and is written out in place."""
        if found.formula is None:
            kind, column = _type_of(found), f"{row}.{_quoted(found.name)}"
            zero = self.blank_as_zero and kind is ValueType.NUMBER
            return Value(f"coalesce({column}, 0)" if zero else column, kind)
        if self.depth >= FORMULA_DEPTH_MAX:
            raise FormulaError(f"Field {found.name}: formulas refer to each other too deeply")
        inner = _Compiler(
            sobject,
            self.schema,
            row,
            depth=self.depth + 1,
            blank_as_zero=found.formula_treat_null_number_as_zero,
        )
        value = inner.value(parse(found.formula))
        self.fields |= inner.fields if sobject is self.sobject else set()
        return Value(value.sql, _type_of(found))

    def _field(self, sobject: SObject, name: str) -> Field:
        found = sobject.field(name)
        if found is None:
            raise FormulaError(f"Field {name} does not exist on {sobject.name}. Check spelling.")
        if found.type in _ONLY_BLANK:
            raise FormulaError(f"Field {name} of type {found.type} cannot be used in a formula")
        return found

    def _lookup(self, sobject: SObject, name: str) -> Field:
        found = sobject.relationship(name)
        if found is None:
            raise FormulaError(f"Relationship {name} does not exist on {sobject.name}.")
        return found

    def _parent(self, lookup: Field, path: tuple[str, ...]) -> SObject:
        if len(lookup.reference_to) != 1:
            raise FormulaError(f"{'.'.join(path)}: {lookup.name} may point at several sobjects")
        parent = self.schema.sobject(lookup.reference_to[0])
        if parent is None:
            raise FormulaError(f"{'.'.join(path)}: no sobject {lookup.reference_to[0]} in this org")
        return parent


_HISTORY = {"ISNEW", "ISCHANGED", "PRIORVALUE"}
_LOGIC = {"&&": "AND", "||": "OR"}
_ORDERS = {"<", "<=", ">", ">="}
_ARITHMETIC = {"*", "/", "^"}
_OPERATORS = {*_LOGIC, *_ORDERS, *_ARITHMETIC, "=", "!=", "+", "-", "&", "neg", "!"}


def _type_of(found: Field) -> ValueType:
    return _TYPES.get(found.type, ValueType.TEXT)


def _literal(node: ast.Literal) -> Value:
    if node.value is None:
        return Value("NULL", ValueType.NULL)
    if isinstance(node.value, bool):
        return Value("true" if node.value else "false", ValueType.BOOLEAN)
    if node.numeric:
        return Value(f"cast({node.value} AS DOUBLE)", ValueType.NUMBER)
    return Value("'" + node.value.replace("'", "''") + "'", ValueType.TEXT)


def _check_count(name: str, function: Function, arguments: tuple[Value, ...]) -> None:
    most = function.most if function.most is not None else len(arguments)
    if not function.least <= len(arguments) <= most:
        raise FormulaError(
            f"Incorrect number of parameters for function {name}(). Expected {function.least},"
            f" received {len(arguments)}"
        )


def _operator(sign: str, args: tuple[Value, ...]) -> Value:
    place = f"operator {sign}"
    if sign in _LOGIC:
        joined = f" {_LOGIC[sign]} ".join(a.truth(place) for a in args)
        return Value(f"({joined})", ValueType.BOOLEAN)
    if sign == "!":
        return Value(f"(NOT {args[0].truth(place)})", ValueType.BOOLEAN)
    if sign == "neg":
        return Value(f"(-{args[0].number(place)})", ValueType.NUMBER)
    if sign == "&":
        return Value(f"({args[0].text(place)} || {args[1].text(place)})", ValueType.TEXT)
    if sign in {"=", "!="}:
        return _equality(sign, args[0], args[1])
    if sign in _ORDERS:
        left, right = _comparable(sign, args[0], args[1])
        return Value(f"coalesce({left} {sign} {right}, false)", ValueType.BOOLEAN)
    if sign in {"+", "-"}:
        return _sum(sign, args[0], args[1])
    left, right = args[0].number(place), args[1].number(place)
    if sign == "/":
        right = f"nullif({right}, 0)"
    return Value(f"({left} {'**' if sign == '^' else sign} {right})", ValueType.NUMBER)


def _equality(sign: str, left: Value, right: Value) -> Value:
    if ValueType.NULL in (left.type, right.type):
        value = left if right.type is ValueType.NULL else right
        same = is_blank(value)
    else:
        a, b = _comparable(sign, left, right)
        same = f"({a} IS NOT DISTINCT FROM {b})"
    return Value(same if sign == "=" else f"(NOT {same})", ValueType.BOOLEAN)


def _comparable(sign: str, left: Value, right: Value) -> tuple[str, str]:
    """Return both sides, or refuse a comparison of different types (picklists need TEXT())."""
    allowed = _COMPARABLE.get(left.type, set())
    if right.type not in allowed and ValueType.NULL not in (left.type, right.type):
        raise FormulaError(
            f"Incorrect parameter type for operator '{sign}'. Expected {left.type}, received"
            f" {right.type}"
            if allowed
            else f"Field is a {left.type.lower()} field. {left.type} fields are only supported in"
            " certain functions."
        )
    if left.type is ValueType.TEXT:
        return left.text("comparison"), right.text("comparison")
    return left.sql, right.sql


def _sum(sign: str, left: Value, right: Value) -> Value:
    """Numbers add; dates and times move by days and differ by days; ``+`` also joins text."""
    place = f"operator {sign}"
    if left.type is ValueType.TEXT and sign == "+":
        return Value(f"({left.text(place)} || {right.text(place)})", ValueType.TEXT)
    if left.type is ValueType.DATE and right.type is ValueType.DATE and sign == "-":
        return Value(f"cast({left.sql} - {right.sql} AS DOUBLE)", ValueType.NUMBER)
    if left.type is ValueType.DATETIME and right.type is ValueType.DATETIME and sign == "-":
        days = f"(epoch_ms({left.sql}) - epoch_ms({right.sql})) / 86400000.0"
        return Value(f"({days})", ValueType.NUMBER)
    if left.type is ValueType.DATE:
        moved = f"({left.sql} {sign} cast(floor({right.number(place)}) AS INTEGER))"
        return Value(moved, ValueType.DATE)
    if left.type is ValueType.DATETIME:
        ms = f"cast({right.number(place)} * 86400000 AS BIGINT)"
        return Value(f"({left.sql} {sign} to_milliseconds({ms}))", ValueType.DATETIME)
    return Value(f"({left.number(place)} {sign} {right.number(place)})", ValueType.NUMBER)
