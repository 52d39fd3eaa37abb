"""Names of what pages keep between runs; keys of more than one page are spelt here alone."""

from __future__ import annotations

#: the session token in page tests, see ``visit.token``
TOKEN = "visit.token"  # noqa: S105 - a key of the session state
#: a message that the next run shows as a toast
TOAST = "frame.toast"
#: id of the error box that was drawn last, for the log line
ERROR_ID = "frame.error_id"
