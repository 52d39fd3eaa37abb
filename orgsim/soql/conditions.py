"""WHERE and HAVING as SQL conditions that are never null.

SOQL knows two truth values only: a comparison with an empty field is false, ``!=`` and ``NOT IN``
are their exact opposites and therefore keep empty fields. Text compares without regard to case
unless the field is a case-sensitive external id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from orgsim.schema.model import Field
from orgsim.soql import ast, sql
from orgsim.soql.errors import QueryError, at
from orgsim.soql.literals import ID_TYPES, Comparand, Literals
from orgsim.soql.parser import like_pattern, unescaped


@dataclass(frozen=True, slots=True)
class Operand:
    """The left side of a comparison: its SQL and the field whose type rules."""

    sql: str
    field: Field
    names: tuple[str, ...]


Resolve: TypeAlias = Callable[[ast.FieldPath | ast.Function], Operand]
Inner: TypeAlias = Callable[[ast.Membership, Operand], str]

#: Semi-joins and anti-joins of one query. Source: SOQL and SOSL Reference, "Comparison Operators".
SEMI_JOINS_MAX = 2

_SET_OPERATORS = {"INCLUDES": "includes", "EXCLUDES": "excludes"}
_ORDERED_NOT = {"boolean", "multipicklist"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Writes the conditions of one query; how names resolve and sub-selects read is given."""

    text: str
    literals: Literals
    resolve: Resolve
    inner: Inner

    def write(self, condition: ast.Condition) -> str:
        """Return the SQL of a whole WHERE or HAVING condition."""
        self._check_semi_joins(condition)
        return self._write(condition)

    def _write(self, condition: ast.Condition) -> str:
        if isinstance(condition, ast.Logical):
            terms = [self._write(term) for term in condition.terms]
            if condition.operator == "NOT":
                return f"(NOT {terms[0]})"
            return "(" + f" {condition.operator} ".join(terms) + ")"
        if isinstance(condition, ast.Comparison):
            return self._comparison(condition)
        return self._membership(condition)

    def _comparison(self, node: ast.Comparison) -> str:
        left = self._filterable(node.left)
        if node.operator == "LIKE":
            return self._like(left, node)
        if left.field.type == "multipicklist" and node.right.kind is ast.Kind.STRING:
            return self._multi_equality(left, node)
        right = self.literals.comparand(left.field, node.right)
        if right.span is not None:
            return _compare_span(left.sql, node.operator, right.span)
        if node.operator in {"=", "!="}:
            return _equality(left, node.operator, right)
        self._check_order(left, node)
        if right.is_null:
            return "false"
        return f"coalesce({_folded(left)} {node.operator} {_folded_constant(left, right)}, false)"

    def _membership(self, node: ast.Membership) -> str:
        left = self._filterable(node.left)
        if node.query is not None:
            return self.inner(node, left)
        if node.operator in _SET_OPERATORS:
            return self._includes(left, node)
        comparands = [self.literals.comparand(left.field, value) for value in node.values]
        found = _one_of(left, comparands)
        return f"(NOT {found})" if node.operator == "NOT IN" else found

    def _like(self, left: Operand, node: ast.Comparison) -> str:
        if left.field.type in ID_TYPES:
            raise at(
                self.text,
                node.position,
                code="INVALID_FIELD",
                sentence="invalid operator on id field",
            )
        if _is_not_text(left.field) or node.right.kind is not ast.Kind.STRING:
            sentence = f"'LIKE' is not a valid operator for field '{left.field.name}'"
            raise at(
                self.text, node.position, code="INVALID_QUERY_FILTER_OPERATOR", sentence=sentence
            )
        pattern = sql.text(like_pattern(node.right))
        return f"coalesce({left.sql} ILIKE {pattern} ESCAPE '\\', false)"

    def _includes(self, left: Operand, node: ast.Membership) -> str:
        if left.field.type != "multipicklist":
            sentence = (
                "includes or excludes operator only valid on multipicklist field:"
                f" {left.field.name}"
            )
            raise at(self.text, node.position, code="INVALID_FIELD", sentence=sentence)
        chosen = [_has_all(left.sql, self._string(left, value)) for value in node.values]
        found = "(" + " OR ".join(chosen) + ")"
        return f"(NOT {found})" if node.operator == "EXCLUDES" else found

    def _multi_equality(self, left: Operand, node: ast.Comparison) -> str:
        """``=`` on a multi-select compares the whole choice, in any order."""
        wanted = self._string(left, node.right)
        sorted_left = f"list_sort(string_split(lower({left.sql}), ';'))"
        sorted_right = f"list_sort(string_split(lower({sql.text(wanted)}), ';'))"
        if node.operator not in {"=", "!="}:
            sentence = "invalid operator on multipicklist field"
            raise at(
                self.text, node.position, code="INVALID_QUERY_FILTER_OPERATOR", sentence=sentence
            )
        same = f"coalesce({sorted_left} = {sorted_right}, {'true' if not wanted else 'false'})"
        return same if node.operator == "=" else f"(NOT {same})"

    def _string(self, left: Operand, value: ast.Constant) -> str:
        if value.kind is not ast.Kind.STRING:
            self.literals.comparand(left.field, value)
        return unescaped(value)

    def _filterable(self, node: ast.FieldPath | ast.Function) -> Operand:
        left = self.resolve(node)
        if not left.field.filterable:
            sentence = f"field '{left.field.name}' can not be filtered in a query call"
            raise at(self.text, node.position, code="INVALID_FIELD", sentence=sentence)
        return left

    def _check_order(self, left: Operand, node: ast.Comparison) -> None:
        if left.field.type in ID_TYPES | _ORDERED_NOT and left.field.type != "id":
            sentence = f"invalid operator on {left.field.type} field"
            raise at(
                self.text, node.position, code="INVALID_QUERY_FILTER_OPERATOR", sentence=sentence
            )

    def _check_semi_joins(self, condition: ast.Condition) -> None:
        if self._count_semi_joins(condition, nested=False) > SEMI_JOINS_MAX:
            raise QueryError("MALFORMED_QUERY", "Maximum number of semi join sub-selects exceeded")

    def _count_semi_joins(self, condition: ast.Condition, *, nested: bool) -> int:
        if isinstance(condition, ast.Logical):
            inside = nested or condition.operator != "AND"
            return sum(self._count_semi_joins(term, nested=inside) for term in condition.terms)
        if not isinstance(condition, ast.Membership) or condition.query is None:
            return 0
        if nested:
            sentence = (
                "Semi join sub-selects are only allowed at the top level WHERE expressions and not"
                " in nested WHERE expressions"
            )
            raise at(self.text, condition.position, code="MALFORMED_QUERY", sentence=sentence)
        return 1


def _is_not_text(field: Field) -> bool:
    return field.type in {"boolean", "int", "long", "double", "currency", "percent", "date",
                          "datetime", "time"}  # fmt: skip


def _is_folded(field: Field) -> bool:
    return not (_is_not_text(field) or field.type in ID_TYPES or field.case_sensitive)


def _folded(left: Operand) -> str:
    return f"lower({left.sql})" if _is_folded(left.field) else left.sql


def _folded_constant(left: Operand, right: Comparand) -> str:
    return f"lower({right.sql})" if _is_folded(left.field) else str(right.sql)


def _equality(left: Operand, operator: str, right: Comparand) -> str:
    same = _one_of(left, [right])
    return same if operator == "=" else f"(NOT {same})"


def _one_of(left: Operand, comparands: list[Comparand]) -> str:
    """Return the condition that the field is one of these constants, null among them."""
    tests = [_compare_span(left.sql, "=", c.span) for c in comparands if c.span is not None]
    if any(c.is_null for c in comparands):
        # A checkbox is never empty: null reads as false.
        tests.append(
            f"(NOT coalesce({left.sql}, false))"
            if left.field.type == "boolean"
            else f"({left.sql} IS NULL)"
        )
    constants = [_folded_constant(left, c) for c in comparands if c.sql is not None]
    subject = f"coalesce({left.sql}, false)" if left.field.type == "boolean" else _folded(left)
    if constants:
        tests.append(f"coalesce({subject} IN ({', '.join(constants)}), false)")
    return "(" + " OR ".join(tests) + ")"


def _compare_span(left: str, operator: str, span: tuple[str, str]) -> str:
    first, after = span
    condition = {
        "=": f"{left} >= {first} AND {left} < {after}",
        "!=": f"{left} >= {first} AND {left} < {after}",
        "<": f"{left} < {first}",
        "<=": f"{left} < {after}",
        ">": f"{left} >= {after}",
        ">=": f"{left} >= {first}",
    }[operator]
    kept = f"coalesce({condition}, false)"
    return f"(NOT {kept})" if operator == "!=" else kept


def _has_all(left: str, wanted: str) -> str:
    """Return the condition that a multi-select holds every value of ``a;b``."""
    held = f"string_split(lower({left}), ';')"
    tests = [
        f"coalesce(list_contains({held}, lower({sql.text(value.strip())})), false)"
        for value in wanted.split(";")
    ]
    return "(" + " AND ".join(tests) + ")"
