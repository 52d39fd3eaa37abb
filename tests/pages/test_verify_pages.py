"""The pages on which people decide: empty, full, and after a decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from core.bootstrap import Orgbridge
from core.db import operation_logs, runs
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.errors import OrgbridgeError, UserError
from core.operations.carrying import carry
from core.services import duplicates, files, operations, plans
from core.services.files import Upload
from pages.parts import count_history, count_parts, duplicate_compare, duplicate_parts
from tests.org.scripted_data import ScriptedData, described
from tests.org.scripted_org import Reply

Opened = Callable[..., AppTest]
TEXT = {"name": "LastName", "type": "string", "length": 80}


@pytest.fixture
def pair(bridge: Orgbridge, actor: Actor) -> Iterator[tuple[ScriptedData, ScriptedData]]:
    source, target = ScriptedData("00D000000000001EAA"), ScriptedData("00D000000000002EAA")
    source.register(bridge, actor, "Legacy")
    target.register(bridge, actor, "New")
    legacy = {"name": "Legacy__c", "type": "string", "length": 10, "custom": True, "label": "Old"}
    source.describes = {"Contact": described("Contact", TEXT, legacy)}
    target.describes = {"Contact": described("Contact", TEXT | {"length": 20})}
    people = [{"Id": f"00300000000000{n}AAA", "LastName": f"L{n % 2}"} for n in range(4)]
    source.rows = {"Contact": people}
    source.http.on("POST", "/composite/sobjects/Contact", _retrieved(people))
    yield source, target
    source.http.stop()
    target.http.stop()


def _retrieved(people):  # type: ignore[no-untyped-def]
    by_id = {row["Id"]: row for row in people}
    return lambda seen: Reply(body=[by_id.get(one) for one in seen.json()["ids"]])


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("verify/differences.py", "Two orgs are needed"),
        ("verify/duplicates.py", "No org yet"),
        ("verify/extra_children.py", "No plan yet"),
        ("verify/counts.py", "No plan yet"),
    ],
)
def test_an_empty_page_says_what_fills_it(opened: Opened, file: str, words: str) -> None:
    page = opened(file)

    assert not page.exception and not page.error
    assert any(words in box.value for box in page.markdown)
    assert all(box.options for box in page.selectbox), "nothing to choose is not asked"


def carried(bridge: Orgbridge, actor: Actor, page: AppTest, kind: str) -> AppTest:
    """What a worker does with all that waits, and the page drawn anew."""
    for entry in operations.entries(bridge, actor, kind):
        if entry.status == "pending":
            carry(bridge, actor.workspace_id, entry.id, kind=kind)
    return page.run()


def test_fields_are_compared_and_one_is_told_property_by_property(
    opened: Opened, bridge: Orgbridge, actor: Actor, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    page = opened("verify/differences.py", role=Role.ANALYST, a="Legacy", b="New")
    page.button(key="differences.act").click().run()
    carried(bridge, actor, page, "field_differences")

    assert not page.exception and not page.error
    table = page.dataframe[0].value
    assert table["field"].to_list() == ["Legacy__c", "LastName"]
    assert table["source"].to_list() == ["Text(10)", "Text(80)"]
    assert any("Its values have nowhere to go" in box.value for box in page.markdown)

    page.button_group(key="choice.kind").set_value(["different"]).run()
    assert page.dataframe[0].value["field"].to_list() == ["LastName"]
    assert "different" in page.query_params["kind"]
    linked = opened("verify/differences.py", a="Legacy", b="New", kind="different")
    assert linked.dataframe[0].value["field"].to_list() == ["LastName"]


VERIFY = {
    "verify/counts.py": ("record_counts", "counts.act", {}),
    "verify/differences.py": ("field_differences", "differences.act", {"a": "Legacy", "b": "New"}),
    "verify/duplicates.py": ("duplicates", "duplicates.act", {"org": "Legacy"}),
    "verify/extra_children.py": ("extra_child_records", "extra.act", {}),
}


@pytest.mark.parametrize("file", VERIFY)
def test_what_is_under_way_is_shown_stopped_and_told_to_everybody(
    opened: Opened,
    bridge: Orgbridge,
    actor: Actor,
    pair: tuple[ScriptedData, ScriptedData],
    file: str,
) -> None:
    """It waits, is seen by who opens the page anew, and can be stopped; nobody begins it twice."""
    kind, button, address = VERIFY[file]
    plans.create(bridge, actor, parse_plan(PLAN))
    page = opened(file, role=Role.ANALYST, **address)
    page.button(key=button).click().run()
    again = opened(file, role=Role.APPROVER, **address)
    for one in (page, again):
        assert not one.exception and not one.error
        assert one.button(key=button).disabled
        assert any("Waits for a worker" in box.value for box in one.markdown)

    again.button(key=f"under_way.{kind}.stop").click().run()

    assert not again.exception and not again.error
    assert any("was stopped" in box.value for box in again.caption)
    assert not again.button(key=button).disabled
    carried(bridge, actor, page, kind)
    assert [one.status for one in operations.entries(bridge, actor, kind)] == ["cancelled"]


@pytest.mark.parametrize("file", VERIFY)
def test_a_failure_is_a_sentence_above_what_was_found_before(
    opened: Opened,
    bridge: Orgbridge,
    actor: Actor,
    pair: tuple[ScriptedData, ScriptedData],
    file: str,
) -> None:
    kind, button, address = VERIFY[file]
    plans.create(bridge, actor, parse_plan(PLAN))
    for side in pair:
        side.http.stop()  # the org is away
    page = opened(file, role=Role.ANALYST, **address)
    page.button(key=button).click().run()
    with pytest.raises(OrgbridgeError):
        carried(bridge, actor, page, kind)
    page.run()

    assert not page.exception
    (box,) = page.error
    assert "failed" in box.proto.title and box.value.strip()
    assert not page.button(key=button).disabled


def test_an_object_that_the_target_lacks_is_told_and_a_plan_is_the_scope(
    opened: Opened, bridge: Orgbridge, actor: Actor, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    source, _ = pair
    source.describes["Old__c"] = described("Old__c", TEXT)
    plans.create(bridge, actor, parse_plan(PLAN))
    page = opened("verify/differences.py", role=Role.ANALYST, a="Legacy", b="New")
    page.button(key="differences.act").click().run()
    carried(bridge, actor, page, "field_differences")
    table = page.dataframe[0].value
    assert list(zip(table["object"], table["field"], strict=True)) == [
        ("Contact", "Legacy__c"), ("Contact", "LastName"), ("Old__c", "(whole object)"),
    ]  # fmt: skip
    assert any("The target lacks 1 of the objects" in box.value for box in page.markdown)

    few = {"source": "Legacy", "target": "New", "objects": ["Old__c"]}
    operations.launch(bridge, actor, "field_differences", given=few)
    assert len(page.run().dataframe[0].value) == 3

    page.selectbox(key="differences_plan").set_value("p").run()
    assert any("Not compared yet" in box.value for box in page.markdown)
    page.button(key="differences.act").click().run()
    carried(bridge, actor, page, "field_differences")
    assert not page.exception and not page.error
    assert "Old__c" not in page.dataframe[0].value["object"].to_list()


def test_a_viewer_sees_no_button_that_asks_an_org(
    opened: Opened, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    page = opened("verify/differences.py", role=Role.VIEWER, a="Legacy", b="New")

    assert not page.exception
    assert "differences.act" not in {button.key for button in page.button}


def test_a_decision_takes_the_cluster_off_the_open_list(
    opened: Opened, bridge: Orgbridge, actor: Actor, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    given = {"org": "Legacy", "object": "Contact", "method": "exact", "fields": ["LastName"]}
    entry = operations.launch(bridge, actor, "duplicates", given=given)
    page = opened("verify/duplicates.py", role=Role.ANALYST, org="Legacy", object="Contact")
    assert not page.exception and not page.error
    assert page.dataframe[0].value["records"].to_list() == [2, 2]

    page.button(key="duplicates.keep").click().run()

    assert not page.exception and not page.error
    board = duplicates.board(bridge, actor, log_id=entry.id)
    assert len(board.open) == 1
    assert [one.decision.survivor_id for one in board.clusters if one.decision] == [
        "003000000000000AAA"
    ]
    assert page.dataframe[0].value["records"].to_list() == [2]


def test_all_that_are_likely_enough_are_accepted_at_once_and_exported(
    opened: Opened, bridge: Orgbridge, actor: Actor, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    """What a person decided before stays; a number that is not the list's any more is refused."""
    source, _ = pair
    parts = ("bel", "kor", "min", "tas", "vor")
    names = [f"{a}{b}{c}" for a in parts for b in parts for c in parts]
    people = [
        {
            "Id": f"003{number:012d}AAA",
            "LastName": name,
            "Email": f"{name}{at}@x.example",
            "Phone": str(5550100 + 3700 * at),
        }
        for number, (at, name) in enumerate([*enumerate(names), *enumerate(names[:8])])
    ]
    others = ({"name": name, "type": "string", "length": 80} for name in ("Email", "Phone"))
    source.describes = {"Contact": described("Contact", TEXT, *others)}
    source.rows = {"Contact": people}
    source.http.on("POST", "/composite/sobjects/Contact", _retrieved(people))
    entry = operations.launch(
        bridge, actor, "duplicates", given={"org": "Legacy", "object": "Contact"}
    )
    before = duplicates.board(bridge, actor, log_id=entry.id)
    apart = before.open[0]
    assert len(before.likely(0.97)) == 8
    duplicates.decide(
        bridge, actor, before.places[0], record_ids=apart.record_ids, decision="not_duplicates"
    )
    with pytest.raises(UserError, match="By now 7 groups"):
        duplicates.accept(bridge, actor, log_id=entry.id, from_probability=0.97, count=8)

    page = opened("verify/duplicates.py", role=Role.ANALYST, org="Legacy", object="Contact")
    page.button(key="duplicates.sure").click().run()
    assert page.button(key="duplicates.sure.all.act").disabled
    # here a dialog is open in the run of its button alone
    page.button(key="duplicates.sure").click()
    page.text_input(key="duplicates.sure.count").input("7").run()
    page.button(key="duplicates.sure").click()
    page.button(key="duplicates.sure.all.act").click().run()

    assert not page.exception and not page.error
    after = duplicates.board(bridge, actor, log_id=entry.id)
    made = [one.decision.decision for one in after.clusters if one.decision]
    assert sorted(made) == ["keep"] * 7 + ["not_duplicates"]
    told = duplicate_parts.csv_of(after.clusters).decode("utf-8-sig").splitlines()
    assert len(told) == 17
    assert sum(",keep,003" in line for line in told) == 14


def test_records_of_two_orgs_stand_side_by_side_and_a_decision_is_opened_again(
    opened: Opened, bridge: Orgbridge, actor: Actor, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    """Each record is read in its own org, and lookups are told by name."""
    source, target = pair
    lookup = {"name": "AccountId", "type": "reference", "referenceTo": ["Account"]}
    firm = described("Account", {"name": "Name", "type": "string", "nameField": True})
    for org, own in ((source, "1"), (target, "2")):
        org.describes = {
            "Contact": described("Contact", TEXT, lookup),
            "Account": firm | {"keyPrefix": "001"},
        }
        person = {
            "Id": f"00300000000000{own}AAA",
            "LastName": "L1",
            "AccountId": f"00100000000000{own}AAA",
        }
        org.rows = {"Contact": [person]}
        org.http.on("POST", "/composite/sobjects/Contact", _retrieved([person]))
        firms = [{"Id": person["AccountId"], "Name": f"Firm {own}"}]
        org.http.on("POST", "/composite/sobjects/Account", _retrieved(firms))
    given = {"org": "Legacy", "object": "Contact", "method": "exact", "fields": ["LastName"]}
    entry = operations.launch(bridge, actor, "duplicates", given=given | {"across": "New"})
    page = opened(
        "verify/duplicates.py", role=Role.ANALYST, org="Legacy", object="Contact", across="New"
    )

    assert not page.exception and not page.error
    compared = page.dataframe[-1].value
    assert compared.loc[compared["Field"] == "AccountId", ["A", "B"]].to_numpy().tolist() == [
        ["Firm 1", "Firm 2"]
    ]
    page.button(key="duplicates.keep").click().run()
    (cluster,) = duplicates.board(bridge, actor, log_id=entry.id).clusters
    assert cluster.decision is not None and cluster.decision.elsewhere is not None
    assert cluster.decision.survivor_id == "003000000000002AAA"
    assert cluster.decision.elsewhere.record_ids == ("003000000000002AAA",)

    page.segmented_control(key="choice.show").set_value("decided").run()
    page.button(key="duplicates.reopen").click().run()
    assert not page.exception and not page.error
    (cluster,) = duplicates.board(bridge, actor, log_id=entry.id).clusters
    assert cluster.decision is None


def test_an_org_that_refuses_leaves_what_the_search_read_and_the_decision(
    opened: Opened, bridge: Orgbridge, actor: Actor, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    given = {"org": "Legacy", "object": "Contact", "method": "exact", "fields": ["LastName"]}
    operations.launch(bridge, actor, "duplicates", given=given)
    refusal = [{"errorCode": "API_DISABLED_FOR_ORG", "message": "The API is switched off."}]
    away = Reply(status=403, body=refusal)
    pair[0].http.on("POST", "/composite/sobjects/Contact", away)

    page = opened("verify/duplicates.py", role=Role.ANALYST, org="Legacy", object="Contact")

    assert not page.exception
    assert len(page.error) == 1
    assert any("what the search read" in box.value for box in page.caption)
    assert page.button(key="duplicates.keep")


def test_values_of_records_are_told_as_people_read_them() -> None:
    """A year before the calendar of a zone, or what only looks like a moment, stays as it is."""
    shown = duplicate_compare.shown_value

    assert shown("2019-04-23T10:15:59.000+0000") == "2019-04-23 10:15"
    assert shown("2019-04-23T10:15:59Z") == "2019-04-23 10:15"
    assert [shown(one) for one in ("2019-04-23", "True", "False", "4")] == [
        "2019-04-23", "Yes", "No", "4",
    ]  # fmt: skip
    for odd in ("2019-13-45T10:15:59Z", "0001-01-01T00:00:00+2359"):
        assert shown(odd) == odd


def test_extra_children_are_listed_after_a_look(
    opened: Opened, bridge: Orgbridge, actor: Actor, pair: tuple[ScriptedData, ScriptedData]
) -> None:
    plans.create(bridge, actor, parse_plan(PLAN))
    page = opened("verify/extra_children.py", role=Role.ANALYST)
    page.button(key="extra.act").click().run()
    carried(bridge, actor, page, "extra_child_records")

    assert not page.exception and not page.error
    assert any("No extra children" in box.value for box in page.markdown)


PLAN = "orgbridge: 1\nname: p\nsource: Legacy\ntarget: New\nobjects:\n  - source: Contact\n"


def test_missing_rows_are_listed_launched_and_followed_over_time(
    opened: Opened,
    drawn: Opened,
    bridge: Orgbridge,
    actor: Actor,
    pair: tuple[ScriptedData, ScriptedData],
) -> None:
    source, target = pair
    source.describes = {"Contact": described("Contact", TEXT | {"nameField": True})}
    target.rows = {"Contact": []}
    plans.create(bridge, actor, parse_plan(PLAN))
    page = opened("verify/counts.py", role=Role.ANALYST)
    for _ in range(2):
        page.button(key="counts.act").click().run()
        carried(bridge, actor, page, "record_counts")
    assert not page.exception and not page.error
    assert any("Last 2 counts" in box.value for box in page.caption)
    one_of_many: dict[str, object] = {
        "name": "contact", "source_object": "Contact", "target_object": "Contact",
        "verdict": "missing", "source": 1517, "target": 1516, "missing": 1, "extra": 0,
    }  # fmt: skip
    assert count_parts.frame([one_of_many])["share"].to_list() == [99]
    assert count_history.distance(4, 0) == "4 rows behind the source"
    assert count_history.distance(4, None) == "unknown: an org did not count"
    # a plan of a run over a list of ids is newer, and not what one came to count
    files.keep(bridge, actor, name="ids", uploads=[Upload("Extra.csv", [b"Record_Id\n1\n"])])
    of_ids = PLAN.replace("name: p", "name: ids").replace("source: Legacy", "source: ids")
    plans.create(bridge, actor, parse_plan(of_ids))
    counts = opened("verify/counts.py", role=Role.VIEWER)
    assert counts.selectbox(key="counts_plan").value == "p"
    children = opened("verify/extra_children.py", role=Role.APPROVER)
    assert children.selectbox(key="plan").options == ["p"]

    page.button(key="counts.explain").click().run()
    carried(bridge, actor, page, "record_counts")
    assert not page.exception and not page.error
    assert page.segmented_control(key="choice.reason").options == ["No run has sent it yet 4"]
    assert any("4 rows missing" in box.value for box in page.markdown)
    named = [one.value for one in page.dataframe if "said" in one.value.columns]
    assert [one["name"].to_list() for one in named] == [["L0", "L1", "L0", "L1"]]
    dialog = drawn(
        "from pages.parts import missing_acts\n"
        "missing_acts.launch_dialog('p', 'contact', told='Contact')"
    )
    assert "Rows of **Contact** that" in dialog.markdown[0].value
    dialog.button(key="counts.launch.do.act").click().run()

    assert not dialog.error
    with bridge.session(actor.workspace_id) as session:
        (run,) = runs.runs(session, limit=5)
    assert run.mode == "retry"
    assert len(run.options["rows"]["contact"]) == 4


def test_listing_the_rows_of_one_object_keeps_those_of_another(
    opened: Opened,
    drawn: Opened,
    bridge: Orgbridge,
    actor: Actor,
    pair: tuple[ScriptedData, ScriptedData],
) -> None:
    pair[1].rows = {"Contact": []}
    two = PLAN.replace("  - source: Contact\n", "")
    two += "".join(f"  - {{as: {name}, source: Contact}}\n" for name in ("people", "others"))
    plans.create(bridge, actor, parse_plan(two))
    listed = {"plan": "p", "explain": ["others"]}
    operations.launch(bridge, actor, "record_counts", given=listed)

    page = opened("verify/counts.py", role=Role.ANALYST)
    page.button(key="counts.explain").click().run()
    carried(bridge, actor, page, "record_counts")

    assert not page.exception and not page.error
    newest = operations.entries(bridge, actor, "record_counts")[0]
    assert newest.parameters["explain"] == ["people", "others"]
    assert {name: one["reasons"] for name, one in newest.result["missing"].items()} == {
        "people": {"never_sent": 4}, "others": {"never_sent": 4},
    }  # fmt: skip
    # an object that the plan has no more is not asked for again
    part = drawn(
        "import streamlit as st\nfrom pages.parts import missing_acts\n"
        "st.text(missing_acts.to_list('p', 'people', ['gone']))"
    )
    assert part.text[0].value == "['people']"


def test_what_could_not_be_counted_is_told_as_unknown_and_not_as_none_missing(
    opened: Opened,
    bridge: Orgbridge,
    actor: Actor,
    pair: tuple[ScriptedData, ScriptedData],
) -> None:
    pair[1].refused = {"Contact"}
    plans.create(bridge, actor, parse_plan(PLAN))
    operations.launch(bridge, actor, "record_counts", given={"plan": "p"})

    page = carried(bridge, actor, opened("verify/counts.py", role=Role.VIEWER), "record_counts")

    told = {each.label: (each.value, each.delta) for each in page.metric}
    assert told["Missing in target"] == ("—", "nothing was counted")
    assert told["Extra in target"][0] == "—"
    line = page.dataframe[0].value.iloc[0]
    assert line[["missing", "extra"]].isna().all()
    said = " ".join(str(each.value) for each in page.markdown)
    assert "could not be counted, so nobody knows what is missing" in said
    assert "New: " in said.replace("\\", ""), "the org that refused is named"


def test_extra_children_need_their_number_typed(
    opened: Opened,
    drawn: Opened,
    bridge: Orgbridge,
    actor: Actor,
    pair: tuple[ScriptedData, ScriptedData],
) -> None:
    """A log row of an earlier look is enough to draw; the act looks again and says what differs."""
    plans.create(bridge, actor, parse_plan(PLAN))
    log_id = operations.lay(bridge, actor, "extra_child_records", given={"plan": "p"})
    found = {
        "parent": "contact", "parent_object": "Contact", "child": "contact",
        "child_object": "<b>Contact</b>", "lookup": "ReportsToId", "rows": 3, "newest": "=1+1",
        "ids": ["003000000000001AAA"], "parents": ["003000000000002AAA"],
    }  # fmt: skip
    values = {
        "status": "succeeded", "finished_at": bridge.clock(), "message": "3 extra",
        "result": {"plan": "p", "target": "New", "children": [found]},
    }  # fmt: skip
    with bridge.session(actor.workspace_id) as session:
        operation_logs.finish(session, "extra_child_records_log", log_id=log_id, values=values)
    page = opened("verify/extra_children.py", role=Role.ANALYST)
    assert not page.exception and not page.error

    page = drawn(
        "from pages.parts import child_acts\nfrom core.services.extra_children import Place\n"
        f"child_acts.delete_dialog(Place('p', 'contact', 'ReportsToId'), {found!r})"
    )
    assert page.button(key="extra.delete.do.act").disabled
    page.text_input(key="extra.delete.count").set_value("3").run()
    page.text_input(key="extra.delete.org").set_value("New").run()
    page.text_input(key="extra.delete.reason").set_value("made twice by hand").run()
    page.button(key="extra.delete.do.act").click().run()

    assert not page.exception
    assert "moves no parents" in page.error[0].proto.title + page.error[0].value
