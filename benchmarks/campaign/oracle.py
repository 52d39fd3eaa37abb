"""Judges a case by both orgs' stores alone; knows nothing of the engine.

    source rows ─┐
    target before ┼─▶ Want per row: there or not, its values, where its lookups lead ─┐
    what people did┘                                                                   ├─▶ sentences
    target after ──────────────────────────────────────────────────────────────────────┘

Where two ends are right (a person's edit in the middle of a run) a want names both; nothing else is
let pass. Rows are known by their key, or without one by all their plain values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.campaign.acts import BY_OTHERS, Happened, edited_field
from benchmarks.campaign.cases import Case
from benchmarks.campaign.data import Row, Rows, key_of
from benchmarks.campaign.shapes import KEY, REFUSED, SHAPES, STAMPED

#: figures of a mapping that are compared
FIGURES = ("inserted", "updated", "unchanged", "skipped", "blocked", "failed", "not_processed")


@dataclass(slots=True)
class Want:
    """What must be there of one row."""

    name: str
    #: allowed values by plain field, normalised
    values: dict[str, tuple[Any, ...]]
    #: allowed tokens by lookup; None is blank
    lookups: dict[str, tuple[str | None, ...]]
    #: must be there | may be there
    sure: bool = True
    #: each as right as a whole: the row as it was, where the run reports that it was refused; the
    #: row made anew, where people deleted it before the run looked for it
    instead: list[Want] = field(default_factory=list)


@dataclass(slots=True)
class Wanted:
    """What a target must hold, and the figures a run must tell."""

    #: by token; several wants of one token are twins
    rows: dict[str, list[Want]] = field(default_factory=dict)
    figures: dict[str, Counter[str]] = field(default_factory=dict)
    #: figures that may differ by so many rows, by mapping
    slack: Counter[str] = field(default_factory=Counter)
    #: source id → token, for lookups
    tokens: dict[str, str | None] = field(default_factory=dict)
    #: by token, how a row that is there would be inserted, were it not there
    anew: dict[str, Callable[[], Want]] = field(default_factory=dict)

    def add(self, token: str, want: Want) -> None:
        """One more row."""
        self.rows.setdefault(token, []).append(want)


def normal(value: Any) -> Any:
    """One spelling per value: blank is None, line ends are those of Unix, numbers have 4 digits."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n").strip() or None
    if isinstance(value, float):
        return round(value, 4)
    return value


def live(rows: Iterable[Row]) -> list[Row]:
    """Rows that are not in the recycle bin."""
    return [row for row in rows if not row["IsDeleted"]]


def label(name: str, row: Row) -> str:
    """A row by what is written in it once: names tell rows of a case apart."""
    return f"{name}={normal(row[SHAPES[name].label])}"


class Pairs:
    """Which source row is which target row, and a token for every row of the target."""

    def __init__(self, case: Case, source: Rows, before: Rows) -> None:
        self._case = case
        #: token of every source row
        self.token: dict[str, str] = {}
        #: source id → target row before the run
        self.there: dict[str, Row] = {}
        for name in case.objects:
            held = {self._key(name, row): row for row in live(before[name])}
            for row in source[name]:
                token = self._token(name, row)
                self.token[row["Id"]] = token
                if token in held:
                    self.there[row["Id"]] = held[token]
        self._known = set(self.token.values())

    def _token(self, name: str, row: Row) -> str:
        if not self._case.writes_keys:
            return label(name, row)
        return f"{name}:{key_of(self._case, row)}"

    def _key(self, name: str, row: Row) -> str:
        if not self._case.writes_keys:
            return label(name, row)
        if self._case.key == "composite":
            return f"{name}:{row['Region__c'] or ''}|{row['Code__c'] or ''}"
        return f"{name}:{row[KEY]}"

    def target_token(self, name: str, row: Row) -> str:
        """The token of a target row: its source row's, else its id."""
        token = self._key(name, row)
        return token if token in self._known else str(row["Id"])


def compare(
    case: Case, wanted: Wanted, pairs: Pairs, *, after: Rows, but: Iterable[str] = ()
) -> list[str]:
    """What is wrong in the target, one sentence each.

    Args:
        but: ids of target rows that are judged elsewhere; lookups may lead to them.
    """
    wrong: list[str] = []
    apart = set(but)
    token_of = {
        row["Id"]: pairs.target_token(name, row) for name in case.objects for row in after[name]
    }
    found: dict[str, list[Row]] = {}
    for name in case.objects:
        for row in live(after[name]):
            if row["Id"] in apart:
                continue
            found.setdefault(token_of[row["Id"]], []).append(row)
    for token, rows in found.items():
        most = len(wanted.rows.get(token, ()))
        if len(rows) > most:
            wrong.append(f"{'doubled' if most else 'extra'}: {token}, {len(rows)} for {most}")
    for token, wants in wanted.rows.items():
        rows = found.get(token, [])
        least = sum(want.sure for want in wants)
        if len(rows) < least:
            wrong.append(f"missing: {token}, {len(rows)} of {least}")
        wrong += _unlike(token, wants, rows, token_of)
    return wrong


def _unlike(token: str, wants: list[Want], rows: list[Row], token_of: dict[str, str]) -> list[str]:
    """Rows of one token against its wants; twins are equal but for their lookups."""
    left = list(wants)
    wrong: list[str] = []
    for row in rows:
        said = [_differences(token, want, row, token_of) for want in left]
        if not said:
            break
        best = min(range(len(said)), key=lambda at: len(said[at]))
        wrong += said[best]
        left.pop(best)
    return wrong


def _differences(token: str, want: Want, row: Row, token_of: dict[str, str]) -> list[str]:
    if any(not _differences(token, one, row, token_of) for one in want.instead):
        return []
    wrong = [
        f"wrong field: {token}.{name} is {_short(row[name])}, should be"
        f" {' or '.join(_short(one) for one in allowed)}"
        for name, allowed in want.values.items()
        if normal(row[name]) not in allowed
    ]
    for name, allowed in want.lookups.items():
        leads = token_of.get(row[name], "a row that is not there") if row[name] else None
        if leads not in allowed:
            wrong.append(f"wrong lookup: {token}.{name} leads to {leads}, should to {allowed}")
    return wrong


def _short(value: Any) -> str:
    return repr(value)[:60]


def as_it_is(case: Case, name: str, row: Row, *, pairs: Pairs, before: Rows) -> Want:
    """A row that nothing may change."""
    shape = SHAPES[name]
    tokens = {
        one["Id"]: pairs.target_token(other, one) for other in case.objects for one in before[other]
    }
    lookups: dict[str, tuple[str | None, ...]] = {
        one.field: (tokens.get(row[one.field]) if row[one.field] else None,)
        for one in shape.lookups
        if any(parent in case.objects for parent in one.to)
    }
    return Want(name, {field: (normal(row[field]),) for field in shape.fields}, lookups)


def allow_others(
    wanted: Wanted, pairs: Pairs, *, happened: Happened, rows: Rows, stood: Stood
) -> None:
    """What people did while the run was on its way may have won or lost against it."""
    ids = {row["Id"]: (name, row) for name, found in rows.items() for row in found}
    gone: set[str] = set()
    for record_id, what in happened.touched.items():
        if record_id not in ids:
            continue
        name, row = ids[record_id]
        token = pairs.target_token(name, row)
        wanted.slack[name] += 2
        for want in wanted.rows.get(token, ()):
            if what == "edit":
                field_name = edited_field(name)
                want.values[field_name] = (*want.values.get(field_name, ()), BY_OTHERS)
                if token in stood.changed:  # edited before the run looked at it: it stays whole
                    was = stood.rows[token]
                    was.values[field_name] = (BY_OTHERS,)
                    want.instead.append(was)
            if what == "delete":
                want.sure = False
                gone.add(token)
                want.instead += [wanted.anew[token]()] if token in wanted.anew else []
    for loser, winner in happened.merged.items():
        if loser in ids and winner in ids:
            _allow_moved(wanted, *(pairs.target_token(*ids[one]) for one in (loser, winner)))
    _allow_gone(wanted, gone, stood)


def _allow_moved(wanted: Wanted, loser: str, winner: str) -> None:
    """A merge moves the loser's children to the record that won."""
    for want in (one for wants in wanted.rows.values() for one in wants):
        for name, allowed in want.lookups.items():
            if loser in allowed:
                want.lookups[name] = (*allowed, winner)


@dataclass(frozen=True, slots=True)
class Stood:
    """Rows of the target as they were, by token."""

    rows: dict[str, Want]
    #: tokens of those, and of rows that the run made, whose update it reports as refused
    refused: set[str]
    #: tokens of those that the run left alone since a person changed them, and reports
    changed: set[str]


def _allow_gone(wanted: Wanted, gone: set[str], stood: Stood) -> None:
    """Lookups at rows that people deleted are blank or as before, or their row is refused, and so
    on down."""
    while gone:
        refused: set[str] = set()
        for token, wants in wanted.rows.items():
            for want in wants:
                hit = [name for name, allowed in want.lookups.items() if gone & set(allowed)]
                was = stood.rows.get(token)
                for name in hit:
                    before = was.lookups.get(name, ()) if was is not None else ()
                    want.lookups[name] = (*want.lookups[name], None, *before)
                if hit and token in stood.refused:
                    # lookups that were sent together are refused together; a new row has none yet
                    stay = was.lookups if was is not None else dict.fromkeys(want.lookups, (None,))
                    for name, before in stay.items():
                        want.lookups[name] = (*want.lookups.get(name, ()), *before)
                if hit and was is not None and token in stood.refused:
                    want.instead.append(was)
                    _blank(was, gone)
                    wanted.slack[want.name] += 1
                elif hit and want.sure:
                    want.sure = False
                    wanted.slack[want.name] += 1
                    refused.add(token)
        gone = refused


def _blank(want: Want, gone: set[str]) -> None:
    """The org empties lookups at rows that are deleted."""
    for name, allowed in want.lookups.items():
        if gone & set(allowed):
            want.lookups[name] = (*allowed, None)


def check_figures(case: Case, wanted: Wanted, lines: dict[str, dict[str, Any]]) -> list[str]:
    """The run's own figures against what was counted here."""
    wrong: list[str] = []
    for name, counted in wanted.figures.items():
        said = lines[name.lower()]
        total = sum(said[one] for one in FIGURES)
        if said["read"] != total:
            wrong.append(f"figures: {name} read {said['read']}, its parts are {total}")
        lookups_only = counted["lookups only"]
        # the row holds all else already: only its second pass was refused, and is told apart
        refused_later = counted["refused lookups"]
        for figure in FIGURES:
            if case.kind == "delta" and figure == "unchanged":
                continue  # how many of the unchanged rows a delta reads is its own affair
            give = wanted.slack[name] + (lookups_only if figure in ("updated", "unchanged") else 0)
            give += refused_later if figure in ("failed", "unchanged") else 0
            if abs(said[figure] - counted[figure]) > give:
                wrong.append(f"figures: {name} {figure} {said[figure]}, counted {counted[figure]}")
    return wrong


def is_refused(name: str, row: Row) -> bool:
    """The target's validation rule refuses the row."""
    return SHAPES[name].custom and row["Code__c"] == REFUSED


def plain_fields(name: str) -> list[str]:
    """Fields that people and runs write; automation's are not among them."""
    return [one for one in SHAPES[name].fields if one != STAMPED]
