"""The dialog that connects an org, by every way that Salesforce offers; tests before it saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.errors import OrgbridgeError
from core.secret import Secret
from core.services import orgs
from pages.parts import boxes, figures, practice_orgs, state, visit, words

PRACTICE = "practice"
KEY = "connect"
LOGIN_HOSTS = {
    "https://login.salesforce.com": "Production or Developer Edition",
    "https://test.salesforce.com": "Sandbox",
    "": "My Domain…",
}
CALLBACK_PATH = "/oauth/callback"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to connect: what it is called, what it asks, what one should know."""

    label: str
    #: names of ConnectRequest's fields
    asks: tuple[str, ...]
    note: str
    #: those of them that may stay empty
    optional: frozenset[str] = frozenset()


WAYS: dict[str, Way] = {
    PRACTICE: Way("Practice", (), "Two orgs on this machine that behave like Salesforce."),
    "web": Way(
        "Browser sign-in",
        ("login_url", "client_id", "client_secret"),
        "Sign in at Salesforce; the org needs a connected app with the callback shown below.",
        frozenset({"client_secret"}),
    ),
    "access_token": Way(
        "Access token",
        ("instance_url", "access_token"),
        "Lasts as long as the token; cannot be renewed. Good for a first look.",
    ),
    "client_credentials": Way(
        "Client credentials",
        ("instance_url", "client_id", "client_secret"),
        "Acts as the run-as user of the connected app. Renews itself.",
    ),
    "jwt": Way(
        "JWT",
        ("login_url", "client_id", "username", "private_key"),
        "A signed assertion; the app must be pre-authorised for the user. Renews itself.",
    ),
    "sfdx": Way(
        "SFDX URL",
        ("sfdx_url",),
        "The force://… line of `sf org display --verbose`. Renews itself.",
    ),
    "password": Way(
        "Password",
        ("login_url", "username", "password", "security_token"),
        "SOAP login. Salesforce ends it for API versions after 64; prefer another way.",
        frozenset({"security_token"}),
    ),
}
LABELS = {
    "login_url": "Where to sign in",
    "instance_url": "Instance URL",
    "access_token": "Access token",
    "client_id": "Consumer key",
    "client_secret": "Consumer secret",
    "username": "Username",
    "password": "Password",
    "security_token": "Security token",
    "private_key": "Private key (PEM)",
    "sfdx_url": "SFDX auth URL",
}
SECRETS = frozenset(
    {"access_token", "client_secret", "password", "security_token", "private_key", "sfdx_url"}
)
HINTS = {"instance_url": "https://acme.my.salesforce.com", "username": "mira@acme.example"}


@st.dialog("Connect an org", width="medium", icon=":material/cloud:")
def dialog(again: orgs.OrgCard | None = None) -> None:
    """Ask, test, then save. With ``again`` the credentials of a known org are replaced."""
    ways = [name for name in WAYS if not (again and name == PRACTICE)]
    kind = st.segmented_control(
        "How",
        ways,
        default=(again.auth_kind if again and again.auth_kind in ways else ways[0]),
        required=True,
        format_func=lambda name: WAYS[name].label,
        key=f"{KEY}.kind",
        label_visibility="collapsed",
    )
    st.caption(WAYS[kind].note)
    if kind == PRACTICE:
        _practice()
        return
    name = again.name if again else _name()
    request = orgs.ConnectRequest(name=name, kind=kind, **_asked(WAYS[kind]))
    if kind == "web":
        _sign_in_at_salesforce(request)
    else:
        _test_and_save(request, again)


def _practice() -> None:
    if st.button(
        "Create practice orgs", type="primary", icon=":material/school:", key=f"{KEY}.practice"
    ):
        practice_orgs.create()


def _name() -> str:
    given = st.text_input(
        "Name",
        key=f"{KEY}.name",
        autocomplete="off",
        placeholder="Acme Production",
        help="What plans and people call it. Whether it is production, Salesforce itself says.",
    )
    return (given or "").strip()


def _asked(way: Way) -> dict[str, Any]:
    return {name: _field(name, is_optional=name in way.optional) for name in way.asks}


def _field(name: str, *, is_optional: bool) -> str | Secret:
    if name == "login_url":
        return _login_url()
    label = LABELS[name] + (" (optional)" if is_optional else "")
    if name == "private_key":
        return Secret(st.text_area(label, key=f"{KEY}.{name}", height=120) or "")
    given = st.text_input(
        label,
        key=f"{KEY}.{name}",
        type="password" if name in SECRETS else "default",
        autocomplete="off",
        placeholder=HINTS.get(name),
        # A password box does not commit when its own eye button takes the focus (seen on 1.67).
        live=True,
    )
    return Secret((given or "").strip()) if name in SECRETS else (given or "").strip()


def _login_url() -> str:
    host = st.selectbox(
        LABELS["login_url"],
        list(LOGIN_HOSTS),
        format_func=lambda url: LOGIN_HOSTS[url],
        key=f"{KEY}.login_host",
    )
    if host:
        return str(host)
    given = st.text_input(
        "My Domain URL",
        key=f"{KEY}.login_url",
        autocomplete="off",
        placeholder="https://acme.my.salesforce.com",
    )
    return (given or "").strip()


def _sign_in_at_salesforce(request: orgs.ConnectRequest) -> None:
    callback = _callback()
    st.caption("Callback URL for the connected app")
    st.code(callback, language=None)
    if not st.button("Continue to Salesforce…", type="primary", key=f"{KEY}.oauth"):
        return
    try:
        url = orgs.start_oauth(visit.bridge(), visit.actor(), request, redirect_uri=callback)
    except OrgbridgeError as problem:
        boxes.error(problem)
        return
    st.link_button("Sign in at Salesforce", url, type="primary", icon=":material/open_in_new:")
    st.caption("Opens a new tab; the org appears here when you come back.")


def _callback() -> str:
    """This server as the visitor's browser sees it, with our route."""
    shown = st.context.url or "http://localhost:8501/"
    scheme, _, rest = shown.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}{CALLBACK_PATH}"


def _test_and_save(request: orgs.ConnectRequest, again: orgs.OrgCard | None) -> None:
    if st.button("Test", icon=":material/network_check:", key=f"{KEY}.test"):
        _test(request)
    _answer(request)
    if not st.button(
        "Test and connect" if again is None else "Test and reconnect",
        type="primary",
        key=f"{KEY}.save",
    ):
        return
    asks = f"Asking {boxes.escaped(_named(request))} once more, then keeping it…"
    with st.spinner(asks, show_time=True):
        went_well = boxes.acted(_save, request, again)
    if went_well:
        st.session_state[state.TOAST] = f"{request.name} is connected."
        st.rerun()


def _save(request: orgs.ConnectRequest, again: orgs.OrgCard | None) -> None:
    if again is None:
        orgs.connect(visit.bridge(), visit.actor(), request)
    else:
        orgs.reconnect(visit.bridge(), visit.actor(), again.id, request)


def _test(request: orgs.ConnectRequest) -> None:
    """Ask the org, and keep what it said as long as nothing is typed over: a rerun that comes late,
    such as that of a box left a moment ago, must not wipe it."""
    answer: orgs.ConnectionReport | OrgbridgeError
    try:
        asks = f"Asking {boxes.escaped(_named(request))} who it is and what its user may do…"
        with st.spinner(asks, show_time=True):
            answer = orgs.test_connection(visit.bridge(), visit.actor(), request)
    except OrgbridgeError as problem:
        answer = problem
    st.session_state[state.CONNECT_ANSWER] = (hash(request), answer)


def _named(request: orgs.ConnectRequest) -> str:
    return request.name.strip() or "the org"


def _answer(request: orgs.ConnectRequest) -> None:
    """What the org said to exactly this request, if it was asked."""
    asked, report = st.session_state.get(state.CONNECT_ANSWER, (None, None))
    if report is None or asked != hash(request):
        return
    if isinstance(report, OrgbridgeError):
        boxes.error(report)
        return
    kind = words.word(words.ENVIRONMENTS, report.environment)
    st.table(
        {
            "Org": f"{boxes.escaped(report.organization_name)} {kind.badge}",
            "Id": f"`{report.organization_id}`",
            "Edition": boxes.escaped(report.organization_type),
            "User": boxes.code(report.username),
            "API version": report.api_version,
            "API calls today": f"{figures.count(report.calls_used)} of "
            f"{figures.count(report.calls_allowed)}",
            "Permissions missing": boxes.escaped(", ".join(report.missing_permissions)) or "none",
        },
        border="horizontal",
    )
