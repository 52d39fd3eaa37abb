"""``schedules``: plans that are launched again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import NotFoundError
from terminal.output import say, show_json, show_table
from terminal.values import EMAIL, named_values

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor
    from core.services.schedules import ScheduleView

app = typer.Typer(no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(help="Name of the schedule.")]
Plan = Annotated[str, typer.Option(help="Name of the plan.")]
Operation = Annotated[str, typer.Option(help="In place of a plan, such as record_counts.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the operation."),
]
Cron = Annotated[str, typer.Option(help='Minute hour day month weekday, such as "30 2 * * 1-5".')]
Zone = Annotated[str, typer.Option(help="Time zone of the hours, such as Europe/Berlin.")]
Mode = Annotated[str, typer.Option(help="full, delta or dry-run.")]
Late = Annotated[str, typer.Option(help="After an absence: run_once or skip.")]
Overlap = Annotated[str, typer.Option(help="While the last run still goes: skip or queue.")]
Confirm = Annotated[str, typer.Option(help="Name of a protected target org.")]
Reason = Annotated[str, typer.Option(help="Why it may write there without anybody looking.")]
Email = Annotated[str, typer.Option(help=EMAIL)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]


@app.callback()
def _schedules() -> None:
    """Launch plans again and again."""


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """All schedules, the next due first."""
    from core.services import schedules
    from terminal.session import opened

    with opened() as (bridge, actor):
        views = schedules.schedules(bridge, actor)
    if as_json:
        show_json([_document(view) for view in views])
        return
    head = ("Schedule", "Plan", "Rhythm", "Next", "Last", "Outcome", "On")
    table = [
        (
            view.row.name,
            view.row.plan or view.row.operation,
            view.words,
            view.next_times[0] if view.next_times else None,
            view.last.due_at if view.last else None,
            view.last.outcome if view.last else None,
            view.row.enabled,
        )
        for view in views
    ]
    show_table(head, table, empty="No schedule yet; `schedules add` makes one.")


@app.command()
def add(
    name: Name,
    cron: Cron,
    plan: Plan = "",
    operation: Operation = "",
    parameters: Set = None,
    time_zone: Zone = "UTC",
    mode: Mode = "full",
    late: Late = "run_once",
    overlap: Overlap = "skip",
    confirm: Confirm = "",
    reason: Reason = "",
    email: Email = "",
) -> None:
    """Make a schedule; it fires from its next time on."""
    from core.services import operations, plans, schedules
    from core.services.confirming import Confirmation
    from terminal.session import opened

    with opened() as (bridge, actor):
        what: dict[str, Any] = {"operation": operation}
        if operation:
            what["options"] = operations.parsed(operation, named_values(parameters or ()))
        else:
            plan_id = plans.plan(bridge, actor, name=plan).row.id
            what = {"plan_id": plan_id, "options": {"mode": mode, "email_answer": email}}
        request = schedules.ScheduleRequest(
            name=name,
            cron=cron,
            time_zone=time_zone,
            late_policy=late,
            overlap_policy=overlap,
            **what,
        )
        confirmation = Confirmation(confirm, reason)
        schedules.create(bridge, actor, request, confirmation=confirmation)
        view = _named(bridge, actor, name)
    say(f"{view.words}; next at {view.next_times[0]:%Y-%m-%d %H:%M} UTC.")


@app.command()
def pause(name: Name) -> None:
    """Keep a schedule from firing."""
    _switch(name, on=False)


@app.command()
def resume(name: Name, confirm: Confirm = "", reason: Reason = "") -> None:
    """Let a schedule fire again; what passed meanwhile is not made up for."""
    _switch(name, on=True, confirm=confirm, reason=reason)


@app.command()
def remove(name: Name) -> None:
    """Delete a schedule; the runs it launched stay."""
    from core.services import schedules
    from terminal.session import opened

    with opened() as (bridge, actor):
        schedules.remove(bridge, actor, _named(bridge, actor, name).row.id)
    say(f"{name} is removed.")


def _switch(name: str, *, on: bool, confirm: str = "", reason: str = "") -> None:
    from core.services import schedules
    from core.services.confirming import Confirmation
    from terminal.session import opened

    with opened() as (bridge, actor):
        row = _named(bridge, actor, name).row
        confirmation = Confirmation(confirm, reason)
        schedules.switch(bridge, actor, row.id, on=on, confirmation=confirmation)
    say(f"{name} {'fires again' if on else 'is paused'}.")


def _named(bridge: Orgbridge, actor: Actor, name: str) -> ScheduleView:
    from core.services import schedules

    for view in schedules.schedules(bridge, actor):
        if view.row.name.lower() == name.lower():
            return view
    raise NotFoundError(f"There is no schedule {name!r}.", next_step="`schedules list` shows them.")


def _document(view: ScheduleView) -> dict[str, object]:
    row = view.row
    return {
        "name": row.name,
        "plan": row.plan,
        "operation": row.operation,
        "options": row.options,
        "cron": row.cron,
        "time_zone": row.time_zone,
        "late_policy": row.late_policy,
        "overlap_policy": row.overlap_policy,
        "enabled": row.enabled,
        "next_times": view.next_times,
        "firings": [
            {"due_at": one.due_at, "outcome": one.outcome, "run": one.run} for one in view.firings
        ],
    }
