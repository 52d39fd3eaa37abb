"""Plan files: YAML to plan and back, with errors that name the place and the way out.

The reader makes text of every scalar but null, true and false: ``007`` keeps its zeros, ``no``
stays the word, dates stay as written. Keys that repeat, anchors and aliases are refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from core.domain.plan.document import (
    Duplicates,
    KeySpec,
    LoadOptions,
    ObjectMapping,
    Plan,
    RowTest,
    Scope,
    is_plain_copy,
)
from core.domain.plan.references import wrong_references
from core.domain.plan.rules import (
    RULE_TAGS,
    ConstantRule,
    ConvertRule,
    CopyRule,
    ExpressionRule,
    IdsRule,
    LookupPolicy,
    MaskRule,
    MatchFields,
    RuleBase,
    ValueMapRule,
)
from core.errors import UserError

PLAN_TEXT_MAX = 5_000_000  # characters; the largest plan seen has 60 kB
ERRORS_SHOWN = 10
NESTING_MAX = 30

_RULES: tuple[type[RuleBase], ...] = (
    CopyRule,
    ConstantRule,
    ValueMapRule,
    MaskRule,
    ConvertRule,
    ExpressionRule,
    IdsRule,
)
#: what stands below a key of the file; below the plan itself stand the plan's own keys
_PART_BELOW: dict[str, type[BaseModel]] = {
    "objects": ObjectMapping,
    "key": KeySpec,
    "load": LoadOptions,
    "lookups": LookupPolicy,
    "users": LookupPolicy,
    "match": MatchFields,
    "tests": RowTest,
    "scope": Scope,
    "duplicates": Duplicates,
}
_RULE_KEYS = "a rule is a source field, or keys such as from, constant, values, mask, expression"


def parse_plan(text: str) -> Plan:
    """The plan of a YAML (or JSON) text.

    Raises:
        UserError: it is no YAML, or some places of it are wrong; the message names them, and
            ``facts["places"]`` holds (place, sentence) pairs. Nothing is kept.
    """
    return plan_from_document(read_yaml(text, what="plan file"))


def plan_from_document(document: Any) -> Plan:
    """The plan of a parsed document (a stored version); errors as in `parse_plan`."""
    if not isinstance(document, dict):
        raise UserError(
            "The plan file holds no plan.",
            next_step="It begins with `orgbridge: 1` and lists `objects:`.",
        )
    if "orgbridge" not in document:
        raise UserError(
            "orgbridge: the plan file does not say its version.",
            next_step="Begin it with the line `orgbridge: 1`.",
        )
    try:
        plan = Plan.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _places_error(_readable(error)) from error
    wrong = wrong_references(plan)
    if wrong:
        raise _places_error(wrong)
    return plan


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as plain values, defaults left out, short forms used: what YAML and JSONB store."""
    document = plan.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"objects"}
    )
    document = {"orgbridge": plan.orgbridge, **document}
    document["objects"] = [mapping_document(entry) for entry in plan.objects]
    return document


def dump_plan(plan: Plan) -> str:
    """The plan as YAML; `parse_plan` reads the same plan back from it."""
    return yaml.dump(
        plan_document(plan), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=100
    )


def read_yaml(text: str, *, what: str) -> Any:
    """Plain values of a YAML text, scalars kept as text.

    Raises:
        UserError: with line and column.
    """
    if len(text) > PLAN_TEXT_MAX:
        raise UserError(f"The {what} is larger than {PLAN_TEXT_MAX:,} characters.")
    try:
        return yaml.load(text, Loader=_Reader)  # noqa: S506 - a SafeLoader with fewer types
    except yaml.YAMLError as error:
        raise UserError(f"The {what} is not readable as YAML: {_yaml_place(error)}") from error
    except RecursionError as error:
        raise UserError(f"The {what} is nested too deeply.") from error


class _Reader(yaml.SafeLoader):
    """SafeLoader that makes text of all scalars but null, true, false, and no surprises."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise self._refusal("aliases (*name) are not allowed; write it out")
        self.depth += 1
        try:
            if self.depth > NESTING_MAX:
                raise self._refusal("nested too deeply")
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _refusal(self, problem: str) -> yaml.YAMLError:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # types-pyyaml left it bare
        return yaml.constructor.ConstructorError(None, None, problem, event.start_mark)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                # `true: x` in a value map means the word
                key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' appears twice", key_node.start_mark
                )
            seen.add(key)
        return {
            key_node.value: self.construct_object(value_node, deep=True)
            for key_node, value_node in node.value
        }


def _plain_resolvers() -> dict[str, list[tuple[str, Any]]]:
    wanted = (
        ("tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF"),
        ("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    )
    resolvers: dict[str, list[tuple[str, Any]]] = {}
    for tag, pattern, starts in wanted:
        for start in starts:
            resolvers.setdefault(start, []).append((tag, pattern))
    return resolvers


_Reader.yaml_implicit_resolvers = _plain_resolvers()


class _Writer(yaml.SafeDumper):
    """SafeDumper without aliases, whose quoting also protects readers of YAML 1.1."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def mapping_document(mapping: ObjectMapping) -> dict[str, Any]:
    """One object mapping as `plan_document` writes it."""
    document = mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if mapping.target == mapping.source:
        document.pop("target", None)
    if mapping.name == mapping.target.lower():
        document.pop("as", None)
    if mapping.key != KeySpec():
        document["key"] = _key_document(mapping.key)
    for name, rules, short in (
        ("fields", mapping.fields, is_plain_copy),
        ("finally", mapping.final_fields, _is_plain_constant),
    ):
        if rules:
            document[name] = {k: _rule_document(v, is_short=short(v)) for k, v in rules.items()}
    for field_name, policy in mapping.lookups.items():
        document["lookups"][field_name] = _lookup_document(policy)
    return document


def _key_document(key: KeySpec) -> Any:
    source, target = (_one_or_list(side) for side in (key.source, key.target))
    if key.value is not None:
        return {"source": source, "target": target, "value": key.value}
    return source if source == target else {"source": source, "target": target}


def _one_or_list(names: tuple[str, ...]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)


def _is_plain_constant(rule: RuleBase) -> bool:
    return isinstance(rule, ConstantRule) and rule == ConstantRule(constant=rule.constant)


def _rule_document(rule: RuleBase, *, is_short: bool) -> Any:
    document = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return next(iter(document.values())) if is_short else document


def _lookup_document(policy: LookupPolicy) -> dict[str, Any]:
    document = policy.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if policy.match is not None and policy.match.source == policy.match.target:
        document["match"] = policy.match.source
    return document


def _places_error(places: list[tuple[str, str]]) -> UserError:
    shown = [f"{place}: {sentence}" if place else sentence for place, sentence in places]
    more = len(shown) - ERRORS_SHOWN
    tail = [f"… and {more} more"] if more > 0 else []
    told = "\n  ".join([*shown[:ERRORS_SHOWN], *tail])
    count = "one place" if len(shown) == 1 else f"{len(shown)} places"
    return UserError(
        f"The plan file is wrong in {count}:\n  {told}" + ("" if told[-1] in ".?" else "."),
        state="Nothing was saved.",
        places=tuple(places),
    )


def _readable(error: ValidationError) -> list[tuple[str, str]]:
    places = [
        (_place(entry["loc"]), _sentence(entry))
        for entry in error.errors(include_url=False, include_context=True)
    ]
    # pydantic also calls the list too short when its entries are wrong: that says nothing new
    inside = any(place.startswith("objects[") for place, _ in places)
    wrong = {place for place, _ in places}
    return [
        (place, said)
        for place, said in places
        if not (inside and place == "objects") and not _follows(place, wrong)
    ]


def _follows(place: str, wrong: set[str]) -> bool:
    """Whether a place is wrong only because its default is another wrong one."""
    where, _, name = place.rpartition(".")
    return name in ("as", "target") and f"{where}.source" in wrong


def _place(loc: Iterable[int | str]) -> str:
    """``('objects', 2, 'fields', 'Name', 'copy', 'from')`` as ``objects[2].fields.Name.from``."""
    place = ""
    previous: list[int | str] = []
    for step in loc:
        is_tag = step in RULE_TAGS and len(previous) >= 2 and previous[-2] in ("fields", "finally")
        if isinstance(step, int):
            place += f"[{step}]"
        elif step != "[key]" and not is_tag:
            place += f".{step}" if place else str(step)
        previous.append(step)
    return place


def _sentence(entry: Mapping[str, Any]) -> str:
    kind, given = entry["type"], entry.get("input")
    if kind == "extra_forbidden":
        return _unknown_key(entry["loc"])
    if kind == "missing":
        return "is missing"
    if kind == "too_short":
        return "must not be empty"
    message = str(entry["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if kind in ("value_error", "rule"):
        return message
    return f"{message}; the file has {_shown(given)}"


def _unknown_key(loc: tuple[int | str, ...]) -> str:
    """What may stand there instead: only keys of the part of the plan that holds the place."""
    *above, key = [str(step) for step in loc if not isinstance(step, int)]
    in_rule = len(above) > 2 and above[-3] in ("fields", "finally") and above[-1] in RULE_TAGS
    part = next((_PART_BELOW[step] for step in reversed(above) if step in _PART_BELOW), Plan)
    parts = _RULES if in_rule else (part,)
    known = {field.alias or name for each in parts for name, field in each.model_fields.items()}
    near = difflib.get_close_matches(key, sorted(known - {key}), n=1, cutoff=0.6)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    if in_rule:
        return f"is no key of such a rule{hint}; {_RULE_KEYS}"
    return f"is no key of a plan{hint}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a set of keys"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else f"'{str(value)[:60]}'"


def _yaml_place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "unexpected character"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else str(problem)
