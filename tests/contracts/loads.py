"""Brings records into the table of a shop through the real sink, and checks after each load that the counts add up."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import sqlalchemy as sa
from factories import make_chunk, make_feed, make_products, make_text_frame
from shops import Shop
from sqlalchemy.orm import Session

from restock.chunks import LINE, Chunk, ChunkEntry, ChunkRef, PlannedChunk, WriteCounts
from sinks.flask_sink import FlaskSink, open_sink
from sinks.ledger.entries import Admission, RejectEntry
from sinks.ledger.history import History
from sinks.ledger.lease import Lease, keeping, take_lease
from sinks.rows.changes import Changes, Key
from sinks.writers.choice import Writer
from sinks.writers.objects_writer import ObjectsWriter

Record = dict[str, Any]
MakeTable = Callable[..., "Table"]

ITEM = ("sku", "name", "price", "stock")

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Table:
    """The table of one model, as restock loads it and as the shop sees it."""

    shop: Shop
    sink: FlaskSink
    name: str

    @property
    def writes_in_bulk(self) -> bool:
        """Whether one statement writes many rows."""
        return not isinstance(self.sink.writer, ObjectsWriter)

    def load(self, records: Sequence[Record], fingerprint: str = "", **chunk_values: Any) -> WriteCounts:
        """Load records as the only chunk of a new run; the n-th record stands on line n + 1 of its source."""
        with self.admitted([len(records)], fingerprint) as [ref]:
            return self.load_chunk(self.chunk(records, ref, **chunk_values))

    @staticmethod
    def chunk(records: Sequence[Record], ref: ChunkRef, **values: Any) -> Chunk:
        """A chunk of an admitted run: its text side has the line numbers that a spooled chunk has."""
        records = list(records)
        raw = make_text_frame(records, ref.first_row)
        raw[LINE] = pd.Series(raw.index + 1, index=raw.index, dtype="Int64")
        return make_chunk(records, ref, **{"raw": raw, **values})

    def load_chunk(self, chunk: Chunk) -> WriteCounts:
        """One attempt at an admitted chunk."""
        with self.sink.attempt(chunk.ref):
            counts = self.sink.load(chunk)
        assert counts.total == chunk.ref.rows
        return counts

    @contextmanager
    def admitted(self, sizes: Sequence[int], fingerprint: str = "") -> Iterator[list[ChunkRef]]:
        """A run with chunks of these sizes, and the lease of the table while the block lasts."""
        with keeping(self.sink.database, lease := self.take_lease()):
            yield self.admit(lease, sizes, fingerprint)

    def take_lease(self) -> Lease:
        """The lease of the table, for as long as this test runs."""
        self.sink.ledger.create()
        return take_lease(self.sink.database, self.sink.target.name, self.sink.feed.name)

    def take_over(self) -> None:
        """Take the lease of the table from whoever has it, as another run would."""
        for table in ("restock_lease", "restock_fence"):
            self.shop.execute(f"UPDATE {table} SET token = token + 1")

    def admit(self, lease: Lease, sizes: Sequence[int], fingerprint: str = "") -> list[ChunkRef]:
        """Enter a run with chunks of these sizes into the ledger."""
        run_id = f"run-{next(_numbers)}"
        starts = [1, *itertools.accumulate(sizes)]
        planned = [
            PlannedChunk(number, f"{run_id}/{number}.parquet", first, rows)
            for number, (first, rows) in enumerate(zip(starts, sizes, strict=False), 1)
        ]
        run = Admission(run_id, "products", "full", 1, fingerprint or run_id, "code", "products.csv", [], run_id)
        self.sink.ledger.admit(lease, run, planned, supersedes=True)
        return History(self.sink.database).outstanding(run_id, lease)

    def rows(self, *columns: str) -> list[Record]:
        """What the table holds, read past the product."""
        return self.shop.rows(self.name, *columns)

    def seen_by_app(self, *attributes: str) -> list[Record]:
        """What the app reads through its own model, in the order of the primary key."""
        with self.sink.database.transaction() as session:
            order = sa.inspect(self.sink.database.model).primary_key
            objects = session.scalars(sa.select(self.sink.database.model).order_by(*order)).all()
            return [{name: getattr(each, name) for name in attributes} for each in objects]

    def rejects(self) -> list[RejectEntry]:
        """The rejects of the newest run, as the ledger holds them."""
        history = History(self.sink.database)
        return history.rejects(history.runs()[0].run_id)

    def entry(self, ref: ChunkRef) -> ChunkEntry:
        """A chunk as the ledger holds it."""
        [entry] = [each for each in History(self.sink.database).chunks(ref.run_id) if each.number == ref.number]
        return entry

    @contextmanager
    def recorded_writes(self) -> Iterator[list[str]]:
        """Collect the statements that write the table while the block lasts."""
        own: list[str] = []
        with recorded_statements(self.sink.database.engine) as statements:
            yield own
        own += [each for each in statements if _writes(each, self.name)]


@contextmanager
def recorded_statements(engine: sa.Engine) -> Iterator[list[str]]:
    """Collect all statements that an engine sends while the block lasts; one for many parameter sets counts once."""
    statements: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        sa.event.remove(engine, "before_cursor_execute", record)


def _writes(statement: str, table: str) -> bool:
    words = statement.replace('"', "").replace("`", "").replace(",", " ").split()
    return words[:3] == ["INSERT", "INTO", table] or words[:2] in (["UPDATE", table], ["COPY", table])


def make_items(count: int, first: int = 1) -> list[Record]:
    """Products without a moment: just what the table gives back, on every kind of database."""
    return [{name: record[name] for name in ITEM} for record in make_products(count, first)]


def interposed(table: Table, before: Callable[[Session], None]) -> Table:
    """The same table, whose writer does something more in each transaction before it writes as usual."""
    return replace(table, sink=replace(table.sink, writer=_Interposed(before, table.sink.writer)))


@dataclass(frozen=True)
class _Interposed:
    before: Callable[[Session], None]
    writer: Writer

    def write(self, session: Session, changes: Changes) -> list[Key]:
        self.before(session)
        return self.writer.write(session, changes)


def open_table(shop: Shop, model: str = "Product", **keys: Any) -> Table:
    """The table of a model of a shop that is there already."""
    sink = open_sink(make_feed(**{"app": shop.app, "model": shop.model(model), **keys}))
    return Table(shop, sink, sink.target.name)
