"""Front door for terminals and CI: the same services as the pages, no Streamlit.

Only the file of the command that is asked for is imported, so that a first request goes out within
a second. What a person can mend is one sentence on standard error; what is ours goes to the log.
"""

from __future__ import annotations

import gc
import logging
import sys
from importlib import import_module
from types import TracebackType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from core import allocators, log
from core.config import load_settings
from core.errors import BugError, OrgbridgeError
from terminal.exits import Exit

#: objects made before the collector looks for circles again: a start makes 190,000 that stay, and
#: looking through them even once takes a fifteenth of it
OBJECTS_PER_COLLECTION = 250_000

#: command → module, and the help line that `--help` shows without importing it
COMMANDS: dict[str, tuple[str, str]] = {
    "orgs": ("terminal.orgs", "Connect, list, test and remove orgs."),
    "plans": ("terminal.plans", "Import, export, list and check plans."),
    "files": ("terminal.files", "CSV files and zips as the source of a plan."),
    "run": ("terminal.run", "Run a plan and wait for its end."),
    "runs": ("terminal.runs", "List, show, steer, retry and undo runs."),
    "operations": ("terminal.launches", "Launch any operation by its name."),
    "count": ("terminal.operations", "Compare record counts of two orgs."),
    "duplicates": ("terminal.operations", "Find records that look alike."),
    "fields": ("terminal.operations", "Compare fields of two orgs."),
    "extra-children": ("terminal.operations", "Find child records that only the target has."),
    "export": ("terminal.operations", "Write records of an org to a CSV file."),
    "schedules": ("terminal.schedules", "Launch plans again and again."),
    "ledger": ("terminal.ledger", "Links between the records of two orgs: list, copy, rebase."),
    "logs": ("terminal.logs", "Write logs and the audit trail to a file."),
    "people": ("terminal.people", "Invite people; let somebody in who lost the password."),
    "workspaces": ("terminal.workspaces", "List and make workspaces."),
    "worker": ("terminal.worker", "Carry jobs until told to end."),
    "practice": ("terminal.practice", "Start, reset and stop the two practice orgs."),
    "db": ("terminal.database", "Bring the schema up; copy the database."),
    "keys": ("terminal.keys", "Rotate the keys of stored secrets."),
}


class LazyGroup(TyperGroup):
    """Lists every command, imports one."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order above."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command itself, or for the overview only its help line."""
        if cmd_name not in COMMANDS:
            return None
        module, help_line = COMMANDS[cmd_name]
        if cmd_name not in sys.argv:
            return TyperCommand(cmd_name, help=help_line)
        return loaded(module, cmd_name)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Moves data between Salesforce orgs and proves that it arrived.",
)


@app.callback()
def root(
    workspace: str = typer.Option("main", help="Workspace to act in."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Tell the log's story here too."),
) -> None:
    """Options of every command."""
    from terminal import session

    session.workspace.set(workspace)
    if verbose:
        log.configure(load_settings(), process="terminal")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status."""
    sys.excepthook = _say_bug
    allocators.keep_little_memory()
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    command = typer.main.get_command(app)
    try:
        log.configure(load_settings(), process="terminal", to_stderr=False)
        status = command.main(args=arguments, prog_name="cli.py", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except typer.TyperException as error:
        getattr(error, "show", lambda: None)()
        return Exit.FAILED
    except BugError:
        raise
    except OrgbridgeError as error:
        logging.getLogger(__name__).info("command refused", exc_info=error)
        sys.stderr.write(f"{log.redact(str(error))}\n")
        return Exit.FAILED
    return int(status) if isinstance(status, int) else Exit.OK


def loaded(module: str, name: str) -> Any:
    """The command of this name out of its module."""
    found: Any = import_module(module)
    command = typer.main.get_command(found.app)
    return getattr(command, "commands", {}).get(name, command)


def _say_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The last resort: one sentence here, the trace in the log."""
    logging.getLogger(__name__).critical("bug", exc_info=(kind, error, trace))
    what = log.redact(str(error)) or kind.__name__
    sys.stderr.write(
        f"This should not have happened: {what}\n"
        f"The details are in {load_settings().home / 'logs' / 'terminal.log'}.\n"
    )


if __name__ == "__main__":
    ended = main()
    if "_duckdb" not in sys.modules:  # what it holds at the end it lists on standard error
        gc.freeze()  # a third of a second: no collection walks what the end of the process frees
    sys.exit(ended)
