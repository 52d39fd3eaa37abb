"""``orgs``: connect, list, test, refresh and remove orgs."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import UserError
from core.secret import Secret
from terminal.output import given_secret, note, say, show_json, show_table

if TYPE_CHECKING:
    from core.services.orgs import ConnectRequest, OrgCard

app = typer.Typer(no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(help="Name of the org in plans and lists.")]
InstanceUrl = Annotated[str, typer.Option(help="https://….my.salesforce.com; tokens come from it.")]
LoginUrl = Annotated[str, typer.Option(help="Where to sign in, when it is not the instance URL.")]
AccessToken = Annotated[str | None, typer.Option(help="Access token; - reads standard input.")]
ClientId = Annotated[str, typer.Option(help="Consumer key of the app.")]
ClientSecret = Annotated[str | None, typer.Option(help="Consumer secret; - reads standard input.")]
Username = Annotated[str, typer.Option(help="User name (JWT, password).")]
Password = Annotated[str | None, typer.Option(help="Password; - reads standard input.")]
SecurityToken = Annotated[str | None, typer.Option(help="Security token; - reads standard input.")]
JwtKey = Annotated[str | None, typer.Option(help="File of the app's private key (PEM), or -.")]
SfdxUrl = Annotated[str | None, typer.Option(help="sfdx auth URL; - reads standard input.")]
Reconnect = Annotated[bool, typer.Option(help="New credentials for an org that is there.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]


@app.callback()
def _orgs() -> None:
    """Salesforce orgs of the workspace."""


@app.command()
def add(
    name: Name,
    instance_url: InstanceUrl = "",
    login_url: LoginUrl = "",
    access_token: AccessToken = None,
    client_id: ClientId = "",
    client_secret: ClientSecret = None,
    username: Username = "",
    password: Password = None,
    security_token: SecurityToken = None,
    jwt_key: JwtKey = None,
    sfdx_url: SfdxUrl = None,
    reconnect: Reconnect = False,
    as_json: AsJson = False,
) -> None:
    """Test and register an org; the options decide how it is connected."""
    from core.services import orgs
    from terminal.session import opened

    given = {
        "name": name,
        "instance_url": instance_url,
        "login_url": login_url,
        "client_id": client_id,
        "username": username,
        "access_token": given_secret(access_token),
        "client_secret": given_secret(client_secret),
        "password": given_secret(password),
        "security_token": given_secret(security_token),
        "private_key": _key(jwt_key),
        "sfdx_url": given_secret(sfdx_url),
    }
    request = _request({field: value for field, value in given.items() if value})
    with opened() as (bridge, actor):
        if reconnect:
            org_id = orgs.org_named(bridge, actor, name).id
            orgs.reconnect(bridge, actor, org_id, request)
        else:
            org_id = orgs.connect(bridge, actor, request)
        card = orgs.org(bridge, actor, org_id)
    if as_json:
        show_json(_plain(card))
        return
    guard = " It is production and protected." if card.protected else ""
    say(f"{card.name}: {card.organization_name} ({card.environment}) as {card.username}.{guard}")
    note(f"A worker reads its objects; without one: orgs refresh {card.name}")


@app.command("list")
def list_orgs(as_json: AsJson = False) -> None:
    """Every org of the workspace."""
    from core.services import orgs
    from terminal.session import opened

    with opened() as (bridge, actor):
        found = orgs.orgs(bridge, actor)
    if as_json:
        show_json([_plain(card) for card in found])
        return
    rows = [
        (
            card.name,
            card.environment,
            card.organization_id,
            card.username,
            card.api_version,
            _usage(card),
            card.status,
        )
        for card in found
    ]
    head = ("Org", "Environment", "Organization id", "User", "API", "Calls today", "Status")
    show_table(head, rows, empty="No org yet. `orgs add` connects one, `practice up` makes two.")


@app.command()
def test(name: Name, as_json: AsJson = False) -> None:
    """Ask an org who it is and what is left of its calls; exit 1 when it does not let us in."""
    from core.services import orgs
    from terminal.session import opened

    with opened() as (bridge, actor):
        known = orgs.org_named(bridge, actor, name)
        card = orgs.check_health(bridge, actor, known.id)
    if as_json:
        show_json(_plain(card))
        return
    say(f"{card.name} answers: {card.organization_name} as {card.username}, {_usage(card)} calls.")


@app.command()
def refresh(name: Name) -> None:
    """Read an org's objects and fields again."""
    from core.services import orgs
    from terminal.session import opened

    with opened() as (bridge, actor):
        count = orgs.refresh_metadata(bridge, actor, orgs.org_named(bridge, actor, name).id)
    say(f"{count} objects described.")


@app.command()
def remove(
    name: Name,
    confirm: Annotated[str, typer.Option(help="The org's name once more.")] = "",
) -> None:
    """Revoke an org's tokens and forget it; runs and logs stay."""
    from core.services import orgs
    from terminal.session import opened

    with opened() as (bridge, actor):
        card = orgs.org_named(bridge, actor, name)
        orgs.remove(bridge, actor, card.id, confirm=confirm)
    used = f" Plans that name it: {', '.join(card.plans_using)}." if card.plans_using else ""
    say(f"{card.name} was removed.{used}")


def _request(given: dict[str, Any]) -> ConnectRequest:
    """The request, with the way of connecting that the options mean.

    Raises:
        UserError: they mean none.
    """
    from core.services.orgs import ConnectRequest

    ways = (
        ("sfdx_url", "sfdx"),
        ("access_token", "access_token"),
        ("private_key", "jwt"),
        ("password", "password"),
        ("client_secret", "client_credentials"),
    )
    for field, kind in ways:
        if field in given:
            return ConnectRequest(kind=kind, **given)  # type: ignore[arg-type]  # one of the five
    raise UserError(
        "No way to sign in was given.",
        state="Nothing was connected.",
        next_step="Give --access-token, or --client-id with --client-secret, or --client-id,"
        " --username and --jwt-key, or --username and --password, or --sfdx-url.",
    )


def _key(file: str | None) -> Secret | None:
    """The text of a PEM file; ``-`` is standard input."""
    if file is None:
        return None
    if file == "-":
        return Secret(sys.stdin.read())
    try:
        return Secret(Path(file).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The key file {file} cannot be read.", next_step="Give the file of the PEM key."
        ) from error


def _usage(card: OrgCard) -> str:
    if card.api_used is None or card.api_allowed is None:
        return "–"
    return f"{card.api_used} of {card.api_allowed}"


def _plain(card: OrgCard) -> dict[str, object]:
    return dataclasses.asdict(card)
