"""Rewrites the generated half of the baseline revision from the models.

For the time before the first release only, while there is one revision: change a model, run
`python alembic/rebaseline.py`, read the diff, commit both. After that, revisions are made by
`alembic revision --autogenerate` and edited by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from alembic.autogenerate import render_python_code  # noqa: E402
from alembic.operations import ops  # noqa: E402
from alembic.runtime.migration import MigrationContext  # noqa: E402
from sqlalchemy.dialects import postgresql  # noqa: E402

from core.db.models import Base  # noqa: E402
from core.db.schema import renders_type  # noqa: E402

BASELINE = HERE / "versions" / "0001_baseline.py"
BEGIN, END = "# --- generated from the models", "# --- end of the generated half"


def generated() -> str:
    """Source of EXEMPT/SCOPED and create_tables/drop_tables."""
    tables = Base.metadata.sorted_tables
    steps: list[ops.MigrateOperation] = []
    for table in tables:
        steps.append(ops.CreateTableOp.from_table(table))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        steps += [ops.CreateIndexOp.from_index(index) for index in indexes]
    # a migration context gives the renderer its dialect
    context = MigrationContext.configure(dialect=postgresql.dialect())
    body = render_python_code(
        ops.UpgradeOps(ops=steps), render_item=renders_type, migration_context=context
    )
    scoped = [t.name for t in tables if "workspace_id" in t.c and t.name not in EXEMPT]
    names = "".join(f'    "{name}",\n' for name in scoped)
    drops = "".join(f'    op.drop_table("{t.name}")\n' for t in reversed(tables))
    return (
        f"# fmt: off\nSCOPED = (\n{names})\n\n\ndef create_tables() -> None:\n    {body}\n\n\n"
        f"def drop_tables() -> None:\n{drops}# fmt: on\n"
    )


#: have a workspace_id, yet are read before a workspace is known
EXEMPT = frozenset({"user_session", "api_key", "oauth_state"})


def rewrite() -> None:
    """Replace the lines between the two marks."""
    source = BASELINE.read_text()
    head, rest = source.split(BEGIN, 1)
    first_line, rest = rest.split("\n", 1)
    tail = rest.split(END, 1)[1]
    BASELINE.write_text(f"{head}{BEGIN}{first_line}\n{generated()}\n{END}{tail}")


if __name__ == "__main__":
    rewrite()
