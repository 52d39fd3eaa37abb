"""The project's own Python files, parsed, for the tests of rooms and sizes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ROOTS = (
    "app.py",
    "cli.py",
    "core",
    "orgsim",
    "pages",
    "terminal",
    "tests",
    "benchmarks",
    "alembic",
)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One file."""

    #: relative to the project, with slashes
    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """Dotted name: ``core.db.engine``; a package by its own name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, and where."""

    source: Source
    line: int
    #: dotted name of what is imported; for ``from a import b`` both ``a`` and ``a.b``
    names: tuple[str, ...]
    #: within ``if TYPE_CHECKING:``
    for_types: bool


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of ours."""
    found = []
    for root in ROOTS:
        place = PROJECT / root
        files = [place] if place.is_file() else sorted(place.rglob("*.py"))
        for file in files:
            text = file.read_text(encoding="utf-8")
            path = file.relative_to(PROJECT).as_posix()
            found.append(Source(path, text, ast.parse(text, path)))
    return tuple(found)


@cache
def nodes(source: Source) -> tuple[ast.AST, ...]:
    """Every node of a file, walked once for all tests."""
    return tuple(ast.walk(source.tree))


@cache
def imports(source: Source) -> tuple[Import, ...]:
    """All imports of a file, those inside functions too."""
    return tuple(_imports(source))


def _imports(source: Source) -> Iterator[Import]:
    only_types = _type_checking_lines(source)
    for node in nodes(source):
        if isinstance(node, ast.Import):
            names = tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(source, node)
            names = (base, *(f"{base}.{alias.name}" for alias in node.names))
        else:
            continue
        yield Import(source, node.lineno, names, node.lineno in only_types)


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = source.module.split(".")
    if not source.path.endswith("__init__.py"):
        parts = parts[:-1]
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _type_checking_lines(source: Source) -> frozenset[int]:
    lines: set[int] = set()
    for node in nodes(source):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for inner in node.body:
                lines.update(range(inner.lineno, (inner.end_lineno or inner.lineno) + 1))
    return frozenset(lines)
