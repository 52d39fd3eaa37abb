"""A scripted org with a little data: describes, counts, queries; nothing is written to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from core.access import connections
from core.bootstrap import Orgbridge
from core.db import orgs
from core.domain.roles import Actor, Role
from core.salesforce.credentials import Credentials
from core.secret import Secret
from tests.org.scripted_org import Reply, ScriptedOrg, Seen

Row = Mapping[str, Any]
_FROM = re.compile(r"\bFROM\s+(\w+)", re.I)


def described(name: str, *fields: Mapping[str, Any]) -> dict[str, Any]:
    """A describe with an Id and the given fields (``name`` and ``type`` at least)."""
    usual = dict.fromkeys(("createable", "updateable", "nillable", "filterable"), True)
    own = [{"name": "Id", "type": "id", "nillable": False}, *(usual | dict(one) for one in fields)]
    flags = dict.fromkeys(("createable", "updateable", "deletable", "queryable"), True)
    return {"name": name, "label": name, "fields": own, "childRelationships": [], **flags}


class ScriptedData:
    """Answers describes, counts and queries from rows; a WHERE is answered by ``where``."""

    def __init__(self, organization_id: str) -> None:
        self.http = ScriptedOrg()
        self.organization_id = organization_id
        self.describes: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, Sequence[Row]] = {}
        #: condition text → rows it leaves, for the conditions a test uses
        self.where: dict[str, Sequence[Row]] = {}
        #: objects whose counting is refused
        self.refused: set[str] = set()
        self.http.on("GET", r"/sobjects$", self._all)
        self.http.on("GET", r"/sobjects/\w+/describe$", self._describe)
        self.http.on("POST", r"/composite/batch$", self._batch)
        self.http.on("GET", r"/query(All)?\?q=", self._query)
        who = {"user_id": "005000000000001", "organization_id": organization_id}
        self.http.on("GET", "/services/oauth2/userinfo", Reply(body=who))

    def register(self, bridge: Orgbridge, actor: Actor, name: str) -> UUID:
        """Make it a registered org of the workspace."""
        held = Credentials(instance_url=self.http.url, access_token=Secret("token"))
        values = connections.sealed(bridge.vault, held) | {
            "name": name,
            "instance_url": self.http.url,
            "domain_name": self.http.url.removeprefix("http://"),
            "org_id": self.organization_id,
            "auth_kind": "access_token",
            "environment": "practice",
        }
        with bridge.session(actor.workspace_id) as session:
            return orgs.add_org(session, values).id

    def _all(self, _: Seen) -> Reply:
        listed = [
            {key: value for key, value in one.items() if key != "fields"}
            for one in self.describes.values()
        ]
        return Reply(body={"sobjects": listed})

    def _describe(self, seen: Seen) -> Reply:
        return Reply(body=self.describes[seen.path.split("/")[-2]])

    def _batch(self, seen: Seen) -> Reply:
        results = []
        for part in seen.json()["batchRequests"]:
            soql = part["url"].partition("?q=")[2]
            results.append(self._counted(_unquoted(soql)))
        return Reply(body={"hasErrors": False, "results": results})

    def _counted(self, soql: str) -> dict[str, Any]:
        found = _FROM.search(soql)
        name = found.group(1) if found else ""
        condition = soql.partition(" WHERE ")[2]
        if name in self.refused or (condition and condition not in self.where):
            refusal = [{"errorCode": "INVALID_FIELD", "message": f"No such column in {name}"}]
            return {"statusCode": 400, "result": refusal}
        rows = self.where[condition] if condition else self.rows.get(name, ())
        return {"statusCode": 200, "result": {"totalSize": len(rows), "done": True}}

    def _query(self, seen: Seen) -> Reply:
        soql = seen.path.partition("?q=")[2]
        if "FROM Organization" in soql:
            rows: Sequence[Row] = [{"Id": self.organization_id, "IsSandbox": False}]
        else:
            condition = soql.partition(" WHERE ")[2]
            found = _FROM.search(soql)
            everything = self.rows.get(found.group(1) if found else "", ())
            rows = self.where.get(condition, everything) if condition else everything
        records = [{"attributes": {}, **row} for row in rows]
        return Reply(body={"totalSize": len(records), "done": True, "records": records})


def analyst(bridge: Orgbridge) -> Actor:
    """Somebody who may launch operations."""
    return Actor(bridge.workspace_id(), None, "ann@example.com", Role.ANALYST)


def at(hour: int) -> datetime:
    """A time on one day."""
    return datetime(2026, 11, 21, hour, tzinfo=UTC)


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)
