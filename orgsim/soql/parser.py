"""From SOQL text to its tree, refusing what an org would refuse as malformed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError

from orgsim.soql import ast
from orgsim.soql.errors import QueryError, at

#: Characters of one statement. Source: SOQL and SOSL Reference, "SOQL limits".
STATEMENT_MAX_CHARS = 100_000
#: Characters of one string constant in WHERE. Source: the same page.
STRING_MAX_CHARS = 4_000

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}


@lru_cache(maxsize=512)
def parse(text: str) -> ast.Query:
    """Return the tree of one query.

    Raises:
        QueryError: MALFORMED_QUERY with the place of the first unexpected token.
    """
    if len(text) > STATEMENT_MAX_CHARS:
        raise QueryError("QUERY_TOO_COMPLICATED", "Query is either selecting too many fields or the"
                         " filter conditions are too complicated.")  # fmt: skip
    if not text.strip():
        raise QueryError("MALFORMED_QUERY", "A query string has to be specified")
    try:
        tree = _grammar().parse(text)
        query: ast.Query = _ToAst(text).transform(tree)
    except UnexpectedInput as problem:
        raise _malformed(text, problem) from problem
    except VisitError as problem:
        if isinstance(problem.orig_exc, QueryError):
            raise problem.orig_exc from None
        raise
    return query


def unescaped(constant: ast.Constant) -> str:
    """Return the text that a quoted constant stands for."""
    return _unescape(constant.text, lambda char: char)


def like_pattern(constant: ast.Constant) -> str:
    r"""Return the SQL LIKE pattern (escape character ``\``) that a quoted constant stands for."""
    return _unescape(constant.text, lambda char: "\\" + char)


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    source = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(source, parser="lalr", start="query", propagate_positions=True)


def _malformed(text: str, problem: UnexpectedInput) -> QueryError:
    if isinstance(problem, UnexpectedToken) and problem.token.type != "$END":
        position = problem.token.start_pos or 0
        return at(
            text, position, code="MALFORMED_QUERY", sentence=f"unexpected token: '{problem.token}'"
        )
    if isinstance(problem, UnexpectedCharacters):
        rest = text[problem.pos_in_stream :]
        token = rest.split(None, 1)[0] if rest[:1].isalnum() else rest[:1]
        if token == "'":  # noqa: S105  (a token of the query)
            return at(
                text, problem.pos_in_stream, code="MALFORMED_QUERY", sentence="unexpected char: '''"
            )
        sentence = f"unexpected token: '{token}'"
        return at(text, problem.pos_in_stream, code="MALFORMED_QUERY", sentence=sentence)
    return at(
        text, len(text.rstrip()), code="MALFORMED_QUERY", sentence="unexpected token: '<EOF>'"
    )


def _unescape(raw: str, wildcard: Callable[[str], str]) -> str:
    """Undo the escapes of ``raw`` (without its quotes); ``wildcard`` writes an escaped % or _."""
    out: list[str] = []
    index = 0
    while index < len(raw):
        char = raw[index]
        if char != "\\":
            out.append(char)
            index += 1
            continue
        escaped = raw[index + 1]
        if escaped in "%_":
            out.append(wildcard(escaped))
        elif escaped in "uU":
            out.append(chr(int(raw[index + 2 : index + 6], 16)))
            index += 4
        elif escaped == "\\":
            out.append(wildcard("\\"))
        else:
            out.append(_ESCAPES[escaped.lower()])
        index += 2
    return "".join(out)


def _path(token: Token) -> tuple[str, ...]:
    return tuple(part.strip() for part in str(token).split("."))


@v_args(inline=True)
class _ToAst(Transformer[Token, Any]):
    """Lark's tree to ours, bottom up; a rule's method gets its children."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    # -- constants ---------------------------------------------------------------------------

    def string(self, token: Token) -> ast.Constant:
        raw = str(token)[1:-1]
        position = token.start_pos or 0
        try:
            value = _unescape(raw, lambda char: char)
        except (KeyError, ValueError, IndexError):
            sentence = f"Invalid string literal {token}. Illegal character sequence"
            raise at(self.text, position, code="MALFORMED_QUERY", sentence=sentence) from None
        if len(value) > STRING_MAX_CHARS:
            raise at(
                self.text, position, code="MALFORMED_QUERY", sentence="string literal too long"
            )
        return ast.Constant(ast.Kind.STRING, raw, position)

    def number(self, token: Token) -> ast.Constant:
        return _constant(ast.Kind.NUMBER, token)

    def date(self, token: Token) -> ast.Constant:
        return _constant(ast.Kind.DATE, token)

    def datetime(self, token: Token) -> ast.Constant:
        return _constant(ast.Kind.DATETIME, token)

    def time(self, token: Token) -> ast.Constant:
        return _constant(ast.Kind.TIME, token)

    def date_literal_n(self, token: Token) -> ast.Constant:
        return _constant(ast.Kind.DATE_LITERAL, token)

    def word(self, token: Token) -> ast.Constant:
        return _constant(ast.Kind.DATE_LITERAL, token)

    def null(self, token: Token) -> ast.Constant:
        return _constant(ast.Kind.NULL, token)

    def true(self, token: Token) -> ast.Constant:
        return _constant(ast.Kind.BOOLEAN, token)

    false = true

    # -- fields and functions ------------------------------------------------------------------

    def field(self, token: Token) -> ast.FieldPath:
        return ast.FieldPath(_path(token), token.start_pos or 0)

    def field_item(self, token: Token, alias: Token | None = None) -> ast.FieldPath:
        return ast.FieldPath(_path(token), token.start_pos or 0, str(alias) if alias else None)

    def arguments(self, *items: Any) -> tuple[Any, ...]:
        return items

    def function(self, name: Token, arguments: tuple[Any, ...] = ()) -> ast.Function:
        return ast.Function(str(name), arguments, name.start_pos or 0)

    def function_item(self, call: ast.Function, alias: Token | None = None) -> ast.Function:
        name = str(alias) if alias else None
        return ast.Function(call.name, call.arguments, call.position, name)

    def subquery(self, query: ast.Query) -> ast.Query:
        return query

    def typeof(self, keyword: Token, path: Token, *rest: Any) -> ast.TypeOf:
        return ast.TypeOf(_path(path), keyword.start_pos or 0)

    # -- conditions ----------------------------------------------------------------------------

    def operator(self, token: Token) -> str:
        sign = str(token).upper()
        return "!=" if sign == "<>" else sign

    def set_operator(self, token: Token) -> str:
        return str(token).upper()

    def not_in(self, *_: Token) -> str:
        return "NOT IN"

    def value_list(self, *values: ast.Constant) -> tuple[ast.Constant, ...]:
        return values

    def comparison(self, left: Any, operator: str, right: ast.Constant) -> ast.Comparison:
        return ast.Comparison(left, operator, right, left.position)

    def membership(self, left: Any, operator: str, of: Any) -> ast.Membership:
        if isinstance(of, ast.Query):
            return ast.Membership(left, operator, (), of, left.position)
        return ast.Membership(left, operator, of, None, left.position)

    def and_condition(self, *terms: Any) -> ast.Logical:
        return ast.Logical("AND", tuple(t for t in terms if not isinstance(t, Token)))

    def or_condition(self, *terms: Any) -> ast.Logical:
        return ast.Logical("OR", tuple(t for t in terms if not isinstance(t, Token)))

    def not_condition(self, _: Token, term: Any) -> ast.Logical:
        return ast.Logical("NOT", (term,))

    # -- clauses: each comes up as (its name, its value) ---------------------------------------

    def select_list(self, *items: Any) -> tuple[Any, ...]:
        return items

    def from_clause(self, name: Token, *rest: Token) -> tuple[Token, str | None]:
        if len(rest) > 1:
            sentence = "aliases of relationships in FROM are not supported by this org"
            raise at(self.text, rest[-1].start_pos, code="MALFORMED_QUERY", sentence=sentence)
        return name, str(rest[0]) if rest else None

    def using(self, *_: Token) -> tuple[str, None]:
        return "using", None

    def where(self, _: Token, condition: Any) -> tuple[str, Any]:
        return "where", condition

    def with_(self, keyword: Token, word: Token) -> tuple[str, None]:
        if word.upper() not in {"SECURITY_ENFORCED", "USER_MODE", "SYSTEM_MODE"}:
            raise at(
                self.text,
                word.start_pos,
                code="MALFORMED_QUERY",
                sentence=f"unexpected token: '{word}'",
            )
        return "with", None

    def group_list(self, *items: Any) -> tuple[Any, ...]:
        return items

    def group_by(self, _group: Token, _by: Token, items: Any) -> tuple[str, Any]:
        return "group_by", items

    def having(self, _: Token, condition: Any) -> tuple[str, Any]:
        return "having", condition

    def direction(self, token: Token) -> str:
        return token.type

    def nulls(self, _: Token, place: Token) -> bool:
        return bool(place.type == "LAST")

    def order_item(self, by: Any, *how: Any) -> ast.OrderItem:
        nulls_last = next((item for item in how if isinstance(item, bool)), None)
        return ast.OrderItem(by, "DESC" in how, nulls_last)

    def order_by(self, _order: Token, _by: Token, *items: Any) -> tuple[str, Any]:
        return "order_by", items

    def limit(self, _: Token, count: Token) -> tuple[str, int]:
        return "limit", self._count(count)

    def offset(self, _: Token, count: Token) -> tuple[str, int]:
        return "offset", self._count(count)

    def for_clause(self, *_: Token) -> tuple[str, None]:
        return "for", None

    def query(self, select: Token, items: Any, _from: Token, *rest: Any) -> ast.Query:
        (name, alias), *others = rest
        clauses = dict(others)
        return ast.Query(
            select=items, sobject=str(name), sobject_position=name.start_pos, alias=alias,
            where=clauses.get("where"), group_by=clauses.get("group_by", ()),
            having=clauses.get("having"), order_by=clauses.get("order_by", ()),
            limit=clauses.get("limit"), offset=clauses.get("offset"),
            position=select.start_pos or 0,
        )  # fmt: skip

    def _count(self, token: Token) -> int:
        if int(token) < 0:
            raise at(
                self.text,
                token.start_pos,
                code="MALFORMED_QUERY",
                sentence=f"unexpected token: '{token}'",
            )
        return int(token)


def _constant(kind: ast.Kind, token: Token) -> ast.Constant:
    return ast.Constant(kind, str(token), token.start_pos or 0)
