"""The proof as one table for a spreadsheet: a row per figure, so that it can be filtered and
summed."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from core.domain.csv import people_csv
from core.domain.normalise import Difference
from core.reports.proof import SEVEN, ObjectProof, Proof

COLUMNS = ("Section", "Object", "Target", "Field", "What", "Expected", "Found", "Verdict")
Row = tuple[str, str, str, str, str, str, str, str]


def proof_csv(proof: Proof) -> bytes:
    """UTF-8 with byte order mark, one header, cells that would run in a spreadsheet defused."""
    schema = dict.fromkeys(COLUMNS, pl.String)
    return people_csv(pl.DataFrame(list(_rows(proof)), schema=schema, orient="row"))


def _rows(proof: Proof) -> Iterable[Row]:
    if proof.heading:
        yield ("run", "", "", "", proof.heading, "", "", "note")
    for name in ("run", "plan", "mode", "status", "source", "target", "requested_by"):
        yield ("run", "", "", "", name.replace("_", " "), "", str(getattr(proof, name)), "")
    for check in proof.checks:
        yield ("check", "", "", "", check.title, "", check.sentence, check.verdict.value)
    for one in proof.objects:
        yield from _object(one)
    for count in proof.counts:
        verdict = "proven" if count.beyond == 0 else "note" if count.beyond > 0 else "broken"
        expected, found = str(count.expected), str(count.after)
        yield ("rows in the target", "", count.target, "", "rows", expected, found, verdict)


def _object(one: ObjectProof) -> Iterable[Row]:
    adds_up = "proven" if one.adds_up else "broken"
    total = str(sum(one.totals.values()))
    yield ("totals", one.name, one.target, "", "read", str(one.read), total, adds_up)
    for name in SEVEN:
        what = name.replace("_", " ")
        yield ("totals", one.name, one.target, "", what, "", str(one.totals[name]), "")
    for promise in one.promises:
        verdict = "proven" if promise.promised == promise.happened else "note"
        counts = (str(promise.promised), str(promise.happened))
        yield ("foreseen", one.name, one.target, "", promise.bucket, *counts, verdict)
    if not one.is_compared:
        return
    gone = "broken" if one.missing else "proven"
    there = str(one.rows - one.missing)
    yield ("rows as sent", one.name, one.target, "", "rows", str(one.rows), there, gone)
    yield from _fields(one)


def _fields(one: ObjectProof) -> Iterable[Row]:
    for field in one.fields:
        place = (one.name, one.target, field.name)
        good = str(field.compared - sum(field.differences.values()))
        verdict = "broken" if field.lost else "note" if field.differences else "proven"
        yield ("values as sent", *place, "equal", str(field.compared), good, verdict)
        for kind, rows in field.differences.items():
            verdict = "broken" if kind == Difference.LOST.value else "note"
            yield ("values as sent", *place, kind, "", str(rows), verdict)
        if field.sum_sent is not None:
            verdict = "proven" if field.sums_agree else "broken" if field.lost else "note"
            sums = (f"{field.sum_sent:f}", f"{field.sum_found:f}")
            yield ("sums", *place, "sum", *sums, verdict)
        if field.is_lookup:
            yield ("lookups", *place, "resolved", "", str(field.resolved), "")
            yield ("lookups", *place, "left blank", "0", str(field.left_blank), "")
            yield ("lookups", *place, "held back", "0", str(field.held_back), "")
