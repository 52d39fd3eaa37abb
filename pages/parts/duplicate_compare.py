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


def side_by_side(cluster: Cluster, found: Comparison) -> tuple[str, dict[str, str]]:
    """Draws the choice and the table; the survivor's id, and field → id whose value it takes."""
    letters = dict(zip(found.record_ids, LETTERS, strict=False))
    decided = cluster.decision
    survivor = str(
        st.segmented_control(
            "Survivor",
            list(letters),
            default=(decided and decided.survivor_id) or found.record_ids[0],
            required=True,
            format_func=lambda one: f"{letters[one]} · …{one[9:15]}",
            help="The record that stays; a later run redirects the others' children to it.",
            key=f"duplicates.survivor.{cluster.key}",
        )
    )
    kept = {
        name: letters.get(one, "A") for name, one in (decided.values if decided else {}).items()
    }
    lines = _lines(found, letters, kept, survivor=letters.get(survivor, "A"))
    if not lines:
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
    found: Comparison, letters: Mapping[str, str], kept: Mapping[str, str], *, survivor: str
) -> list[dict[str, Any]]:
    """Differing fields first, then equal ones that hold something, then children."""
    lines: list[dict[str, Any]] = []
    for name, values, differs in sorted(found.fields, key=lambda line: not line[2]):
        # compound fields repeat their parts
        is_whole = any(isinstance(value, dict) for value in values)
        if name in _OWN or is_whole or all(value in (None, "") for value in values):
            continue
        shown = _by_letter(letters, values)
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
