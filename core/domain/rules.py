"""Rules compiled for pages: a page of source rows in, the target fields as canonical text out.

    plan mapping + both describes ─compile_mapping─▶ CompiledMapping ─apply(page)─▶ Transformed
                                                                                     ├─ frame
                                                                                     └─ failures

Lookups are not resolved here: `lookup_columns` says which source columns hold ids (or keys) and by
which policy the engine resolves them. All columns are Utf8, null is blank. What a row becomes does
not depend on the page it stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from core.domain.canonical import blank_to_null, canonical
from core.domain.conversions import converted, may_fail
from core.domain.describe import Field, SObject
from core.domain.masks import masked
from core.domain.plan import (
    ConstantRule,
    ConvertRule,
    CopyRule,
    ExpressionRule,
    IdsRule,
    KeySpec,
    LookupPolicy,
    MaskRule,
    ObjectMapping,
    RuleBase,
    RuleKind,
    ValueMapRule,
    Write,
)
from core.errors import UserError

#: column of `Transformed.failures` and of the page's row numbers
FAILURE_SCHEMA = {
    "row": pl.UInt32,
    "field": pl.String,
    "code": pl.String,
    "message": pl.String,
}
USER_OBJECTS = frozenset({"user", "group"})
SHOWN_VALUE_MAX = 80


@dataclass(frozen=True, slots=True)
class LookupColumn:
    """A target lookup and where its source value stands."""

    field: Field
    #: path of the source column
    source: str
    policy: LookupPolicy
    #: LOOKUP, USER_MAP or RECORD_TYPE_MAP
    kind: RuleKind
    #: the source column holds ids; else it holds values of the policy's match field
    source_is_id: bool
    write: Write = Write.ALWAYS


@dataclass(frozen=True, slots=True)
class Transformed:
    """One page after the rules."""

    #: target fields, Utf8, null is blank; as many rows as the page, in its order
    frame: pl.DataFrame
    #: row (number in the page), field, code, message
    failures: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Column:
    """One target field: how it is filled and which rows fail."""

    field: Field
    sources: tuple[str, ...]
    fill: Callable[[pl.DataFrame], tuple[pl.Series, pl.Series | None]]
    code: str
    sentence: str
    write: Write


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """The rules of one object mapping, ready for any number of pages."""

    mapping: ObjectMapping
    #: SOQL paths that pages must hold, Id first; no path twice
    source_columns: tuple[str, ...]
    lookup_columns: tuple[LookupColumn, ...]
    #: target fields whose ids inside text the engine rewrites after the rules
    ids_columns: tuple[str, ...]
    _columns: tuple[_Column, ...]
    #: fills the target key from an expression; None if the key is copied
    key_value: _Column | None = None

    @property
    def target_fields(self) -> tuple[Field, ...]:
        """Fields of `Transformed.frame`, in its order (without lookups)."""
        return tuple(column.field for column in self._columns)

    @property
    def writes(self) -> Mapping[str, Write]:
        """When each target field is written, lookups included."""
        plain = {column.field.name: column.write for column in self._columns}
        return plain | {lookup.field.name: lookup.write for lookup in self.lookup_columns}

    def apply(self, page: pl.DataFrame) -> Transformed:
        """The target fields of a page and its row failures.

        Args:
            page: Utf8 columns named as `source_columns`.
        """
        filled: list[pl.Series] = []
        failures: list[pl.DataFrame] = []
        for column in self._columns:
            values, failed = column.fill(page)
            filled.append(values.alias(column.field.name))
            if failed is not None and failed.any():
                failures.append(_failures(page, column, failed))
        frame = pl.DataFrame(filled) if filled else pl.DataFrame(height=page.height)
        empty = pl.DataFrame(schema=FAILURE_SCHEMA)
        return Transformed(frame, pl.concat([empty, *failures]) if failures else empty)


def compile_mapping(
    mapping: ObjectMapping,
    source: SObject,
    target: SObject,
    *,
    salt: bytes = b"",
    paths: Mapping[str, Field] | None = None,
) -> CompiledMapping:
    """The mapping's rules over these two describes.

    Fields that auto-map would add are not added: `core.domain.automap.completed` does that first.

    Args:
        salt: of the masks; kept with the plan, so that reruns mask alike.
        paths: fields behind dotted source paths (``Account.Region__c``); a path that is not in it
            is taken as text.
    Raises:
        UserError: a rule names a field that is not there, or an expression does not hold; the
            message begins with object and field and ends with the place, ``(contact.fields.Name)``.
    """
    maker = _Maker(mapping, source, target, salt, dict(paths or {}))
    columns, lookups = maker.columns(), maker.lookups()
    key_value = maker.key_value()
    if key_value is not None:
        columns = [c for c in columns if c.field.name != key_value.field.name] + [key_value]
    sources = [
        "Id",
        *(path for column in columns for path in column.sources),
        *(lookup.source for lookup in lookups),
        *mapping.key.source,
    ]
    return CompiledMapping(
        mapping=mapping,
        source_columns=_once(sources, source),
        lookup_columns=tuple(lookups),
        ids_columns=tuple(
            target.fields[name].name
            for name, rule in mapping.applied_fields.items()
            if isinstance(rule, IdsRule)
        ),
        _columns=tuple(columns),
        key_value=key_value,
    )


def rule_kind(rule: RuleBase, target: Field) -> RuleKind:
    """What kind of rule it is, seen with the field that it fills."""
    if isinstance(rule, CopyRule):
        return lookup_kind(target) if target.is_reference else RuleKind.COPY
    by_class = {
        ConstantRule: RuleKind.CONSTANT,
        ValueMapRule: RuleKind.VALUE_MAP,
        MaskRule: RuleKind.MASK,
        ConvertRule: RuleKind.CONVERT,
        ExpressionRule: RuleKind.EXPRESSION,
        IdsRule: RuleKind.IDS,
    }
    return by_class[type(rule)]


def lookup_kind(target: Field) -> RuleKind:
    """Record type map, user map or plain lookup, by what the field refers to."""
    referred = {name.lower() for name in target.reference_to}
    if "recordtype" in referred:
        return RuleKind.RECORD_TYPE_MAP
    if referred & USER_OBJECTS and not referred - USER_OBJECTS - {"calendar"}:
        return RuleKind.USER_MAP
    return RuleKind.LOOKUP


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the columns of one mapping."""

    mapping: ObjectMapping
    source: SObject
    target: SObject
    salt: bytes
    paths: dict[str, Field]

    def columns(self) -> list[_Column]:
        return [
            self._column(name, rule)
            for name, rule in self.mapping.applied_fields.items()
            if not self._is_lookup(name, rule)
        ]

    def lookups(self) -> list[LookupColumn]:
        ruled = {
            self._target_field(name, "fields").name: (rule.source, rule.write)
            for name, rule in self.mapping.applied_fields.items()
            if isinstance(rule, CopyRule) and self._is_lookup(name, rule)
        }
        given = {
            self._target_field(name, "lookups").name: (policy.source or name, Write.ALWAYS)
            for name, policy in self.mapping.lookups.items()
            if policy.source is not None or self._is_in_source(name)
        }
        taken = {name.lower() for name in (*self.mapping.fields, *self.mapping.skip)}
        added = {name: said for name, said in given.items() if name.lower() not in taken}
        return [self._lookup(name, *said) for name, said in {**added, **ruled}.items()]

    def key_value(self) -> _Column | None:
        key: KeySpec = self.mapping.key
        if key.value is None:
            return None
        field = self._target_field(key.target[0], "key.target")
        rule = ExpressionRule(expression=key.value)
        return self._expression(field, rule, "key.value")

    def _lookup(self, name: str, source: str, write: Write) -> LookupColumn:
        field = self.target.fields[name]
        policy = self.mapping.lookup(name)
        path = policy.source or source
        described = self._source_field(path, f"lookups.{name}.from")
        return LookupColumn(
            field=field,
            source=self._spelt(path),
            policy=policy,
            kind=lookup_kind(field),
            source_is_id=described.type in ("reference", "id"),
            write=write,
        )

    def _is_lookup(self, name: str, rule: RuleBase) -> bool:
        field = self._target_field(name, "fields")
        return field.is_reference and isinstance(rule, CopyRule)

    def _column(self, name: str, rule: RuleBase) -> _Column:
        field = self._target_field(name, "fields")
        if isinstance(rule, ExpressionRule):
            return self._expression(field, rule, f"fields.{name}")
        if isinstance(rule, ConstantRule):
            value = rule.constant or None
            return self._from_expr(field, rule, pl.lit(value, dtype=pl.String))
        path = str(getattr(rule, "source", ""))
        described = self._source_field(path, f"fields.{name}")
        values = canonical(described, pl.col(self._spelt(path)))
        if isinstance(rule, ValueMapRule):
            return self._value_map(field, rule, described)
        if isinstance(rule, MaskRule):
            values = masked(rule.mask, values, salt=self.salt, target=field)
        if isinstance(rule, ConvertRule):
            return self._conversion(field, rule, values)
        return self._from_expr(field, rule, values, sources=(self._spelt(path),))

    def _from_expr(
        self, field: Field, rule: RuleBase, values: pl.Expr, *, sources: tuple[str, ...] = ()
    ) -> _Column:
        def fill(page: pl.DataFrame) -> tuple[pl.Series, pl.Series | None]:
            return _evaluate(page, values), None

        return _Column(field, sources, fill, "", "", rule.write)

    def _value_map(self, field: Field, rule: ValueMapRule, described: Field) -> _Column:
        values = canonical(described, pl.col(self._spelt(rule.source)))
        change = _mapped_items if described.type == "multipicklist" else _mapped_value
        mapped = change(rule, values)

        def fill(page: pl.DataFrame) -> tuple[pl.Series, pl.Series | None]:
            if rule.otherwise != "reject":
                return _evaluate(page, mapped), None
            failed = _evaluate(page, values.is_not_null() & ~_is_listed(rule, values, described))
            return _evaluate(page, mapped), failed

        sentence = "is not in the value map, and the rule rejects other values"
        sources = (self._spelt(rule.source),)
        return _Column(field, sources, fill, "VALUE_NOT_MAPPED", sentence, rule.write)

    def _conversion(self, field: Field, rule: ConvertRule, values: pl.Expr) -> _Column:
        result = converted(rule, values, target=field)

        def fill(page: pl.DataFrame) -> tuple[pl.Series, pl.Series | None]:
            filled = _evaluate(page, result)
            if not may_fail(rule):
                return filled, None
            return filled, _evaluate(page, values).is_not_null() & filled.is_null()

        sentence = f"cannot be converted by '{rule.convert.value}'"
        sources = (self._spelt(rule.source),)
        return _Column(field, sources, fill, "CONVERSION_FAILED", sentence, rule.write)

    def _expression(self, field: Field, rule: ExpressionRule, place: str) -> _Column:
        # most plans have no expression, and the parser of SQL takes a tenth of a start
        from core.domain.expressions import compile_expression

        try:
            expression = compile_expression(rule.expression, self.source, self.paths)
        except UserError as error:
            raise at_place(
                error, f"{self.mapping.name}.{place}", of=(self.target, field)
            ) from error

        def fill(page: pl.DataFrame) -> tuple[pl.Series, pl.Series | None]:
            return expression.run(page, target=field)

        sentence = f"the expression {rule.expression[:60]} gives no value (a CAST or a division)"
        return _Column(field, expression.fields, fill, "EXPRESSION_FAILED", sentence, rule.write)

    def _target_field(self, name: str, part: str) -> Field:
        if name not in self.target.fields:
            raise UserError(
                f"{self._told(name)}: {self.target.name} of the target has no field '{name}' "
                f"({self.mapping.name}.{part}.{name}).",
                state="Nothing was read or written.",
                next_step=self.target.advice(name),
                field=name,
            )
        return self.target.fields[name]

    def _told(self, part: str) -> str:
        """Object and field as people call them: ``Account, Annual revenue``.

        Args:
            part: the field's name, or a place of the mapping that holds it (``fields.Name``).
        """
        known = (each for each in part.split(".") if each in self.target.fields)
        return told_field(self.target, next(known, part))

    def _is_in_source(self, path: str) -> bool:
        return path in self.source.fields or path.lower() in map(str.lower, self.paths)

    def _source_field(self, path: str, part: str) -> Field:
        if path in self.source.fields:
            return self.source.fields[path]
        for known, field in self.paths.items():
            if known.lower() == path.lower():
                return field
        if "." in path:
            self._check_relationship(path, part)
            return Field(name=path, type="string")
        raise UserError(
            f"{self._told(part)}: {self.source.name} of the source has no field '{path}' "
            f"({self.mapping.name}.{part}).",
            state="Nothing was read or written.",
            next_step=self.source.advice(path),
            field=path,
        )

    def _check_relationship(self, path: str, part: str) -> None:
        head = path.split(".", maxsplit=1)[0].lower()
        if head not in self.source.by_relationship:
            raise UserError(
                f"{self._told(part)}: {self.source.name} of the source has no relationship "
                f"'{head}' for the path '{path}' ({self.mapping.name}.{part}).",
                state="Nothing was read or written.",
                field=path,
            )

    def _spelt(self, path: str) -> str:
        return self.source.fields[path].name if path in self.source.fields else path


def told_field(target: SObject, name: str) -> str:
    """Object and field as people call them: ``Account, Annual revenue``."""
    label = target.fields[name].label if name in target.fields else ""
    return f"{target.label or target.name}, {label or name}"


def at_place(error: UserError, place: str, *, of: tuple[SObject, Field]) -> UserError:
    """The same error, led by the object and field that it is about; the place in the plan's file
    stands at its end."""
    target, field = of
    return UserError(
        f"{told_field(target, field.name)}: {error.happened.rstrip('.')} ({place}).",
        state=error.state or "Nothing was read or written.",
        next_step=error.next_step,
        place=place,
        **{name: fact for name, fact in error.facts.items() if name != "place"},
    )


def _evaluate(page: pl.DataFrame, expr: pl.Expr) -> pl.Series:
    values = page.select(expr.alias("v"))["v"]
    return values if values.len() == page.height else values.new_from_index(0, page.height)


def _mapped_value(rule: ValueMapRule, values: pl.Expr) -> pl.Expr:
    listed = {key: value or None for key, value in rule.values.items() if key != ""}
    found = (
        values.replace_strict(
            list(listed), list(listed.values()), default=None, return_dtype=pl.String
        )
        if listed
        else pl.lit(None, dtype=pl.String)
    )
    is_listed = values.is_in(list(listed)) if listed else pl.lit(value=False)
    blank = pl.lit(rule.values.get("") or None, dtype=pl.String)
    other = _otherwise(rule, values)
    return pl.when(values.is_null()).then(blank).when(is_listed).then(found).otherwise(other)


def _otherwise(rule: ValueMapRule, values: pl.Expr) -> pl.Expr:
    if rule.otherwise == "keep":
        return values
    if rule.otherwise in ("blank", "reject", ""):
        return pl.lit(None, dtype=pl.String)
    return pl.lit(rule.otherwise, dtype=pl.String)


def _mapped_items(rule: ValueMapRule, values: pl.Expr) -> pl.Expr:
    """A value map over the entries of a multi-select picklist, each entry once."""
    entries = values.str.split(";").list.eval(
        _mapped_value(_without_blank(rule), blank_to_null(pl.element().str.strip_chars()))
    )
    joined = entries.list.drop_nulls().list.unique(maintain_order=True).list.join(";")
    blank = pl.lit(rule.values.get("") or None, dtype=pl.String)
    return pl.when(values.is_null()).then(blank).otherwise(blank_to_null(joined))


def _without_blank(rule: ValueMapRule) -> ValueMapRule:
    """The rule without its entry for blanks."""
    return rule.model_copy(update={"values": {k: v for k, v in rule.values.items() if k != ""}})


def _is_listed(rule: ValueMapRule, values: pl.Expr, described: Field) -> pl.Expr:
    known = [key for key in rule.values if key != ""]
    if described.type != "multipicklist":
        return values.is_in(known)
    return values.str.split(";").list.eval(pl.element().str.strip_chars().is_in(known)).list.all()


def _failures(page: pl.DataFrame, column: _Column, failed: pl.Series) -> pl.DataFrame:
    shown = pl.concat_str(
        [
            pl.concat_str(
                pl.lit(f"{path} = "),
                pl.concat_str(
                    pl.lit("'"), pl.col(path).str.slice(0, SHOWN_VALUE_MAX), pl.lit("'")
                ).fill_null("blank"),
            )
            for path in column.sources
        ]
        or [pl.lit("the constant")],
        separator=", ",
    )
    return page.select(
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
        field=pl.lit(column.field.name),
        code=pl.lit(column.code),
        message=pl.concat_str(shown, pl.lit(f": {column.sentence}.")),
    ).filter(failed)


def _once(paths: list[str], source: SObject) -> tuple[str, ...]:
    spelt = (source.fields[path].name if path in source.fields else path for path in paths)
    return tuple({path.lower(): path for path in reversed(list(spelt))}.values())[::-1]
