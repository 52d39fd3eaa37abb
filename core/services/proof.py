"""The proof of a run for the front doors: on a page, as a file to print, as a table, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import polars as pl

from core.access import roles
from core.db import brought_later, run_reads, runs
from core.domain.csv import people_csv
from core.domain.normalise import Difference
from core.domain.roles import Actor, Role
from core.errors import NotFoundError
from core.reports.proof import Check, FieldProof, ObjectProof, Proof, Verdict
from core.reports.proof_csv import proof_csv
from core.reports.proof_figures import proof_of
from core.reports.proof_html import proof_html
from core.reports.samples import Sample

if TYPE_CHECKING:
    from core.bootstrap import Orgbridge

__all__ = ["Check", "Difference", "FieldProof", "ObjectProof", "Proof", "Sample", "Verdict"]

#: lost values that the report names; the CSV of the differences holds all
SAMPLES_MAX = 50
_COLUMNS = ("Object", "Field", "Source id", "Target id", "Sent", "Found", "Difference")


@dataclass(frozen=True, slots=True)
class DifferenceFilter:
    """Which differences are wanted; empty means all."""

    mapping: str = ""
    field: str = ""
    #: `Difference` values
    kinds: tuple[str, ...] = ()


def shown(bridge: Orgbridge, actor: Actor, name: str) -> Proof:
    """The proof of a run as it stands; five indexed reads.

    Raises:
        NotFoundError: the workspace has no such run.
    """
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        row = runs.run_named(session, name)
        steps = run_reads.steps(session, row.id)
        return proof_of(
            row,
            steps,
            run_reads.unresolved_lookups(session, row.id),
            resolved=brought_later.rows_resolved(session, row.id),
            unfilled=run_reads.unfilled(session, row.id),
        )


def html(bridge: Orgbridge, actor: Actor, name: str) -> bytes:
    """The report as one file to open or print; no request leaves it."""
    proof = shown(bridge, actor, name)
    samples: Sequence[Sample] = ()
    if any(one.lost for one in proof.objects):
        lost = DifferenceFilter(kinds=(Difference.LOST.value,))
        try:
            samples = differences(bridge, actor, name, lost, limit=SAMPLES_MAX)
        except NotFoundError:
            samples = ()  # the pages' retention is over; the figures stand without them
    return proof_html(proof, samples, made_at=bridge.clock())


def csv(bridge: Orgbridge, actor: Actor, name: str) -> bytes:
    """The report's figures as a table."""
    return proof_csv(shown(bridge, actor, name))


def differences(
    bridge: Orgbridge,
    actor: Actor,
    name: str,
    wanted: DifferenceFilter,
    *,
    offset: int = 0,
    limit: int = 200,
) -> tuple[Sample, ...]:
    """Values that read back otherwise than sent, in the order in which they were compared.

    Cost: opens the run's stored pages of differences until `limit` is reached.

    Raises:
        NotFoundError: no such run, or its stored pages were deleted.
    """
    found: Iterator[Sample] = (
        Sample(mapping, *row)
        for mapping, page in _pages(bridge, actor, name, wanted)
        for row in page.select(
            "field", "#source", "target_id", "sent", "found", "difference"
        ).iter_rows()
    )
    return tuple(islice(found, offset, offset + limit))


def differences_csv(
    bridge: Orgbridge, actor: Actor, name: str, wanted: DifferenceFilter
) -> Iterable[bytes]:
    """Every such value as CSV, page by page."""
    pages = _pages(bridge, actor, name, wanted)
    yield people_csv(pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String)))
    header = people_csv(pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String)), bom=False)
    for mapping, page in pages:
        named = page.select(
            pl.lit(mapping).alias("Object"),
            *(
                pl.col(column).alias(label)
                for column, label in zip(
                    ("field", "#source", "target_id", "sent", "found", "difference"),
                    _COLUMNS[1:],
                    strict=True,
                )
            ),
        )
        yield people_csv(named, bom=False)[len(header) :]


def _pages(
    bridge: Orgbridge, actor: Actor, name: str, wanted: DifferenceFilter
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Stored pages of differences that hold something wanted, with their mapping."""
    roles.require(actor, Role.VIEWER)
    with bridge.session(actor.workspace_id) as session:
        row = runs.run_named(session, name)
        spool = bridge.spool.run(row.id, runs.wrapped_key(session, row.id))
    keep = pl.lit(value=True)
    if wanted.field:
        keep &= pl.col("field") == wanted.field
    if wanted.kinds:
        keep &= pl.col("difference").is_in(list(wanted.kinds))
    for mapping in row.summary.get("proof", {}):
        if wanted.mapping in ("", mapping):
            for page in spool.pages(f"diff/{mapping}"):
                kept = page.filter(keep)
                if kept.height:
                    yield mapping, kept
