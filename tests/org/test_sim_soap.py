"""The practice org's SOAP calls: undelete, merge, clock, who, login."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.orgs import PracticeOrg, PracticeOrgs


@pytest.fixture(scope="module")
def org(module_practice_org: PracticeOrgs) -> PracticeOrg:
    """One org for the module."""
    return module_practice_org()


def soap(
    org: PracticeOrg, body: str, *, token: str | None = None, version: str = "62.0"
) -> ElementTree.Element:
    """Send one partner call and return the parsed envelope."""
    envelope = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:u="urn:partner.soap.sforce.com">'
        f"<e:Header><u:SessionHeader><u:sessionId>{token or org.access_token}</u:sessionId>"
        f"</u:SessionHeader></e:Header><e:Body>{body}</e:Body></e:Envelope>"
    )
    answer = org.request(
        "POST",
        f"/services/Soap/u/{version}",
        envelope.encode(),
        headers={"Content-Type": "text/xml", "SOAPAction": '""'},
    )
    return ElementTree.fromstring(answer.data)  # noqa: S314 our own org


def texts(tree: ElementTree.Element, name: str) -> list[str]:
    """Texts of all elements of a local name."""
    return [one.text or "" for one in tree.iter() if one.tag.rpartition("}")[2] == name]


def add(org: PracticeOrg, sobject: str, **fields: str) -> str:
    """Create one record and return its id."""
    return str(org.json("POST", f"sobjects/{sobject}", fields)["id"])


def test_undelete_answers_row_by_row_in_order(org: PracticeOrg) -> None:
    gone, there = add(org, "Account", Name="Gone"), add(org, "Account", Name="There")
    org.request("DELETE", f"sobjects/Account/{gone}")

    tree = soap(org, f"<u:undelete><u:ids>{there}</u:ids><u:ids>{gone}</u:ids></u:undelete>")

    assert texts(tree, "success") == ["false", "true"]
    assert texts(tree, "statusCode") == ["UNDELETE_FAILED"]
    assert org.count(f"SELECT COUNT() FROM Account WHERE Id = '{gone}'") == 1


def test_merge_moves_children_and_leaves_the_master_record_id(org: PracticeOrg) -> None:
    winner, loser = add(org, "Account", Name="Winner"), add(org, "Account", Name="Loser")
    child = add(org, "Contact", LastName="Child", AccountId=loser)
    case = add(org, "Case", AccountId=loser)

    tree = soap(
        org,
        f"<u:merge><u:request><u:masterRecord><u:type>Account</u:type><u:Id>{winner}</u:Id>"
        f"<u:Phone>42</u:Phone></u:masterRecord><u:recordToMergeIds>{loser}</u:recordToMergeIds>"
        "</u:request></u:merge>",
    )

    rows = {one["Id"]: one for one in org.rows("Account")}
    assert texts(tree, "success") == ["true"]
    assert set(texts(tree, "updatedRelatedIds")) == {child, case}
    assert (rows[loser]["IsDeleted"], rows[loser]["MasterRecordId"]) == (True, winner)
    assert rows[winner]["Phone"] == "42"
    assert next(one for one in org.rows("Contact") if one["Id"] == child)["AccountId"] == winner


def test_the_clock_and_the_user_are_told(org: PracticeOrg) -> None:
    when = texts(soap(org, "<u:getServerTimestamp/>"), "timestamp")[0]
    who = soap(org, "<u:getUserInfo/>")

    assert when.endswith("Z")
    assert texts(who, "organizationId") == [org.organization_id]


def test_a_dead_session_is_a_fault(org: PracticeOrg) -> None:
    tree = soap(org, "<u:getUserInfo/>", token="dead")

    assert texts(tree, "exceptionCode") == ["INVALID_SESSION_ID"]


def test_login_answers_old_versions_only(org: PracticeOrg) -> None:
    name = next(one["Username"] for one in org.rows("User"))
    login = f"<u:login><u:username>{name}</u:username><u:password>practice</u:password></u:login>"
    wrong = login.replace("practice</u:password>", "guess</u:password>")

    session = texts(soap(org, login, version="59.0"), "sessionId")[0]

    assert org.request("GET", "limits", token=session).status == 200
    assert texts(soap(org, login, version="65.0"), "exceptionCode") == ["UNSUPPORTED_API_VERSION"]
    assert texts(soap(org, wrong, version="59.0"), "exceptionCode") == ["INVALID_LOGIN"]
