"""${message}

The rule for every revision: it works with the code of the previous release, which may still be running.
Adding: columns are nullable or have a server default. Removing takes two releases (stop using it, then
drop it), renaming three (add, copy and write both, drop). A new table with a workspace_id gets row-level
security, a policy and grants in the revision that makes it. The message is an effect ("add heartbeat to
worker"). Locks are taken late and shortly: lock_timeout ends a revision that waits too long.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision: str = ${repr(up_revision)}
down_revision: str | None = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
