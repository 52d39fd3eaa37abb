"""An imported plan against the orgs: what SFDMU passes over in silence is left out and reported.

SFDMU leaves out fields that one of the orgs does not have, and fields of the target that nobody may
write; its files name such fields freely. A plan that names them would be refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.describe import SObject
from core.domain.plan import ObjectMapping, Operation, RuleBase
from core.plans.importers.report import Imported, Note

#: tools that leave such fields out by themselves
LENIENT_TOOLS = frozenset({"SFDMU"})


def fitted(
    read: Imported, sources: Mapping[str, SObject], targets: Mapping[str, SObject]
) -> Imported:
    """The plan without rules that the orgs cannot follow, and a note for each.

    Args:
        sources: describes of the source org by lower-case name; likewise `targets`. Objects that
            are in neither are left as they are.
    """
    if read.tool not in LENIENT_TOOLS:
        return read
    notes = list(read.notes)
    objects = []
    for entry in read.plan.objects:
        source, target = sources.get(entry.source.lower()), targets.get(entry.target.lower())
        if source is None or target is None or entry.operation.is_delete:
            objects.append(entry)
            continue
        objects.append(_fitted(entry, source, target, notes))
    plan = read.plan.model_copy(update={"objects": tuple(objects)})
    return Imported(plan, read.tool, tuple(notes))


def _fitted(
    entry: ObjectMapping, source: SObject, target: SObject, notes: list[Note]
) -> ObjectMapping:
    kept: dict[str, RuleBase] = {}
    for name, rule in entry.fields.items():
        why = _why_not(name, rule, source, target)
        if why is None:
            kept[name] = rule
        else:
            notes.append(Note(f"{entry.name}.{name}", f"{why}: left out, as SFDMU does."))
    lookups = {name: policy for name, policy in entry.lookups.items() if name in kept}
    changed: dict[str, object] = {"fields": kept, "lookups": lookups}
    if entry.operation is Operation.UPDATE and not target.updateable:
        changed["operation"] = Operation.PRESERVE
        sentence = f"{target.name} cannot be updated in the target: its rows are only matched."
        notes.append(Note(entry.name, sentence))
    return entry.model_copy(update=changed)


def _why_not(name: str, rule: RuleBase, source: SObject, target: SObject) -> str | None:
    path = getattr(rule, "source", None)
    if name not in target.fields:
        return f"{target.name} of the target has no field {name}"
    if isinstance(path, str) and "." not in path and path not in source.fields:
        return f"{source.name} of the source has no field {path}"
    field = target.fields[name]
    if not field.is_writeable or field.calculated:
        return f"{target.name}.{name} cannot be written in the target"
    return None
