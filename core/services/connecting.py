"""The ways an org is connected: from what a person typed to tested credentials.

Part of `core.services.orgs`, which alone is called from outside; saves nothing but the round trip
of a browser sign-in.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from core.access import codes, connections, people
from core.db import orgs
from core.db.orgs import OrgRow
from core.domain.roles import Actor, Role
from core.errors import DailyLimitError, RefusedError, SessionLostError, UserError
from core.salesforce import flows, hosts
from core.salesforce.client import OrgClient
from core.salesforce.credentials import NOTHING, Credentials, TokenFlow
from core.salesforce.identity import Environment, OrgIdentity, UserPermissions
from core.salesforce.retry import OF_A_PERSON
from core.salesforce.tokens import TokenEndpoint
from core.secret import Secret

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.bootstrap import Orgbridge

Kind = Literal["access_token", "password", "client_credentials", "jwt", "sfdx", "web"]

#: a person signs in at the org within this time
ROUND_TRIP = dt.timedelta(minutes=15)
PRODUCTION_LOGIN = "https://login.salesforce.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRequest:
    """What a person gave to connect an org; which fields count follows from `kind`."""

    name: str
    kind: Kind
    instance_url: str = ""
    login_url: str = ""
    access_token: Secret = NOTHING
    client_id: str = ""
    client_secret: Secret = NOTHING
    username: str = ""
    password: Secret = NOTHING
    security_token: Secret = NOTHING
    private_key: Secret = NOTHING
    sfdx_url: Secret = NOTHING


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What the org said of itself and of us."""

    organization_name: str
    organization_id: str
    organization_type: str
    environment: str
    username: str
    api_version: str
    calls_used: int
    calls_allowed: int
    #: permissions of the user that migrations miss, in Setup's words
    missing_permissions: tuple[str, ...]
    #: objects that the user may see
    objects: int


@dataclass(frozen=True, slots=True)
class Tried:
    """Credentials that an org accepted, with its answers."""

    held: Credentials
    identity: OrgIdentity
    report: ConnectionReport


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A browser sign-in that came back."""

    actor: Actor
    request: ConnectRequest
    verifier: Secret
    redirect_uri: str
    #: the org to reconnect, or None
    again: UUID | None


def credentials(request: ConnectRequest) -> Credentials:
    """Credentials without a token yet (unless one was given).

    Raises:
        UserError: an address that may not be used, or a browser sign-in, which goes by start_oauth.
    """
    if request.kind == "sfdx":
        return flows.from_sfdx_url(request.sfdx_url.reveal())
    if request.kind == "web":
        raise UserError("A browser sign-in begins in the browser.")
    flow = _FLOWS[request.kind]
    login = hosts.checked_url(request.login_url, what="login address") if request.login_url else ""
    instance = hosts.checked_url(request.instance_url) if request.instance_url else ""
    if not (instance or login):
        login = PRODUCTION_LOGIN if flow in (TokenFlow.JWT, TokenFlow.PASSWORD) else ""
    if not (instance or login):
        raise UserError(
            "The org's address is empty.",
            next_step="Enter it, such as https://example.my.salesforce.com.",
        )
    return Credentials(
        instance_url=instance or login,
        login_url=login or instance,
        flow=flow,
        access_token=request.access_token,
        client_id=request.client_id.strip(),
        client_secret=request.client_secret,
        username=request.username.strip(),
        password=request.password,
        security_token=request.security_token,
        private_key=request.private_key,
    )


def tried(bridge: Orgbridge, wanted: Credentials) -> Tried:
    """Get a token, then ask the org who it is; about six calls, nothing saved.

    Raises:
        UserError, RefusedError, TransientError: why not.
    """
    try:
        held = flows.connect(endpoint(), wanted, clock=bridge.clock)
    except SessionLostError as lost:
        raise _not_accepted(wanted, lost) from lost
    latest = [held]
    client = OrgClient(held, clock=bridge.clock, on_token=latest.append, patience=bridge.patience)
    try:
        answered = asked(client, held)
    except SessionLostError as lost:
        raise _not_accepted(held, lost) from lost
    finally:
        client.close()
    return replace(answered, held=replace(latest[-1], api_version=answered.held.api_version))


def asked(client: OrgClient, held: Credentials) -> Tried:
    """Ask a client's org for identity, limits, permissions and objects."""
    identity = client.identity
    objects = client.describe_global()
    permissions = client.user_permissions()
    used, allowed = _calls(client)
    report = ConnectionReport(
        organization_name=identity.name,
        organization_id=identity.organization_id,
        organization_type=identity.organization_type,
        environment=str(identity.environment),
        username=identity.username,
        api_version=identity.api_version,
        calls_used=used,
        calls_allowed=allowed,
        missing_permissions=_missing(permissions),
        objects=len(objects),
    )
    return Tried(replace(held, api_version=identity.api_version), identity, report)


def new_org_values(
    bridge: Orgbridge, actor: Actor, *, request: ConnectRequest, answered: Tried
) -> dict[str, Any]:
    """Column values of a newly registered org."""
    return (
        identity_values(bridge, answered)
        | secret_values(bridge, answered)
        | {
            "name": request.name.strip() or answered.identity.name,
            "connected_by": actor.name,
            "protected": answered.identity.environment is Environment.PRODUCTION,
        }
    )


def identity_values(bridge: Orgbridge, answered: Tried) -> dict[str, Any]:
    """Column values that the org's answers decide."""
    identity, report = answered.identity, answered.report
    return {
        "org_id": identity.organization_id,
        "user_id": identity.user_id,
        "user_name": identity.username,
        "organization_name": identity.name,
        "organization_type": identity.organization_type,
        "is_sandbox": identity.is_sandbox,
        "is_practice": identity.is_practice,
        "environment": str(identity.environment),
        "trial_expires_at": identity.trial_expires,
        "api_version": identity.api_version,
        "status": "connected",
        "status_reason": None,
        "tested_at": bridge.clock(),
        "api_used": report.calls_used,
        "api_allowed": report.calls_allowed,
        "usage_at": bridge.clock(),
    }


def newly_protected(known: OrgRow, answered: Tried) -> dict[str, Any]:
    """Protection, for an org that was registered as something else and is production now."""
    production = Environment.PRODUCTION
    if answered.identity.environment is not production or known.environment == production:
        return {}
    return {"protected": True}


def secret_values(bridge: Orgbridge, answered: Tried) -> dict[str, Any]:
    """Column values that the credentials decide, encrypted."""
    held = answered.held
    return connections.sealed(bridge.vault, held) | {
        "instance_url": held.instance_url,
        "domain_name": urlsplit(held.instance_url).netloc,
        "login_url": held.login_url or None,
        "auth_kind": str(held.flow),
    }


def began(
    bridge: Orgbridge,
    session: Session,
    actor: Actor,
    *,
    request: ConnectRequest,
    redirect_uri: str,
    again: UUID | None,
) -> str:
    """Keep a round trip and answer the URL of the org's login page."""
    start = flows.begin_web_server(
        login_url=request.login_url or request.instance_url or PRODUCTION_LOGIN,
        client_id=request.client_id,
        redirect_uri=redirect_uri,
    )
    kept = {
        "request": _to_plain(request),
        "verifier": start.verifier.reveal(),
        "redirect_uri": redirect_uri,
        "again": str(again) if again else None,
    }
    now = bridge.clock()
    values = {
        "workspace_id": actor.workspace_id,
        "user_id": actor.user_id,
        "state_hash": codes.token_hash(start.state),
        "payload": bridge.vault.encrypt(json.dumps(kept)),
        "created_at": now,
        "expires_at": now + ROUND_TRIP,
    }
    orgs.lay_oauth_state(session, values)
    return start.authorize_url


def came_back(bridge: Orgbridge, state: str) -> RoundTrip:
    """Use a round trip up and answer what was kept, with the person's present role.

    Raises:
        UserError: unknown, used or too old.
    """
    with bridge.owner_session() as session:
        found = orgs.take_oauth_state(session, codes.token_hash(state), now=bridge.clock())
        if found is None:
            raise UserError(
                "This sign-in is not known, was finished already, or took too long.",
                state="Nothing was connected.",
                next_step="Start it again on the Orgs page.",
            )
        kept, workspace_id, user_id = found.payload, found.workspace_id, found.user_id
    plain = json.loads(bridge.vault.decrypt(kept))
    return RoundTrip(
        actor=_person(bridge, workspace_id, user_id),
        request=_from_plain(plain["request"]),
        verifier=Secret(plain["verifier"]),
        redirect_uri=plain["redirect_uri"],
        again=UUID(plain["again"]) if plain["again"] else None,
    )


def exchanged(bridge: Orgbridge, trip: RoundTrip, *, code: str, refusal: str) -> Tried:
    """The callback's code for tokens, then the test.

    Raises:
        UserError, RefusedError: the org declined, or the code is not good.
    """
    if refusal or not code:
        raise flows.callback_refusal("access_denied", refusal or "the org sent no code")
    login = trip.request.login_url or trip.request.instance_url or PRODUCTION_LOGIN
    wanted = Credentials(
        instance_url=hosts.checked_url(login),
        login_url=hosts.checked_url(login),
        client_id=trip.request.client_id.strip(),
        client_secret=trip.request.client_secret,
    )
    held = flows.finish_web_server(
        endpoint(), wanted, code=code, verifier=trip.verifier, redirect_uri=trip.redirect_uri
    )
    client = OrgClient(held, clock=bridge.clock, patience=bridge.patience)
    try:
        return asked(client, held)
    finally:
        client.close()


def revoke(held: Credentials) -> None:
    """Make the stored tokens worthless at the org: the lasting one, then the session's."""
    speaker = endpoint()
    flows.revoke(speaker, held)
    if held.refresh_token and held.access_token:
        # orgs end the sessions of a revoked refresh token, but not at the same moment
        speaker.revoke(held.token_host, held.access_token)


def endpoint() -> TokenEndpoint:
    """A speaker to login hosts."""
    return TokenEndpoint(sleep=time.sleep, patience=OF_A_PERSON)


_FLOWS = {
    "access_token": TokenFlow.ACCESS_TOKEN,
    "password": TokenFlow.PASSWORD,
    "client_credentials": TokenFlow.CLIENT_CREDENTIALS,
    "jwt": TokenFlow.JWT,
}
#: what a migration needs of the user, as Setup names it
_NEEDED = {
    "view_all_data": "View All Data",
    "modify_all_data": "Modify All Data",
    "api_enabled": "API Enabled",
    "create_audit_fields": "Set Audit Fields upon Record Creation",
    "update_with_inactive_owner": "Update Records with Inactive Owners",
    "view_encrypted_data": "View Encrypted Data",
    "bulk_api_hard_delete": "Bulk API Hard Delete",
    "query_all_files": "Query All Files",
}


def _not_accepted(held: Credentials, lost: SessionLostError) -> UserError:
    """Why a token that nobody has used before does not open the org."""
    if held.flow is TokenFlow.ACCESS_TOKEN:
        return UserError(
            f"{urlsplit(held.instance_url).hostname} does not accept this access token: it is"
            " wrong, has expired, or belongs to another org.",
            state="Nothing was saved.",
            next_step="Paste a fresh one, or connect in a way that renews itself.",
        )
    advice = _ADVICE.get(held.flow, lost.next_step)
    return UserError(lost.happened, state="Nothing was saved.", next_step=advice)


#: what to look at when an org refuses credentials that were just given, by how they sign in
_ADVICE = {
    TokenFlow.JWT: "Check that the app holds the certificate of this key, that the consumer key and"
    " the user belong to this org, and that this machine's clock is right.",
    TokenFlow.REFRESH_TOKEN: "Sign in again with `sf org login web` and take the URL anew.",
    TokenFlow.CLIENT_CREDENTIALS: "Check consumer key, secret and the app's run-as user.",
}


def _missing(permissions: UserPermissions) -> tuple[str, ...]:
    return tuple(words for name, words in _NEEDED.items() if getattr(permissions, name) is False)


def _calls(client: OrgClient) -> tuple[int, int]:
    """Calls used and allowed today: from /limits, else from the header of the last answer."""
    try:
        daily = client.library.limits()["DailyApiRequests"]
        return daily["Max"] - daily["Remaining"], daily["Max"]
    except (SessionLostError, DailyLimitError):
        raise
    except (RefusedError, KeyError):
        # /limits needs View Setup and Configuration
        return client.usage.used or 0, client.usage.allowed or 0


def _person(bridge: Orgbridge, workspace_id: UUID, user_id: UUID | None) -> Actor:
    """Who began the round trip, with the role of now: it may have been taken away meanwhile."""
    if user_id is None:
        raise UserError("This sign-in was not begun by a person.")
    with bridge.session(workspace_id) as session:
        person, membership = people.by_id(session, user_id)
        role = Role(membership.role) if membership.active else Role.VIEWER
        return Actor(workspace_id, user_id, person.email, role, "oauth callback")


def _to_plain(request: ConnectRequest) -> dict[str, str]:
    values = {field.name: getattr(request, field.name) for field in fields(request)}
    return {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in values.items()
    }


def _from_plain(plain: dict[str, str]) -> ConnectRequest:
    secrets = {field.name for field in fields(ConnectRequest) if field.type == "Secret"}
    values: dict[str, Any] = {
        name: Secret(value) if name in secrets else value for name, value in plain.items()
    }
    return ConnectRequest(**values)
