"""``plans``: import, export, list and check plans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.exits import Exit
from terminal.output import note, say, show_json, show_table

app = typer.Typer(no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.callback()
def _plans() -> None:
    """Plans: which objects and fields move, and how."""


@app.command("import")
def import_plan(
    file: Annotated[Path, typer.Argument(help="A plan file (YAML), or one of another tool.")],
    source: Annotated[
        str | None, typer.Option(help="Source org, for files that name none.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Target org, for files that name none.")
    ] = None,
    sobject: Annotated[str | None, typer.Option(help="Object of a Data Loader .sdl.")] = None,
) -> None:
    """Keep a plan; one of the same name gets a new draft."""
    from core.services import plans
    from terminal.session import opened

    foreign = plans.ForeignFile(
        content=_content(file),
        file_name=str(file),
        source=source,
        target=target,
        sobject=sobject,
        values=_beside(file, "ValueMapping.csv"),
        fields=_beside(file, "FieldMapping.csv"),
    )
    with opened() as (bridge, actor):
        kept = plans.import_file(bridge, actor, foreign)
    for remark in kept.notes:
        note(f"{remark.place}: {remark.sentence}")
    say(f"{kept.name}: {kept.objects} object{'' if kept.objects == 1 else 's'} kept.")


def _beside(file: Path, name: str) -> str | None:
    """The text of another file of the same folder, if there is one."""
    path = file.parent / name
    return path.read_text(encoding="utf-8-sig") if path.is_file() else None


def _content(file: Path) -> bytes:
    from core.errors import UserError

    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(
            f"{file} cannot be read: {error.strerror}.",
            state="Nothing was saved.",
            next_step="Check the path.",
        ) from error


@app.command()
def export(name: str, version: Annotated[int | None, typer.Option()] = None) -> None:
    """Print a plan as YAML."""
    from core.services import plans
    from terminal.session import opened

    with opened() as (bridge, actor):
        say(plans.export(bridge, actor, name=name, version=version).rstrip("\n"))


@app.command("list")
def list_plans(*, as_json: Json = False) -> None:
    """All plans."""
    from core.services import plans
    from terminal.session import opened

    with opened() as (bridge, actor):
        rows = plans.plans(bridge, actor)
    if as_json:
        show_json(
            [
                {
                    "name": row.name,
                    "source": row.source_org,
                    "target": row.target_org,
                    "version": row.newest_version,
                    "updated_at": row.updated_at,
                }
                for row in rows
            ]
        )
        return
    show_table(
        ("Plan", "Source", "Target", "Version", "Changed"),
        [(r.name, r.source_org, r.target_org, r.newest_version, r.updated_at) for r in rows],
        empty="No plan yet: `plans import FILE` keeps one.",
    )


@app.command()
def check(name: str, *, as_json: Json = False) -> int:
    """Look at both orgs and the data before anything is sent: 0 ready, 1 blockers."""
    from core.services import plans, preflight
    from terminal.session import opened

    with opened() as (bridge, actor):
        view = plans.plan(bridge, actor, name=name)
        report = preflight.check(bridge, actor, view.row.id)
    if as_json:
        show_json(report.document())
    else:
        show_table(
            ("Severity", "Where", "Rows", "What"),
            [(f.severity.value, f.place or "plan", f.rows, f.sentence) for f in report.findings],
            empty="Nothing was found.",
        )
    return Exit.OK if report.ready else Exit.FAILED
