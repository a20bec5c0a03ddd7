"""What one column demands of its values: the column's type in the words of the contract."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from restock.contract import FieldSpec, Kind

# SQLite keeps a Numeric as a float: that many digits come back as they went in, and no more.
EXACT_DIGITS_OF_A_FLOAT = 15
# What SQLAlchemy reads back from SQLite where the model names no scale.
SCALE_WITHOUT_A_SCALE = 10

_KINDS: tuple[tuple[type[sa.types.TypeEngine[Any]], Kind], ...] = (
    (sa.Enum, Kind.ENUM),
    (sa.Boolean, Kind.BOOLEAN),
    (sa.Integer, Kind.INTEGER),
    (mysql.BIT, Kind.INTEGER),
    (mysql.YEAR, Kind.INTEGER),
    (sa.Float, Kind.FLOAT),
    (sa.Numeric, Kind.DECIMAL),
    (sa.String, Kind.TEXT),
    (sa.DateTime, Kind.DATETIME),
    (sa.Date, Kind.DATE),
    (sa.Time, Kind.TIME),
    (postgresql.INTERVAL, Kind.INTERVAL),
    (sa.Uuid, Kind.UUID),
    (sa.JSON, Kind.JSON),
    # SQLAlchemy's types of bytes have nothing in common that is public.
    *((family, Kind.BINARY) for family in (sa.LargeBinary, sa.BINARY, sa.VARBINARY)),
    *((family, Kind.BINARY) for family in (mysql.TINYBLOB, mysql.MEDIUMBLOB, mysql.LONGBLOB)),
)
_INTEGER_BITS = ((mysql.TINYINT, 8), (sa.SmallInteger, 16), (mysql.MEDIUMINT, 24), (sa.BigInteger, 64))
# What only a type that keeps such things gives back as it was.
_STRUCTURES: tuple[tuple[Any, Kind], ...] = (({"a": ["b", "c"]}, Kind.JSON), (["b", "c"], Kind.ARRAY))


def field_spec(name: str, column: sa.Column[Any], dialect: sa.Dialect, is_key: bool, nullable: bool) -> FieldSpec:
    """The demands of one column; the feed has a say in whether its value may be missing."""
    kind = _structure_of(column.type, dialect) or _kind_of(column.type)
    limits: dict[str, Any] = {}
    own = _stored_type(column.type, dialect)
    if kind is Kind.TEXT or kind is Kind.BINARY:
        limits["length"] = _length(own)
    if kind is Kind.INTEGER:
        limits["minimum"], limits["maximum"] = _integer_range(own, dialect.name)
    if kind is Kind.DECIMAL:
        limits["precision"], limits["scale"] = _digits(own, dialect.name)
        limits["significant"] = EXACT_DIGITS_OF_A_FLOAT if dialect.name == "sqlite" else None
    if kind is Kind.FLOAT and _rounds(own, dialect.name):
        limits["precision"], limits["scale"] = _digits(own, dialect.name)
    if kind in (Kind.DATETIME, Kind.TIME):
        limits["fraction"] = _fraction(own, dialect)
    if kind is Kind.DATETIME:
        # SQLite and MySQL drop the zone of what they are sent.
        keeps_zone = bool(getattr(own, "timezone", False)) and dialect.name == "postgresql"
        limits["timezone"] = keeps_zone or _asks_for_zone(column.type, dialect)
    if kind is Kind.UUID:
        limits["as_text"] = not getattr(own, "as_uuid", True)
    if kind is Kind.ENUM:
        limits["choices"] = tuple(getattr(own, "enums", ()))
    # What a list of JSON holds are values of JSON, and no texts of such.
    if kind is Kind.ARRAY and isinstance(own, sa.ARRAY) and not isinstance(own.item_type, sa.JSON):
        limits["items"] = field_spec(name, sa.Column(own.item_type), dialect, is_key=False, nullable=True)
    return FieldSpec(
        name=name,
        kind=kind,
        nullable=nullable,
        is_key=is_key,
        allows_nul=dialect.name != "postgresql",
        **limits,
    )


def members_of(type_: sa.types.TypeEngine[Any]) -> dict[str | None, Any]:
    """The members of the app's enumeration by the words of a feed, None among them; of no enumeration nothing."""
    if not isinstance(type_, sa.Enum) or type_.enum_class is None:
        return {}
    named = type_.enum_class.__members__
    # Further names of a member are words only where the model asks for them.
    omits = len(type_.enums) < len(named)
    members = [member for name, member in named.items() if not omits or member.name == name]
    return {**dict(zip(type_.enums, members, strict=False)), None: None}


def stored_kind(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Kind:
    """The kind of what the database keeps in a column of that type."""
    return _kind_of(_stored_type(type_, dialect))


def words_of(type_: sa.types.TypeEngine[Any]) -> dict[Any, str]:
    """What is stored for each member of the app's enumeration: its name, or what the model's values_callable says.

    A member that has several names is stored under the first.
    """
    named = [(member, word) for word, member in members_of(type_).items() if word is not None]
    return dict(reversed(named))


def makes_json_of_none(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> bool:
    """Whether SQLAlchemy would send the JSON value `null` for None, unless it is told that NULL is meant."""
    return isinstance(_stored_type(type_, dialect), sa.JSON)


def makes_value_of_none(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> bool:
    """Whether the app's own type stores something for None."""
    return not makes_json_of_none(type_, dialect) and _made_of(None, type_, dialect) is not None


def _asks_for_zone(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> bool:
    """Whether the app's own type takes moments only with their zone."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    naive = moment.replace(tzinfo=None)
    return _made_of(naive, type_, dialect) is None and _made_of(moment, type_, dialect) is not None


def _made_of(value: Any, type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Any:
    """What the app's own type makes of a value; None if it refuses it. Any other type leaves values alone."""
    if not isinstance(type_, sa.types.TypeDecorator):
        return value
    processor = type_.dialect_impl(dialect).bind_processor(dialect)
    try:
        return value if processor is None else processor(value)
    except Exception:  # whatever it raises, it is its verdict on the value
        return None


def _structure_of(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Kind | None:
    """What the app's own type keeps in a column of text, if that is no text: a text would become another thing."""
    if not isinstance(type_, sa.types.TypeDecorator) or _kind_of(type_) is not Kind.TEXT:
        return None
    if isinstance(_stored_type(type_, dialect), sa.JSON):
        return Kind.JSON
    read = type_.dialect_impl(dialect).result_processor(dialect, None)
    for structure, kind in _STRUCTURES:
        kept = _made_of(structure, type_, dialect)
        try:
            if isinstance(kept, str) and read is not None and read(kept) == structure:
                return kind
        except Exception:  # whatever it raises, it is no such structure to it
            continue
    return None


def variant_of(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
    """The type that the model names for this kind of database."""
    return type_._variant_mapping.get(dialect.name, type_)


def _stored_type(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
    """The type behind a decorator, and the variant of it that this database uses."""
    if isinstance(type_, sa.types.TypeDecorator):
        return type_.load_dialect_impl(dialect)
    return variant_of(type_, dialect)


def _kind_of(type_: sa.types.TypeEngine[Any]) -> Kind:
    if isinstance(type_, sa.Interval):
        return Kind.INTERVAL  # SQLAlchemy's is a decorator, around the moments that some databases keep in its place
    if isinstance(type_, sa.ARRAY):
        return Kind.ARRAY  # a decorator around one may make a list of whatever it is given
    if isinstance(type_, sa.types.TypeDecorator):
        type_ = type_.impl_instance
    if isinstance(type_, sa.Numeric) and not type_.asdecimal:
        return Kind.FLOAT
    for family, kind in _KINDS:
        if isinstance(type_, family):
            return kind
    return Kind.OTHER


def _length(type_: sa.types.TypeEngine[Any]) -> int | None:
    if isinstance(type_, mysql.SET):
        return len(",".join(type_.values))  # SQLAlchemy names the length of the longest member
    return getattr(type_, "length", None)


def _integer_range(type_: sa.types.TypeEngine[Any], dialect: str) -> tuple[int, int]:
    if dialect == "sqlite":
        return -(2**63), 2**63 - 1  # every SQLite integer has 64 bits, whatever the model calls it
    if isinstance(type_, mysql.BIT):
        return 0, 2 ** (type_.length or 1) - 1
    if isinstance(type_, mysql.YEAR):
        return 1901, 2155
    bits = next((bits for family, bits in _INTEGER_BITS if isinstance(type_, family)), 32)
    if getattr(type_, "unsigned", False):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _digits(type_: sa.types.TypeEngine[Any], dialect: str) -> tuple[int | None, int | None]:
    precision, scale = getattr(type_, "precision", None), getattr(type_, "scale", None)
    if dialect == "sqlite":
        return precision, scale if scale is not None else SCALE_WITHOUT_A_SCALE
    if dialect in ("mysql", "mariadb"):
        return precision or 10, scale or 0
    return precision, (scale or 0) if precision is not None else scale


def _rounds(type_: sa.types.TypeEngine[Any], dialect: str) -> bool:
    """Whether a column that the app reads as floats has a fixed number of digits."""
    if not isinstance(type_, sa.Numeric) or isinstance(type_, sa.Float):
        return False
    return type_.scale is not None or dialect in ("mysql", "mariadb")


def _fraction(type_: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> int:
    if dialect.name in ("mysql", "mariadb"):
        # As the table was made: an app may have `@compiles` write DATETIME(6) for every plain DateTime.
        digits = re.search(r"\((\d)\)", type_.compile(dialect))
        return int(digits[1]) if digits else 0
    precision = getattr(type_, "precision", None)
    return 6 if precision is None else int(precision)
