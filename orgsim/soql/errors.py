"""What Salesforce answers to a query that it cannot run: a code, a sentence and the place."""

from __future__ import annotations

#: Characters of the query shown either side of the mistake, as in recorded answers.
EXCERPT_CHARS = 40


class QueryError(Exception):
    """A refused query.

    Attributes:
        code: Salesforce's errorCode, e.g. ``MALFORMED_QUERY``.
        message: The sentence as Salesforce puts it, with the place when one is known.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def at(text: str, position: int | None, *, code: str, sentence: str) -> QueryError:
    """Return the refusal of ``text`` at ``position`` in the layout that an org uses.

    Source: the recorded answer to ``select count() from XYZZY`` (excerpt, caret, row and column).
    """
    if position is None:
        return QueryError(code, sentence)
    before = text[:position]
    row = before.count("\n") + 1
    line_start = before.rfind("\n") + 1
    line_end = text.find("\n", position)
    line_end = len(text) if line_end < 0 else line_end
    start = max(line_start, position - EXCERPT_CHARS)
    excerpt = text[start : min(line_end, position + EXCERPT_CHARS)]
    caret = " " * (position - start) + "^"
    place = f"ERROR at Row:{row}:Column:{position - line_start + 1}"
    return QueryError(code, f"\n{excerpt}\n{caret}\n{place}\n{sentence}")
