"""Extra children are deleted and tagged by runs, with their number typed; undo brings them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from core.bootstrap import Orgbridge
from core.errors import ConflictError, OrgbridgeError, UserError
from core.services import extra_children, launching, operations, plans
from core.services import schedules as schedule_service
from core.services.extra_children import Act, Place
from core.services.schedules import ScheduleRequest
from terminal import launches as terminal_launches
from terminal import operations as terminal_operations
from terminal import schedules as terminal_schedules
from terminal import session
from tests.org.engine import SCHEMA, Pair, connect, line
from tests.org.test_engine_rules import create, live
from tests.orgs import PracticeOrgs

PLACE = Place("engine", "contact", "AccountId")


@pytest.fixture
def pair(bridge: Orgbridge, practice_org: PracticeOrgs) -> Iterator[Pair]:
    """One account with a contact was migrated; somebody then made three contacts by hand."""
    made = connect(
        bridge,
        practice_org(name="Legacy", schema=SCHEMA),
        practice_org(name="New", schema=SCHEMA),
    )
    (account,) = create(made.source, "Account", {"Name": "A"})
    create(made.source, "Contact", {"LastName": "Mine", "AccountId": account})
    made.run()
    parent = live(made.target, "Account")[0]["Id"]
    extra: list[dict[str, Any]] = [{"LastName": f"X{n}", "AccountId": parent} for n in range(3)]
    create(made.target, "Contact", *extra)
    yield made


def names(pair: Pair) -> list[str]:
    return sorted(str(row["LastName"]) for row in live(pair.target, "Contact"))


def test_extra_children_are_counted_tagged_and_deleted_by_runs(pair: Pair) -> None:
    here = (pair.bridge, pair.actor, PLACE)
    assert extra_children.records(*here).height == 3
    content = b"".join(extra_children.records_csv(*here))
    assert content.startswith(b"\xef\xbb\xbfid,parent,created,name\r\n")
    assert content.count(b"\r\n") == 4
    with pytest.raises(ConflictError, match="There are 3 extra Contact records now, not 2"):
        extra_children.launch(*here, Act(count=2))
    with pytest.raises(UserError, match="its name must be confirmed"):
        extra_children.launch(*here, Act(count=3))
    assert [row.name for row in plans.plans(pair.bridge, pair.actor)] == ["engine"]

    for field in ("Nope__c", "Id"):
        with pytest.raises(UserError, match=f"no field '{field}' that can be written"):
            extra_children.launch(*here, Act(count=3, field=field, value="x"))
    # as the target calls the child, which is what lists show
    shown = replace(PLACE, child="CONTACT", lookup="accountid")
    assert extra_children.records(pair.bridge, pair.actor, shown).height == 3

    tag = Act(count=3, field="description", value="=extra")
    tagged = extra_children.launch(*here, tag, enqueue=False)
    pair.carry(tagged)
    assert line(pair.document(tagged), "contact")["updated"] == 3
    assert [r["Description"] for r in live(pair.target, "Contact")].count("=extra") == 3
    pair.carry(launching.undo(pair.bridge, pair.actor, tagged, enqueue=False))
    assert [r["Description"] for r in live(pair.target, "Contact")].count("=extra") == 0

    act = Act(count=3, confirm="new", reason="made twice by hand")
    name = extra_children.launch(*here, act, enqueue=False)
    pair.carry(name)
    assert names(pair) == ["Mine"]
    assert extra_children.records(*here).height == 0

    undone = launching.undo(
        pair.bridge, pair.actor, name, confirm="new", reason="they were right", enqueue=False
    )
    pair.carry(undone)
    assert names(pair) == ["Mine", "X0", "X1", "X2"]


def said(app: typer.Typer, *words: str) -> int:
    """One command in this process; its exit status."""
    ended = typer.main.get_command(app).main(list(words), standalone_mode=False)
    return int(ended or 0)


def test_the_terminal_lists_files_tags_deletes_and_schedules_them(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "opened", lambda: nullcontext((pair.bridge, pair.actor)))
    app, verb = terminal_operations.app, "extra-children"
    only = ("--only", "contact.AccountId")

    assert said(app, verb, "engine") == 0
    assert "3 extra children" in capsys.readouterr().err
    file = tmp_path / "extra.csv"
    assert said(app, verb, "engine", *only, "--csv", str(file)) == 0
    assert file.read_bytes().count(b"\r\n") == 4
    with pytest.raises(UserError, match=r"--only CHILD\.LOOKUP"):
        said(app, verb, "engine", "--delete", "--count", "3")
    with pytest.raises(UserError, match="is not FIELD=VALUE"):
        said(app, verb, "engine", *only, "--tag", "Description", "--count", "3")
    with pytest.raises(ConflictError, match="There are 3 extra Contact records now, not 2"):
        said(app, verb, "engine", *only, "--tag", "Description=x", "--count", "2")

    assert said(app, verb, "engine", *only, "--tag", "Description=by hand", "--count", "3") == 0
    assert [row["Description"] for row in live(pair.target, "Contact")].count("by hand") == 3
    act = ("--delete", "--count", "3", "--confirm", "new", "--reason", "made twice")
    assert said(app, verb, "engine", *only, *act) == 0
    assert names(pair) == ["Mine"]

    rhythm = ("--cron", "30 2 * * *", "--operation", "extra_child_records")
    assert said(terminal_schedules.app, "add", "nightly", *rhythm, "--set", "plan=engine") == 0
    (kept,) = schedule_service.schedules(pair.bridge, pair.actor)
    assert (kept.row.operation, kept.row.options["plan"]) == ("extra_child_records", "engine")


def test_operations_delete_export_and_say_what_is_missing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At every door the number, the target's name and a reason are asked for before anything."""
    bridge, actor = pair.bridge, pair.actor
    place = {"plan": "engine", "child": "contact", "lookup": "AccountId"}
    wanted = {**place, "at_most": 3, "confirm": "new", "reason": "made twice"}
    rhythm = ScheduleRequest("s", "30 2 * * *", operation="delete_extra_children")
    for given, sentence in (
        ({**wanted, "confirm": "New"}, "its name must be confirmed"),
        ({**wanted, "reason": ""}, "a reason is needed"),
        ({**wanted, "plan": "nope"}, "no plan"),
        ({**wanted, "at_most": 0}, "at_most"),
    ):
        with pytest.raises(OrgbridgeError, match=sentence):
            operations.enqueue(bridge, actor, "delete_extra_children", given=given)
        with pytest.raises(OrgbridgeError, match=sentence):
            schedule_service.create(bridge, actor, replace(rhythm, options=given))
    with pytest.raises(UserError, match="3 extra Contact records now, more than 2"):
        operations.launch(bridge, actor, "delete_extra_children", given={**wanted, "at_most": 2})
    assert operations.latest(bridge, actor, "extra_child_records", given={"plan": "engine"}) is None

    exported = operations.launch(bridge, actor, "export_extra_children", given=place)
    monkeypatch.setattr(session, "opened", lambda: nullcontext((bridge, actor)))
    file = tmp_path / "kept.csv"
    said(terminal_launches.app, "file", str(exported.id), "--csv", str(file))
    assert file.read_bytes().startswith(b"\xef\xbb\xbfid,parent,created,name\r\n")
    assert file.read_bytes().count(b"\r\n") == 4
    assert [row.rows for row in operations.kept(bridge, actor)] == [3]

    launched = operations.launch(bridge, actor, "delete_extra_children", given=wanted)
    pair.carry(launched.result["run"])
    assert names(pair) == ["Mine"]
    again = operations.launch(bridge, actor, "delete_extra_children", given=wanted)
    assert again.message == "There are no extra Contact records."
    assert "run" not in again.result


def test_the_terminal_searches_by_trained_weights(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One field alone leaves nothing to learn from, which is said."""
    pytest.importorskip("splink")
    monkeypatch.setattr(session, "opened", lambda: nullcontext((pair.bridge, pair.actor)))
    people = [
        {"LastName": f"Name{n % 40}", "FirstName": f"Given{n % 40}", "Email": f"m{n}@x.example"}
        for n in range(60)
    ]
    create(pair.target, "Contact", *people)
    words = ("duplicates", "new", "Contact", "--trained", "--fields")

    with pytest.raises(UserError, match="no values by which a trained search could learn"):
        said(terminal_operations.app, *words, "LastName")
    assert said(terminal_operations.app, *words, "LastName,FirstName,Email") == 0
    assert "20 groups of likely duplicates" in capsys.readouterr().err
