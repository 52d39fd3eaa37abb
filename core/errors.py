"""The one error tree: what can go wrong, sorted by what to do about it.

    OrgbridgeError
    ├── UserError        you can fix it here: a wrong name, a wrong file, a missing confirmation
    │   ├── NotAllowedError      the role does not permit it
    │   ├── NotFoundError        no such plan, run, org in this workspace
    │   ├── ConflictError        somebody else changed it meanwhile
    │   └── ConfigError          settings, folders, keys
    ├── RefusedError     Salesforce said no, permanently
    │   ├── SessionLostError     the org no longer accepts our credentials: reconnect
    │   └── DailyLimitError      the org's 24-hour allowance is used up: resumable later
    ├── TransientError   worth sending again: lock, overload, dropped before the org saw it
    │   └── LockedRowError       UNABLE_TO_LOCK_ROW and kin: retry ordered by parent
    ├── RowError         this record only
    ├── LostError        we cannot tell what happened: ask the org before sending again
    │   └── StalledJobError      a bulk job stands still, and the org may yet go on with it
    └── BugError         ours

Every error carries its facts as attributes (``error.facts``) and one message built from three
sentences: what happened, what state things are in, what to do next. Secrets never enter any of
them.
"""

from __future__ import annotations

_ENDS = (".", "!", "?", "…", ":", ".”", "?”", "!”", ".)")


class OrgbridgeError(Exception):
    """Root of the tree; raise one of its children."""

    def __init__(
        self, happened: str, *, state: str = "", next_step: str = "", **facts: object
    ) -> None:
        self.happened = happened
        self.state = state
        self.next_step = next_step
        self.facts = facts
        super().__init__(sentences(happened, state, next_step))

    def fact(self, name: str) -> object | None:
        """One fact by name (``org``, ``sobject``, ``job_id``, ``status``, ``code`` …), or None."""
        return self.facts.get(name)


class UserError(OrgbridgeError):
    """The person who asked can mend it."""


class NotAllowedError(UserError):
    """The person's role in this workspace does not permit it; nothing was done."""


class NotFoundError(UserError):
    """What was named does not exist in this workspace."""


class ConflictError(UserError):
    """It changed since it was read, or is in use; nothing was overwritten."""


class ConfigError(UserError):
    """A setting, folder, key or server is not as it must be."""


class RefusedError(OrgbridgeError):
    """The org said no and will say no again."""


class SessionLostError(RefusedError):
    """The org no longer accepts the stored credentials; reconnect it."""


class DailyLimitError(RefusedError):
    """A 24-hour allowance of the org is used up; work pauses and can go on later."""


class TransientError(OrgbridgeError):
    """It may succeed when sent again; the org did not apply it."""


class LockedRowError(TransientError):
    """The org could not lock a record in time; send again, grouped by parent."""


class RowError(OrgbridgeError):
    """One record was refused; the others are unaffected."""


class LostError(OrgbridgeError):
    """The answer was lost after the request went out; the org may have applied it."""


class StalledJobError(LostError):
    """A job of the org has shown no progress for longer than the platform allows; it was not sent
    again. Work pauses and can go on later by looking at the job."""


class BugError(OrgbridgeError):
    """A defect of ours; the message says what state things are in all the same."""


def sentences(*parts: str) -> str:
    """One text of what is there, each part but the last ended: an org's own words often are not."""
    said = [part for part in parts if part]
    ended = [part if part.endswith(_ENDS) else f"{part}." for part in said[:-1]]
    return " ".join([*ended, *said[-1:]])
