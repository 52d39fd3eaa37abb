"""Plans out of other tools' files: SFDMU, Data Loader, CumulusCI; and our own.

``read_any`` looks at the content (and the file's name) and picks the reader. Each answers with a
plan and a report of what could not be carried over; a file that is wrong is refused by place,
nothing is kept.
"""

from __future__ import annotations

import json
import re

from core.domain.plan import Plan, parse_plan
from core.domain.plan.text import read_yaml
from core.errors import UserError
from core.plans.importers.cumulusci import read_cumulusci
from core.plans.importers.report import Imported, Note
from core.plans.importers.sdl import read_sdl
from core.plans.importers.sfdmu import read_sfdmu

__all__ = ["Imported", "Note", "read_any", "read_cumulusci", "read_sdl", "read_sfdmu"]

IMPORT_MAX_BYTES = 20_000_000


def read_any(
    content: bytes,
    *,
    file_name: str,
    source: str | None = None,
    target: str | None = None,
    name: str | None = None,
    sobject: str | None = None,
    values: str | None = None,
    fields: str | None = None,
) -> Imported:
    """The plan of a file of any kind.

    Args:
        source: registered names of the orgs; needed for all kinds but our own.
        name: of the plan; the file's name (or its folder's, for an export.json) if None.
        sobject: of a Data Loader mapping.
        values: text of SFDMU's ValueMapping.csv; likewise `fields`, of its FieldMapping.csv.
    Raises:
        UserError: it is none of them, or wrong; the message names the place. Nothing is kept.
    """
    text = _text(content)
    kind = _kind(text, file_name)
    if kind == "orgbridge":
        return Imported(_our_own(text, source=source, target=target), "Orgbridge")
    if source is None or target is None:
        raise UserError(
            f"A {kind} file does not say between which orgs it moves data.",
            state="Nothing was saved.",
            next_step="Name them with --source ORG --target ORG.",
        )
    wanted = name or _name_of(file_name)
    if kind == "SFDMU":
        return read_sfdmu(
            text, source=source, target=target, name=wanted, values=values, fields=fields
        )
    if kind == "Data Loader":
        return read_sdl(text, source=source, target=target, name=wanted, sobject=sobject)
    return read_cumulusci(text, source=source, target=target, name=wanted)


def _our_own(text: str, *, source: str | None, target: str | None) -> Plan:
    plan = parse_plan(text)
    changes = {k: v for k, v in (("source", source), ("target", target)) if v is not None}
    return plan.model_copy(update=changes)


def _text(content: bytes) -> str:
    if len(content) > IMPORT_MAX_BYTES:
        raise UserError(f"The file is larger than {IMPORT_MAX_BYTES:,} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            "The file is no text in UTF-8.",
            state="Nothing was saved.",
            next_step="Save it as UTF-8 and try again.",
        ) from error


def _kind(text: str, file_name: str) -> str:
    lowered = file_name.lower()
    if lowered.endswith(".sdl"):
        return "Data Loader"
    if text.lstrip().startswith("{"):
        return "orgbridge" if _has_key(text, "orgbridge") else "SFDMU"
    if re.search(r"^orgbridge\s*:", text, re.MULTILINE):
        return "orgbridge"
    if lowered.endswith((".yml", ".yaml")):
        document = read_yaml(text, what="plan file")
        steps = document.values() if isinstance(document, dict) else ()
        is_mapping = any(isinstance(step, dict) for step in steps)
        return "CumulusCI" if is_mapping else "orgbridge"
    raise UserError(
        f"'{file_name}' is none of the kinds that can be imported.",
        state="Nothing was saved.",
        next_step="Import a plan file (YAML with `orgbridge: 1`), an SFDMU export.json, "
        "a Data Loader .sdl or a CumulusCI mapping.yml.",
    )


def _has_key(text: str, key: str) -> bool:
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return False
    return isinstance(document, dict) and key in document


def _name_of(file_name: str) -> str:
    parts = [part for part in re.split(r"[\\/]", file_name) if part]
    stem = re.sub(r"\.\w+$", "", parts[-1]) if parts else "plan"
    if stem.lower() in ("export", "mapping") and len(parts) > 1:
        return parts[-2]
    return stem or "plan"
