"""The model by itself, before a feed has its say: one mapped class of one table, and what may recognise its rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper

from restock.errors import ConfigurationError
from restock.feeds import Feed
from sinks.database.app_database import AppDatabase


@dataclass(frozen=True)
class MappedModel:
    """A model of one table; `columns` maps each attribute that may be filled to its column."""

    mapper: Mapper[Any]
    columns: dict[str, sa.Column[Any]]

    @cached_property
    def attributes(self) -> dict[Any, str]:
        """The attribute of each column."""
        return {column: attribute for attribute, column in self.columns.items()}

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The attributes of the primary key."""
        return tuple(self.attributes[column] for column in self.mapper.primary_key if column in self.attributes)

    @property
    def discriminator(self) -> str | None:
        """The attribute that tells whose a row is, where models share the table."""
        column = self.mapper.polymorphic_on
        return None if self.mapper.inherits is None or column is None else self.attributes.get(column)

    @property
    def unique_keys(self) -> list[tuple[str, ...]]:
        """What may recognise a row, by attributes: the primary key first."""
        table = self.mapper.local_table
        unique: list[Any] = [self.mapper.primary_key]
        unique += [[column] for column in self.columns.values() if column.unique]
        if isinstance(table, sa.Table):
            unique += [each.columns for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
            unique += [each.columns for each in table.indexes if each.unique and not _is_partial(each)]
        mapped = [each for each in unique if all(column in self.attributes for column in each)]
        return list(dict.fromkeys(tuple(self.attributes[column] for column in each) for each in mapped))

    @property
    def generates_key(self) -> bool:
        """Whether a new row may leave its primary key to the database or to the model's own default."""
        if len(self.mapper.primary_key) != 1:
            return False
        column, table = self.mapper.primary_key[0], self.mapper.local_table
        counts_up = isinstance(table, sa.Table) and table.autoincrement_column is column
        return counts_up or column.default is not None or column.server_default is not None


def read_model(database: AppDatabase, feed: Feed) -> MappedModel:
    """The model of a feed.

    Raises:
        ConfigurationError: it is mapped in a way that restock does not load, or not at all.
    """
    mapper: Mapper[Any] = sa.inspect(database.model)
    _complete(mapper, feed)
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
    model = MappedModel(mapper, columns)
    if mapper.inherits is not None and mapper.polymorphic_on is not None and model.discriminator is None:
        raise ConfigurationError(
            f"The model {feed.model} shares its table with others by an expression; restock needs a mapped column to "
            "tell whose a row is, so map the column that says it."
        )
    return model


def _complete(mapper: Mapper[Any], feed: Feed) -> None:
    """Have SQLAlchemy put the models together, as the app's own first query would."""
    try:
        mapper.registry.configure(cascade=True)
    except SQLAlchemyError as error:
        first = str(error).rpartition("Original exception was: ")[2]  # what it repeats from the second time on
        raise ConfigurationError(
            f"The models around {feed.model} do not fit together: {first.partition('. ')[0]}. Import all of them where "
            f"{feed.app} is made, or correct the relationship."
        ) from error


def _is_partial(index: sa.Index) -> bool:
    return any(options.get("where") is not None for options in index.dialect_options.values())
