"""keep how far an org's describe is, one person per sign-in identity, attempts by account"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "registered_org",
        sa.Column(
            "describing",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.create_index(
        "uq_app_user_oidc_issuer_oidc_subject",
        "app_user",
        ["oidc_issuer", "oidc_subject"],
        unique=True,
    )
    op.create_index(
        "ix_sign_in_attempt_email_at", "sign_in_attempt", [sa.text("lower(email)"), "at"]
    )


def downgrade() -> None:
    op.drop_index("ix_sign_in_attempt_email_at", "sign_in_attempt")
    op.drop_index("uq_app_user_oidc_issuer_oidc_subject", "app_user")
    op.drop_column("registered_org", "describing")
