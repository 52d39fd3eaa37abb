"""What happened, as the audit trail tells people; the names of acts stay in its CSV."""

from __future__ import annotations

#: by the name under which an act is recorded
ACTIONS: dict[str, str] = {
    "approval.approved": "Approved a launch",
    "approval.asked": "Asked for approval",
    "approval.rejected": "Rejected a launch",
    "approval.used": "Launched what was approved",
    "approval.withdrawn": "Withdrew a request",
    "database.copied": "Copied the database",
    "duplicates.decide": "Decided on duplicates",
    "duplicates.reopen": "Opened duplicates again",
    "error.noted": "Noted an error",
    "file.fetched": "Fetched a file",
    "files.describe": "Described files",
    "files.keep": "Kept files",
    "files.remove": "Removed files",
    "key.made": "Made an API key",
    "key.revoked": "Revoked an API key",
    "keys.rotated": "Rotated the keys",
    "ledger.import": "Imported a ledger",
    "ledger.rebase": "Moved a ledger to another org",
    "notification.rule_changed": "Changed a notification rule",
    "notification.rule_made": "Made a notification rule",
    "notification.rule_removed": "Removed a notification rule",
    "notification.test_sent": "Sent a test notice",
    "operation.stopped": "Stopped an operation",
    "org.connected": "Connected an org",
    "org.metadata_refreshed": "Read an org's metadata anew",
    "org.protected_set": "Set an org's protection",
    "org.read_only_set": "Set an org's writing",
    "org.reconnected": "Connected an org again",
    "org.removed": "Removed an org",
    "org.renamed": "Renamed an org",
    "org.tested": "Tested an org",
    "person.added": "Added a person",
    "person.deactivated": "Deactivated a person",
    "person.first_admin": "Made the first administrator",
    "person.invited": "Invited a person",
    "person.joined": "Joined",
    "person.linked": "Linked a person's sign-in",
    "person.password_changed": "Changed a password",
    "person.password_reset": "Reset a password",
    "person.reactivated": "Activated a person again",
    "person.role_changed": "Changed a role",
    "plan.create": "Made a plan",
    "plan.delete": "Deleted a plan",
    "plan.edit": "Edited a plan",
    "plan.import": "Imported a plan",
    "plan.rename": "Renamed a plan",
    "plan.restore": "Restored a plan",
    "plan.version": "Saved a plan's version",
    "practice.down": "Stopped the practice orgs",
    "practice.reset": "Reset a practice org",
    "practice.up": "Started the practice orgs",
    "records.export": "Exported records",
    "retention.swept": "Deleted what its time had passed",
    "run.cancel": "Cancelled a run",
    "run.decide": "Answered a waiting run",
    "run.launch": "Launched a run",
    "run.pause": "Paused a run",
    "run.resume": "Resumed a run",
    "run.undo": "Undid a run",
    "schedule.change": "Changed a schedule",
    "schedule.create": "Made a schedule",
    "schedule.delete": "Deleted a schedule",
    "schedule.pause": "Paused a schedule",
    "schedule.resume": "Resumed a schedule",
    "session.closed": "Signed out",
    "session.entered": "Entered a workspace",
    "session.opened": "Signed in",
    "session.revoked": "Ended a session",
    "session.told_out": "Signed out by the identity provider",
    "settings.changed": "Changed settings",
    "trail.export": "Exported the trail",
    "workspace.made": "Made a workspace",
}


def action(name: str) -> str:
    """An act in words; one that has none is written from its name."""
    told = ACTIONS.get(name)
    if told is not None:
        return told
    kind, _, act = name.partition(".")
    if kind == "operation":
        return f"Started {act.replace('_', ' ')}"
    return name.replace(".", " ").replace("_", " ").capitalize()


def subject(kind: str, name: str) -> str:
    """What an act was done to: its kind and its name."""
    return " ".join(part for part in (kind.replace("_", " "), name) if part)
