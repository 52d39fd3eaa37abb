"""Load order: waves, deferred lookups, cycles, the object book, deletes, depth of rows."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.depth import IN_CYCLE, record_depth
from core.domain.describe import (
    ChildRelationship,
    Field,
    Fields,
    SObject,
    parse_describe,
    parse_field,
)
from core.domain.object_book import object_book
from core.domain.ordering import EdgeKind, LoadOrder, load_order, only
from core.domain.plan import Plan, plan_from_document
from core.plans.importers import read_sfdmu


def plan_of(*objects: dict[str, Any]) -> Plan:
    return plan_from_document(
        {"orgbridge": 1, "name": "p", "source": "a", "target": "b", "objects": list(objects)}
    )


def lookup(name: str, *to: str, nillable: bool = True, updateable: bool = True) -> Field:
    return Field(
        name=name,
        type="reference",
        reference_to=to,
        nillable=nillable,
        updateable=updateable,
        relationship_name=name.removesuffix("Id").replace("__c", "__r"),
    )


def sobject(name: str, *fields: Field) -> SObject:
    return SObject(name=name, fields=Fields((Field(name="Name", type="string"), *fields)))


def order_of(plan: Plan, *described: SObject) -> LoadOrder:
    return load_order(plan.objects, {entry.name: entry for entry in described})


def test_rule_4_1_parents_come_before_children() -> None:
    plan = plan_of({"source": "C__c"}, {"source": "B__c"}, {"source": "A__c"})

    order = order_of(
        plan,
        sobject("A__c"),
        sobject("B__c", lookup("A__c", "A__c")),
        sobject("C__c", lookup("B__c", "B__c", nillable=False), lookup("A__c", "A__c")),
    )

    assert order.waves == (("a__c",), ("b__c",), ("c__c",))
    assert order.deferred == {}
    assert order.cycles == ()


def test_rule_4_1_in_a_cycle_only_lookups_that_may_wait_do() -> None:
    plan = plan_of({"source": "A__c"}, {"source": "B__c"})

    order = order_of(
        plan,
        sobject("A__c", lookup("B__c", "B__c")),
        sobject("B__c", lookup("A__c", "A__c", nillable=False)),
    )

    assert order.waves == (("a__c",), ("b__c",))
    assert order.deferred == {"a__c": ("B__c",)}


def test_rule_4_1_a_cycle_of_three_defers_one_lookup() -> None:
    plan = plan_of({"source": "A__c"}, {"source": "B__c"}, {"source": "C__c"})

    order = order_of(
        plan,
        sobject("A__c", lookup("B__c", "B__c")),
        sobject("B__c", lookup("C__c", "C__c")),
        sobject("C__c", lookup("A__c", "A__c")),
    )

    assert sum(len(fields) for fields in order.deferred.values()) == 1
    assert len(order.waves) == 3


def test_rule_4_1_a_cycle_that_cannot_be_broken_is_named() -> None:
    plan = plan_of({"source": "A__c"}, {"source": "B__c"}, {"source": "C__c"})

    order = order_of(
        plan,
        sobject("A__c", lookup("B__c", "B__c", updateable=False)),
        sobject("B__c", lookup("A__c", "A__c", nillable=False)),
        sobject("C__c", lookup("A__c", "A__c")),
    )

    (cycle,) = order.cycles
    assert set(cycle.names) == {"a__c", "b__c"}
    assert "a__c.B__c" in cycle.sentence
    assert "b__c.A__c" in cycle.sentence
    assert order.wave_of("c__c") > order.wave_of("a__c")


def test_rule_4_1_self_lookups_load_by_depth_unless_deferred() -> None:
    described = sobject("A__c", lookup("Parent__c", "A__c"), lookup("Top__c", "A__c"))
    plan = plan_of({"source": "A__c"})
    deferring = plan_of({"source": "A__c", "defer": ["Parent__c"]})

    assert order_of(plan, described).by_depth == {"a__c": ("Parent__c", "Top__c")}
    order = order_of(deferring, described)
    assert order.by_depth == {"a__c": ("Top__c",)}
    assert order.deferred == {"a__c": ("Parent__c",)}


def test_rule_4_2_the_plan_overrides_the_book() -> None:
    described = (sobject("Account"), sobject("Contact"), sobject("CampaignMember"))
    objects = ({"source": "CampaignMember"}, {"source": "Contact"})

    by_book = order_of(plan_of(*objects), *described)
    by_plan = order_of(plan_of(objects[0], {**objects[1], "after": ["campaignmember"]}), *described)

    assert by_book.waves == (("contact",), ("campaignmember",))
    assert by_book.edges[0].kind is EdgeKind.BOOK
    assert by_book.edges[0].reason == "members are contacts or leads"
    assert by_plan.waves == (("campaignmember",), ("contact",))


def test_price_books_follow_the_book() -> None:
    names = ["OpportunityLineItem", "Opportunity", "PricebookEntry", "Pricebook2", "Product2"]
    plan = plan_of(*({"source": name} for name in names))

    order = order_of(plan, *(sobject(name) for name in names))

    assert order.waves == (
        ("pricebook2", "product2"),
        ("opportunity", "pricebookentry"),
        ("opportunitylineitem",),
    )


def test_a_lookup_in_the_key_never_waits() -> None:
    plan = plan_of({"source": "A__c", "key": ["B__r.Code__c", "Name"]}, {"source": "B__c"})

    order = order_of(
        plan,
        sobject("A__c", lookup("B__c", "B__c")),
        sobject("B__c", lookup("A__c", "A__c")),
    )

    assert order.deferred == {"b__c": ("A__c",)}
    assert order.waves == (("b__c",), ("a__c",))


def test_rule_5_1_through_and_match_choose_the_parents() -> None:
    described = (sobject("A__c"), sobject("B__c", lookup("A__c", "A__c")))
    plan = plan_of(
        {"source": "X__c", "target": "A__c", "as": "a1"},
        {"source": "Y__c", "target": "A__c", "as": "a2"},
        {"source": "B__c", "as": "b1", "lookups": {"A__c": {"through": ["a2"]}}},
        {"source": "B__c", "as": "b2", "lookups": {"A__c": {"match": "Name"}}},
    )

    order = order_of(plan, *described)

    assert {(edge.child, edge.parent) for edge in order.edges} == {("b1", "a2")}


def test_deletes_take_children_first() -> None:
    plan = plan_of(
        {"source": "A__c", "operation": "delete"}, {"source": "B__c", "operation": "delete"}
    )

    order = order_of(plan, sobject("A__c"), sobject("B__c", lookup("A__c", "A__c")))

    assert order.waves == (("b__c",), ("a__c",))


def test_rule_4_1_deletes_look_at_all_lookups_and_at_those_only_that_bind() -> None:
    """Lookups of a plan that deletes are not mapped; one that is only emptied makes no circle."""
    plan = plan_of(
        {"source": "A__c", "operation": "delete", "auto_map": False},
        {"source": "B__c", "operation": "delete", "auto_map": False},
    )
    clears = ChildRelationship("A__c", "B__c")
    takes = ChildRelationship("B__c", "A__c", cascade_delete=True)

    order = order_of(
        plan,
        replace(sobject("A__c", lookup("B__c", "B__c")), child_relationships=(takes,)),
        replace(sobject("B__c", lookup("A__c", "A__c")), child_relationships=(clears,)),
    )

    assert order.waves == (("b__c",), ("a__c",))
    assert order.cycles == ()


def test_defers_that_cannot_wait_are_named() -> None:
    plan = plan_of({"source": "A__c"}, {"source": "B__c", "defer": ["A__c", "No__c"]})

    order = order_of(plan, sobject("A__c"), sobject("B__c", lookup("A__c", "A__c", nillable=False)))

    assert order.deferred == {}
    assert [(name, field) for name, field, _ in order.wrong_defers] == [
        ("b__c", "A__c"),
        ("b__c", "No__c"),
    ]
    assert order.waves == (("a__c",), ("b__c",))


def test_real_describes_order_sales_objects(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "A_api_responses" / "amaxa_describes"
    described = [
        parse_describe(json.loads((folder / f"{name}.json").read_text()))
        for name in ("Account", "Contact", "Task")
    ]
    plan = plan_of({"source": "Task"}, {"source": "Contact"}, {"source": "Account"})

    order = order_of(plan, *described)

    assert order.waves == (("account",), ("contact",), ("task",))
    assert order.by_depth["account"] == ("ParentId",)
    assert order.by_depth["contact"] == ("ReportsToId",)
    assert order.cycles == ()


def test_rule_4_1_real_catalogues_order_without_a_cycle_that_stays(fixtures_dir: Path) -> None:
    schema = fixtures_dir / "A_api_responses/rlm_schema/260-schema.json"
    described = {
        name: SObject(
            name=name,
            fields=Fields(
                tuple(parse_field({**f, "picklistValues": []}) for f in o["fields"].values())
            ),
        )
        for name, o in json.loads(schema.read_text())["objects"].items()
    }
    orders = {}
    for path in sorted((fixtures_dir / "B_datasets").glob("rlm_*/export.json")):
        plan = read_sfdmu(path.read_text(), source="a", target="b", name="p").plan
        orders[path.parent.name] = load_order(plan.objects, described)

    assert all(not order.cycles for order in orders.values())
    assert orders["rlm_qb_en-US_qb-pcm"].deferred == {"unitofmeasure": ("UnitOfMeasureClassId",)}
    billing = orders["rlm_qb_en-US_qb-billing"].deferred
    # the policy comes twice in the file, and each time points at treatments that point back
    assert billing == {
        "billingpolicy": ("DefaultBillingTreatmentId",),
        "billingpolicy_2": ("DefaultBillingTreatmentId",),
    }


def test_only_keeps_the_order_of_the_rest() -> None:
    plan = plan_of({"source": "B__c"}, {"source": "A__c"})
    order = order_of(plan, sobject("A__c"), sobject("B__c", lookup("A__c", "A__c")))

    assert only(order, ["b__c"]).waves == (("b__c",),)


EDGES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans(), st.booleans()), max_size=14
)


@settings(max_examples=150, deadline=None)
@given(EDGES)
def test_rule_4_1_every_graph_is_ordered_or_its_cycle_named(
    links: list[tuple[int, int, bool, bool]],
) -> None:
    fields: dict[int, list[Field]] = {number: [] for number in range(6)}
    for at, (child, parent, nillable, updateable) in enumerate(links):
        fields[child].append(
            lookup(f"L{at}__c", f"O{parent}__c", nillable=nillable, updateable=updateable)
        )
    described = [sobject(f"O{n}__c", *own) for n, own in fields.items()]
    plan = plan_of(*({"source": entry.name} for entry in described))

    order = order_of(plan, *described)

    assert sorted(order.order) == sorted(entry.name for entry in plan.objects)
    in_cycles = {frozenset((e.child, e.parent)) for c in order.cycles for e in c.edges}
    for cycle in order.cycles:
        assert not any(edge.may_wait for edge in cycle.edges)
        assert all(a.parent == b.child for a, b in pairwise(cycle.edges))
        assert cycle.edges[-1].parent == cycle.edges[0].child
    for edge in order.edges:
        if edge.field in order.deferred.get(edge.child, ()):
            assert edge.may_wait
        elif not order.cycles:
            assert order.wave_of(edge.parent) < order.wave_of(edge.child), edge
    assert order.cycles or not in_cycles


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-1, 12), max_size=12), st.lists(st.integers(-1, 12), max_size=12))
def test_record_depth_places_parents_first(first: list[int], second: list[int]) -> None:
    rows = min(len(first), len(second))
    ids = [f"r{number}" for number in range(rows)]

    def as_ids(numbers: list[int]) -> pl.Series:
        return pl.Series([None if n < 0 else f"r{n}" for n in numbers[:rows]], dtype=pl.String)

    depth = record_depth(
        pl.Series(ids, dtype=pl.String), {"a": as_ids(first), "b": as_ids(second)}
    ).to_list()

    assert len(depth) == rows
    for at in range(rows):
        parents = [n for n in (first[at], second[at]) if 0 <= n < rows]
        if depth[at] == IN_CYCLE:
            assert any(depth[parent] == IN_CYCLE for parent in parents)
        else:
            assert depth[at] == 1 + max((depth[parent] for parent in parents), default=-1)


def test_the_book_reads_and_its_objects_are_known() -> None:
    book = object_book()

    assert book.entry("opportunitylineitem").locks == ("OpportunityId",)
    assert book.entry("Order").activations[0].first == "Draft"
    assert book.entry("Account").person is not None
    assert book.entry("Anything__c").after == ()
    assert book.entry("Opportunity").is_derived("expectedrevenue")
    for implicit in (edge for entry in book.entries.values() for edge in entry.after):
        assert implicit.object.lower() in book.entries, implicit
        assert implicit.reason
    for name in ("AccountHistory", "Foo__Share", "User", "Foo__mdt", "OpportunityFeed"):
        assert book.reason_never_copied(name)
    for name in ("Account", "Order", "Foo__c", "PricebookEntry"):
        assert book.reason_never_copied(name) is None
