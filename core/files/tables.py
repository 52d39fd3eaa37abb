"""What is known of the tables of a file set: how they are written and what their columns hold.

The document of a file set, as the database keeps it and as people see and correct it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.domain.plan.values import ApiName

ColumnType = Literal["string", "textarea", "int", "double", "boolean", "date", "datetime"]
#: how a column is written where its type alone does not say: strptime for times, "comma" or
#: "point" for numbers
Format = Annotated[str, Field(max_length=40)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Part):
    """One column of a table."""

    name: ApiName
    #: as the file's header has it
    label: str
    type: ColumnType = "string"
    format: Format = ""
    #: longest value in characters, of the rows looked at
    length: int = 0


class Link(_Part):
    """A column that names rows of another table, or records of the target, by a value."""

    column: ApiName
    #: a table of the set, or an object of the target org
    object: ApiName
    #: the table's key column, or the field of the target's object
    by: ApiName

    @property
    def field(self) -> str:
        """The lookup that stands for it in the describe."""
        return f"{self.column[:70]}_record"


def _no_twins(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    names = [column.name.lower() for column in columns]
    if len(set(names)) != len(names):
        raise ValueError("two columns have one name")
    if not names:
        raise ValueError("a table needs columns")
    return columns


class TableSpec(_Part):
    """One CSV read as an object."""

    #: number among the CSVs of the set
    part: int
    file_name: str
    object: ApiName
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    columns: Annotated[tuple[Column, ...], AfterValidator(_no_twins)]
    #: columns by which a row is known again; none: by all of them
    key: tuple[ApiName, ...] = ()
    links: tuple[Link, ...] = ()
    #: what was odd, a sentence each
    remarks: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """A column by name, whatever its case."""
        return next((c for c in self.columns if c.name.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell or row of a file that is not what its column holds."""

    line: int
    column: str
    value: str
    reason: str


def api_name(text: str, *, taken: Collection[str] = (), fallback: str = "Column") -> str:
    """A name as fields and objects have them, made of a header or a file's name.

    >>> api_name("Straße / Nr."), api_name("2nd name"), api_name("!", fallback="Table")
    ('Strasse_Nr', 'Column_2nd_name', 'Table')
    """
    german = text.strip()
    for letter, spelt in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        german = german.replace(letter, spelt).replace(letter.upper(), spelt.capitalize())
    plain = unicodedata.normalize("NFKD", german).encode("ascii", "ignore").decode()
    # two underscores and c end a custom field's name, and stay
    words = re.sub(r"[^A-Za-z0-9_]+", "_", plain).strip("_")
    name = words if words[:1].isalpha() else f"{fallback}_{words}".rstrip("_")
    name = name[:70]
    used = {one.lower() for one in taken}
    number, unique = 2, name
    while unique.lower() in used:
        unique, number = f"{name}_{number}", number + 1
    return unique
