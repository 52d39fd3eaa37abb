"""Words for what stayed without a value on rows that arrived: lookups, and fields of the last pass.

Such a run is Partial although no row failed; every place that says Partial says these as well.
"""

from __future__ import annotations


def told(lookups: int, last_fields: int) -> str:
    """How much, for a sentence; nothing for nothing.

    Args:
        lookups: lookups that were left blank.
        last_fields: rows whose fields of the last pass were not filled in.

    >>> told(1204, 0), told(1, 3), told(0, 0)
    ('1,204 lookups left blank', '1 lookup left blank, last fields of 3 rows not filled in', '')
    """
    parts = []
    if lookups:
        parts.append(f"{lookups:,} lookup{'' if lookups == 1 else 's'} left blank")
    if last_fields:
        rows = f"{last_fields:,} row{'' if last_fields == 1 else 's'}"
        parts.append(f"last fields of {rows} not filled in")
    return ", ".join(parts)


def reason(where: str, rows: int, message: str) -> str:
    """One cause with how often it was met.

    >>> reason("Contact.ReportsToId", 2, "The record did not arrive.")
    'Contact.ReportsToId 2: the record did not arrive'
    """
    said = message.rstrip(".")
    is_name = said[:2].isupper()  # a code or an abbreviation keeps its letters
    return f"{where} {rows:,}: {said if is_name else said[:1].lower() + said[1:]}"
