"""Which objects of a run go side by side, and how turns end together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.db.run_state import TakenOverError
from core.domain.describe import SObject
from core.errors import RefusedError
from core.migration.context import HALT, StopRequested
from core.migration.resolve import resolve
from core.migration.turns import LOADS_AT_ONCE, Turn, earlier, go, locked
from tests.unit.test_ordering import lookup, plan_of, sobject

WAIT_S = 120


def first_of(*objects: dict[str, object], described: tuple[SObject, ...]) -> dict[str, set[str]]:
    """Per mapping those that come first."""
    both = {entry.name.lower(): entry for entry in described}
    found = resolve(plan_of(*objects), both, both)
    return {n: set(names) for n, names in earlier(found.steps, found.order.edges).items()}


def test_rule_3_11_objects_that_share_nothing_go_side_by_side() -> None:
    described = (sobject("A__c"), sobject("B__c"))

    assert first_of({"source": "A__c"}, {"source": "B__c"}, described=described) == {
        "a__c": set(),
        "b__c": set(),
    }


def test_rule_3_11_two_mappings_of_one_target_object_do_not() -> None:
    described = (sobject("A__c"), sobject("B__c"))
    twice = {"as": "again", "source": "B__c", "target": "A__c"}

    assert first_of({"source": "A__c"}, twice, described=described)["again"] == {"a__c"}


def test_rule_3_11_objects_that_lock_the_same_parent_do_not() -> None:
    """Contact, Opportunity and Case lock their Account, also where the plan does not move it; a
    plain lookup of a custom object locks nothing."""
    names = ("Contact", "Opportunity", "Case")
    described = tuple(sobject(name, lookup("AccountId", "Account")) for name in names)
    other = sobject("Note__c", lookup("Account__c", "Account"))
    objects = [{"source": entry.name} for entry in (*described, other)]

    first = first_of(*objects, described=(*described, other))

    assert first["opportunity"] == {"contact"}
    assert first["case"] == {"contact", "opportunity"}
    assert first["note__c"] == set()


def test_rule_3_11_masters_are_locked() -> None:
    master = replace(lookup("Parent__c", "Parent__c"), relationship_order=0)
    detail = sobject("D__c", master)
    plan = plan_of({"source": "D__c"})

    (step,) = resolve(plan, {"d__c": detail}, {"d__c": detail}).steps

    assert locked(step) == {"d__c", "parent__c"}


def test_rule_4_2_the_order_of_the_book_and_of_the_plan_holds() -> None:
    described = (sobject("Contact"), sobject("CampaignMember"), sobject("A__c"))
    objects = ({"source": "CampaignMember"}, {"source": "Contact"})

    first = first_of(*objects, {"source": "A__c", "after": ["contact"]}, described=described)

    assert first == {"contact": set(), "campaignmember": {"contact"}, "a__c": {"contact"}}


def test_lookups_bind_also_where_they_wait_for_the_second_pass() -> None:
    """In a cycle the loading order stays, so that a run does the same twice."""
    described = (sobject("A__c", lookup("B__c", "B__c")), sobject("B__c", lookup("A__c", "A__c")))

    first = first_of({"source": "A__c"}, {"source": "B__c"}, described=described)

    assert sorted(map(len, first.values())) == [0, 1]


def test_an_object_that_is_serial_goes_alone() -> None:
    described = (sobject("A__c"), sobject("B__c"), sobject("C__c"))
    alone = {"source": "B__c", "load": {"serial": True}}

    first = first_of({"source": "A__c"}, alone, {"source": "C__c"}, described=described)

    assert first["b__c"] == {"a__c"}
    assert first["c__c"] == {"b__c"}


def test_turns_run_at_once_and_in_order() -> None:
    """Two that are free meet each other; the third sees both of them done."""
    meeting = threading.Barrier(2)
    done: list[str] = []

    def meet(name: str) -> Callable[[], None]:
        def act() -> None:
            meeting.wait(WAIT_S)
            done.append(name)

        return act

    last = Turn("c", lambda: done.append("c"), ("a", "b"))
    go([Turn("a", meet("a")), Turn("b", meet("b")), last], halt=lambda: None)

    assert sorted(done[:2]) == ["a", "b"]
    assert done[2:] == ["c"]


def test_a_failed_turn_lets_the_others_end_and_begins_nothing_more() -> None:
    """What ends the run is the fault, not the halting that it caused."""
    halted, begun, ran = threading.Event(), threading.Event(), []

    def under_way() -> None:
        begun.set()
        assert halted.wait(WAIT_S)
        raise StopRequested(HALT)

    def fail() -> None:
        begun.wait(WAIT_S)
        raise RefusedError("No.")

    waiting = [Turn(f"w{n}", lambda: ran.append(1), ("b",)) for n in range(LOADS_AT_ONCE)]
    with pytest.raises(RefusedError):
        go([Turn("a", under_way), Turn("b", fail), *waiting], halt=halted.set)

    assert not ran


def test_what_waits_for_a_thread_does_not_begin_after_a_fault() -> None:
    """More are ready than there are threads: those in the queue are taken back, those under way
    come to their end."""
    told, ran = threading.Event(), []

    def fail() -> None:
        raise StopRequested("pause")

    def under_way() -> None:
        assert told.wait(WAIT_S)
        ran.append(1)

    busy = [Turn(f"b{n}", under_way) for n in range(LOADS_AT_ONCE + 20)]
    with pytest.raises(StopRequested, match="pause"):
        go([Turn("f", fail), *busy], halt=told.set)

    assert len(ran) <= LOADS_AT_ONCE


def test_being_taken_over_weighs_more_than_any_other_fault() -> None:
    meeting = threading.Barrier(2)

    def ends(fault: Exception) -> Callable[[], None]:
        def act() -> None:
            meeting.wait(WAIT_S)
            raise fault

        return act

    taken = TakenOverError("Another worker has it.")
    with pytest.raises(TakenOverError):
        go([Turn("a", ends(RefusedError("No."))), Turn("b", ends(taken))], halt=lambda: None)
