"""Names of what pages keep between runs; keys of more than one page are spelt here alone."""

from __future__ import annotations

#: the session token in page tests, see ``visit.token``
TOKEN = "visit.token"  # noqa: S105 - a key of the session state
#: a message that the next run shows as a toast
TOAST = "frame.toast"
#: id of the error box that was drawn last, for the log line
ERROR_ID = "frame.error_id"
#: the plan's revision that the person looks at
REVISION = "plan.revision"
#: a problem of a callback, for the next run to show: what happened, state, next step
PROBLEM = "plan.problem"
#: key of the field row in the inspector
FOCUS = "plan.focus"
#: the field that the address asked for last
ASKED_FIELD = "plan.field.asked"
#: which rows the field table shows, in order, and for which object and filter
GRID_ORDER = "plan.grid.order"
#: counts fresh tables
GRID_TURN = "plan.grid.turn"
#: the clicked button of a row
GRID_CLICK = "plan.grid.click"
#: what the last validation said of fields: plan, then sentence and rule by mapping and field
ISSUES = "plan.issues"
#: what the last preview saw in real rows: as above
SEEN = "plan.seen"
#: where the new test row that somebody writes is kept: the draft's revision, then its place
GROWING_TEST = "plan.test.growing"
#: counts how often the list of objects was made afresh, to show another one as chosen
OBJECT_TURN = "plan.object.turn"
#: what the last import of a plan file kept and could not carry over
IMPORTED = "plan.imported"
#: counts how often the checks of a launch were asked for again
CHECK_TURN = "launch.turn"
#: batch and API options per object of the launch that is being prepared, by plan
LAUNCH_LOADS = "launch.loads.held"
#: objects without a tick in the launch that is being prepared, by plan
UNTICKED = "launch.unticked"
#: what makes one click one launch
LAUNCH_KEY = "launch.key"
#: what makes one click one retry
RETRY_KEY = "run.retry.once"
#: what an org said to a test of its connection, and the hash of what was asked
CONNECT_ANSWER = "connect.answer"
