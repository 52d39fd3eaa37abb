"""Rows that the target has already because the platform makes them: found, never made twice (3.8).

The object book says which: the one standard price book, statuses of a new campaign, the direct
relation of a contact. A source row that neither ledger nor key finds is looked for by its natural
key, lookups translated; one record on each side is a match, more are left alone. The book also says
which rows must load before the others of their object (standard prices).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from core.domain.describe import Field, SObject
from core.domain.matching import canonical_key, key_expr
from core.domain.object_book import Condition, object_book
from core.domain.soql import quoted
from core.migration.idmap import IdCodes
from core.migration.lookups import Translator
from core.migration.spec import ID, Step
from core.salesforce.client import OrgClient

if TYPE_CHECKING:
    from core.migration.context import RunContext
    from core.migration.match import Matches


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows of one object that the platform makes, and how one is recognised."""

    key: tuple[str, ...]
    where: Condition | None


def row_paths(target: SObject, source: SObject) -> tuple[str, ...]:
    """Source paths that the object book's rows are told by."""
    entry = object_book().entry(target.name)
    wanted = [path for group in _groups(target) for path in group.key]
    wanted += [group.where.field for group in _groups(target) if group.where is not None]
    found = [source.fields[path].name for path in wanted if path in source.fields]
    if entry.first_rows is not None and _is_readable(entry.first_rows.field, source):
        found.append(entry.first_rows.field)
    return tuple(dict.fromkeys(found))


def later_rows(step: Step, narrow: pl.DataFrame) -> npt.NDArray[np.int16]:
    """Per row 1 if it loads after the object's first rows, else 0."""
    first = object_book().entry(step.target.name).first_rows
    if first is None or first.field not in narrow.columns:
        return np.zeros(narrow.height, dtype=np.int16)
    is_first = narrow.get_column(first.field).str.to_lowercase() == first.value
    return (~is_first.fill_null(value=False)).to_numpy().astype(np.int16)


def adopt(
    step: Step,
    matches: Matches,
    narrow: pl.DataFrame,
    *,
    target: OrgClient,
    ids: IdCodes,
    translator: Translator,
) -> None:
    """Matches rows that are still fresh with records that the platform made.

    Cost: one query of Id and key of the object per group that has fresh rows.
    """
    from core.migration.match import Match

    if step.operation.is_delete:
        return
    for group in _groups(step.target):
        columns = _source_columns(step, narrow, group, translator)
        fresh = (matches.states == Match.FRESH) & _is_in(narrow, step.source, group.where)
        if columns is None or not fresh.any():
            continue
        fields = [step.target.fields[name] for name in group.key]
        ours = columns.select(key=key_expr(fields, list(group.key)))["key"]
        codes = _found(step, group, ours.filter(pl.Series(fresh)), target=target, ids=ids)
        taken = np.isin(codes, matches.targets[matches.states != Match.FRESH])
        hits = np.flatnonzero(fresh)[(codes >= 0) & ~taken]
        matches.states[hits] = Match.ADOPTED
        matches.targets[hits] = codes[(codes >= 0) & ~taken]


def link_adopted(run: RunContext, step: Step, matches: Matches) -> None:
    """Writes adopted rows into the ledger as such, before anything is sent: whatever is written to
    them later, they stay rows that undo never deletes. Links that led to a record merged away lead
    to the one that won from now on."""
    from core.migration.match import Match

    known = run.maps[step.name].look_up(matches.sources)
    followed = (matches.states == Match.LINKED) & (known != matches.targets)
    run.maps[step.name].add(matches.sources[followed], matches.targets[followed])
    if not run.writes:
        return
    for rows, origin in ((matches.states == Match.ADOPTED, "adopted"), (followed, "matched")):
        if not rows.any():
            continue
        links = pl.DataFrame(
            {
                "source_id": run.ids.decode(matches.sources[rows]),
                "target_id": run.ids.decode(matches.targets[rows]),
            }
        ).with_columns(origin=pl.lit(origin), sent_hash=pl.lit(None, pl.Int64))
        with run.store.commit() as commit:
            commit.links(run.link_sets[step.name], links)
            if origin == "matched":  # a record that won was never ours: it may be changed already
                commit.never_ours(run.link_sets[step.name], links["source_id"].to_list())


def _groups(target: SObject) -> Iterator[_Group]:
    entry = object_book().entry(target.name)
    for existing in entry.existing_rows:
        yield _Group(existing.key, existing.where)
    for made in entry.made_rows:
        if all(name in target.fields for name in made.key):
            yield _Group(made.key, made.where)


def _source_columns(
    step: Step, narrow: pl.DataFrame, group: _Group, translator: Translator
) -> pl.DataFrame | None:
    """The key of each source row under the target's names, lookups as target ids."""
    lookups = {lookup.field.name.lower(): lookup for lookup in step.lookups}
    columns = []
    for name in group.key:
        if name not in step.source.fields or name not in step.target.fields:
            return None
        source = step.source.fields[name].name
        if source not in narrow.columns:
            return None
        values = narrow.get_column(source)
        lookup = lookups.get(name.lower())
        if lookup is not None:
            values = translator.translate(step, lookup, values).ids
        elif step.target.fields[name].is_reference:
            return None
        columns.append(values.alias(name))
    return pl.DataFrame(columns)


def _is_in(narrow: pl.DataFrame, source: SObject, where: Condition | None) -> npt.NDArray[np.bool_]:
    if where is None:
        return np.ones(narrow.height, dtype=np.bool_)
    if where.field not in source.fields or source.fields[where.field].name not in narrow.columns:
        return np.zeros(narrow.height, dtype=np.bool_)
    field = source.fields[where.field]
    said = narrow.select(v=canonical_key(field, pl.col(field.name)).str.to_lowercase())["v"]
    return (said == where.value.lower()).fill_null(value=False).to_numpy()


def _found(
    step: Step, group: _Group, keys: pl.Series, *, target: OrgClient, ids: IdCodes
) -> npt.NDArray[np.int64]:
    """Code of the one record with each key; -1 where there is none, or either side has several."""
    fields = [step.target.fields[name] for name in group.key]
    names = [field.name for field in fields]
    soql = f"SELECT {', '.join(dict.fromkeys([ID, *names]))} FROM {step.target.name}"
    if group.where is not None and group.where.field in step.target.fields:
        soql += f" WHERE {_condition(step.target.fields[group.where.field], group.where.value)}"
    frames = [frame.select(ID, key=key_expr(fields, names)) for frame in target.query_frames(soql)]
    empty = pl.DataFrame(schema={ID: pl.String, "key": pl.String})
    held = (
        pl.concat([empty, *frames])
        .drop_nulls("key")
        .group_by("key")
        .agg(pl.col(ID).first(), n=pl.len())
        .filter(pl.col("n") == 1)
    )
    asked = keys.alias("key").to_frame().with_columns(again=pl.col("key").is_duplicated())
    joined = asked.join(held, on="key", how="left", maintain_order="left")
    single = joined.select(v=pl.when(~pl.col("again")).then(pl.col(ID)))["v"]
    return ids.encode(single)


def _condition(field: Field, value: str) -> str:
    return f"{field.name} = {value if field.type == 'boolean' else quoted(value)}"


def _is_readable(path: str, source: SObject) -> bool:
    head, _, rest = path.partition(".")
    return head.lower() in source.by_relationship if rest else path in source.fields
