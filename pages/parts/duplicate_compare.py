"""Records of one cluster beside each other: the survivor, each field's value, what comes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from core.services.duplicates import Cluster, Comparison
from pages.parts import figures, tables
from pages.parts.boxes import escaped

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SUM = "sum"
#: what an org keeps of a record by itself: no value of a survivor
_OWN = frozenset({"Id", "IsDeleted", "SystemModstamp", "CreatedById", "LastModifiedById"})
#: stands before the fields in which the records agree
SAME = "The same in all"
_RULE = "background-color: rgba(120, 130, 150, .16); font-weight: 600"
_DIFFERS = "background-color: rgba(194, 87, 12, .14)"
#: check boxes as people say them
_YES_NO = {"True": "Yes", "False": "No"}
#: a moment as an org writes it
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)", re.ASCII)
#: pixels in which a moment is not cut, where a window of 1,280 shows two records
_VALUE_WIDTH = 128
_RESULT = "background-color: rgba(18, 128, 92, .14); font-weight: 600"


def side_by_side(
    cluster: Cluster, found: Comparison, *, orgs: Sequence[str] = ()
) -> tuple[str, dict[str, str]]:
    """Draws the choice and the table; the survivor's id, and field → id whose value it takes.

    Args:
        orgs: the two orgs that were compared: no value is taken from one into the other here.
    """
    letters = dict(zip(found.record_ids, LETTERS, strict=False))
    decided = cluster.decision
    # a label of others, in which nothing may format
    sides = dict(zip(found.record_ids, cluster.sides, strict=False)) if orgs else {}
    held = {one: f"{escaped(orgs[side])} · " for one, side in sides.items()}
    survivor = str(
        st.segmented_control(
            "Survivor",
            list(letters),
            default=(decided and decided.survivor_id) or cluster.suggested,
            required=True,
            format_func=lambda one: f"{letters[one]} · {held.get(one, '')}…{one[9:15]}",
            help="The record that stays; a later run redirects the others' children to it.",
            key=f"duplicates.survivor.{cluster.key}",
        )
    )
    kept = {
        name: letters.get(one, "A") for name, one in (decided.values if decided else {}).items()
    }
    lines = _lines(found, letters, kept, survivor=letters.get(survivor, "A"), is_across=bool(orgs))
    if not lines:
        return survivor, {}
    if orgs:
        _only_shown(lines, letters, sides=sides, orgs=orgs)
        return survivor, {}
    key = f"duplicates.values.{cluster.key}.{survivor}"
    _take_edits(lines, key)
    edited = _table(lines, letters, survivor=survivor, key=key)
    by_letter = {letter: record_id for record_id, letter in letters.items()}
    chosen = zip((line["Field"] for line in lines), edited["Keep"], strict=True)
    open_fields = {line["Field"] for line in lines if line["Keep"] not in (None, SUM)}
    return survivor, {
        name: by_letter[letter]
        for name, letter in chosen
        if name in open_fields and letter in by_letter and by_letter[letter] != survivor
    }


def _lines(
    found: Comparison,
    letters: Mapping[str, str],
    kept: Mapping[str, str],
    *,
    survivor: str,
    is_across: bool,
) -> list[dict[str, Any]]:
    """Differing fields first, then equal ones that hold something, then children."""
    lines: list[dict[str, Any]] = []
    for name, values, differs in sorted(found.fields, key=lambda line: not line[2]):
        # compound fields repeat their parts
        is_whole = any(isinstance(value, dict) for value in values)
        if name in _OWN or is_whole or all(value in (None, "") for value in values):
            continue
        shown = _by_letter(letters, _called(values, found.names, is_across=is_across))
        keep = kept.get(name, survivor) if differs else None
        if keep is None and lines and lines[-1]["Keep"] is not None:
            lines.append({"Field": SAME, "Result": None, "Keep": None})
        result = shown.get(keep or survivor)
        lines.append({"Field": name, **shown, "Result": result, "Keep": keep})
    for name, numbers in found.children.items():
        if any(numbers):
            total = figures.count(sum(number or 0 for number in numbers))
            shown = _by_letter(letters, numbers)
            lines.append({"Field": name, **shown, "Result": total, "Keep": SUM})
    return lines


def _called(values: Sequence[Any], names: Mapping[str, str], *, is_across: bool) -> list[Any]:
    """Ids of lookups by name; in one org, those that share one keep what tells them apart."""
    known = {str(value): names[str(value)] for value in values if str(value) in names}
    if not is_across and len(set(known.values())) < len(known):
        known = {one: f"…{one[11:15]} · {name}" for one, name in known.items()}
    return [known.get(str(value), value) for value in values]


def _only_shown(
    lines: Sequence[Mapping[str, Any]],
    letters: Mapping[str, str],
    *,
    sides: Mapping[str, int],
    orgs: Sequence[str],
) -> None:
    """The table without a choice of values."""
    columns = ["Field", *letters.values()]
    config = {name: st.column_config.TextColumn(name, width=_VALUE_WIDTH) for name in columns}
    for one, letter in letters.items():
        told = f"{letter} · {orgs[sides[one]]}"
        config[letter] = st.column_config.TextColumn(told, width=_VALUE_WIDTH)
    data = pd.DataFrame(list(lines), columns=columns)
    differs = {line["Field"] for line in lines if line["Keep"] not in (None, SUM)}

    def tinted(line: pd.Series) -> list[str]:
        if line["Field"] == SAME:
            return [_RULE] * len(line)
        return ["", *[_DIFFERS if line["Field"] in differs else ""] * (len(line) - 1)]

    st.dataframe(
        data.style.apply(tinted, axis=1),
        column_config=config,
        hide_index=True,
        row_height=tables.ROW_HEIGHT,
        height=tables.height(len(data)),
        placeholder=figures.MISSING,
        key=f"duplicates.across.{'.'.join(letters)}",
        alt="The records of both orgs side by side",
    )


def _by_letter(letters: Mapping[str, str], values: Sequence[Any]) -> dict[str, str | None]:
    return {
        letter: None if value is None else shown_value(str(value))
        for letter, value in zip(letters.values(), values, strict=False)
    }


def shown_value(value: str) -> str:
    """A value as people read it: Yes and No, a moment to the minute in the visitor's zone."""
    if _MOMENT.fullmatch(value):
        with suppress(ValueError, OverflowError):  # of no calendar: as the org wrote it
            return f"{datetime.fromisoformat(value).astimezone(figures.zone()):%Y-%m-%d %H:%M}"
    return _YES_NO.get(value, value)


def _take_edits(lines: list[dict[str, Any]], key: str) -> None:
    """What was clicked before this run: the result shows it at once."""
    for at, changed in st.session_state.get(key, {}).get("edited_rows", {}).items():
        line = lines[int(at)] if int(at) < len(lines) else {}
        letter = changed.get("Keep")
        if letter in line and line.get("Keep") not in (None, SUM):
            line["Result"] = line[letter]


def _table(
    lines: Sequence[Mapping[str, Any]], letters: Mapping[str, str], *, survivor: str, key: str
) -> pd.DataFrame:
    data = pd.DataFrame(list(lines), columns=["Field", *letters.values(), "Result", "Keep"])
    config = {
        name: st.column_config.TextColumn(name, disabled=True, width=_VALUE_WIDTH)
        for name in data.columns
    }
    stays = letters.get(survivor, "A")
    told = f"{stays} (survivor)"
    config[stays] = st.column_config.TextColumn(told, disabled=True, width=_VALUE_WIDTH)
    config["Keep"] = st.column_config.SelectboxColumn(
        "Keep",
        options=[*letters.values(), SUM],
        width=70,
        help="Of which record the survivor takes the value, where they differ.",
    )
    edited: pd.DataFrame = st.data_editor(
        data.style.apply(_tinted, axis=1),
        column_config=config,
        hide_index=True,
        row_height=tables.ROW_HEIGHT,
        height=tables.height(len(data)),
        placeholder=figures.MISSING,
        key=key,
        alt="The records side by side, and what the survivor becomes",
    )
    return edited


def _tinted(line: pd.Series) -> list[str]:
    """Orange all values of a field in which the records differ, green what comes out."""
    if line["Field"] == SAME:
        return [_RULE] * len(line)
    # a frame holds NaN where nothing is to be chosen
    is_open = isinstance(line["Keep"], str) and line["Keep"] != SUM
    return ["", *[_DIFFERS if is_open else ""] * (len(line) - 3), _RESULT, ""]
