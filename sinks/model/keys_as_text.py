"""Keys that SQLite, which has no type for them, keeps as text: a row is met only where its text is the app's."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from restock.contract import Kind
from sinks.model.column_specs import variant_of
from sinks.model.target import Target

# A value of each kind, and what may stand where it has a digit.
_SAMPLES: dict[Kind, tuple[Any, str]] = {
    Kind.UUID: (uuid.UUID(int=0), "[0-9a-f]"),
    Kind.DATETIME: (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "[0-9]"),
    Kind.DATE: (dt.date(2026, 1, 1), "[0-9]"),
    Kind.TIME: (dt.time(), "[0-9]"),
}


def key_in_another_form(connection: sa.Connection, target: Target) -> str | None:
    """The attribute of the key that some row of the table has in a form which the app would not write; None of none."""
    if connection.dialect.name != "sqlite":
        return None
    for name in target.key:
        form = _form_of(target, name, connection.dialect)
        if form is None:
            continue
        text = sa.type_coerce(target.columns[name], sa.String())
        asked = sa.select(sa.literal(1)).select_from(target.table).where(sa.not_(text.op("GLOB")(form))).limit(1)
        if connection.execute(asked).first() is not None:
            return name
    return None


def _form_of(target: Target, name: str, dialect: sa.Dialect) -> str | None:
    """The pattern of what SQLAlchemy itself writes; None of a type that says so by itself."""
    spec, type_ = target.contract.fields[name], variant_of(target.columns[name].type, dialect)
    if spec.kind not in _SAMPLES or isinstance(
        type_, sa.types.TypeDecorator | sqlite.DATETIME | sqlite.DATE | sqlite.TIME
    ):
        return None
    sample, digit = _SAMPLES[spec.kind]
    processor = type_.dialect_impl(dialect).bind_processor(dialect)
    written = None if processor is None else processor(str(sample) if spec.as_text else sample)
    return re.sub("[0-9]", digit, written) if isinstance(written, str) else None
