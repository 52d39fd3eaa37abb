"""Signing in through an identity provider: whom its word lets in, as whom, with which role.

    provider's claims ─▶ identity known? ─▶ else a verified address links an account, or makes one
                      ─▶ member here, active, role by claim ─▶ session

An account is linked once, by an address that the provider verified; afterwards issuer and subject
decide, whatever the address becomes. A provider speaks for the people of its own workspace; for an
account that belongs to another one as well it does so where the operator gave it the address's
domain. What a provider no longer grants ends with the next sign-in,
and at once when it sends a logout token.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.access import audit, sessions
from core.access import people as accounts
from core.access.sessions import Browser, SignedIn
from core.domain.roles import Actor, Role
from core.errors import ConfigError, NotFoundError, UserError
from core.secret import Secret

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.access.oidc import Identity, Speaker
    from core.access.providers import Provider
    from core.bootstrap import Orgbridge
    from core.db.models import AppUser, Membership

#: a person signs in at the provider within this time
ROUND_TRIP = dt.timedelta(minutes=10)
#: what attempts are counted under
_ATTEMPT = "(single sign-on)"


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider as the sign-in page offers it."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A round trip: where the browser goes, and what it keeps meanwhile (sealed)."""

    url: str
    kept: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider's redirect brought back, and from where."""

    state: str
    code: str
    #: the provider's own words when it declined
    refusal: str
    #: what the browser kept
    kept: str
    origin: str
    agent: str = ""


def offered(bridge: Orgbridge) -> tuple[Choice, ...]:
    """The providers of this installation, in the operator's order."""
    return tuple(
        Choice(each.provider.name, each.provider.title) for each in bridge.speakers.values()
    )


def begin(bridge: Orgbridge, name: str, *, redirect_uri: str, wanted: str) -> Begun:
    """Start a round trip to a provider.

    Raises:
        NotFoundError: no such provider. TransientError: it does not answer.
    """
    begun = _speaker(bridge, name).begin(redirect_uri)
    kept = {
        "provider": name,
        "state": begun.state,
        "nonce": begun.nonce,
        "verifier": begun.verifier.reveal(),
        "redirect_uri": redirect_uri,
        "wanted": wanted,
        "until": (bridge.clock() + ROUND_TRIP).isoformat(),
    }
    return Begun(begun.url, bridge.vault.encrypt(json.dumps(kept)))


def finish(bridge: Orgbridge, name: str, answer: Answer) -> tuple[SignedIn, str]:
    """A new session for whom the provider vouches, and where the person wanted to go.

    Raises:
        UserError: a foreign, used or old answer; the provider's word is not good; nobody here is
            meant, or the role is none. TransientError: the provider does not answer.
    """
    speaker, now = _speaker(bridge, name), bridge.clock()
    with bridge.owner_session() as session:
        accounts.check_throttle(session, answer.origin, now=now)
        accounts.note_attempt(
            session, origin=answer.origin, email=_ATTEMPT, succeeded=False, now=now
        )
    kept = _kept(bridge, name, answer)
    if answer.refusal or not answer.code:
        raise UserError(
            f"{speaker.provider.title} did not sign you in: {answer.refusal[:200] or 'no code'}.",
            state="Nobody was signed in.",
            next_step="Start again on the sign-in page.",
        )
    identity = speaker.finish(
        code=answer.code,
        redirect_uri=kept["redirect_uri"],
        nonce=kept["nonce"],
        verifier=Secret(kept["verifier"]),
    )
    return _entered(bridge, speaker.provider, identity, answer), str(kept["wanted"])


def told_out(bridge: Orgbridge, name: str, logout_token: str) -> int:
    """End the sessions of whom the provider signs out (back-channel logout); how many ended.

    Raises:
        UserError: the token is not good; nothing ended.
    """
    speaker = _speaker(bridge, name)
    subject = speaker.told_out(logout_token)
    with bridge.session(bridge.workspace_id(speaker.provider.workspace)) as session:
        person = accounts.by_identity(session, speaker.provider.issuer, subject)
        if person is None:
            return 0
        ended = sessions.revoke(session, person.id, now=bridge.clock())
        actor = _actor(bridge, speaker.provider, person, Role.VIEWER, f"oidc:{name}")
        audit.record_on(
            session, actor, "session.told_out", on=_subject(person), after={"ended": ended}
        )
        return ended


def _entered(bridge: Orgbridge, provider: Provider, identity: Identity, answer: Answer) -> SignedIn:
    now, workspace_id = bridge.clock(), bridge.workspace_id(provider.workspace)
    with bridge.session(workspace_id) as session:
        person, happened = _person(session, bridge, provider, identity=identity)
        role = _role(session, provider, identity, person)
        actor = _actor(bridge, provider, person, role, answer.origin)
        after = {"provider": provider.name, "role": role}
        for act in (*happened, "session.opened"):
            audit.record_on(session, actor, act, on=_subject(person), after=after)
        person.last_seen_at = now
        accounts.note_attempt(
            session, origin=answer.origin, email=_ATTEMPT, succeeded=True, now=now
        )
        return sessions.open_session(
            session,
            user_id=person.id,
            workspace_id=workspace_id,
            browser=Browser(answer.origin, answer.agent),
            now=now,
        )


def _person(
    session: Session, bridge: Orgbridge, provider: Provider, *, identity: Identity
) -> tuple[AppUser, tuple[str, ...]]:
    """Whom the identity means, a member here; and what had to be done for it."""
    workspace_id = bridge.workspace_id(provider.workspace)
    person = accounts.by_identity(session, identity.issuer, identity.subject)
    happened: tuple[str, ...] = ()
    if person is None:
        person = _linked(session, bridge, provider, identity=identity)
        happened = ("person.linked",)
    if not provider.takes(person.email if person else identity.email):
        raise _not_here(provider, "people of this address's domain are not let in")
    if person is None or not accounts.is_member(session, person.id):
        role = provider.role_for(identity.claims)
        if role is None:
            raise _not_here(provider, "it gives you no role here")
        person = accounts.add_person(
            session, workspace_id, name=identity.name, email=identity.email, role=role
        )
        accounts.link(person, identity.issuer, identity.subject)
        happened = ("person.joined",)
    return person, happened


def _linked(
    session: Session, bridge: Orgbridge, provider: Provider, *, identity: Identity
) -> AppUser | None:
    """The account of the verified address, linked now; None: nobody has that address."""
    if not identity.email or not identity.email_verified:
        raise _not_here(provider, "it did not say that your e-mail address is verified")
    person = accounts.by_email(session, identity.email, lock=True)
    if person is None:
        return None
    if person.oidc_subject is not None:
        raise _not_here(provider, "the account of this address signs in as somebody else there")
    if not _speaks_for(bridge, provider, person):
        raise _not_here(provider, "the account of this address belongs to another workspace")
    accounts.link(person, identity.issuer, identity.subject)
    return person


def _speaks_for(bridge: Orgbridge, provider: Provider, person: AppUser) -> bool:
    """Whether a provider's word is enough to open an account: it opens all of its workspaces."""
    if provider.domains:
        return provider.takes(person.email)
    with bridge.owner_session() as session:
        here = bridge.workspace_id(provider.workspace)
        return not accounts.belongs_elsewhere(session, person.id, here)


def _role(session: Session, provider: Provider, identity: Identity, person: AppUser) -> Role:
    """The person's role now; what the provider says replaces what was stored."""
    _, membership = accounts.by_id(session, person.id)
    if not membership.active:
        raise _not_here(provider, "your account was deactivated")
    if not provider.role_claim:
        return Role(membership.role)
    role = provider.role_for(identity.claims)
    if role is None:
        raise _not_here(provider, "it gives you no role here any more")
    return _changed(session, membership, role)


def _changed(session: Session, membership: Membership, role: Role) -> Role:
    """The last admin stays one: otherwise a wrong group at the provider locks everybody out."""
    if Role(membership.role) is Role.ADMIN and role is not Role.ADMIN:
        if not accounts.other_admins(session, membership.user_id):
            return Role.ADMIN
    membership.role = int(role)
    session.flush()
    return role


def _kept(bridge: Orgbridge, name: str, answer: Answer) -> dict[str, Any]:
    """What the browser kept of its round trip, if it is this one."""
    try:
        kept: dict[str, Any] = json.loads(bridge.vault.decrypt(answer.kept))
    except (ConfigError, ValueError):
        kept = {}
    is_ours = bool(kept) and hmac.compare_digest(
        str(kept.get("state", "")).encode(), answer.state.encode()
    )
    if not is_ours or kept["provider"] != name:
        raise _unknown()
    if dt.datetime.fromisoformat(kept["until"]) <= bridge.clock():
        raise _unknown()
    return kept


def _speaker(bridge: Orgbridge, name: str) -> Speaker:
    speaker = bridge.speakers.get(name)
    if speaker is None:
        raise NotFoundError("There is no such identity provider here.", next_step="Sign in anew.")
    return speaker


def _actor(
    bridge: Orgbridge, provider: Provider, person: AppUser, role: Role, origin: str
) -> Actor:
    workspace_id = bridge.workspace_id(provider.workspace)
    return Actor(workspace_id, person.id, person.email, role, origin)


def _subject(person: AppUser) -> audit.Subject:
    return audit.Subject("person", person.id, person.email)


def _not_here(provider: Provider, reason: str) -> UserError:
    return UserError(
        f"{provider.title} knows you, but {reason}.",
        state="Nobody was signed in.",
        next_step="Ask an admin of Orgbridge.",
    )


def _unknown() -> UserError:
    return UserError(
        "This sign-in did not begin in this browser, was used already, or took too long.",
        state="Nobody was signed in.",
        next_step="Start again on the sign-in page.",
    )
