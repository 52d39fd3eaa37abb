"""Fields without a column of their own: compounds built from their parts, formulas evaluated."""

from __future__ import annotations

from orgsim.formula import compile_formula
from orgsim.schema.model import Field, Schema, SObject
from orgsim.soql import sql

#: Keys of an address in a JSON answer and the endings of the fields that hold them.
#: Source: SOAP API Developer Guide, "Address Compound Fields".
_ADDRESS_PARTS = {
    "city": "City", "country": "Country", "countryCode": "CountryCode",
    "geocodeAccuracy": "GeocodeAccuracy", "latitude": "Latitude", "longitude": "Longitude",
    "postalCode": "PostalCode", "state": "State", "stateCode": "StateCode", "street": "Street",
}  # fmt: skip
_CODES = {"countryCode", "stateCode"}
_LOCATION_PARTS = {"latitude": "Latitude", "longitude": "Longitude"}


def column_sql(schema: Schema, sobject: SObject, field: Field, *, alias: str) -> str:
    """Return the SQL of ``field`` of the row that ``alias`` stands for.

    Compounds come as JSON text, null where every part is empty. ``schema`` is the whole schema:
    a formula reads fields that its reader may not see.
    """
    if field.stored:
        return f"{alias}.{sql.name(field.name)}"
    if field.formula is not None:
        zero = field.formula_treat_null_number_as_zero
        return compile_formula(
            field.formula,
            sobject=schema.sobject(sobject.name) or sobject,
            schema=schema,
            row=alias,
            blank_as_zero=zero,
        ).sql
    return _compound(sobject, field, alias)


def _compound(sobject: SObject, field: Field, alias: str) -> str:
    keys = _LOCATION_PARTS if field.type == "location" else _ADDRESS_PARTS
    parts = [f for f in sobject.fields.values() if f.compound_field_name == field.name]
    columns = {
        key: f"{alias}.{sql.name(part.name)}"
        for key, ending in keys.items()
        for part in parts
        if part.stored and _plain(part.name).endswith(ending)
    }
    if not columns:
        return "NULL"
    # A code is only shown where the org has state and country lists.
    shown = [key for key in keys if key in columns or key not in _CODES]
    pairs = ", ".join(f"{sql.text(key)}, {columns.get(key, 'NULL')}" for key in shown)
    present = " OR ".join(f"{column} IS NOT NULL" for column in columns.values())
    return f"(CASE WHEN {present} THEN cast(json_object({pairs}) AS VARCHAR) END)"


def _plain(name: str) -> str:
    """Return a part's name without the ending of custom geolocations (``Place__Latitude__s``)."""
    return name.removesuffix("__s")
