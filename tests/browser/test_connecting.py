"""Every way to connect an org, walked through the Orgs page against a real practice org.

First with something wrong, whose reason must be precise, then right. Everything that reached the
browser meanwhile (page content, every message of the live connection) is searched for the secrets
that were typed, and so are logs, files and the database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from playwright.sync_api import Page, WebSocket, expect

from core import bootstrap
from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.secret import Secret
from core.services import orgs
from pages import registry
from tests.app.test_secrets import dumped, files
from tests.appserver import AppServer
from tests.conftest import TEST_KEY
from tests.orgs import PracticeOrg, PracticeOrgs, module_practice_org, wait_for

from .conftest import PASSWORD, settled

__all__ = ["module_practice_org"]

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ORG_PASSWORD = "pLantedOrgPassword"
WRONG = "pLantedWrong"


#: the page's HTML; an input shows its owner's typing as an attribute or as text
_DRAWN = """() => {
    const copy = document.documentElement.cloneNode(true)
    copy.querySelectorAll('input').forEach(each => each.removeAttribute('value'))
    copy.querySelectorAll('textarea').forEach(each => each.textContent = '')
    return copy.outerHTML
}"""


@dataclass
class Seen:
    """All that reached the browser, and the secrets that must not be in it."""

    texts: list[str] = field(default_factory=list)
    planted: dict[str, str] = field(default_factory=dict)

    def listen(self, page: Page) -> None:
        """Keep every message of the page's live connection."""

        def opened(socket: WebSocket) -> None:
            socket.on("framereceived", self._keep)

        page.on("websocket", opened)

    def look(self, page: Page) -> None:
        """Keep the page as it is drawn now, but for what the person just typed into its boxes."""
        self.texts.append(str(page.evaluate(_DRAWN)))

    def plant(self, name: str, secret: str) -> str:
        """A secret to look for."""
        self.planted[name] = secret
        return secret

    def found_in(self, places: dict[str, str]) -> list[str]:
        """Which secret lies in which place."""
        return [
            f"{name} in {place}"
            for name, secret in self.planted.items()
            for place, text in places.items()
            if secret in text or json.dumps(secret)[1:-1] in text
        ]

    def _keep(self, payload: bytes | str) -> None:
        is_text = isinstance(payload, str)
        self.texts.append(str(payload) if is_text else bytes(payload).decode("utf-8", "replace"))  # type: ignore[arg-type]  # one of the two


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    made = module_practice_org(name="Walked", schema="standard: [Account, Contact]")
    made.options(password=ORG_PASSWORD)
    return made


@pytest.fixture
def bridge(server: AppServer) -> Iterator[Orgbridge]:
    """The product once more, on the server's data: takes away what was connected."""
    with bootstrap.build(server.settings) as built:
        yield built


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def page(first_admin: Page, server: AppServer, seen: Seen) -> Page:
    seen.listen(first_admin)
    seen.plant("password of a person", PASSWORD)
    seen.plant("vault key", TEST_KEY)
    first_admin.goto(f"{server.url}/orgs")
    settled(first_admin)
    return first_admin


def facts(org: PracticeOrg) -> dict[str, str]:
    said: dict[str, str] = org.json("GET", "/_sim/org")
    return said


def username(org: PracticeOrg) -> str:
    (user,) = org.query(f"SELECT Username FROM User WHERE Id = '{facts(org)['user_id']}'")
    return str(user["Username"])


def refresh_token(org: PracticeOrg) -> str:
    """A refresh token, as `sf org login` would have got it."""
    back, said = "http://127.0.0.1:9/callback", facts(org)
    app = {"client_id": said["client_id"], "redirect_uri": back}
    asked = urlencode({"response_type": "code", "scope": "api refresh_token", "state": "s", **app})
    answer = org.http.request(
        "POST", f"{org.url}/services/oauth2/authorize?{asked}", headers=FORM, redirect=False,
        body=urlencode({"user_id": said["user_id"], "answer": "allow"}),
    )  # fmt: skip
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    form = {**app, "client_secret": said["client_secret"], "code": code}
    answer = org.http.request(
        "POST", f"{org.url}/services/oauth2/token", headers=FORM,
        body=urlencode({**form, "grant_type": "authorization_code"}),
    )  # fmt: skip
    return str(json.loads(answer.data)["refresh_token"])


def private_key() -> tuple[str, str]:
    """A key pair: private PEM, public PEM."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = made.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def open_dialog(page: Page, way: str) -> None:
    """The connect dialog with a way chosen and a name typed."""
    page.get_by_role("button", name="Connect an org…").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name=way, exact=True).or_(
        dialog.get_by_role("button", name=way, exact=True)
    ).first.click()
    fill(page, "Name", f"By {way}")


def fill(page: Page, label: str, text: str) -> None:
    """Type into a field of the dialog."""
    box = page.get_by_role("dialog").get_by_label(label, exact=True)
    box.fill(text)
    expect(box).to_have_value(text)
    if box.evaluate("box => box.tagName") == "TEXTAREA":
        box.press("Control+Enter")
    else:
        box.press("Enter")
    idle(page)


def idle(page: Page) -> None:
    """Wait until the page's script has run: a rerun that is late would wipe what comes next."""
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stStatusWidget]')"
        " && document.querySelector('[data-testid=stApp]')?.dataset.testScriptState !== 'running'"
    )


def sign_in_at(page: Page, url: str) -> None:
    """Choose My Domain and give its address."""
    page.get_by_role("dialog").get_by_label("Where to sign in").click()
    page.get_by_role("option", name="My Domain…").click()
    fill(page, "My Domain URL", url)


def refused(page: Page, seen: Seen, reason: str) -> None:
    """Try, and see why it does not go."""
    page.get_by_role("dialog").get_by_role("button", name="Test and connect").click()
    expect(page.get_by_role("dialog").get_by_text(reason).first).to_be_visible()
    seen.look(page)


def connected(page: Page, bridge: Orgbridge, seen: Seen, name: str) -> None:
    """Try again: the card stands, is read by the worker, says so; then the org goes again."""
    page.get_by_role("dialog").get_by_role("button", name="Test and connect").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    stands(page, bridge, seen, name)


def stands(page: Page, bridge: Orgbridge, seen: Seen, name: str) -> None:
    """The card of a connected org, and its page; the org is removed afterwards."""
    expect(page.get_by_text("metadata read", exact=False).first).to_be_visible(timeout=20_000)
    seen.look(page)
    actor = Actor(bridge.workspace_id(), None, "ada", Role.ADMIN)
    card = orgs.org_named(bridge, actor, name)
    assert card.status == "connected" and card.describing.state == "done"
    page.goto(page.url.split("/orgs")[0] + f"/orgs?org={card.id}")
    settled(page)
    seen.look(page)
    orgs.remove(bridge, actor, card.id, confirm=card.name)
    page.goto(page.url.split("/orgs")[0] + "/orgs")
    settled(page)


Walk = Callable[[Page, Orgbridge, PracticeOrg, Seen], None]


def by_token(page: Page, bridge: Orgbridge, org: PracticeOrg, seen: Seen) -> None:
    open_dialog(page, "Access token")
    fill(page, "Instance URL", "http://10.0.0.7")
    fill(page, "Access token", seen.plant("wrong token", f"00D000000000001!{WRONG}Token"))
    refused(page, seen, "plain http is accepted for this machine only")
    fill(page, "Instance URL", "https://169.254.169.254")
    refused(page, seen, "it is a private or reserved address")
    fill(page, "Instance URL", org.url)
    refused(page, seen, "does not accept this access token")
    fill(page, "Access token", seen.plant("access token", granted(org)))
    try_while_a_box_changes(page, org)
    connected(page, bridge, seen, "By Access token")


def try_while_a_box_changes(page: Page, org: PracticeOrg) -> None:
    """A slow org's answer outlives the rerun of a box that is left meanwhile, and goes only with
    what was asked."""
    dialog = page.get_by_role("dialog")
    box, answer = (
        dialog.get_by_label("Name", exact=True),
        dialog.get_by_text(facts(org)["organization_id"]),
    )
    org.options(call_delay_s=0.3)
    dialog.get_by_role("button", name="Test", exact=True).click()
    dialog.get_by_text("Asking By Access token who it is").wait_for()
    for change in ("x", "Backspace", "Tab"):
        box.press(change)
    expect(answer).to_be_visible()
    idle(page)
    expect(answer).to_be_visible()
    org.options(call_delay_s=0)
    fill(page, "Name", "Another name")
    expect(answer).to_have_count(0)
    fill(page, "Name", "By Access token")
    expect(answer).to_be_visible()


def by_app(page: Page, bridge: Orgbridge, org: PracticeOrg, seen: Seen) -> None:
    open_dialog(page, "Client credentials")
    fill(page, "Instance URL", org.url)
    fill(page, "Consumer key", facts(org)["client_id"])
    fill(page, "Consumer secret", seen.plant("wrong secret", f"{WRONG}ConsumerSecret"))
    refused(page, seen, "consumer secret is wrong")
    secret = seen.plant("client secret", facts(org)["client_secret"])
    fill(page, "Consumer secret", secret)
    connected(page, bridge, seen, "By Client credentials")


def by_jwt(page: Page, bridge: Orgbridge, org: PracticeOrg, seen: Seen) -> None:
    (right, public), (wrong, _) = private_key(), private_key()
    org.json("POST", "/_sim/apps", {"client_id": "jwt-app", "public_key": public})
    open_dialog(page, "JWT")
    sign_in_at(page, org.url)
    fill(page, "Consumer key", "jwt-app")
    fill(page, "Username", username(org))
    fill(page, "Private key (PEM)", f"-----BEGIN PRIVATE KEY-----\n{WRONG}")
    refused(page, seen, "The private key cannot be read.")
    for name, pem in (("wrong JWT key", wrong), ("JWT key", right)):
        seen.plant(name, pem.splitlines()[2])
    fill(page, "Private key (PEM)", wrong)
    refused(page, seen, "invalid assertion")
    fill(page, "Private key (PEM)", right)
    connected(page, bridge, seen, "By JWT")


def by_sfdx(page: Page, bridge: Orgbridge, org: PracticeOrg, seen: Seen) -> None:
    said, host = facts(org), org.url.removeprefix("http://")
    app = f"{said['client_id']}:{said['client_secret']}"
    open_dialog(page, "SFDX URL")
    fill(page, "SFDX auth URL", f"https://{WRONG}")
    refused(page, seen, "This is not an sfdx auth URL.")
    wrong = seen.plant("wrong refresh token", f"5Aep861{WRONG}RefreshToken0123456789")
    fill(page, "SFDX auth URL", f"force://{app}:{wrong}@{host}")
    refused(page, seen, "no longer accepts")
    token = seen.plant("refresh token", refresh_token(org))
    fill(page, "SFDX auth URL", f"force://{app}:{token}@{host}")
    connected(page, bridge, seen, "By SFDX URL")


def by_password(page: Page, bridge: Orgbridge, org: PracticeOrg, seen: Seen) -> None:
    open_dialog(page, "Password")
    sign_in_at(page, org.url)
    fill(page, "Username", username(org))
    fill(page, "Password", seen.plant("wrong org password", f"{WRONG}OrgPassword"))
    fill(page, "Security token (optional)", seen.plant("security token", f"{WRONG}SecurityToken"))
    refused(page, seen, "Invalid username, password, security token")
    fill(page, "Password", seen.plant("org password", ORG_PASSWORD))
    fill(page, "Security token (optional)", "TOKEN")
    connected(page, bridge, seen, "By Password")


def by_browser(page: Page, bridge: Orgbridge, org: PracticeOrg, seen: Seen) -> None:
    for answer in ("Deny", "Allow"):
        open_dialog(page, "Browser sign-in")
        sign_in_at(page, org.url)
        fill(page, "Consumer key", facts(org)["client_id"])
        fill(page, "Consumer secret (optional)", facts(org)["client_secret"])
        page.get_by_role("dialog").get_by_role("button", name="Continue to Salesforce…").click()
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Sign in at Salesforce").click()
        tab = opened.value
        tab.get_by_role("button", name=answer).click()
        if answer == "Deny":
            expect(tab.get_by_role("heading", name="The org was not connected")).to_be_visible()
            expect(tab.get_by_text("declined")).to_be_visible()
            seen.look(tab)
            page.keyboard.press("Escape")
        tab.close() if answer == "Deny" else settled(tab)
    tab.close()
    page.reload()
    settled(page)
    stands(page, bridge, seen, "By Browser sign-in")


def granted(org: PracticeOrg) -> str:
    """An access token of the org's own app."""
    said = facts(org)
    form = {"client_id": said["client_id"], "client_secret": said["client_secret"]}
    body = urlencode({"grant_type": "client_credentials", **form})
    url = f"{org.url}/services/oauth2/token"
    return str(
        json.loads(org.http.request("POST", url, body=body, headers=FORM).data)["access_token"]
    )


WALKS: dict[str, Walk] = {
    "access token": by_token,
    "client credentials": by_app,
    "jwt": by_jwt,
    "sfdx url": by_sfdx,
    "password": by_password,
    "browser sign-in": by_browser,
}


@pytest.mark.parametrize("way", list(WALKS))
def test_an_org_is_connected_through_the_page_and_no_secret_comes_back(
    server: AppServer, page: Page, bridge: Orgbridge, org: PracticeOrg, seen: Seen, way: str
) -> None:
    WALKS[way](page, bridge, org, seen)

    places = {f"browser {at}": text for at, text in enumerate(seen.texts)}
    places["log"] = server.log.read_text(encoding="utf-8")
    assert len(seen.texts) > 5
    assert seen.found_in(places | files(server.settings.home)) == []


def test_no_page_shows_a_secret_of_people_scripts_or_notices(
    server: AppServer, page: Page, bridge: Orgbridge, org: PracticeOrg, seen: Seen
) -> None:
    """All pages with an org, a key, a notice and a person in them; then database and files."""
    seen.plant("setup code", server.setup_code)
    seen.plant("org token", org.access_token)
    actor = Actor(bridge.workspace_id(), None, "ada", Role.ADMIN)
    request = orgs.ConnectRequest(
        name="kept",
        kind="client_credentials",
        instance_url=org.url,
        client_id=facts(org)["client_id"],
        client_secret=Secret(seen.plant("client secret", facts(org)["client_secret"])),
    )
    org_id = orgs.connect(bridge, actor, request)
    wait_for(lambda: orgs.org(bridge, actor, org_id).describing.state == "done", 60)
    page.goto(f"{server.url}/api_keys")
    settled(page)
    page.get_by_role("button", name="Make a key…").click()
    fill(page, "Name", "nightly")
    page.get_by_role("dialog").get_by_role("button", name="Make key").click()
    shown = page.get_by_role("dialog").locator("code").inner_text().strip()
    assert shown.startswith("obk_")
    seen.texts.clear()  # it is shown once, on purpose
    seen.plant("api key", shown)
    page.goto(f"{server.url}/users")
    settled(page)
    page.get_by_role("button", name="Invite…").click()
    fill(page, "Name", "Bo")
    fill(page, "E-mail", "bo@acme.example")
    page.get_by_role("dialog").get_by_role("button", name="Create invitation").click()
    link = page.get_by_role("dialog").locator("code").inner_text().strip()
    seen.texts.clear()
    seen.plant("invitation", link.partition("token=")[2])

    for spec in registry.PAGES:
        if spec.is_hidden:
            continue
        page.goto(f"{server.url}/{'' if spec.is_default else spec.url_path}")
        settled(page)
        seen.look(page)
    cookies = {each["name"]: each["value"] for each in page.context.cookies()}
    seen.plant("session", cookies["orgbridge_session"])

    places = {f"browser {at}": text for at, text in enumerate(seen.texts)}
    places["log"] = server.log.read_text(encoding="utf-8").replace(server.setup_code, "", 1)
    places["database"] = dumped(server.settings)
    assert len(seen.texts) > 2 * len(registry.PAGES)
    assert seen.found_in(places | files(server.settings.home)) == []
    orgs.remove(bridge, actor, org_id, confirm="kept")
