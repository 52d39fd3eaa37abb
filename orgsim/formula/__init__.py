"""Formulas of validation rules: text to one DuckDB expression, evaluated for whole batches at once.

    text ── parser ──▶ ast ── compiler (schema) ──▶ Compiled(sql, type, fields)

The subset is what ``functions.FUNCTIONS`` lists; everything else is refused when the schema is
loaded.
"""

from __future__ import annotations

from orgsim.formula.compiler import Compiled, compile_formula
from orgsim.formula.errors import FormulaError

__all__ = ["Compiled", "FormulaError", "compile_formula"]
