"""How a message leaves: Apprise for real channels, a null sender for tests and practice."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from core.errors import TransientError, UserError
from core.notices import plain
from core.notices.guard import guarded, is_private_name, private_address
from core.notices.reasons import listening
from core.secret import Secret

if TYPE_CHECKING:
    from apprise import Apprise
    from apprise.plugins import NotifyBase

log = logging.getLogger(__name__)

#: channels offered, with the Apprise schemes each accepts (Apprise wiki, "Notification Services").
#: Schemes that act on this machine (syslog, dbus, files, scripts) are left out on purpose.
CHANNELS: dict[str, tuple[str, ...]] = {
    "email": ("mailto", "mailtos"),
    "slack": ("slack",),
    "teams": ("workflows",),
    "webhook": ("json", "jsons", "form", "forms", "xml", "xmls"),
    "chat": ("discord", "gchat", "mmost", "mmosts", "rocket", "rockets", "tgram", "webex"),
    "on_call": ("pagerduty", "opsgenie", "ntfy", "ntfys"),
}
#: seconds for one delivery
TIMEOUT_S = 15.0
#: settings of an address by which Apprise reads a file of this machine into the message
_FILE_SETTINGS = ("template", "pgp_key", "pgp_privkey")


class Sender(Protocol):
    """Delivers one message."""

    def send(self, address: Secret, *, title: str, body: str) -> None:
        """Deliver.

        Raises:
            UserError: the address cannot be used. TransientError: not delivered; try again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """What a `NullSender` was given."""

    address: Secret
    title: str
    body: str


@dataclass
class NullSender:
    """Keeps messages instead of sending them."""

    sent: list[Sent] = field(default_factory=list)

    def send(self, address: Secret, *, title: str, body: str) -> None:
        """See `Sender`."""
        self.sent.append(Sent(address, title, body))


@dataclass(frozen=True, slots=True)
class AppriseSender:
    """Delivers by Apprise; of the address only a recipient that was refused reaches a message.

    Redirects are not followed, and nothing is sent into the private network but to `allowed` hosts.
    """

    allowed: tuple[str, ...] = ()

    def send(self, address: Secret, *, title: str, body: str) -> None:
        """See `Sender`."""
        import apprise  # 0.1 s and 14 MB that only a delivery needs

        asset = apprise.AppriseAsset(app_id="Orgbridge", async_mode=False, secure_logging=True)
        asset.http_redirects = False
        bell = apprise.Apprise(asset=asset)
        if not bell.add(_with_timeout(address.reveal())):
            raise UserError(
                "The address of this rule cannot be used.",
                next_step="Enter it again on the Notifications page.",
            )
        _refuse_files(bell)
        with guarded(self.allowed), listening() as heard:
            # bell.notify would send from threads of its own, out of the guard's sight
            is_sent = all(_notified(service, title, body) for service in bell)
        if not is_sent:
            raise TransientError(heard.reason())


def checked_address(channel: str, address: Secret, *, allowed: tuple[str, ...] = ()) -> Secret:
    """The address, if the channel can deliver to it.

    Raises:
        UserError: unknown channel, a scheme of another channel, or not an address; it is not
            repeated, since it may hold a password. Or it leads into the private network, and not to
            an `allowed` host.
    """
    schemes = CHANNELS.get(channel)
    if schemes is None:
        raise UserError(
            f"There is no channel “{channel}”.", next_step=f"Channels: {', '.join(CHANNELS)}."
        )
    scheme = address.reveal().strip().partition("://")[0].lower()
    import apprise

    bell = apprise.Apprise()
    if scheme not in schemes or not bell.add(address.reveal().strip()):
        raise UserError(
            f"This is not an address for {channel}.",
            state="Nothing was saved.",
            next_step=f"It begins with {' or '.join(f'{s}://' for s in schemes)}; the page shows an"
            " example.",
        )
    _refuse_files(bell)
    host = urlsplit(address.reveal().strip()).hostname or ""
    if is_private_name(host, allowed):
        raise private_address(host)
    return Secret(address.reveal().strip())


def _refuse_files(bell: Apprise) -> None:
    """An address must not send files of this machine to wherever it points."""
    named = [name for each in bell for name in _FILE_SETTINGS if getattr(each, name, None)]
    if named:
        raise UserError(
            f"The address of this rule names a file of this machine ({named[0]}).",
            state="Nothing was sent.",
            next_step=f"Leave {named[0]} out of it.",
        )


def _notified(service: NotifyBase, title: str, body: str) -> bool:
    said, told, drawn = plain.rendered(service, title=title, body=body)
    return bool(service.notify(title=said, body=told, body_format=drawn))


def _with_timeout(address: str) -> str:
    """The address with limits of our own unless it has some (Apprise URL parameters cto, rto)."""
    if "rto=" in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}cto=5.0&rto={TIMEOUT_S}"
