"""What a plan says that can be checked without any org: names, filters, expressions.

Names that point at other parts of the plan are used once and known; filters are conditions and
nothing else; expressions keep to what is allowed. Fields are looked up later, in preflight.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.domain.plan.document import ObjectMapping, Plan
from core.domain.plan.rules import ExpressionRule
from core.domain.soql import checked_filter
from core.errors import UserError


def wrong_references(plan: Plan) -> list[tuple[str, str]]:
    """(place, sentence) of every name that is used twice or points nowhere; empty when all hold."""
    return [
        *_repeated_names(plan),
        *(
            wrong
            for number, mapping in enumerate(plan.objects)
            for wrong in (
                *_unknown_names(plan, number, mapping),
                *_wrong_filter(number, mapping),
                *_wrong_expressions(number, mapping),
            )
        ),
    ]


def _repeated_names(plan: Plan) -> list[tuple[str, str]]:
    first: dict[str, int] = {}
    wrong: list[tuple[str, str]] = []
    for number, mapping in enumerate(plan.objects):
        earlier = first.setdefault(mapping.name.lower(), number)
        if earlier != number:
            wrong.append(
                (
                    f"objects[{number}].as",
                    f"the name '{mapping.name}' is already that of objects[{earlier}]; "
                    "give one of them another name with `as:`",
                )
            )
    return wrong


def _unknown_names(plan: Plan, number: int, mapping: ObjectMapping) -> list[tuple[str, str]]:
    names = {entry.name for entry in plan.objects}
    known = ", ".join(sorted(names))
    wrong = [
        (f"objects[{number}].after", f"there is no mapping '{name}' here; there are {known}")
        for name in mapping.after
        if name not in names
    ]
    if mapping.name in mapping.after:
        wrong.append((f"objects[{number}].after", "a mapping cannot come after itself"))
    for field_name, policy in mapping.lookups.items():
        wrong.extend(
            (
                f"objects[{number}].lookups.{field_name}.through",
                f"there is no mapping '{name}' here; there are {known}",
            )
            for name in policy.through
            if name not in names
        )
    return wrong


def _wrong_filter(number: int, mapping: ObjectMapping) -> Iterator[tuple[str, str]]:
    if mapping.where is None:
        return
    try:
        checked_filter(mapping.where)
    except UserError as error:
        yield f"objects[{number}].where", error.happened.removeprefix("where: ")


def _wrong_expressions(number: int, mapping: ObjectMapping) -> Iterator[tuple[str, str]]:
    found = [
        *((f"fields.{name}.expression", rule) for name, rule in mapping.fields.items()),
        *((f"finally.{name}.expression", rule) for name, rule in mapping.final_fields.items()),
    ]
    texts = [(place, r.expression) for place, r in found if isinstance(r, ExpressionRule)]
    if mapping.key.value is not None:
        texts.append(("key.value", mapping.key.value))
    if not texts:
        return
    # SQL and polars are loaded only for plans with expressions: the terminal answers in a second
    from core.domain.expressions import check_shape

    for place, text in texts:
        try:
            check_shape(text)
        except UserError as error:
            yield f"objects[{number}].{place}", error.happened
