"""The audit trail at a size: what is asked at every view reads an index, never all of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib

import pytest
import sqlalchemy as sa

from core.access import audit as trail_rows
from core.bootstrap import Orgbridge
from core.domain.roles import Actor, Role
from core.services import audit, workspaces
from core.services.audit import TrailFilter

ENTRIES = 3_000
PLANT = """
INSERT INTO audit_log (id, workspace_id, at, actor, action, subject_kind, subject_name)
SELECT gen_random_uuid(), :id, now() - n * interval '1 minute', 'ann ' || n % 9,
       'plan.act_' || n % 4, 'plan', 'Subject ' || n
FROM generate_series(1, :rows) n
"""


@pytest.fixture
def actor(bridge: Orgbridge) -> Actor:
    """A workspace with entries of two days by nine people, and a neighbour's."""
    ann = Actor(bridge.workspace_id(), None, "ann", Role.ADMIN)
    other = workspaces.create(bridge, ann, name="other")
    with bridge.owner_session() as session:
        session.execute(sa.text(PLANT), {"id": ann.workspace_id, "rows": ENTRIES})
        session.execute(
            sa.text(PLANT.replace("'ann '", "'eve '").replace("plan.act_", "org.act_")),
            {"id": other, "rows": 50},
        )
    with bridge.owner_engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))
    return ann


def test_choices_are_what_occurs_in_the_workspace(bridge: Orgbridge, actor: Actor) -> None:
    found = audit.choices(bridge, actor)

    with bridge.session(actor.workspace_id) as session:
        for name, told in (("actor", found.actors), ("action", found.actions)):
            distinct = session.scalars(sa.text(f"SELECT DISTINCT {name} FROM audit_log"))
            assert sorted(told) == sorted(distinct)
    assert {"ann 0", "ann 8"} <= set(found.actors)
    assert not [name for name in found.actors if name.startswith("eve ")]


def test_choices_and_a_page_read_an_index(bridge: Orgbridge, actor: Actor) -> None:
    """Also under row-level security, which lets none but leak-proof operators use one."""
    asked: list[str] = []

    def keep(_c: object, _u: object, statement: str, parameters: object, *_: object) -> None:
        asked.append(statement % {k: f"'{v}'" for k, v in dict(parameters or {}).items()})  # type: ignore[call-overload]  # the driver's own

    sa.event.listen(bridge.engine, "before_cursor_execute", keep)
    audit.choices(bridge, actor)
    audit.trail(bridge, actor, TrailFilter())
    sa.event.remove(bridge.engine, "before_cursor_execute", keep)
    asked = [statement for statement in asked if "audit_log" in statement]

    assert len(asked) == 4  # actors, actions, the page, its count
    with bridge.session(actor.workspace_id) as session:
        for statement in asked[:3]:  # the count may read as much as it counts
            plan = "\n".join(session.scalars(sa.text(f"EXPLAIN {statement}")))
            assert "Seq Scan on audit_log" not in plan, plan


def test_totals_are_counted_up_to_a_limit(
    bridge: Orgbridge, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = audit.trail(bridge, actor, TrailFilter(), page_rows=50)
    few = audit.trail(bridge, actor, TrailFilter(text="SUBJECT 29"), page_rows=200)
    none = audit.trail(bridge, actor, TrailFilter(text="nowhere"), page_rows=50)
    beyond = audit.trail(bridge, actor, TrailFilter(text="subject 29"), page=9, page_rows=50)
    monkeypatch.setattr(trail_rows, "COUNT_UP_TO", 1_000)
    limited = audit.trail(bridge, actor, TrailFilter(), page_rows=50)

    assert (len(whole.rows), whole.is_at_least) == (50, False)
    assert whole.total >= ENTRIES
    assert {row.subject_name[:10] for row in few.rows} == {"Subject 29"}
    assert (few.total, few.is_at_least) == (111, False)  # 29, 290 to 299, 2900 to 2999
    assert (none.rows, none.total) == ((), 0)
    assert (beyond.rows, beyond.total) == ((), 111)
    assert (limited.total, limited.is_at_least) == (1_000, True)


def test_a_word_is_sought_in_the_newest_entries_first(
    bridge: Orgbridge, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = TrailFilter(text="subject", since=bridge.clock() - dt.timedelta(days=9))
    assert audit.searched(bridge, actor, word) == word

    monkeypatch.setattr(trail_rows, "SEARCHED_ROWS", 200)

    near = audit.searched(bridge, actor, word)
    assert near.since is not None and word.since is not None and near.since > word.since
    assert 190 <= audit.trail(bridge, actor, near, page_rows=500).total <= 201
    plain = dataclasses.replace(word, text="")
    assert audit.searched(bridge, actor, plain) == plain


def test_an_export_is_noted_with_the_hash_of_its_file(bridge: Orgbridge, actor: Actor) -> None:
    """The noted hash is that of the bytes which the browser got; a broken-off export has none."""
    asked = TrailFilter(actor="ann 1", action="plan.act_1")
    exports = TrailFilter(action=audit.EXPORTED)

    next(audit.trail_csv(bridge, actor, asked))
    broken_off = audit.trail(bridge, actor, exports).total
    file = b"".join(audit.trail_csv(bridge, actor, asked))

    (noted,) = audit.trail(bridge, actor, exports).rows
    assert broken_off == 0
    assert len(file.splitlines()) - 1 == audit.trail(bridge, actor, asked).total > 0
    assert noted.after == {
        "sha256": hashlib.sha256(file).hexdigest(),
        "filter": {"actor": "ann 1", "action": "plan.act_1"},
    }
