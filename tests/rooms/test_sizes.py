"""Sizes and manners that reading cannot hold to: measured, with a short list of exceptions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.rooms.sources import Source, nodes, sources

MODULE_MAX_LINES = 600
FUNCTION_MAX_LINES = 60
POSITIONAL_MAX = 3
PAGE_MAX_LINES = 120
#: what a service or a kept context is handed first; not counted
CARRIED = frozenset(
    "self cls bridge actor session context ctx run step save staged call transaction cursor".split()
)
#: helpers of one file may take one more
PRIVATE_POSITIONAL_MAX = 4

#: path, or path:function → why it may be larger
ALLOWED: dict[str, str] = {
    "alembic/versions/0001_baseline.py": "generated from the models",
    "core/db/engine.py:do_connect": "SQLAlchemy's hook gives four by position",
    "core/domain/plan/text.py:construct_mapping": "PyYAML's signature",
    "core/db/models/base.py:flag": "reads as a column's type",
    # Steps of the engine that hand on a page with its two maps; a dataclass would name them worse:
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: Source) -> Iterator[_Function]:
    """Every function of a file."""
    for node in nodes(source):
        if isinstance(node, _Function):
            yield node


def ours() -> list[Source]:
    """Files whose sizes count."""
    return [one for one in sources() if one.path not in ALLOWED]


def lines_of(node: _Function) -> int:
    """Lines from ``def`` to the end, docstring not counted."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def test_modules_stay_readable() -> None:
    large = [
        f"{one.path}: {count}"
        for one in ours()
        if (count := one.text.count("\n")) > MODULE_MAX_LINES
    ]

    assert not large, "\n".join(large)


def test_functions_stay_readable() -> None:
    large = [
        f"{one.path}:{node.lineno} {node.name}: {lines_of(node)}"
        for one in ours()
        for node in functions(one)
        if lines_of(node) > FUNCTION_MAX_LINES and f"{one.path}:{node.name}" not in ALLOWED
    ]

    assert not large, "\n".join(large)


def test_page_scripts_stay_short() -> None:
    pages = [one for one in ours() if one.path.startswith("pages/") and one.path.count("/") == 2]
    large = [
        f"{one.path}: {count}"
        for one in pages
        if not one.path.startswith(("pages/parts/", "pages/static/"))
        and (count := one.text.count("\n")) > PAGE_MAX_LINES
    ]

    assert not large, "\n".join(large)


def test_few_arguments_go_by_position() -> None:
    """Fixtures of tests and options of commands are given by name, so they do not count."""
    wrong = []
    for one in ours():
        if one.path.startswith(("tests/", "terminal/", "alembic/")):
            continue
        for node in functions(one):
            given = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
            count = len([name for name in given if name not in CARRIED])
            limit = PRIVATE_POSITIONAL_MAX if node.name.startswith("_") else POSITIONAL_MAX
            if count > limit and f"{one.path}:{node.name}" not in ALLOWED:
                wrong.append(f"{one.path}:{node.lineno} {node.name}: {count}")

    assert not wrong, "\n".join(wrong)


def test_booleans_go_by_name() -> None:
    wrong = [
        f"{one.path}:{node.lineno} {node.name}({argument.arg})"
        for one in ours()
        if one.path.startswith(("core/", "pages/", "orgsim/"))
        for node in functions(one)
        for argument in (*node.args.posonlyargs, *node.args.args)
        if isinstance(argument.annotation, ast.Name) and argument.annotation.id == "bool"
        if not node.name.startswith("_") and not _is_hook(node)
        if f"{one.path}:{node.name}" not in ALLOWED
    ]

    assert not wrong, "\n".join(wrong)


def test_every_file_says_first_what_it_is_for() -> None:
    wrong = [
        one.path
        for one in sources()
        if one.text.strip() and not (ast.get_docstring(one.tree) or "").strip()
    ]

    assert wrong == []


def test_annotations_are_never_evaluated() -> None:
    wrong = [
        one.path
        for one in sources()
        if one.tree.body[1:] and "from __future__ import annotations" not in one.text
    ]

    assert wrong == []


def test_broad_excepts_are_at_three_borders_only() -> None:
    """The worker's loop, the HTTP boundary and the page boundary."""
    borders = {"core/jobs/worker.py", "core/api/rest.py", "pages/parts/boxes.py"}
    wrong = [
        f"{one.path}:{node.lineno}"
        for one in sources()
        if one.path.startswith(("core/", "pages/", "terminal/", "app.py", "cli.py"))
        and one.path not in borders
        for node in nodes(one)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and _is_broad(node.type.id)))
        and not _raises_again(node)
    ]

    assert wrong == []


def test_public_functions_of_core_have_docstrings() -> None:
    wrong = [
        f"{one.path}:{node.lineno} {node.name}"
        for one in sources()
        if one.path.startswith("core/")
        for node in one.tree.body
        if isinstance(node, _Function | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]

    assert not wrong, "\n".join(wrong)


def _is_broad(name: str) -> bool:
    return name in ("Exception", "BaseException")


def _raises_again(node: ast.ExceptHandler) -> bool:
    return any(isinstance(one, ast.Raise) for one in ast.walk(node))


def _is_hook(node: _Function) -> bool:
    """Called by a library, which gives its arguments by position; its docstring says so."""
    return "hook" in (ast.get_docstring(node) or "").lower()
