"""The rules of one mapping around the spool: what is computed before a page is sealed, and what
after.

page as read ─▶ seal ─▶ spool ─▶ apply ─▶ target columns
                 ├─ masked columns: only their masked values reach the disk (rule 8.5)
                 ├─ the value of a key expression, since matching reads narrow columns only
                 └─ a digest of the cells, by which rows are told that are as they were
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from core.domain.plan import MaskRule, RuleBase
from core.domain.rules import CompiledMapping, Transformed, compile_mapping
from core.migration.as_read import cells, definition
from core.migration.keys import KEY_VALUE
from core.migration.spec import Step

_MASKED = "#masked."


class StepRules:
    """Compiled rules of one mapping."""

    def __init__(self, step: Step, *, salt: bytes) -> None:
        masks = {n: r for n, r in step.rules.items() if isinstance(r, MaskRule)}
        plain = {n: r for n, r in step.mapping.fields.items() if n not in masks}
        #: set at the very end (`finally`): their columns are read with the others
        self._final = self._compiled(step, step.mapping.final_fields, salt)
        self._masks = self._compiled(step, masks, salt)
        self._plain = self._compiled(step, plain, salt)
        self._masked = tuple(masks)
        self._has_value = step.mapping.key.value is not None
        lookups = {lookup.source.lower() for lookup in step.lookups}
        used = {path.lower() for path in self._plain.source_columns} | lookups | {"id"}
        used |= {path.lower() for path in (*step.mapping.key.source, *self._final.source_columns)}
        #: source columns that only masks read: they never reach the spool
        self._hidden = [p for p in self._masks.source_columns if p.lower() not in used]
        read = (*self.source_columns, *(lookup.source for lookup in step.lookups))
        self._read = frozenset(read)
        self._defined = definition(step, read=self._read, salt=salt if masks else b"")

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Paths to read of the source."""
        compiled = (self._plain, self._masks, self._final)
        return tuple(dict.fromkeys(path for one in compiled for path in one.source_columns))

    @property
    def ids_columns(self) -> tuple[str, ...]:
        """Target columns in whose text ids are to be rewritten."""
        return self._plain.ids_columns

    def seal(self, page: pl.DataFrame) -> pl.DataFrame:
        """The page as it may be stored."""
        if self._masked:
            masked = self._masks.apply(page).frame
            page = page.drop(self._hidden).with_columns(
                masked.get_column(name).alias(_MASKED + name) for name in self._masked
            )
        if self._has_value and self._plain.key_value is not None:
            values, _ = self._plain.key_value.fill(page)
            page = page.with_columns(values.alias(KEY_VALUE))
        if self.ids_columns:  # such texts depend on what other mappings have moved
            return page
        return page.with_columns(cells(page, self._defined, read=self._read))

    def apply(self, page: pl.DataFrame) -> Transformed:
        """Target columns of a stored page, and the rows in which a rule failed."""
        made = self._plain.apply(page)
        if not self._masked:
            return made
        masked = [page.get_column(_MASKED + name).alias(name) for name in self._masked]
        return Transformed(made.frame.hstack(masked), made.failures)

    def _compiled(self, step: Step, fields: Mapping[str, RuleBase], salt: bytes) -> CompiledMapping:
        mapping = step.mapping.model_copy(update={"fields": fields, "lookups": {}})
        return compile_mapping(mapping, step.source, step.target, salt=salt)
