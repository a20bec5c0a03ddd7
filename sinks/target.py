"""What the sink knows of the model: its table, its key, and the contract its columns make."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.orm import Mapper

from restock.column_rules import Stays
from restock.contract import Contract
from restock.errors import ConfigurationError
from restock.feeds import Feed
from sinks.app_database import AppDatabase
from sinks.column_specs import field_spec, makes_json_of_none, makes_value_of_none, words_of
from sinks.model_code import wants_objects


@dataclass(frozen=True)
class Target:
    """One mapped model as the destination of one feed.

    `columns` maps each attribute a feed may fill to its column. `required` are the attributes that a new row cannot do
    without: NOT NULL, and neither the model nor the database has a default for them. `unique_keys` are the attributes
    that could recognise a row, the primary key first. `stays` says of which attributes, and when, a present row keeps
    its own value. `json` are the attributes in which NULL has to be said in so many words. `key_is_exact` says that
    keys of different text are different keys for the database. `discriminator` and `identities` say which rows of a
    table that several models share are this model's; without a discriminator all are.
    `inserts_keyless` says that a row without its key is inserted, and the database makes one. `makes_objects` says that
    an object is made of each new row, so that the model's own code runs.
    """

    name: str
    model: type[Any]
    mapper: Mapper[Any]
    columns: dict[str, sa.Column[Any]]
    primary_key: tuple[str, ...]
    key: tuple[str, ...]
    generates_key: bool
    inserts_keyless: bool
    key_is_exact: bool
    required: tuple[str, ...]
    unique_keys: list[tuple[str, ...]]
    stays: dict[str, Stays]
    json: frozenset[str]
    discriminator: str | None
    identities: frozenset[Any]
    contract: Contract
    makes_objects: bool

    @property
    def table(self) -> sa.Table:
        """The one table of the model."""
        table = self.mapper.local_table
        assert isinstance(table, sa.Table)
        return table

    @property
    def version(self) -> str | None:
        """The attribute that orders the versions of a row, if the feed names one."""
        return self.contract.version

    @property
    def changeable(self) -> list[str]:
        """The attributes of a present row that a record may change."""
        kept = {*self.key, *self.primary_key, *(name for name, when in self.stays.items() if when == "present")}
        return [name for name in self.columns if name not in kept]

    def attribute_of(self, column: str | None) -> str | None:
        """The attribute that is mapped to a column, by the name which the database has for it."""
        return next((name for name, mapped in self.columns.items() if mapped.name == column), None)


def read_target(database: AppDatabase, feed: Feed) -> Target:
    """Derive the target of a feed from its model.

    Raises:
        ConfigurationError: the feed names an attribute the model has not, a key that is not unique, or the model is
            mapped in a way that restock does not load.
    """
    mapper: Mapper[Any] = sa.inspect(database.model)
    if isinstance(mapper.local_table, sa.Subquery):
        raise ConfigurationError(
            f"The model {feed.model} is mapped to a query and not to a table; name the model of the table."
        )
    if len(mapper.tables) != 1:
        raise ConfigurationError(
            f"The model {feed.model} is mapped to {len(mapper.tables)} tables; restock loads models of one table, so "
            "name such a model."
        )
    columns = {
        prop.key: prop.columns[0]
        for prop in mapper.column_attrs
        if isinstance(prop.columns[0], sa.Column) and prop.columns[0].computed is None
    }
    by_column: dict[Any, str] = {column: attribute for attribute, column in columns.items()}
    primary_key = tuple(by_column[column] for column in mapper.primary_key if column in by_column)
    key = feed.match_on or primary_key
    _check_attributes(feed, columns)
    _check_unique(feed, mapper, columns, key)
    _check_key(feed, key)
    _check_blanks(feed, columns, database.engine.dialect)
    generates = _generates_key(mapper) and key == primary_key
    _check_filled(feed, primary_key, generates)
    may_be_keyless = generates and feed.missing_key == "insert"
    dialect = database.engine.dialect
    specs = {
        name: field_spec(
            name, column, dialect, name in key, may_be_keyless if name in key else _may_be_missing(feed, column, name)
        )
        for name, column in columns.items()
    }
    return Target(
        name=str(mapper.local_table),
        model=database.model,
        mapper=mapper,
        columns=columns,
        primary_key=primary_key,
        key=key,
        generates_key=generates,
        inserts_keyless=may_be_keyless,
        key_is_exact=all(_compares_exactly(columns[name], dialect.name) for name in key),
        unique_keys=_unique_keys(mapper, columns),
        stays={name: when for name in columns if (when := feed.rule_of(name).stays) is not None},
        json=frozenset(name for name, column in columns.items() if makes_json_of_none(column.type, dialect)),
        required=tuple(name for name, column in columns.items() if _is_required(column, mapper)),
        discriminator=_discriminator(feed, mapper, by_column),
        identities=frozenset(_identities(mapper)),
        contract=Contract(specs, key, feed.version_column),
        makes_objects=wants_objects(database, mapper, feed),
    )


def _check_attributes(feed: Feed, columns: dict[str, sa.Column[Any]]) -> None:
    named = [("columns", name) for name in feed.columns or {} if name not in feed.unwritten]
    named += [("match_on", name) for name in feed.match_on]
    named += [("version_column", name) for name in (feed.version_column,) if name is not None]
    for where, name in named:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(columns)}."
            raise ConfigurationError(
                f"Feed {feed.name!r}: {where} names {name!r}, which is not a column of the model {feed.model}; {hint}"
            )
        if feed.columns is not None and name not in feed.columns:
            raise ConfigurationError(
                f"Feed {feed.name!r}: {where} names {name!r}, but columns does not fill it; add it there."
            )


def _check_key(feed: Feed, key: tuple[str, ...]) -> None:
    for name in key:
        if not feed.rule_of(name).is_plain:
            raise ConfigurationError(
                f"Feed {feed.name!r}: columns: {name!r} is part of the key, so it is always written as it came; "
                "leave its rule out."
            )


def _check_filled(feed: Feed, primary_key: tuple[str, ...], generates: bool) -> None:
    if feed.match_on or feed.columns is None or feed.transform or generates:
        return  # checked by name, or what fills it is known later, or nothing has to
    lacking = [name for name in primary_key if name not in feed.columns]
    if lacking:
        raise ConfigurationError(
            f"Feed {feed.name!r}: nothing fills {', '.join(lacking)} of the key of the model {feed.model}, and the "
            "database does not make it; add it to columns, or name another unique key in match_on."
        )


def _check_blanks(feed: Feed, columns: dict[str, sa.Column[Any]], dialect: sa.Dialect) -> None:
    for name, column in columns.items():
        if feed.rule_of(name).stays == "blank" and makes_value_of_none(column.type, dialect):
            raise ConfigurationError(
                f"Feed {feed.name!r}: columns: {name!r} cannot have `blank: keep`, because its type makes a value of a "
                "blank, which could not be told from one that was sent; leave it out, or let the type leave None alone."
            )


def _may_be_missing(feed: Feed, column: sa.Column[Any], name: str) -> bool:
    blank = feed.rule_of(name).blank
    return blank == "keep" or (blank == "null" and bool(column.nullable))


def _check_unique(feed: Feed, mapper: Mapper[Any], columns: dict[str, sa.Column[Any]], key: tuple[str, ...]) -> None:
    if set(key) not in [set(names) for names in _unique_keys(mapper, columns)]:
        raise ConfigurationError(
            f"Feed {feed.name!r}: match_on {', '.join(key)} is not unique in the model {feed.model}, so one record "
            "could meet several rows; match on the primary key or on a column with a unique constraint."
        )


def _unique_keys(mapper: Mapper[Any], columns: dict[str, sa.Column[Any]]) -> list[tuple[str, ...]]:
    """What may recognise a row, by attributes: the primary key first."""
    table = mapper.local_table
    unique: list[Any] = [mapper.primary_key]
    unique += [[column] for column in columns.values() if column.unique]
    if isinstance(table, sa.Table):
        unique += [each.columns for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
        unique += [each.columns for each in table.indexes if each.unique and not _is_partial(each)]
    by_column: dict[Any, str] = {column: attribute for attribute, column in columns.items()}
    mapped = [each for each in unique if all(column in by_column for column in each)]
    return list(dict.fromkeys(tuple(by_column[column] for column in each) for each in mapped))


def _is_partial(index: sa.Index) -> bool:
    return any(options.get("where") is not None for options in index.dialect_options.values())


def _generates_key(mapper: Mapper[Any]) -> bool:
    """Whether a new row may leave its primary key to the database or to the model's own default."""
    if len(mapper.primary_key) != 1:
        return False
    column = mapper.primary_key[0]
    table = mapper.local_table
    counts_up = isinstance(table, sa.Table) and table.autoincrement_column is column
    return counts_up or column.default is not None or column.server_default is not None


def _is_required(column: sa.Column[Any], mapper: Mapper[Any]) -> bool:
    if column.nullable or column.default is not None or column.server_default is not None:
        return False
    if mapper.polymorphic_on is column or mapper.version_id_col is column:
        return False
    table = mapper.local_table
    return not (isinstance(table, sa.Table) and table.autoincrement_column is column)


def _discriminator(feed: Feed, mapper: Mapper[Any], by_column: dict[Any, str]) -> str | None:
    if mapper.inherits is None or mapper.polymorphic_on is None:
        return None
    if mapper.polymorphic_on not in by_column:
        raise ConfigurationError(
            f"The model {feed.model} shares its table with others by an expression; restock needs a mapped column to "
            "tell whose a row is, so map the column that says it."
        )
    return by_column[mapper.polymorphic_on]


def _identities(mapper: Mapper[Any]) -> Iterator[Any]:
    """What the discriminator holds in rows of the model and of those derived from it."""
    words = {} if mapper.polymorphic_on is None else words_of(mapper.polymorphic_on.type)
    for each in mapper.self_and_descendants:
        yield words.get(each.polymorphic_identity, each.polymorphic_identity)


def _compares_exactly(column: sa.Column[Any], dialect: str) -> bool:
    """Whether two keys are equal for the database only if they are the same text."""
    if isinstance(column.type, sa.types.TypeDecorator):
        return False  # it may store whatever it likes
    if not isinstance(column.type, sa.String):
        return not isinstance(column.type, sa.types.UserDefinedType)
    is_loose = isinstance(column.type, sa.CHAR | CITEXT)  # blind to blanks at the end, to case
    return dialect not in ("mysql", "mariadb") and column.type.collation is None and not is_loose
