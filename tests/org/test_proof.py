"""The proof of a run between two practice orgs whose target does things of its own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.bootstrap import Orgbridge
from core.config import Settings
from core.reports.proof import Verdict
from core.services import proof, run_files, tracing
from tests.org.engine import Pair, connect
from tests.org.two_orgs import two_orgs
from tests.orgs import PracticeOrg

FIELDS = """
standard: [Account, Contact]
objects:
  Account:
    keep: [Name, Phone, Fax, Website, NumberOfEmployees, Description]
    fields: &key
      Legacy_Id__c:
        {type: text, label: Legacy Id, length: 18, external_id: true, unique: true,
         case_sensitive: true}
      Amount__c: {type: currency, label: Amount, digits: 18, scale: 2}
"""
CONTACTS = """
  Contact:
    keep: [Name, FirstName, LastName, Email, AccountId]
    fields: *key
"""
HOOKS = """
    hooks:
      - {set: {Website: "LOWER(Website)"}}
      - {set: {Fax: "NULL"}}
      - {when: 'Phone = "no"', refuse: No such phone, field: Phone}
      - on: [insert]
        when: 'Phone = "twin"'
        create: {sobject: Contact, fields: {LastName: '"Made by the org"'}}
"""
PLAN = """
orgbridge: 1
name: proven
source: legacy
target: new
objects:
  - source: Account
    key: {source: Id, target: Legacy_Id__c}
  - source: Contact
    key: {source: Id, target: Legacy_Id__c}
    lookups: {AccountId: {missing: blank}}
"""
HOSTILE = '"><script>alert(1)</script> & =1+1'


orgs = two_orgs(FIELDS + CONTACTS, FIELDS + HOOKS + CONTACTS)


@pytest.fixture
def run(bridge: Orgbridge, orgs: tuple[PracticeOrg, PracticeOrg]) -> tuple[Pair, str]:
    """A finished run: a refused account, a contact whose parent is missing, a value lost."""
    pair = connect(bridge, *orgs)
    for org in orgs:
        rows = [row for name in ("Contact", "Account") for row in org.rows(name)]
        org.json("POST", "/_sim/edit", {"delete": [r["Id"] for r in rows if not r["IsDeleted"]]})
        org.begin_afresh("Account", "Contact")
    accounts = [
        {"Name": "A", "Amount__c": 10.25, "NumberOfEmployees": 3, "Website": "HTTP://A"},
        {"Name": HOSTILE, "Amount__c": 1e9, "Fax": HOSTILE, "Phone": "twin"},
        {"Name": "C", "Phone": "no"},
    ]
    ids = [pair.source.json("POST", "sobjects/Account", row)["id"] for row in accounts]
    for nth, account in enumerate(ids):
        row = {"LastName": f"L{nth}", "AccountId": account}
        pair.source.json("POST", "sobjects/Contact", row)
    return pair, pair.run(PLAN)["run_id"]


class _Page(HTMLParser):
    """Tags, and addresses that a browser would ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [str(v) for name, v in attrs if name in ("src", "href", "action")]


def test_rule_6_1_and_6_2_the_proof_says_what_arrived_and_what_did_not(
    run: tuple[Pair, str],
) -> None:
    pair, name = run
    found = proof.shown(pair.bridge, pair.actor, name)

    checks = {check.title: check for check in found.checks}
    account, contact = found.objects
    fields = {field.name: field for field in account.fields}
    assert found.verdict is Verdict.BROKEN
    assert checks["Every row is accounted for"].verdict is Verdict.PROVEN
    assert "1 row did not arrive" in checks["Every row arrived"].sentence
    assert (account.rows, account.missing, account.lost) == (2, 0, 1)
    assert fields["Fax"].differences == {"lost": 1}
    assert fields["Website"].differences == {"automation": 1}
    assert fields["Amount__c"].sum_sent == Decimal("1000000010.25")
    assert fields["Amount__c"].sums_agree
    assert [(c.target, c.before, c.inserted, c.after, c.beyond) for c in found.counts] == [
        ("Account", 0, 2, 2, 0),
        ("Contact", 0, 3, 4, 1),
    ]
    lookup = next(field for field in contact.fields if field.name == "AccountId")
    assert (lookup.resolved, lookup.left_blank) == (2, 1)
    assert checks["Lookups resolved"].verdict is Verdict.BROKEN
    assert [(p.bucket, p.promised, p.happened) for p in account.promises] == [("insert", 3, 2)]
    assert {reader.role for reader in found.readers} == {"source", "target"}
    assert found.heading == ""  # both users see all data


def test_a_proof_runs_nothing_asks_nobody_and_its_tables_hold_every_difference(
    run: tuple[Pair, str],
) -> None:
    pair, name = run

    page = proof.html(pair.bridge, pair.actor, name).decode()

    parsed = _Page()
    parsed.feed(page)
    assert parsed.addresses == []
    assert not parsed.tags & {"script", "img", "link", "iframe", "form"}
    assert "http" not in page.split("<body>")[0].replace("http-equiv", "")
    assert "&lt;script&gt;alert(1)" in page
    assert "1,000,000,010.25" in page
    everything = proof.DifferenceFilter()

    listed = proof.differences(pair.bridge, pair.actor, name, everything)
    blocks = b"".join(proof.differences_csv(pair.bridge, pair.actor, name, everything))
    table = proof.csv(pair.bridge, pair.actor, name).decode("utf-8-sig")
    figures = list(csv.DictReader(io.StringIO(table)))

    assert {(o.field, o.difference) for o in listed if o.difference != "normalised"} == {
        ("Fax", "lost"),
        ("Website", "automation"),
    }
    lost = proof.DifferenceFilter(mapping="account", field="Fax", kinds=("lost",))
    assert len(proof.differences(pair.bridge, pair.actor, name, lost)) == 1
    rows = list(csv.DictReader(io.StringIO(blocks.decode("utf-8-sig"))))
    assert {HOSTILE, "HTTP://A"} <= {row["Sent"] for row in rows}
    assert len(rows) == len(listed)
    sums = {row["Field"]: row for row in figures if row["What"] == "sum"}
    assert sums["NumberOfEmployees"]["Expected"] == sums["NumberOfEmployees"]["Found"] == "3"


def test_the_files_of_a_run_hold_its_rows_as_sent_and_both_ids(run: tuple[Pair, str]) -> None:
    pair, name = run

    ids = read(run_files.id_map_csv(pair.bridge, pair.actor, name))
    sent = read(run_files.sent_csv(pair.bridge, pair.actor, name, mapping="account"))
    refused = next(row["Id"] for row in pair.source.rows("Account") if row["Phone"] == "no")
    values = run_files.source_values(
        pair.bridge, pair.actor, name, mapping="account", ids=[refused, "unknown"]
    )

    there = {(row["Legacy_Id__c"], row["Id"]) for row in pair.target.rows("Account")}
    accounts = {(row["Source id"], row["Target id"]) for row in ids if row["Object"] == "account"}
    assert accounts == there
    assert len(ids) == len(there) + 3
    assert {(row["Source id"], row["Target id"]) for row in sent} == there
    assert {row["Name"] for row in sent} == {"A", HOSTILE}
    assert values.keys() == {refused}
    assert values[refused]["Phone"] == "no"


def read(blocks: Iterable[bytes]) -> list[dict[str, str]]:
    """The rows of a CSV file that came in pieces."""
    return list(csv.DictReader(io.StringIO(b"".join(blocks).decode("utf-8-sig"))))


def test_a_record_is_found_by_the_id_of_either_org_and_by_its_key(run: tuple[Pair, str]) -> None:
    pair, name = run
    moved = next(row for row in pair.target.rows("Account") if row["Name"] == "A")
    refused = next(row for row in pair.source.rows("Account") if row["Phone"] == "no")

    by_source = tracing.trace(pair.bridge, pair.actor, moved["Legacy_Id__c"])
    by_target = tracing.trace(pair.bridge, pair.actor, f" {moved['Id'][:15]} ")
    held_back = tracing.trace(pair.bridge, pair.actor, refused["Id"])
    pair.target.json("PATCH", f"sobjects/Account/{moved['Id']}", {"Legacy_Id__c": "K'7"})
    by_key = tracing.trace(pair.bridge, pair.actor, "K'7")
    by_name = tracing.trace(pair.bridge, pair.actor, "a")
    unknown = tracing.trace(pair.bridge, pair.actor, "nobody has this")

    (link,) = by_source.links
    assert (link.source_id, link.target_id) == (moved["Legacy_Id__c"], moved["Id"])
    assert (link.origin, link.run) == ("inserted", name)
    assert by_target.links == by_source.links == by_key.links == by_name.links
    assert "Account.Name in legacy" in by_name.looked_in
    assert "Account.Legacy_Id__c in new" in by_key.looked_in
    assert not held_back.links
    assert [(line.run, line.kind) for line in held_back.setbacks] == [(name, "failed")]
    assert {line.target_object for line in (link, *held_back.setbacks)} == {"Account"}
    assert not unknown.links
    assert unknown.looked_in


def test_the_terminal_writes_the_same_report(
    run: tuple[Pair, str], settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, name = run
    monkeypatch.setenv("DATABASE_URL", str(settings.database_url))
    monkeypatch.setenv("ORGBRIDGE_HOME", str(settings.home))
    monkeypatch.setenv("ORGBRIDGE_KEY", str(settings.key.reveal() if settings.key else ""))
    from terminal.runs import app

    page, table = tmp_path / "proof.html", tmp_path / "proof.csv"
    words = ["report", name, "--html", str(page), "--csv", str(table)]
    said = CliRunner().invoke(app, words, standalone_mode=False)

    assert said.return_value == 2
    assert "Every value as sent" in said.output
    assert f"Proof of run {name}" in page.read_text(encoding="utf-8")
    assert table.read_bytes() == proof.csv(pair.bridge, pair.actor, name)
