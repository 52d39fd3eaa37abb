"""The door: first admin, signing in, lockout, throttle, invitations, roles, sessions, API keys."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from argon2 import extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from core import bootstrap
from core.access import api_keys, codes, sessions
from core.access import people as accounts
from core.bootstrap import Orgbridge
from core.config import Settings
from core.db.models import ApiKey, AppUser, AuditLog, UserSession, Workspace
from core.domain.roles import Actor, Role
from core.errors import ConflictError, NotAllowedError, UserError
from core.services import people
from tests.costs import AS_SHIPPED, NOBODY_AS_SHIPPED
from tests.db.planting import workspace

PASSWORD = "a short sentence is easy"
EMAIL = "ada@example.org"
HERE = "192.0.2.7"


@dataclass
class Clock:
    """A clock that a test turns."""

    now: dt.datetime = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def on(self, **by: float) -> None:
        self.now += dt.timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(settings: Settings, clock: Clock) -> Iterator[Orgbridge]:
    """The product on a clock that stands still."""
    with bootstrap.build(settings, clock=clock) as bridge:
        yield bridge


@pytest.fixture
def admin(house: Orgbridge) -> Actor:
    """The first admin, signed in."""
    return signed_in_admin(house)


def signed_in_admin(house: Orgbridge) -> Actor:
    code = people.issue_setup_code(house)
    assert code is not None
    entered = people.create_first_admin(
        house, code=code, name="Ada", email=EMAIL, password=PASSWORD, origin=HERE
    )
    visitor = people.who(house, entered.token)
    assert visitor is not None
    return visitor.actor


def sign_in(house: Orgbridge, password: str = PASSWORD, *, email: str = EMAIL) -> people.SignedIn:
    return people.sign_in(house, email=email, password=password, origin=HERE)


def member(house: Orgbridge, admin: Actor, role: Role, *, email: str = "bo@example.org") -> Actor:
    """A person of that role, invited and signed in."""
    invitation = people.invite(house, admin, name="Bo", email=email, role=role)
    entered = people.accept_invitation(
        house, token=invitation.token, name="", password=PASSWORD, origin=HERE
    )
    visitor = people.who(house, entered.token)
    assert visitor is not None
    return visitor.actor


# --- the first admin ------------------------------------------------------------------------


def test_first_admin_needs_the_newest_code(house: Orgbridge) -> None:
    """Earlier codes are void; the right one works once, written in any way."""
    first, second = people.issue_setup_code(house), people.issue_setup_code(house)
    assert first and second and people.needs_first_setup(house)
    given = {"name": "Ada", "email": EMAIL, "password": PASSWORD, "origin": HERE}

    with pytest.raises(UserError, match="not the code"):
        people.create_first_admin(house, code=first, **given)
    people.create_first_admin(house, code=f" {second.lower().replace('-', ' ')} ", **given)

    assert not people.needs_first_setup(house)
    assert people.issue_setup_code(house) is None
    with pytest.raises(ConflictError, match="admin already"):
        people.create_first_admin(house, code=second, **given)


def test_weak_password_does_not_use_the_code_up(house: Orgbridge) -> None:
    """The form can be sent again."""
    code = people.issue_setup_code(house) or ""
    given = {"code": code, "name": "Ada", "email": EMAIL, "origin": HERE}

    with pytest.raises(UserError, match="fewer than 12"):
        people.create_first_admin(house, password="short", **given)
    with pytest.raises(UserError, match="not an e-mail"):
        people.create_first_admin(house, password=PASSWORD, **{**given, "email": "ada"})

    assert people.create_first_admin(house, password=PASSWORD, **given).token


def test_passwords_are_stretched_as_rfc_9106_asks(
    house: Orgbridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was stretched less is stretched anew when its person signs in."""
    code = people.issue_setup_code(house) or ""
    given = {"code": code, "name": "Ada", "password": PASSWORD, "email": EMAIL, "origin": HERE}
    people.create_first_admin(house, **given)
    monkeypatch.setattr(codes, "_PASSWORDS", AS_SHIPPED)
    sign_in(house)

    with house.owner_session() as session:
        kept = session.scalars(sa.select(AppUser.password_hash)).one()
    assert extract_parameters(kept or "") == RFC_9106_LOW_MEMORY
    assert extract_parameters(NOBODY_AS_SHIPPED) == RFC_9106_LOW_MEMORY


def test_code_works_once_for_two_at_the_same_time(house: Orgbridge) -> None:
    """Of two browsers that send it together one becomes the admin."""
    code = people.issue_setup_code(house) or ""

    def create(number: int) -> str:
        try:
            people.create_first_admin(
                house,
                code=code,
                name="",
                email=f"a{number}@example.org",
                password=PASSWORD,
                origin=HERE,
            )
        except UserError:
            return "refused"
        return "made"

    with ThreadPoolExecutor(4) as pool:
        outcome = sorted(pool.map(create, range(4)))

    assert outcome == ["made", "refused", "refused", "refused"]


def test_old_code_is_refused(house: Orgbridge, clock: Clock) -> None:
    code = people.issue_setup_code(house) or ""
    clock.on(hours=25)

    with pytest.raises(UserError, match="not the code"):
        people.create_first_admin(
            house, code=code, name="", email=EMAIL, password=PASSWORD, origin=HERE
        )


# --- signing in -----------------------------------------------------------------------------


def test_wrong_name_and_wrong_password_are_answered_alike(house: Orgbridge, admin: Actor) -> None:
    """Nobody learns who has an account."""
    answers = []
    for email, password in ((EMAIL, "wrong " * 4), ("nobody@example.org", PASSWORD)):
        with pytest.raises(UserError) as caught:
            sign_in(house, password, email=email)
        answers.append(str(caught.value))

    assert len(set(answers)) == 1
    assert PASSWORD not in answers[0]


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.org"])
def test_wrong_passwords_lock_for_a_growing_time(
    house: Orgbridge, admin: Actor, clock: Clock, email: str
) -> None:
    """With the time after which it works; a name that nobody has locks just the same."""
    for _ in range(accounts.LOCK_AFTER):
        with pytest.raises(UserError, match="do not fit"):
            sign_in(house, "wrong password", email=email)

    with pytest.raises(UserError, match="Too many wrong passwords") as caught:
        sign_in(house, PASSWORD, email=email)
    assert caught.value.fact("until") == clock.now + accounts.LOCK_FIRST

    clock.on(seconds=61)
    with pytest.raises(UserError, match="do not fit"):
        sign_in(house, "wrong password", email=email)
    with pytest.raises(UserError) as caught:
        sign_in(house, PASSWORD, email=email)
    assert caught.value.fact("until") == clock.now + 2 * accounts.LOCK_FIRST

    clock.on(minutes=3)
    if email == EMAIL:
        assert sign_in(house, PASSWORD, email=email).token


def test_one_origin_is_throttled_over_all_names(
    house: Orgbridge, admin: Actor, clock: Clock
) -> None:
    """Trying one password on many names stops too; elsewhere people still sign in."""
    clock.on(minutes=10)
    for number in range(accounts.THROTTLE_AFTER):
        with pytest.raises(UserError, match="do not fit"):
            sign_in(house, PASSWORD, email=f"guess{number}@example.org")

    with pytest.raises(UserError, match="from this address"):
        sign_in(house)
    assert people.sign_in(house, email=EMAIL, password=PASSWORD, origin="198.51.100.1").token
    clock.on(minutes=6)
    assert sign_in(house).token


def test_attempts_are_counted_although_they_are_refused(house: Orgbridge, admin: Actor) -> None:
    """The count is committed before the refusal is raised."""
    with pytest.raises(UserError):
        sign_in(house, "wrong password")

    with house.owner_session() as session:
        assert session.scalar(sa.select(AppUser.failed_sign_ins)) == 1


# --- sessions -------------------------------------------------------------------------------


def test_session_ends_after_idling_and_in_any_case(
    house: Orgbridge, admin: Actor, clock: Clock
) -> None:
    """Using it moves the idle end on, the absolute end stays."""
    entered, idle = sign_in(house), sign_in(house)
    begun = clock.now

    while clock.now < begun + sessions.LONGEST - dt.timedelta(hours=6):
        assert people.who(house, entered.token) is not None
        clock.on(hours=6)
    assert people.who(house, idle.token) is None
    assert people.who(house, entered.token) is not None
    clock.on(hours=6, seconds=1)

    assert people.who(house, entered.token) is None
    assert entered.expires_at == begun + sessions.LONGEST


def test_token_is_stored_as_a_hash_only(house: Orgbridge, admin: Actor) -> None:
    """A stolen table opens nothing."""
    entered = sign_in(house)

    with house.owner_session() as session:
        stored = session.scalars(sa.select(UserSession.token_hash)).all()
        assert entered.token not in stored
        assert all(people.who(house, each) is None for each in stored)
    assert entered.token not in repr(entered)


def test_signing_out_and_revoking_end_a_session_at_once(house: Orgbridge, admin: Actor) -> None:
    entered, other = sign_in(house), sign_in(house)
    people.sign_out(house, entered.token)
    people.sign_out(house, entered.token)
    assert people.who(house, entered.token) is None

    assert admin.user_id is not None
    visitor = people.who(house, other.token)
    assert visitor is not None
    listed = people.sessions_of(house, admin, admin.user_id, current=visitor.session_id)
    assert [each.is_current for each in listed].count(True) == 1
    people.revoke_session(house, admin, visitor.session_id)

    assert people.who(house, other.token) is None


def test_new_password_ends_every_other_session(house: Orgbridge, admin: Actor) -> None:
    kept, other = sign_in(house), sign_in(house)
    visitor = people.who(house, kept.token)
    assert visitor is not None
    with pytest.raises(UserError, match="not right"):
        people.change_password(house, visitor.actor, old="wrong password", new="x" * 20)

    people.change_password(
        house, visitor.actor, old=PASSWORD, new="another sentence", keep=visitor.session_id
    )

    assert people.who(house, kept.token) is not None
    assert people.who(house, other.token) is None
    assert sign_in(house, "another sentence").token


# --- invitations and roles ------------------------------------------------------------------


def test_invitation_works_once_and_gives_the_role(house: Orgbridge, admin: Actor) -> None:
    invitation = people.invite(house, admin, name="Bo", email="Bo@Example.org", role=Role.APPROVER)
    assert [(p.email, p.invited) for p in people.people(house, admin)][1] == (
        "Bo@Example.org",
        True,
    )

    entered = people.accept_invitation(
        house, token=invitation.token, name="Bo Lee", password=PASSWORD, origin=HERE
    )

    visitor = people.who(house, entered.token)
    assert visitor is not None
    assert (visitor.actor.role, visitor.display_name) == (Role.APPROVER, "Bo Lee")
    with pytest.raises(UserError, match="not valid"):
        people.accept_invitation(
            house, token=invitation.token, name="", password=PASSWORD, origin=HERE
        )
    assert sign_in(house, email="bo@example.org").token
    assert invitation.token not in repr(invitation)


def test_reset_password_voids_what_was_open(house: Orgbridge, admin: Actor) -> None:
    """The old password and every open session of the person end when the new one is chosen."""
    bo = member(house, admin, Role.ANALYST)
    assert bo.user_id is not None
    old = sign_in(house, email="bo@example.org")
    invitation = people.reset_password(house, admin, bo.user_id)
    assert people.who(house, old.token) is not None

    people.accept_invitation(
        house, token=invitation.token, name="", password="a new long sentence", origin=HERE
    )

    assert people.who(house, old.token) is None
    with pytest.raises(UserError):
        sign_in(house, email="bo@example.org")


def test_change_of_role_and_deactivation_hold_from_the_next_click(
    house: Orgbridge, admin: Actor
) -> None:
    bo = member(house, admin, Role.ANALYST)
    assert bo.user_id is not None
    entered = sign_in(house, email="bo@example.org")

    people.change_role(house, admin, bo.user_id, role=Role.VIEWER)
    visitor = people.who(house, entered.token)
    assert visitor is not None and visitor.actor.role is Role.VIEWER
    people.deactivate(house, admin, bo.user_id)

    assert people.who(house, entered.token) is None
    with pytest.raises(UserError, match="do not fit"):
        sign_in(house, email="bo@example.org")
    people.reactivate(house, admin, bo.user_id)
    assert sign_in(house, email="bo@example.org").token


def test_last_admin_stays(house: Orgbridge, admin: Actor) -> None:
    """Nobody locks the workspace up."""
    assert admin.user_id is not None
    with pytest.raises(UserError, match="last admin"):
        people.change_role(house, admin, admin.user_id, role=Role.VIEWER)
    with pytest.raises(UserError, match="yourself"):
        people.deactivate(house, admin, admin.user_id)
    bo = member(house, admin, Role.ADMIN)
    people.change_role(house, admin, admin.user_id, role=Role.VIEWER)

    assert bo.user_id is not None
    with pytest.raises(UserError, match="last admin"):
        people.change_role(house, bo, bo.user_id, role=Role.VIEWER)


def test_admin_of_one_workspace_has_no_hold_on_another(house: Orgbridge, admin: Actor) -> None:
    """Neither on its people nor, through an invitation, on accounts that exist there."""
    with house.owner_session() as session:
        other = workspace(session, "Other")
    stranger = Actor(other, None, "terminal:root", Role.ADMIN, "terminal")

    with pytest.raises(ConflictError, match="another workspace"):
        people.invite(house, stranger, name="", email=EMAIL, role=Role.VIEWER)
    assert admin.user_id is not None
    for act in (people.deactivate, people.reactivate, people.reset_password):
        with pytest.raises(UserError):
            act(house, stranger, admin.user_id)
    with pytest.raises(UserError):
        people.sessions_of(house, stranger, admin.user_id)

    assert people.people(house, stranger) == ()
    assert sign_in(house).token


@pytest.mark.parametrize("kind", ["single sign-on", "invited"])
def test_an_account_without_a_password_is_not_had_by_inviting_it_elsewhere(
    house: Orgbridge, admin: Actor, kind: str
) -> None:
    """Who comes by single sign-on has none; the token of an invitation would set the first one."""
    invited = people.invite(house, admin, name="Bo", email="bo@example.org", role=Role.APPROVER)
    with house.owner_session() as session:
        stranger = Actor(workspace(session, "Other"), None, "terminal:x", Role.ADMIN, "terminal")
        person = accounts.by_email(session, "bo@example.org")
        assert person is not None
        if kind == "single sign-on":
            accounts.link(person, "https://login.example", "bo-1")

    with pytest.raises(ConflictError, match="another workspace"):
        people.invite(house, stranger, name="", email="BO@example.org", role=Role.VIEWER)

    assert people.people(house, stranger) == ()
    if kind == "invited":
        entered = people.accept_invitation(
            house, token=invited.token, name="", password=PASSWORD, origin="t"
        )
        assert entered.token


def test_a_password_is_not_reset_from_another_workspace_while_its_person_is_deactivated(
    house: Orgbridge, admin: Actor
) -> None:
    """They may come back, and must find nobody else in their account."""
    bo = member(house, admin, Role.APPROVER)
    assert bo.user_id is not None
    with house.owner_session() as session:
        other = workspace(session, "Other")
        accounts.add_person(session, other, name="", email=bo.name, role=Role.VIEWER)
    people.deactivate(house, admin, bo.user_id)
    stranger = Actor(other, None, "terminal:x", Role.ADMIN, "terminal")

    with pytest.raises(NotAllowedError, match="other workspaces"):
        people.reset_password(house, stranger, bo.user_id)


def test_every_act_leaves_an_audit_row_without_secrets(house: Orgbridge, admin: Actor) -> None:
    """Who did what; no password, token or code anywhere in the database."""
    bo = member(house, admin, Role.ANALYST)
    entered = sign_in(house, email="bo@example.org")
    people.sign_out(house, entered.token)

    with house.session(admin.workspace_id) as session:
        rows = session.execute(sa.select(AuditLog.actor, AuditLog.action).order_by(AuditLog.id))
        acts = [tuple(row) for row in rows]
    assert acts == [
        (EMAIL, "person.first_admin"),
        (EMAIL, "person.invited"),
        (bo.name, "person.joined"),
        (bo.name, "session.opened"),
        (bo.name, "session.closed"),
    ]
    with house.owner_session() as session:
        everything = "".join(
            str(session.execute(sa.select(model)).all())
            for model in (AuditLog.__table__, AppUser.__table__, Workspace.__table__)
        )
    assert PASSWORD not in everything
    assert entered.token not in everything


# --- API keys -------------------------------------------------------------------------------


def test_api_key_acts_for_its_person_with_the_smaller_role(
    house: Orgbridge, admin: Actor, clock: Clock
) -> None:
    """It falls with the person's role, and works until it is revoked or too old."""
    bo = member(house, admin, Role.APPROVER)
    assert bo.user_id is not None
    with house.session(bo.workspace_id) as session:
        key_id, text = api_keys.make(
            session, bo, name="ci", role=Role.ANALYST, expires_at=clock.now + dt.timedelta(days=9)
        )
        with pytest.raises(UserError, match="greater role"):
            api_keys.make(session, bo, name="big", role=Role.ADMIN, expires_at=None)
    acting = people.actor_of_api_key(house, text.reveal(), origin=HERE)
    assert (acting.role, acting.name, acting.user_id) == (Role.ANALYST, "key:ci", bo.user_id)

    people.change_role(house, admin, bo.user_id, role=Role.VIEWER)
    assert people.actor_of_api_key(house, text.reveal(), origin=HERE).role is Role.VIEWER
    for wrong in ("", "obk_", "obk_x_y", text.reveal()[:-1], text.reveal().upper()):
        with pytest.raises(NotAllowedError):
            people.actor_of_api_key(house, wrong, origin="203.0.113.9")
    clock.on(days=10)
    with pytest.raises(NotAllowedError):
        people.actor_of_api_key(house, text.reveal(), origin=HERE)
    clock.on(days=-10)
    with house.session(bo.workspace_id) as session:
        api_keys.revoke(session, bo.workspace_id, key_id, now=clock.now)

    with pytest.raises(NotAllowedError):
        people.actor_of_api_key(house, text.reveal(), origin=HERE)
    with house.owner_session() as session:
        assert text.reveal() not in str(session.execute(sa.select(ApiKey.__table__)).all())


def test_one_account_is_locked_whatever_addresses_the_guesses_come_from(
    house: Orgbridge, admin: Actor, clock: Clock
) -> None:
    """Behind a proxy all share one address; an attacker has many. The others still get in."""
    bo = people.invite(house, admin, name="Bo", email="bo@x.org", role=Role.VIEWER)
    people.accept_invitation(house, token=bo.token, name="Bo", password=PASSWORD, origin="proxy")
    for number in range(accounts.LOCK_AFTER):
        with pytest.raises(UserError, match="do not fit"):
            people.sign_in(
                house, email=admin.name, password="a wrong guess", origin=f"203.0.113.{number}"
            )

    with pytest.raises(UserError, match="Too many wrong passwords for this account") as locked:
        people.sign_in(house, email=admin.name, password=PASSWORD, origin="198.51.100.9")

    assert locked.value.fact("until") == clock.now + accounts.LOCK_FIRST
    assert people.sign_in(house, email="bo@x.org", password=PASSWORD, origin="203.0.113.1")
    clock.now += accounts.LOCK_FIRST
    assert people.sign_in(house, email=admin.name, password=PASSWORD, origin="198.51.100.9")
