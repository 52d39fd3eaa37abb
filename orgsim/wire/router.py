"""Finds the handler of a REST resource: for requests from outside and for parts of a composite one.

    Rule("PATCH", "sobjects/{sobject}/{id}", update)  below  /services/data/vXX.0/

Literal parts are matched without regard to case, parameters reach the handler URL-decoded;
``{rest:path}`` at the end takes all remaining parts. The most literal pattern wins, so
``sobjects/{sobject}/describe`` goes before ``sobjects/{sobject}/{id}``. Handlers are functions;
the wire runs them in threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from orgsim.wire.errors import ApiError, malformed_json, method_not_allowed, not_found


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one resource."""

    #: the running org (orgsim.org.Org): store, clock, settings
    org: Any
    #: who asks; has ``user_id``
    session: Any
    #: the schema as the user may see it
    schema: Any
    #: such as "62.0"
    version: str
    method: str
    #: below the version, without a leading slash, still URL-encoded
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    #: names in small letters
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    parameters: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ApiError: it is none.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise malformed_json(f"Unexpected character at line 1 column 1: {error}") from error

    @property
    def base(self) -> str:
        """``/services/data/vXX.0``: what URLs in answers begin with."""
        return f"/services/data/v{self.version}"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a JSON value, or bytes with their media type."""

    status: int = 200
    #: any JSON value; None with no `content` is an empty body
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    media_type: str = "application/json;charset=UTF-8"

    def encoded(self) -> bytes:
        """The body as it goes over the wire."""
        if self.content is not None:
            return self.content
        return b"" if self.body is None else orjson.dumps(self.body)


Handler = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Rule:
    """A resource, a method and who answers."""

    method: str
    #: parts separated by slashes; ``{name}`` takes one part, ``{name:path}`` at the end the rest
    pattern: str
    handler: Handler

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the pattern, literals in small letters."""
        return tuple(
            part if part.startswith("{") else part.lower()
            for part in self.pattern.strip("/").split("/")
        )


class Router:
    """All resources of the REST API."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = sorted(rules, key=_wildness)

    def answer(self, call: Call) -> Reply:
        """The handler's answer; a refusal becomes the answer that it words."""
        try:
            rule, parameters = self._find(call.method, call.path)
            return rule.handler(replace(call, parameters=parameters))
        except ApiError as error:
            return Reply(error.status, error.body)

    def _find(self, method: str, path: str) -> tuple[Rule, dict[str, str]]:
        parts = path.strip("/").split("/")
        allowed: list[str] = []
        best: tuple[str, ...] | None = None
        for rule in self._rules:
            if best is not None and _shape(rule) != best:
                break
            parameters = _matched(rule.parts, parts)
            if parameters is None:
                continue
            if rule.method == method or (method == "HEAD" and rule.method == "GET"):
                return rule, parameters
            allowed.append(rule.method)
            best = _shape(rule)
        if allowed:
            raise method_not_allowed(method, allowed)
        raise not_found()


def sub_call(parent: Call, *, method: str, url: str, body: Any, headers: Mapping[str, str]) -> Call:
    """The call that a subrequest of a composite request stands for.

    Args:
        url: with the version, or below it.

    Raises:
        ApiError: it leads out of the REST API.
    """
    split = urlsplit(url)
    path = split.path.lstrip("/")
    if path.startswith("services/data/"):
        path = path.removeprefix("services/data/").partition("/")[2]
    elif path.startswith("services/"):
        raise not_found()
    elif path[:1] == "v" and path[1:3].isdigit():
        path = path.partition("/")[2]
    return replace(
        parent,
        method=method.upper(),
        path=path,
        query=dict(parse_qsl(split.query, keep_blank_values=True)),
        headers={**parent.headers, **{name.lower(): value for name, value in headers.items()}},
        body=b"" if body is None else orjson.dumps(body),
        parameters={},
    )


def _matched(wanted: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    takes_rest = wanted[-1].endswith(":path}")
    if len(parts) < len(wanted) or (len(parts) > len(wanted) and not takes_rest):
        return None
    found: dict[str, str] = {}
    for place, part in enumerate(wanted):
        if place == len(wanted) - 1 and takes_rest:
            found[part[1 : -len(":path}")]] = unquote("/".join(parts[place:]))
        elif part.startswith("{"):
            found[part[1:-1]] = unquote(parts[place])
        elif part != parts[place].lower():
            return None
    return found


def _shape(rule: Rule) -> tuple[str, ...]:
    return tuple("*" if part.startswith("{") else part for part in rule.parts)


def _wildness(rule: Rule) -> tuple[bool, tuple[bool, ...], tuple[str, ...]]:
    """Rest-takers last, then literal parts first from the left; one shape stays together."""
    parts = rule.parts
    return parts[-1].endswith(":path}"), tuple(p.startswith("{") for p in parts), _shape(rule)
