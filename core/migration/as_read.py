"""Rows that are as they were when they were last sent, told by a digest of what was read: no rule
is applied to them again.

    page as read ─▶ `cells` (on the spool) ─┐
    lookups, translated as they are now ────┴─▶ `digests`; equal to the link's ─▶ nothing to do

A digest holds for all cells of a row, the targets of its lookups, and `definition`: the mapping,
what both orgs say of its fields, and the code that makes values of them. Whatever is not surely the
same (a lookup that leads nowhere, one that waits, a link without a digest) is worked out anew, so
that a digest saves work and never decides what is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

from core.domain.describe import Field, SObject
from core.domain.hashing import HASH_VERSION
from core.domain.plan import Operation
from core.migration.lookups import MASTER_RECORD_TYPE, Translator
from core.migration.match import Match, Matches
from core.migration.spec import ID, MODSTAMP, Lookup, Step

#: column of a spooled page: digest of the cells of its rows
CELLS = "#cells"
#: operations that leave a row alone that is as it was sent
_COMPARING = frozenset({Operation.UPSERT, Operation.UPDATE})
#: settings of a mapping that change no value
_NO_VALUE = {"load", "tests", "where", "scope", "rows", "after", "final_fields"}
_CODE = Path(__file__).resolve().parents[1]
#: what values are made by
_CODE_OF_VALUES = ("domain/**/*", "migration/*.py")
_SEED_BYTES = 8


def definition(step: Step, *, read: Iterable[str], salt: bytes) -> str:
    """What the values of a mapping's rows depend on besides the rows and their lookups' targets.

    Args:
        read: paths of the source that rules read.
        salt: of the masks.
    """
    mapping = step.mapping.model_dump_json(exclude=_NO_VALUE)
    lookups = [(k.field.name, k.source, k.policy, k.parents, k.deferred) for k in step.lookups]
    kinds = (step.source.record_types, step.target.record_types)
    fields = (_fields(step.source, read), _fields(step.target, step.columns))
    said = (HASH_VERSION, pl.__version__, code_mark(), mapping, lookups, kinds, fields, salt)
    return hashlib.sha256(repr(said).encode()).hexdigest()


@cache
def code_mark() -> str:
    """Tells the code by which values are made from any other version of it."""
    mark = hashlib.sha256()
    for pattern in _CODE_OF_VALUES:
        for path in sorted(_CODE.glob(pattern)):
            if path.is_file() and path.suffix != ".pyc":
                mark.update(path.read_bytes())
    return mark.hexdigest()


def cells(page: pl.DataFrame, defined: str, *, read: Collection[str]) -> pl.Series:
    """Digest of the cells of every row, Int64, named `CELLS`.

    Args:
        defined: `definition`.
        read: columns of the page that rules read; when a row was last written is none by itself.
    """
    named = {name.lower() for name in read}
    names = [name for name in page.columns if name != MODSTAMP or name.lower() in named]
    return _sum(page, names, defined).alias(CELLS)


def digests(
    read: pl.Series, sent: pl.Series, step: Step, targets: Mapping[str, pl.Series]
) -> pl.Series:
    """What is kept of rows (Int64): the digest of their cells and their lookups' targets, bound to
    the hash of what was sent, so that it ends with it whoever wrote that.

    Args:
        read: `cells`.
        sent: hashes of the rows as sent.
        targets: ids by target field.
    """
    if not step.lookups:
        return read + sent
    names = [lookup.field.name for lookup in step.lookups]
    ids = pl.DataFrame([targets[name].alias(name) for name in names])
    return read + sent + _sum(ids, names, "lookup ")


def quiet(
    step: Step, page: pl.DataFrame, matches: Matches, *, translator: Translator
) -> npt.NDArray[np.bool_]:
    """Rows of which nothing needs to be worked out: they are linked to a record that is there, and
    read as they were when their values were last sent to it.

    Args:
        page: `quiet_columns` of the rows.
    """
    same: npt.NDArray[np.bool_] = (matches.states == Match.LINKED) & matches.hashed
    same &= matches.reads != 0
    if step.operation not in _COMPARING or translator.coming or not same.any():
        return np.zeros_like(same)
    targets: dict[str, pl.Series] = {}
    for lookup in step.lookups:
        values = lookup_values(lookup, page)
        found = translator.translate(step, lookup, values, looks=False)
        same &= ~(found.unresolved | found.ambiguous)
        if lookup.deferred:  # the second pass looks whether its parent was made anew
            same &= found.ids.is_null().to_numpy()
        targets[lookup.field.name] = found.ids
    now = digests(page.get_column(CELLS), pl.Series(matches.hashes), step, targets)
    same &= now.to_numpy() == matches.reads
    return same


def quiet_columns(step: Step) -> list[str]:
    """Columns of a spooled page that `quiet` asks for."""
    return list(dict.fromkeys([ID, CELLS, *(lookup.source for lookup in step.lookups)]))


def lookup_values(lookup: Lookup, page: pl.DataFrame) -> pl.Series:
    """The source's ids of a lookup; "no record type" counts as blank."""
    values = page.get_column(lookup.source)
    return values.replace({MASTER_RECORD_TYPE: None}) if lookup.is_record_type else values


def _fields(sobject: SObject, names: Iterable[str]) -> list[Field]:
    return [sobject.fields[name] for name in sorted(names) if name in sobject.fields]


def _sum(frame: pl.DataFrame, names: Iterable[str], defined: str) -> pl.Series:
    """Hashes of cells, each seeded by its column's name, added up; blank cells add nothing."""
    hashed = [plh.col(name).nchash.xxh3_64(seed=_seed(defined + name)) for name in names]
    total = frame.select(pl.sum_horizontal(hashed).alias(CELLS)).to_series()
    return total.reinterpret(signed=True)


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:_SEED_BYTES], "big")
