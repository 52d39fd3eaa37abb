"""The rules tried on real rows: what they make of them, and which values the target would refuse.

Cost: one query per mapping, of at most `scan_rows` rows; more rows are not looked at, and every
figure says so (rule 8.6).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from core.domain.findings import SAMPLE_IDS_MAX, Finding, Fix, Severity
from core.domain.hidden_ids import ids_in_text
from core.domain.plan import CopyRule, Operation, Rows
from core.domain.rules import FAILURE_SCHEMA
from core.errors import OrgbridgeError, UserError
from core.migration.extract import read_columns, select
from core.migration.foreseen import refusals
from core.migration.preflight.inputs import PreflightInput, at_once, unknown
from core.migration.resolve import Resolved
from core.migration.spec import ID, Step
from core.migration.transform import StepRules

#: an org shows encrypted text like this to a user who may not see it
_MASKED = r"^\*{2,}$"
#: types that people write into freely
_FREE_TEXT = frozenset({"string", "textarea", "url"})
#: counted exactly, value by value, by another check
_COUNTED_ELSEWHERE = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"


def sample_findings(
    given: PreflightInput, resolved: Resolved, rows: Mapping[str, int]
) -> list[Finding]:
    """What the rules and the target's fields say of real rows.

    Args:
        rows: rows in scope by mapping.
    """
    return at_once(
        partial(_sampled, given, step, rows[step.name])
        for step in resolved.steps
        if rows.get(step.name)
        and not step.operation.is_delete
        and step.operation is not Operation.PRESERVE
    )


def _sampled(given: PreflightInput, step: Step, total: int) -> Iterator[Finding]:
    looked = _Looked(step)
    try:
        rules = StepRules(step, salt=b"preflight")
        soql = f"{select(step, read_columns(step, rules.source_columns))}"
        every = step.mapping.rows is not Rows.LIVE
        limited = f"{soql} LIMIT {given.scan_rows}"
        for page in given.source.query_frames(limited, all_rows=every):
            looked.add(page, rules)
    except UserError:  # a rule that does not hold: core.migration.preflight.names tells
        return
    except OrgbridgeError as error:
        yield unknown("values", f"Values of {step.source.name}", error, mapping=step.name)
        return
    yield from looked.findings(total=total)


@dataclass(slots=True)
class _Looked:
    """What was seen of one mapping."""

    step: Step
    rows: int = 0
    #: (field, code) → rows, some ids, the first message
    refused: dict[tuple[str, str], tuple[int, list[str], str]] = field(default_factory=dict)
    masked: dict[str, int] = field(default_factory=dict)
    #: target field → rows whose text holds an id of a record, proved by its checksum
    hidden: dict[str, int] = field(default_factory=dict)

    def add(self, page: pl.DataFrame, rules: StepRules) -> None:
        """Looks at one page."""
        self.rows += page.height
        for entry in self.step.source.fields.values():
            if entry.type == "encryptedstring" and entry.name in page.columns:
                stars = page.get_column(entry.name).str.contains(_MASKED).sum()
                self.masked[entry.name] = self.masked.get(entry.name, 0) + int(stars or 0)
        for name, path in self._copied_texts():
            found = ids_in_text(page.get_column(path)).filter("is_sure")
            self.hidden[name] = self.hidden.get(name, 0) + found.get_column("row").n_unique()
        made = rules.apply(rules.seal(page))
        inserting = self.step.operation is not Operation.UPDATE
        refused = refusals(self.step, made.frame, inserting=inserting)
        counted = refused.filter(pl.col("code") != _COUNTED_ELSEWHERE)
        failures = pl.concat([made.failures.select(*FAILURE_SCHEMA), counted])
        ids = page.get_column(ID)
        for (name, code), group in failures.group_by("field", "code", maintain_order=True):
            n, sample, message = self.refused.get((str(name), str(code)), (0, [], ""))
            room = SAMPLE_IDS_MAX - len(sample)
            sample += ids.gather(group.get_column("row").head(room)).to_list()
            first = message or str(group.get_column("message")[0])
            self.refused[str(name), str(code)] = (n + group.height, sample, first)

    def _copied_texts(self) -> Iterator[tuple[str, str]]:
        """Target field and source path of texts that are copied as they are (rule 5.2)."""
        for name, rule in self.step.rules.items():
            path = getattr(rule, "source", "")
            field_ = self.step.source.fields.get(path)
            is_text = field_ is not None and field_.type in _FREE_TEXT
            if isinstance(rule, CopyRule) and is_text and name != self.step.stamped_key:
                yield name, path

    def findings(self, *, total: int) -> Iterator[Finding]:
        """One finding per field and reason; one that says how far the looking went."""
        sampled = self.rows < total
        what = f"the {self.rows:,} rows looked at" if sampled else f"{total:,} rows"
        for (name, code), (n, ids, message) in self.refused.items():
            yield Finding(
                Severity.WARNING,
                "value_refused",
                f"{n:,} of {what} will be refused by {self.step.target.name}.{name} ({code}): "
                f"{message}",
                mapping=self.step.name,
                field=name,
                rows=n,
                sample_ids=tuple(ids),
                is_sampled=sampled,
                fix=Fix.FIELD,
            )
        for name, n in self.masked.items():
            if n:
                yield Finding(
                    Severity.BLOCKER,
                    "masked_values",
                    f"{self.step.source.name}.{name} comes as asterisks in {n:,} of {what}: the "
                    "source's user may not see it (View Encrypted Data), and asterisks would be "
                    "written.",
                    mapping=self.step.name,
                    rows=n,
                    is_sampled=sampled,
                    fix=Fix.ORG,
                )
        for name, n in self.hidden.items():
            if n:
                yield Finding(
                    Severity.NOTE,
                    "hidden_ids",
                    f"{n:,} of {what} hold ids of records in the text of {name}: they go on "
                    "naming records of the source unless the rule `ids: rewrite` is chosen.",
                    mapping=self.step.name,
                    field=name,
                    rows=n,
                    is_sampled=sampled,
                    fix=Fix.FIELD,
                )
        yield Finding(
            Severity.NOTE if sampled else Severity.PASSED,
            "values_looked_at",
            f"Values of {self.step.source.name} were looked at in {self.rows:,} of {total:,} rows."
            + (" The rest is decided by the org." if sampled else ""),
            mapping=self.step.name,
            rows=self.rows,
            is_sampled=sampled,
        )
