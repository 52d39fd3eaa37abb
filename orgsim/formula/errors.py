"""A formula that this org cannot evaluate."""

from __future__ import annotations


class FormulaError(ValueError):
    """Refused when the schema is loaded, so that no rule is ever half understood.

    The message names the place and what is not in the subset.
    """
