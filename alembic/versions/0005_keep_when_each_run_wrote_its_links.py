"""keep when each run wrote its links, so that later runs know what others changed since"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None

APP_ROLE = "orgbridge_app"
_WORKSPACE = "nullif(current_setting('app.workspace_id', true), '')::uuid"
#: what is known of runs before this revision: when the last run of the mapping ended
_KNOWN = """
INSERT INTO link_baseline (link_set_id, run_id, workspace_id, settled_at)
SELECT DISTINCT s.id, r.run_id, s.workspace_id, s.settled_at
FROM link_set s JOIN run_step r
  ON r.workspace_id = s.workspace_id AND r.mapping_name = s.mapping_name
WHERE s.settled_at IS NOT NULL
"""


def upgrade() -> None:
    op.create_table(
        "link_baseline",
        sa.Column("workspace_id", sa.UUID(), server_default=sa.text(_WORKSPACE), nullable=False),
        sa.Column("link_set_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.UUID(), nullable=False),
        sa.Column("settled_at", sa.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["link_set_id"],
            ["link_set.id"],
            name=op.f("fk_link_baseline_link_set_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_link_baseline_workspace_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("link_set_id", "run_id", name=op.f("pk_link_baseline")),
    )
    op.execute(_KNOWN)
    current = f"(SELECT {_WORKSPACE})"
    op.execute("ALTER TABLE link_baseline ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY link_baseline_workspace ON link_baseline"
        f" USING (workspace_id = {current}) WITH CHECK (workspace_id = {current})"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON link_baseline TO {APP_ROLE}")


def downgrade() -> None:
    op.drop_table("link_baseline")
