"""The proof as one HTML file: opens without a network, prints on paper, runs nothing.

Every value of the run goes through `html.escape`; the file's own policy forbids scripts, images and
requests, so that a record's name cannot become more than text wherever the file is opened.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from core.reports.proof import HARMLESS, SEVEN, FieldProof, ObjectProof, Proof, Verdict
from core.reports.samples import Sample

_WORDS = {
    Verdict.PROVEN: ("Proven", "ok"),
    Verdict.NOTE: ("Proven, with notes", "note"),
    Verdict.BROKEN: ("Not proven", "bad"),
    Verdict.OPEN: ("Not compared", "open"),
}
_CHECK_WORDS = {
    Verdict.PROVEN: "Holds",
    Verdict.NOTE: "Holds, see note",
    Verdict.BROKEN: "Does not hold",
    Verdict.OPEN: "Not looked at",
}
#: how the classes of rule 6.2 read
CLASS_WORDS = {
    "normalised": "normalised",
    "derived": "derived",
    "automation": "by automation",
    "user": "by a user since",
    "source_changed": "source changed",
    "lost": "lost",
}
_STYLE = """
:root{color-scheme:light}
body{font:14px/1.45 Inter,system-ui,sans-serif;color:#0d1522;background:#fff;max-width:1080px;
margin:2rem auto;padding:0 1.5rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1.6rem 0 .4rem}p{margin:.3rem 0}.quiet{color:#56657a}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;color:#56657a;padding:.2rem 0}
th,td{border-bottom:1px solid #d6dce5;padding:.3rem .5rem;text-align:left;vertical-align:top}
th{background:#f4f6f9;font-weight:600}td.n,th.n{text-align:right}
code{font:12.5px/1.4 "JetBrains Mono",ui-monospace,monospace;overflow-wrap:anywhere}
.mark{border-radius:.3rem;padding:.1rem .5rem;font-weight:600;white-space:nowrap}
.ok{background:#e3f3ec;color:#0b5c42}.note{background:#fdeedd;color:#7a3606}
.bad{background:#fbe4e2;color:#8f1f1a}.open{background:#eceff4;color:#3c4a5e}
.seen{border-left:4px solid #c2570c;padding:.4rem .8rem;background:#fdf5ec;margin:.8rem 0}
@media print{body{margin:0;max-width:none;font-size:11px}h2,h3,caption{break-after:avoid}
tr{break-inside:avoid}thead{display:table-header-group}th,.mark{print-color-adjust:exact}}
"""


def proof_html(proof: Proof, samples: Sequence[Sample], *, made_at: dt.datetime) -> bytes:
    """The whole page, UTF-8.

    Args:
        samples: some of the values that are lost, with what was sent and found.
        made_at: when the report was made.
    """
    title = f"Proof of {proof.run}"
    parts = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>",
        *_head(proof),
        *_checks(proof),
        *_totals(proof),
        *_counts(proof),
        *_promises(proof),
        *_lost(samples),
        *(line for one in proof.objects for line in _object(one)),
        f'<p class="quiet">Made by Orgbridge on {_moment(made_at)} from what the run stored.</p>',
        "</main></body></html>",
    )
    return "\n".join(parts).encode()


def _head(proof: Proof) -> Iterable[str]:
    word, css = _WORDS[proof.verdict]
    yield f'<h1>Proof of run {escape(proof.run)} <span class="mark {css}">{word}</span></h1>'
    if proof.heading:
        unsure = [reader for reader in proof.restricted if reader.sees_all is None]
        why = (
            "The org did not say whether this user sees all data."
            if unsure
            else "This user may not view all data: rows hidden from it are not in these figures."
        )
        yield f'<div class="seen"><strong>{escape(proof.heading)}</strong><br>{why}</div>'
    version = f", version {proof.version}" if proof.version else ""
    facts = [
        ("Plan", f"{proof.plan}{version}"),
        ("From", proof.source),
        ("Into", proof.target),
        ("Mode", f"{proof.mode}; the run is {proof.status.lower()}"),
        ("Asked for by", proof.requested_by + (f": {proof.reason}" if proof.reason else "")),
        ("Ran", f"{_moment(proof.started_at)} to {_moment(proof.finished_at)}"),
        ("Source as of", _moment(proof.watermark)),
        *(
            (f"{reader.role.capitalize()} read as", f"{reader.user}{_sight(reader.sees_all)}")
            for reader in proof.readers
        ),
    ]
    rows = ([f"<th>{escape(name)}</th>", f"<td>{escape(text)}</td>"] for name, text in facts)
    yield _table("Facts of the run", [], rows)


def _sight(sees_all: bool | None) -> str:
    return {True: ", sees all data", False: ", does not see all data", None: ""}[sees_all]


def _checks(proof: Proof) -> Iterable[str]:
    yield "<h2>What was checked</h2>"
    rows = (
        [
            f"<td>{escape(check.title)}</td>",
            f'<td><span class="mark {_WORDS[check.verdict][1]}">'
            f"{_CHECK_WORDS[check.verdict]}</span></td>",
            f"<td>{escape(check.sentence)}</td>",
        ]
        for check in proof.checks
    )
    yield _table("Claims and whether they hold", ["Claim", "Verdict", "What it rests on"], rows)


def _totals(proof: Proof) -> Iterable[str]:
    yield "<h2>What became of every row</h2>"
    names = [name.replace("_", " ").capitalize() for name in SEVEN]
    rows = [
        [
            f"<td>{escape(one.told)}</td>",
            f"<td>{escape(one.operation.replace('_', ' '))}</td>",
            _number(one.read),
            *(_number(one.totals[name]) for name in SEVEN),
            f"<td>{'yes' if one.adds_up else 'no'}</td>",
        ]
        for one in proof.objects
    ]
    sums = [sum(one.totals[name] for one in proof.objects) for name in SEVEN]
    rows.append(
        [
            "<th>All objects</th><th></th>",
            _number(sum(one.read for one in proof.objects), tag="th"),
            *(_number(total, tag="th") for total in sums),
            "<th></th>",
        ]
    )
    yield _table(
        "Read is the sum of the seven totals behind it",
        ["Object", "Operation", "Read", *names, "Adds up"],
        rows,
        numbers=range(2, 3 + len(SEVEN)),
    )
    twins = sum(one.twins for one in proof.objects)
    if twins:
        yield (
            f'<p class="quiet">{twins:,} rows are identical to another one as sent; they were '
            "paired one to one and are counted by number.</p>"
        )


def _counts(proof: Proof) -> Iterable[str]:
    if not proof.counts:
        return
    yield "<h2>Rows in the target</h2>"
    rows = (
        [
            f"<td>{escape(one.target)}</td>",
            *(
                _number(number)
                for number in (one.before, one.inserted, one.deleted, one.expected, one.after)
            ),
            f'<td class="n">{one.beyond:+,}</td>' if one.beyond else '<td class="n">0</td>',
        ]
        for one in proof.counts
    )
    yield _table(
        "Counted in the org before the first and after the last row",
        ["Object", "Before", "Inserted", "Deleted", "Expected", "Found", "Beyond"],
        rows,
        numbers=range(1, 7),
    )


def _promises(proof: Proof) -> Iterable[str]:
    if not any(one.promises for one in proof.objects):
        return
    yield "<h2>Foreseen and done</h2>"
    rows = (
        [
            f"<td>{escape(one.told)}</td><td>{escape(promise.bucket)}</td>",
            _number(promise.promised),
            _number(promise.happened),
        ]
        for one in proof.objects
        for promise in one.promises
    )
    yield _table(
        "What the run meant to do with its rows, and what became of them",
        ["Object", "Bucket", "Foreseen", "Done"],
        rows,
        numbers=(2, 3),
    )


def _lost(samples: Sequence[Sample]) -> Iterable[str]:
    if not samples:
        return
    yield "<h2>Lost values</h2>"
    rows = (
        [
            f"<td>{escape(one.mapping)}</td><td>{escape(one.field)}</td>",
            f"<td><code>{escape(one.source_id)}</code></td>",
            f"<td><code>{escape(one.target_id)}</code></td>",
            f"<td><code>{_value(one.sent)}</code></td><td><code>{_value(one.found)}</code></td>",
        ]
        for one in samples
    )
    yield _table(
        f"The first {len(samples):,}; the CSV of the differences holds all",
        ["Object", "Field", "Source id", "Target id", "Sent", "Found"],
        rows,
    )


def _object(one: ObjectProof) -> Iterable[str]:
    if not one.is_compared or not one.fields:
        return
    way = one.source if one.source == one.target else f"{one.source} to {one.target}"
    beside = "" if way == one.told else f" <span class=quiet>{escape(way)}</span>"
    yield f"<h3>{escape(one.told)}{beside}</h3>"
    missing = f"; {one.missing:,} of them are gone" if one.missing else ""
    caption = f"{one.values:,} values in {one.rows:,} rows compared{missing}"
    kinds = [kind for kind in (*HARMLESS, "lost") if kind == "lost" or one.of_class(kind)]
    yield _table(
        caption,
        [
            "Field",
            "Values",
            *(CLASS_WORDS[kind].capitalize() for kind in kinds),
            "Sum sent",
            "Sum found",
            "Resolved",
            "Left blank",
            "Held back",
        ],
        ([f"<td>{escape(field.name)}</td>", *_field(field, kinds)] for field in one.fields),
        numbers=range(1, 7 + len(kinds)),
    )


def _field(field: FieldProof, kinds: Sequence[str]) -> Iterable[str]:
    yield _number(field.compared)
    for kind in kinds:
        yield _number(field.differences.get(kind, 0))
    for total in (field.sum_sent, field.sum_found):
        yield f'<td class="n">{plain(total)}</td>'
    for rows in (field.resolved, field.left_blank, field.held_back):
        yield _number(rows) if field.is_lookup else '<td class="n"></td>'


def _table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Iterable[int] = (),
) -> str:
    """A table of cells that are HTML already; captions and heads are text."""
    right = set(numbers)
    head = "".join(
        f'<th scope="col"{" class=n" if at in right else ""}>{escape(name)}</th>'
        for at, name in enumerate(heads)
    )
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    top = f"<thead><tr>{head}</tr></thead>" if heads else ""
    return f"<table><caption>{escape(caption)}</caption>{top}<tbody>{body}</tbody></table>"


def _number(number: int, *, tag: str = "td") -> str:
    return f'<{tag} class="n">{number:,}</{tag}>'


def plain(total: Decimal | None) -> str:
    """A sum in full, thousands separated; nothing for no sum.

    >>> plain(Decimal("1234.50")), plain(None)
    ('1,234.50', '')
    """
    return "" if total is None else f"{total:,f}"


def _value(text: str | None) -> str:
    return escape(text) if text is not None else "∅"


def _moment(at: dt.datetime | None) -> str:
    return "—" if at is None else f"{at.astimezone(dt.UTC):%d %b %Y %H:%M:%S} UTC"
