"""Text of others on every page that shows it: names, labels, messages and rows stay text.

Everything that people or orgs may name bears markup of every kind that a page could take for its
own: HTML, links, formulas, icons, colours, LaTeX, a right-to-left override. Each page is walked and
looked at: nothing ran, nothing became a link, an icon or a colour, and nothing broke the layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pprint import pformat
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from playwright.sync_api import Dialog, Page
from sqlalchemy import update

from core import bootstrap
from core.api.cookies import SESSION_COOKIE
from core.bootstrap import Orgbridge
from core.db.models import RegisteredOrg
from core.domain.plan import parse_plan
from core.domain.roles import Actor, Role
from core.domain.states import FINISHED_RUNS
from core.services import (
    api_keys,
    launching,
    logs,
    operations,
    people,
    plans,
    run_reads,
    schedules,
)
from core.services.launching import LaunchRequest
from tests.appserver import AppServer
from tests.org.connected import connect, insert
from tests.orgs import PracticeOrg, PracticeOrgs, module_practice_org, wait_for

from .conftest import PASSWORD, Context, settled
from .test_door import violations

__all__ = ["module_practice_org"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
PATIENT_MS = 120_000
EVIL = (
    "<img src=x onerror=alert(1)>[x](javascript:alert(2))[y](https://evil.example) $\\LaTeX$ "
    ":material/bug_report: :red[painted] `tick` **bold** <script>alert(3)</script> "
    "=cmd|'/C calc'!A0 \u202egnp.exe https://evil.example/z"
)
#: what has to be found of it on a page that shows it
SIGN = "onerror=alert(1)"
SHORT = "<img src=x onerror=alert(1)>`tick`**bold**:red[painted]"
LONG = "W" * 4_000
#: what a page holds that text of others must never become
LOOK = """() => {
  const all = (css) => [...document.querySelectorAll(css)];
  const main = document.querySelector('[data-testid=stMain]');
  const said = (css, words) => all(css).filter((one) => one.textContent.trim() === words);
  const links = all('a[href]').map((one) => one.getAttribute('href'));
  return {
    images: all('img[src="x"]').length,
    links: links.filter((one) => /^javascript:/i.test(one) || one.includes('evil.example')),
    math: all('.katex').length,
    icons: all('[data-testid=stIconMaterial], [role=img]').filter(
      (one) => (one.textContent + one.getAttribute('aria-label')).includes('bug_report')).map(
      (one) => one.parentElement.closest('[data-testid]').textContent.slice(0, 80)),
    painted: said('span', 'painted').length,
    formatted: [...said('code', 'tick'), ...said('strong, b', 'bold')].map(
      (one) => one.closest('[data-testid]').dataset.testid),
    overflow: Math.max(0, main.scrollWidth - main.clientWidth - 1),
  };
}"""
NOTHING = {
    "images": 0, "links": [], "math": 0, "icons": [], "painted": 0, "formatted": [], "overflow": 0,
}  # fmt: skip


def schema(*, refuses: bool) -> str:
    """An org whose labels, help, values and messages are hostile; one refuses rows with a word."""
    key = {"type": "text", "length": 40, "label": "Key", "external_id": True, "unique": True}
    told: dict[str, Any] = {"type": "text", "length": 255, "label": EVIL, "help": EVIL}
    picked = {"type": "picklist", "label": SHORT, "values": ["Calm", SHORT] if refuses else [SHORT]}
    account: dict[str, Any] = {
        "fields": {"Key__c": key, "Told__c": told, "Picked__c": picked,
                   "Long__c": {"type": "long_textarea", "length": 32_000, "label": LONG[:200]}},
    }  # fmt: skip
    thing = {
        "label": SHORT, "plural": SHORT,
        "fields": {"Key__c": key, "Account__c": {"type": "lookup", "to": "Account",
                   "label": EVIL, "relationship": "Account__r"}},
    }  # fmt: skip
    if refuses:
        account["validation_rules"] = {
            "No": {"formula": 'CONTAINS(Key__c, "refused")', "message": EVIL}
        }
    return yaml.safe_dump({"standard": ["Account"], "objects": {"Account": account, "T__c": thing}})


PLAN = """
orgbridge: 1
name: {name}
source: {source}
target: {target}
objects:
  - source: Account
    key: Key__c
    tests: [{{in: {{Name: {name}}}, out: {{Name: {name}}}}}]
  - {{source: T__c, key: Key__c}}
"""


@dataclass
class World:
    """An app whose every name is hostile."""

    bridge: Orgbridge
    token: str
    plan_id: str
    run: str
    orgs: tuple[str, str]


@pytest.fixture(scope="module")
def world(server: AppServer, module_practice_org: PracticeOrgs) -> Iterator[World]:
    source = module_practice_org(name=SHORT, schema=schema(refuses=False))
    target = module_practice_org(name=SHORT, schema=schema(refuses=True))
    rows: list[dict[str, object]] = [
        {"Name": EVIL[:255], "Key__c": key, "Told__c": EVIL[:255], "Long__c": LONG}
        for key in ("one", "two", "refused")
    ]
    ids = insert(source, "Account", *rows)
    insert(source, "T__c", {"Name": SHORT, "Key__c": "t", "Account__c": ids[0]})
    with bootstrap.build(server.settings) as bridge:
        code = people.issue_setup_code(bridge) or ""
        token = people.create_first_admin(
            bridge, code=code, name=SHORT, email="mira@acme.example", password=PASSWORD,
            origin="127.0.0.1",
        ).token  # fmt: skip
        here = people.who(bridge, token)
        assert here is not None
        names = (f"{SHORT} a", f"{SHORT} b")
        for name, org in zip(names, (source, target), strict=True):
            connect(bridge, name, org)
        plan_id, run = _used(bridge, here.actor, names, target=target)
        yield World(bridge, token, plan_id, run, names)


def _used(
    bridge: Orgbridge, actor: Actor, names: tuple[str, str], *, target: PracticeOrg
) -> tuple[str, str]:
    """Everything that has a name or a result is there once; the plan's id and the run's name."""
    quoted = [yaml.safe_dump(one, width=9_999).strip().removesuffix("\n...") for one in names]
    name = yaml.safe_dump(EVIL[:120], width=9_999, allow_unicode=True).strip()
    text = PLAN.format(name=name, source=quoted[0], target=quoted[1])
    plan_id = plans.create(bridge, actor, parse_plan(text))
    plan = plans.plans(bridge, actor)[0].name
    people.invite(bridge, actor, name=SHORT, email="eve@acme.example", role=Role.VIEWER)
    api_keys.make(bridge, actor, name=SHORT, role=Role.VIEWER)
    request = LaunchRequest(mode="full", confirm=names[1], reason=EVIL)
    run = launching.launch(bridge, actor, plan_id, request, idempotency_key="hostile")

    def ended() -> bool:
        return run_reads.shown(bridge, actor, run).row.status in FINISHED_RUNS

    wait_for(ended, 240)
    parent = next(row["Id"] for row in target.rows("Account") if row["Key__c"] == "one")
    insert(target, "T__c", {"Name": SHORT, "Key__c": "extra", "Account__c": parent})
    for kind, given in (
        ("record_counts", {"plan": plan, "explain": ["account"]}),
        ("field_differences", {"source": names[0], "target": names[1]}),
        ("duplicates", {"org": names[0], "object": "Account", "fields": ["Name", "Told__c"]}),
        ("extra_child_records", {"plan": plan}),
    ):
        operations.launch(bridge, actor, kind, given=given)
    again = schedules.ScheduleRequest(SHORT, "0 2 * * *", operation="record_counts",
                                      options={"plan": plan})  # fmt: skip
    schedules.create(bridge, actor, again)
    for group in logs.error_groups(bridge, actor):
        logs.note_error(bridge, actor, group.fingerprint, state="known", note=EVIL)
    with bridge.session(actor.workspace_id) as session:  # as an org may call itself
        session.execute(update(RegisteredOrg).values(domain_name=RegisteredOrg.name))
    return str(plan_id), run


@pytest.fixture
def page(world: World, server: AppServer, context: Context) -> Page:
    fresh = context(width=1280)
    fresh.set_default_timeout(PATIENT_MS)
    fresh.add_cookies([{"name": SESSION_COOKIE, "value": world.token, "url": server.url}])
    return fresh.new_page()


#: address below the server → whether text of others must be readable outside tables
PAGES = {
    "/": False,
    "/orgs": True,
    "/plans": False,
    "/plans?plan={plan}": True,
    "/plans?plan={plan}&object=account&field=Told__c": True,
    # links that open a dialog of the editor
    "/plans?plan={plan}&open=key": True,
    "/plans?plan={plan}&open=settings": True,
    "/plans?plan={plan}&open=tests": True,
    "/plans?plan={plan}&open=owners": True,
    "/plans?plan={plan}&open=objects": True,
    "/launch?plan={plan}": True,
    "/runs": False,
    "/run?run={run}": True,
    "/run?run={run}&tab=errors": True,
    "/run?run={run}&tab=log": True,
    "/run?run={run}&tab=proof": True,
    "/run?run={run}&tab=settings": True,
    "/schedules": False,
    "/counts": True,
    "/differences?a={a}&b={b}": True,
    "/duplicates?org={a}&object=Account": True,
    "/extra_children": False,
    "/csv_files": False,
    "/trace?q=one": False,
    "/logs": False,
    "/errors": True,
    "/audit": False,
    "/users": False,
    "/api_keys": False,
    "/notifications": False,
    "/settings": False,
}


def test_text_of_others_stays_text_on_every_page(
    world: World, server: AppServer, page: Page, outside: list[str], tmp_path: Any
) -> None:
    alerts: list[str] = []

    def on_dialog(dialog: Dialog) -> None:
        alerts.append(f"{page.url}: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", on_dialog)
    told = {
        "plan": world.plan_id, "run": quote(world.run),
        "a": quote(world.orgs[0]), "b": quote(world.orgs[1]),
    }  # fmt: skip
    wrong: dict[str, object] = {}
    for number, (address, is_shown) in enumerate(PAGES.items()):
        page.emulate_media(color_scheme="dark" if number % 2 else "light")
        page.goto(server.url + address.format(**told))
        settled(page)
        if is_shown:  # parts of a page come after its title
            shown = page.locator("[data-testid=stMain]").get_by_text(SIGN)
            shown.filter(visible=True).first.wait_for()
        found = page.evaluate(LOOK)
        if found != NOTHING:
            wrong[address] = {k: v for k, v in found.items() if v != NOTHING[k]}
        text = page.locator("[data-testid=stMain]").inner_text()
        if "Something went wrong" in text or "Traceback" in text:
            wrong[f"{address} failed"] = text[:300]
        if barred := violations(page):
            wrong[f"{address} is barred to some"] = barred
        page.screenshot(path=tmp_path / f"{number:02}.png")
    assert not wrong, pformat(wrong)
    assert (alerts, outside) == ([], [])
