"""A rerun works nothing out of rows that are as they were read, and of all others it does (3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
import pytest
from sqlalchemy import text

from core.migration import as_read, load
from core.migration.prepare import Prepared, prepare
from core.migration.spec import Step
from tests.org.engine import PLAN, SCHEMA, Pair, check_identity, line
from tests.org.pairs import create, live
from tests.org.two_orgs import empty_pair, two_orgs

orgs = two_orgs(SCHEMA)
pair = empty_pair("Contact", "Account")


@contextmanager
def rows_worked_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Rows that the loading works out meanwhile, page by page."""
    seen: list[int] = []

    def counting(step: Step, page: pl.DataFrame, *given: Any, **named: Any) -> Prepared:
        seen.append(page.height)
        return prepare(step, page, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(load, "prepare", counting)
        yield seen


def family(pair: Pair) -> tuple[str, str, str]:
    """An account, its child, and a contact of the child."""
    (parent,) = create(pair.source, "Account", {"Name": "Parent", "Phone": "1"})
    (child,) = create(pair.source, "Account", {"Name": "Child", "ParentId": parent})
    (contact,) = create(pair.source, "Contact", {"LastName": "Ng", "AccountId": child})
    return parent, child, contact


def arrived(pair: Pair) -> dict[str, dict[str, Any]]:
    """Rows of the target by their id in the source."""
    rows = [*live(pair.target, "Account"), *live(pair.target, "Contact")]
    return {row["Legacy_Id__c"]: row for row in rows}


def digests(pair: Pair, change: str = "") -> list[int | None]:
    """What the ledger keeps of rows as they were read, after a change of it."""
    with pair.bridge.owner_session() as session:
        if change:
            session.execute(text(f"UPDATE record_link SET {change}"))
        return list(session.execute(text("SELECT read_hash FROM record_link")).scalars())


def unchanged(document: dict[str, Any]) -> dict[str, int]:
    """Rows of each mapping that were left as they are."""
    check_identity(document)
    return {name: line(document, name)["unchanged"] for name in ("account", "contact")}


def test_rule_3_3_rows_as_they_were_read_are_known_without_their_rules(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(pair)
    pair.run()

    with rows_worked_out(monkeypatch) as seen:
        again = pair.run()

    assert unchanged(again) == {"account": 2, "contact": 1}
    assert again["status"] == "Succeeded"
    assert seen == []


def test_rule_3_3_a_changed_cell_is_sent_and_sent_back(pair: Pair) -> None:
    parent, *_ = family(pair)
    pair.run()
    phones = []
    for phone in ("2", "1"):
        pair.source.json("PATCH", f"sobjects/Account/{parent}", {"Phone": phone})
        document = pair.run()
        phones.append(arrived(pair)[parent]["Phone"])
        assert line(document, "account")["updated"] == 1
        assert unchanged(document) == {"account": 1, "contact": 1}

    assert phones == ["2", "1"]


def test_rule_3_3_a_changed_rule_is_applied_to_every_row(pair: Pair) -> None:
    family(pair)
    pair.run()

    rule = '    fields:\n      Name: {expression: "upper(Name)"}\n'
    head, tail = PLAN.split("  - source: Contact")
    document = pair.run(head + rule + "  - source: Contact" + tail)

    assert line(document, "account")["updated"] == 2
    assert {row["Name"] for row in live(pair.target, "Account")} == {"PARENT", "CHILD"}


def test_rule_3_3_children_follow_a_parent_that_was_made_anew(pair: Pair) -> None:
    parent, child, _ = family(pair)
    plan = PLAN.replace(
        "  - source: Contact",
        "    on_target_missing: recreate\n    on_target_change: overwrite\n  - source: Contact",
    )
    pair.run(plan)
    pair.target.json("DELETE", f"sobjects/Account/{arrived(pair)[parent]['Id']}")

    document = pair.run(plan)

    there = arrived(pair)
    assert line(document, "account")["inserted"] >= 1
    assert there[child]["ParentId"] == there[parent]["Id"]


def test_rule_3_2_a_target_that_others_deleted_is_told_though_its_row_is_as_read(
    pair: Pair,
) -> None:
    *_, contact = family(pair)
    pair.run()
    pair.target.json("DELETE", f"sobjects/Contact/{arrived(pair)[contact]['Id']}")

    document = pair.run()

    assert line(document, "contact")["blocked"] == 1
    assert line(document, "contact")["unchanged"] == 0


def test_rule_3_2_a_target_that_others_changed_stays_theirs(pair: Pair) -> None:
    parent, *_ = family(pair)
    pair.run()
    target = arrived(pair)[parent]["Id"]
    pair.target.json("PATCH", f"sobjects/Account/{target}", {"Phone": "by hand"})

    quiet = pair.run()
    pair.source.json("PATCH", f"sobjects/Account/{parent}", {"Name": "Parent 2"})
    loud = pair.run()

    assert unchanged(quiet) == {"account": 2, "contact": 1}
    assert line(loud, "account")["blocked"] == 1
    assert arrived(pair)[parent]["Phone"] == "by hand"


def test_rule_2_4_links_without_digests_are_compared_once_and_known_afterwards(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(pair)
    pair.run()
    before = sorted(map(str, digests(pair)))
    digests(pair, "read_hash = NULL")  # as an older version left them

    dry = pair.run(mode="dry-run")
    assert digests(pair) == [None, None, None]
    with rows_worked_out(monkeypatch) as seen:
        first = pair.run()
    kept = sorted(map(str, digests(pair)))
    with rows_worked_out(monkeypatch) as seen_again:
        second = pair.run()

    assert unchanged(dry) == unchanged(first) == unchanged(second) == {"account": 2, "contact": 1}
    assert sum(seen) == 3
    assert kept == before
    assert seen_again == []


def test_rule_2_4_a_digest_ends_with_the_hash_that_it_was_kept_with(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, *_ = family(pair)
    pair.run()
    target = arrived(pair)[parent]["Id"]
    pair.target.json("PATCH", f"sobjects/Account/{target}", {"Phone": "2"})
    # an older version sent that, and knows of no digest
    digests(pair, "sent_hash = sent_hash + 1, target_modstamp = now() + interval '1 day'")

    with rows_worked_out(monkeypatch) as seen:
        document = pair.run(
            PLAN.replace("Legacy_Id__c}", "Legacy_Id__c}\n    on_target_change: overwrite")
        )

    assert sum(seen) == 3
    assert line(document, "account")["updated"] == 1
    assert arrived(pair)[parent]["Phone"] == "1"


def test_rule_3_3_other_code_makes_every_row_be_worked_out_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    family(pair)
    pair.run()
    monkeypatch.setattr(as_read, "code_mark", lambda: "of another version")

    with rows_worked_out(monkeypatch) as seen:
        document = pair.run()

    assert unchanged(document) == {"account": 2, "contact": 1}
    assert sum(seen) == 3


def test_rule_5_1_a_row_whose_lookup_leads_nowhere_is_looked_at_every_time(pair: Pair) -> None:
    (account,) = create(pair.source, "Account", {"Name": "Left out"})
    create(pair.source, "Contact", {"LastName": "Ng", "AccountId": account})
    blank = PLAN.replace(
        "  - source: Account\n", "  - source: Account\n    where: \"Name != 'Left out'\"\n"
    )
    lookups = "    lookups:\n      AccountId: {missing: blank}\n"

    left = [line(pair.run(blank + lookups), "contact")["lookups_left_blank"] for _ in range(3)]
    found = pair.run(PLAN + lookups)

    assert left == [1, 1, 1]
    assert line(found, "contact")["updated"] == 1
    assert live(pair.target, "Contact")[0]["AccountId"] is not None
