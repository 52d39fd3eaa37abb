"""Progress of a run on standard error, its figures on standard output, and the exit status they
mean."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core.domain import unfilled
from terminal.exits import Exit
from terminal.output import note, say, show_table

#: between two looks at the run
LOOK_S = 2.0
#: causes of what stayed without a value that the last words name
CAUSES_TOLD = 5
_COLUMNS = ("read", "inserted", "updated", "unchanged", "skipped", "blocked", "failed")


@contextmanager
def following(bridge: Any, actor: Any, name: str) -> Iterator[list[str]]:
    """Tells the run's story while the block works; the list holds what was told."""
    ended, told = threading.Event(), list[str]()
    told_to = {"ended": ended, "told": told}
    thread = threading.Thread(target=_tell, args=(bridge, actor, name), kwargs=told_to, daemon=True)
    note(f"run {name}")
    thread.start()
    try:
        yield told
    finally:
        ended.set()
        thread.join()


def figures(document: Mapping[str, Any]) -> None:
    """The figures of a run as a table."""
    rows = [
        (entry["as"], *(entry.get(name, 0) for name in _COLUMNS), entry.get("not_processed", 0))
        for entry in document["objects"]
    ]
    show_table(("Object", *_COLUMNS, "not processed"), rows, empty="No object was reached.")
    why = document.get("unfilled", ())
    last = sum(line["rows"] for line in why if line["phase"] == "finally")
    blank = sum(entry.get("lookups_left_blank", 0) for entry in document["objects"])
    left = unfilled.told(blank, last)
    told = f"{document['run_id']}: {document['status']}, {document['seconds']} s"
    say(f"{told}; {left}" if left else told)
    for line in why[:CAUSES_TOLD]:
        say(f"  {unfilled.reason(line['where'], line['rows'], line['message'])}")
    if len(why) > CAUSES_TOLD:
        say(f"  … `runs errors {document['run_id']} --csv FILE` names every row.")
    if document["status"] == "Waiting for decision":
        say(f"`runs decide {document['run_id']} continue` lets it go on, `stop` ends it here.")
    if document["status"] == "Waiting for approval":
        say("Another person with the role approver decides on the run's page; a worker carries it.")


def status_of(document: Mapping[str, Any], *, interrupted: bool = False) -> int:
    """The exit status of a run that stands as it does."""
    status = str(document["status"])
    if status.startswith("Waiting"):
        return Exit.WAITS
    if interrupted or status in ("Paused", "Running", "Pausing"):
        return Exit.INTERRUPTED
    if status in {"Succeeded", "Undone"}:
        return Exit.OK
    return Exit.LEFT_ROWS if status == "Partial" else Exit.FAILED


def _tell(bridge: Any, actor: Any, name: str, *, ended: threading.Event, told: list[str]) -> None:
    from core.services import running

    last, is_over = None, False
    while not is_over:
        is_over = ended.wait(LOOK_S)  # what was said since the last look is told as well
        for event in running.events(bridge, actor, name, after=last):
            last = event.id
            note(event.message)
            told.append(event.message)
