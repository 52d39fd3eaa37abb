"""let plans with very long names open again, and runs queued for later hold up nobody

Names were not limited before; plan files hold at most 200 characters now, so that a longer one
could not be read. The shortened name ends with a mark of the whole one: names that differed still
do, and a plan finds its orgs. Runs that older versions had queued for later all stood in the way
of runs that were due before them.
"""

from __future__ import annotations

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

#: core.domain.names.NAME_MAX_CHARS at this revision
LIMIT = 200
KEPT = 190


def shortened(text: str) -> str:
    """SQL of a name that fits, of an SQL expression."""
    return (
        f"CASE WHEN length({text}) > {LIMIT} THEN rtrim(left({text}, {KEPT})) || ' '"
        f" || left(md5({text}), 8) ELSE {text} END"
    )


def upgrade() -> None:
    for table in ("migration_plan", "registered_org"):
        op.execute(
            f"UPDATE {table} SET name = {shortened('name')} WHERE length(name) > {LIMIT}"  # noqa: S608 names of this file
        )
    op.execute("ALTER TABLE plan_version DISABLE TRIGGER plan_version_is_immutable")
    for table, column in (("migration_plan", "draft"), ("plan_version", "document")):
        for field in ("name", "source", "target"):
            value = f"{column} ->> '{field}'"
            op.execute(
                f"UPDATE {table} SET {column} = jsonb_set({column}, '{{{field}}}',"  # noqa: S608 as above
                f" to_jsonb({shortened(f'({value})')})) WHERE length({value}) > {LIMIT}"
            )
    op.execute("ALTER TABLE plan_version ENABLE TRIGGER plan_version_is_immutable")
    op.execute(
        "UPDATE procrastinate_jobs SET priority = -floor(extract(epoch FROM scheduled_at) / 60)"
        " WHERE status = 'todo' AND task_name = 'carry_run' AND attempts = 0"
        " AND priority = 0 AND scheduled_at > now()"
    )


def downgrade() -> None:
    """Shorter names and other priorities are right for older code as well."""
