"""Users, queues and record types of two orgs, recognised by what they are called.

A user goes through a ladder, and the first step that finds exactly one user of the target decides:
same username · federation id · e-mail · username less a sandbox's suffix · name before the @.
Nobody is guessed: a step that finds several leaves the user to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.domain.describe import RecordType


class FoundBy(StrEnum):
    """By what a user of the target was recognised."""

    USERNAME = "same username"
    FEDERATION = "federation id"
    EMAIL = "e-mail"
    SUFFIX = "username and sandbox suffix"
    STEM = "name before the @"
    LABEL = "same label"
    HAND = "chosen by hand"
    NONE = "not found"
    SEVERAL = "several fit"


@dataclass(frozen=True, slots=True)
class OrgUser:
    """One user of an org."""

    user_id: str
    username: str
    name: str = ""
    email: str = ""
    federation_id: str = ""
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class UserMatch:
    """One user of the source and who stands for them in the target."""

    source: OrgUser
    target: OrgUser | None
    found_by: FoundBy


def match_users(
    source: Iterable[OrgUser],
    target: Sequence[OrgUser],
    *,
    chosen: Mapping[str, str | None] | None = None,
) -> tuple[UserMatch, ...]:
    """Every user of the source with the one of the target who stands for them, in order.

    Args:
        chosen: usernames of the target by username of the source, as a plan's map has them; what a
            person chose goes before the ladder.
    """
    steps = _steps(_USERS, target)
    return tuple(_matched(user, steps, chosen or {}) for user in source)


def match_queues(
    source: Iterable[OrgUser],
    target: Sequence[OrgUser],
    *,
    chosen: Mapping[str, str | None] | None = None,
) -> tuple[UserMatch, ...]:
    """As `match_users` for queues, whose username is their developer name."""
    steps = _steps(_QUEUES, target)
    return tuple(_matched(queue, steps, chosen or {}) for queue in source)


def username_map(matches: Iterable[UserMatch]) -> dict[str, str]:
    """What a plan's user map needs: entries for users whose username differs in the target."""
    return {
        match.source.username: match.target.username
        for match in matches
        if match.target is not None
        and match.target.username.lower() != match.source.username.lower()
    }


def match_record_types(
    source: Iterable[RecordType], target: Sequence[RecordType], *, chosen: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Developer name in the target by that in the source; None where none is called alike.

    What was chosen goes first, then the same developer name, then the same label.
    """
    by_name = {each.developer_name.lower(): each.developer_name for each in target}
    by_label = {each.name.lower(): each.developer_name for each in target if each.name}
    found: dict[str, str | None] = {}
    for each in source:
        if each.master:
            continue
        if each.developer_name in chosen:
            found[each.developer_name] = chosen[each.developer_name]
            continue
        same = by_name.get(each.developer_name.lower())
        found[each.developer_name] = same or by_label.get(each.name.lower())
    return found


Key = Callable[[OrgUser], str]


def _email(user: OrgUser) -> str:
    """The address; sandboxes append .invalid so that nobody is written to."""
    return user.email.removesuffix(".invalid")


def _stem(user: OrgUser) -> str:
    return user.username.split("@", 1)[0]


_USERS: tuple[tuple[FoundBy, Key], ...] = (
    (FoundBy.USERNAME, lambda user: user.username),
    (FoundBy.FEDERATION, lambda user: user.federation_id),
    (FoundBy.EMAIL, _email),
    (FoundBy.STEM, _stem),
)
_QUEUES: tuple[tuple[FoundBy, Key], ...] = (
    (FoundBy.USERNAME, lambda queue: queue.username),
    (FoundBy.LABEL, lambda queue: queue.name),
)
_SEVERAL = OrgUser("", "")
_Step = tuple[FoundBy, Key, Mapping[str, OrgUser]]


def _steps(ladder: tuple[tuple[FoundBy, Key], ...], target: Sequence[OrgUser]) -> list[_Step]:
    return [(found_by, key, _unique(target, key)) for found_by, key in ladder]


def _matched(user: OrgUser, steps: list[_Step], chosen: Mapping[str, str | None]) -> UserMatch:
    """What a person chose, if it is more than the ladder finds by itself; else the ladder."""
    laddered = _laddered(user, steps)
    wanted = chosen.get(user.username)
    there = steps[0][2].get(wanted.lower()) if wanted else None
    if there is None or there is _SEVERAL or laddered.target == there:
        return laddered
    return UserMatch(user, there, FoundBy.HAND)


def _laddered(user: OrgUser, steps: list[_Step]) -> UserMatch:
    several = False
    for found_by, key, known in steps:
        if found_by is FoundBy.STEM:
            by_suffix = _by_suffix(user, steps[0][2])
            if by_suffix is not None:
                return UserMatch(user, by_suffix, FoundBy.SUFFIX)
        value = key(user).strip().lower()
        there = known.get(value) if value else None
        if there is _SEVERAL:
            several = True
        elif there is not None:
            return UserMatch(user, there, found_by)
    return UserMatch(user, None, FoundBy.SEVERAL if several else FoundBy.NONE)


def _by_suffix(user: OrgUser, by_username: Mapping[str, OrgUser]) -> OrgUser | None:
    """mira@acme.example in production is mira@acme.example.uat in the sandbox, and back."""
    own = user.username.lower()
    known = by_username.get(own.rpartition(".")[0])
    if known is not None and known is not _SEVERAL:
        return known
    longer = [
        other
        for name, other in by_username.items()
        if name.startswith(f"{own}.") and "." not in name[len(own) + 1 :]
    ]
    return longer[0] if len(longer) == 1 else None


def _unique(users: Sequence[OrgUser], key: Key) -> dict[str, OrgUser]:
    """Users by a value; an inactive one gives way to an active one, two of a kind to nobody."""
    found: dict[str, OrgUser] = {}
    for user in sorted(users, key=lambda each: not each.is_active):
        value = key(user).strip().lower()
        if not value:
            continue
        earlier = found.get(value)
        if earlier is None:
            found[value] = user
        elif earlier.is_active == user.is_active:
            found[value] = _SEVERAL
    return found
