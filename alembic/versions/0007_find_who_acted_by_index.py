"""find who acted, and how, in the trail by index instead of reading all of it"""

from __future__ import annotations

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("actor", "action"):
        name = f"ix_audit_log_workspace_id_{column}"
        op.create_index(name, "audit_log", ["workspace_id", column])
    op.drop_index("ix_audit_log_action", "audit_log")


def downgrade() -> None:
    op.create_index("ix_audit_log_action", "audit_log", ["action"])
    for column in ("action", "actor"):
        op.drop_index(f"ix_audit_log_workspace_id_{column}", "audit_log")
