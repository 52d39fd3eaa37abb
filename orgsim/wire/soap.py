"""The SOAP calls that REST lacks: login (API ≤ 64), undelete, merge, the org's clock, who one is.

Source: SOAP API Developer Guide. The envelope is read by element names; prefixes do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orgsim import dml
from orgsim.auth.grants import GrantError
from orgsim.dml.merge import MergeError, merge
from orgsim.dml.outcomes import Outcomes
from orgsim.wire.cells import frame_of
from orgsim.wire.saving import results

if TYPE_CHECKING:
    from orgsim.auth.sessions import Session
    from orgsim.org import Org

_PARTNER = "urn:partner.soap.sforce.com"
_SOBJECT = "urn:sobject.partner.soap.sforce.com"
#: login() answers up to this version. Source: SOAP API guide, login().
LAST_LOGIN_VERSION = 64
UNDELETE_MAX = 200

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
    'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com" '
    'xmlns:sf="urn:sobject.partner.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    "<soapenv:Body>{}</soapenv:Body></soapenv:Envelope>"
)


class FaultError(Exception):
    """A SOAP fault: HTTP 500 with a code of the ``sf`` namespace."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


async def _partner(request: Request) -> Response:
    body = await request.body()
    return await run_in_threadpool(_answer, request, body)


def _answer(request: Request, body: bytes) -> Response:
    org: Org = request.state.org
    try:
        verb, tree = _verb(body)
        version = str(request.path_params["version"])
        if verb.tag == _named("login"):
            return _xml(_login(org, verb, version))
        session = _session(org, tree)
        org.usage.count()
        work = _CALLS.get(verb.tag.rpartition("}")[2])
        if work is None:
            raise FaultError("INVALID_TYPE", f"No operation available for {verb.tag}")
        return _xml(work(org, session, verb))
    except FaultError as fault:
        return _xml(_fault(fault), status=500)


def _verb(body: bytes) -> tuple[ElementTree.Element, ElementTree.Element]:
    if b"<!DOCTYPE" in body:
        raise FaultError("UNKNOWN_EXCEPTION", "DOCTYPE is not allowed")
    try:
        tree = ElementTree.fromstring(body)  # noqa: S314 no DOCTYPE, so no entities
    except ElementTree.ParseError as error:
        raise FaultError("UNKNOWN_EXCEPTION", f"not an envelope: {error}") from error
    found = next((one for one in tree.iter() if one.tag.endswith("}Body")), None)
    if found is None or not len(found):
        raise FaultError("UNKNOWN_EXCEPTION", "the envelope has no body")
    return found[0], tree


def _session(org: Org, tree: ElementTree.Element) -> Session:
    session = org.session_of(_text(tree, "sessionId"))
    if session is None:
        raise FaultError("INVALID_SESSION_ID", (
            "Invalid Session ID found in SessionHeader: Illegal Session"))  # fmt: skip
    return session


def _login(org: Org, verb: ElementTree.Element, version: str) -> str:
    if float(version) > LAST_LOGIN_VERSION:
        raise FaultError("UNSUPPORTED_API_VERSION", "login() is not available in this version")
    try:
        form = {"username": _text(verb, "username"), "password": _text(verb, "password"),
                "client_id": org.identity.client_id, "client_secret": org.identity.client_secret,
                "grant_type": "password"}  # fmt: skip
        made = org.grants.token(form, instance_url=org.url)
    except GrantError as error:
        text = "Invalid username, password, security token; or user locked out."
        raise FaultError("INVALID_LOGIN", f"INVALID_LOGIN: {text}") from error
    organization = org.identity.organization_id
    user_id = str(made["id"]).rsplit("/", 1)[-1]
    return (
        "<loginResponse><result>"
        f"<serverUrl>{escape(org.url)}/services/Soap/u/{version}/{organization}</serverUrl>"
        f"<sessionId>{escape(made['access_token'])}</sessionId><userId>{user_id}</userId>"
        f"<userInfo>{_user_fields(org, user_id)}</userInfo></result></loginResponse>"
    )


def _user_info(org: Org, session: Session, verb: ElementTree.Element) -> str:
    fields = _user_fields(org, session.user_id)
    return f"<getUserInfoResponse><result>{fields}</result></getUserInfoResponse>"


def _user_fields(org: Org, user_id: str) -> str:
    with org.store.read() as cursor:
        rows = cursor.execute(
            'SELECT Name, Username, Email, ProfileId FROM "User" WHERE Id = ?', [user_id]
        ).fetchall()
    name, username, email, profile = rows[0] if rows else ("", "", "", "")
    made = {
        "organizationId": org.identity.organization_id, "organizationName": org.identity.name,
        "profileId": profile, "userEmail": email, "userFullName": name, "userId": user_id,
        "userLanguage": "en_US", "userLocale": "en_US", "userName": username,
        "userTimeZone": "UTC", "userType": "Standard",
    }  # fmt: skip
    return "".join(f"<{key}>{escape(str(value or ''))}</{key}>" for key, value in made.items())


def _server_timestamp(org: Org, session: Session, verb: ElementTree.Element) -> str:
    now = org.clock.now()
    text = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
    return (f"<getServerTimestampResponse><result><timestamp>{text}</timestamp></result>"
            "</getServerTimestampResponse>")  # fmt: skip


def _undelete(org: Org, session: Session, verb: ElementTree.Element) -> str:
    ids = _texts(verb, "ids")
    if len(ids) > UNDELETE_MAX:
        raise FaultError("EXCEEDED_ID_LIMIT", f"cannot undelete more than {UNDELETE_MAX} records")
    outcomes = dml.undelete(org.save(user_id=session.user_id), ids)
    return f"<undeleteResponse>{_results(outcomes)}</undeleteResponse>"


def _delete(org: Org, session: Session, verb: ElementTree.Element) -> str:
    outcomes = dml.delete(org.save(user_id=session.user_id), _texts(verb, "ids"))
    return f"<deleteResponse>{_results(outcomes)}</deleteResponse>"


def _merge(org: Org, session: Session, verb: ElementTree.Element) -> str:
    """One merge request: masterRecord (with values to set) and up to two recordToMergeIds."""
    made = ""
    for request in (one for one in verb.iter() if one.tag.endswith("}request")):
        master = next(one for one in request.iter() if one.tag.endswith("}masterRecord"))
        fields = {one.tag.rpartition("}")[2]: one.text for one in master
                  if one.tag.rpartition("}")[2] not in ("type", "Id", "fieldsToNull")}  # fmt: skip
        made += _merged(org, session, winner=_text(master, "Id"), fields=fields,
                        losers=_texts(request, "recordToMergeIds"))  # fmt: skip
    return f"<mergeResponse>{made}</mergeResponse>"


def _merged(
    org: Org, session: Session, *, winner: str, fields: dict[str, str | None], losers: list[str]
) -> str:
    save = org.save(user_id=session.user_id)
    try:
        children = merge(save, winner=winner, losers=losers)
    except MergeError as error:
        return f"<result>{_errors([('MERGE_FAILED', str(error))])}<success>false</success></result>"
    target = save.full.by_prefix(winner)
    if fields and target is not None:
        dml.update(save, target.name, frame_of([{"Id": winner, **fields}], target))
    gone = "".join(f"<mergedRecordIds>{one}</mergedRecordIds>" for one in losers)
    return (f"<result><id>{winner}</id>{gone}<success>true</success>"
            + "".join(f"<updatedRelatedIds>{one}</updatedRelatedIds>" for one in children)
            + "</result>")  # fmt: skip


def _logout(org: Org, session: Session, verb: ElementTree.Element) -> str:
    org.sessions.revoke(session.token)
    return "<logoutResponse/>"


_CALLS: dict[str, Callable[[Org, Session, ElementTree.Element], str]] = {
    "delete": _delete, "getServerTimestamp": _server_timestamp, "getUserInfo": _user_info,
    "logout": _logout, "merge": _merge, "undelete": _undelete,
}  # fmt: skip


def _results(outcomes: Outcomes) -> str:
    made = ""
    for one in results(outcomes):
        reasons = [(error["statusCode"], error["message"]) for error in one["errors"]]
        head = _errors(reasons)
        record_id = f"<id>{one['id']}</id>" if one["success"] else '<id xsi:nil="true"/>'
        success = "true" if one["success"] else "false"
        made += f"<result>{head}{record_id}<success>{success}</success></result>"
    return made


def _errors(reasons: list[tuple[str, str]]) -> str:
    return "".join(
        f"<errors><message>{escape(message)}</message><statusCode>{code}</statusCode></errors>"
        for code, message in reasons
    )


def _fault(fault: FaultError) -> str:
    return (
        f"<soapenv:Fault><faultcode>sf:{fault.code}</faultcode>"
        f"<faultstring>{fault.code}: {escape(str(fault))}</faultstring><detail>"
        f'<sf:UnexpectedErrorFault xmlns:sf="urn:fault.partner.soap.sforce.com"><sf:exceptionCode>'
        f"{fault.code}</sf:exceptionCode><sf:exceptionMessage>{escape(str(fault))}"
        "</sf:exceptionMessage></sf:UnexpectedErrorFault></detail></soapenv:Fault>"
    )


def _named(name: str) -> str:
    return f"{{{_PARTNER}}}{name}"


def _texts(tree: ElementTree.Element, name: str) -> list[str]:
    return [(one.text or "").strip() for one in tree.iter()
            if re.sub(r"^\{[^}]*\}", "", one.tag) == name]  # fmt: skip


def _text(tree: ElementTree.Element, name: str) -> str:
    return next(iter(_texts(tree, name)), "")


def _xml(body: str, *, status: int = 200) -> Response:
    return Response(_ENVELOPE.format(body), status, media_type="text/xml;charset=UTF-8")


ROUTES = [
    Route("/services/Soap/{api}/{version}", _partner, methods=["POST"]),
    Route("/services/Soap/{api}/{version}/{organization}", _partner, methods=["POST"]),
]
