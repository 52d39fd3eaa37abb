"""Runs the schema file's hooks: the automation of an org, in a few words each.

    hooks:
      - {on: [insert, update], when: 'Type = "X"', set: {Name: "UPPER(Name)", Amount: "ROUND(Amount,
      0)"}}
      - {on: [insert], owner: Support_Queue}                    reassigns, to a username or a queue
      - {on: [insert, update], html: [Notes__c]}                rewrites rich text as the editor
      would
      - {on: [insert], when: "Amount > 1000000", refuse: "Ask the desk", code: CANNOT_INSERT_…,
      field: Amount}
      - {on: [insert], create: {sobject: Task, fields: {Subject: '"Welcome"', WhatId: "Id"}}}

``when`` and the values are formulas over the row as it will be. Without ``on`` a hook runs at both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from orgsim.dml import nested
from orgsim.dml.formulas import evaluate, truths
from orgsim.dml.late import LateRefusalsError
from orgsim.dml.outcomes import Refusal
from orgsim.dml.staging import ROW, Staged
from orgsim.store.columns import polars_type
from orgsim.store.rows import first_row

Hook = Mapping[str, Any]
_TRIGGER = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"


def before(staged: Staged) -> None:
    """Applies the hooks that change or refuse rows, in the file's order."""
    for hook in _hooks(staged):
        if not len(staged.frame):
            return
        if hook.get("set"):
            _set(staged, hook)
        if hook.get("owner"):
            _reassign(staged, _rows(staged, hook), str(hook["owner"]))
        for name in hook.get("html") or ():
            _rewrite_html(staged, name, hook)
        if hook.get("refuse"):
            fields = (str(hook["field"]),) if hook.get("field") else ()
            refusal = Refusal(str(hook.get("code") or _TRIGGER), str(hook["refuse"]), fields)
            staged.refusals.all(_rows(staged, hook), refusal)
            staged.drop_refused()


def _hooks(staged: Staged) -> Iterator[Hook]:
    verb = "insert" if staged.inserting else "update"
    for hook in staged.sobject.rules.get("hooks") or ():
        if verb in hook.get("on", ("insert", "update")):
            yield hook


def _rows(staged: Staged, hook: Hook) -> list[int]:
    if hook.get("when"):
        return truths(staged, {"when": str(hook["when"])}).get("when", [])
    return staged.frame[ROW].to_list()


def _set(staged: Staged, hook: Hook) -> None:
    texts = {str(name): str(text) for name, text in hook["set"].items()}
    rows = _rows(staged, hook)
    values = evaluate(staged, texts)
    staged.ensure(texts)
    chosen = pl.col(ROW).is_in(rows)
    joined = staged.frame.join(
        values.rename({name: f"@set.{name}" for name in texts}), on=ROW, how="left",
        maintain_order="left",
    )  # fmt: skip
    staged.frame = joined.with_columns(
        pl.when(chosen)
        .then(pl.col(f"@set.{name}").cast(polars_type(staged.sobject.fields[name])))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    ).drop([f"@set.{name}" for name in texts])


def _reassign(staged: Staged, rows: list[int], named: str) -> None:
    owner = owner_id(staged, named)
    staged.ensure(["OwnerId"])
    if owner is None or not staged.has("OwnerId"):
        return
    chosen = pl.col(ROW).is_in(rows)
    staged.frame = staged.frame.with_columns(
        pl.when(chosen).then(pl.lit(owner)).otherwise("OwnerId").alias("OwnerId")
    )


def owner_id(staged: Staged, named: str) -> str | None:
    """The id of a user by username or id, or of a queue by developer name."""
    row = first_row(
        staged.transaction.cursor.execute(
            'SELECT Id FROM "User" WHERE lower(Username) = lower($1) OR Id = $1 UNION ALL '
            'SELECT Id FROM "Group" WHERE DeveloperName = $1 LIMIT 1',
            [named],
        )
    )
    return None if row is None else str(row[0])


def _rewrite_html(staged: Staged, name: str, hook: Hook) -> None:
    if not staged.has(name):
        return
    rows = set(_rows(staged, hook))
    texts = staged.frame.select(ROW, name).drop_nulls(name)
    changed = {row: rewritten(text) for row, text in texts.iter_rows() if row in rows}
    if changed:
        staged.frame = staged.frame.with_columns(
            pl.coalesce(
                pl.col(ROW).replace_strict(changed, default=None, return_dtype=pl.String), name
            ).alias(name)
        )


def rewritten(html: str) -> str:
    """Rich text as the platform's editor stores it: small tags, closed breaks, a paragraph
    around."""
    small = re.sub(r"</?([A-Za-z0-9]+)", lambda found: found[0].lower(), html)
    closed = re.sub(r"<br\s*/?>", "<br>", small)
    return closed if closed.startswith("<p>") else f"<p>{closed}</p>"


def assign(staged: Staged) -> None:
    """Lets the first fitting assignment rule choose the owner, unless the caller said no."""
    wanted = staged.save.options.assignment_rule
    rules: Mapping[str, Hook] = staged.sobject.rules.get("assignment_rules") or {}
    staged.drop_refused()
    if wanted is False or not rules or not len(staged.frame):
        return
    open_rows = set(staged.frame[ROW].to_list())
    for rule in rules.values():
        fitting = _rows(staged, {"when": rule["where"]} if rule.get("where") else {})
        _reassign(staged, [row for row in fitting if row in open_rows], str(rule["owner"]))
        open_rows -= set(fitting)


def after(staged: Staged) -> None:
    """Adds the rows that hooks make; a row of theirs that is refused refuses the row that caused
    it."""
    for hook in _hooks(staged):
        made = hook.get("create")
        if not made:
            continue
        rows = _rows(staged, hook)
        texts = {str(name): str(text) for name, text in made["fields"].items()}
        values = evaluate(staged, texts).filter(pl.col(ROW).is_in(rows))
        target = staged.save.full.sobjects[made["sobject"]]
        refused = nested.insert(staged, target, values.rename({ROW: "@cause"}))
        late = [
            (
                row,
                Refusal(
                    _TRIGGER, f"execution of AfterInsert caused by: {reason.code}, {reason.message}"
                ),
            )
            for row, reason in refused
        ]
        if late:
            raise LateRefusalsError(late)
