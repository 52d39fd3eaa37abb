"""Two people on one plan in two browsers: nothing is lost, nothing is overwritten unseen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.appserver import AppServer

from .conftest import Context, settled, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

#: with a machine under load a page may take this long
PATIENT_MS = 120_000
#: counts what the browser sends; short messages are signs of life
COUNT_MESSAGES = """() => {
  const send = WebSocket.prototype.send; window.told = 0;
  WebSocket.prototype.send = function (said) {
    if ((said.byteLength || said.size || said.length) > 300) window.told += 1;
    return send.call(this, said);
  };
}"""


@pytest.fixture(scope="module")
def opened_plan() -> dict[str, str]:
    """Address of the plan that the tests of this file share, once it is made."""
    return {}


def plan_url(server: AppServer, page: Page, opened_plan: dict[str, str]) -> str:
    """The plan; made on the first call."""
    if "url" in opened_plan:
        return opened_plan["url"]
    page.get_by_role("button", name="Create practice orgs").click()
    page.get_by_text("Two practice orgs are ready").wait_for(timeout=PATIENT_MS)
    page.get_by_role("button", name="New plan").click()
    for label, text in (("Name", "Shared"), ("Objects", "Account")):
        field = page.get_by_label(label, exact=True)
        field.fill(text)
        field.press("Enter")
        expect(field).to_have_value(text)
    page.get_by_role("button", name="Create plan").click()
    page.get_by_text("1 required unmapped").wait_for(timeout=PATIENT_MS)
    found = re.search(r"plan=([0-9a-f-]+)", page.url)
    assert found is not None
    opened_plan["url"] = f"{server.url}/plans?plan={found[1]}&object=account"
    return opened_plan["url"]


def at_field(page: Page, url: str, field: str) -> None:
    """Open the editor with a field in the inspector."""
    page.goto(f"{url}&field={field}")
    page.get_by_text("Preview").wait_for(timeout=PATIENT_MS)
    settled(page)
    page.locator("code", has_text=re.compile(f"^{field}$")).wait_for(timeout=PATIENT_MS)


def choose(page: Page, label: str, option: str) -> None:
    """Pick from a select box by typing, which also works where a click would move the page."""
    box = page.get_by_role("combobox", name=label, exact=True)
    box.scroll_into_view_if_needed()
    settled(page)
    box.click()
    box.fill(option)
    page.get_by_role("option", name=option, exact=True).click()
    settled(page)


@contextmanager
def heard(page: Page) -> Iterator[None]:
    """Ends as soon as the browser has sent what was done in the block, whatever the server does."""
    before = page.evaluate("() => window.told")
    yield
    page.wait_for_function("before => window.told > before", arg=before, timeout=PATIENT_MS)


def becomes_constant(page: Page, value: str) -> None:
    """Fill the field of the inspector with a constant; it saves itself."""
    choose(page, "Rule", "Constant")
    field = page.get_by_label("Value", exact=True)
    field.fill(value)
    field.press("Enter")


def test_edits_of_two_people_are_both_kept_and_a_clash_is_told(
    server: AppServer,
    first_admin: Page,
    context: Context,
    opened_plan: dict[str, str],
    outside: list[str],
) -> None:
    """Different fields: both stand. The same field: the second is refused in a clear sentence."""
    mira = first_admin
    url = plan_url(server, mira, opened_plan)
    other = context().new_page()
    other.goto(server.url)
    sign_in(other)
    at_field(mira, url, "Segment__c")
    at_field(other, url, "Phone")

    becomes_constant(mira, "Business")
    mira.get_by_text("1 required unmapped").wait_for(state="detached", timeout=PATIENT_MS)
    other.get_by_role("button", name="Skip field").click()
    other.get_by_text("Saved", exact=False).first.wait_for(timeout=PATIENT_MS)

    at_field(mira, url, "Website")
    at_field(other, url, "Website")
    mira.locator(".st-key-inspect-accept button").click()
    mira.get_by_text("Reviewed 2").wait_for(timeout=PATIENT_MS)
    other.get_by_role("button", name="Skip field").click()
    told = other.get_by_text("changed account.fields.Website after you opened this plan")
    told.wait_for(timeout=PATIENT_MS)
    expect(other.get_by_text("Your change was not saved; theirs stands.")).to_be_visible(
        timeout=PATIENT_MS
    )

    at_field(mira, url, "Phone")
    expect(mira.get_by_role("button", name="Map again")).to_be_visible(timeout=PATIENT_MS)
    at_field(mira, url, "Segment__c")
    expect(mira.get_by_label("Value", exact=True)).to_have_value("Business", timeout=PATIENT_MS)
    at_field(other, url, "Website")
    expect(other.get_by_text(re.compile("Reviewed by mira"))).to_be_visible(timeout=PATIENT_MS)
    assert not outside


def test_a_reload_in_the_middle_keeps_every_edit(
    server: AppServer, first_admin: Page, opened_plan: dict[str, str], outside: list[str]
) -> None:
    """What was typed and left is saved; filter and field stay in the address."""
    page = first_admin
    page.add_init_script(f"({COUNT_MESSAGES})()")
    url = plan_url(server, page, opened_plan)
    at_field(page, url, "Tier__c")
    choose(page, "Rule", "Value map")
    page.get_by_text("not in the target's list").wait_for(timeout=PATIENT_MS)
    with heard(page):
        choose(page, "Values without an entry", "Become Bronze")
    at_field(page, f"{url}&show=review", "BillingCity")
    page.get_by_role("button", name="Question").click()
    page.get_by_text("Saved.").wait_for(timeout=PATIENT_MS)

    page.reload()
    settled(page)

    expect(page.get_by_text(re.compile("Questioned by mira"))).to_be_visible(timeout=PATIENT_MS)
    assert "show=review" in page.url
    at_field(page, url, "Tier__c")
    expect(page.get_by_role("combobox", name="Values without an entry")).to_have_value(
        "Become Bronze"
    )
    assert not outside


def test_a_click_counts_however_soon_the_page_is_left(
    server: AppServer, first_admin: Page, opened_plan: dict[str, str], outside: list[str]
) -> None:
    """The server has heard it when the window goes; nothing waits for its answer."""
    page = first_admin
    page.add_init_script(f"({COUNT_MESSAGES})()")
    url = plan_url(server, page, opened_plan)
    # fields of its own: tests of one plan come in any order
    for field in ("Industry", "BillingCountry"):
        at_field(page, url, field)
        skip = page.get_by_role("button", name=re.compile("^(Skip field|Map again)$"))
        was = skip.inner_text()
        with heard(page):
            skip.click(no_wait_after=True)
        page.goto("about:blank")

        at_field(page, url, field)
        turned = {"Skip field": "Map again", "Map again": "Skip field"}[was]
        expect(page.get_by_role("button", name=turned)).to_be_visible(timeout=PATIENT_MS)
    assert not outside
