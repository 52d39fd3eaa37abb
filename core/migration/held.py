"""What the target holds already: key, stamp and id of its rows, read and held as narrowly as the
question allows.

    linked rows, no key ─▶ by id (few) or the whole object
    keyed rows           ─▶ by the values of the key (few source rows) or the whole object
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import polars as pl

from core.domain.describe import SObject
from core.domain.soql import in_list
from core.migration.columns import joined, seconds
from core.migration.idmap import NONE, Codes, IdCodes
from core.migration.keys import KEY_VALUE, key_columns
from core.migration.spec import ID, MODSTAMP, Step
from core.salesforce.client import OrgClient

#: links up to which targets are probed by id, not by reading the whole object
PROBE_BY_ID = 4_000
#: ids of one retrieve call
RETRIEVE_IDS = 2_000
#: source rows up to which the target is asked for the values of their keys
KEYS_BY_VALUE = 1_000
#: values of one IN list: 255 characters each stay below the 100,000 characters of a query
VALUES_IN_QUERY = 200
#: types whose values an org compares as the engine does
_PLAIN_TEXT = frozenset({"string", "email", "phone", "url"})

_SCHEMA = {"code": pl.Int64, "stamp": pl.UInt32}
_KEYED_SCHEMA = {**_SCHEMA, "key": pl.UInt64, "blank": pl.Boolean}


def held_rows(
    step: Step,
    narrow: pl.DataFrame,
    linked: Codes,
    *,
    target: OrgClient,
    ids: IdCodes,
    keyed: bool,
) -> pl.DataFrame:
    """Rows of the target as ``code`` (Int64), ``stamp`` (`core.migration.columns.seconds`), and
    where keyed ``key`` (UInt64) and ``blank``; each once. Memory: 12 or 20 bytes a row.

    Args:
        narrow: the source rows with their key columns.
        linked: per source row the code of the target row that the ledger names, or -1.
        keyed: some source row is to be found by its key.
    """
    parts = [pl.DataFrame(schema=_KEYED_SCHEMA if keyed else _SCHEMA)]
    stamp = [MODSTAMP] if MODSTAMP in step.target.fields else []
    known = np.count_nonzero(linked != NONE)
    if not keyed and known <= PROBE_BY_ID:
        wanted = ids.decode(linked[linked != NONE])
        rows = by_id(step.target, wanted, org=target, columns=[ID, *stamp])
        return joined([*parts, *(_plain(frame, ids) for frame in rows)])
    paths = list(step.mapping.key.target) if keyed else []
    columns = list(dict.fromkeys([ID, *stamp, *paths]))
    soql = f"SELECT {', '.join(columns)} FROM {step.target.name}"
    by_value = _by_value(step, narrow) if keyed and known <= PROBE_BY_ID else None
    if by_value is None:
        where = _filled(step.target, paths) if not known else ""
        frames = target.query_frames(soql + where)
        shaped = partial(_keyed, step) if keyed else _plain
        return joined([*parts, *(shaped(frame, ids) for frame in frames)])
    for where in by_value:
        frames = target.query_frames(soql + where)
        parts += [_keyed(step, frame, ids) for frame in frames]
    no_key = {"key": pl.lit(0, pl.UInt64), "blank": pl.lit(value=True)}
    wanted = ids.decode(linked[linked != NONE])
    probed = by_id(step.target, wanted, org=target, columns=[ID, *stamp])
    parts += [_plain(frame, ids).with_columns(**no_key) for frame in probed]
    return pl.concat(parts).unique(subset="code", keep="first", maintain_order=True)


def _keyed(step: Step, frame: pl.DataFrame, ids: IdCodes) -> pl.DataFrame:
    return _plain(frame, ids).hstack(frame.select(key_columns(step, side="target")))


def _plain(frame: pl.DataFrame, ids: IdCodes) -> pl.DataFrame:
    """Id and stamp; no key."""
    has_stamp = MODSTAMP in frame.columns
    stamp = seconds(pl.col(MODSTAMP)) if has_stamp else pl.lit(None, pl.UInt32)
    codes = pl.Series("code", ids.encode(frame.get_column(ID)))
    return frame.select(codes, stamp.alias("stamp"))


def _filled(sobject: SObject, paths: Sequence[str]) -> str:
    """Rows without the one key field match nothing."""
    known = len(paths) == 1 and paths[0] in sobject.fields
    return f" WHERE {paths[0]} != null" if known and sobject.fields[paths[0]].filterable else ""


def _by_value(step: Step, narrow: pl.DataFrame) -> list[str] | None:
    """Conditions that ask for the keys of these few source rows; None reads the whole object."""
    if narrow.height > KEYS_BY_VALUE:
        return None
    key = step.mapping.key
    sources = (KEY_VALUE,) if key.value is not None else key.source
    for source, path in zip(sources, key.target, strict=True):
        field = step.target.fields[path] if path in step.target.fields else None
        if field is None or field.type not in _PLAIN_TEXT or not field.filterable:
            continue
        values = narrow.get_column(source).str.strip_chars().unique().sort()
        if values.null_count() and len(key.target) > 1:
            continue  # blank equals blank inside a composite: such rows are asked for by no value
        wanted = values.drop_nulls().to_list()
        return [
            f" WHERE {path} IN {in_list(wanted[start : start + VALUES_IN_QUERY])}"
            for start in range(0, len(wanted), VALUES_IN_QUERY)
        ]
    return None


def by_id(
    sobject: SObject, wanted: pl.Series, *, org: OrgClient, columns: list[str]
) -> Iterator[pl.DataFrame]:
    """These columns (String) of the records with these ids that are there; one call for
    `RETRIEVE_IDS` of them."""
    unique = wanted.unique().to_list()
    for start in range(0, len(unique), RETRIEVE_IDS):
        got = org.retrieve(sobject.name, unique[start : start + RETRIEVE_IDS], columns)
        rows = [[row.get(name) for name in columns] for row in got.values()]
        if rows:
            yield pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def winners(
    sobject: SObject, lost: Sequence[str], *, target: OrgClient
) -> Iterator[tuple[str, str]]:
    """(id that was merged away, id of the record that won) of those among these ids (rule 2.4)."""
    if "MasterRecordId" not in sobject.fields:
        return
    for start in range(0, len(lost), VALUES_IN_QUERY):
        listed = in_list(lost[start : start + VALUES_IN_QUERY])
        soql = (
            f"SELECT Id, MasterRecordId FROM {sobject.name}"
            f" WHERE Id IN {listed} AND MasterRecordId != null"
        )
        for row in target.query(soql, all_rows=True):
            yield row["Id"], row["MasterRecordId"]
