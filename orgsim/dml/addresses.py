"""State and country lists: codes and texts fill each other in, and both must be in the org's
list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged

_PROBLEM = (
    "There's a problem with this {what}, even though it may appear correct. Please select a "
    "{what} from the list of valid {many}."
)


def settle(staged: Staged) -> None:
    """Checks and completes every address of the rows; does nothing without the feature."""
    if "state_country_picklists" not in staged.save.full.features:
        return
    heads = [one.name.removesuffix("CountryCode") for one in staged.sobject.fields.values()
             if one.name.endswith("CountryCode")]  # fmt: skip
    for head in heads:
        names = [head + part for part in ("Country", "CountryCode", "State", "StateCode")]
        if any(name in staged.given for name in names):
            staged.ensure(names)
            _settle_one(staged, names)


def _settle_one(staged: Staged, names: list[str]) -> None:
    """Works by distinct address, of which there are few."""
    masks = [staged.given_expr(name).alias(f"@g{at}") for at, name in enumerate(names)]
    frame = staged.frame.select(ROW, *names, *masks)
    keys = [*names, *(f"@g{at}" for at in range(4))]
    settled: list[dict[str, Any]] = []
    for values, group in frame.group_by(keys, maintain_order=True):
        try:
            filled = _fill(values[:4], values[4:], staged.save.facts.countries)
        except _BadPlaceError as error:
            staged.refusals.all(group[ROW].to_list(), error.refusal)
            filled = (None, None, None, None)
        row_values = dict(zip(names, filled, strict=True))
        settled += [{ROW: row, **row_values} for row in group[ROW].to_list()]
    made = pl.DataFrame(settled, schema={ROW: pl.UInt32, **dict.fromkeys(names, pl.String)})
    staged.frame = staged.frame.drop(names).join(made, on=ROW, how="left", maintain_order="left")


class _BadPlaceError(Exception):
    def __init__(self, what: str, field: str) -> None:
        many = {"state": "states", "country": "countries"}[what]
        label = {"state": "State/Province", "country": "Country/Territory"}[what]
        text = f"{_PROBLEM.format(what=what, many=many)}: {label}"
        self.refusal = Refusal("FIELD_INTEGRITY_EXCEPTION", text, (field,))
        super().__init__(text)


def _fill(
    values: tuple[Any, ...], given: tuple[Any, ...], countries: Mapping[str, Any]
) -> tuple[Any, Any, Any, Any]:
    country, country_code, state, state_code = values
    named = {str(one["name"]).lower(): code for code, one in countries.items()}
    # What was given wins over what stood there; a code wins over a text.
    found = _code((country, country_code), given[:2], named=named, known=countries, what="country")
    if found is None:
        if state is not None or state_code is not None:
            raise _BadPlaceError("state", "StateCode")
        return None, None, None, None
    states: Mapping[str, str] = countries[found].get("states") or {}
    if not states:
        return countries[found]["name"], found, state, state_code
    named_states = {str(name).lower(): code for code, name in states.items()}
    inside = _code((state, state_code), given[2:], named=named_states, known=states, what="state")
    return countries[found]["name"], found, states[inside] if inside else None, inside


def _code(
    words: tuple[Any, Any],
    given: tuple[Any, ...],
    *,
    named: Mapping[str, str],
    known: Mapping[str, Any],
    what: str,
) -> str | None:
    (text, code), (text_given, code_given) = words, given
    if code is not None and (code_given or not text_given):
        if code.upper() not in known:
            raise _BadPlaceError(what, f"{what.title()}Code")
        return str(code).upper()
    if text is None or (code_given and not text_given):
        return None
    if text.upper() in known:
        return str(text).upper()
    if text.lower() not in named:
        raise _BadPlaceError(what, what.title())
    return named[text.lower()]
