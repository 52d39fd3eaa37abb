"""Any query is answered or refused: no combination of clauses makes the org stumble."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.orgs import PracticeOrg, PracticeOrgs

OBJECTS = ("Account", "Contact", "Opportunity", "Task", "Case", "Invoice__c", "User")
CONSTANTS = ("'a'", "'%x_'", "null", "5", "-1.5", "2020-01-01", "2020-01-01T00:00:00Z", "true",
             "TODAY", "LAST_N_DAYS:3", "N_YEARS_AGO:99999", "'001000000000001'", "''")  # fmt: skip
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "LIKE")
FUNCTIONS = ("COUNT", "SUM", "AVG", "MIN", "MAX", "CALENDAR_YEAR", "DAY_ONLY", "toLabel", "FORMAT",
             "GROUPING")  # fmt: skip
CODES = {"MALFORMED_QUERY", "INVALID_FIELD", "INVALID_TYPE", "INVALID_QUERY_FILTER_OPERATOR"}


@dataclass(frozen=True)
class Described:
    """What a query about one object may name."""

    name: str
    paths: tuple[str, ...]
    children: tuple[str, ...]


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """Northwind Legacy: rows, parents, polymorphic lookups."""
    return module_practice_org(seed="northwind-legacy")


@pytest.fixture(scope="module")
def described(org: PracticeOrg) -> list[Described]:
    """Fields, parents' names and children of some objects."""
    return [_described(org, name) for name in OBJECTS]


def _described(org: PracticeOrg, name: str) -> Described:
    found = org.json("GET", f"sobjects/{name}/describe")
    fields = [field["name"] for field in found["fields"]]
    parents = [f"{f['relationshipName']}.Name" for f in found["fields"] if f["relationshipName"]]
    children = [c["relationshipName"] for c in found["childRelationships"] if c["relationshipName"]]
    return Described(name, (*fields, *parents, "Nope"), tuple(children) or ("Nopes",))


@st.composite
def queries(draw: st.DrawFn, objects: list[Described]) -> str:
    """Any query of a moderate size; many are wrong on purpose."""
    one = draw(st.sampled_from(objects))
    path = st.sampled_from(one.paths)
    called = st.builds(lambda name, inner: f"{name}({inner})", st.sampled_from(FUNCTIONS), path)
    item = st.one_of(path, path, called)
    inner = st.builds(
        lambda child: f"(SELECT Id FROM {child} LIMIT 2)", st.sampled_from(one.children)
    )
    constant = st.sampled_from(CONSTANTS)
    comparison = st.builds(" ".join, st.tuples(item, st.sampled_from(OPERATORS), constant))
    membership = st.builds(
        lambda left, operator, values: f"{left} {operator} ({', '.join(values)})",
        item, st.sampled_from(("IN", "NOT IN", "INCLUDES")),
        st.lists(constant, min_size=1, max_size=3),
    )  # fmt: skip
    condition = st.recursive(
        st.one_of(comparison, membership),
        lambda deeper: st.builds(lambda a, sign, b: f"({a} {sign} {b})", deeper,
                                 st.sampled_from(("AND", "OR")), deeper), max_leaves=3,
    )  # fmt: skip
    selected = draw(st.lists(st.one_of(item, item, inner), min_size=1, max_size=3))
    text = f"SELECT {', '.join(selected)} FROM {one.name}"
    clauses = (("WHERE", condition), ("GROUP BY", path), ("HAVING", condition), ("ORDER BY", item),
               ("LIMIT", st.integers(0, 5).map(str)))  # fmt: skip
    for word, strategy in clauses:
        if draw(st.booleans()):
            text += f" {word} {draw(strategy)}"
    return text


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_query_is_answered_or_refused_by_code(
    org: PracticeOrg, described: list[Described], data: st.DataObject
) -> None:
    """A status of 500 would be ours; 400 carries a code that clients know."""
    soql = data.draw(queries(described))

    answer = org.request("GET", f"query?q={quote(soql)}")

    assert answer.status in {200, 400}, soql
    if answer.status == 400:
        assert answer.json()[0]["errorCode"] in CODES, soql
