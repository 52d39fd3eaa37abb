"""say why a due time of a schedule launched nothing"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("schedule_firing", sa.Column("reason", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("schedule_firing", "reason")
