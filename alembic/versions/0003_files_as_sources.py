"""keep sets of files that plans read rows from"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

APP_ROLE = "orgbridge_app"
_ENVIRONMENTS = "'production','sandbox','scratch','developer','trial','practice'"


def upgrade() -> None:
    workspace = "nullif(current_setting('app.workspace_id', true), '')::uuid"
    op.create_table(
        "file_set",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("workspace_id", sa.UUID(), server_default=sa.text(workspace), nullable=False),
        sa.Column("registered_org_id", sa.UUID(), nullable=False),
        sa.Column("wrapped_key", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="kept", nullable=False),
        sa.Column(
            "document",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("status IN ('kept','read')", name=op.f("ck_file_set_status")),
        sa.ForeignKeyConstraint(
            ["registered_org_id"],
            ["registered_org.id"],
            name=op.f("fk_file_set_registered_org_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspace.id"],
            name=op.f("fk_file_set_workspace_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_set")),
        sa.UniqueConstraint("registered_org_id", name=op.f("uq_file_set_registered_org_id")),
    )
    current = f"(SELECT {workspace})"
    op.execute("ALTER TABLE file_set ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY file_set_workspace ON file_set"
        f" USING (workspace_id = {current}) WITH CHECK (workspace_id = {current})"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON file_set TO {APP_ROLE}")
    _environments(f"{_ENVIRONMENTS},'files'")


def downgrade() -> None:
    op.execute("DELETE FROM registered_org WHERE environment = 'files'")
    _environments(_ENVIRONMENTS)
    op.drop_table("file_set")


def _environments(listed: str) -> None:
    """What kinds of sources there are."""
    name = op.f("ck_registered_org_environment")
    op.drop_constraint(name, "registered_org", type_="check")
    op.create_check_constraint(name, "registered_org", f"environment IN ({listed})")
