"""The save path: rows in, Salesforce's rules applied, rows or reasons out.

    insert · update · upsert · delete · undelete · merge · load      (orgsim/dml/run.py)

    text frame ─▶ intake (bind, parse, parents' keys) ─▶ defaults ─▶ platform + hooks (change before
    save)
      ─▶ checks (required, length, picklist, owner, references, unique) ─▶ validation rules ─▶
      duplicate rules ─▶ store ─▶ rows Salesforce makes itself, hooks' rows, roll-ups

Everything works on whole columns; rows are looked at one by one only to word a refusal.
"""

from __future__ import annotations

from orgsim.dml.outcomes import SET_NULL, Outcomes, Refusal, UnknownFieldError
from orgsim.dml.run import delete, insert, load, new_ids, undelete, update, upsert
from orgsim.dml.save import OrgFacts, Save, SaveOptions

__all__ = [
    "SET_NULL", "OrgFacts", "Outcomes", "Refusal", "Save", "SaveOptions", "UnknownFieldError",
    "delete", "insert", "load", "new_ids", "undelete", "update", "upsert",
]  # fmt: skip
