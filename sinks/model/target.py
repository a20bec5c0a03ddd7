"""What the sink knows of the model: its table, its key, and the contract its columns make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.orm import Mapper

from restock.column_rules import Stays
from restock.contract import Contract, FieldSpec, Kind
from restock.feeds import Feed
from sinks.database.app_database import AppDatabase
from sinks.model.column_specs import field_spec, makes_json_of_none, words_of
from sinks.model.feed_fit import check_feed_fit
from sinks.model.mapped_model import read_model
from sinks.model.model_code import wants_objects


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
    def lies_in_key_order(self) -> bool:
        """Whether rows with neighbouring keys are neighbours in the table, or in an index that is written with them.

        They are by the primary key. Where a row may refer to another one, or take a unique value that another one gives
        up, its source says which has to come first, and which come together.
        """
        own = {key.target_fullname.rpartition(".")[0] for key in self.table.foreign_keys}
        has_other_claims = any(set(names) != set(self.primary_key) for names in self.unique_keys)
        return self.key == self.primary_key and self.table.fullname not in own and not has_other_claims

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
    model, dialect = read_model(database, feed), database.engine.dialect
    columns, key = model.columns, feed.match_on or model.primary_key
    check_feed_fit(feed, model, key, dialect)
    generates = model.generates_key and key == model.primary_key
    may_be_keyless = generates and feed.missing_key == "insert"
    specs = {
        name: field_spec(
            name, column, dialect, name in key, may_be_keyless if name in key else _may_be_missing(feed, column, name)
        )
        for name, column in columns.items()
    }
    identities = frozenset(_identities(model.mapper))
    kind = next((name for name, column in columns.items() if column is model.mapper.polymorphic_on), None)
    if kind is not None:
        specs[kind] = _knowing(specs[kind], identities - {None})
    return Target(
        name=str(model.mapper.local_table),
        model=database.model,
        mapper=model.mapper,
        columns=columns,
        primary_key=model.primary_key,
        key=key,
        generates_key=generates,
        inserts_keyless=may_be_keyless,
        key_is_exact=all(_compares_exactly(columns[name], dialect.name) for name in key),
        unique_keys=model.unique_keys,
        stays={name: when for name in columns if (when := feed.rule_of(name).stays) is not None},
        json=frozenset(name for name, column in columns.items() if makes_json_of_none(column.type, dialect)),
        required=tuple(name for name, column in columns.items() if _is_required(column, model.mapper)),
        discriminator=model.discriminator,
        identities=identities,
        contract=Contract(specs, key, feed.version_column),
        makes_objects=wants_objects(database, model.mapper, feed),
    )


def _knowing(spec: FieldSpec, identities: frozenset[Any]) -> FieldSpec:
    """The demands on a discriminator; those of the app's own types cannot be told from what a feed brings for them."""
    plain = {Kind.TEXT: str, Kind.ENUM: str, Kind.INTEGER: int}.get(spec.kind)
    are_plain = plain is not None and all(isinstance(each, plain) for each in identities)
    return replace(spec, identities=tuple(identities)) if are_plain else spec


def _may_be_missing(feed: Feed, column: sa.Column[Any], name: str) -> bool:
    blank = feed.rule_of(name).blank
    return blank == "keep" or (blank == "null" and bool(column.nullable))


def _is_required(column: sa.Column[Any], mapper: Mapper[Any]) -> bool:
    if column.nullable or column.default is not None or column.server_default is not None:
        return False
    if mapper.polymorphic_on is column or mapper.version_id_col is column:
        return False
    table = mapper.local_table
    return not (isinstance(table, sa.Table) and table.autoincrement_column is column)


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
