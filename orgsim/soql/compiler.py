"""From a query's tree to a plan: names resolved against the schema that the user sees.

Deliberately refused (docs/practice-orgs.md): TYPEOF, DISTANCE, data categories and relationship
aliases in FROM.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from orgsim.schema.model import Field, Schema, SObject
from orgsim.soql import ast, sql
from orgsim.soql.conditions import Conditions, Operand, Resolve
from orgsim.soql.errors import QueryError, at
from orgsim.soql.functions import ROLLUPS, function_operand, is_aggregate, unsupported
from orgsim.soql.literals import ID_TYPES, Literals
from orgsim.soql.parser import parse
from orgsim.soql.paths import NAME_ENTITY_ALIAS_TYPE, Scope
from orgsim.soql.plan import Child, Column, ParentShape, Plan, PlanKind

#: Rows that FIELDS(ALL) and FIELDS(CUSTOM) may return. Source: SOQL and SOSL Reference, "FIELDS()".
FIELDS_LIMIT_MAX = 200
#: Subqueries of one query. Source: SOQL and SOSL Reference, "Understanding Relationship Query
#: Limitations".
SUBQUERIES_MAX = 20
#: Steps from parent to child. Source: the same page (5 since version 58.0, REST and SOAP).
CHILD_STEPS_MAX = 5
#: Source: SOQL and SOSL Reference, "OFFSET".
OFFSET_MAX = 2000

_ARCHIVABLE = {"Task", "Event"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How a query reads: the schema as the user sees it, the clock, and which rows.

    Attributes:
        all_rows: Deleted and archived rows too (queryAll).
        full: The whole schema: formulas may read what the user may not. None: the same.
    """

    schema: Schema
    now: datetime
    all_rows: bool = False
    full: Schema | None = None


def compile_query(text: str, reading: Reading) -> Plan:
    """Return the plan of one query.

    Raises:
        QueryError: With Salesforce's code and sentence.
    """
    query = parse(text)
    sobject = reading.schema.sobject(query.sobject)
    if sobject is None or not sobject.queryable:
        raise _no_such_sobject(text, query)
    return _Compiler(text, query, reading, sobject, depth=0).plan()


def _no_such_sobject(text: str, query: ast.Query) -> QueryError:
    sentence = (
        f"sObject type '{query.sobject}' is not supported. If you are attempting to use a custom"
        " object, be sure to append the '__c' after the entity name. Please reference your WSDL or"
        " the describe call for the appropriate names."
    )
    return at(text, query.sobject_position, code="INVALID_TYPE", sentence=sentence)


@dataclass(slots=True)
class _Compiler:
    """Compiles one SELECT; a subquery gets a compiler of its own."""

    text: str
    query: ast.Query
    reading: Reading
    sobject: SObject
    depth: int
    grouped: bool = False
    scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        alias = f"t{self.depth}"
        reading = self.reading
        self.scope = Scope(self.text, reading.schema, self.sobject, alias, self.query.alias)
        self.scope.full = reading.full or reading.schema

    def plan(self) -> Plan:
        """Return the plan; order matters, for every clause may join further parents."""
        self._check_clauses()
        kind = self._kind()
        columns = () if kind is PlanKind.COUNT else tuple(self._columns())
        parents = self._parents(columns) if kind is PlanKind.ROWS else ()
        children = self._children()
        where = self._where()
        group = ", ".join(self._group(item) for item in self.query.group_by)
        having = (
            self._conditions(self._resolve_grouped).write(self.query.having)
            if self.query.having
            else ""
        )
        order = ", ".join(self._order(item) for item in self.query.order_by)
        base = self.scope.base_alias
        return Plan(
            kind=kind, sobject=self.sobject, columns=columns, parents=parents, children=children,
            from_sql=self.scope.from_sql, where_sql=where, group_sql=group, having_sql=having,
            order_sql=order or self._natural_order(kind), id_sql=f'{base}."Id"' if kind is
            PlanKind.ROWS else None, limit=self.query.limit, offset=self.query.offset,
        )  # fmt: skip

    # -- what is selected ------------------------------------------------------------------------

    def _kind(self) -> PlanKind:
        select = self.query.select
        first = select[0]
        if (
            isinstance(first, ast.Function)
            and first.name.upper() == "COUNT"
            and not first.arguments
        ):
            if len(select) > 1 or self.query.group_by:
                sentence = "Grouped query cannot have COUNT() with other fields"
                raise at(self.text, first.position, code="MALFORMED_QUERY", sentence=sentence)
            return PlanKind.COUNT
        if self.query.group_by or any(map(is_aggregate, select)):
            self.grouped = True
            return PlanKind.GROUPED
        return PlanKind.ROWS

    def _columns(self) -> list[Column]:
        columns: list[Column] = []
        unnamed = 0
        for item in self.query.select:
            if isinstance(item, ast.Query):
                continue
            if isinstance(item, ast.TypeOf):
                raise unsupported(self.text, item.position, "TYPEOF")
            if isinstance(item, ast.Function) and item.name.upper() == "FIELDS":
                columns.extend(self._fields(item))
                continue
            column = self._grouped(item, unnamed) if self.grouped else self._selected(item)
            unnamed += column.names == (f"expr{unnamed}",)
            columns.append(column)
        self._check_duplicates(columns)
        return columns

    def _selected(self, item: ast.FieldPath | ast.Function) -> Column:
        if item.alias is not None and isinstance(item, ast.FieldPath):
            sentence = "only aggregate expressions use field aliasing"
            raise at(self.text, item.position, code="MALFORMED_QUERY", sentence=sentence)
        operand = self._resolve(item)
        names = (item.alias,) if item.alias else operand.names
        return Column(names, operand.sql, operand.field)

    def _grouped(self, item: ast.FieldPath | ast.Function, unnamed: int) -> Column:
        operand = self._resolve(item)
        if not is_aggregate(item) and not self._is_grouped(item, operand):
            sentence = f"Field must be grouped or aggregated: {operand.field.name}"
            raise at(self.text, item.position, code="MALFORMED_QUERY", sentence=sentence)
        if item.alias:
            return Column((item.alias,), operand.sql, operand.field)
        if isinstance(item, ast.Function):
            return Column((f"expr{unnamed}",), operand.sql, operand.field)
        return Column((operand.names[-1],), operand.sql, operand.field)

    def _is_grouped(self, item: ast.FieldPath | ast.Function, operand: Operand) -> bool:
        if _is_grouping(item):
            return True  # _resolve lets it pass for grouped fields only
        return any(operand.sql == sql_of for sql_of in self._grouped_sql())

    def _grouped_sql(self) -> list[str]:
        return [self._resolve(plain).sql for item in self.query.group_by
                for plain in _rolled(item)]  # fmt: skip

    def _fields(self, item: ast.Function) -> list[Column]:
        argument = item.arguments[0] if item.arguments else None
        word = argument.path[0].upper() if isinstance(argument, ast.FieldPath) else ""
        if word not in {"ALL", "CUSTOM", "STANDARD"}:
            raise at(
                self.text,
                item.position,
                code="MALFORMED_QUERY",
                sentence=f"unexpected token: '{word}'",
            )
        if word != "STANDARD" and (self.query.limit or FIELDS_LIMIT_MAX + 1) > FIELDS_LIMIT_MAX:
            sentence = f"The SOQL FIELDS function must have a LIMIT of at most {FIELDS_LIMIT_MAX}"
            raise at(self.text, item.position, code="MALFORMED_QUERY", sentence=sentence)
        chosen = [
            found for found in self.sobject.fields.values()
            if word == "ALL" or found.custom == (word == "CUSTOM")
        ]  # fmt: skip
        return [self._selected(ast.FieldPath((f.name,), item.position)) for f in chosen]

    def _parents(self, columns: tuple[Column, ...]) -> tuple[ParentShape, ...]:
        shown = {column.names[:n] for column in columns for n in range(1, len(column.names))}
        return tuple(
            ParentShape(
                names, f'{parent.alias}."Id"', parent.sobject,
                None if parent.sobject else f'{parent.alias}."{NAME_ENTITY_ALIAS_TYPE}"',
            )
            for names, parent in self.scope.parents.items() if names in shown
        )  # fmt: skip

    def _children(self) -> tuple[Child, ...]:
        subqueries = [item for item in self.query.select if isinstance(item, ast.Query)]
        if len(subqueries) > SUBQUERIES_MAX:
            raise QueryError(
                "MALFORMED_QUERY", "The query exceeds the maximum number of subqueries"
            )
        if subqueries and self.grouped:
            sentence = "Grouped query cannot have subqueries"
            raise at(self.text, subqueries[0].position, code="MALFORMED_QUERY", sentence=sentence)
        return tuple(self._child(query) for query in subqueries)

    def _child(self, query: ast.Query) -> Child:
        if self.depth + 1 >= CHILD_STEPS_MAX:
            sentence = (
                "The query exceeds the maximum number of parent-to-child relationship levels"
                f" ({CHILD_STEPS_MAX})"
            )
            raise at(self.text, query.position, code="MALFORMED_QUERY", sentence=sentence)
        relationship = self.sobject.child(query.sobject)
        target = None
        if relationship is not None:
            target = self.reading.schema.sobject(relationship.child_sobject)
        if relationship is None or target is None:
            sentence = (
                f"Didn't understand relationship '{query.sobject}' in FROM part of query call. If"
                " you are attempting to use a custom relationship, be sure to append the '__r'"
                " after the custom relationship name. Please reference your WSDL or the describe"
                " call for the appropriate names."
            )
            raise at(self.text, query.sobject_position, code="INVALID_TYPE", sentence=sentence)
        inner = _Compiler(self.text, query, self.reading, target, self.depth + 1)
        plan = inner.plan()
        if plan.kind is not PlanKind.ROWS:
            sentence = "Aggregate functions are not allowed in a subquery"
            raise at(self.text, query.position, code="MALFORMED_QUERY", sentence=sentence)
        link = f"{inner.scope.base_alias}.{sql.name(relationship.field)}"
        name = relationship.relationship_name or query.sobject
        return Child(name, plan, link)

    # -- which rows ------------------------------------------------------------------------------

    def _where(self) -> str:
        conditions = []
        base = self.scope.base_alias
        if not self.reading.all_rows and self.sobject.field("IsDeleted") is not None:
            conditions.append(f'NOT coalesce({base}."IsDeleted", false)')
        if not self.reading.all_rows and self.sobject.name in _ARCHIVABLE:
            if self.sobject.field("IsArchived") is not None:
                conditions.append(f'NOT coalesce({base}."IsArchived", false)')
        if self.query.where is not None:
            conditions.append(self._conditions(self._resolve_plain).write(self.query.where))
        return " AND ".join(conditions)

    def _conditions(self, resolve: Resolve) -> Conditions:
        literals = Literals(self.text, self.reading.now)
        return Conditions(self.text, literals, resolve, self._inner)

    def _inner(self, node: ast.Membership, left: Operand) -> str:
        """Write a semi-join or an anti-join."""
        query = node.query
        target = self.reading.schema.sobject(query.sobject) if query is not None else None
        if query is None or target is None:
            raise _no_such_sobject(self.text, query or self.query)
        self._check_inner(query, left, target)
        inner = _Compiler(self.text, query, self.reading, target, self.depth + 100)
        plan = inner.plan()
        column = plan.columns[0]
        if left.field.type not in ID_TYPES or column.field.type not in ID_TYPES:
            sentence = (
                f"The inner select field '{column.field.name}' cannot have more than one type"
            )
            raise at(self.text, query.position, code="MALFORMED_QUERY", sentence=sentence)
        rows = plan.select([column.sql], extra_where=f"{column.sql} IS NOT NULL")
        found = f"coalesce({left.sql} IN ({rows}), false)"
        return f"(NOT {found})" if node.operator == "NOT IN" else found

    def _check_inner(self, query: ast.Query, left: Operand, target: SObject) -> None:
        if len(query.select) != 1:
            sentence = "Semi join sub-selects must select exactly one field"
            raise at(self.text, query.position, code="MALFORMED_QUERY", sentence=sentence)
        if self.depth >= 100:
            sentence = "Nesting of semi join sub-selects is not supported"
            raise at(self.text, query.position, code="MALFORMED_QUERY", sentence=sentence)
        if target.name == self.sobject.name and left.names == ("Id",) and _selects_id(query):
            sentence = "The inner and outer selects should not be on the same object type"
            raise at(self.text, query.position, code="MALFORMED_QUERY", sentence=sentence)

    # -- grouping and order ----------------------------------------------------------------------

    def _group(self, item: ast.FieldPath | ast.Function) -> str:
        parts = [self._groupable(plain) for plain in _rolled(item)]
        if isinstance(item, ast.Function) and item.name.upper() in ROLLUPS:
            return f"{item.name.upper()} ({', '.join(parts)})"
        return parts[0]

    def _groupable(self, item: ast.FieldPath | ast.Function) -> str:
        operand = self._resolve(item)
        if isinstance(item, ast.FieldPath) and not operand.field.groupable:
            sentence = f"field '{operand.field.name}' can not be grouped in a query call"
            raise at(self.text, item.position, code="MALFORMED_QUERY", sentence=sentence)
        return operand.sql

    def _order(self, item: ast.OrderItem) -> str:
        operand = self._resolve(item.by)
        if is_aggregate(item.by) != self.grouped and not self._is_grouped(item.by, operand):
            sentence = f"Ordered field must be grouped or aggregated: {operand.names[-1]}"
            raise at(self.text, item.by.position, code="MALFORMED_QUERY", sentence=sentence)
        if not operand.field.sortable:
            sentence = f"field '{operand.field.name}' can not be sorted in a query call"
            raise at(self.text, item.by.position, code="MALFORMED_QUERY", sentence=sentence)
        direction = "DESC" if item.descending else "ASC"
        # Nulls come first either way unless the query says otherwise (SOQL Reference, "ORDER BY").
        nulls = "LAST" if item.nulls_last else "FIRST"
        return f"{_sort_key(operand)} {direction} NULLS {nulls}"

    def _natural_order(self, kind: PlanKind) -> str:
        """Keep stored order where joins would lose it, so that pages are the same each time."""
        if kind is PlanKind.ROWS and (self.scope.joins or self.query.limit or self.query.offset):
            return f"{self.scope.base_alias}.rowid"
        return ""

    # -- names -----------------------------------------------------------------------------------

    def _resolve(self, node: ast.FieldPath | ast.Function) -> Operand:
        if isinstance(node, ast.Function):
            operand = function_operand(self.text, node, self._resolve)
            inner = self._resolve(node.arguments[0])
            if _is_grouping(node) and not self._is_grouped(node.arguments[0], inner):
                sentence = "GROUPING is only for grouped fields"
                raise at(self.text, node.position, code="MALFORMED_QUERY", sentence=sentence)
            return operand
        reached = self.scope.reach(node.path, node.position)
        return Operand(reached.sql, reached.field, reached.names)

    def _resolve_plain(self, node: ast.FieldPath | ast.Function) -> Operand:
        """Resolve a name of WHERE, where rows are not grouped yet."""
        if is_aggregate(node):
            sentence = "aggregate functions are not allowed in a WHERE clause"
            raise at(self.text, node.position, code="MALFORMED_QUERY", sentence=sentence)
        return self._resolve(node)

    def _resolve_grouped(self, node: ast.FieldPath | ast.Function) -> Operand:
        """Resolve a name of HAVING, which must be grouped or aggregated."""
        operand = self._resolve(node)
        if not is_aggregate(node) and not self._is_grouped(node, operand):
            sentence = f"Field must be grouped or aggregated: {operand.field.name}"
            raise at(self.text, node.position, code="MALFORMED_QUERY", sentence=sentence)
        return operand

    def _check_clauses(self) -> None:
        if self.query.offset is not None and self.query.offset > OFFSET_MAX:
            raise QueryError("NUMBER_OUTSIDE_VALID_RANGE",
                             f"Maximum SOQL offset allowed is {OFFSET_MAX}")  # fmt: skip
        if self.query.having is not None and not self.query.group_by:
            raise QueryError("MALFORMED_QUERY", "Having clause requires a group by clause")

    def _check_duplicates(self, columns: list[Column]) -> None:
        seen: set[tuple[str, ...]] = set()
        for column in columns:
            key = tuple(name.lower() for name in column.names)
            if key in seen:
                word = "alias" if self.grouped else "field selected"
                raise QueryError("MALFORMED_QUERY", f"duplicate {word}: {'.'.join(column.names)}")
            seen.add(key)


def _rolled(item: ast.FieldPath | ast.Function) -> tuple[ast.FieldPath | ast.Function, ...]:
    """Return the fields that a GROUP BY item names: one, or those inside ROLLUP and CUBE."""
    if isinstance(item, ast.Function) and item.name.upper() in ROLLUPS:
        return item.arguments
    return (item,)


def _is_grouping(node: ast.FieldPath | ast.Function) -> bool:
    return isinstance(node, ast.Function) and node.name.upper() == "GROUPING"


def _selects_id(query: ast.Query) -> bool:
    first = query.select[0]
    return isinstance(first, ast.FieldPath) and first.path[-1].lower() == "id"


def _sort_key(operand: Operand) -> str:
    """Text sorts without regard to case, picklists in the order of their values."""
    kind: Field = operand.field
    if kind.type == "picklist" and kind.picklist_values:
        values = ", ".join(sql.text(value.value) for value in kind.picklist_values)
        place = f"list_position([{values}], {operand.sql})"
        return f"(CASE WHEN {operand.sql} IS NULL THEN NULL ELSE coalesce({place}, 100000) END)"
    if kind.type in {"string", "textarea", "email", "phone", "url", "combobox", "picklist"}:
        return f"lower({operand.sql})"
    return operand.sql
