"""Whether the rules of a feed fit its model: a sentence for each thing that would go wrong with the first row."""

from __future__ import annotations

import difflib

import sqlalchemy as sa

from restock.errors import ConfigurationError
from restock.feeds import Feed
from sinks.model.column_specs import makes_value_of_none
from sinks.model.mapped_model import MappedModel


def check_feed_fit(feed: Feed, model: MappedModel, key: tuple[str, ...], dialect: sa.Dialect) -> None:
    """Make sure that the feed names what the model has, recognises rows by something unique, and fills its key.

    Raises:
        ConfigurationError: it does not.
    """
    _check_attributes(feed, model)
    _check_unique(feed, model, key)
    _check_key(feed, key)
    _check_blanks(feed, model, dialect)
    _check_filled(feed, model)


def _check_attributes(feed: Feed, model: MappedModel) -> None:
    named = [("columns", name) for name in feed.columns or {} if name not in feed.unwritten]
    named += [("match_on", name) for name in feed.match_on]
    named += [("version_column", name) for name in (feed.version_column,) if name is not None]
    for where, name in named:
        if name not in model.columns:
            raise ConfigurationError(
                f"Feed {feed.name!r}: {where} names {name!r}, which is not a column of the model {feed.model}; "
                f"{_meant(name, model)}"
            )
        if feed.columns is not None and name not in feed.columns:
            raise ConfigurationError(
                f"Feed {feed.name!r}: {where} names {name!r}, but columns does not fill it; add it there."
            )


def _meant(name: str, model: MappedModel) -> str:
    """What somebody likely meant by a name that no mapped column has."""
    for attribute, column in model.columns.items():
        if column.name == name:  # in the table it is called so
            return f"the model has that column as {attribute!r}."
    near = difflib.get_close_matches(name, model.columns, 1)
    return f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(model.columns)}."


def _check_unique(feed: Feed, model: MappedModel, key: tuple[str, ...]) -> None:
    if set(key) not in [set(names) for names in model.unique_keys]:
        raise ConfigurationError(
            f"Feed {feed.name!r}: match_on {', '.join(key)} is not unique in the model {feed.model}, so one record "
            "could meet several rows; match on the primary key or on a column with a unique constraint."
        )


def _check_key(feed: Feed, key: tuple[str, ...]) -> None:
    for name in key:
        if not feed.rule_of(name).is_plain:
            raise ConfigurationError(
                f"Feed {feed.name!r}: columns: {name!r} is part of the key, so it is always written as it came; "
                "leave its rule out."
            )


def _check_filled(feed: Feed, model: MappedModel) -> None:
    if feed.match_on or feed.columns is None or feed.transform or model.generates_key:
        return  # checked by name, or what fills it is known later, or nothing has to
    lacking = [name for name in model.primary_key if name not in feed.columns]
    if lacking:
        raise ConfigurationError(
            f"Feed {feed.name!r}: nothing fills {', '.join(lacking)} of the key of the model {feed.model}, and the "
            "database does not make it; add it to columns, or name another unique key in match_on."
        )


def _check_blanks(feed: Feed, model: MappedModel, dialect: sa.Dialect) -> None:
    for name, column in model.columns.items():
        if feed.rule_of(name).stays == "blank" and makes_value_of_none(column.type, dialect):
            raise ConfigurationError(
                f"Feed {feed.name!r}: columns: {name!r} cannot have `blank: keep`, because its type makes a value of a "
                "blank, which could not be told from one that was sent; leave it out, or let the type leave None alone."
            )
