"""``people``: who may come in; the way back for an admin who lost the password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import NotFoundError, UserError
from terminal.output import say, show_table

if TYPE_CHECKING:
    from uuid import UUID

    from core.bootstrap import Orgbridge
    from core.domain.roles import Actor, Role
    from core.services.people import Invitation

app = typer.Typer(no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="E-mail address of the person.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, analyst, approver or admin.")]


@app.callback()
def _people() -> None:
    """People of the workspace."""


@app.command("list")
def list_people() -> None:
    """Everybody with role and last visit."""
    from core.services import people
    from terminal.session import opened

    with opened() as (bridge, actor):
        found = people.people(bridge, actor)
    rows = [
        (p.email, p.name, p.role.name.lower(), "yes" if p.active else "no", p.last_seen_at)
        for p in found
    ]
    head = ("E-mail", "Name", "Role", "Active", "Last seen")
    show_table(head, rows, empty="Nobody yet. Start the app and enter the code that it prints.")


@app.command()
def invite(
    email: Email,
    name: Annotated[str, typer.Option(help="Full name.")] = "",
    role: RoleName = "analyst",
) -> None:
    """Make a member; prints a link with which the person chooses a password, once."""
    from core.services import people
    from terminal.session import opened

    with opened() as (bridge, actor):
        made = people.invite(bridge, actor, name=name, email=email, role=role_named(role))
        _say_link(bridge, made)


@app.command()
def reset(email: Email) -> None:
    """Print a link with which a person who lost the password chooses a new one, once."""
    from core.services import people
    from terminal.session import opened

    with opened() as (bridge, actor):
        _say_link(bridge, people.reset_password(bridge, actor, _id_of(bridge, actor, email)))


@app.command()
def role(email: Email, role: Annotated[str, typer.Argument(help="The new role.")]) -> None:
    """Give a member another role."""
    from core.services import people
    from terminal.session import opened

    with opened() as (bridge, actor):
        people.change_role(bridge, actor, _id_of(bridge, actor, email), role=role_named(role))
    say(f"{email} is {role.lower()} now.")


def role_named(text: str) -> Role:
    """The role of that name.

    Raises:
        UserError: there is none.
    """
    from core.domain.roles import Role

    try:
        return Role[text.strip().upper()]
    except KeyError:
        known = ", ".join(each.name.lower() for each in Role)
        raise UserError(f"There is no role “{text}”.", next_step=f"Roles: {known}.") from None


def _id_of(bridge: Orgbridge, actor: Actor, email: str) -> UUID:
    from core.services import people

    for person in people.people(bridge, actor):
        if person.email.lower() == email.strip().lower():
            return person.id
    raise NotFoundError(f"{email} is no member of this workspace.")


def _say_link(bridge: Orgbridge, made: Invitation) -> None:
    settings = bridge.settings
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    say(f"http://{host}:{settings.port}/invite?token={made.token}")
    say(f"Works once, until {made.expires_at:%Y-%m-%d %H:%M} UTC.")
