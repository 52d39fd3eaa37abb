"""Users, queues and record types of two orgs, recognised by what they are called."""

from __future__ import annotations

from core.domain.describe import RecordType
from core.plans.identity_matching import (
    FoundBy,
    OrgUser,
    match_queues,
    match_record_types,
    match_users,
    username_map,
)


def user(name: str, **facts: str | bool) -> OrgUser:
    return OrgUser(f"005{name}", name, **facts)  # type: ignore[arg-type]  # facts by name


def test_each_step_of_the_ladder_finds_its_user_and_says_so() -> None:
    ours = [
        user("same@acme.example"),
        user("a@old.example", federation_id="F1"),
        user("b@old.example", email="b@acme.example"),
        user("c@acme.example"),
        user("d@old.example"),
        user("e@old.example"),
    ]
    theirs = [
        user("SAME@acme.example"),
        user("x@new.example", federation_id="f1"),
        user("y@new.example", email="b@acme.example.invalid"),
        user("c@acme.example.uat"),
        user("d@new.example"),
    ]

    found = match_users(ours, theirs)

    assert [each.found_by for each in found] == [
        FoundBy.USERNAME,
        FoundBy.FEDERATION,
        FoundBy.EMAIL,
        FoundBy.SUFFIX,
        FoundBy.STEM,
        FoundBy.NONE,
    ]
    assert username_map(found) == {
        "a@old.example": "x@new.example",
        "b@old.example": "y@new.example",
        "c@acme.example": "c@acme.example.uat",
        "d@old.example": "d@new.example",
    }


def test_nobody_is_guessed_where_several_fit() -> None:
    theirs = [user("kim@new.example"), user("kim@other.example")]

    (found,) = match_users([user("kim@old.example")], theirs)

    assert (found.target, found.found_by) == (None, FoundBy.SEVERAL)


def test_an_inactive_user_gives_way_to_an_active_one() -> None:
    theirs = [user("kim@gone.example", is_active=False), user("kim@new.example")]

    (found,) = match_users([user("kim@old.example")], theirs)

    assert found.target == theirs[1]


def test_what_a_person_chose_goes_before_the_ladder() -> None:
    theirs = [user("kim@new.example"), user("lee@new.example")]
    chosen = {"kim@old.example": "lee@new.example"}

    (found,) = match_users([user("kim@old.example")], theirs, chosen=chosen)

    assert (found.target, found.found_by) == (theirs[1], FoundBy.HAND)


def test_queues_are_found_by_developer_name_then_label() -> None:
    ours = [OrgUser("00G1", "Sales", "Sales"), OrgUser("00G2", "Old_Care", "Customer care")]
    theirs = [OrgUser("00G8", "sales", "Other"), OrgUser("00G9", "Care", "customer care")]

    found = match_queues(ours, theirs)

    assert [each.found_by for each in found] == [FoundBy.USERNAME, FoundBy.LABEL]


def test_record_types_follow_the_map_then_name_then_label() -> None:
    ours = [
        RecordType("1", "Master", "Master", master=True),
        RecordType("2", "Partner", "Partner"),
        RecordType("3", "Old_Reseller", "Reseller"),
        RecordType("4", "Lost", "Lost"),
        RecordType("5", "Chosen", "Chosen"),
    ]
    theirs = [RecordType("7", "partner", "P"), RecordType("8", "Reseller", "reseller")]

    found = match_record_types(ours, theirs, chosen={"Chosen": "Reseller"})

    assert found == {
        "Partner": "partner",
        "Old_Reseller": "Reseller",
        "Lost": None,
        "Chosen": "Reseller",
    }
