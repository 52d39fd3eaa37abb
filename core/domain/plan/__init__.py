"""The plan document: models, YAML and back. Import from here.

``parse_plan`` and ``dump_plan`` are each other's inverse; ``plan_from_document`` and
``plan_document`` are the same for plain values, as versions are stored.
"""

from __future__ import annotations

from core.domain.plan.document import (
    Api,
    Blanks,
    Duplicates,
    KeySpec,
    LoadOptions,
    ObjectMapping,
    OnTargetChange,
    OnTargetMissing,
    Operation,
    Plan,
    Rows,
    RowTest,
    Scope,
)
from core.domain.plan.named import objects_named
from core.domain.plan.rules import (
    ConstantRule,
    Convert,
    ConvertRule,
    CopyRule,
    ExpressionRule,
    FieldRule,
    IdsRule,
    LookupPolicy,
    Mask,
    MaskRule,
    MatchFields,
    RuleBase,
    RuleKind,
    ValueMapRule,
)
from core.domain.plan.text import (
    dump_plan,
    mapping_document,
    parse_plan,
    plan_document,
    plan_from_document,
)
from core.domain.plan.values import ReviewState, Write

__all__ = [
    "Api",
    "Blanks",
    "ConstantRule",
    "Convert",
    "ConvertRule",
    "CopyRule",
    "Duplicates",
    "ExpressionRule",
    "FieldRule",
    "IdsRule",
    "KeySpec",
    "LoadOptions",
    "LookupPolicy",
    "Mask",
    "MaskRule",
    "MatchFields",
    "ObjectMapping",
    "OnTargetChange",
    "OnTargetMissing",
    "Operation",
    "Plan",
    "ReviewState",
    "RowTest",
    "Rows",
    "RuleBase",
    "RuleKind",
    "Scope",
    "ValueMapRule",
    "Write",
    "dump_plan",
    "mapping_document",
    "objects_named",
    "parse_plan",
    "plan_document",
    "plan_from_document",
]
