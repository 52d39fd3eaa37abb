"""From formula text to its tree."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput

from orgsim.formula import ast
from orgsim.formula.errors import FormulaError


def parse(text: str) -> ast.Node:
    """Return the tree of one formula.

    Raises:
        FormulaError: The text is not a formula; the message says where.
    """
    try:
        node: ast.Node = _ToAst().transform(_grammar().parse(text))
    except UnexpectedInput as problem:
        place = f"line {problem.line}, column {problem.column}"
        raise FormulaError(f"Syntax error in formula at {place}: {text!r}") from problem
    return node


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    source = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(source, parser="lalr", maybe_placeholders=False)


def _operator(sign: str) -> Any:
    def build(_: _ToAst, *arguments: ast.Node) -> ast.Call:
        return ast.Call(sign, arguments)

    return build


@v_args(inline=True)
class _ToAst(Transformer[Token, Any]):
    """Lark's tree to ours."""

    or_ = _operator("||")
    and_ = _operator("&&")
    eq = _operator("=")
    ne = _operator("!=")
    lt = _operator("<")
    le = _operator("<=")
    gt = _operator(">")
    ge = _operator(">=")
    concat = _operator("&")
    add = _operator("+")
    subtract = _operator("-")
    multiply = _operator("*")
    divide = _operator("/")
    power_of = _operator("^")
    negative = _operator("neg")
    not_ = _operator("!")

    def positive(self, operand: ast.Node) -> ast.Node:
        return operand

    def number(self, token: Token) -> ast.Literal:
        return ast.Literal(str(token), numeric=True)

    def string(self, token: Token) -> ast.Literal:
        return ast.Literal(_unescaped(str(token)[1:-1]))

    def true(self, _: Token) -> ast.Literal:
        return ast.Literal(True)

    def false(self, _: Token) -> ast.Literal:
        return ast.Literal(False)

    def null(self, _: Token) -> ast.Literal:
        return ast.Literal(None)

    def field(self, token: Token) -> ast.FieldPath:
        return ast.FieldPath(tuple(part.strip() for part in str(token).split(".")))

    def call(self, name: Token, *arguments: ast.Node) -> ast.Call:
        return ast.Call(str(name).upper(), arguments)


def _unescaped(raw: str) -> str:
    out: list[str] = []
    chars = iter(raw)
    for char in chars:
        if char != "\\":
            out.append(char)
            continue
        escaped = next(chars)
        out.append({"n": "\n", "r": "\r", "t": "\t"}.get(escaped, escaped))
    return "".join(out)
