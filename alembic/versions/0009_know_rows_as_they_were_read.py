"""keep with each link a digest of the row as it was read, so that reruns know it as unchanged"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("record_link", sa.Column("read_hash", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("record_link", "read_hash")
