"""``files``: CSV files as the source of a plan: import, list, remove, template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from terminal.exits import Exit
from terminal.output import note, say, show_json, show_table

app = typer.Typer(no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
BLOCK_BYTES = 4_000_000


@app.callback()
def _files() -> None:
    """CSV files and zips of them, read by plans as an org is read."""


@app.command("import")
def import_files(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV or zip files.")],
    name: Annotated[str, typer.Option(help="Name of the files as a source.")],
    key: Annotated[
        list[str] | None, typer.Option(help="TABLE=COLUMN[,COLUMN]: how rows are known again.")
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(help="TABLE.COLUMN=OBJECT.FIELD: whom a column names, by which value."),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of all files, when the guess is wrong.")] = "",
    target: Annotated[str, typer.Option(help="Make a plan into this org.")] = "",
    plan: Annotated[
        str, typer.Option(help="Name of that plan; a plan of this name reads these files now.")
    ] = "",
    as_json: Json = False,
) -> int:
    """Keep and read files; with --target or --plan, let a plan take its rows from them."""
    from core.errors import OrgbridgeError
    from core.services import files, operations
    from terminal.session import opened

    uploads = [files.Upload(path.name, _blocks(path)) for path in paths]
    with opened() as (bridge, actor):
        row = files.keep(bridge, actor, name=name, uploads=uploads)
        given = [spec.model_dump(mode="json") for spec in files.tables(row)]
        try:
            _said(given, keys=key or (), links=link or (), encoding=encoding)
            files.describe_tables(bridge, actor, row.id, given)
            entry = operations.launch(bridge, actor, "read_files", given={"files": row.name})
            row = files.file_set(bridge, actor, row.name)
            kept = _planned(bridge, actor, row, target=target, plan=plan)
        except OrgbridgeError:
            files.remove(bridge, actor, row.name)  # the next try may have the same name
            raise
    if as_json:
        show_json({"files": row.name, "tables": entry.result["tables"], "plan": kept})
    else:
        _show(row)
        for one in files.odd_cells(row)[:20]:
            note(f"line {one.line} {one.column}: {one.value[:60]!r} {one.reason}")
        say(f"{row.name}: {entry.message}")
        if kept:
            say(f"Plan {kept} reads them: `plans check {kept}`, `run {kept}`.")
    return Exit.LEFT_ROWS if entry.status == "partial" else Exit.OK


@app.command("list")
def list_files(*, as_json: Json = False) -> None:
    """All files that plans may read from."""
    from core.services import files
    from terminal.session import opened

    with opened() as (bridge, actor):
        found = files.file_sets(bridge, actor)
    if as_json:
        names = ("name", "status", "rows", "bytes", "created_by", "created_at")
        show_json([{name: getattr(row, name) for name in names} for row in found])
        return
    show_table(
        ("Files", "Status", "Rows", "Bytes", "By", "At"),
        [(r.name, r.status, r.rows, r.bytes, r.created_by, r.created_at) for r in found],
        empty="No files yet: `files import FILE --name NAME` keeps some.",
    )


@app.command()
def remove(name: str) -> None:
    """Delete files that no plan reads from."""
    from core.services import files
    from terminal.session import opened

    with opened() as (bridge, actor):
        files.remove(bridge, actor, name)
    say(f"{name}: deleted.")


@app.command()
def template(org: str, sobject: Annotated[str, typer.Argument(metavar="OBJECT")]) -> None:
    """Print a CSV header with the fields that an insert into OBJECT may carry."""
    from core.services import importing
    from terminal.session import opened

    with opened() as (bridge, actor):
        content = importing.template_csv(bridge, actor, org=org, sobject=sobject)
    say(content.decode("utf-8-sig").strip())


def _blocks(path: Path) -> Iterator[bytes]:
    from core.errors import UserError

    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}.",
            state="Nothing was kept.",
            next_step="Check the path.",
        ) from error


def _said(
    tables: list[dict[str, Any]], *, keys: Sequence[str], links: Sequence[str], encoding: str
) -> None:
    """Puts what the options say into the guessed tables."""
    by_name = {table["object"].lower(): table for table in tables}
    for table in tables:
        if encoding:
            table["encoding"] = encoding
    for word in keys:
        name, columns = _halves(word, "TABLE=COLUMN")
        _table(by_name, name)["key"] = [one.strip() for one in columns.split(",")]
    for word in links:
        left, right = _halves(word, "TABLE.COLUMN=OBJECT.FIELD")
        name, column = _halves(left, "TABLE.COLUMN=OBJECT.FIELD", at=".")
        sobject, by = _halves(right, "TABLE.COLUMN=OBJECT.FIELD", at=".")
        _table(by_name, name)["links"].append({"column": column, "object": sobject, "by": by})


def _halves(word: str, shape: str, *, at: str = "=") -> tuple[str, str]:
    from core.errors import UserError

    left, sign, right = word.partition(at)
    if not (left.strip() and sign and right.strip()):
        raise UserError(f"{word!r} is not {shape}.", state="Nothing was kept.")
    return left.strip(), right.strip()


def _table(by_name: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    from core.errors import UserError

    if name.lower() not in by_name:
        known = ", ".join(table["object"] for table in by_name.values())
        raise UserError(f"The files hold no table {name}.", next_step=f"They hold {known}.")
    return by_name[name.lower()]


def _planned(bridge: Any, actor: Any, row: Any, *, target: str, plan: str) -> str:
    """Makes or changes the plan that was asked for; its name, "" for none."""
    from core.services import importing, plans

    if plan and any(one.name == plan for one in plans.plans(bridge, actor)):
        importing.deliver(bridge, actor, row, plan=plan)
        return plan
    if not target:
        return ""
    found = importing.targets(bridge, actor, row, target=target)
    importing.plan_of(bridge, actor, row, target=target, name=plan or row.name, tables=found)
    return plan or str(row.name)


def _show(row: Any) -> None:
    from core.services import files

    lines = []
    read = {one["object"]: one for one in row.document["read"]}
    for spec in files.tables(row):
        kinds = ", ".join(
            f"{c.name} {c.type}{' ' + c.format if c.format else ''}" for c in spec.columns[:6]
        )
        sign = {"\t": "tab"}.get(spec.delimiter, spec.delimiter)
        lines.append((spec.object, read[spec.object]["rows"], f"{spec.encoding} {sign}", kinds))
        for remark in spec.remarks:
            note(f"{spec.object}: {remark}")
    show_table(("Table", "Rows", "Written", "Columns"), lines, empty="")
