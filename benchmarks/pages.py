"""How long pages take and what a live run costs, on a database with much in it.

    python -m benchmarks.pages [viewers]          default 20 viewers

Planted: a plan of 50 objects with 500 fields each, 300 runs, one of them moving (50 objects, 2,000
chunks) and one finished (20,000 failed rows in 60 groups, a proof of 50 objects). Measured:

- each page's script, warm, in this process (median of 5; budget 100 ms, the editor's rerun 500 ms);
- what one does in the editor: the next field, a suggestion accepted and saved, another rule;
- the app's processor time per viewer of the moving run, with one and with many (budget 6 % of a
  core per viewer), and how long a click takes meanwhile (budget 1 s). One of them has a browser,
  the others only what a browser asks of the server (`benchmarks.viewers`): people bring their own
  machine along, and twenty browsers on this one would be what is measured;
- a rerun of the editor from the click to the new text in a browser.
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import orjson
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from benchmarks.practice_org import cpu_seconds
from benchmarks.viewers import viewers as looking
from core import bootstrap
from core.api import process
from core.api.cookies import SESSION_COOKIE
from core.bootstrap import Orgbridge
from core.config import Settings
from core.domain.plan import parse_plan
from core.domain.roles import Actor
from core.secret import Secret
from core.services import people, plans
from pages import registry
from pages.parts import state
from tests.appserver import AppServer, app_server
from tests.org.scripted_data import ScriptedData, described

OBJECTS, FIELDS, RUNS, CHUNKS, FAILURES, GROUPS = 50, 500, 300, 2_000, 20_000, 60
SCRIPT_BUDGET_MS, EDITOR_BUDGET_MS, VIEWER_BUDGET_PERCENT = 100, 500, 6.0
CLICK_BUDGET_MS = 1_000
WATCHED_S = 20
#: tabs of the moving run, and words that only they show
TABS = {"Settings": "frozen at launch", "Files": "The whole run"}
#: after the last viewer came: imports and first drawing are over
OPENED_S = 5
WARM_RUNS = 5
FRAME = Path(__file__).resolve().parent.parent / "pages" / "frame.py"
CHROMIUM = "/usr/bin/chromium"
KEY = "dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktMTIzNDU="
PASSWORD = "a short sentence, easy to remember"  # noqa: S105 of a database that goes at the end
MOVING, FINISHED = "bench-moving", "bench-finished"
Visit = tuple[str, registry.PageSpec, dict[str, str], int]


def main() -> int:
    """Prints every figure; 0."""
    viewers = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o711)  # root's database server runs as another account, which must get in
        settings = Settings(None, root / "home", key=Secret(KEY))
        with bootstrap.build(settings) as bridge:
            actor, token = first_admin(bridge)
            orgs = [ScriptedData(f"00D00000000000{n}EAA") for n in (1, 2)]
            plan = wide_plan(bridge, actor, orgs)
            plant_runs(bridge, plan)
            scripts(bridge, token, plan)
            edits(bridge, token, plan)
            with app_server(settings, root) as server, browser() as chromium:
                live(server, chromium, token, viewers=viewers)
                editor(server, chromium, token, plan=plan)
            for org in orgs:
                org.http.stop()
    return 0


def first_admin(bridge: Orgbridge) -> tuple[Actor, str]:
    """An admin and the token of a session."""
    code = people.issue_setup_code(bridge)
    signed = people.create_first_admin(
        bridge, code=code or "", name="Mira", email="mira@acme.example", password=PASSWORD,
        origin="127.0.0.1",
    )  # fmt: skip
    visitor = people.who(bridge, signed.token)
    assert visitor is not None
    return visitor.actor, signed.token


def wide_plan(bridge: Orgbridge, actor: Actor, orgs: list[ScriptedData]) -> UUID:
    """A plan of OBJECTS objects with FIELDS copied fields each."""
    names = [f"F{number:03d}__c" for number in range(FIELDS)]
    fields = [{"name": n, "type": "string", "length": 80, "label": n} for n in names]
    objects = [f"Wide{number:02d}__c" for number in range(OBJECTS)]
    for org, name in zip(orgs, ("Legacy", "New"), strict=True):
        org.describes = {one: described(one, *fields) for one in objects}
        org.register(bridge, actor, name)
    rules = {name: {"from": name, "review": "suggested", "confidence": 0.9} for name in names}
    entries = [{"source": one, "fields": rules} for one in objects]
    head = {"orgbridge": 1, "name": "Wide", "source": "Legacy", "target": "New"}
    return plans.create(
        bridge, actor, parse_plan(orjson.dumps({**head, "objects": entries}).decode())
    )


def plant_runs(bridge: Orgbridge, plan: UUID) -> None:
    """RUNS runs over 30 days; one moves, one has ended with FAILURES failed rows."""
    proof = {
        f"wide{n:02d}__c": {
            "rows": 1_000, "missing": 0, "compared": {f"F{f:03d}__c": 1_000 for f in range(20)},
            "fields": {"F000__c": {"normalised": 3}}, "lookups": {}, "sums": {},
        }
        for n in range(OBJECTS)
    }  # fmt: skip
    wanted = {"plan": plan, "runs": RUNS, "objects": OBJECTS, "chunks": CHUNKS,
              "failures": FAILURES, "groups": GROUPS, "moving": MOVING, "finished": FINISHED,
              "summary": orjson.dumps({"proof": proof}).decode()}  # fmt: skip
    with bridge.session(bridge.workspace_id()) as session:
        for statement in _PLANTED:
            session.execute(text(statement), wanted)


_PLANTED = (
    """INSERT INTO data_migration (id, data_schedule_id, status, mode, plan_id, source_org_id,
         target_org_id, requested_by, started_at, finished_at, created_at, summary)
       SELECT gen_random_uuid(),
         CASE n WHEN 1 THEN :moving WHEN 2 THEN :finished ELSE 'bench-' || n END,
         CASE n WHEN 1 THEN 'Running' WHEN 2 THEN 'Partial' ELSE 'Succeeded' END, 'full',
         p.id, p.source_org_id, p.target_org_id, 'mira@acme.example', now() - interval '20 min',
         CASE n WHEN 1 THEN NULL ELSE now() END, now() - n * interval '2 hours',
         CASE n WHEN 2 THEN CAST(:summary AS jsonb) ELSE '{}' END
       FROM migration_plan p, generate_series(1, :runs) n WHERE p.id = :plan""",
    """INSERT INTO run_step (id, run_id, mapping_name, source_object, target_object, operation,
         phase, wave, position, status, read_rows, inserted, failed, started_at, finished_at)
       SELECT gen_random_uuid(), m.id, 'wide' || lpad((n - 1)::text, 2, '0') || '__c', 'Wide',
         'Wide', 'upsert', 'load', n / 10, n,
         CASE m.status WHEN 'Running' THEN 'running' ELSE 'partial' END, 1000, 700,
         CASE m.status WHEN 'Running' THEN 0 ELSE 300 END, now() - interval '5 min',
         CASE m.status WHEN 'Running' THEN NULL ELSE now() END
       FROM data_migration m, generate_series(1, :objects) n""",
    """INSERT INTO run_chunk (id, run_id, step_id, number, state, api, operation, rows, outcome,
         updated_at)
       SELECT gen_random_uuid(), s.run_id, s.id, n, 'done', 'bulk', 'insert', 500, '{"failed": 1}',
         now() - n * interval '10 s'
       FROM run_step s JOIN data_migration m ON m.id = s.run_id,
         generate_series(1, :chunks / :objects) n
       WHERE m.data_schedule_id IN (:moving, :finished)""",
    """INSERT INTO row_failure (id, run_id, step_id, source_id, kind, code, message, fields, sent,
         fingerprint)
       SELECT gen_random_uuid(), s.run_id, s.id, '001' || lpad(n::text, 15, '0'), 'failed',
         'FIELD_CUSTOM_VALIDATION_EXCEPTION', 'Rule ' || n % :groups, '{F000__c}',
         '{"F000__c": "a"}', 'group' || n % :groups
       FROM run_step s JOIN data_migration m ON m.id = s.run_id, generate_series(1, :failures) n
       WHERE m.data_schedule_id = :finished AND s.position = n % :objects + 1""",
)


def scripts(bridge: Orgbridge, token: str, plan: UUID) -> None:
    """Every page's script in this process, warm."""
    process.hold(bridge)
    by_path = {spec.url_path: spec for spec in registry.PAGES}
    visits: list[Visit] = [
        (spec.title, spec, {}, SCRIPT_BUDGET_MS) for spec in registry.PAGES if not spec.is_hidden
    ]
    for tab in ("errors", "proof", "objects", "files"):
        where = {"run": FINISHED, "tab": tab}
        visits.append((f"Run, {tab}", by_path["run"], where, SCRIPT_BUDGET_MS))
    visits.append(("Run, moving", by_path["run"], {"run": MOVING}, SCRIPT_BUDGET_MS))
    wide = f"Plan, {OBJECTS} objects x {FIELDS} fields"
    visits.append((wide, by_path["plans"], {"plan": str(plan)}, EDITOR_BUDGET_MS))
    print("page script, warm                  wall ms   cpu ms   budget")
    for title, spec, params, budget in visits:
        wall, cpu = _warm(token, spec, params)
        print(f"{title:34} {wall:7.0f}  {cpu:7.0f}   {budget:6}")
    process.hold(None)


def _warm(token: str, spec: registry.PageSpec, params: dict[str, str]) -> tuple[float, float]:
    """Milliseconds on the clock, which count waits for the database and for other programs, and of
    this process's processor; medians."""
    app = _visited(token, spec, params)
    return _medians([app.run] * WARM_RUNS)


def _visited(token: str, spec: registry.PageSpec, params: dict[str, str]) -> AppTest:
    """A page that was drawn once."""
    app = AppTest.from_file(str(FRAME), default_timeout=120)
    app.session_state[state.TOKEN] = token
    for name, value in params.items():
        app.query_params[name] = value
    if not spec.is_default:
        app.switch_page(spec.file)
    app.run()
    assert not app.exception, (spec.url_path, app.exception)
    return app


def _medians(acts: list[Callable[[], object]]) -> tuple[float, float]:
    walls, cpus = [], []
    for act in acts:
        began = time.process_time()
        walls.append(_took(act))
        cpus.append((time.process_time() - began) * 1_000)
    return statistics.median(walls), statistics.median(cpus)


def edits(bridge: Orgbridge, token: str, plan: UUID) -> None:
    """What one does in the editor at FIELDS fields, in this process; a save writes the plan."""
    process.hold(bridge)
    spec = next(each for each in registry.PAGES if each.url_path == "plans")
    app = _visited(token, spec, {"plan": str(plan)})

    def click(key: str) -> None:
        app.button(key=key).click().run()
        assert not app.exception, (key, app.exception)

    def rule(kind: str) -> None:
        at = f"inspect.wide00__c.{app.session_state[state.FOCUS]}.kind"
        app.selectbox(key=at).set_value(kind).run()
        assert not app.exception, (kind, app.exception)

    acts: dict[str, list[Callable[[], object]]] = {
        "next field": [partial(click, "inspect.J")] * WARM_RUNS,
        "accept, saved": [partial(click, "inspect.accept")] * WARM_RUNS,
        "another rule": [partial(rule, kind) for kind in ("constant", "copy")] * WARM_RUNS,
    }
    print("\nin the editor                      wall ms   cpu ms   budget")
    for name, each in acts.items():
        wall, cpu = _medians(each)
        print(f"{name:34} {wall:7.0f}  {cpu:7.0f}   {EDITOR_BUDGET_MS:6}")
    process.hold(None)


def _took(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1_000


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


def signed_in(server: AppServer, chromium: Browser, token: str) -> BrowserContext:
    """A person's browser."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": server.url}])
    context.set_default_timeout(180_000)
    return context


def opened(server: AppServer, context: BrowserContext, path: str) -> Page:
    """A page; each is a session of its own on the server."""
    page = context.new_page()
    page.goto(f"{server.url}{path}")
    page.wait_for_selector("[data-testid=stMainBlockContainer] h1")
    return page


def live(server: AppServer, chromium: Browser, token: str, *, viewers: int) -> None:
    """The app's processor time while people look at a run that moves."""
    print(f"\nlive run, {WATCHED_S} s          % of a core per viewer   budget")
    context = signed_in(server, chromium, token)
    page = opened(server, context, f"/run?run={MOVING}")
    page.get_by_text("Throughput").first.wait_for()
    for wanted in (1, viewers):
        others = looking(server.url, token, page="run", query=f"run={MOVING}", number=wanted - 1)
        with others:
            page.wait_for_timeout(OPENED_S * 1_000)  # opening a page is not looking at it
            before = cpu_seconds(server.process.pid)
            page.wait_for_timeout(WATCHED_S * 1_000)
            used = cpu_seconds(server.process.pid) - before
            share = 100 * used / WATCHED_S / wanted
            print(f"{wanted:3} viewers {share:34.1f}   {VIEWER_BUDGET_PERCENT:6}")
            if wanted == viewers:
                clicked(page)
    context.close()


def clicked(page: Page) -> None:
    """How long tabs take from the click to what they show."""
    times = []
    for tab, words in TABS.items():
        times.append(_took(partial(_open, page, tab, words)))
        page.wait_for_timeout(OPENED_S * 1_000)
    print(
        f"a click on a tab meanwhile: {statistics.median(times):.0f} ms, at the most"
        f" {max(times):.0f} (budget {CLICK_BUDGET_MS})"
    )


def _open(page: Page, tab: str, words: str) -> None:
    page.get_by_role("tab", name=tab).click()
    page.get_by_text(words).first.wait_for()


def editor(server: AppServer, chromium: Browser, token: str, *, plan: UUID) -> None:
    """From a click in the editor to its new text, 500 fields."""
    page = opened(server, signed_in(server, chromium, token), f"/plans?plan={plan}")
    reviewed, every = (page.get_by_role("radio", name=name) for name in ("Reviewed", "All"))
    every.wait_for()
    times = [_took(partial(_choose, page, target)) for target in (reviewed, every) * WARM_RUNS]
    print(
        f"\neditor rerun at {FIELDS} fields, click to settled page: "
        f"{statistics.median(times):.0f} ms (budget {EDITOR_BUDGET_MS})"
    )


def _choose(page: Page, target: Locator) -> None:
    target.click()
    _settled(page)


def _settled(page: Page) -> None:
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stApp][data-test-script-state=running]')"
    )


if __name__ == "__main__":
    sys.exit(main())
