"""``runs``: list, show, steer, retry and undo runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.exits import Exit
from terminal.output import say, show_json, show_table
from terminal.progress import figures, status_of

app = typer.Typer(no_args_is_help=True, add_completion=False)
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.callback()
def _runs() -> None:
    """Runs: one execution of one version of a plan each."""


@app.command("list")
def list_runs(*, as_json: Json = False) -> None:
    """All runs, the newest first."""
    from core.services import running
    from terminal.session import opened

    with opened() as (bridge, actor):
        rows = running.listed(bridge, actor)
    if as_json:
        show_json(
            [
                {
                    "run_id": row.name,
                    "status": row.status.value,
                    "mode": row.mode,
                    "plan": row.plan_name,
                    "version": row.plan_version,
                    "started_at": row.started_at,
                    "finished_at": row.finished_at,
                }
                for row in rows
            ]
        )
        return
    show_table(
        ("Run", "Status", "Mode", "Plan", "Source", "Target", "Started"),
        [
            (
                r.name,
                r.status.value,
                r.mode,
                r.plan_name,
                r.source_name,
                r.target_name,
                r.started_at,
            )
            for r in rows
        ],
        empty="No run yet: `run PLAN` starts one.",
    )


@app.command()
def show(name: str, *, as_json: Json = False) -> int:
    """Where a run stands, with its figures; exits as the run would have."""
    from core.services import running
    from terminal.session import opened

    with opened() as (bridge, actor):
        document = running.document(bridge, actor, name)
    if as_json:
        show_json(document)
    else:
        figures(document)
    return status_of(document)


@app.command()
def pause(name: str) -> None:
    """Let what is on its way end, then stop; resumable."""
    from core.services import steering
    from terminal.session import opened

    with opened() as (bridge, actor):
        steering.pause(bridge, actor, name)
    say(f"{name} pauses as soon as what is on its way has ended.")


@app.command()
def resume(name: str, *, as_json: Json = False) -> int:
    """Carry a run on in this process, from where it stands."""
    from core.services import steering
    from terminal.run import carried
    from terminal.session import opened

    with opened() as (bridge, actor):
        steering.resume(bridge, actor, name, enqueue=False)
        return carried(bridge, actor, name, as_json=as_json)


@app.command()
def cancel(name: str) -> None:
    """Stop a run for good; rows sent until then stay."""
    from core.domain.states import CARRIED_RUNS, RunState
    from core.services import steering
    from terminal.session import opened

    with opened() as (bridge, actor):
        was = steering.cancel(bridge, actor, name)
    if was in CARRIED_RUNS:
        say(f"{name} is cancelled as soon as what is on its way has ended. Rows sent stay.")
    elif was is RunState.FAILED:
        say(f"{name} had failed; it is cancelled now and cannot be resumed. Rows sent stay.")
    else:
        say(f"{name} is cancelled; it was {was.value.lower()}. Rows sent stay.")


@app.command()
def decide(
    name: str,
    answer: Annotated[str, typer.Argument(help="continue or stop")],
    *,
    as_json: Json = False,
) -> int:
    """Answer a run that waits for a decision."""
    from core.services import steering
    from terminal.run import carried
    from terminal.session import opened

    if answer not in ("continue", "stop"):
        raise typer.BadParameter("continue or stop", param_hint="ANSWER")
    with opened() as (bridge, actor):
        steering.decide(bridge, actor, name, go_on=answer == "continue", enqueue=False)
        # told to stop, it still fills in what waited in the rows that are there
        return carried(bridge, actor, name, as_json=as_json)


@app.command()
def retry(
    name: str,
    only: Annotated[str, typer.Option(help="Mappings, with commas; else all of them.")] = "",
    group: Annotated[list[str] | None, typer.Option(help="A group of equal failures.")] = None,
    row: Annotated[list[str] | None, typer.Option(help="Source id of a row.")] = None,
    confirm: Annotated[str, typer.Option(help="The target's name, where it is asked for.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")] = "",
    *,
    blank_lookups: Annotated[
        bool, typer.Option("--blank-lookups", help="Also rows that arrived without a lookup.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Carry a run of the rows that did not arrive, by the plan as it stands now."""
    from core.services import retrying
    from terminal.run import carried
    from terminal.session import opened

    mappings = tuple(part.strip() for part in only.split(",") if part.strip())
    choice = retrying.RetryChoice(tuple(group or ()), tuple(row or ()), mappings, blank_lookups)
    with opened() as (bridge, actor):
        made = retrying.retry(
            bridge, actor, name, choice, confirm=confirm, reason=reason, enqueue=False
        )
        return carried(bridge, actor, made, as_json=as_json)


@app.command()
def undo(
    name: str,
    confirm: Annotated[str, typer.Option(help="The target's name, where it is asked for.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")] = "",
    *,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what would happen.")] = False,
    as_json: Json = False,
) -> int:
    """Take a run's writes back: delete what it made, restore what it changed."""
    from core.services import launching
    from terminal.run import carried
    from terminal.session import opened

    with opened() as (bridge, actor):
        made = launching.undo(
            bridge, actor, name, confirm=confirm, reason=reason, preview=preview, enqueue=False
        )
        return carried(bridge, actor, made, as_json=as_json)


@app.command()
def errors(
    name: str,
    csv: Annotated[Path, typer.Option("--csv", help="File to write.")] = Path("errors.csv"),
) -> None:
    """Write the rows that did not arrive to a CSV file, with the reasons and the values sent."""
    from core.services import running
    from terminal.session import opened

    with opened() as (bridge, actor), csv.open("wb") as sink:
        for block in running.failures_csv(bridge, actor, name):
            sink.write(block)
    say(str(csv))


@app.command()
def report(
    name: str,
    html: Annotated[Path | None, typer.Option(help="Page to open or print.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Its figures as a table.")] = None,
    differences: Annotated[
        Path | None, typer.Option(help="Every value that reads back otherwise than sent, as CSV.")
    ] = None,
) -> int:
    """The proof of a run: what was checked and whether it holds; exits with 2 where it does not."""
    from core.services import proof
    from terminal.session import opened

    with opened() as (bridge, actor):
        found = proof.shown(bridge, actor, name)
        if html is not None:
            html.write_bytes(proof.html(bridge, actor, name))
        if csv is not None:
            csv.write_bytes(proof.csv(bridge, actor, name))
        if differences is not None:
            with differences.open("wb") as sink:
                everything = proof.DifferenceFilter()
                for block in proof.differences_csv(bridge, actor, name, everything):
                    sink.write(block)
    if found.heading:
        say(found.heading)
    show_table(
        ("Claim", "Verdict", "What it rests on"),
        [(check.title, check.verdict.value, check.sentence) for check in found.checks],
        empty="Nothing was checked.",
    )
    broken = found.verdict is proof.Verdict.BROKEN
    return Exit.LEFT_ROWS if broken else Exit.OK
