"""What restock uses of libraries past their public names: all of it is listed here, and does what restock relies on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from pandera.pandas import Check, Column, DataFrameSchema
from prefect.events.clients import NullEventsClient
from prefect.events.worker import EventsWorker
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session
from test_architecture import modules, name_of

USED = {
    "flows/orchestration/flow_here.py": {"_queue"},
    "sinks/model/column_specs.py": {"_variant_mapping"},
    "sinks/database/engine_rules.py": {"_flushing"},
    "sinks/writers/choice.py": {"_max_overflow"},
    "transforms/schema_check.py": {"_check_kwargs"},
}
# The manuals name them: the underscore only keeps them from being taken for a column or a field.
PUBLIC = {"_mapping", "_replace"}


def private_names(path: Path) -> Iterator[str]:
    """The names with an underscore that a module asks of others than itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not is_own and node.attr not in PUBLIC:
                yield node.attr


def test_private_names_of_libraries_are_listed_here() -> None:
    found = {name_of(path): set(private_names(path)) for path in modules()}

    assert {name: names for name, names in found.items() if names} == USED


def test_a_pool_knows_how_many_connections_it_may_open_beyond_its_size() -> None:
    for most in (4, -1):
        engine = sa.create_engine("sqlite://", poolclass=sa.QueuePool, pool_size=3, max_overflow=most)

        assert isinstance(engine.pool, sa.QueuePool)
        assert engine.pool._max_overflow == most


def test_a_type_knows_its_variants_by_dialect() -> None:
    plain, variant = sa.DateTime(), sqlite.DATETIME(truncate_microseconds=True)

    assert plain.with_variant(variant, "sqlite")._variant_mapping == {"sqlite": variant}
    assert plain._variant_mapping == {}


def test_a_session_that_flushes_says_so() -> None:
    flushing: list[bool] = []
    engine = sa.create_engine("sqlite://")

    class Asked(Session):
        def get_bind(self, *_: object, **__: object) -> sa.Engine:
            flushing.append(self._flushing)
            return engine

    class Base(sa.orm.DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "thing"
        id: sa.orm.Mapped[int] = sa.orm.mapped_column(primary_key=True)

    Base.metadata.create_all(engine)
    with Asked() as session:
        session.add(Thing(id=1))
        session.flush()
        assert True in flushing
        assert session._flushing is False


def test_a_check_is_asked_with_its_arguments() -> None:
    schema = DataFrameSchema({"price": Column(checks=Check.ge(5))})
    [check] = schema.columns["price"].checks
    assert check._check_kwargs == {"min_value": 5}

    check._check_kwargs = {"min_value": 0}

    assert len(schema.validate(pd.DataFrame({"price": [1]}))) == 1


def test_events_wait_in_a_queue_of_their_worker() -> None:
    waiting = EventsWorker(NullEventsClient, ())._queue

    assert waiting.empty()
    waiting.put("an event")
    assert waiting.get_nowait() == "an event"
    waiting.task_done()
