"""The few screens in front of the pages, as plain HTML: sign-in, first setup, sign-out, a problem.

Everything that is not ours is escaped here and nowhere else. They work without any script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from core.api.csrf import FORM_FIELD
from core.errors import OrgbridgeError

TEMPLATES = Path(__file__).with_name("templates")
_PAGE = Template((TEMPLATES / "page.html").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class FormField:
    """One input of a form."""

    name: str
    label: str
    #: the HTML input type
    type: str = "text"
    #: what a password manager should offer
    autocomplete: str = "off"
    hint: str = ""
    #: drawn in the monospaced face
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Screen:
    """One form: what it says, what it asks, where it goes."""

    title: str
    intro: str
    action: str
    fields: tuple[FormField, ...]
    button: str


EMAIL = FormField("email", "E-mail", type="email", autocomplete="username")
PASSWORD = FormField("password", "Password", type="password", autocomplete="current-password")
NEW_PASSWORD = FormField(
    "password",
    "Password",
    type="password",
    autocomplete="new-password",
    hint="At least 12 characters; a short sentence is easy to remember.",
)
SIGN_IN = Screen("Sign in", "", "/login", (EMAIL, PASSWORD), "Sign in")
FIRST_SETUP = Screen(
    "Create the first admin",
    "The terminal that started Orgbridge printed a one-time code: it proves that you own it.",
    "/setup",
    (
        FormField("code", "One-time code", is_code=True, autocomplete="one-time-code"),
        FormField("name", "Your name", autocomplete="name"),
        EMAIL,
        NEW_PASSWORD,
    ),
    "Create admin and sign in",
)
INVITATION = Screen(
    "Choose a password",
    "You were invited to Orgbridge. The link works once.",
    "/invite",
    (FormField("name", "Your name", autocomplete="name"), NEW_PASSWORD),
    "Join and sign in",
)
SIGN_OUT = Screen(
    "Sign out", "Your runs and schedules go on without you.", "/logout", (), "Sign out"
)


def form_page(
    screen: Screen,
    *,
    csrf: str,
    typed: Mapping[str, str] | None = None,
    hidden: Mapping[str, str] | None = None,
    problem: OrgbridgeError | None = None,
    links: Mapping[str, str] | None = None,
) -> str:
    """A whole HTML page with one form; ``typed`` refills it, save for passwords and codes.

    ``links`` (text by address) stand below it as other ways in.
    """
    inputs = [
        _hidden(name, text) for name, text in {FORM_FIELD: csrf, **(hidden or {})}.items() if text
    ]
    inputs += _inputs(screen.fields, typed or {})
    intro = f"<p>{escape(screen.intro)}</p>" if screen.intro else "<p></p>"
    return _page(
        screen.title,
        f"{intro}{_problem(problem)}"
        f'<form method="post" action="{escape(screen.action)}">{"".join(inputs)}'
        f'<button type="submit">{escape(screen.button)}</button></form>{_links(links or {})}',
    )


def problem_page(title: str, problem: OrgbridgeError, *, link: str, link_text: str) -> str:
    """A whole HTML page that says what happened and where to go on."""
    body = f'{_problem(problem)}<p><a href="{escape(link)}">{escape(link_text)}</a></p>'
    return _page(title, body)


def _page(title: str, body: str) -> str:
    return _PAGE.substitute(title=escape(title), body=body)


def _links(links: Mapping[str, str]) -> str:
    drawn = [f'<a class="way" href="{escape(to)}">{escape(text)}</a>' for to, text in links.items()]
    return f'<div class="ways"><p>or</p>{"".join(drawn)}</div>' if drawn else ""


def _hidden(name: str, text: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(text)}">'


def _inputs(fields: Sequence[FormField], typed: Mapping[str, str]) -> list[str]:
    empty = next((field.name for field in fields if not typed.get(field.name)), None)
    return [_input(field, typed.get(field.name, ""), focus=field.name == empty) for field in fields]


def _input(field: FormField, text: str, *, focus: bool) -> str:
    keeps = field.type != "password" and not field.is_code
    attributes = {
        "id": field.name,
        "name": field.name,
        "type": field.type,
        "autocomplete": field.autocomplete,
        "value": text if keeps else "",
        "class": "code" if field.is_code else "",
    }
    drawn = " ".join(f'{name}="{escape(text)}"' for name, text in attributes.items() if text)
    hint = f'<span class="hint">{escape(field.hint)}</span>' if field.hint else ""
    focused = " autofocus" if focus else ""
    return (
        f'<div class="row"><label for="{escape(field.name)}">{escape(field.label)}</label>'
        f"<input {drawn} required{focused}>{hint}</div>"
    )


def _problem(problem: OrgbridgeError | None) -> str:
    if problem is None:
        return ""
    rest = " ".join(part for part in (problem.state, problem.next_step) if part)
    told = f"<strong>{escape(problem.happened)}</strong>{escape(rest)}"
    return f'<div class="problem" role="alert">{told}</div>'
