"""What the target model demands of each column. Derived by the sink, kept by the transforms, known to both."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The families of values a column can hold; each has one cast."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    INTERVAL = "interval"
    ENUM = "enum"
    UUID = "uuid"
    BINARY = "binary"
    ARRAY = "array"
    JSON = "json"
    OTHER = "other"  # a type restock does not know: the value goes to the database as it is


@dataclass(frozen=True)
class FieldSpec:
    """What one column must be. Limits that do not apply are None.

    `name` is the mapped attribute. `nullable` says whether None may be stored; for a key column of generated values it
    says whether the row may leave it out.
    """

    name: str
    kind: Kind
    nullable: bool = True
    is_key: bool = False
    length: int | None = None  # characters, or bytes of a binary column
    minimum: int | None = None
    maximum: int | None = None
    precision: int | None = None  # digits in all
    scale: int | None = None  # digits after the point
    significant: int | None = None  # digits that survive wherever the point is, where decimals are kept as floats
    fraction: int = 6  # digits of a second that a time or datetime keeps
    timezone: bool = False  # the column keeps a zone: values are aware and in UTC, otherwise naive UTC
    as_text: bool = False  # the app has its UUIDs as text
    choices: tuple[str, ...] = ()
    identities: tuple[Any, ...] = ()  # of a discriminator: the only values with which the app can read a row
    items: FieldSpec | None = None  # what each value of a list must be; None where only the database knows
    allows_nul: bool = True  # whether the database can store U+0000 in text


@dataclass(frozen=True)
class Contract:
    """The demands on every mapped column that a feed fills, in the order of the model.

    `key` names the attributes that identify a row; `version` the one that orders its versions, if any.
    """

    fields: dict[str, FieldSpec]
    key: tuple[str, ...]
    version: str | None = None

    @property
    def takes_keyless(self) -> bool:
        """Whether a row may come without its key, because the database makes one."""
        return all(self.fields[name].nullable for name in self.key if name in self.fields)

    def only(self, names: tuple[str, ...]) -> Contract:
        """The same demands on some of the columns."""
        return Contract({n: self.fields[n] for n in names if n in self.fields}, self.key, self.version)
